//! Whether messages get through to WeCom and, where they do not, why and since when: for whoever watches over the whole.
//! The gate decides who may try; this only remembers what came of it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{
    clock::{Clock, Timestamp},
    wecom::client::SendError,
};

/// What the last attempts tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// WeCom answers about messages, or nothing was sent yet.
    Open {
        /// Since when.
        since: Timestamp,
    },
    /// Nothing gets through.
    Blocked {
        /// Since when, whatever the reason was first.
        since: Timestamp,
        /// Why, as of the last attempt.
        reason: Block,
    },
}

/// Why nothing gets through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// WeCom refuses the application.
    Refused {
        /// WeCom's number for it.
        errcode: i64,
        /// What mends it.
        remedy: Option<&'static str>,
    },
    /// WeCom does not trust the address that it saw.
    Address(Option<String>),
    /// WeCom does not answer, or not in a way that tells whether it took the message.
    Unreachable,
    /// WeCom wants fewer calls.
    SlowDown,
}

impl Block {
    /// Why nothing gets through; `None` where WeCom has answered about the message itself.
    pub(super) fn of(error: &SendError) -> Option<Self> {
        Some(match error {
            SendError::SlowDown { .. } => Self::SlowDown,
            SendError::IpRefused { address } => Self::Address(address.clone()),
            SendError::Misconfigured { refusal } => {
                Self::Refused { errcode: refusal.errcode.0, remedy: refusal.errcode.remedy() }
            }
            SendError::Unreachable { .. } | SendError::Unsure { .. } => Self::Unreachable,
            SendError::Busy { .. }
            | SendError::Unknown { .. }
            | SendError::BadRecipient { .. }
            | SendError::Refused { .. } => return None,
        })
    }
}

/// Remembers it.
#[derive(Debug)]
pub(super) struct Ways {
    clock: Clock,
    way: Mutex<Way>,
}

impl Ways {
    pub(super) fn new(clock: Clock) -> Self {
        let way = Mutex::new(Way::Open { since: clock.now() });
        Self { clock, way }
    }

    pub(super) fn get(&self) -> Way {
        self.lock().clone()
    }

    pub(super) fn open(&self) {
        let mut way = self.lock();
        if matches!(*way, Way::Blocked { .. }) {
            *way = Way::Open { since: self.clock.now() };
        }
    }

    pub(super) fn close(&self, reason: Block) {
        let mut way = self.lock();
        let since = match *way {
            Way::Open { .. } => self.clock.now(),
            Way::Blocked { since, .. } => since,
        };
        *way = Way::Blocked { since, reason };
    }

    fn lock(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
