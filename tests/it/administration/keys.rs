//! `/admin/api/keys`: what `qimate key` does, felt at once.

use std::time::Duration;

use qimate::model::operator::Role;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, asked::Program, asked::answer};

async fn scene() -> Scene {
    Scene::open_with(|config| config.v1.enabled = true).await
}

/// What a program with this key is answered.
async fn models(scene: &Scene, key: &str) -> u16 {
    answer(reqwest::Client::new().get(scene.app.url("/v1/models")).bearer_auth(key)).await.status
}

#[tokio::test]
async fn what_another_system_calls_a_key_is_one_key_until_it_is_revoked() {
    let scene = scene().await;
    let owner = Program::of(&scene, "li", Role::Operator).await;
    let path = "/keys/external/crm%2F7";
    assert_eq!(owner.get(path).await.status, 404);
    let made = owner.put(path, json!({"name": "crm", "networks": ["127.0.0.0/8"]})).await;
    assert_eq!((made.status, &made.body["external_id"]), (201, &json!("crm/7")), "{:#}", made.body);
    let text = made.text("key");
    assert_eq!(models(&scene, &text).await, 200, "it is good when it is answered");

    let changed = owner.put(path, json!({"name": "crm 2", "networks": ["10.0.0.0/8"], "endpoints": ["chat"]})).await;
    assert_eq!((changed.status, &changed.body["id"], &changed.body["key"]), (200, &made.body["id"], &Value::Null));
    assert_eq!(models(&scene, &text).await, 403, "from here no more");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM api_key"), 1, "one key");
    let back = owner.put(path, json!({"name": "crm"})).await;
    assert_eq!((back.status, &back.body["networks"]), (200, &json!([])));
    assert_eq!(models(&scene, &text).await, 200);
    let shown = owner.get(path).await;
    assert_eq!((shown.status, shown.etag()), (200, back.etag()));
    assert_eq!(owner.get(&format!("/keys/{}", made.text("id"))).await.body, shown.body);
    let other = owner.put(path, json!({"name": "mine", "member": "li"})).await;
    assert_eq!((other.status, other.problem()), (409, "conflict"), "its owner does not change");
    let new_only = owner.ask(Method::PUT, path, &json!({"name": "x"}), &[("if-none-match", "*")]).await;
    assert_eq!(new_only.status, 412);

    assert_eq!(owner.delete(path).await.status, 204);
    assert_eq!(models(&scene, &text).await, 401, "it is over when it is answered");
    assert_eq!((owner.get(path).await.status, owner.delete(path).await.status), (404, 404));
    assert_eq!(owner.get(&format!("/keys/{}", made.text("id"))).await.body["state"], "revoked");
    let next = owner.put(path, json!({"name": "crm"})).await;
    assert_eq!(next.status, 201);
    assert_ne!(next.body["id"], made.body["id"], "a revoked key never comes back");
    for secret in [&text, &next.text("key")] {
        for path in ["/keys", path, &format!("/keys/{}", next.text("id"))] {
            assert!(!owner.get(path).await.body.to_string().contains(&secret[16..40]), "{path}");
        }
    }
}

#[tokio::test]
async fn a_key_is_made_used_rotated_and_revoked() {
    let scene = scene().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let ends = scene.now() + Duration::from_secs(10 * 3600);
    let made = owner.post("/keys", json!({"name": "reports", "expires_ms": ends.as_millis()})).await;
    assert_eq!(made.status, 201, "{:#}", made.body);
    let (first, path) = (made.text("key"), format!("/keys/{}", made.text("id")));
    let seen = owner.get(&path).await;
    assert_eq!(seen.etag(), made.etag(), "of the key without its text");
    assert_eq!(models(&scene, &first).await, 200);
    scene.app.advance_to_sleeper(50.0..=60.0).await;
    scene.app.advance_to_sleeper(50.0..=60.0).await;
    let used = "SELECT COUNT(*) FROM api_key WHERE last_used_at IS NOT NULL";
    crate::harness::within(async {
        while scene.app.count(used) == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let known = owner.ask(Method::GET, &path, &Value::Null, &[("if-none-match", seen.etag())]).await;
    assert_eq!(known.status, 200, "it was used: another answer");
    let rotate = async |hours: u32, tag: &str| {
        let path = format!("{path}/rotate");
        owner.ask(Method::POST, &path, &json!({"grace_hours": hours}), &[("if-match", tag)]).await
    };
    let rotated = rotate(1, seen.etag()).await;
    assert_eq!(rotated.status, 200, "but nobody changed it: {:#}", rotated.body);
    assert_eq!(rotate(1, seen.etag()).await.status, 412);
    let second = rotated.text("key");
    assert_eq!((models(&scene, &first).await, models(&scene, &second).await), (200, 200), "both, for an hour");
    scene.app.clock.advance(Duration::from_secs(3600));
    assert_eq!((models(&scene, &first).await, models(&scene, &second).await), (401, 200));
    assert_eq!(owner.delete(&path).await.status, 204);
    assert_eq!(models(&scene, &second).await, 401);
    assert_eq!(owner.delete(&path).await.status, 204, "it stays so");
    let refused = rotate(1, "*").await;
    assert_eq!((refused.status, refused.problem()), (409, "conflict"));
}

#[tokio::test]
async fn what_is_wrong_with_a_key_is_told_by_its_place() {
    let scene = scene().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    for (body, pointer, words) in [
        (json!({"name": ""}), "/name", "1 to 64"),
        (json!({"name": "x", "member": ""}), "/member", "userid"),
        (json!({"name": "x", "models": ["gpt-9"]}), "/models/0", "there are qimate-demo"),
        (json!({"name": "x", "models": []}), "/models", "leave the list out"),
        (json!({"name": "x", "endpoints": ["chat", "chats"]}), "/endpoints/1", "chat, responses"),
        (json!({"name": "x", "networks": ["10.0.0.5/8"]}), "/networks/0", "10.0.0.0/8"),
        (json!({"name": "x", "expires_ms": 1}), "/expires_ms", "to come"),
    ] {
        for refused in [owner.post("/keys", body.clone()).await, owner.put("/keys/external/x", body.clone()).await] {
            assert_eq!((refused.status, &refused.body["errors"][0]["pointer"]), (422, &json!(pointer)), "{body}");
            assert!(refused.text("detail").contains(words), "{:#}", refused.body);
        }
    }
    assert_eq!(owner.post("/keys", json!({"name": "x", "external_id": "y"})).await.status, 400, "that is an address");
    let long = format!("/keys/external/{}", "x".repeat(65));
    assert_eq!(owner.put(&long, json!({"name": "x"})).await.body["errors"][0]["parameter"], "external_id");
    let made = owner.post("/keys", json!({"name": "x"})).await;
    let whole = made.text("key");
    let refused = owner.get(&format!("/keys/{whole}")).await;
    assert_eq!((refused.status, refused.problem()), (401, "secret-in-address"));
    assert!(!refused.body.to_string().contains(&whole[16..40]), "a whole key in the place of its id is not repeated");
    let rotate = format!("/keys/{}/rotate", made.text("id"));
    assert_eq!(owner.post(&rotate, json!({"grace_hours": 721})).await.body["errors"][0]["pointer"], "/grace_hours");
    assert_eq!(scene.app.count("SELECT COUNT(*) FROM api_key"), 1);
}
