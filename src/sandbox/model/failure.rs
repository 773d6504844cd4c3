//! The ways in which the demo model fails as long as somebody wants it to, in all that it is asked for.

use super::{ModelReply, Transcript, made::Made};

/// What comes instead of what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// HTTP 500.
    Error,
    /// HTTP 429: too many requests.
    Busy,
    /// HTTP 401: the key is refused.
    WrongKey,
    /// Nothing, for ever.
    Silent,
}

impl Failure {
    /// Status and body; `None`: there is no answer.
    fn refusal(self) -> Option<(u16, String)> {
        let (status, kind, message) = match self {
            Self::Error => (500, "server_error", "the demo model was told to fail"),
            Self::Busy => (429, "rate_limit_exceeded", "the demo model was told to be busy"),
            Self::WrongKey => (401, "invalid_api_key", "the demo model was told to refuse the key"),
            Self::Silent => return None,
        };
        Some((status, format!(r#"{{"error":{{"message":"{message}","type":"{kind}","code":"{kind}"}}}}"#)))
    }

    pub(super) fn reply(self) -> ModelReply {
        self.refusal().map_or(ModelReply::Hang, |(status, body)| ModelReply::status(status, body))
    }

    pub(super) fn made(self) -> Made {
        self.refusal().map_or(Made::Hang, |(status, body)| Made::Status(status, body))
    }

    pub(super) fn transcript(self) -> Transcript {
        self.refusal().map_or(Transcript::Hang, |(status, body)| Transcript::Status(status, body))
    }
}
