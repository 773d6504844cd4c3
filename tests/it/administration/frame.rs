//! Pages, ETags and idempotency keys, at plans and keys.

use std::{collections::BTreeSet, time::Duration};

use qimate::model::operator::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Scene,
    asked::{Program, answer},
};
use crate::harness::within;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[tokio::test]
async fn pages_show_each_once_while_others_come_and_go() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let make = async |name: &str| owner.post("/keys", json!({"name": name, "member": "li"})).await.text("id");
    let mut wanted = BTreeSet::new();
    for n in 0..7 {
        wanted.insert(make(&format!("key {n}")).await);
    }
    let (mut seen, mut cursor, mut pages) = (Vec::new(), String::new(), 0);
    loop {
        let page = owner.get(&format!("/keys?limit=2{cursor}")).await;
        assert_eq!(page.status, 200, "{:#}", page.body);
        let items = page.body["items"].as_array().unwrap().clone();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|key| key["id"].as_str().unwrap().to_owned()));
        pages += 1;
        // One is made, and one that was shown is revoked, between any two pages.
        if pages < 4 {
            wanted.insert(make("between").await);
            assert_eq!(owner.delete(&format!("/keys/{}", seen[seen.len() - 1])).await.status, 204);
        }
        match page.body["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (10, 5), "each once");
    assert_eq!(seen.into_iter().collect::<BTreeSet<_>>(), wanted);

    for n in 0..3 {
        assert_eq!(owner.put(&format!("/plans/p{n}"), json!({})).await.status, 201);
    }
    let first = owner.get("/plans?limit=2").await;
    assert_eq!(owner.delete("/plans/p1").await.status, 204);
    assert_eq!(owner.put("/plans/p11", json!({})).await.status, 201);
    let next = first.text("next");
    let second = owner.get(&format!("/plans?cursor={next}")).await;
    let names: Vec<_> = second.body["items"].as_array().unwrap().iter().map(|plan| plan["name"].clone()).collect();
    assert_eq!(names, ["p11", "p2"], "what the cursor stood at is gone, and that is no matter");
    assert_eq!(second.body["next"], Value::Null);
    for (path, parameter) in [
        ("/keys?limit=0", "limit"),
        ("/keys?limit=201", "limit"),
        ("/keys?limit=x", "limit"),
        ("/keys?cursor=x", "cursor"),
        (&*format!("/keys?cursor={next}"), "cursor"),
        ("/plans?member=li", "member"),
    ] {
        let refused = owner.get(path).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["parameter"]), (422, &json!(parameter)), "{path}");
    }
    assert_eq!(owner.get("/keys?limit=200&member=nobody").await.body["items"], json!([]));
    assert_eq!(owner.get("/keys?limit=200&member=LI").await.body["items"].as_array().unwrap().len(), 10);
}

#[tokio::test]
async fn what_is_known_is_not_sent_again_and_of_two_writers_one_wins() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let plan = |concurrent: u32| json!({"limits": ["requests=5/day"], "concurrent": concurrent});
    let put = async |concurrent, headers: &[(&str, &str)]| {
        owner.ask(Method::PUT, "/plans/small", &plan(concurrent), headers).await
    };
    assert_eq!(put(1, &[("if-match", "*")]).await.status, 412, "there is none yet");
    let made = put(1, &[]).await;
    assert_eq!((made.status, &made.body["limits"][0]), (201, &json!("requests=5/day")));
    let seen = owner.get("/plans/small").await;
    assert_eq!((seen.etag(), &seen.body), (made.etag(), &made.body));
    for path in ["/plans/small", "/plans", "/me", "/operators", "/openapi.json"] {
        let seen = owner.get(path).await;
        assert!(seen.etag().starts_with('"') && seen.etag().len() >= 18, "{path}: {}", seen.etag());
        for known in [seen.etag(), "*", &*format!("\"x\", W/{}", seen.etag())] {
            let again = owner.ask(Method::GET, path, &Value::Null, &[("if-none-match", known)]).await;
            assert_eq!((again.status, &again.body, again.etag()), (304, &Value::Null, seen.etag()), "{path}");
        }
        assert_eq!(owner.ask(Method::GET, path, &Value::Null, &[("if-none-match", "\"x\"")]).await.status, 200);
    }

    let refused = put(2, &[]).await;
    assert_eq!((refused.status, refused.problem()), (428, "precondition-required"), "not unseen");
    assert_eq!(put(2, &[("if-none-match", "*")]).await.problem(), "precondition-failed");
    let by_etag = [("if-match", seen.etag())];
    let (one, other) = tokio::join!(put(2, &by_etag), put(3, &by_etag));
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 412], "of two who saw the same one wins");
    let winner = if one.status == 200 { &one } else { &other };
    let now = owner.get("/plans/small").await;
    assert_eq!((&now.body, now.etag()), (&winner.body, winner.etag()));
    let list = owner.get("/plans").await;
    let gone =
        async |tag: &str| owner.ask(Method::DELETE, "/plans/small", &Value::Null, &[("if-match", tag)]).await.status;
    assert_eq!(gone(seen.etag()).await, 412);
    assert_eq!(put(4, &[("if-match", "*")]).await.status, 200, "whatever is there");
    let stale = owner.ask(Method::GET, "/plans", &Value::Null, &[("if-none-match", list.etag())]).await;
    assert_eq!(stale.status, 200, "the list is another");
    assert_eq!(gone(owner.get("/plans/small").await.etag()).await, 204);
    assert_eq!(owner.get("/plans/small").await.status, 404);
}

#[tokio::test]
async fn a_request_with_a_key_is_carried_out_once_also_across_a_restart() {
    let mut scene = Scene::open().await;
    let token = {
        let owner = Program::of(&scene, "li", Role::Owner).await;
        let other = Program::of(&scene, "wang", Role::Owner).await;
        let post = async |program: &Program<'_>, name: &str, key: &str| {
            program.ask(Method::POST, "/keys", &json!({"name": name}), &[("idempotency-key", key)]).await
        };
        let first = post(&owner, "one", "first-of-all").await;
        assert_eq!((first.status, first.text("key").len()), (201, 88));
        assert_eq!(first.header("location"), format!("/admin/api/keys/{}", first.text("id")));
        let again = post(&owner, "one", "first-of-all").await;
        assert_eq!((again.status, &again.body["id"], &again.body["key"]), (200, &first.body["id"], &Value::Null));
        assert_eq!(post(&owner, "two", "first-of-all").await.problem(), "key-reused");
        assert_eq!(post(&other, "one", "first-of-all").await.status, 201, "each operator has their own");
        for wrong in ["", &"x".repeat(256)] {
            assert_eq!(post(&owner, "one", wrong).await.status, 400, "{wrong}");
        }
        // What is refused before anything is done is looked at anew.
        assert_eq!(post(&owner, "", "k2").await.status, 422);
        assert_eq!(post(&owner, "three", "k2").await.status, 201);
        // Ten at once: one is carried out, whatever the others hear.
        let ten = futures_util::future::join_all((0..10).map(|_| post(&owner, "ten", "k3"))).await;
        let made = ten.iter().filter(|answer| answer.status == 201).count();
        assert_eq!(made, 1);
        assert!(ten.iter().all(|answer| matches!(answer.status, 200 | 201 | 409)));
        assert_eq!(scene.app.count("SELECT COUNT(*) FROM api_key WHERE name = 'ten'"), 1);
        for secret in ["first-of-all", &first.text("key")[16..80]] {
            let kept =
                format!("SELECT COUNT(*) FROM idempotency WHERE answer LIKE '%{secret}%' OR request LIKE '%{secret}%'");
            assert_eq!(scene.app.count(&kept), 0, "neither the secret nor the key is kept");
        }
        owner.token
    };
    scene.app.stop().await;
    scene.app.launch().await;
    let owner = Program { scene: &scene, token };
    let post =
        async |key: &str| owner.ask(Method::POST, "/keys", &json!({"name": "one"}), &[("idempotency-key", key)]).await;
    let again = post("first-of-all").await;
    assert_eq!((again.status, again.header("idempotency-replayed")), (200, "true"));
    // As after a crash between the change and its answer.
    assert_eq!(scene.app.database().execute("UPDATE idempotency SET answer = NULL", []).unwrap(), 4);
    assert_eq!(post("first-of-all").await.problem(), "answer-not-kept");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM api_key WHERE name = 'one'"), 2);
    scene.app.clock.advance(DAY);
    assert_eq!(post("first-of-all").await.status, 201, "a day is over");
    within(scene.beside().prune(scene.now() + 2 * DAY, 30 * DAY)).await.unwrap();
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM idempotency"), 0);
}

#[tokio::test]
async fn a_page_brings_its_token_also_for_these() {
    let scene = Scene::open().await;
    scene.operator("li", Role::Operator).await;
    let browser = scene.browser("li").await;
    let bare = scene.request(Method::POST, "/keys").header("cookie", &browser.cookie).json(&json!({"name": "x"}));
    assert_eq!(answer(bare).await.problem(), "other-origin");
    let made = answer(scene.of_page(Method::POST, "/keys", &browser).json(&json!({"name": "x"}))).await;
    assert_eq!(made.status, 201, "{:#}", made.body);
    let id: String = scene.app.database().query_row("SELECT id FROM operator_session", [], |row| row.get(0)).unwrap();
    let actor: String = scene
        .app
        .database()
        .query_row("SELECT actor FROM audit WHERE action = 'key.create'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(actor, format!("operator/li/{id}"));
}
