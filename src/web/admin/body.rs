//! Bodies of operators' requests: JSON, bounded, and in time.

use std::time::Duration;

use axum::{
    body::{self, Bytes},
    extract::{FromRequest, Request},
    http::{HeaderMap, StatusCode, header},
};
use serde::de::DeserializeOwned;

use super::{Administration, problem::Problem};
use crate::{admin::Operator, clock::Clock};

/// Bytes of a body of somebody who is let in.
pub(super) const MOST: usize = 256 * 1024;
/// Bytes of a body of a stranger: a name and a password.
const MOST_OF_STRANGERS: usize = 4 * 1024;
/// How long it may take to arrive.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What the body says. Types of bodies refuse fields that they do not know: a slip of the finger must not be a setting
/// that does nothing.
#[derive(Debug)]
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Administration> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, here: &Administration) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            let detail = "send JSON, with the header 'Content-Type: application/json'";
            return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not-json", detail));
        }
        let most = if request.extensions().get::<Operator>().is_some() { MOST } else { MOST_OF_STRANGERS };
        let bytes = read(request.into_body(), most, &here.clock).await?;
        // Of a list it would be taken by their order what its fields are.
        if bytes.trim_ascii_start().first() == Some(&b'[') {
            return Err(Problem::new(StatusCode::BAD_REQUEST, "bad-request", "the body is a list; send an object"));
        }
        serde_json::from_slice(&bytes).map(Self).map_err(|error| wrong(&error))
    }
}

/// All of a body, in time.
pub(super) async fn read(body: axum::body::Body, most: usize, clock: &Clock) -> Result<Bytes, Problem> {
    match clock.timeout(TIMEOUT, body::to_bytes(body, most)).await {
        Ok(Ok(bytes)) => Ok(bytes),
        Ok(Err(_)) => {
            let detail = format!("the body is larger than {most} bytes, or broke off");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", detail))
        }
        Err(_) => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "too-slow", "the body did not arrive in time")),
    }
}

/// Names of fields are told, values are not: one may be a password.
fn wrong(error: &serde_json::Error) -> Problem {
    let said = error.to_string();
    let place = format!("line {}, column {}", error.line(), error.column());
    let tells_names = ["missing field", "unknown field", "duplicate field"].iter().any(|known| said.starts_with(known));
    let detail = match (error.is_data(), tells_names) {
        (true, true) => said,
        (true, false) => format!("a value is of another kind than is expected there, at {place}"),
        (false, _) => format!("the body is no JSON, at {place}"),
    };
    Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail)
}

fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
}
