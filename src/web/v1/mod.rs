//! `/v1`: what programs ask by keys, in the words of OpenAI's API. Only there where `v1.enabled` is set.
//!
//! The key is looked at before a byte of the body is read. Browsers are not served: there are no CORS headers, since a
//! key in a page is everybody's key.

mod answer;
mod body;
pub(super) mod from;
mod refusal;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{Path, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{self, MethodRouter},
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use tracing::info;

pub use self::from::Peer;
use self::refusal::Refusal;
use crate::{
    api::{Api, Asked, Caller, Me, Refused},
    clock::{Clock, zone::Zone},
    config,
    metrics::Metrics,
    model::{
        key::{KeyId, KeyText},
        quota::{amounts::Measure, book::Standing, subject::Subject},
    },
};

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct Programs {
    /// Who answers.
    pub api: Api,
    /// For how long a body may take.
    pub clock: Clock,
    /// The calendar in which limits count.
    pub zone: Zone,
    /// `[v1]`
    pub settings: config::V1,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// Kibibytes that bodies may have together.
    memory: Arc<Semaphore>,
    /// Calls that may be under way, from the first byte of the body to the last of the answer.
    places: Arc<Semaphore>,
}

/// Calls at once: half of the connections that there are, so that WeCom's callbacks always find one.
const PLACES: usize = 1024;
/// Bodies at once, in times of the largest.
const BODIES: usize = 8;

impl Programs {
    /// For the programs of a company whose calendar is that of `zone`.
    pub fn new(api: Api, clock: Clock, zone: Zone, settings: config::V1, metrics: Arc<Metrics>) -> Self {
        let memory = Arc::new(Semaphore::new(BODIES * settings.max_body.div_ceil(1024)));
        Self { api, clock, zone, settings, metrics, memory, places: Arc::new(Semaphore::new(PLACES)) }
    }
}

/// What is asked below `/v1`.
pub(super) fn router(programs: &Programs) -> Router {
    let ask = |asked: Asked| {
        other_methods(routing::post(
            move |State(programs): State<Programs>, caller: axum::Extension<Caller>, request: Request| async move {
                answer::ask(&programs, &caller, asked, request).await
            },
        ))
    };
    Router::new()
        .route("/v1/chat/completions", ask(Asked::Chat))
        .route("/v1/responses", ask(Asked::Responses))
        .route("/v1/embeddings", ask(Asked::Embeddings))
        .route("/v1/images/generations", ask(Asked::Images))
        .route("/v1/audio/speech", ask(Asked::Speech))
        .route("/v1/audio/transcriptions", ask(Asked::Transcription))
        .route("/v1/models", other_methods(routing::get(models)))
        .route("/v1/models/{*id}", other_methods(routing::get(model)))
        .route("/v1/me", other_methods(routing::get(me)))
        .route("/v1", routing::any(nothing))
        .route("/v1/", routing::any(nothing))
        .route("/v1/{*path}", routing::any(nothing))
        // Not in front of what is not there: that is everybody's.
        .route_layer(middleware::from_fn_with_state(programs.clone(), with_a_key))
        .with_state(programs.clone())
}

fn other_methods(routes: MethodRouter<Programs>) -> MethodRouter<Programs> {
    routes.fallback(|| async { Refusal::method() })
}

/// Lets through who brings a good key, and names every answer.
async fn with_a_key(State(programs): State<Programs>, request: Request, next: Next) -> Response {
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let (mut parts, body) = request.into_parts();
    let (path, came) = (parts.uri.path().to_owned(), programs.clock.uptime());
    let mut response = match caller(&programs, &parts).await {
        Ok(caller) => {
            parts.extensions.insert(caller);
            next.run(Request::from_parts(parts, body)).await
        }
        Err(refusal) => {
            let (address, method) = (from::address(&parts, &programs.settings.trusted_proxies), &parts.method);
            let key = named(&parts.headers).map_or_else(|| "none".to_owned(), |id| id.to_string());
            info!(request.id = %id, key.id = %key, reason = refusal.reason(), %method, %address, "refused a program");
            // So that it hears the answer before its connection breaks; who asks first whether to send, need not.
            if !parts.headers.contains_key(header::EXPECT) {
                body::pour_away(&programs.clock, body).await;
            }
            refusal.into_response()
        }
    };
    let after = programs.clock.uptime().saturating_sub(came);
    programs.metrics.program_answered(&path, response.status().as_u16(), after);
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn caller(programs: &Programs, parts: &Parts) -> Result<Caller, Refusal> {
    if parts.uri.query().is_some_and(has_a_key) {
        return Err(Refusal::key_in_url());
    }
    let key = bearer(&parts.headers)?;
    let from = from::address(parts, &programs.settings.trusted_proxies);
    programs.api.caller(key, from).await.map_err(|refused| Refusal::of(refused, programs))
}

/// URLs are written down by every proxy on the way.
fn has_a_key(query: &str) -> bool {
    query.contains("qm_")
        || query.split('&').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default().to_ascii_lowercase();
            matches!(
                name.as_str(),
                "key" | "api_key" | "api-key" | "apikey" | "token" | "access_token" | "authorization"
            )
        })
}

fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Refusal::no_key()) };
    let value = value.to_str().ok().and_then(|value| value.split_once(' '));
    let key = value.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, key)| key.trim());
    key.filter(|key| !key.is_empty()).ok_or_else(Refusal::no_key)
}

/// The public part of the key that was brought, if it has the form of one of ours.
fn named(headers: &HeaderMap) -> Option<KeyId> {
    bearer(headers).ok().and_then(|key| KeyText::parse(key).ok()).map(|key| key.id)
}

async fn nothing() -> Refusal {
    Refusal::no_such_address()
}

async fn models(State(programs): State<Programs>, caller: axum::Extension<Caller>) -> Result<Json<Value>, Refusal> {
    let aliases = programs.api.models(&caller).await.map_err(|refused| Refusal::of(refused, &programs))?;
    let data: Vec<Value> = aliases.iter().map(|alias| shown(alias)).collect();
    Ok(Json(json!({"object": "list", "data": data})))
}

async fn model(
    State(programs): State<Programs>,
    caller: axum::Extension<Caller>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let aliases = programs.api.models(&caller).await.map_err(|refused| Refusal::of(refused, &programs))?;
    let alias = aliases.iter().find(|alias| ***alias == *id);
    alias.map(|alias| Json(shown(alias))).ok_or_else(|| Refusal::of(Refused::Model(id), &programs))
}

fn shown(alias: &str) -> Value {
    json!({"id": alias, "object": "model", "created": 0, "owned_by": "qimate"})
}

async fn me(State(programs): State<Programs>, caller: axum::Extension<Caller>) -> Json<Value> {
    let Me { key, models, limits } = programs.api.me(&caller).await;
    let of_level = |(subject, standings): &(Subject, Vec<Standing>)| -> Vec<Value> {
        let one = |standing: &Standing| {
            json!({
                "level": subject.level(), "measure": standing.limit.measure.as_str(),
                "window": standing.limit.window.to_string(), "allowed": standing.allowed, "used": standing.used,
                "remaining": standing.allowed.saturating_sub(standing.used),
                "resets_at": standing.resets_at.map(|at| at.as_secs()),
                "unit": match standing.limit.measure {
                    Measure::Requests => "requests",
                    Measure::Tokens => "tokens",
                    Measure::Money => "micro-units",
                },
            })
        };
        standings.iter().map(one).collect()
    };
    Json(json!({
        "object": "key", "id": key.id.as_str(), "name": key.name, "member": key.owner.member().map(|member| member.as_str()),
        "expires_at": key.expires_at.map(|at| at.as_secs()), "models": models.iter().map(|alias| &**alias).collect::<Vec<_>>(),
        "endpoints": key.scope.endpoints, "limits": limits.iter().flat_map(of_level).collect::<Vec<_>>(),
        "time_zone": programs.zone.to_string(), "now": programs.clock.now().as_secs(),
    }))
}
