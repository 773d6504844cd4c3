//! How the last questions ended: for whoever watches over the whole.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use super::answer::Outcome;
use crate::{clock::Timestamp, llm::error::Error};

/// How many are remembered.
const REMEMBERED: usize = 64;

/// How a question ended, by who can mend it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model answered, were it only that it will not or cannot go on.
    Answered,
    /// The model refused the API key.
    KeyRefused,
    /// The account at the provider has nothing left.
    NoCredit,
    /// The settings make no request that the model takes.
    Misconfigured,
    /// The model could not be reached, failed, or refused for another reason.
    ModelFailed,
    /// The model finished without a word, or a worker broke.
    OtherwiseFailed,
}

impl End {
    /// What an outcome says about the whole; `None` where it says nothing: the member stopped it, or may not ask.
    pub(super) const fn of(outcome: &Outcome) -> Option<Self> {
        let error = match outcome {
            Outcome::Complete | Outcome::TooLong | Outcome::Filtered => return Some(Self::Answered),
            Outcome::Stopped | Outcome::Quota(_) => return None,
            Outcome::Empty => return Some(Self::OtherwiseFailed),
            Outcome::Model(error) => error,
        };
        Some(match error {
            // The model works; this conversation is too long for it, or this question is not for it.
            Error::TooLong | Error::ContentFiltered => Self::Answered,
            Error::Unauthorized { .. } => Self::KeyRefused,
            Error::QuotaExhausted { .. } => Self::NoCredit,
            Error::Misconfigured { .. } | Error::ModelNotFound { .. } => Self::Misconfigured,
            Error::RateLimited { .. }
            | Error::Rejected { .. }
            | Error::Upstream { .. }
            | Error::Unreachable(_)
            | Error::FirstDeltaTimeout
            | Error::GapTimeout
            | Error::AnswerTimeout
            | Error::Cut { .. }
            | Error::Garbage { .. }
            | Error::StreamError { .. } => Self::ModelFailed,
        })
    }
}

/// The ends of the last questions. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Outcomes(Arc<Mutex<VecDeque<(Timestamp, End)>>>);

impl Outcomes {
    /// One more.
    pub(super) fn add(&self, at: Timestamp, end: End) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if last.len() == REMEMBERED {
            last.pop_front();
        }
        last.push_back((at, end));
    }

    /// All that are remembered, oldest first.
    pub fn recent(&self) -> Vec<(Timestamp, End)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }
}
