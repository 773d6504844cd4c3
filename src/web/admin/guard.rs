//! Who is let in: a program by its token, a browser by its session.
//!
//! Every address below `/admin/api` is behind this. What an address needs stands in its [`Route`]; where there is none,
//! nobody but an operator hears that.

use std::sync::Arc;

use axum::{
    extract::{FromRequestParts, MatchedPath, Query, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use subtle::ConstantTimeEq;
use tracing::info;

use super::{
    Administration, condition, once,
    problem::Problem,
    route::{Needs, Route},
};
use crate::{
    admin::{By, Operator},
    model::key::KeyId,
    web::v1::from,
};

/// What the browser keeps. `__Host-` holds browsers to `Secure`, `Path=/` and no `Domain`.
pub(super) const COOKIE: &str = "__Host-qimate";
const CSRF: HeaderName = HeaderName::from_static("x-csrf-token");

/// What the guard knows of an address.
#[derive(Clone, Debug)]
struct Rule {
    needs: Needs,
    parameters: Vec<&'static str>,
    compares: bool,
    /// Whether it changes something by an `Ask`.
    changes: bool,
    is_once: bool,
}

/// The guard, with what it knows of every address.
#[derive(Clone, Debug)]
pub(super) struct Guard {
    here: Administration,
    /// Few enough to be looked through.
    rules: Arc<[(Method, &'static str, Rule)]>,
}

impl Guard {
    pub(super) fn new(here: Administration, routes: &[Route]) -> Self {
        let rule = |route: &Route| Rule {
            needs: route.needs,
            parameters: route.parameters(),
            compares: route.compares,
            changes: route.is_asked && !route.method.is_safe(),
            is_once: route.is_once(),
        };
        let rules = routes.iter().map(|route| (route.method.clone(), route.path, rule(route)));
        Self { here, rules: rules.collect() }
    }

    /// Of the address that is asked; `None`: there is none, or not by this method.
    fn rule(&self, parts: &Parts) -> Option<&Rule> {
        let method = if parts.method == Method::HEAD { Method::GET } else { parts.method.clone() };
        let path = parts.extensions.get::<MatchedPath>()?;
        let known = self.rules.iter().find(|(of, known, _)| *of == method && *known == path.as_str());
        known.map(|(_, _, rule)| rule)
    }
}

/// Lets through who may, and names every answer. Where there is no operator, there is nothing.
pub(super) async fn guarded(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let here = &guard.here;
    if !here.admin.is_open() {
        return StatusCode::NOT_FOUND.into_response();
    }
    let id = format!("req_{}", uuid::Uuid::now_v7().simple());
    let (mut parts, body) = request.into_parts();
    let rule = guard.rule(&parts);
    let address = from::address(&parts, &here.proxies);
    let (method, path) = (parts.method.clone(), parts.uri.path().to_owned());
    let mut response = match admit(here, rule, &mut parts) {
        Ok(()) => {
            let operator = parts.extensions.get::<Operator>().cloned();
            let answered = match rule.map_or(Ok(()), |rule| is_allowed(rule, &parts)) {
                Ok(()) => answered(here, rule, Request::from_parts(parts, body), next).await,
                Err(problem) => Err(problem),
            };
            let response = answered.unwrap_or_else(IntoResponse::into_response);
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

async fn answered(
    here: &Administration,
    rule: Option<&Rule>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Some(rule) = rule.filter(|rule| rule.changes) {
        return once::carried_out(here, rule.is_once, request, next).await;
    }
    let (is_safe, asked) = (request.method().is_safe(), request.headers().clone());
    let response = next.run(request).await;
    Ok(if is_safe { condition::unless_known(&asked, response) } else { response })
}

/// The beginning of a path, as the log has it.
fn shown(path: &str) -> &str {
    const MOST: usize = 120;
    &path[..path.floor_char_boundary(MOST)]
}

fn admit(here: &Administration, rule: Option<&Rule>, parts: &mut Parts) -> Result<(), Problem> {
    let query = parts.uri.query().unwrap_or_default();
    let is_told = ["qmo_", "qms_", "qmi_", "password="].iter().any(|secret| query.contains(secret));
    if is_told || holds_secret(parts.uri.path()) {
        return Err(Problem::secret_in_url());
    }
    let needs = rule.map_or(Needs::Login, |rule| rule.needs);
    let origin = parts.headers.get(header::ORIGIN);
    if needs == Needs::Nobody {
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

/// Whether whoever was let in may do this, and asks for nothing that would be passed over: a slip of the finger must not
/// show everything, nor change what is another than was seen.
fn is_allowed(rule: &Rule, parts: &Parts) -> Result<(), Problem> {
    if let Needs::Scope(scope) = rule.needs {
        let operator = parts.extensions.get::<Operator>().ok_or_else(Problem::nobody)?;
        operator.may(scope).inspect_err(|_| {
            let (name, by) = (&operator.name, operator.by.id());
            info!(operator = %name, %by, scope = scope.as_str(), "refused an operator's request");
        })?;
    }
    if let Ok(Query(query)) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        && let Some((name, _)) = query.iter().find(|(name, _)| !rule.parameters.contains(&name.as_str()))
    {
        let known = rule.parameters.join(", ");
        let known = if known.is_empty() { "none".to_owned() } else { known };
        return Err(Problem::parameter(name, format!("there is no such parameter here; there are: {known}")));
    }
    let compares = [header::IF_MATCH, header::IF_NONE_MATCH].iter().any(|name| parts.headers.contains_key(name));
    if compares && !parts.method.is_safe() && !rule.compares { Err(Problem::not_compared()) } else { Ok(()) }
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
