//! Stories of one upstream: what it is asked, and what becomes of its answers and refusals.

mod waiting;

use std::{
    collections::{BTreeMap, VecDeque},
    error::Error as _,
    io,
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
};

use axum::{
    Router,
    body::Body,
    extract::State,
    http::{StatusCode, Uri},
    response::{IntoResponse, Response as HttpAnswer},
};
use futures_util::{StreamExt, poll, stream};
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::mpsc};

use super::*;
use crate::llm::router::Attempts;
use crate::{
    clock::{ManualClock, Timestamp},
    llm::{
        router::{self, Answer, Wish},
        stream::{Delta, Finish, FinishReason},
    },
    model::conversation::Usage,
    net,
    safety::guard::Guard,
};

const KEY: &str = "sk-very-secret-0123456789";
const TOKEN: &str = "tenant-secret-0123456789";
const HI: &str = r#"{"choices":[{"delta":{"content":"hi"}}]}"#;
const STOP: &str = r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#;

/// An upstream that gives the answers it was told to, in order, and remembers what it was asked.
struct Fake {
    base_url: String,
    state: Arc<Told>,
    clock: ManualClock,
}

struct Told {
    answers: Mutex<VecDeque<HttpAnswer>>,
    asked: Mutex<Vec<(Uri, HeaderMap, Value)>>,
}

/// The way that every question takes, with one upstream.
struct OneUpstream(router::Router);

impl OneUpstream {
    async fn stream(&self, request: &ChatRequest) -> Result<Answer, Error> {
        let (request, ..) = ClearedRequest::through(&Guard::default(), request).expect("nothing is refused");
        self.0.stream(Wish::default(), &request, &mut Attempts::default()).await
    }
}

impl Fake {
    async fn start(answers: impl IntoIterator<Item = HttpAnswer>) -> Self {
        net::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let state = Arc::new(Told { answers: Mutex::new(answers.into_iter().collect()), asked: Mutex::default() });
        let app = Router::new().fallback(answer).with_state(state.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base_url, state, clock: ManualClock::new(Timestamp::from_secs(1_700_000_000)) }
    }

    fn settings(&self) -> config::Llm {
        config::Llm {
            base_url: self.base_url.clone(),
            api_key: Some(Secret::new(KEY.to_owned())),
            model: "gpt-4o".to_owned(),
            vision: None,
            safety_identifier: None,
            upstreams: Vec::new(),
            allowed: Vec::new(),
            more_models: Vec::new(),
            system_prompt: String::new(),
            summary_model: None,
            temperature: None,
            reasoning_effort: None,
            max_output_tokens: None,
            extra_headers: BTreeMap::from([("X-Tenant".to_owned(), Secret::new(TOKEN.to_owned()))]),
            proxy: None,
            connect_timeout: Duration::from_secs(5),
            first_delta_timeout: Duration::from_secs(60),
            gap_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(300),
            max_retries: 2,
            max_continuations: 0,
        }
    }

    fn client(&self, settings: &config::Llm) -> OneUpstream {
        OneUpstream(router::Router::new(settings, Clock::Manual(self.clock.clone()), Arc::default()).expect("a router"))
    }

    async fn ask(&self) -> Result<Answer, Error> {
        self.client(&self.settings()).stream(&question()).await
    }

    /// Asks without a limit, moving the clock on whenever something waits for it.
    async fn ask_while_time_passes(&self) -> Result<Answer, Error> {
        let (first_delta_timeout, answer_timeout) = (Duration::MAX, Duration::MAX);
        let client = self.client(&config::Llm { first_delta_timeout, answer_timeout, ..self.settings() });
        let question = question();
        let mut ask = pin!(client.stream(&question));
        loop {
            if let Poll::Ready(answer) = poll!(ask.as_mut()) {
                return answer;
            }
            if self.clock.sleepers() > 0 {
                self.clock.advance(Duration::from_millis(100));
            }
            tokio::task::yield_now().await;
        }
    }

    fn now(&self) -> Timestamp {
        Clock::Manual(self.clock.clone()).now()
    }

    fn requests(&self) -> usize {
        self.state.asked.lock().unwrap().len()
    }

    /// Lets `future` run to the point where it has asked and waits for the clock, then moves the clock by `secs`.
    async fn after<F: Future>(&self, secs: u64, future: F) -> F::Output {
        let moved = async {
            while self.clock.sleepers() == 0 || self.requests() == 0 {
                tokio::task::yield_now().await;
            }
            self.clock.advance(Duration::from_secs(secs));
        };
        tokio::join!(future, moved).0
    }
}

async fn answer(State(told): State<Arc<Told>>, uri: Uri, headers: HeaderMap, body: String) -> HttpAnswer {
    told.asked.lock().unwrap().push((uri, headers, serde_json::from_str(&body).expect("JSON")));
    let answer = told.answers.lock().unwrap().pop_front();
    match answer {
        Some(answer) => answer,
        None => std::future::pending().await,
    }
}

fn question() -> ChatRequest {
    ChatRequest::of(vec![Message::user("在吗")])
}

fn refusal(status: u16, body: &str) -> HttpAnswer {
    (StatusCode::from_u16(status).expect("a status"), body.to_owned()).into_response()
}

fn events(chunks: &[&str]) -> Body {
    let events: String = chunks.iter().map(|chunk| format!("data: {chunk}\n\n")).collect();
    events.into()
}

/// A body that brings `chunks` and then breaks.
fn reset_after(chunks: &[&str]) -> HttpAnswer {
    let chunks = events(chunks).into_data_stream();
    let reset = stream::once(async {
        // What was written before an error is lost unless it has left.
        tokio::task::yield_now().await;
        Err(axum::Error::new(io::Error::other("reset")))
    });
    Body::from_stream(chunks.chain(reset)).into_response()
}

/// A body that brings what is sent, and stays open as long as the sender. The receiver is dropped with the connection.
fn open() -> (mpsc::UnboundedSender<&'static str>, HttpAnswer) {
    let (sender, mut receiver) = mpsc::unbounded_channel::<&str>();
    let chunks = stream::poll_fn(move |context| receiver.poll_recv(context))
        .map(|chunk| Ok::<_, io::Error>(format!("data: {chunk}\n\n")));
    (sender, Body::from_stream(chunks).into_response())
}

async fn whole(mut answer: Answer) -> (String, Result<Finish, Error>) {
    let mut text = String::new();
    loop {
        match answer.next().await.expect("an answer ends with its finish or an error") {
            Ok(Delta::Text(more)) => text.push_str(&more),
            Ok(Delta::Thought(_)) => {}
            Ok(Delta::Finish(finish)) => return (text, Ok(finish)),
            Err(error) => return (text, Err(error)),
        }
    }
}

fn stop(usage: Option<Usage>) -> Finish {
    Finish { reason: FinishReason::Stop, usage, calls: None }
}

#[tokio::test]
async fn an_answer_comes_with_its_cost_and_everything_that_is_set_is_sent() {
    let usage = r#"{"choices":[],"usage":{"prompt_tokens":9,"completion_tokens":1}}"#;
    let fake = Fake::start([events(&[HI, STOP, usage, "[DONE]"]).into_response()]).await;
    let settings = config::Llm {
        model: "gpt-5-mini".to_owned(),
        temperature: Some(0.5),
        reasoning_effort: Some("low".to_owned()),
        max_output_tokens: Some(100),
        ..fake.settings()
    };
    let mut answer = fake.client(&settings).stream(&question()).await.expect("an answer");
    assert_eq!(answer.next().await.expect("more").expect("text"), Delta::Text("hi".to_owned()));
    let usage = Usage { input: 9, output: 1, ..Usage::default() };
    assert_eq!(answer.next().await.expect("more").expect("end"), Delta::Finish(stop(Some(usage))));
    assert!(answer.next().await.is_none());

    let (uri, headers, body) = fake.state.asked.lock().unwrap().remove(0);
    assert_eq!(uri.path(), "/v1/chat/completions");
    assert_eq!(headers["authorization"], format!("Bearer {KEY}"));
    assert_eq!(headers["x-tenant"], TOKEN);
    assert_eq!(headers["content-type"], "application/json");
    let expected = json!({
        "model": "gpt-5-mini",
        "messages": [{"role": "user", "content": "在吗"}],
        "stream": true,
        "stream_options": {"include_usage": true},
        "temperature": 0.5,
        "reasoning_effort": "low",
        "max_completion_tokens": 100,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn what_is_not_set_is_not_sent() {
    let fake = Fake::start([events(&[STOP]).into_response()]).await;
    let settings = config::Llm { api_key: None, extra_headers: BTreeMap::new(), ..fake.settings() };
    assert!(fake.client(&settings).stream(&question()).await.is_ok());
    let (_, headers, body) = fake.state.asked.lock().unwrap().remove(0);
    assert!(!headers.contains_key("authorization"));
    let keys: Vec<&String> = body.as_object().expect("an object").keys().collect();
    assert_eq!(keys, ["messages", "model", "stream", "stream_options"]);
}

#[tokio::test]
async fn an_upstream_that_does_not_stream_is_understood() {
    let body = r#"{"choices":[{"message":{"content":"hi"},"finish_reason":"length"}],"usage":null}"#;
    let fake = Fake::start([([("content-type", "application/json")], body).into_response()]).await;
    let (text, end) = whole(fake.ask().await.expect("an answer")).await;
    assert_eq!(text, "hi");
    assert_eq!(end.expect("complete"), Finish { reason: FinishReason::Length, usage: None, calls: None });
}

#[tokio::test]
async fn a_limited_client_waits_on_the_clock_and_asks_again() {
    let limited = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "7")], "slow down").into_response();
    let fake = Fake::start([limited, events(&[HI, STOP]).into_response()]).await;
    let start = fake.now();
    let answer = fake.ask_while_time_passes().await.expect("an answer");
    assert_eq!(whole(answer).await.0, "hi");
    assert_eq!(fake.requests(), 2);
    assert!(fake.now().since(start) >= Duration::from_secs(7));
}

#[tokio::test]
async fn only_what_may_pass_is_asked_again() {
    let far = (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "31")], "").into_response();
    let spent = refusal(429, r#"{"error":{"code":"insufficient_quota"}}"#);
    for (answer, expected) in [
        (refusal(401, "no"), "the upstream refuses the API key: no"),
        (refusal(400, "no"), "the upstream refuses the request with status 400: no"),
        (spent, "the account at the upstream has nothing left: Too Many Requests"),
        (far, "the upstream is asked too often"),
        (events(&[r#"{"error":{"message":"no"}}"#]).into_response(), "the upstream failed while it answered: no"),
    ] {
        let fake = Fake::start([answer]).await;
        let error = fake.ask().await.err().expect("refused");
        assert_eq!((error.to_string().as_str(), fake.requests()), (expected, 1));
    }
}

#[tokio::test]
async fn a_fault_before_the_answer_begins_is_tried_again_and_the_last_one_told() {
    let page = "<html><body><h1>502 Bad Gateway</h1>";
    let role_only = r#"{"choices":[{"delta":{"role":"assistant","content":""}}]}"#;
    let fake = Fake::start([reset_after(&[role_only]), events(&[]).into_response(), refusal(502, page)]).await;
    let error = fake.ask_while_time_passes().await.err().expect("three faults");
    assert_eq!(error.to_string(), "the upstream failed with status 502: Bad Gateway");
    assert_eq!(fake.requests(), 3);
}

#[tokio::test]
async fn once_the_answer_has_begun_a_fault_ends_it() {
    let thinking = r#"{"choices":[{"delta":{"reasoning_content":"hm"}}]}"#;
    let error = r#"{"error":{"message":"overheated"}}"#;
    for (answer, text, expected) in [
        (reset_after(&[HI]), "hi", "the answer was cut off"),
        (reset_after(&[thinking]), "", "the answer was cut off"),
        (events(&[HI]).into_response(), "hi", "the answer was cut off"),
        (events(&[HI, error]).into_response(), "hi", "the upstream failed while it answered: overheated"),
    ] {
        let fake = Fake::start([answer]).await;
        let (came, end) = whole(fake.ask().await.expect("it begins")).await;
        assert_eq!((came.as_str(), end.expect_err("a fault").to_string().as_str()), (text, expected));
        assert_eq!(fake.requests(), 1);
    }
}

#[tokio::test]
async fn no_secret_is_in_an_error() {
    let echo = format!("{{\"error\":{{\"message\":\"key {KEY} for {TOKEN}\"}}}}");
    let fake =
        Fake::start([refusal(400, &echo), refusal(401, &format!("Bearer {KEY}")), events(&[&echo]).into_response()])
            .await;
    let mut errors = Vec::new();
    for _ in 0..3 {
        errors.push(fake.ask().await.err().expect("refused"));
    }
    let unreachable =
        config::Llm { base_url: format!("http://{KEY}@127.0.0.1:1/{KEY}"), max_retries: 0, ..fake.settings() };
    errors.push(fake.client(&unreachable).stream(&question()).await.err().expect("nobody listens"));
    assert!(matches!(errors.last(), Some(Error::Unreachable(_))));
    for (name, value) in [("X-Tenant", format!("{TOKEN}\n")), ("no name", TOKEN.to_owned())] {
        let extra_headers = BTreeMap::from([(name.to_owned(), Secret::new(value))]);
        let settings = config::Llm { extra_headers, ..fake.settings() };
        let error = fake.client(&settings).stream(&question()).await.err().expect("no header");
        assert!(error.to_string().starts_with(&format!("llm.extra_headers.{name} cannot be used: ")), "{error}");
        errors.push(error);
    }
    for error in errors {
        let text = format!("{error} {error:?} {:?}", error.source());
        assert!(!text.contains(KEY) && !text.contains(TOKEN), "{text}");
    }
    assert_eq!(fake.requests(), 3);
}
