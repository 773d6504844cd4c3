//! Why a program is not answered, in OpenAI's envelope: the one place that turns this into status codes.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::Programs;
use crate::{
    api::{Fault, Refused},
    model::quota::{
        amounts::{Measure, show_money},
        book::Exceeded,
        subject::Subject,
    },
};

/// As many seconds are worth a client's own trying again; where a limit takes longer, it is told not to.
const SOON: u64 = 60;

/// What is answered instead.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    kind: &'static str,
    code: &'static str,
    param: Option<&'static str>,
    message: String,
    headers: Box<HeaderMap>,
}

const INVALID: &str = "invalid_request_error";
const SERVER: &str = "server_error";

impl Refusal {
    fn new(status: StatusCode, kind: &'static str, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, kind, code, param: None, message: message.into(), headers: Box::default() }
    }

    /// A word that never changes, for the log.
    pub(super) const fn reason(&self) -> &'static str {
        self.code
    }

    pub(super) fn no_key() -> Self {
        let message = "no API key was given; send it as one header 'Authorization: Bearer qm_...'";
        Self::new(StatusCode::UNAUTHORIZED, INVALID, "invalid_api_key", message)
    }

    pub(super) fn key_in_url() -> Self {
        let message = "a key does not belong into the address, which every proxy on the way writes down; send it in the \
                       header 'Authorization: Bearer ...', and rotate this one";
        Self::new(StatusCode::UNAUTHORIZED, INVALID, "key_in_url", message)
    }

    pub(super) fn no_such_address() -> Self {
        let message = "there is no such address; there are POST /v1/chat/completions, /v1/responses, /v1/embeddings, \
                       /v1/images/generations, /v1/audio/speech and /v1/audio/transcriptions, and GET /v1/models, GET /v1/models/{id} and GET /v1/me";
        Self::new(StatusCode::NOT_FOUND, INVALID, "unknown_url", message)
    }

    pub(super) fn method() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, INVALID, "method_not_allowed", "this address takes another method")
    }

    pub(super) fn too_large(most: usize) -> Self {
        let message = format!("the request is larger than {} MiB (v1.max_body_mib)", most / 1024 / 1024);
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, INVALID, "request_too_large", message)
    }

    pub(super) fn too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, INVALID, "request_timeout", "the request did not arrive in time")
    }

    pub(super) fn encoded() -> Self {
        let message = "the body is compressed; send it as it is";
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, INVALID, "unsupported_encoding", message)
    }

    pub(super) fn full() -> Self {
        let message = "too many requests are under way, or too large ones; try again";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "overloaded", message).after(Duration::from_secs(1))
    }

    /// What `refused` is in this language.
    pub(super) fn of(refused: Refused, programs: &Programs) -> Self {
        match refused {
            Refused::Malformed | Refused::Unknown => Self::new(
                StatusCode::UNAUTHORIZED,
                INVALID,
                "invalid_api_key",
                "the API key is not one of this service; `qimate key list` shows those that there are",
            ),
            Refused::NoLongerGood(standing) => {
                let message = format!("the API key is {}; ask for a new one", standing.as_str());
                Self::new(StatusCode::UNAUTHORIZED, INVALID, "invalid_api_key", message)
            }
            Refused::Address(from) => {
                let message = format!("the API key is not for calls from {from}");
                Self::new(StatusCode::FORBIDDEN, INVALID, "ip_not_allowed", message)
            }
            Refused::Owner => {
                let message = "the member whose key this is may ask nothing at the moment; ask the administrator";
                Self::new(StatusCode::FORBIDDEN, INVALID, "owner_not_allowed", message)
            }
            Refused::Endpoint(endpoint) => {
                let message = format!("the API key is not for this address (missing scope: {})", endpoint.as_str());
                Self::new(StatusCode::FORBIDDEN, INVALID, "missing_scope", message)
            }
            Refused::Model(model) => {
                let model: String = model.chars().filter(|c| !c.is_control()).take(100).collect();
                let message = format!("The model `{model}` does not exist or you do not have access to it.");
                Self::new(StatusCode::NOT_FOUND, INVALID, "model_not_found", message).about("model")
            }
            Refused::NotSet(setting) => {
                let message = format!("no model is set up for this address; the administrator names one in {setting}");
                Self::new(StatusCode::NOT_FOUND, INVALID, "not_configured", message)
            }
            Refused::Body(invalid) => {
                let refusal = Self::new(StatusCode::BAD_REQUEST, INVALID, "invalid_request", invalid.message);
                Self { param: invalid.field, ..refusal }
            }
            Refused::Limit(exceeded) => Self::limit(&exceeded, programs),
            Refused::Busy { subject, concurrent } => {
                let message =
                    format!("{concurrent} requests {} at once are under way, and no more may be", whose(&subject));
                Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded", message)
                    .after(Duration::from_secs(1))
            }
            Refused::Right { subject, right } => {
                let message = format!("the plan {} is without {}", whose(&subject), right.as_str());
                Self::new(StatusCode::FORBIDDEN, INVALID, "not_in_plan", message)
            }
            Refused::Withheld => {
                let message = "The request was refused by the rules for what may be asked and answered.";
                Self::new(StatusCode::BAD_REQUEST, INVALID, "content_policy_violation", message)
            }
            Refused::Fault(fault) => Self::fault(&fault),
            Refused::Unavailable => {
                let message = "the service cannot answer at the moment; try again";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "unavailable", message).after(Duration::from_secs(2))
            }
        }
    }

    /// The same as an event of a stream.
    pub(super) fn envelope_of(fault: &Fault) -> Value {
        Self::fault(fault).envelope()
    }

    /// Why a model did not answer.
    pub(super) fn fault(fault: &Fault) -> Self {
        match fault {
            Fault::TooLong => Self::new(
                StatusCode::BAD_REQUEST,
                INVALID,
                "context_length_exceeded",
                "the messages are longer than the model's maximum context length",
            )
            .about("messages"),
            Fault::Rejected { status, message } => {
                let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST);
                Self::new(status, INVALID, "rejected_by_model", format!("the model refuses the request: {message}"))
            }
            Fault::RateLimited { retry_after } => {
                let message = "the model's provider is asked too often; try again later";
                Self::new(StatusCode::TOO_MANY_REQUESTS, "requests", "rate_limit_exceeded", message)
                    .after(retry_after.unwrap_or(Duration::from_secs(5)))
            }
            Fault::TooLate => {
                Self::new(StatusCode::GATEWAY_TIMEOUT, SERVER, "upstream_timeout", "the model did not answer in time")
            }
            Fault::Failed => {
                let message = "the model cannot answer at the moment; the administrator's log says why";
                Self::new(StatusCode::BAD_GATEWAY, SERVER, "upstream_failed", message)
            }
            Fault::Cut => {
                let message = "the answer was ended: the key was taken back, or the service stops";
                Self::new(StatusCode::SERVICE_UNAVAILABLE, SERVER, "ended", message)
            }
        }
    }

    /// Which limit, how much of how much, and when there is room again.
    fn limit(exceeded: &Exceeded, programs: &Programs) -> Self {
        let Exceeded { subject, limit, allowed, used, held, resets_at } = exceeded;
        let number = |number: u64| match limit.measure {
            Measure::Money => show_money(number),
            Measure::Requests | Measure::Tokens => number.to_string(),
        };
        let now = programs.clock.now();
        let wait = resets_at.map(|at| at.since(now));
        let again = match (resets_at, wait) {
            (Some(at), Some(wait)) => {
                let at = programs.zone.local(*at);
                format!("; there is room again at {at} ({}, in {})", programs.zone, span(wait))
            }
            _ if *held > 0 => format!("; {} are held by requests under way, try again when they end", number(*held)),
            _ => "; this request does not fit, and time brings no room".to_owned(),
        };
        let (used, allowed_text) = (number(*used), number(*allowed));
        let message = format!("the limit {} {limit} is reached: {used} of {allowed_text} used{again}", whose(subject));
        let measure = limit.measure.as_str();
        let mut refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, measure, "rate_limit_exceeded", message);
        let remaining = allowed.saturating_sub(exceeded.used).saturating_sub(*held);
        refusal.put(&format!("x-ratelimit-limit-{measure}"), &allowed_text);
        refusal.put(&format!("x-ratelimit-remaining-{measure}"), &number(remaining));
        if let Some(wait) = wait {
            refusal.put(&format!("x-ratelimit-reset-{measure}"), &span(wait));
        }
        match wait.or_else(|| (*held > 0).then_some(Duration::from_secs(1))) {
            Some(wait) => refusal.after(wait),
            None => refusal.not_again(),
        }
    }

    fn about(self, param: &'static str) -> Self {
        Self { param: Some(param), ..self }
    }

    /// When it may be tried again.
    fn after(mut self, wait: Duration) -> Self {
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        self.headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        if seconds > SOON { self.not_again() } else { self }
    }

    /// OpenAI's clients try again by themselves, at once, where they are not told otherwise.
    fn not_again(mut self) -> Self {
        self.headers.insert(HeaderName::from_static("x-should-retry"), HeaderValue::from_static("false"));
        self
    }

    fn put(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
    }

    fn envelope(&self) -> Value {
        let Self { kind, code, param, message, .. } = self;
        json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let envelope = self.envelope();
        let mut response = (self.status, *self.headers, Json(envelope)).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

fn whose(subject: &Subject) -> &'static str {
    match subject {
        Subject::Company(_) => "of the company",
        Subject::Department(..) => "of the department",
        Subject::Member(..) => "of the member",
        Subject::Key(..) => "of the key",
    }
}

/// A time as OpenAI writes it: `1h2m3s`.
fn span(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds}s"),
        _ => format!("{hours}h{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_written_as_clients_know_it() {
        for (millis, text) in [(1, "1s"), (59_000, "59s"), (61_000, "1m1s"), (90_061_000, "25h1m1s")] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_client_is_told_not_to_try_again_where_that_is_useless() {
        let soon = Refusal::method().after(Duration::from_millis(500));
        assert_eq!(
            (&soon.headers["retry-after"], soon.headers.contains_key("x-should-retry")),
            (&HeaderValue::from(1), false)
        );
        let late = Refusal::method().after(Duration::from_secs(3600));
        assert_eq!(
            (&late.headers["retry-after"], &late.headers["x-should-retry"]),
            (&HeaderValue::from(3600), &HeaderValue::from_static("false"))
        );
    }
}
