//! Who is let in: a program by its token, a browser by its session.
//!
//! Every address below `/admin/api` is behind this, those that are added later too; only [`OPEN`] is not.

use std::marker::PhantomData;

use axum::{
    extract::{FromRequestParts, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;
use tracing::info;

use super::{Administration, problem::Problem};
use crate::{
    admin::{By, Operator},
    model::{key::KeyId, operator::Scope},
    web::v1::from,
};

/// What the browser keeps. `__Host-` holds browsers to `Secure`, `Path=/` and no `Domain`.
pub(super) const COOKIE: &str = "__Host-qimate";
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// What needs nobody: they are how somebody gets in.
const OPEN: [(Method, &str); 2] = [(Method::POST, "/admin/api/session"), (Method::POST, "/admin/api/invitation")];

/// Lets through who may, and names every answer. Where there is no operator, there is nothing.
pub(super) async fn guarded(State(here): State<Administration>, request: Request, next: Next) -> Response {
    if !here.admin.is_open() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let (mut parts, body) = request.into_parts();
    let address = from::address(&parts, &here.proxies);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let mut response = match admit(&here, &mut parts) {
        Ok(()) => {
            let operator = parts.extensions.get::<Operator>().cloned();
            let response = next.run(Request::from_parts(parts, body)).await;
            // Who got in by a password or a code is told where that is looked at.
            if let Some(Operator { name, by, .. }) = operator {
                let (status, path) = (response.status().as_u16(), shown(&path));
                info!(request.id = %id, operator = %name, by = %by.id(), %method, path, status, %address, "an operator asked");
            }
            response
        }
        // Not its path: it may hold what was meant for a header.
        Err(problem) => {
            info!(request.id = %id, reason = problem.code(), %method, %address, "refused an operator's request");
            problem.into_response()
        }
    };
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::try_from(id) {
        headers.insert(HeaderName::from_static("x-request-id"), id);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The beginning of a path, as the log has it.
fn shown(path: &str) -> &str {
    const MOST: usize = 120;
    &path[..path.floor_char_boundary(MOST)]
}

fn admit(here: &Administration, parts: &mut Parts) -> Result<(), Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let is_told = ["qmo_", "qms_", "qmi_", "password="].iter().any(|secret| query.contains(secret));
    if is_told || holds_secret(parts.uri.path()) {
        return Err(Problem::secret_in_url());
    }
    let origin = parts.headers.get(header::ORIGIN);
    if OPEN.iter().any(|(method, path)| parts.method == *method && parts.uri.path() == *path) {
        // Another page must not log somebody in as somebody else. Programs send no Origin.
        return if origin.is_none_or(|origin| is_own(origin, &parts.headers, here.public_url.as_deref())) {
            Ok(())
        } else {
            Err(Problem::other_origin())
        };
    }
    let operator = if parts.headers.contains_key(header::AUTHORIZATION) {
        // No page can make a browser send this.
        here.admin.by_token(bearer(&parts.headers)?)?
    } else {
        let operator = here.admin.by_session(&cookie(&parts.headers)?)?;
        if !parts.method.is_safe() {
            if !origin.is_some_and(|origin| is_own(origin, &parts.headers, here.public_url.as_deref())) {
                return Err(Problem::other_origin());
            }
            brings_csrf(&operator, &parts.headers)?;
        }
        operator
    };
    parts.extensions.insert(operator);
    Ok(())
}

/// Whether a part of a path begins as what we give out as a secret: a prefix, an id, and more.
fn holds_secret(path: &str) -> bool {
    let begins_so = |part: &str| {
        let prefixes = ["qm_", "qmo_", "qms_", "qmi_"];
        let rest = prefixes.iter().find_map(|prefix| part.strip_prefix(prefix));
        rest.and_then(|rest| rest.split_once('_')).is_some_and(|(id, _)| KeyId::parse(id).is_ok())
    };
    path.split('/').any(begins_so)
}

fn bearer(headers: &HeaderMap) -> Result<&str, Problem> {
    let mut given = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (given.next(), given.next()) else { return Err(Problem::nobody()) };
    let value = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = value.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
    token.ok_or_else(Problem::nobody)
}

/// The one that there is: of two it is not known whose each is.
pub(super) fn cookie(headers: &HeaderMap) -> Result<String, Problem> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = pairs.filter(|(name, _)| *name == COOKIE).map(|(_, value)| value);
    match (ours.next(), ours.next()) {
        (Some(session), None) => Ok(session.to_owned()),
        _ => Err(Problem::nobody()),
    }
}

fn brings_csrf(operator: &Operator, headers: &HeaderMap) -> Result<(), Problem> {
    let By::Session { csrf, .. } = &operator.by else { return Ok(()) };
    let given = headers.get(&CSRF).map_or(&[][..], HeaderValue::as_bytes);
    if given.ct_eq(csrf.expose().as_bytes()).into() { Ok(()) } else { Err(Problem::no_csrf()) }
}

/// Whether a page is ours: of the address that is configured, or of the one that was asked. Plain HTTP counts on this
/// machine alone: browsers keep the cookie for HTTPS, and who can change plain HTTP could make any page there.
pub(in crate::web) fn is_own(origin: &HeaderValue, headers: &HeaderMap, public_url: Option<&str>) -> bool {
    let Ok(origin) = origin.to_str() else { return false };
    if public_url.is_some_and(|ours| ours.eq_ignore_ascii_case(origin)) {
        return true;
    }
    let mut hosts = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (hosts.next().and_then(|host| host.to_str().ok()), hosts.next()) else { return false };
    match origin.split_once("://") {
        Some(("https", theirs)) => theirs.eq_ignore_ascii_case(host),
        Some(("http", theirs)) => theirs.eq_ignore_ascii_case(host) && is_this_machine(theirs),
        _ => false,
    }
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Who asks, whatever they may.
impl<S: Sync> FromRequestParts<S> for Operator {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(Problem::nobody)
    }
}

/// Whoever asks may do what `N` says: a handler that has one among its arguments is called for nobody else. Who it is
/// says [`Operator`].
#[derive(Debug)]
pub(super) struct May<N>(PhantomData<N>);

/// What a handler needs.
pub(super) trait Needs {
    /// This.
    const SCOPE: Scope;
}

impl<S: Sync, N: Needs> FromRequestParts<S> for May<N> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let operator = Operator::from_request_parts(parts, state).await?;
        if let Err(refused) = operator.may(N::SCOPE) {
            info!(operator = %operator.name, by = %operator.by.id(), scope = N::SCOPE.as_str(), "refused an operator's request");
            return Err(refused.into());
        }
        Ok(Self(PhantomData))
    }
}

/// [`Scope::Read`]
#[derive(Debug)]
pub(super) enum Read {}

impl Needs for Read {
    const SCOPE: Scope = Scope::Read;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_few_names() {
        for (host, is_it) in [
            ("localhost", true),
            ("localhost:8080", true),
            ("127.0.0.1:80", true),
            ("[::1]", true),
            ("[::1]:80", true),
            ("127.0.0.1.example.com", false),
            ("localhost.example.com:80", false),
            ("example.com", false),
        ] {
            assert_eq!(is_this_machine(host), is_it, "{host}");
        }
    }
}
