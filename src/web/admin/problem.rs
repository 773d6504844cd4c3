//! Why an operator is not answered, as RFC 9457 has it: the one place that turns this into status codes.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;
use tracing::error;

use crate::{
    admin::Refused,
    store::{self, terms::Unmet},
};

/// What is answered instead. Each has a `type` that never changes, which programs go by, and a `detail` for people that
/// says what would be right.
#[derive(Debug)]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: String,
    /// Which part of the request is meant.
    part: Option<Part>,
    retry_after: Option<Duration>,
}

/// A part of a request.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "PartOfRequest")]
enum Part {
    /// Of the body, as a JSON pointer such as `/limits/0`.
    Pointer(String),
    /// Of what stands behind the `?`, by its name.
    Parameter(String),
}

/// A problem as it is sent.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Problem")]
pub(super) struct Shown {
    /// What programs go by: it never changes, and begins with `urn:qimate:problem:`.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// For people: what is wrong, and what would be right.
    detail: String,
    /// Which parts of the request are meant.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Part>,
}

impl Problem {
    /// Of this status; `code` is the end of its `type`.
    pub(super) fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), part: None, retry_after: None }
    }

    /// A word that never changes, for the log.
    pub(super) const fn code(&self) -> &'static str {
        self.code
    }

    /// The body, or this part of it (as a JSON pointer such as `/role`), is not what is taken.
    pub(super) fn invalid(pointer: &str, detail: impl Into<String>) -> Self {
        let part = Some(Part::Pointer(pointer.to_owned())).filter(|_| !pointer.is_empty());
        Self { part, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// What stands behind the `?` for `name` is not what is taken.
    pub(super) fn parameter(name: &str, detail: impl Into<String>) -> Self {
        let part = Some(Part::Parameter(name.to_owned()));
        Self { part, ..Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail) }
    }

    /// It cannot be done to what is there.
    pub(super) fn conflict(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "conflict", detail)
    }

    pub(super) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something broke here; the log says what")
    }

    pub(super) fn not_compared() -> Self {
        let detail = "this address does not take If-Match or If-None-Match; leave it out";
        Self::new(StatusCode::BAD_REQUEST, "bad-request", detail)
    }

    pub(super) fn in_progress() -> Self {
        let detail = "the request of this Idempotency-Key is under way; ask again in a moment";
        let retry_after = Some(Duration::from_secs(1));
        Self { retry_after, ..Self::new(StatusCode::CONFLICT, "in-progress", detail) }
    }

    pub(super) fn key_reused() -> Self {
        let detail = "this Idempotency-Key was used for another request; draw a new one for each";
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "key-reused", detail)
    }

    pub(super) fn answer_not_kept() -> Self {
        let detail = "this request was carried out, and is not carried out again; its answer was not kept, so look at \
                      what is there";
        Self::new(StatusCode::CONFLICT, "answer-not-kept", detail)
    }

    /// There is no such thing.
    pub(super) fn not_there(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", detail)
    }

    pub(super) fn no_such_address() -> Self {
        Self::not_there("there is no such address; docs/administration.md lists those that there are")
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", "this address takes another method")
    }

    pub(super) fn nobody() -> Self {
        let detail = "log in, or send a token as 'Authorization: Bearer qmo_...'";
        Self::new(StatusCode::UNAUTHORIZED, "unauthenticated", detail)
    }

    pub(super) fn secret_in_url() -> Self {
        let detail = "a secret does not belong into the address, which every proxy on the way writes down; send it in a \
                      header, and revoke this one";
        Self::new(StatusCode::UNAUTHORIZED, "secret-in-address", detail)
    }

    pub(super) fn other_origin() -> Self {
        let detail =
            "the request comes from a page of another origin than this service (its Host, or server.public_url)";
        Self::new(StatusCode::FORBIDDEN, "other-origin", detail)
    }

    pub(super) fn no_csrf() -> Self {
        let detail = "a request that changes something with a session brings its csrf_token (GET /admin/api/me) in the \
                      header X-CSRF-Token";
        Self::new(StatusCode::FORBIDDEN, "csrf", detail)
    }

    pub(super) fn busy() -> Self {
        let detail = "too much at once; try again";
        Self { retry_after: Some(Duration::from_secs(1)), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", detail) }
    }

    fn too_often(wait: Duration) -> Self {
        let detail = "too many failed; wait as long as Retry-After says and try again";
        Self { retry_after: Some(wait), ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", detail) }
    }
}

impl From<Refused> for Problem {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Unknown => Self::nobody(),
            Refused::Expired => {
                Self::new(StatusCode::UNAUTHORIZED, "expired", "the token's time is over; ask for a new one")
            }
            Refused::Scope(scope) => {
                let detail = format!("this needs the scope '{}'", scope.as_str());
                Self::new(StatusCode::FORBIDDEN, "missing-scope", detail)
            }
            Refused::SessionOnly => {
                Self::new(StatusCode::FORBIDDEN, "session-only", "only who logged in may do this, not a token")
            }
            Refused::Login => {
                let detail = "the name, the password or the code of the second factor is wrong";
                Self::new(StatusCode::UNAUTHORIZED, "login-failed", detail)
            }
            Refused::NoSecondFactor(name) => {
                let detail = format!(
                    "no second factor is set up for this account, and one is required; `qimate operator reset {name}` gives \
                     a code by which the password and the second factor are set"
                );
                Self::new(StatusCode::FORBIDDEN, "no-second-factor", detail)
            }
            Refused::NoMasterKey => {
                let detail = "a second factor is required, and there is no master key under which it would be kept: set \
                              secrets.master_key to what `qimate secrets new-master-key` prints, and start Qimate again; or \
                              set admin.second_factor to \"off\"";
                Self::conflict(detail)
            }
            Refused::Unreadable => {
                let detail = "what is stored of second factors cannot be read; the log says why";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail)
            }
            Refused::Code => {
                let detail =
                    "the code is not good, was used, or its 30 minutes are over; `qimate operator reset` gives another";
                Self::new(StatusCode::FORBIDDEN, "code-refused", detail)
            }
            Refused::Weak(weak) => Self::invalid("/password", weak.to_string()),
            Refused::TooOften(wait) => Self::too_often(wait),
            Refused::Busy => Self::busy(),
            Refused::NotThere => Self::not_there("there is no such session"),
            Refused::Store(error) => Self::from(error),
        }
    }
}

impl From<store::Error> for Problem {
    fn from(cause: store::Error) -> Self {
        if let store::Error::Unmet(unmet) = cause {
            return Self::from(unmet);
        }
        error!(%cause, "an operator could not be answered");
        let detail = "the database cannot be used at the moment; the log says why";
        let retry_after = Some(Duration::from_secs(2));
        Self { retry_after, ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "unavailable", detail) }
    }
}

impl From<Unmet> for Problem {
    fn from(unmet: Unmet) -> Self {
        match unmet {
            Unmet::Changed => {
                let detail = "it is not what was expected: somebody changed, made or removed it meanwhile; look at it \
                              and send its ETag in If-Match";
                Self::new(StatusCode::PRECONDITION_FAILED, "precondition-failed", detail)
            }
            Unmet::Unsaid => {
                let detail = "it is there already; send its ETag in If-Match to change it";
                Self::new(StatusCode::PRECONDITION_REQUIRED, "precondition-required", detail)
            }
            Unmet::DoneBefore => Self::answer_not_kept(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Shown {
            r#type: format!("urn:qimate:problem:{}", self.code),
            title: self.status.canonical_reason().unwrap_or_default().to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
            errors: self.part.into_iter().collect(),
        };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        response
    }
}
