//! Answers in events: passed on as they come, and settled however they end.

use std::time::Duration;

use qimate::sandbox::model::{Gate, ModelReply};
use reqwest::Response;
use serde_json::{Value, json};

use super::{Scene, question};
use crate::harness::{Logs, within};

fn streamed(text: &str) -> Value {
    let mut body = question(text);
    body["stream"] = true.into();
    body
}

fn events(pieces: &[&str]) -> ModelReply {
    ModelReply::Bytes {
        content_type: "text/event-stream".to_owned(),
        pieces: pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect(),
        pause: Duration::ZERO,
    }
}

async fn text_until(response: &mut Response, words: &str) -> String {
    let mut text = Vec::new();
    within(async {
        while !String::from_utf8_lossy(&text).contains(words) {
            text.extend_from_slice(&response.chunk().await.unwrap().expect("more"));
        }
    })
    .await;
    String::from_utf8(text).unwrap()
}

const FIRST: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\\u4f60\"},\"new\":1.50}],\"x\":[1e2]}\n\n";
const PING: &str = ": ping\r\n\r\n";
const STOP: &str = "data:{\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":null}\n\n";
const USAGE: &str = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":40,\"completion_tokens\":2}}\n\n";
const STRANGE: &str = "event: note\ndata: {\"type\":\"note\"}\n\n";
const DONE: &str = "data: [DONE]\n\n";

#[tokio::test]
async fn every_byte_passes_but_the_usage_that_nobody_asked_for() {
    let scene = Scene::open().await;
    let all = [FIRST, PING, STRANGE, STOP, USAGE, DONE].concat();
    for (options, expected) in [
        (Value::Null, all.replace(USAGE, "")),
        (json!({"include_usage": false, "other": 1}), all.replace(USAGE, "")),
        (json!({"include_usage": true}), all.clone()),
    ] {
        // Cut in the middle of events, and of a character's escape.
        for at in [1, 60, 100, all.len() - 3] {
            scene.app.model.push(events(&[&all[..at], &all[at..]]));
            let mut body = streamed("喂");
            body["stream_options"] = options.clone();
            let response = scene.ask(&body).await;
            assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
            assert_eq!(within(response.text()).await.unwrap(), expected);
            let asked = scene.app.model.requests().pop().unwrap().body;
            assert_eq!(asked["stream_options"]["include_usage"], true, "the upstream is asked always");
            assert_eq!(asked["stream_options"]["other"], options["other"]);
        }
    }
    assert_eq!(scene.metric(&["qimate_tokens_total", "estimated=\"false\""]).await, 12.0 * 42.0);
    assert_eq!(scene.metric(&["qimate_tokens_total", "estimated=\"true\""]).await, 0.0);
}

#[tokio::test]
async fn a_piece_leaves_when_it_comes() {
    let scene = Scene::open().await;
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.set_script(move |_| ModelReply::Held {
        before: "前半".to_owned(),
        gate: held.clone(),
        after: "后半".to_owned(),
    });
    let mut response = scene.ask(&streamed("喂")).await;
    let before = text_until(&mut response, "前半").await;
    assert!(!before.contains("后半"), "the rest is not written yet");
    gate.open();
    text_until(&mut response, "[DONE]").await;
}

#[tokio::test]
async fn a_stream_that_ends_early_is_settled_once_by_what_was_produced() {
    let logs = Logs::capture();
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &super::plan(&["requests=50/day"])).await;
    let used = async || scene.me().await["limits"][0]["used"].as_u64().unwrap();
    // The connection to the upstream breaks.
    scene.app.model.push(ModelReply::CutAfter("写了一半的答案".to_owned()));
    let text = within(scene.ask(&streamed("喂")).await.text()).await.unwrap();
    assert!(
        text.contains("写了") && text.contains(r#""code":"upstream_failed""#) && !text.contains("[DONE]"),
        "{text}"
    );
    assert_eq!(used().await, 1);
    let estimated = scene.metric(&["qimate_tokens_total", "direction=\"output\"", "estimated=\"true\""]).await;
    assert!((3.0..20.0).contains(&estimated), "{estimated}");
    // The upstream complains in the middle, and names its key.
    let complaint = "data: {\"error\":{\"message\":\"sk-secret-of-upstream\",\"type\":\"server_error\"}}\n\n";
    scene.app.model.push(events(&[FIRST, complaint, DONE]));
    let text = within(scene.ask(&streamed("喂")).await.text()).await.unwrap();
    assert!(text.starts_with(FIRST) && text.contains("upstream_failed") && !text.contains("sk-secret"), "{text}");
    assert_eq!(used().await, 2);
    // What is no event ends it too.
    scene.app.model.push(events(&[FIRST, "data: {'\n\n"]));
    let text = within(scene.ask(&streamed("喂")).await.text()).await.unwrap();
    assert!(text.contains("upstream_failed") && !text.contains("{'"), "{text}");
    assert_eq!(used().await, 3);
    assert!(logs.with(&["sk-secret"]).is_empty());
    assert_eq!(logs.with(&["answered a program", "ended=\"failed\""]).len(), 3);
}

#[tokio::test]
async fn who_hangs_up_pays_for_what_was_used_and_keeps_no_place() {
    let scene = Scene::open().await;
    let alone = super::Plan { concurrent: Some(1), ..super::plan(&["requests=50/day", "tokens=100000/day"]) };
    scene.attach(&scene.key_holder(), "alone", &alone).await;
    let tokens = async || scene.me().await["limits"][1]["used"].as_u64().unwrap();
    // The answer ends soon after the program has gone: its real cost is known.
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.push(ModelReply::Held { before: "前半".to_owned(), gate: held, after: "后半".to_owned() });
    let mut response = scene.ask(&streamed("喂")).await;
    text_until(&mut response, "前半").await;
    let (status, error) = super::refusal(scene.ask(&question("喂")).await).await;
    assert_eq!((status, &error["code"]), (429, &"rate_limit_exceeded".into()), "one at once");
    drop(response);
    gate.open();
    let settled = async |estimated: &str, before: u64| {
        within(async {
            // Whoever drains sleeps for five seconds, as others do: each look gives them one of it.
            let mut seconds = 0..20;
            while tokens().await == before {
                if estimated == "true" && seconds.next().is_some() {
                    scene.app.clock.advance(Duration::from_secs(1));
                }
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        })
        .await;
        scene.metric(&["qimate_tokens_total", &format!("estimated=\"{estimated}\"")]).await
    };
    assert!(settled("false", 0).await > 0.0);
    assert_eq!(scene.metric(&["qimate_tokens_total", "estimated=\"true\""]).await, 0.0);
    // It never ends: after five seconds it is let go, and estimated.
    let before = tokens().await;
    scene.app.model.push(ModelReply::Stall("前半".to_owned()));
    let mut response = scene.ask(&streamed("喂")).await;
    text_until(&mut response, "前半").await;
    drop(response);
    assert!(settled("true", before).await > 0.0);
    // The same where nothing had begun: what was sent is paid for.
    let before = tokens().await;
    scene.app.model.push(ModelReply::Hang);
    let taken = scene.app.model.load().taken;
    let request = tokio::spawn(scene.post(&question("喂")).send());
    within(scene.app.model.wait_load(|load| load.taken > taken)).await;
    request.abort();
    settled("true", before).await;
    assert_eq!(scene.ask(&question("喂")).await.status(), 200, "and every place is free again");
}

#[tokio::test]
async fn a_stop_settles_what_it_cuts() {
    let mut scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &super::plan(&["requests=50/day"])).await;
    scene.app.model.push(ModelReply::Stall("前半".to_owned()));
    let mut response = scene.ask(&streamed("喂")).await;
    text_until(&mut response, "前半").await;
    let grace = scene.app.config.server.stop_timeout;
    let clock = scene.app.clock.clone();
    let move_on = async {
        let seconds = grace.saturating_sub(Duration::from_secs(2));
        within(clock.sleeper_within(seconds..=seconds)).await;
        clock.advance(seconds);
    };
    tokio::join!(scene.app.stop(), move_on);
    assert_eq!(scene.app.count("SELECT requests FROM used WHERE subject LIKE 'key/%' AND quarter = -1"), 1);
}
