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

/// Takes back every key of a model that was set aside or rests. Not for pages: a browser on the operator's machine
/// reaches the operators' address too, and says by `Origin` for whom it asks.
pub(super) async fn clear_upstreams(State(web): State<Web>, headers: HeaderMap) -> Response {
    if headers.contains_key(header::ORIGIN) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let cleared = web.overview.models.clear();
    tracing::info!(cleared, "an operator took back the keys that were set aside");
    Json(Cleared { cleared }).into_response()
}
