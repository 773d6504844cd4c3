//! How an answer ended, and what that means to the member, to the figures and to the alerts.

use super::{seeing::Unseen, texts::Failure};
use crate::{alert::observation::End, llm::error::Error, meter::allowances::Refusal, metrics::TurnResult};

/// How an answer ended.
#[derive(Debug)]
pub enum Outcome {
    /// The model finished.
    Complete,
    /// The model reached the length limit.
    TooLong,
    /// The member stopped it.
    Stopped,
    /// The model finished without a word.
    Empty,
    /// The provider's content filter cut in.
    Filtered,
    /// The rules of this house keep the question from the model.
    Refused,
    /// The rules of this house hold back the rest of the answer.
    Withheld,
    /// The member's model does not see pictures, or refuses these.
    Blind,
    /// A picture of the question is kept no longer.
    Gone,
    /// The member may not use more for now.
    Quota(Refusal),
    /// The model failed.
    Model(Error),
}

impl Outcome {
    /// Of an answer that did not begin.
    pub(super) fn of(error: Error) -> Self {
        match error {
            Error::Withheld => Self::Refused,
            error => Self::Model(error),
        }
    }

    /// Of an answer of which a piece may not be shown.
    pub(super) fn behind(error: Error) -> Self {
        match error {
            Error::Withheld => Self::Withheld,
            error => Self::Model(error),
        }
    }

    /// What the member must be told about it.
    pub const fn failure(&self) -> Option<Failure<'_>> {
        match self {
            // Of the allowance there is more to say than a sentence.
            Self::Complete | Self::Stopped | Self::Quota(_) => None,
            Self::TooLong => Some(Failure::TooLong),
            Self::Empty => Some(Failure::Empty),
            Self::Filtered => Some(Failure::Filtered),
            Self::Refused => Some(Failure::Refused),
            Self::Withheld => Some(Failure::Withheld),
            Self::Blind => Some(Failure::Blind),
            Self::Gone => Some(Failure::Unseen(&Unseen::Gone)),
            Self::Model(error) => Some(Failure::Model(error)),
        }
    }

    /// What is counted for it.
    pub const fn result(&self) -> TurnResult {
        match self {
            Self::Complete => TurnResult::Answered,
            Self::TooLong => TurnResult::LengthLimit,
            Self::Stopped => TurnResult::Stopped,
            Self::Empty => TurnResult::Empty,
            Self::Filtered => TurnResult::Filtered,
            Self::Refused | Self::Withheld => TurnResult::Withheld,
            Self::Blind | Self::Gone => TurnResult::Unseen,
            Self::Quota(_) => TurnResult::Quota,
            Self::Model(_) => TurnResult::Model,
        }
    }

    /// What it says about the whole, for the alerts; `None` where it says nothing: the member stopped it, or may not ask.
    pub const fn end(&self) -> Option<End> {
        let error = match self {
            Self::Complete | Self::TooLong | Self::Filtered => return Some(End::Answered),
            Self::Stopped | Self::Refused | Self::Withheld | Self::Blind | Self::Gone | Self::Quota(_) => {
                return None;
            }
            Self::Empty => return Some(End::OtherwiseFailed),
            Self::Model(error) => error,
        };
        Some(match error {
            // The model works; this conversation is too long for it, or this question is not for it.
            Error::TooLong | Error::ContentFiltered | Error::Withheld => End::Answered,
            Error::Unauthorized { .. } => End::KeyRefused,
            Error::QuotaExhausted { .. } => End::NoCredit,
            Error::Misconfigured { .. } | Error::ModelNotFound { .. } => End::Misconfigured,
            Error::RateLimited { .. }
            | Error::Rejected { .. }
            | Error::Upstream { .. }
            | Error::Unreachable(_)
            | Error::FirstDeltaTimeout
            | Error::GapTimeout
            | Error::AnswerTimeout
            | Error::Cut { .. }
            | Error::Garbage { .. }
            | Error::StreamError { .. } => End::ModelFailed,
        })
    }
}
