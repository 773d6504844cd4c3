//! `/admin/api/operators`: what `qimate operator` does, and never more than whoever asks may do themselves.

use qimate::model::operator::{Role, Scope};
use serde_json::{Value, json};

use super::{
    PASSWORD, Scene,
    asked::{Program, answer},
};

#[tokio::test]
async fn an_operator_is_made_let_in_shut_out_and_let_in_again() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let made = owner.post("/operators", json!({"name": "Wang", "role": "operator"})).await;
    assert_eq!(
        (made.status, &made.body["state"], made.header("location")),
        (201, &json!("invited"), "/admin/api/operators/wang")
    );
    assert_eq!(owner.post("/operators", json!({"name": "wang", "role": "auditor"})).await.problem(), "conflict");
    assert_eq!(scene.accept(&made.text("code"), PASSWORD).await.status(), 200);
    let browser = scene.browser("wang").await;
    assert_eq!(scene.me(&browser).await, 200);

    let token = owner.post("/operators/wang/tokens", json!({"label": "x", "scopes": ["read", "plans"]})).await;
    assert_eq!(token.status, 201, "{:#}", token.body);
    let days = (token.body["expires_ms"].as_i64().unwrap() - token.body["created_ms"].as_i64().unwrap()) / 86_400_000;
    assert_eq!(days, 90, "for ever only where that is said");
    let program = Program { scene: &scene, token: token.text("token") };
    assert_eq!(program.get("/operators/wang").await.body["state"], "active", "it is good when it is answered");
    let list = owner.get("/operators/wang/tokens").await;
    assert_eq!(list.body["items"][0]["id"], token.body["id"]);
    assert!(!list.body.to_string().contains(&token.text("token")[20..60]));
    let gone = format!("/operators/wang/tokens/{}", token.text("id"));
    assert_eq!(owner.delete(&gone.replace("wang", "li")).await.status, 404, "of this operator alone");
    assert_eq!(owner.delete(&gone).await.status, 204);
    assert_eq!(program.get("/me").await.status, 401, "and over when it is answered");

    assert_eq!(owner.post("/operators/li/disable", Value::Null).await.problem(), "conflict", "not oneself");
    let disabled = owner.post("/operators/wang/disable", Value::Null).await;
    assert_eq!((disabled.status, &disabled.body["state"]), (200, &json!("disabled")));
    assert_eq!(scene.me(&browser).await, 401, "at once");
    assert_eq!(owner.post("/operators/wang/reset", Value::Null).await.problem(), "conflict");
    assert_eq!(owner.post("/operators/wang/tokens", json!({"label": "x", "scopes": ["read"]})).await.status, 409);
    assert_eq!(owner.post("/operators/wang/enable", Value::Null).await.status, 200);
    assert_eq!(answer(scene.login("wang", PASSWORD)).await.status, 201);
    let reset = owner.post("/operators/wang/reset", Value::Null).await;
    assert_eq!((reset.status, &reset.body["state"]), (200, &json!("invited")));
    assert_eq!(answer(scene.login("wang", PASSWORD)).await.status, 401);
    assert_eq!(scene.accept(&reset.text("code"), "another horse battery").await.status(), 200);
    assert_eq!(owner.post("/operators/nobody/reset", Value::Null).await.status, 404);
}

#[tokio::test]
async fn nobody_gives_what_they_may_not_do_themselves() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    scene.operator("wang", Role::Auditor).await;
    let narrow = scene.token("li", &[Scope::Read, Scope::Operators], None).await.expose().clone();
    let narrow = Program { scene: &scene, token: narrow };
    for (path, body) in [
        ("/operators", json!({"name": "friend", "role": "owner"})),
        ("/operators", json!({"name": "friend", "role": "operator"})),
        ("/operators/li/reset", Value::Null),
        ("/operators/li/tokens", json!({"label": "x", "scopes": ["keys"]})),
    ] {
        let refused = narrow.post(path, body).await;
        assert_eq!((refused.status, refused.problem()), (403, "missing-scope"), "{path}");
    }
    assert_eq!(narrow.post("/operators", json!({"name": "friend", "role": "auditor"})).await.status, 201);
    assert_eq!(narrow.post("/operators/wang/reset", Value::Null).await.status, 200);
    for (body, pointer) in [
        (json!({"label": "x", "scopes": ["plans"]}), "/scopes"),
        (json!({"label": "x", "scopes": []}), "/scopes"),
        (json!({"label": "x", "scopes": ["all"]}), "/scopes/0"),
        (json!({"label": "x".repeat(65), "scopes": ["read"]}), "/label"),
        (json!({"label": "x", "scopes": ["read"], "expires_ms": 1}), "/expires_ms"),
    ] {
        let refused = owner.post("/operators/wang/tokens", body.clone()).await;
        assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
    }
    for (body, pointer) in
        [(json!({"name": "-", "role": "owner"}), "/name"), (json!({"name": "xi", "role": "boss"}), "/role")]
    {
        assert_eq!(owner.post("/operators", body).await.body["errors"][0]["pointer"], pointer);
    }
}
