//! Pictures, speech and transcripts: through the same doors, made where the chat has them made, and counted by the piece.

use std::time::Duration;

use qimate::{
    config::Config,
    model::{
        key::{Endpoint, Scope},
        quota::plan::Right,
    },
    safety::personal::Kind,
    sandbox::model::{Gate, Transcript, made::Made},
};
use reqwest::{
    Response,
    multipart::{Form, Part},
};
use serde_json::{Value, json};

use super::{Plan, Scene, new_key, plan, refusal};
use crate::harness::within;

const IMAGES: &str = "/v1/images/generations";
const SPEECH: &str = "/v1/audio/speech";
const TRANSCRIPTIONS: &str = "/v1/audio/transcriptions";

/// A picture costs 2, a minute that is written down 6, a million characters 100.
pub(super) fn set_up(config: &mut Config) {
    (config.images.model, config.images.price) = (Some("painter".to_owned()), 2_000_000);
    (config.voice.speech_model, config.voice.speech_price) = (Some("speaker".to_owned()), 100_000_000);
    (config.voice.transcription_model, config.voice.transcription_price) = (Some("writer".to_owned()), 6_000_000);
}

async fn scene() -> Scene {
    let scene = Scene::open_with(set_up).await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=50/day", "money=1000/day"])).await;
    scene
}

/// Requests, and money in micro-units.
async fn used(scene: &Scene) -> (u64, u64) {
    let me = scene.me().await;
    (me["limits"][0]["used"].as_u64().unwrap(), me["limits"][1]["used"].as_u64().unwrap())
}

fn speech(text: &str) -> Value {
    json!({"model": "speaker", "input": text, "voice": "alloy"})
}

fn picture(number: u64) -> Value {
    json!({"model": "painter", "prompt": "一只猫", "n": number})
}

fn recording(bytes: Vec<u8>, model: &str) -> Form {
    Form::new().part("file", Part::bytes(bytes).file_name("a.mp3")).text("model", model.to_owned())
}

async fn write_down(scene: &Scene, form: Form) -> Response {
    let request = scene.http.post(scene.app.url(TRANSCRIPTIONS)).bearer_auth(&scene.key).multipart(form);
    within(request.send()).await.unwrap()
}

/// So many seconds of silence.
fn wav(seconds: u32) -> Vec<u8> {
    let data = seconds * 16_000;
    let mut wav = [&b"RIFF"[..], &(36 + data).to_le_bytes(), b"WAVE", b"fmt ", &16_u32.to_le_bytes()].concat();
    wav.extend([1, 0, 1, 0]);
    wav.extend(8000_u32.to_le_bytes());
    wav.extend(16_000_u32.to_le_bytes());
    wav.extend([2, 0, 16, 0]);
    wav.extend(b"data");
    wav.extend(data.to_le_bytes());
    wav.resize(wav.len() + data as usize, 0);
    wav
}

#[tokio::test]
async fn speech_passes_as_it_comes_and_costs_its_characters() {
    let scene = scene().await;
    let mut asked = speech("你好，世界");
    asked["brand_new"] = json!({"speed": 1.5});
    let response = scene.ask_at(SPEECH, &asked).await;
    assert_eq!((response.status().as_u16(), &response.headers()["content-type"]), (200, &"audio/wav".parse().unwrap()));
    assert!(within(response.bytes()).await.unwrap().starts_with(b"RIFF"));
    assert_eq!(scene.app.model.spoken(), [asked], "nothing was added and nothing is missing");
    assert_eq!(used(&scene).await, (1, 500));
    // The first bytes leave before the others are there.
    let gate = Gate::new();
    let pieces = |gate: &Gate, breaks| Made::Pieces {
        content_type: "audio/mpeg",
        pieces: [b"first".to_vec(), b"second".to_vec()].into(),
        gate: gate.clone(),
        breaks,
    };
    scene.app.model.push_speech(pieces(&gate, false));
    let mut response = scene.ask_at(SPEECH, &speech("喂")).await;
    assert_eq!(response.headers()["content-type"], "audio/mpeg");
    assert_eq!(within(response.chunk()).await.unwrap().unwrap(), "first");
    gate.open();
    assert_eq!(within(response.chunk()).await.unwrap().unwrap(), "second");
    assert_eq!(within(response.chunk()).await.unwrap(), None);
    // What breaks off is not taken for whole, and is paid for.
    let gate = Gate::new();
    scene.app.model.push_speech(pieces(&gate, true));
    let mut response = scene.ask_at(SPEECH, &speech("喂")).await;
    assert_eq!(within(response.chunk()).await.unwrap().unwrap(), "first");
    gate.open();
    while let Ok(piece) = within(response.chunk()).await {
        assert!(piece.is_some(), "it was taken for whole");
    }
    assert_eq!(used(&scene).await, (3, 700));
    // What fails costs nothing.
    scene.app.model.push_speech(Made::Status(400, r#"{"error":{"message":"no such voice"}}"#.to_owned()));
    let (status, error) = refusal(scene.ask_at(SPEECH, &speech("喂")).await).await;
    assert!(status == 400 && error["message"].as_str().unwrap().contains("no such voice"), "{error}");
    assert_eq!(used(&scene).await, (3, 700));
}

#[tokio::test]
async fn pictures_cost_what_came() {
    let scene = scene().await;
    let mut asked = picture(1);
    asked["quality"] = "high".into();
    let answer: Value = within(scene.ask_at(IMAGES, &asked).await.json()).await.unwrap();
    assert!(answer["data"][0]["b64_json"].is_string());
    assert_eq!(scene.app.model.painted(), [asked]);
    assert_eq!(used(&scene).await, (1, 2_000_000));
    assert!(scene.metric(&["qimate_tokens_total", "direction=\"output\"", "estimated=\"false\""]).await >= 1000.0);
    let made =
        format!(r#"{{ "data":[{{"b64_json":"{}"}},{{"url":"https://a/b"}}], "new":1.50 }}"#, "QUJD".repeat(50_000));
    scene.app.model.push_picture(Made::Body(made.clone().into_bytes()));
    let text = within(scene.ask_at(IMAGES, &picture(3)).await.text()).await.unwrap();
    assert!(text == made, "byte for byte");
    assert_eq!(used(&scene).await, (2, 6_000_000), "two of three came");
    let events =
        "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"QUJD\"}\n\n";
    let (content_type, gate) = ("text/event-stream", Gate::new());
    gate.open();
    let pieces = vec![events.as_bytes().to_vec()];
    scene.app.model.push_picture(Made::Pieces { content_type, pieces, gate, breaks: false });
    let mut streamed = picture(2);
    streamed["stream"] = true.into();
    assert_eq!(within(scene.ask_at(IMAGES, &streamed).await.text()).await.unwrap(), events);
    assert_eq!(used(&scene).await, (3, 8_000_000));
    for (wish, words) in [
        (picture(0), "'n' must be"),
        (picture(11), "'n' must be at most 10"),
        (json!({"model": "painter"}), "'prompt' must be"),
    ] {
        let (status, error) = refusal(scene.ask_at(IMAGES, &wish).await).await;
        assert!(status == 400 && error["message"].as_str().unwrap().contains(words), "{error}");
    }
    // A complaint is no picture, whatever its status.
    let complaint = br#"{"error":{"message":"m","code":"content_policy_violation"}}"#;
    scene.app.model.push_picture(Made::Body(complaint.to_vec()));
    let (status, error) = refusal(scene.ask_at(IMAGES, &picture(1)).await).await;
    assert_eq!((status, &error["code"]), (400, &"content_policy_violation".into()));
    assert_eq!(used(&scene).await, (3, 8_000_000));
    // What they would cost must be there before they are made.
    scene.attach(&scene.key_holder(), "little", &plan(&["requests=50/day", "money=11/day"])).await;
    let (status, error) = refusal(scene.ask_at(IMAGES, &picture(2)).await).await;
    assert_eq!((status, &error["type"]), (429, &"money".into()), "{error}");
    assert_eq!(scene.ask_at(IMAGES, &picture(1)).await.status(), 200);
}

#[tokio::test]
async fn a_recording_passes_byte_for_byte_and_costs_its_length() {
    let mut scene = scene().await;
    let form = recording(wav(10), "writer").text("response_format", "json").text("timestamp_granularities[]", "word");
    let boundary = form.boundary().to_owned();
    let answer: Value = within(write_down(&scene, form).await.json()).await.unwrap();
    assert!(answer["text"].as_str().unwrap().contains("演示"));
    let sent = scene.app.model.last_form();
    assert!(
        sent.starts_with(format!("--{boundary}\r\n").as_bytes())
            && sent.ends_with(format!("--{boundary}--\r\n").as_bytes())
    );
    let holds = |words: &[u8]| sent.windows(words.len()).any(|window| window == words);
    assert!(holds(&wav(10)) && holds(b"timestamp_granularities[]") && holds(b"filename=\"a.mp3\""));
    assert_eq!(used(&scene).await, (1, 1_000_000), "ten seconds of a minute");
    // What nobody says is estimated by the size, and marked.
    assert_eq!(write_down(&scene, recording(vec![0xff; 40_000], "writer")).await.status(), 200);
    let (requests, money) = used(&scene).await;
    assert!(requests == 2 && (2_000_000..2_010_000).contains(&money), "{money}");
    // What the upstream says holds, in whichever form it says it.
    let done =
        "data: {\"type\":\"transcript.text.done\",\"text\":\"a\",\"usage\":{\"type\":\"duration\",\"seconds\":20}}\n\n";
    for (content_type, body) in [
        ("application/json", r#"{"text":"a","usage":{"type":"duration","seconds":20}}"#.to_owned()),
        ("application/json", r#"{"task":"transcribe","duration":"20.0","text":"a","segments":[]}"#.to_owned()),
        ("text/event-stream", done.to_owned()),
    ] {
        let before = used(&scene).await.1;
        scene.app.model.push_transcript(Transcript::Body(content_type, body.clone()));
        let response = write_down(&scene, recording(vec![0xff; 40_000], "writer")).await;
        assert!(response.headers()["content-type"].to_str().unwrap().starts_with(content_type));
        assert_eq!(within(response.text()).await.unwrap(), body);
        assert_eq!(used(&scene).await.1 - before, 2_000_000, "{body}");
    }
    scene.app.model.push_transcript(Transcript::Body("text/plain", "1\n00:00 --> 00:01\na".to_owned()));
    let response = write_down(&scene, recording(wav(1), "writer").text("response_format", "srt")).await;
    assert_eq!(within(response.text()).await.unwrap(), "1\n00:00 --> 00:01\na");
    let (status, error) = refusal(write_down(&scene, recording(vec![0xff; 1024 * 1024], "writer")).await).await;
    assert_eq!((status, &error["code"]), (413, &"request_too_large".into()));
    let bare = scene.http.post(scene.app.url(TRANSCRIPTIONS)).bearer_auth(&scene.key).json(&json!({"model": "writer"}));
    let (status, error) = refusal(within(bare.send()).await.unwrap()).await;
    assert!(status == 400 && error["message"].as_str().unwrap().contains("multipart/form-data"), "{error}");
    scene.app.stop().await;
    let usage = rusqlite::Connection::open(scene.app.dir.path().join("usage.db")).unwrap();
    let mut calls = usage.prepare("SELECT estimated FROM call ORDER BY id").unwrap();
    let estimated: Vec<bool> = calls.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    assert_eq!(estimated, [false, true, false, false, false, false]);
}

/// What each address answers to who asks for this model.
async fn each(scene: &Scene, model: Option<&str>) -> Vec<(u16, Value)> {
    let (mut draw, mut speak) = (picture(1), speech("喂"));
    if let Some(model) = model {
        (draw["model"], speak["model"]) = (model.into(), model.into());
    }
    let mut answers = Vec::new();
    for response in [
        scene.ask_at(IMAGES, &draw).await,
        scene.ask_at(SPEECH, &speak).await,
        write_down(scene, recording(wav(1), model.unwrap_or("writer"))).await,
    ] {
        let status = response.status().as_u16();
        answers.push(if status == 200 { (200, Value::Null) } else { refusal(response).await });
    }
    answers
}

#[tokio::test]
async fn they_go_through_the_same_doors() {
    let mut scene = scene().await;
    let models = async |scene: &Scene| scene.me().await["models"].clone();
    assert_eq!(models(&scene).await, json!(["qimate-demo", "painter", "speaker", "writer"]));
    for (status, error) in each(&scene, Some("gpt-9")).await {
        assert_eq!((status, &error["code"]), (404, &"model_not_found".into()));
    }
    let without = Plan { without: [Right::Drawing, Right::Speech, Right::Voice].into(), ..plan(&["requests=2/day"]) };
    scene.attach(&scene.key_holder(), "without", &without).await;
    for (status, error) in each(&scene, None).await {
        assert_eq!((status, &error["code"]), (403, &"not_in_plan".into()));
    }
    scene.attach(&scene.key_holder(), "two", &plan(&["requests=2/day"])).await;
    let statuses: Vec<u16> = each(&scene, None).await.iter().map(|(status, _)| *status).collect();
    assert_eq!(statuses, [200, 200, 429]);
    let block = "INSERT INTO blocked_member (corp, member, userid, reason, at) VALUES ('ww1436e0e65a779aee', 'li', 'Li', '', 0)";
    scene.app.database().execute(block, []).unwrap();
    scene.felt().await;
    assert!(each(&scene, None).await.iter().all(|(status, _)| *status == 403), "who is blocked has none of it");
    scene.app.database().execute("DELETE FROM blocked_member", []).unwrap();
    for (scope, code) in [
        (Scope { endpoints: Some([Endpoint::Chat].into()), ..Scope::default() }, "missing_scope"),
        (Scope { models: Some(["qimate-demo".to_owned()].into()), ..Scope::default() }, "model_not_found"),
    ] {
        scene.key = scene.make(super::NewKey { scope, ..new_key() }).await;
        for (_, error) in each(&scene, None).await {
            assert_eq!(error["code"], code);
        }
        assert_eq!(models(&scene).await, json!(["qimate-demo"]));
    }
}

#[tokio::test]
async fn what_is_not_set_up_says_which_setting_it_wants() {
    let scene = Scene::open().await;
    let settings = ["images.model", "voice.speech_model", "voice.transcription_model"];
    for ((status, error), setting) in each(&scene, None).await.into_iter().zip(settings) {
        assert_eq!((status, &error["code"]), (404, &"not_configured".into()));
        assert!(error["message"].as_str().unwrap().contains(setting), "{error}");
    }
}

#[tokio::test]
async fn what_is_sensitive_is_neither_painted_nor_spoken_nor_prompted() {
    const PHONE: &str = "13812345678";
    let scene = Scene::open_with(|config| {
        set_up(config);
        config.safety.mask = Kind::ALL.into_iter().collect();
    })
    .await;
    let mut wish = picture(1);
    wish["prompt"] = PHONE.into();
    assert_eq!(scene.ask_at(IMAGES, &wish).await.status(), 200);
    assert_eq!(scene.ask_at(SPEECH, &speech(PHONE)).await.status(), 200);
    let form = recording(wav(1), "writer").text("prompt", format!("打 {PHONE}"));
    assert_eq!(write_down(&scene, form).await.status(), 200);
    let sent = String::from_utf8_lossy(&scene.app.model.last_form()).into_owned();
    for sent in [scene.app.model.painted()[0].to_string(), scene.app.model.spoken()[0].to_string(), sent] {
        assert!(!sent.contains(PHONE) && sent.contains("⟦手机1⟧"), "{sent}");
    }
}

#[tokio::test]
async fn who_hangs_up_before_an_answer_pays_for_what_was_sent() {
    let scene = scene().await;
    scene.app.model.push_picture(Made::Hang);
    let request = tokio::spawn(scene.http.post(scene.app.url(IMAGES)).bearer_auth(&scene.key).json(&picture(2)).send());
    within(async {
        while scene.app.model.painted().is_empty() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    request.abort();
    within(async {
        while used(&scene).await.0 == 0 {
            scene.app.clock.advance(Duration::from_secs(1));
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    assert_eq!(used(&scene).await, (1, 4_000_000));
}
