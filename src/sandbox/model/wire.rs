//! The demo model's HTTP: a reply is planned as a list of acts, then played, with or without streaming.

mod forms;

use std::{collections::VecDeque, io, mem, sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::{future, stream};
use serde_json::{Value, json};

use self::forms::Form;
use super::{
    Desk, Gate, ModelReply, ModelRequest, NAME, Transcript,
    answer::{answer, pace},
    made::{embeddings, images, speech},
};
use crate::{
    clock::Timestamp,
    sandbox::{
        cut_connection,
        journal::{Entry, Kind},
    },
};

pub(super) fn router(desk: Arc<Desk>) -> Router {
    Router::new()
        .route("/v1/models", get(models))
        .route("/v1/chat/completions", post(completions))
        .route("/v1/responses", post(forms::responses))
        .route("/v1/embeddings", post(embeddings))
        .route("/v1/images/generations", post(images))
        .route("/v1/audio/speech", post(speech))
        // A recording in the form is as large as its minute.
        .route("/v1/audio/transcriptions", post(transcriptions).layer(DefaultBodyLimit::max(64 * 1024 * 1024)))
        .with_state(desk)
}

async fn models() -> Json<Value> {
    Json(json!({"object": "list", "data": [{"id": NAME, "object": "model", "created": 0, "owned_by": "qimate"}]}))
}

async fn transcriptions(State(desk): State<Arc<Desk>>, body: Bytes) -> Response {
    let (transcript, number) = desk.hear(body);
    desk.journal.record(
        Entry::new(Kind::ModelRequest, "把语音转成文字".to_owned(), "asked to write down what is spoken".to_owned())
            .detail(format!("POST /v1/audio/transcriptions: {number} bytes")),
    );
    match transcript {
        Transcript::Text(text) => Json(json!({"text": text})).into_response(),
        Transcript::Status(code, body) => {
            (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response()
        }
        Transcript::Body(content_type, body) => ([(header::CONTENT_TYPE, content_type)], body).into_response(),
        Transcript::Hang => future::pending().await,
    }
}

async fn completions(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refusal("the body is not JSON");
    };
    let Some(messages) = body["messages"].as_array().map(Vec::len).filter(|count| *count > 0) else {
        return refusal("messages must be a list with at least one message");
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    desk.journal.record(
        Entry::new(
            Kind::ModelRequest,
            format!("问模型：{messages} 条消息"),
            format!("asked the model: {messages} messages"),
        )
        .detail(format!("POST /v1/chat/completions\n\n{body:#}")),
    );
    let (reply, delay) = desk.take(ModelRequest { body: body.clone(), authorization });
    let performance = Performance::new(desk, Form::Chat, &body, (reply, delay));
    performance.play(body["stream"] == true).await
}

fn refusal(message: &str) -> Response {
    let body = json!({"error": {"message": message, "type": "invalid_request_error", "param": null, "code": null}});
    (StatusCode::BAD_REQUEST, Json(body)).into_response()
}

/// One thing that a reply does.
enum Act {
    Think(String),
    Write(String),
    Sleep(Duration),
    WaitFor(Gate),
    Hang,
    Cut,
    Refuse(Response),
    /// A line that is no JSON.
    Blather,
    /// A whole body of its own; stands alone.
    Bytes {
        content_type: String,
        pieces: Vec<Vec<u8>>,
        pause: Duration,
    },
    End {
        reason: String,
        usage: bool,
    },
}

/// A reply under way. Counts itself out when it is dropped, and as abandoned when that was before its end.
struct Performance {
    desk: Arc<Desk>,
    form: Form,
    acts: VecDeque<Act>,
    id: String,
    created: i64,
    model: String,
    asked_for_usage: bool,
    prompt_size: usize,
    started: Timestamp,
    written: usize,
    /// What was written, where it is told again at the end.
    said: String,
    ended: bool,
}

impl Performance {
    fn new(desk: Arc<Desk>, form: Form, request: &Value, (reply, delay): (ModelReply, Duration)) -> Self {
        let started = desk.clock.now();
        let mut number = 0;
        desk.load.send_modify(|load| {
            load.taken += 1;
            load.in_flight += 1;
            load.most_in_flight = load.most_in_flight.max(load.in_flight);
            number = load.taken;
        });
        Self {
            acts: plan(reply, request, delay),
            id: form.id(number),
            created: started.as_secs(),
            model: request["model"].as_str().unwrap_or(NAME).to_owned(),
            asked_for_usage: request["stream_options"]["include_usage"] == true,
            prompt_size: form.size_of_prompt(request),
            started,
            written: 0,
            said: String::new(),
            ended: false,
            form,
            desk,
        }
    }

    async fn play(mut self, stream: bool) -> Response {
        // What stands before the first word decides about the head of the answer.
        while let Some(act) = self.acts.pop_front() {
            match act {
                Act::Sleep(delay) => self.desk.clock.sleep(delay).await,
                Act::Hang => future::pending().await,
                Act::Refuse(response) => {
                    let status = response.status().as_u16();
                    self.end(&format!("模型拒绝：HTTP {status}"), &format!("the model refused: HTTP {status}"), true);
                    return response;
                }
                Act::Bytes { content_type, pieces, pause } => return self.bytes(content_type, pieces, pause),
                act => {
                    self.acts.push_front(act);
                    break;
                }
            }
        }
        if stream { self.streamed() } else { self.at_once().await }
    }

    fn streamed(self) -> Response {
        let first = stream::once(future::ready(Ok(self.opening())));
        let rest = stream::unfold(self, |mut performance| async move {
            let piece = performance.next_piece().await?;
            Some((piece, performance))
        });
        let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
        ([(header::CONTENT_TYPE, "text/event-stream; charset=utf-8"), (header::CACHE_CONTROL, "no-cache")], body)
            .into_response()
    }

    fn bytes(self, content_type: String, pieces: Vec<Vec<u8>>, pause: Duration) -> Response {
        let body = stream::unfold((self, pieces.into_iter()), move |(mut performance, mut pieces)| async move {
            let Some(piece) = pieces.next() else {
                performance.end("模型写完了", "the model finished", false);
                return None;
            };
            performance.desk.clock.sleep(pause).await;
            Some((Ok::<_, io::Error>(Bytes::from(piece)), (performance, pieces)))
        });
        ([(header::CONTENT_TYPE, content_type)], Body::from_stream(body)).into_response()
    }

    /// The next piece of the stream; `None` after the last.
    async fn next_piece(&mut self) -> Option<io::Result<Bytes>> {
        loop {
            match self.acts.pop_front()? {
                Act::Think(text) => {
                    return Some(Ok(self.thought(&text)));
                }
                Act::Write(text) => {
                    self.count(&text);
                    return Some(Ok(self.piece(&text)));
                }
                Act::Sleep(delay) => self.desk.clock.sleep(delay).await,
                Act::WaitFor(gate) => gate.passed().await,
                Act::Hang => future::pending().await,
                Act::Blather => return Some(Ok(Bytes::from_static(b"data: {\"choices\": [oops\n\n"))),
                Act::Refuse(_) | Act::Bytes { .. } | Act::Cut => {
                    // Gives the server a moment to send what was written before.
                    tokio::task::yield_now().await;
                    self.end("模型的连接断了", "the model's connection broke", true);
                    return Some(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Act::End { reason, usage } => {
                    let last = self.ending(reason, usage);
                    self.end("模型写完了", "the model finished", false);
                    return Some(Ok(last));
                }
            }
        }
    }

    /// The whole answer as one JSON object.
    async fn at_once(mut self) -> Response {
        let (mut thoughts, mut text) = (String::new(), String::new());
        while let Some(act) = self.acts.pop_front() {
            match act {
                Act::Think(more) => thoughts.push_str(&more),
                Act::Write(more) => {
                    self.count(&more);
                    text.push_str(&more);
                }
                Act::Sleep(delay) => self.desk.clock.sleep(delay).await,
                Act::WaitFor(gate) => gate.passed().await,
                Act::Hang => future::pending().await,
                Act::Refuse(response) => return response,
                Act::Bytes { content_type, pieces, pause } => return self.bytes(content_type, pieces, pause),
                Act::Blather => return "<html>this is no answer</html>".into_response(),
                Act::Cut => {
                    self.end("模型的连接断了", "the model's connection broke", true);
                    let error =
                        stream::once(future::ready(Err::<Bytes, _>(io::Error::from(io::ErrorKind::ConnectionReset))));
                    return Body::from_stream(error).into_response();
                }
                Act::End { reason, usage } => {
                    let answer = self.answer(&text, &mem::take(&mut thoughts), &reason, usage);
                    self.end("模型写完了", "the model finished", false);
                    return Json(answer).into_response();
                }
            }
        }
        refusal("the script ended without an end")
    }

    fn count(&mut self, text: &str) {
        if self.written == 0 {
            let took = self.desk.clock.now().since(self.started);
            self.desk
                .journal
                .record(Entry::new(Kind::ModelStream, "模型写出第一个词", "the model wrote its first word").took(took));
        }
        self.written += text.chars().count();
        self.said.push_str(text);
    }

    fn end(&mut self, zh: &str, en: &str, failed: bool) {
        self.ended = true;
        let took = self.desk.clock.now().since(self.started);
        let written = self.written;
        self.desk.journal.record(
            Entry::new(Kind::ModelStream, format!("{zh}（{written} 字）"), format!("{en} ({written} characters)"))
                .took(took)
                .failed(failed),
        );
    }
}

impl Drop for Performance {
    fn drop(&mut self) {
        if !self.ended {
            self.end("没有等模型写完", "the reader went away", false);
            self.desk.load.send_modify(|load| load.abandoned += 1);
        }
        self.desk.load.send_modify(|load| load.in_flight -= 1);
    }
}

fn plan(reply: ModelReply, request: &Value, delay: Duration) -> VecDeque<Act> {
    let end = || Act::End { reason: "stop".to_owned(), usage: true };
    let write = |text: &str| {
        let paced = words(text).into_iter().flat_map(move |word| [Act::Sleep(delay), Act::Write(word)]);
        paced.filter(|act| !matches!(act, Act::Sleep(Duration::ZERO))).collect::<VecDeque<_>>()
    };
    let ended_by = |mut acts: VecDeque<Act>, last: Act| {
        acts.push_back(last);
        acts
    };
    match reply {
        ModelReply::Demo => {
            let text = answer(request);
            let delay = pace(words(&text).len(), delay);
            plan(ModelReply::Answer(text), request, delay)
        }
        ModelReply::Answer(text) => ended_by(write(&text), end()),
        ModelReply::Pieces(pieces) => ended_by(pieces.into_iter().map(Act::Write).collect(), end()),
        ModelReply::Reasoning { think, text } => {
            let mut acts: VecDeque<_> = words(&think).into_iter().map(Act::Think).collect();
            acts.extend(write(&text));
            ended_by(acts, end())
        }
        ModelReply::NoUsage(text) => ended_by(write(&text), Act::End { reason: "stop".to_owned(), usage: false }),
        ModelReply::Ended { text, reason } => ended_by(write(&text), Act::End { reason, usage: true }),
        ModelReply::Status { code, headers, body } => {
            let mut response =
                (StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body).into_response();
            for (name, value) in headers {
                if let (Ok(name), Ok(value)) =
                    (header::HeaderName::try_from(name), header::HeaderValue::try_from(value))
                {
                    response.headers_mut().insert(name, value);
                }
            }
            VecDeque::from([Act::Refuse(response)])
        }
        ModelReply::Reset => VecDeque::from([Act::Refuse(cut_connection())]),
        ModelReply::Bytes { content_type, pieces, pause } => {
            VecDeque::from([Act::Bytes { content_type, pieces, pause }])
        }
        ModelReply::Hang => VecDeque::from([Act::Hang]),
        ModelReply::Stall(text) => ended_by(write(&text), Act::Hang),
        ModelReply::CutAfter(text) => ended_by(write(&text), Act::Cut),
        ModelReply::Garbage => VecDeque::from([Act::Blather, end()]),
        ModelReply::After(wait, then) => {
            let mut acts = plan(*then, request, delay);
            acts.push_front(Act::Sleep(wait));
            acts
        }
        ModelReply::Held { before, gate, after } => {
            let mut acts = ended_by(write(&before), Act::WaitFor(gate));
            acts.extend(write(&after));
            ended_by(acts, end())
        }
    }
}

/// Cuts a text where a model's pieces end: after a word, and after two characters of a script without blanks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let mut wide = 0;
    for c in text.chars() {
        word.push(c);
        wide += usize::from(c >= '\u{2e80}');
        if c.is_whitespace() || wide == 2 {
            words.push(mem::take(&mut word));
            wide = 0;
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}
