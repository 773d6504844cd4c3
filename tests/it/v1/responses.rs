//! `/v1/responses`: through the same doors as chat completions, and passed on as it comes.

use std::{sync::Arc, time::Duration};

use qimate::{
    model::{
        key::{Endpoint, Scope},
        quota::plan::Right,
    },
    safety::{
        personal::Kind,
        rules::{Action, Rules},
    },
    sandbox::model::{Gate, ModelReply},
};
use serde_json::{Value, json};

use super::{Plan, Scene, new_key, plan, refusal};
use crate::harness::{Logs, within};

const PATH: &str = "/v1/responses";

fn wish(text: &str, stream: bool) -> Value {
    json!({"model": "qimate-demo", "input": text, "stream": stream})
}

fn played(content_type: &str, pieces: &[&str]) -> ModelReply {
    ModelReply::Bytes {
        content_type: content_type.to_owned(),
        pieces: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(),
        pause: Duration::ZERO,
    }
}

fn events(pieces: &[&str]) -> ModelReply {
    played("text/event-stream", pieces)
}

const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"usage\":null},\"new\":1.50}\n\n";
const DELTA: &str =
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"delta\":\"\\u4f60\"}\n\n";
const STRANGE: &str = "event: brand.new\r\ndata: {\"type\":\"brand.new\",\"x\":[1e2]}\r\n\r\n";

fn end(kind: &str, more: &str) -> String {
    let usage = r#"{"input_tokens":40,"input_tokens_details":{"cached_tokens":3},"output_tokens":2,"total_tokens":42}"#;
    format!(
        "event: response.{kind}\ndata: {{\"type\":\"response.{kind}\",\"response\":{{\"object\":\"response\",\"usage\":{usage}{more}}}}}\n\n"
    )
}

async fn used(scene: &Scene) -> (u64, u64) {
    let me = scene.me().await;
    (me["limits"][0]["used"].as_u64().unwrap(), me["limits"][1]["used"].as_u64().unwrap())
}

async fn limited() -> Scene {
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=50/day", "tokens=100000/day"])).await;
    scene
}

#[tokio::test]
async fn every_byte_passes_and_the_usage_at_the_end_is_what_counts() {
    let scene = limited().await;
    let mut calls = 0;
    for kind in ["completed", "incomplete", "failed"] {
        let all = [CREATED, DELTA, STRANGE, &end(kind, "")].concat();
        for at in [1, 60, 150, all.len() - 3] {
            scene.app.model.push(events(&[&all[..at], &all[at..]]));
            let response = scene.ask_at(PATH, &wish("喂", true)).await;
            assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
            assert_eq!(within(response.text()).await.unwrap(), all);
            calls += 1;
            assert_eq!(used(&scene).await, (calls, calls * 42), "{kind}");
        }
    }
    let answer = r#"{ "object":"response","output":[{"content":[{"type":"output_text","text":"\u597d"}]}],"x":1.50,
        "usage":{"input_tokens":7,"output_tokens":0} }"#;
    scene.app.model.push(played("application/json", &[answer]));
    let asked = json!({
        "model": "qimate-demo", "instructions": "简短", "brand_new": {"deep": [null, 1.5]}, "max_output_tokens": 77,
        "previous_response_id": "resp_1", "store": false, "include": ["reasoning.encrypted_content"],
        "input": [{"role": "user", "content": [{"type": "input_text", "text": "这是什么"}]},
                  {"type": "function_call_output", "call_id": "c", "output": "7"}],
    });
    let response = scene.ask_at(PATH, &asked).await;
    assert_eq!(within(response.text()).await.unwrap(), answer, "byte for byte");
    assert_eq!(scene.app.model.requests().pop().unwrap().body, asked, "nothing was added and nothing is missing");
    assert_eq!(used(&scene).await, (calls + 1, calls * 42 + 7), "a zero that is said is a number");
    assert_eq!(scene.metric(&["qimate_tokens_total", "estimated=\"true\""]).await, 0.0);
}

#[tokio::test]
async fn however_it_ends_it_is_told_and_settled_and_shows_nothing_of_ours() {
    let logs = Logs::capture();
    let mut scene = Scene::open_with(|config| {
        config.llm.api_key = Some(qimate::secret::Secret::new("sk-upstream-0123456789".to_owned()));
    })
    .await;
    scene.app.stop().await;
    scene.app.launch().await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=50/day", "tokens=100000/day"])).await;
    let said = async |scene: &Scene| within(scene.ask_at(PATH, &wish("喂", true)).await.text()).await.unwrap();
    // It failed, says so, and what it cost.
    let failed = end("failed", ",\"error\":{\"code\":\"server_error\",\"message\":\"by sk-upstream-0123456789\"}");
    scene.app.model.push(events(&[CREATED, DELTA, &failed]));
    let text = said(&scene).await;
    assert!(text.starts_with(&[CREATED, DELTA].concat()) && text.contains("response.failed"), "{text}");
    assert!(text.contains(r#""message":"by ***""#) && text.contains("server_error"), "{text}");
    assert_eq!(used(&scene).await, (1, 42));
    // It complains, its connection breaks, or it ends without a word.
    let complaint = "event: error\ndata: {\"type\":\"error\",\"message\":\"sk-upstream-0123456789\"}\n\n";
    for reply in
        [events(&[CREATED, DELTA, complaint]), ModelReply::CutAfter("你好".to_owned()), events(&[CREATED, DELTA])]
    {
        let before = used(&scene).await.1;
        scene.app.model.push(reply);
        let text = said(&scene).await;
        let event = text.rsplit_once("event: error\ndata: ").expect(&text).1;
        let event: Value = serde_json::from_str(event.trim()).unwrap();
        assert_eq!((&event["type"], &event["code"]), (&"error".into(), &"upstream_failed".into()), "{event}");
        assert_eq!(event["error"]["code"], "upstream_failed", "{event}");
        assert!(!text.contains("sk-upstream") && used(&scene).await.1 > before);
    }
    assert!(logs.with(&["sk-upstream"]).is_empty());
    assert!(scene.metric(&["qimate_tokens_total", "estimated=\"true\""]).await > 0.0);
}

#[tokio::test]
async fn an_upstream_that_does_not_know_it_says_so_and_is_well_for_everything_else() {
    let scene = Scene::open_with(|config| config.llm.upstreams = config.llm.all_upstreams()).await;
    for (status, body, words) in [
        (404, r#"{"detail":"Not Found"}"#, "Not Found"),
        (404, r#"{"error":{"message":"no such path for this model"}}"#, "no such path"),
        (501, r#"{"error":{"message":"not implemented"}}"#, "not implemented"),
        (405, "", "Method Not Allowed"),
    ] {
        scene.app.model.push(ModelReply::status(status, body));
        let (got, error) = refusal(scene.ask_at(PATH, &wish("喂", true)).await).await;
        assert_eq!((got, &error["code"]), (status, &"rejected_by_model".into()), "{body}");
        assert!(error["message"].as_str().unwrap().contains(words), "{error}");
        assert_eq!(scene.ask(&super::question("喂")).await.status(), 200, "nothing is set aside for it");
    }
}

#[tokio::test]
async fn who_hangs_up_pays_what_was_used() {
    let scene = limited().await;
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.push(ModelReply::Held { before: "前半".to_owned(), gate: held, after: "后半".to_owned() });
    let mut response = scene.ask_at(PATH, &wish("喂", true)).await;
    assert!(within(response.chunk()).await.unwrap().is_some());
    drop(response);
    gate.open();
    within(async {
        while used(&scene).await.0 == 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    assert!(scene.metric(&["qimate_tokens_total", "direction=\"output\"", "estimated=\"false\""]).await > 0.0);
    assert_eq!(scene.metric(&["qimate_tokens_total", "estimated=\"true\""]).await, 0.0);
}

#[tokio::test]
async fn it_goes_through_the_same_doors() {
    let mut scene = Scene::open().await;
    for (change, words) in [
        (json!({"background": true}), "'background' must be false"),
        (json!({"input": []}), "'input' must be a list of at least one"),
        (json!({"input": 7}), "'input' must be there"),
        (json!({"max_output_tokens": "9"}), "'max_output_tokens' must be a whole number"),
        (json!({"Input": "x"}), "'input' must be written so"),
    ] {
        let mut body = wish("喂", false);
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, error) = refusal(scene.ask_at(PATH, &body).await).await;
        assert!(status == 400 && error["message"].as_str().unwrap().contains(words), "{error}");
    }
    let mut unknown = wish("喂", false);
    unknown["model"] = "gpt-9".into();
    assert_eq!(refusal(scene.ask_at(PATH, &unknown).await).await.1["code"], "model_not_found");
    let without = Plan {
        without: [Right::Pictures, Right::Drawing, Right::Voice].into(),
        ..plan(&["requests=1/day", "tokens=5000/day"])
    };
    scene.attach(&scene.key_holder(), "without", &without).await;
    let picture = r#"{"model":"qimate-demo","input":[{"role":"user","content":[{"type":"input_image","image_url":"https://a/b"}]}]}"#;
    let escaped = picture.replace("input_image", r"input\u005fimage").replace("image_url", r"image\u005furl");
    let painting = r#"{"model":"qimate-demo","input":"x","tools":[{"type":"image_generation"}]}"#;
    let sound = r#"{"model":"qimate-demo","input":[{"role":"user","content":[{"type":"input_audio"}]}]}"#;
    for body in [picture, &escaped, painting, sound] {
        let request = scene.http.post(scene.app.url(PATH)).bearer_auth(&scene.key).body(body.to_owned());
        let (status, error) = refusal(within(request.send()).await.unwrap()).await;
        assert_eq!((status, &error["code"]), (403, &"not_in_plan".into()), "{body}");
    }
    let mut long = wish("喂", false);
    long["max_output_tokens"] = 100_000.into();
    assert_eq!(scene.ask_at(PATH, &long).await.status(), 200);
    let asked = scene.app.model.requests().pop().unwrap().body;
    assert!((256..5000).contains(&asked["max_output_tokens"].as_u64().unwrap()), "{asked}");
    assert_eq!(asked.get("stream_options"), None, "it has no such word");
    let response = scene.ask_at(PATH, &wish("喂", true)).await;
    assert_eq!(response.headers()["x-ratelimit-remaining-requests"], "0");
    assert_eq!(refusal(response).await.0, 429);
    let scope = Scope { endpoints: Some([Endpoint::Chat].into()), ..Scope::default() };
    scene.key = scene.make(super::NewKey { scope, ..new_key() }).await;
    let (status, error) = refusal(scene.ask_at(PATH, &wish("喂", false)).await).await;
    assert_eq!((status, &error["code"]), (403, &"missing_scope".into()));
    assert_eq!(scene.app.model.requests().len(), 1);
}

const PHONE: &str = "13812345678";

#[tokio::test]
async fn what_is_sensitive_stays_in_the_house_and_comes_back() {
    let scene = Scene::open_with(|config| config.safety.mask = Kind::ALL.into_iter().collect()).await;
    scene.app.model.set_script(|body| {
        let told = match &body["input"] {
            Value::String(text) => text.clone(),
            items => items[0]["content"].as_str().unwrap().to_owned(),
        };
        ModelReply::Pieces(told.chars().map(String::from).collect())
    });
    let said = format!("打 {PHONE} 吧");
    let item = json!([{"role": "user", "content": said}]);
    for (input, instructions) in [(said.clone().into(), json!("简短")), (item, Value::Null)] {
        let asked = json!({"model": "qimate-demo", "input": input, "instructions": instructions, "user": PHONE});
        let whole: Value = within(scene.ask_at(PATH, &asked).await.json()).await.unwrap();
        assert_eq!(whole["output"][0]["content"][0]["text"], said);
        let mut stream = asked.clone();
        stream["stream"] = true.into();
        let text = within(scene.ask_at(PATH, &stream).await.text()).await.unwrap();
        let events = text.lines().filter_map(|line| serde_json::from_str::<Value>(line.strip_prefix("data: ")?).ok());
        let events: Vec<Value> = events.collect();
        let deltas: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
        assert_eq!(deltas, said);
        let last = events.last().unwrap();
        assert_eq!(last["response"]["output"][0]["content"][0]["text"], said);
        assert!(text.contains("event: response.completed\n") && !text.contains('⟦'), "{text}");
    }
    for request in scene.app.model.requests() {
        let sent = request.body.to_string();
        assert!(!sent.contains(PHONE) && sent.contains("⟦手机1⟧"), "{sent}");
        assert!(request.body["instructions"].as_str().unwrap().contains('⟦'), "it is told what they are: {sent}");
    }
    // A placeholder means something in its own request alone.
    let mut elsewhere = wish(&said, false);
    elsewhere["previous_response_id"] = "resp_1".into();
    let (status, error) = refusal(scene.ask_at(PATH, &elsewhere).await).await;
    assert!(status == 400 && error["message"].as_str().unwrap().contains("'previous_response_id' cannot"), "{error}");
}

#[tokio::test]
async fn what_the_company_bans_is_neither_asked_nor_answered() {
    let scene = Scene::open_with(|config| {
        config.safety.rules = Arc::new(Rules::new([("天机", Action::Refuse)], []).unwrap());
    })
    .await;
    let (status, error) = refusal(scene.ask_at(PATH, &wish("天 机", false)).await).await;
    assert_eq!((status, &error["code"]), (400, &"content_policy_violation".into()));
    assert!(scene.app.model.requests().is_empty(), "nothing was sent");
    scene.app.model.set_script(|_| ModelReply::Pieces(["好的，天", "机是", "这样的"].map(str::to_owned).to_vec()));
    for stream in [false, true] {
        let text = within(scene.ask_at(PATH, &wish("喂", stream)).await.text()).await.unwrap();
        assert!(
            text.contains("好的") && text.contains("\"content_filter\"") && text.contains("\"incomplete\""),
            "{text}"
        );
        assert!(!text.contains("机是") && !text.contains("这样") && !text.contains("天"), "{text}");
    }
}
