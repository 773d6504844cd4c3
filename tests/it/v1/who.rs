//! Upstreams are told who asks by us: a program speaks in nobody else's name.

use qimate::{model::key::Owner, sandbox::model::ModelReply};
use serde_json::{Value, json};

use super::{Scene, new_key, question};
use crate::harness::{ask, within};

/// What the model was sent last.
fn sent(scene: &Scene) -> Value {
    scene.app.model.requests().pop().unwrap().body
}

/// A question of a program that names somebody.
fn naming(name: &str) -> Value {
    let mut body = question("喂");
    (body["user"], body["safety_identifier"]) = (name.into(), name.into());
    body
}

async fn told_everywhere() -> Scene {
    let scene = Scene::open_with(|config| config.llm.safety_identifier = Some(true)).await;
    scene.app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    scene
}

#[tokio::test]
async fn a_members_key_is_the_member_whoever_the_program_says_it_is() {
    let scene = told_everywhere().await;
    ask(&scene.app, "li", "喂").await;
    let li = sent(&scene)["user"].clone();
    assert_eq!(li.as_str().unwrap().len(), 64);
    for stream in [false, true] {
        let mut body = naming("zhang");
        body["stream"] = stream.into();
        assert!(within(scene.ask(&body).await.text()).await.unwrap().contains('好'));
        let sent = sent(&scene);
        assert_eq!((&sent["user"], sent.get("safety_identifier")), (&li, None), "{sent}");
    }
    let body = json!({"model": "qimate-demo", "input": ["一"], "user": "zhang"});
    let embed = scene.http.post(scene.app.url("/v1/embeddings")).bearer_auth(&scene.key).json(&body);
    assert_eq!(within(embed.send()).await.unwrap().status(), 200);
    assert_eq!(sent(&scene)["user"], li);
}

#[tokio::test]
async fn where_nobody_is_told_a_members_program_tells_nothing_either() {
    let scene = Scene::open_with(|config| config.llm.safety_identifier = Some(false)).await;
    scene.app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    assert_eq!(scene.ask(&naming("zhang")).await.status(), 200);
    assert_eq!(sent(&scene), question("喂"));
    let mut shouted = question("喂");
    shouted["User"] = "zhang".into();
    assert_eq!(scene.ask(&shouted).await.status(), 400, "some upstreams read it all the same");
}

#[tokio::test]
async fn what_the_administrator_says_is_the_last_word() {
    let scene = Scene::open_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        upstream.extra_body = serde_json::from_value(json!({"user": "acme"})).unwrap();
        config.llm.upstreams = vec![upstream];
        config.llm.safety_identifier = Some(true);
    })
    .await;
    scene.app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    assert_eq!(scene.ask(&naming("zhang")).await.status(), 200);
    let sent = sent(&scene);
    assert_eq!((&sent["user"], sent.get("safety_identifier")), (&json!("acme"), None));
}

#[tokio::test]
async fn a_service_says_itself_for_whom_it_asks() {
    let mut scene = told_everywhere().await;
    scene.key = scene.make(super::NewKey { owner: Owner::Service, ..new_key() }).await;
    assert_eq!(scene.ask(&naming("visitor-7")).await.status(), 200);
    assert_eq!(sent(&scene), naming("visitor-7"), "as it came");
}
