//! What the people who run Qimate look at, metrics and the like, and the little that they do.
//!
//! Answered without a key on `server.operations_listen`, which is not for the public, and on the main address to whoever
//! has the operator key. To strangers on the main address these pages are not there.

use std::net::IpAddr;

use axum::{
    Json,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use tracing::info;

use super::{Web, v1::from};
use crate::model::audit::Actor;

/// Lets through who has the operator key; to all others there is nothing.
pub(super) async fn with_the_operator_key(State(web): State<Web>, request: Request, next: Next) -> Response {
    if has_the_operator_key(&web, request.headers()) {
        return next.run(request).await;
    }
    // Whoever brings nothing is no attempt: scanners ask for these pages all day.
    if request.headers().contains_key(header::AUTHORIZATION) {
        let (parts, _) = request.into_parts();
        let address = from::address(&parts, &web.proxies);
        info!(%address, "refused an operator key");
    }
    StatusCode::NOT_FOUND.into_response()
}

/// Lets through who asks for this machine by a name that nobody outside can own. On a loopback address only this machine
/// asks; but a browser on it may do so for a page whose own name was made to lead here (DNS rebinding), and that page
/// would read the answer.
pub(super) async fn by_a_name_of_this_machine(State(web): State<Web>, request: Request, next: Next) -> Response {
    let mut hosts = request.headers().get_all(header::HOST).iter();
    let is_ours = match (hosts.next(), hosts.next()) {
        (None, _) => true,
        (Some(host), None) => host.to_str().is_ok_and(|host| is_of_this_machine(host) || web.is_asked_as(host)),
        _ => false,
    };
    if is_ours {
        return next.run(request).await;
    }
    info!("refused a request for operators: its Host is a name that others can own");
    let say = "this address is asked as localhost or by its number; a proxy in front must say so in the header Host\n";
    (StatusCode::MISDIRECTED_REQUEST, say).into_response()
}

/// A number, a name without a dot, or one below a domain that the public DNS does not have (RFC 6761, RFC 6762, ICANN's
/// `internal`).
fn is_of_this_machine(host: &str) -> bool {
    const PRIVATE: [&str; 4] = [".localhost", ".local", ".internal", ".home.arpa"];
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let is_number = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok();
    is_number || !name.contains('.') || PRIVATE.iter().any(|end| name.ends_with(end))
}

/// Whether the request brings the operator key.
pub(super) fn has_the_operator_key(web: &Web, headers: &HeaderMap) -> bool {
    let Some(key) = &web.operator_key else { return false };
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    let given = value.to_str().ok();
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
    info!(cleared, "an operator took back the keys that were set aside");
    Json(Cleared { cleared }).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_can_own_are_not_of_this_machine() {
        for (host, is_it) in [
            ("localhost:9464", true),
            ("127.0.0.1:9464", true),
            ("[::1]:9464", true),
            ("[::1]", true),
            ("qimate", true),
            ("qimate.railway.internal:9464", true),
            ("evil.example:9464", false),
            ("127.0.0.1.evil.example", false),
            ("localhost.evil.example.", false),
            ("evil.example:9464:x", false),
        ] {
            assert_eq!(is_of_this_machine(host), is_it, "{host}");
        }
    }
}
