//! Requests that change something: carried out to their end, and once where they say so.
//!
//! A request runs in a task of its own, so that whoever hangs up leaves nothing half known: a change that is on the disk
//! is felt, and its answer is kept. `Idempotency-Key` binds a request to its operator for a day. That it was done is
//! written in the transaction of the change, its answer after it; a crash between the two leaves a request that is known
//! to be done, and is not done again.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use axum::{
    body::{Body, Bytes},
    extract::Request,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt;
use serde::{Deserialize, Serialize};
use tracing::error;

use super::{Administration, answer::Without, ask::Change, body, problem::Problem};
use crate::{
    admin::Operator,
    store::{
        Store,
        terms::{Before, Once},
    },
};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Tells that an answer is one of before.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The longest key, in bytes.
const LONGEST_KEY: usize = 255;
/// How long it is waited until a change is felt everywhere. It is on the disk then.
const FELT: Duration = Duration::from_secs(2);
/// Headers of an answer that are kept with it.
const KEPT: [HeaderName; 3] = [header::CONTENT_TYPE, header::ETAG, header::LOCATION];

/// Requests with a key that are being carried out.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<Mutex<HashSet<[u8; 32]>>>);

impl UnderWay {
    /// A place for this one; `None`: it is under way.
    fn begin(&self, id: [u8; 32]) -> Option<Place> {
        let is_new = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
        is_new.then(|| Place { all: self.clone(), id })
    }
}

struct Place {
    all: UnderWay,
    id: [u8; 32],
}

impl Drop for Place {
    fn drop(&mut self) {
        self.all.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}

/// An answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

/// Carries out what is asked; `may_repeat` where a key is looked at.
pub(super) async fn carried_out(
    here: &Administration,
    may_repeat: bool,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = if may_repeat { key(request.headers())? } else { None };
    let Some(key) = key else { return in_a_task(here, None, request, next).await };
    let (parts, body) = request.into_parts();
    let bytes = body::read(body, body::MOST, &here.clock).await?;
    let operator = parts.extensions.get::<Operator>().ok_or_else(Problem::nobody)?;
    let asked = parts.uri.path_and_query().map_or("/", |whole| whole.as_str());
    let request: [&[u8]; 3] = [parts.method.as_str().as_bytes(), asked.as_bytes(), &bytes];
    let once = Once::new(operator.number, &key, &request, here.clock.now());
    let Some(place) = here.under_way.begin(*once.id()) else { return Err(Problem::in_progress()) };
    match here.store.asked_before(&once).await? {
        Before::Nothing => {
            in_a_task(here, Some((once, place)), Request::from_parts(parts, Body::from(bytes)), next).await
        }
        Before::Another => Err(Problem::key_reused()),
        Before::Done(answer) => answer.and_then(|text| replayed(&text)).ok_or_else(Problem::answer_not_kept),
    }
}

async fn in_a_task(
    here: &Administration,
    once: Option<(Once, Place)>,
    mut request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let (once, place) = once.unzip();
    let change = Change { once: once.clone(), ..Change::default() };
    let made = Arc::clone(&change.made);
    request.extensions_mut().insert(change);
    let here = here.clone();
    let task = tokio::spawn(async move {
        let _until_its_end = place;
        let mut response = next.run(request).await;
        if made.load(Ordering::Acquire) {
            if let Some(once) = once {
                response = kept(&here.store, &once, response).await;
            }
            let _ = here.clock.timeout(FELT, here.felt.now()).await;
        }
        response
    });
    task.await.map_err(|_| Problem::internal())
}

/// Keeps an answer, and gives it back.
async fn kept(store: &Store, once: &Once, response: Response) -> Response {
    let (parts, body) = response.into_parts();
    // Answers of handlers that change something are in memory, and small.
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let without = parts.extensions.get::<Without>();
    let (status, shown) = match without {
        Some(Without(without)) => (StatusCode::OK, without),
        None => (parts.status, &bytes),
    };
    let headers = KEPT.iter().filter(|name| without.is_none() || **name != header::LOCATION);
    let headers =
        headers.filter_map(|name| Some((name.to_string(), parts.headers.get(name)?.to_str().ok()?.to_owned())));
    let kept =
        Kept { status: status.as_u16(), headers: headers.collect(), body: String::from_utf8_lossy(shown).into_owned() };
    let text = serde_json::to_string(&kept).unwrap_or_default();
    if let Err(cause) = store.keep_answer(once, text).await {
        error!(%cause, "an answer could not be kept; whoever repeats the request is told that it was done");
    }
    Response::from_parts(parts, Body::from(bytes))
}

fn replayed(text: &str) -> Option<Response> {
    let Kept { status, headers, body } = serde_json::from_str(text).ok()?;
    let mut response = Response::new(Body::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    for (name, value) in headers {
        response.headers_mut().insert(HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?);
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Some(response)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    let mut given = headers.get_all(KEY).iter();
    let Some(key) = given.next() else { return Ok(None) };
    let text = key.to_str().ok().map(|text| text.trim().trim_matches('"')).filter(|_| given.next().is_none());
    match text.filter(|text| (1..=LONGEST_KEY).contains(&text.len())) {
        Some(text) => Ok(Some(text.to_owned())),
        None => {
            let detail = format!("Idempotency-Key: expected one, of 1 to {LONGEST_KEY} characters, such as a UUID");
            Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail))
        }
    }
}
