//! What the model can do wrong.

use std::time::Duration;

use qimate::sandbox::model::ModelReply;
use serde_json::json;

use super::{
    Job,
    scene::{BEGINNING, Scene, answer_to, question},
    table::Row,
};
use crate::harness::within;

const PASSING: [u16; 7] = [408, 429, 500, 502, 503, 529, 504];
const FINAL: [(u16, &str); 5] = [
    (400, r#"{"error":{"message":"bad request"}}"#),
    (401, r#"{"error":{"message":"Incorrect API key provided"}}"#),
    (403, "forbidden"),
    (404, r#"{"error":{"message":"the model `x` does not exist","code":"model_not_found"}}"#),
    (413, "<html>too large</html>"),
];

pub fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for status in PASSING {
        let reply = ModelReply::status(status, "{}");
        jobs.push(once(format!("model: HTTP {status} once"), reply, 2, "asked again after a second at most"));
    }
    for (status, body) in FINAL {
        let reply = ModelReply::status(status, body);
        jobs.push(once(
            format!("model: HTTP {status}"),
            reply,
            1,
            "asking again would not help; the next question works",
        ));
    }
    jobs.push(Job::new("model: HTTP 429 with Retry-After: 7", retry_after));
    jobs.push(once("model: HTTP 429 with Retry-After: 3600", limited(3600), 1, "not waited for; said at once"));
    for (status, name) in [(429, "HTTP 429"), (503, "HTTP 503")] {
        jobs.push(Job::new(format!("model: {name} until it is given up"), move |fault| until_given_up(fault, status)));
    }
    let broken = "what came is shown; not asked again behind the member's back";
    let bytes = |content_type: &str, pieces: Vec<Vec<u8>>| ModelReply::Bytes {
        content_type: content_type.to_owned(),
        pieces,
        pause: Duration::ZERO,
    };
    let stream = "text/event-stream";
    let line = |mib: usize| [b"data: ".as_slice(), &vec![b'x'; mib * 1024 * 1024]].concat();
    jobs.push(Job::new("model: hangs before the first word", hangs_before));
    jobs.push(Job::new("model: hangs in the middle", hangs_in_the_middle));
    jobs.push(once(
        "model: connection reset before the first byte",
        ModelReply::Reset,
        2,
        "asked again after a second at most",
    ));
    jobs.push(once("model: connection reset in the middle", ModelReply::CutAfter(BEGINNING.to_owned()), 1, broken));
    jobs.push(once("model: stream ends in the middle", bytes(stream, vec![sse(BEGINNING).into_bytes()]), 1, broken));
    jobs.push(once(
        "model: garbage in the stream",
        ModelReply::Garbage,
        1,
        "the stream is given up; the next question works",
    ));
    let unended = bytes(stream, vec![line(4)]);
    jobs.push(once("model: a line of 4 MiB, cut off", unended, 2, "asked again after a second at most"));
    let too_long = bytes(stream, vec![line(9)]);
    jobs.push(once("model: a line of 9 MiB", too_long, 1, "given up at 8 MiB; the next question works"));
    jobs.push(Job::new("model: one byte every 100 ms", drips));
    jobs.push(Job::new("model: drips for ever", drips_for_ever));
    let page = b"<!DOCTYPE html><html><title>Log in</title></html>".to_vec();
    jobs.push(once(
        "model: an HTML page with status 200",
        bytes("text/html", vec![page]),
        1,
        "the next question works",
    ));
    jobs.push(Job::new("model: wrong content type", wrong_type));
    jobs.push(once("model: empty answer", ModelReply::Answer(String::new()), 1, "the next question works"));
    jobs
}

/// A stream's event with a piece of an answer.
fn sse(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

/// A whole answer to a question, as a stream.
fn whole(question: &str) -> Vec<u8> {
    let end = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    format!("{}data: {end}\n\ndata: [DONE]\n\n", sse(&answer_to(question))).into_bytes()
}

fn limited(seconds: u32) -> ModelReply {
    let headers = [("retry-after".to_owned(), seconds.to_string())].into();
    ModelReply::Status { code: 429, headers, body: "{}".to_owned() }
}

/// One reply goes wrong, the next would not; the model must be asked exactly so often.
fn once(fault: impl Into<String>, reply: ModelReply, asked: u64, recovered: &'static str) -> Job {
    Job::new(fault, move |fault| async move {
        let mut scene = Scene::open().await;
        scene.app.model.push(reply);
        scene.ask("ann").await;
        scene.pass_until_settled().await;
        assert_eq!(scene.app.model.load().taken, asked);
        scene.ends(fault, recovered).await
    })
}

async fn retry_after(fault: String) -> Row {
    let mut scene = Scene::open().await;
    scene.app.model.push(limited(7));
    scene.ask("ann").await;
    assert_eq!(scene.app.advance_to_sleeper(6.5..=7.0).await, Duration::from_secs(7));
    scene.ends(fault, "asked again after the 7 s").await
}

async fn until_given_up(fault: String, status: u16) -> Row {
    let mut scene = Scene::open().await;
    for _ in 0..4 {
        scene.app.model.push(ModelReply::status(status, "{}"));
    }
    scene.ask("ann").await;
    scene.pass_until_settled().await;
    assert_eq!(scene.app.model.load().taken, 4);
    scene.ends(fault, "asked four times; the next question works").await
}

async fn hangs_before(fault: String) -> Row {
    let twenty = Some(Duration::from_secs(20));
    let mut scene = Scene::open_with(|config| config.chat.slow_notice = twenty).await;
    scene.app.model.push(ModelReply::Hang);
    scene.ask("ann").await;
    within(scene.app.model.wait_load(|load| load.in_flight == 1)).await;
    scene.app.advance_to_sleeper(19.5..=20.0).await;
    scene.app.texts("ann", 1).await;
    scene.app.advance_to_sleeper(39.5..=40.0).await;
    within(scene.app.model.wait_load(|load| load.abandoned == 1)).await;
    scene.ends(fault, "told after 20 s, given up after 60 s; the next question works").await
}

async fn hangs_in_the_middle(fault: String) -> Row {
    let mut scene = Scene::open().await;
    scene.app.model.push(ModelReply::Stall(BEGINNING.to_owned()));
    scene.ask("ann").await;
    scene.app.texts("ann", 1).await;
    scene.app.advance_to_sleeper(29.0..=30.0).await;
    within(scene.app.model.wait_load(|load| load.abandoned == 1)).await;
    scene.ends(fault, "given up after 30 s; what came is shown").await
}

async fn drips(fault: String) -> Row {
    let mut scene = Scene::open().await;
    scene.app.model.set_script(move |body| ModelReply::Bytes {
        content_type: "text/event-stream".to_owned(),
        pieces: whole(question(body)).chunks(1).map(<[u8]>::to_vec).collect(),
        pause: Duration::from_millis(100),
    });
    scene.ask("ann").await;
    scene.pass_until_settled().await;
    scene.app.model.set_script(super::scene::answers);
    scene.ends(fault, "waited for, as long as something comes").await
}

async fn drips_for_ever(fault: String) -> Row {
    let mut scene = Scene::open().await;
    let word = sse(".").into_bytes();
    let pieces = std::iter::repeat_n(word, 100).collect();
    let pause = Duration::from_secs(20);
    scene.app.model.push(ModelReply::Bytes { content_type: "text/event-stream".to_owned(), pieces, pause });
    scene.ask("ann").await;
    // Each word comes within the gap that is allowed; the answer as a whole has five minutes.
    for _ in 0..13 {
        scene.app.advance_to_sleeper(20.0..=20.0).await;
        within(scene.app.clock.sleeper_within(Duration::from_secs(30)..=Duration::from_secs(30))).await;
    }
    scene.app.advance_to_sleeper(20.0..=20.0).await;
    scene.pass_until_settled().await;
    within(scene.app.model.wait_load(|load| load.abandoned == 1)).await;
    scene.ends(fault, "given up after 5 minutes; the next question works").await
}

async fn wrong_type(fault: String) -> Row {
    let mut scene = Scene::open().await;
    scene.app.model.set_script(move |body| ModelReply::Bytes {
        content_type: "application/octet-stream".to_owned(),
        pieces: vec![whole(question(body))],
        pause: Duration::ZERO,
    });
    scene.ask("ann").await;
    scene.ends(fault, "read by what it is, not by what it is called").await
}
