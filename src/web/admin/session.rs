//! Logging in and out, and passwords.

use axum::{
    Json, Router,
    extract::{FromRequestParts, Path, State},
    http::{HeaderName, HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Administration,
    body::Body,
    guard::{self, COOKIE},
    me,
    problem::Problem,
};
use crate::{
    admin::{By, Caller, Operator, Refused},
    model::{
        key::KeyId,
        operator::{Scope, Session},
    },
    secret::Secret,
};

pub(super) fn routes() -> Router<Administration> {
    Router::new()
        .route("/admin/api/session", routing::post(login).delete(logout))
        .route("/admin/api/sessions", routing::get(sessions))
        .route("/admin/api/sessions/{id}", routing::delete(end))
        .route("/admin/api/invitation", routing::post(invitation))
        .route("/admin/api/password", routing::post(password))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    name: String,
    password: String,
}

async fn login(
    State(here): State<Administration>,
    before: Before,
    from: Caller,
    Body(Credentials { name, password }): Body<Credentials>,
) -> Result<Response, Problem> {
    let (operator, session) = here.admin.login(&name, &Secret::new(password), &from).await?;
    // The browser forgets its cookie of before: what that opens must not stay open.
    if let Some(before) = before.0 {
        here.admin.logout(&before).await?;
    }
    let body = Json(me::in_json(&operator));
    Ok((StatusCode::CREATED, [(header::SET_COOKIE, cookie(session.expose(), "")?)], body).into_response())
}

/// Whose session the browser has that logs in, if any.
struct Before(Option<Operator>);

impl FromRequestParts<Administration> for Before {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, here: &Administration) -> Result<Self, Problem> {
        let session = guard::cookie(&parts.headers).ok();
        Ok(Self(session.and_then(|session| here.admin.by_session(&session).ok())))
    }
}

async fn logout(State(here): State<Administration>, operator: Operator) -> Result<Response, Problem> {
    here.admin.logout(&operator).await?;
    without_cookie()
}

/// One's own.
async fn sessions(State(here): State<Administration>, operator: Operator) -> Result<Json<Value>, Problem> {
    may_see_sessions(&operator)?;
    let shown = |session: &Session| {
        json!({
            "id": session.id.as_str(), "created_ms": session.created_at.as_millis(),
            "used_ms": session.used_at.as_millis(), "expires_ms": session.ends_at().as_millis(),
            "address": session.address, "agent": session.agent, "current": *operator.by.id() == session.id,
        })
    };
    let items: Vec<Value> = here.admin.sessions(&operator).iter().map(shown).collect();
    Ok(Json(json!({ "items": items })))
}

async fn end(
    State(here): State<Administration>,
    operator: Operator,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    may_see_sessions(&operator)?;
    let id = KeyId::parse(&id).map_err(|_| Refused::NotThere)?;
    here.admin.end_session(&operator, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whoever logged in; a token needs a word for it.
fn may_see_sessions(operator: &Operator) -> Result<(), Refused> {
    match operator.by {
        By::Session { .. } => Ok(()),
        By::Token { .. } => operator.may(Scope::Operators),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Invitation {
    code: String,
    password: String,
}

async fn invitation(
    State(here): State<Administration>,
    from: Caller,
    Body(Invitation { code, password }): Body<Invitation>,
) -> Result<StatusCode, Problem> {
    here.admin.accept_invitation(&Secret::new(code), &Secret::new(password), &from).await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current_password: String,
    password: String,
}

async fn password(
    State(here): State<Administration>,
    operator: Operator,
    from: Caller,
    Body(NewPassword { current_password, password }): Body<NewPassword>,
) -> Result<Response, Problem> {
    here.admin.change_password(&operator, &Secret::new(current_password), &Secret::new(password), &from).await?;
    without_cookie()
}

/// Not the cookies of the whole domain, which are others' too: only ours.
fn without_cookie() -> Result<Response, Problem> {
    let clear = HeaderValue::from_static(r#""cache", "storage""#);
    let headers =
        [(header::SET_COOKIE, cookie("", "; Max-Age=0")?), (HeaderName::from_static("clear-site-data"), clear)];
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Gone when the browser is closed, at the latest.
fn cookie(value: &str, more: &str) -> Result<HeaderValue, Problem> {
    let mut cookie =
        HeaderValue::try_from(format!("{COOKIE}={value}; Path=/; Secure; HttpOnly; SameSite=Strict{more}"))
            .map_err(|_| Problem::busy())?;
    cookie.set_sensitive(true);
    Ok(cookie)
}
