//! The rules of the house hold for programs too, wherever in a request a text stands.

use std::sync::Arc;

use qimate::{
    config::Config,
    safety::{
        personal::Kind,
        rules::{Action, Rules},
    },
    sandbox::model::ModelReply,
};
use serde_json::{Value, json};

use super::{Scene, question, refusal};
use crate::harness::within;

const PHONE: &str = "13812345678";

fn masking(config: &mut Config) {
    config.safety.mask = Kind::ALL.into_iter().collect();
}

#[tokio::test]
async fn what_is_sensitive_stays_in_the_house_and_comes_back() {
    let scene = Scene::open_with(masking).await;
    // It repeats what it was told.
    scene.app.model.set_script(|body| {
        let told =
            body["messages"].as_array().unwrap().last().unwrap()["content"][0]["text"].as_str().unwrap().to_owned();
        ModelReply::Pieces(told.chars().map(String::from).collect())
    });
    let asked = json!({
        "model": "qimate-demo", "user": PHONE, "metadata": {"from": PHONE},
        "tools": [{"type": "function", "function": {"name": "call", "description": format!("e.g. {PHONE}")}}],
        "messages": [
            {"role": "assistant", "content": null, "tool_calls": [{"id": "c", "type": "function",
                "function": {"name": "call", "arguments": format!("{{\"number\":\"{PHONE}\"}}")}}]},
            {"role": "tool", "tool_call_id": "c", "content": PHONE},
            {"role": "user", "content": [{"type": "text", "text": format!("打 {PHONE} 吧")}]},
        ],
    });
    let whole: Value = within(scene.ask(&asked).await.json()).await.unwrap();
    assert_eq!(whole["choices"][0]["message"]["content"], format!("打 {PHONE} 吧"));
    let mut stream = asked.clone();
    stream["stream"] = true.into();
    let text = within(scene.ask(&stream).await.text()).await.unwrap();
    let said: String = text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok())
        .map(|chunk| chunk["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
        .collect();
    assert_eq!(said, format!("打 {PHONE} 吧"));
    assert!(text.ends_with("data: [DONE]\n\n") && !text.contains("usage\":{"), "{text}");
    for request in scene.app.model.requests() {
        let sent = request.body.to_string();
        assert!(!sent.contains(PHONE) && sent.contains("⟦手机1⟧"), "{sent}");
    }
}

#[tokio::test]
async fn what_the_company_bans_is_neither_asked_nor_answered() {
    let scene = Scene::open_with(|config| {
        config.safety.rules = Arc::new(Rules::new([("天机", Action::Refuse)], []).unwrap());
    })
    .await;
    let escaped = r#"{"model":"qimate-demo","messages":[{"role":"user","content":"说\u5929 \u673a"}]}"#;
    let as_system = json!({"model": "qimate-demo", "messages": [{"role": "system", "content": "天机"}, {"role": "user", "content": "喂"}]});
    let in_a_tool = json!({"model": "qimate-demo", "messages": [{"role": "user", "content": "喂"}],
        "tools": [{"type": "function", "function": {"name": "f", "description": "天机"}}]});
    for body in [escaped.to_owned(), as_system.to_string(), in_a_tool.to_string(), question("天 机").to_string()] {
        let request = scene.http.post(scene.app.url("/v1/chat/completions")).bearer_auth(&scene.key).body(body.clone());
        let (status, error) = refusal(within(request.send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (400, &"content_policy_violation".into()), "{body}");
    }
    assert!(scene.app.model.requests().is_empty(), "nothing was sent");
    scene.app.model.set_script(|_| ModelReply::Pieces(["好的，天", "机是", "这样的"].map(str::to_owned).to_vec()));
    for stream in [false, true] {
        let mut body = question("喂");
        body["stream"] = stream.into();
        let text = within(scene.ask(&body).await.text()).await.unwrap();
        assert!(text.contains("好的") && text.contains("\"content_filter\""), "{text}");
        assert!(!text.contains("天") && !text.contains("这样"), "{text}");
    }
}
