//! `/admin/api/secrets`: values go in and never come out.

use qimate::{
    model::{
        operator::Role,
        second_factor::{SecondFactor, whose},
    },
    store,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Scene, asked::Program};
use crate::disk::holds_nowhere;

const CANARY: &str = "hunter2hunter2hunter2";

#[tokio::test]
async fn a_secret_is_put_in_seen_by_its_name_and_taken_away() {
    let mut scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let path = "/secrets/llm.upstreams.gpt-4.1%20%E5%9B%BD%E5%86%85.api_keys";
    let name = "llm.upstreams.gpt-4.1 国内.api_keys";
    let made = owner.put(path, json!({"value": format!("{CANARY}\nsk-2\n")})).await;
    let by = format!("operator/li/{}", owner.token_id());
    assert_eq!((made.status, made.text("name"), made.text("felt")), (201, name.to_owned(), "next start".to_owned()));
    assert_eq!((made.text("set_by"), &made.body["data_key"]), (by, &json!(1)));
    assert_eq!(owner.put("/secrets/llm.api_key", json!({"value": CANARY})).await.status, 201);
    let list = owner.get("/secrets").await;
    let names: Vec<_> = list.body["items"].as_array().unwrap().iter().map(|one| one["name"].clone()).collect();
    assert_eq!(names, ["llm.api_key", name]);
    let one = owner.get(path).await;
    assert_eq!((one.status, &one.body), (200, &list.body["items"][1]));
    for answer in [&made, &list, &one] {
        assert!(!answer.body.to_string().contains(CANARY), "{:#}", answer.body);
    }

    // What is there is not overwritten unseen, and of two who saw the same one wins.
    assert_eq!(owner.put(path, json!({"value": "sk-3"})).await.status, 428);
    let replace =
        async || owner.ask(Method::PUT, path, &json!({"value": "sk-3"}), &[("if-match", one.etag())]).await.status;
    assert_eq!((replace().await, replace().await), (200, 412));
    let removed = owner.delete("/secrets/llm.api_key").await;
    assert_eq!((removed.status, removed.text("felt")), (200, "next start".to_owned()));
    assert_eq!(owner.delete("/secrets/llm.api_key").await.status, 404);
    assert_eq!(owner.get("/secrets/llm.api_key").await.status, 404);

    // Whoever starts next has it, and nobody can read it in the files.
    scene.app.stop().await;
    let (storage, keys) = (&scene.app.config.storage, scene.app.config.secrets.keys.as_ref());
    let values = store::secrets::read(storage).unwrap().only(|name| whose(name).is_none()).open(keys).unwrap();
    let values: Vec<_> = values.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(values, [(name, "sk-3")]);
    holds_nowhere(scene.app.dir.path(), CANARY);
}

#[tokio::test]
async fn secrets_are_for_owners_and_what_is_wrong_is_not_quoted() {
    let scene = Scene::open().await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let operator = Program::of(&scene, "wang", Role::Operator).await;
    let refused = operator.put("/secrets/llm.proxy", json!({"value": "http://evil:1"})).await;
    assert_eq!((refused.status, refused.problem()), (403, "missing-scope"));
    assert_eq!(operator.get("/secrets").await.body, json!({"items": [], "next": null}), "names are no secret");
    let before = owner.audited().0;
    for (name, body, status, part) in [
        ("wecom.encoding_aes_key", json!({"value": CANARY}), 422, json!({"pointer": "/value"})),
        ("wecom.secret", json!({"value": ""}), 422, json!({"pointer": "/value"})),
        ("wecom.corp_id", json!({"value": CANARY}), 422, json!({"parameter": "name"})),
        ("secrets.master_key", json!({"value": CANARY}), 422, json!({"parameter": "name"})),
        (CANARY, json!({"value": CANARY}), 422, json!({"parameter": "name"})),
        ("wecom.secret", json!({"value": CANARY, "other": 1}), 400, Value::Null),
        ("wecom.secret", json!({"value": [CANARY]}), 400, Value::Null),
    ] {
        let answer = owner.put(&format!("/secrets/{name}"), body).await;
        assert_eq!((answer.status, &answer.body["errors"][0]), (status, &part), "{name}: {:#}", answer.body);
        assert!(!answer.body.to_string().contains("hunter2"), "{:#}", answer.body);
    }
    assert_eq!(owner.audited().0, before);

    let scene = Scene::open_with(|config| {
        config.secrets.keys = None;
        config.admin.second_factor = SecondFactor::Off;
    })
    .await;
    let owner = Program::of(&scene, "li", Role::Owner).await;
    let refused = owner.put("/secrets/llm.api_key", json!({"value": CANARY})).await;
    assert_eq!((refused.status, refused.problem()), (409, "conflict"));
    assert!(refused.text("detail").contains("qimate secrets new-master-key"), "{:#}", refused.body);
}
