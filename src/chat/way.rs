//! Whether messages get through to WeCom and, where they do not, why and since when: for whoever watches over the whole.
//! The gate decides who may try; this only remembers what came of it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

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
    /// Why nothing gets through; `None` where WeCom has answered about the message itself, or not at all.
    pub(super) fn of(error: &SendError) -> Option<Self> {
        Some(match error {
            SendError::SlowDown { .. } => Self::SlowDown,
            SendError::IpRefused { address } => Self::Address(address.clone()),
            SendError::Misconfigured { refusal } => {
                Self::Refused { errcode: refusal.errcode.0, remedy: refusal.errcode.remedy() }
            }
            SendError::Unreachable { .. } => Self::Unreachable,
            SendError::Unsure { .. }
            | SendError::Busy { .. }
            | SendError::Unknown { .. }
            | SendError::BadRecipient { .. }
            | SendError::Refused { .. } => return None,
        })
    }
}

/// How long WeCom may leave us in doubt, with no answer to anything, before that is a block: one lost answer is none.
const DOUBT: Duration = Duration::from_secs(60);

/// Remembers it.
#[derive(Debug)]
pub(super) struct Ways {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    way: Way,
    /// Since when no attempt got an answer that tells anything; only while the way is open.
    doubt: Option<Timestamp>,
}

impl Ways {
    pub(super) fn new(clock: Clock) -> Self {
        let way = Way::Open { since: clock.now() };
        Self { clock, state: Mutex::new(State { way, doubt: None }) }
    }

    pub(super) fn get(&self) -> Way {
        let state = self.lock();
        match state.doubt {
            Some(since) if self.is_long(since) => Way::Blocked { since, reason: Block::Unreachable },
            _ => state.way.clone(),
        }
    }

    /// WeCom answered.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        let was_in_doubt = state.doubt.take().is_some_and(|since| self.is_long(since));
        if was_in_doubt || matches!(state.way, Way::Blocked { .. }) {
            state.way = Way::Open { since: self.clock.now() };
        }
    }

    /// Nothing gets through.
    pub(super) fn close(&self, reason: Block) {
        let mut state = self.lock();
        let now = self.clock.now();
        let since = match state.way {
            Way::Open { .. } => state.doubt.take().unwrap_or(now),
            Way::Blocked { since, .. } => since,
        };
        state.way = Way::Blocked { since, reason };
    }

    /// An attempt got no answer that tells anything.
    pub(super) fn doubt(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        if matches!(state.way, Way::Open { .. }) {
            state.doubt.get_or_insert(now);
        }
    }

    fn is_long(&self, since: Timestamp) -> bool {
        self.clock.now().since(since) >= DOUBT
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn one_lost_answer_is_no_block_and_a_minute_of_silence_is() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let start = Timestamp::from_secs(1_700_000_000);
        let ways = Ways::new(Clock::Manual(manual.clone()));
        ways.doubt();
        manual.advance(DOUBT / 2);
        ways.open();
        assert_eq!(ways.get(), Way::Open { since: start }, "as if nothing had been");

        ways.doubt();
        manual.advance(DOUBT / 2);
        ways.doubt();
        manual.advance(DOUBT / 2);
        let silent_since = start + DOUBT / 2;
        assert_eq!(ways.get(), Way::Blocked { since: silent_since, reason: Block::Unreachable });
        ways.close(Block::SlowDown);
        assert_eq!(ways.get(), Way::Blocked { since: silent_since, reason: Block::SlowDown });
        ways.open();
        assert_eq!(ways.get(), Way::Open { since: silent_since + DOUBT });
    }
}
