//! Seeds as they lie in the database: under a master key, each its operator's, and no setting.

use super::*;

#[tokio::test]
async fn without_a_master_key_nobody_is_invited_to_set_one_up() {
    let mut scene = Scene::open_with(|config| config.secrets.keys = None).await;
    let code = scene.invite("li", Role::Owner).await;
    let token = scene.token("li", &Scope::ALL, None).await.expose().clone();
    let program = Program { scene: &scene, token };
    let before = program.audited().0;
    let new = program.post("/operators", json!({"name": "wang", "role": "auditor"})).await;
    let reset = program.post("/operators/li/reset", Value::Null).await;
    let accept =
        answer(scene.request(Method::POST, "/invitation").json(&json!({"code": code, "password": PASSWORD}))).await;
    for refused in [&new, &reset, &accept] {
        assert_eq!((refused.status, refused.problem()), (409, "conflict"), "{:#}", refused.body);
        let detail = refused.text("detail");
        assert!(detail.contains("qimate secrets new-master-key") && detail.contains(r#"admin.second_factor to "off""#));
    }
    assert_eq!(program.audited().0, before, "nothing was changed");
    // The code is as good as before, when there is one.
    scene.app.stop().await;
    scene.app.config.secrets.keys = Some(MasterKeys { current: MasterKey::draw().unwrap().0, previous: None });
    scene.app.launch().await;
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201);
}

#[tokio::test]
async fn another_master_key_takes_over_and_a_wrong_one_lets_nobody_in() {
    let logs = Logs::capture();
    let mut scene = Scene::open().await;
    scene.operator("li", Role::Owner).await;
    let old = keys(&scene.app.config);
    let new = MasterKeys { current: MasterKey::draw().unwrap().0, previous: Some(old.current.clone()) };
    let rotated = scene.beside().rotate_secrets(&Actor::Daemon, &new, scene.now()).await.unwrap().unwrap();
    assert_eq!(rotated.values, 1);
    scene.app.felt().await;
    // The daemon was not told of the new one.
    let told = answer(scene.login("li", PASSWORD)).await;
    assert_eq!((told.status, told.problem()), (503, "unavailable"));
    assert!(!logs.with(&["ERROR", "a second factor cannot be read", "is another master key"]).is_empty());
    assert!(!logs.with(&["refused a login", "second_factor_unreadable"]).is_empty());
    assert_eq!(status(scene.login_with("li", "wrong", None)).await, 401, "told to nobody else");
    scene.app.stop().await;
    scene.app.config.secrets.keys = Some(MasterKeys { previous: None, ..new });
    scene.app.launch().await;
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201);
}

#[tokio::test]
async fn one_that_was_put_in_the_place_of_another_opens_nothing_and_stops_nobody_else() {
    let logs = Logs::capture();
    let mut scene = Scene::open().await;
    for operator in ["li", "wang", "zhao"] {
        scene.operator(operator, Role::Owner).await;
    }
    let conn = scene.app.database();
    let sealed = |name: &str| -> Vec<u8> {
        conn.query_row("SELECT sealed FROM secret WHERE name = ?1", [name], |row| row.get(0)).unwrap()
    };
    let (of_li, of_wang) = (sealed("operator/li"), sealed("operator/wang"));
    for (name, sealed) in [("operator/li", of_wang), ("operator/wang", of_li)] {
        conn.execute("UPDATE secret SET sealed = ?2 WHERE name = ?1", (name, sealed)).unwrap();
    }
    scene.app.felt().await;
    for (as_who, whose) in [("li", "li"), ("li", "wang"), ("wang", "li")] {
        let told = answer(scene.login_with(as_who, PASSWORD, Some(&scene.code_at(whose, 0)))).await;
        assert_eq!((told.status, told.problem()), (503, "unavailable"), "{as_who} by what {whose} has");
    }
    assert_eq!(status(scene.login("zhao", PASSWORD)).await, 201);
    scene.app.stop().await;
    scene.app.launch().await;
    for operator in ["li", "wang"] {
        let reset = format!("`qimate operator reset {operator}`");
        assert!(
            !logs
                .with(&["ERROR", "a second factor cannot be read", "put there in the place of another", &reset])
                .is_empty()
        );
    }
    let code = scene.reset("li").await;
    assert_eq!(scene.accept(&code, PASSWORD).await.status(), 200);
    assert_eq!(status(scene.login("li", PASSWORD)).await, 201, "and a reset mends it");
}

#[tokio::test]
async fn it_is_no_secret_of_a_setting() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    assert_eq!(seeds(&scene), 1);
    assert_eq!(owner.get("/secrets").await.body["items"], json!([]));
    for path in ["/secrets/operator%2Fli", "/secrets/operator.li"] {
        assert_eq!(owner.get(path).await.status, 422, "{path}");
        assert_eq!(owner.put(path, json!({"value": "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"})).await.status, 422);
        assert_eq!(owner.delete(path).await.status, 422);
    }
    let store = scene.beside();
    let removed = store.remove_secret(&Actor::Daemon, Some("operator/li"), scene.now()).await.unwrap();
    assert_eq!((removed.values, removed.seeds, seeds(&scene)), (0, 0, 1), "nor is it taken away as one");
    // Where a master key is lost, everything goes, and everybody sets up another.
    let removed = store.remove_secret(&Actor::Daemon, None, scene.now()).await.unwrap();
    assert_eq!((removed.values, removed.seeds, seeds(&scene)), (0, 1, 0));
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM secret_key"), 0);
    scene.app.felt().await;
    assert_eq!(answer(scene.login("li", PASSWORD)).await.problem(), "no-second-factor");
    let reset = store.reset_operator(&Actor::Daemon, &name("li"), scene.now()).await.unwrap();
    assert!(matches!(reset, qimate::store::operators::Reset::Yes(..)));
}
