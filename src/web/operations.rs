//! What the people who run Qimate look at, metrics and the like, and the little that they do.
//!
//! Answered without a key on `server.operations_listen`, which is not for the public, and on the main address to whoever
//! has the operator key. To strangers on the main address these pages are not there.

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;

use super::Web;
use crate::model::audit::Actor;

/// Lets through who has the operator key; to all others there is nothing.
pub(super) async fn with_the_operator_key(State(web): State<Web>, request: Request, next: Next) -> Response {
    if has_the_operator_key(&web, request.headers()) {
        next.run(request).await
    } else {
        StatusCode::NOT_FOUND.into_response()
    }
}

/// Whether the request brings the operator key.
pub(super) fn has_the_operator_key(web: &Web, headers: &HeaderMap) -> bool {
    let Some(key) = &web.operator_key else { return false };
    let given = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let given =
        given.and_then(|value| value.split_once(' ')).filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
    given.is_some_and(|(_, given)| given.trim().as_bytes().ct_eq(key.expose().as_bytes()).into())
}

/// Every figure, for Prometheus.
pub(super) async fn metrics(State(web): State<Web>) -> Response {
    const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    match web.metrics.render(web.overview.figures.now().await.sample) {
        Ok(text) => ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What an operator's word did.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Cleared {
    /// How many keys are asked again, each counted with each of its models.
    pub cleared: usize,
}

/// The header in which a command says by which user of the system it was given.
pub const USER: &str = "x-qimate-user";
/// The longest such name, in bytes.
const LONGEST_USER: usize = 80;

/// Who asks, for the audit log: by which door, and as whom by their own word.
fn actor(web: &Web, headers: &HeaderMap) -> Actor {
    let user = headers.get(USER).and_then(|value| value.to_str().ok());
    let user = user.filter(|user| (1..=LONGEST_USER).contains(&user.len()) && !user.contains('/'));
    let door = if has_the_operator_key(web, headers) { "server.operator_key" } else { "server.operations_listen" };
    Actor::Operator { name: user.unwrap_or("unknown").to_owned(), by: door.to_owned() }
}

/// Takes back every key of a model that was set aside or rests. Not for pages: a browser on the operator's machine
/// reaches the operators' address too, and says by `Origin` for whom it asks.
pub(super) async fn clear_upstreams(State(web): State<Web>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let overview = &web.overview;
    let cleared = overview.models.clear(&web.store, &actor(&web, &headers), overview.clock.now()).await;
    let cleared = match cleared {
        Ok(cleared) => cleared,
        Err(error) => {
            tracing::warn!(%error, "the audit log cannot be written, so no key was taken back");
            return (StatusCode::SERVICE_UNAVAILABLE, "the audit log cannot be written; nothing was done")
                .into_response();
        }
    };
    tracing::info!(cleared, "an operator took back the keys that were set aside");
    Json(Cleared { cleared }).into_response()
}
