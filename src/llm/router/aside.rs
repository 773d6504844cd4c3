//! What waits for a person: a key that is refused, an account without credit, a model that is not there.

use std::sync::Arc;

use crate::{clock::Timestamp, llm::error::Error};

/// What somebody has to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The key is refused.
    KeyRefused,
    /// The account has nothing left.
    NoCredit,
    /// There is no such model, or a setting makes no request.
    Settings,
}

impl Trouble {
    /// A word that never changes.
    pub const fn word(self) -> &'static str {
        match self {
            Self::KeyRefused => "key_refused",
            Self::NoCredit => "no_credit",
            Self::Settings => "settings",
        }
    }

    pub(super) const fn of(error: &Error) -> Option<Self> {
        match error {
            Error::Unauthorized { .. } => Some(Self::KeyRefused),
            Error::QuotaExhausted { .. } => Some(Self::NoCredit),
            Error::ModelNotFound { .. } | Error::Misconfigured { .. } => Some(Self::Settings),
            _ => None,
        }
    }
}

/// A route that waits for somebody to mend it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The upstream.
    pub upstream: Arc<str>,
    /// Which of its keys, counted from 1.
    pub key: usize,
    /// The model's alias.
    pub alias: Arc<str>,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub trouble: Trouble,
}
