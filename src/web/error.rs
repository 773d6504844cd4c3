//! Answers for what went wrong: the one place that turns errors into status codes.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};

use crate::wecom::{callback::Rejection, echo};

/// Why a callback was not taken.
#[derive(Debug)]
pub(super) enum Refused {
    /// It is not a callback of this application.
    Rejected(Rejection),
    /// It is longer than any callback.
    TooLarge,
    /// It did not arrive in time, or broke off.
    Incomplete,
    /// Too many large bodies are being read.
    Busy,
    /// It could not be saved. WeCom sends it again.
    NotSaved,
}

impl Refused {
    /// A word that never changes, for the log and for counting.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::Rejected(rejection) => rejection.reason(),
            Self::TooLarge => "too_large",
            Self::Incomplete => "incomplete",
            Self::Busy => "busy",
            Self::NotSaved => "not_saved",
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        // The exact reason is in the log: whoever sends forged callbacks learns nothing here, and an administrator who
        // tries the URL by hand learns enough.
        let (status, sentence) = match self {
            Self::Rejected(Rejection::MissingParameter(_)) => {
                (StatusCode::BAD_REQUEST, "not a WeCom callback: a parameter is missing\n")
            }
            Self::Rejected(Rejection::WrongSignature) => (StatusCode::FORBIDDEN, echo::WRONG_SIGNATURE),
            // Behind a signature that matched: whoever reads these two knows the Token already.
            Self::Rejected(Rejection::Undecryptable(_) | Rejection::PreviousUndecryptable(_)) => {
                (StatusCode::BAD_REQUEST, echo::WRONG_KEY)
            }
            Self::Rejected(Rejection::OtherReceiver { .. }) => (StatusCode::BAD_REQUEST, echo::WRONG_CORP),
            Self::Rejected(Rejection::OtherAgent { .. }) => (StatusCode::BAD_REQUEST, "for another application\n"),
            Self::Rejected(_) => (StatusCode::BAD_REQUEST, "not a callback that can be read\n"),
            Self::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "larger than any callback\n"),
            Self::Incomplete => (StatusCode::REQUEST_TIMEOUT, "the request did not arrive in time\n"),
            Self::Busy => (StatusCode::SERVICE_UNAVAILABLE, "too much at once, send it again\n"),
            Self::NotSaved => (StatusCode::SERVICE_UNAVAILABLE, "cannot be saved at the moment, send it again\n"),
        };
        (status, sentence).into_response()
    }
}
