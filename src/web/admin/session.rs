//! Logging in and out, and passwords.

use axum::{
    Json,
    extract::{FromRequestParts, State},
    http::{HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse, Response},
    routing,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    Administration,
    answer::{Gone, Page},
    ask::Ask,
    body::Body,
    guard::{self, COOKIE},
    problem::Problem,
    route::{Needs, Route, schema_of},
};
use crate::{
    admin::{
        By, Caller, Operator, Refused,
        shown::{Enrolment, Me, Session},
    },
    model::{key::KeyId, operator::Scope},
    secret::Secret,
};

pub(super) fn routes() -> Vec<Route> {
    let login_says = "Logs in. Sets the cookie `__Host-qimate`, and answers as `/admin/api/me` does. Where a second \
                      factor is required (`admin.second_factor`), `code` is that of the authenticator app: good for its \
                      thirty seconds and the thirty after, and once.";
    let invitation_says = "Sets the password of who has the code. All their sessions end. Where a second factor is required, \
                           it is set up too, and shown this once.";
    let password_says = "Changes the password. All sessions end, the one that asks too; a token may not do this.";
    vec![
        Route::plain(Method::POST, "/admin/api/session", Needs::Nobody, ("login", login_says), routing::post(login))
            .taking::<Credentials>()
            .answering(201, "logged in", Some(schema_of::<Me>)),
        Route::plain(
            Method::DELETE,
            "/admin/api/session",
            Needs::Login,
            ("logout", "Logs out. A token may not do this."),
            routing::delete(logout),
        )
        .answering(204, "logged out", None),
        Route::get(
            "/admin/api/sessions",
            Needs::Login,
            ("listSessions", "One's own open sessions, oldest first. A token needs the scope `operators`."),
            sessions,
        ),
        Route::delete(
            "/admin/api/sessions/{id}",
            Needs::Login,
            ("endSession", "Ends one of one's own sessions. A token needs the scope `operators`."),
            end,
        ),
        Route::plain(
            Method::POST,
            "/admin/api/invitation",
            Needs::Nobody,
            ("acceptInvitation", invitation_says),
            routing::post(invitation),
        )
        .taking::<Invitation>()
        .answering(200, "the password and the second factor are set", Some(schema_of::<Enrolment>))
        .answering(204, "the password is set, and no second factor is asked for", None),
        Route::plain(
            Method::POST,
            "/admin/api/password",
            Needs::Login,
            ("changePassword", password_says),
            routing::post(password),
        )
        .taking::<NewPassword>()
        .answering(204, "the password is another", None),
    ]
}

/// Who logs in.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Credentials {
    /// The operator's name.
    name: String,
    /// Their password.
    password: String,
    /// The six digits that their authenticator app shows. Not looked at where `admin.second_factor` is `off`.
    #[serde(default)]
    code: Option<String>,
}

async fn login(
    State(here): State<Administration>,
    before: Before,
    from: Caller,
    Body(Credentials { name, password, code }): Body<Credentials>,
) -> Result<Response, Problem> {
    let (operator, session) =
        here.admin.login(&name, &Secret::new(password), code.map(Secret::new).as_ref(), &from).await?;
    // The browser forgets its cookie of before: what that opens must not stay open.
    if let Some(before) = before.0 {
        here.admin.logout(&before).await?;
    }
    let body = Json(Me::of(&operator));
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

async fn sessions(ask: Ask) -> Result<Page<Session>, Problem> {
    may_see_sessions(&ask.operator)?;
    let paging = ask.paging("sessions")?;
    // Of one moment there may be several.
    let place = |session: &Session| format!("{:020}{}", session.created_ms, session.id);
    let mut found: Vec<Session> =
        ask.here.admin.sessions(&ask.operator).iter().map(|session| Session::of(session, &ask.operator)).collect();
    found.sort_by_key(place);
    let found = found.into_iter().filter(|session| paging.after.as_ref().is_none_or(|after| place(session) > *after));
    Ok(paging.page(found, place, |session| session))
}

async fn end(ask: Ask) -> Result<Gone, Problem> {
    may_see_sessions(&ask.operator)?;
    let id = KeyId::parse(ask.path("id")?).map_err(|_| Refused::NotThere)?;
    ask.here.admin.end_session(&ask.operator, &id).await?;
    Ok(Gone)
}

/// Whoever logged in; a token needs a word for it.
fn may_see_sessions(operator: &Operator) -> Result<(), Refused> {
    match operator.by {
        By::Session { .. } => Ok(()),
        By::Token { .. } => operator.may(Scope::Operators),
    }
}

/// A password for who has a code.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Invitation {
    /// What `qimate operator create` or `reset` showed.
    code: String,
    /// 12 characters or more.
    password: String,
}

async fn invitation(
    State(here): State<Administration>,
    from: Caller,
    Body(Invitation { code, password }): Body<Invitation>,
) -> Result<Response, Problem> {
    let new = here.admin.accept_invitation(&Secret::new(code), &Secret::new(password), &from).await?;
    Ok(match new {
        Some(new) => Json(Enrolment::from(new)).into_response(),
        None => StatusCode::NO_CONTENT.into_response(),
    })
}

/// Another password.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    /// The one of now.
    current_password: String,
    /// 12 characters or more.
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
