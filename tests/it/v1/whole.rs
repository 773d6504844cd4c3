//! Answers in one piece: what came is what goes, in both directions.

use std::collections::BTreeMap;

use qimate::sandbox::model::ModelReply;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::{Scene, question, refusal};
use crate::harness::{Logs, within};

fn bytes(text: &str) -> ModelReply {
    ModelReply::Bytes {
        content_type: "application/json".to_owned(),
        pieces: vec![text.as_bytes().to_vec()],
        pause: std::time::Duration::ZERO,
    }
}

#[tokio::test]
async fn fields_that_nobody_knows_pass_in_both_directions() {
    let scene = Scene::open().await;
    let answer = r#"{ "id":"x", "choices":[{"index":0,"message":{"role":"assistant","content":"\u597d","new":1.50},"finish_reason":"stop"}],
        "usage":{"prompt_tokens":7,"completion_tokens":0,"detail":{"cached":3}}, "brand_new":[1e2] }"#;
    scene.app.model.set_script(move |_| bytes(answer));
    let asked = json!({
        "model": "qimate-demo", "temperature": 0.25, "brand_new": {"deep": [null, true]}, "tools": [{"type": "function",
        "function": {"name": "f", "parameters": {"type": "object"}}}], "max_completion_tokens": 77,
        "messages": [{"role": "developer", "content": "简短"}, {"role": "user", "name": "n", "content": [
            {"type": "text", "text": "这是什么"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]}],
    });
    let response = scene.ask(&asked).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()[CONTENT_TYPE]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(within(response.text()).await.unwrap(), answer, "byte for byte");
    assert_eq!(scene.app.model.requests()[0].body, asked, "nothing was added and nothing is missing");
    // A zero that is said is a number.
    assert_eq!(scene.metric(&["qimate_tokens_total", "direction=\"output\"", "estimated=\"true\""]).await, 0.0);
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_says_what_would_be_right() {
    let scene = Scene::open().await;
    let url = scene.app.url("/v1/chat/completions");
    for (body, code, words) in [
        ("{", "invalid_request", "not a JSON object"),
        (r#"{"model":"qimate-demo","messages":[{}],"model":"other"}"#, "invalid_request", "twice"),
        (r#"{"model":"qimate-demo","Model":"other","messages":[{}]}"#, "invalid_request", "'model' must be written so"),
        (r#"{"model":"qimate-demo","messages":[]}"#, "invalid_request", "'messages' must be"),
        (r#"{"messages":[{}]}"#, "invalid_request", "'model' must be"),
    ] {
        let request = scene.http.post(&url).bearer_auth(&scene.key).body(body);
        let (status, error) = refusal(within(request.send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (400, &code.into()), "{body}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
    }
    let packed = scene.post(&question("喂")).header("content-encoding", "gzip");
    assert_eq!(refusal(within(packed.send()).await.unwrap()).await.0, 415);
    let large = question(&"x".repeat(1024 * 1024));
    let (status, error) = refusal(scene.ask(&large).await).await;
    assert!(status == 413 && error["message"].as_str().unwrap().contains("1 MiB"), "{error}");
    let endless = futures_util::stream::iter((0..40).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])));
    let request = scene.http.post(&url).bearer_auth(&scene.key).body(reqwest::Body::wrap_stream(endless));
    // Whether the answer is heard before the connection breaks is the client's luck; nothing of it is kept.
    if let Ok(answer) = within(request.send()).await {
        assert_eq!(answer.status(), 413);
    }
    assert!(scene.app.model.requests().is_empty());
}

#[tokio::test]
async fn what_an_upstream_says_is_mapped_and_shows_nothing_of_ours() {
    let logs = Logs::capture();
    let mut scene = Scene::open_with(|config| {
        config.llm.api_key = Some(qimate::secret::Secret::new("sk-upstream-0123456789".to_owned()));
    })
    .await;
    scene.app.stop().await;
    scene.app.launch().await;
    let address = scene.app.model.base_url().replace("http://", "").replace("/v1", "");
    let said = |words: &str| json!({"error": {"message": words, "code": null}}).to_string();
    let secret = format!("key sk-upstream-0123456789 at {address}");
    let too_long = json!({"error": {"message": "m", "code": "context_length_exceeded"}}).to_string();
    for (code, body, status, our_code) in [
        (401, said(&secret), 502, "upstream_failed"),
        (402, said(&secret), 502, "upstream_failed"),
        (404, said(&format!("model not found: {secret}")), 502, "upstream_failed"),
        (500, said(&secret), 502, "upstream_failed"),
        (400, said(&format!("temperature must be below 2: {secret}")), 400, "rejected_by_model"),
        (400, too_long, 400, "context_length_exceeded"),
        (
            400,
            json!({"error": {"message": "m", "code": "content_filter"}}).to_string(),
            400,
            "content_policy_violation",
        ),
        (200, "<html>".to_owned(), 502, "upstream_failed"),
        (200, said(&secret), 502, "upstream_failed"),
    ] {
        scene.app.model.push(ModelReply::status(code, body.clone()));
        let response = scene.ask(&question("请帮我写一封辞职信给王经理")).await;
        let (got, error) = refusal(response).await;
        assert_eq!((got, &error["code"]), (status, &our_code.into()), "{code} {body}");
        let message = error["message"].as_str().unwrap();
        assert!(!message.contains("sk-upstream") && !message.contains(&address), "{message}");
        assert!(our_code != "rejected_by_model" || message.contains("temperature must be below 2"), "{message}");
    }
    let headers = BTreeMap::from([("retry-after".to_owned(), "7".to_owned())]);
    scene.app.model.push(ModelReply::Status { code: 429, headers, body: said(&secret) });
    let response = scene.ask(&question("喂")).await;
    assert_eq!((response.status().as_u16(), &response.headers()["retry-after"]), (429, &"7".parse().unwrap()));
    assert!(logs.with(&["sk-upstream"]).is_empty() && logs.with(&["辞职信"]).is_empty());
}

#[tokio::test]
async fn a_call_that_fails_goes_on_to_another_upstream_before_its_first_byte() {
    let second = qimate::sandbox::model::DemoModel::start(qimate::clock::Clock::System).await.unwrap();
    let other = second.base_url();
    let scene = Scene::open_with(|config| {
        let mut first = config.llm.all_upstreams().remove(0);
        let mut next = first.clone();
        (first.name, first.weight) = ("first".into(), 1000);
        (next.name, next.base_url) = ("second".into(), other);
        config.llm.upstreams = vec![first, next];
    })
    .await;
    second.set_script(|_| ModelReply::Answer("好".to_owned()));
    for stream in [false, true] {
        let error = "data: {\"error\":{\"message\":\"overloaded\",\"code\":503}}\n\n";
        scene.app.model.push(match stream {
            false => ModelReply::Reset,
            true => ModelReply::Bytes {
                content_type: "text/event-stream".to_owned(),
                pieces: vec![b": wait\n\n".to_vec(), error.as_bytes().to_vec()],
                pause: std::time::Duration::ZERO,
            },
        });
        let mut body = question("喂");
        body["stream"] = stream.into();
        let response = scene.ask(&body).await;
        assert_eq!(response.status(), 200);
        let text = within(response.text()).await.unwrap();
        assert!(text.contains('好') && !text.contains("overloaded"), "{text}");
    }
    assert!(!second.requests().is_empty());
}

#[tokio::test]
async fn what_was_used_is_saved_and_the_key_is_told() {
    let mut scene = Scene::open().await;
    let usage = r#"{"choices":[{"message":{"content":"好"}}],"usage":{"prompt_tokens":70,"completion_tokens":30}}"#;
    scene.app.model.set_script(move |_| bytes(usage));
    let holder = scene.key_holder();
    scene.attach(&holder, "some", &super::plan(&["requests=5/day", "tokens=1000/month"])).await;
    assert_eq!(scene.ask(&question("喂")).await.status(), 200);
    let limits = |me: Value| -> Vec<Value> { me["limits"].as_array().unwrap().clone() };
    let told = limits(scene.me().await);
    assert_eq!((&told[0]["level"], &told[0]["used"], &told[0]["allowed"]), (&"key".into(), &1.into(), &5.into()));
    assert_eq!(
        (&told[1]["measure"], &told[1]["used"], &told[1]["remaining"]),
        (&"tokens".into(), &100.into(), &900.into())
    );
    assert!(told[0]["resets_at"].as_i64().unwrap() > scene.now().as_secs());
    scene.app.stop().await;
    let used = "SELECT last_used_at IS NOT NULL FROM api_key";
    assert_eq!(scene.app.count(used), 1, "the last use is remembered at the end at the latest");
    let levels = "SELECT COUNT(DISTINCT subject) FROM used WHERE tokens = 100 AND quarter = -1";
    assert_eq!(scene.app.count(levels), 3, "the key, its member and the company");
    scene.app.launch().await;
    assert_eq!(limits(scene.me().await)[1]["used"], 100, "a restart forgets nothing");
}

#[tokio::test]
async fn embeddings_pass_and_count_as_what_they_are() {
    let scene = Scene::open_with(|config| {
        config.safety.mask = qimate::safety::personal::Kind::ALL.into_iter().collect();
    })
    .await;
    scene.attach(&scene.key_holder(), "some", &super::plan(&["tokens=1000/day"])).await;
    let ask = |body: Value| scene.http.post(scene.app.url("/v1/embeddings")).bearer_auth(&scene.key).json(&body).send();
    let asked = json!({"model": "qimate-demo", "input": ["一", "打 13812345678"], "dimensions": 2});
    let answer: Value = within(ask(asked)).await.unwrap().json().await.unwrap();
    assert_eq!(answer["data"][1]["embedding"], json!([0.5, -0.25]));
    let sent = scene.app.model.requests().pop().unwrap().body;
    assert_eq!(
        sent,
        json!({"model": "qimate-demo", "input": ["一", "打 ⟦手机1⟧"], "dimensions": 2}),
        "no limit of output"
    );
    assert_eq!(scene.me().await["limits"][0]["used"], 6);
    let (status, error) = refusal(within(ask(json!({"model": "qimate-demo"}))).await.unwrap()).await;
    assert!(status == 400 && error["message"].as_str().unwrap().contains("'input' must be"), "{error}");
}
