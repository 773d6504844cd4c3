//! Stories of several upstreams, at their sockets.

use std::{collections::VecDeque, pin::pin, sync::Mutex, task::Poll};

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::poll;
use tokio::net::TcpListener;

use super::*;
use crate::{
    clock::ManualClock,
    llm::{
        cleared::ClearedRequest,
        client::{ChatRequest, Message},
        fake,
    },
    safety::guard::Guard,
};

const WELL: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n\
                    data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
const CUT: &str = "data: {\"choices\":[{\"delta\":{\"content\":\"hi\"}}]}\n\n";

/// An upstream that answers well unless it was told otherwise, and remembers who asked for what.
#[derive(Default)]
struct Place {
    base_url: String,
    told: Mutex<VecDeque<Response>>,
    /// The key and the model of each request.
    asked: Mutex<Vec<(String, String)>>,
}

impl Place {
    async fn open() -> Arc<Self> {
        net::install_crypto();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base_url = format!("http://{}/v1", listener.local_addr().expect("bound"));
        let place = Arc::new(Self { base_url, ..Self::default() });
        let app = axum::Router::new().fallback(answer).with_state(Arc::clone(&place));
        tokio::spawn(async move { axum::serve(listener, app).await });
        place
    }

    fn tell(&self, status: u16, headers: &[(header::HeaderName, &'static str)], body: &'static str) {
        let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
        for (name, value) in headers {
            response.headers_mut().insert(name, header::HeaderValue::from_static(value));
        }
        self.told.lock().unwrap().push_back(response);
    }

    fn asked(&self) -> usize {
        self.asked.lock().unwrap().len()
    }

    fn keys(&self) -> Vec<String> {
        self.asked.lock().unwrap().iter().map(|(key, _)| key.clone()).collect()
    }
}

async fn answer(State(place): State<Arc<Place>>, headers: HeaderMap, body: Bytes) -> Response {
    let key = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let body: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    place.asked.lock().unwrap().push((key.trim_start_matches("Bearer ").to_owned(), model));
    place.told.lock().unwrap().pop_front().unwrap_or_else(|| WELL.into_response())
}

struct Company {
    router: Router,
    clock: ManualClock,
}

impl Company {
    /// With these `[[llm.upstreams]]`, as JSON, where `{0}`, `{1}` stand for the places' addresses.
    fn new(places: &[&Arc<Place>], upstreams: &str) -> Self {
        let mut upstreams = upstreams.to_owned();
        for (index, place) in places.iter().enumerate() {
            upstreams = upstreams.replace(&format!("{{{index}}}"), &place.base_url);
        }
        let config = fake::config(&[("QIMATE_LLM__MODEL", "m"), ("QIMATE_LLM__UPSTREAMS", &upstreams)]);
        let clock = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let router = Router::new(&config.llm, Clock::Manual(clock.clone()), Arc::default()).expect("a router");
        Self { router, clock }
    }

    async fn ask(&self, affinity: u64) -> Result<Answer, Error> {
        self.router.stream(Wish { affinity, ..Wish::default() }, &cleared(&question()), &mut Attempts::default()).await
    }

    /// Asks, moving the clock on whenever something waits for it. Gives how much time passed.
    async fn ask_while_time_passes(&self) -> (Result<Answer, Error>, Duration) {
        let mut ask = pin!(self.ask(0));
        let mut passed = Duration::ZERO;
        loop {
            if let Poll::Ready(answer) = poll!(ask.as_mut()) {
                return (answer, passed);
            }
            // The timers of a request that is under way are long; pauses are what ends within a minute.
            let pause = self.clock.sleeper_within(Duration::ZERO..=Duration::from_secs(59));
            if let Poll::Ready(pause) = poll!(pin!(pause)) {
                self.clock.advance(pause);
                passed += pause;
            }
            tokio::task::yield_now().await;
        }
    }
}

fn cleared(request: &ChatRequest) -> ClearedRequest<'_> {
    ClearedRequest::through(&Guard::default(), request).expect("nothing is refused").0
}

fn question() -> ChatRequest {
    ChatRequest::of(vec![Message::user("?")])
}

async fn whole(answer: Result<Answer, Error>) -> Result<Arc<str>, Error> {
    let mut answer = answer?;
    let upstream = Arc::clone(answer.upstream());
    while let Some(delta) = answer.next().await {
        let _ = delta?;
    }
    Ok(upstream)
}

const TWO: &str = r#"[{"name":"a","base_url":"{0}","models":["m"],"api_keys":["key-a"]},
                     {"name":"b","base_url":"{1}","models":["m"],"api_keys":["key-b"]}]"#;

/// A number of which the first choice is upstream 0.
fn likes_the_first() -> u64 {
    let two = [0, 1].map(|id| Candidate { id, weight: 1, in_flight: 0 });
    (0..).find(|affinity| choose::order(&two, *affinity)[0] == 0).expect("half of them do")
}

#[tokio::test]
async fn a_failure_before_the_first_words_leads_to_another_upstream_at_once() {
    for (status, body) in
        [(500, "no"), (503, "no"), (429, "{}"), (401, "{}"), (402, "{}"), (404, "no model"), (200, "<html>")]
    {
        let (a, b) = (Place::open().await, Place::open().await);
        let company = Company::new(&[&a, &b], TWO);
        a.tell(status, &[], body);
        let upstream = whole(company.ask(likes_the_first()).await).await.expect("answered");
        assert_eq!((&*upstream, a.asked(), b.asked()), ("b", 1, 1), "{status} {body}");
        // The next one goes straight to the one that answers.
        whole(company.ask(likes_the_first()).await).await.expect("answered");
        assert_eq!((a.asked(), b.asked()), (1, 2), "{status} {body}");
    }
}

#[tokio::test]
async fn what_is_the_requests_own_fault_is_asked_nobody_else_and_held_against_nobody() {
    for (status, body) in [(400, "{}"), (422, "{}"), (413, ""), (400, r#"{"error":{"code":"content_filter"}}"#)] {
        let (a, b) = (Place::open().await, Place::open().await);
        let company = Company::new(&[&a, &b], TWO);
        a.tell(status, &[], body);
        assert!(company.ask(likes_the_first()).await.is_err());
        let upstream = whole(company.ask(likes_the_first()).await).await.expect("answered");
        assert_eq!((&*upstream, a.asked(), b.asked()), ("a", 2, 0), "{status} {body}");
    }
}

#[tokio::test]
async fn a_refused_key_is_set_aside_with_all_its_models_until_it_is_cleared() {
    let place = Place::open().await;
    let company = Company::new(
        &[&place],
        r#"[{"name":"a","base_url":"{0}","models":["m","n"],"api_keys":["bad-key-1","good-key-2"]}]"#,
    );
    let mut asked_first = None;
    for affinity in 0.. {
        place.tell(401, &[], "{}");
        whole(company.ask(affinity).await).await.expect("the other key answers");
        let keys = place.keys();
        asked_first.get_or_insert_with(|| keys[0].clone());
        if keys.len() == 2 {
            break;
        }
    }
    let aside: Vec<_> = company.router.set_aside().iter().map(|one| (one.key, one.alias.to_string())).collect();
    let refused = if asked_first.as_deref() == Some("bad-key-1") { 1 } else { 2 };
    assert_eq!(aside, [(refused, "m".to_owned()), (refused, "n".to_owned())]);
    for affinity in 0..8 {
        whole(company.ask(affinity).await).await.expect("answered");
    }
    assert_eq!(place.keys().iter().filter(|key| **key == place.keys()[0]).count(), 1, "not asked again");
    assert_eq!(company.router.clear(), 2);
    assert!(company.router.set_aside().is_empty());
}

#[tokio::test]
async fn the_only_key_is_tried_although_it_was_refused_so_that_a_paid_bill_is_felt_at_once() {
    let place = Place::open().await;
    let company = Company::new(&[&place], r#"[{"name":"a","base_url":"{0}","models":["m"],"api_keys":["k-1234567"]}]"#);
    place.tell(402, &[], "{}");
    assert!(matches!(company.ask(0).await, Err(Error::QuotaExhausted { .. })));
    assert_eq!(company.router.set_aside().len(), 1);
    whole(company.ask(0).await).await.expect("answered");
    assert!(company.router.set_aside().is_empty(), "it is well again by itself");
}

#[tokio::test]
async fn retry_after_is_obeyed_by_everybody_and_then_one_tries() {
    let place = Place::open().await;
    let company = Company::new(&[&place], r#"[{"name":"a","base_url":"{0}","models":["m"]}]"#);
    place.tell(429, &[(header::RETRY_AFTER, "20")], "{}");
    let (answer, passed) = company.ask_while_time_passes().await;
    whole(answer).await.expect("answered");
    assert_eq!((passed, place.asked()), (Duration::from_secs(20), 2));

    // Another question meanwhile is not sent either.
    place.tell(429, &[(header::RETRY_AFTER, "20")], "{}");
    let mut first = pin!(company.ask(1));
    let pausing = company.clock.sleeper_within(Duration::from_secs(19)..=Duration::from_secs(20));
    tokio::select! {
        _ = &mut first => panic!("it waits"),
        _ = pausing => {}
    }
    let mut second = pin!(company.ask(2));
    assert!(poll!(second.as_mut()).is_pending());
    assert_eq!(place.asked(), 3);
    company.clock.advance(Duration::from_secs(20));
    let (first, second) = tokio::join!(first, second);
    assert!(first.is_ok() && second.is_ok());
    assert_eq!(place.asked(), 5);

    // Longer than an employee would wait: told at once.
    place.tell(429, &[(header::RETRY_AFTER, "31")], "{}");
    assert!(matches!(company.ask(0).await, Err(Error::RateLimited { .. })));
    assert!(matches!(company.ask(0).await, Err(Error::RateLimited { .. })), "without asking");
    assert_eq!(place.asked(), 6);
}

#[tokio::test]
async fn after_its_words_have_begun_nothing_is_repeated_and_the_route_rests() {
    let (a, b) = (Place::open().await, Place::open().await);
    let company = Company::new(&[&a, &b], TWO);
    a.tell(200, &[], CUT);
    assert!(matches!(whole(company.ask(likes_the_first()).await).await, Err(Error::Cut { .. })));
    assert_eq!((a.asked(), b.asked()), (1, 0));
    assert_eq!(&*whole(company.ask(likes_the_first()).await).await.expect("answered"), "b");
}

#[tokio::test]
async fn a_full_upstream_is_waited_for() {
    let place = Place::open().await;
    let company = Company::new(&[&place], r#"[{"name":"a","base_url":"{0}","models":["m"],"max_concurrent":1}]"#);
    let first = company.ask(0).await.expect("begins");
    let mut second = pin!(company.ask(1));
    assert!(poll!(second.as_mut()).is_pending());
    assert_eq!(place.asked(), 1);
    drop(first);
    assert!(second.await.is_ok());
}

#[tokio::test]
async fn a_limit_a_minute_makes_questions_wait_and_fails_none() {
    let place = Place::open().await;
    let company = Company::new(&[&place], r#"[{"name":"a","base_url":"{0}","models":["m"],"requests_per_minute":8}]"#);
    let mut waited = Vec::new();
    for _ in 0..4 {
        let (answer, passed) = company.ask_while_time_passes().await;
        whole(answer).await.expect("answered");
        waited.push(passed.as_secs());
    }
    assert_eq!(waited, [0, 0, 10, 10]);
}

#[tokio::test]
async fn an_alias_is_the_upstreams_own_name_to_the_upstream() {
    let place = Place::open().await;
    let company = Company::new(
        &[&place],
        r#"[{"name":"a","base_url":"{0}","models":["m",{"alias":"smart","name":"vendor/large-3"}]}]"#,
    );
    let wish = Wish { alias: Some("smart"), ..Wish::default() };
    whole(company.router.stream(wish, &cleared(&question()), &mut Attempts::default()).await).await.expect("answered");
    assert_eq!(place.asked.lock().unwrap()[0].1, "vendor/large-3");
    let wish = Wish { alias: Some("other"), ..Wish::default() };
    assert!(matches!(
        company.router.stream(wish, &cleared(&question()), &mut Attempts::default()).await,
        Err(Error::ModelNotFound { .. })
    ));
    let aliases: Vec<_> = company.router.aliases().iter().map(ToString::to_string).collect();
    assert_eq!(aliases, ["m", "smart"]);
}

#[tokio::test]
async fn every_upstream_down_is_told_after_the_rounds_that_are_allowed() {
    let (a, b) = (Place::open().await, Place::open().await);
    let company = Company::new(&[&a, &b], TWO);
    for place in [&a, &b] {
        (0..9).for_each(|_| place.tell(503, &[], "down"));
    }
    let (answer, _) = company.ask_while_time_passes().await;
    assert!(matches!(answer.err(), Some(Error::Upstream { status: 503, .. })));
    // Once and three retries (llm.max_retries), each of both.
    assert_eq!((a.asked(), b.asked()), (4, 4));
}

#[tokio::test]
async fn one_keys_limit_rests_that_key_with_that_model_and_nothing_beside_it() {
    let place = Place::open().await;
    let upstreams = r#"[{"name":"a","base_url":"{0}","api_keys":["one","two"],"models":["m","n"]}]"#;
    let company = Company::new(&[&place], upstreams);
    place.tell(429, &[(header::RETRY_AFTER, "30")], "{}");
    whole(company.ask(0).await).await.expect("its sibling answers");
    let limited = place.keys()[0].clone();
    for affinity in 0..8 {
        whole(company.ask(affinity).await).await.expect("answered");
    }
    assert_eq!(place.asked(), 10);
    assert!(place.keys()[1..].iter().all(|key| *key != limited), "{:?}", place.keys());
    // For the other model the same key is as good as before.
    for affinity in 0..16 {
        let wish = Wish { alias: Some("n"), affinity, ..Wish::default() };
        let answer = company.router.stream(wish, &cleared(&question()), &mut Attempts::default()).await;
        whole(answer).await.expect("answered");
    }
    assert!(place.asked.lock().unwrap().contains(&(limited.clone(), "n".to_owned())));
    company.clock.advance(Duration::from_secs(30));
    for affinity in 0..16 {
        whole(company.ask(affinity).await).await.expect("answered");
    }
    assert!(place.keys()[26..].contains(&limited), "and for that model it comes back");
}
