//! Whether messages get through to WeCom and, where they do not, why and since when. Alerts, metrics, status and the log
//! are told from here. The gate decides who may try, and moves only together with what is remembered.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tracing::info;

use super::{cause::chain, gate::Gate};
use crate::{
    alert::observation::{Block, Wecom},
    clock::{Clock, Timestamp},
    metrics::Metrics,
    wecom::client::SendError,
};

/// How long WeCom may leave us in doubt, with no answer to anything, before that is a block: one lost answer is none.
const DOUBT: Duration = Duration::from_secs(60);

/// Nothing can be sent to anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// Since when, whatever the reason was first.
    pub since: Timestamp,
    /// When it is tried again; `None` while it is being tried.
    pub until: Option<Timestamp>,
    /// Why, as of the last attempt.
    pub reason: Block,
    /// Why, in a sentence for an administrator.
    pub message: String,
}

/// The gate, and what the last attempts tell.
#[derive(Debug)]
pub(super) struct Way {
    clock: Clock,
    metrics: Arc<Metrics>,
    /// Opened and closed by [`Way`] alone.
    pub(super) gate: Gate,
    state: Mutex<State>,
}

/// Locked while the gate opens or closes, so that the two agree.
#[derive(Debug)]
struct State {
    open_since: Timestamp,
    pause: Option<Pause>,
    /// Since when no attempt got an answer that tells anything.
    doubt: Option<Timestamp>,
}

impl Way {
    pub(super) fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        let state = State { open_since: clock.now(), pause: None, doubt: None };
        Self { gate: Gate::new(clock.clone()), clock, metrics, state: Mutex::new(state) }
    }

    /// As the alerts see it: silence that lasts is a block, though one may always try again.
    pub(super) fn seen(&self) -> Wecom {
        let state = self.lock();
        match (&state.pause, state.doubt) {
            (Some(pause), doubt) => {
                Wecom::Blocked { since: doubt.unwrap_or(pause.since), reason: pause.reason.clone() }
            }
            (None, Some(since)) if self.is_long(since) => Wecom::Blocked { since, reason: Block::Unreachable },
            (None, _) => Wecom::Works { since: state.open_since },
        }
    }

    /// Why nothing can be sent at this moment, and when it is tried again.
    pub(super) fn pause(&self) -> Option<Pause> {
        let pause = self.lock().pause.clone()?;
        Some(Pause { until: self.gate.closed_until(), ..pause })
    }

    /// WeCom answered about a message.
    pub(super) fn open(&self) {
        let mut state = self.lock();
        self.gate.open();
        let was_in_doubt = state.doubt.take().is_some_and(|since| self.is_long(since));
        let was_paused = state.pause.take().is_some();
        if was_paused {
            self.metrics.sending_goes_on();
            info!("messages can be sent to WeCom again");
        }
        if was_paused || was_in_doubt {
            state.open_since = self.clock.now();
        }
    }

    /// Nothing gets through. Returns until when, and whether that is new.
    pub(super) fn close(&self, reason: Block, error: &SendError) -> (Timestamp, bool) {
        let at_least = if let SendError::SlowDown { after, .. } = error { *after } else { Duration::ZERO };
        let mut state = self.lock();
        let closed = self.gate.close(at_least);
        self.metrics.sending_paused(reason.word());
        let since = state.pause.as_ref().map_or_else(|| self.clock.now(), |pause| pause.since);
        state.pause = Some(Pause { since, until: None, reason, message: chain(error) });
        closed
    }

    /// An attempt got no answer that tells anything.
    pub(super) fn doubt(&self) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.pause.is_none() {
            state.doubt.get_or_insert(now);
        }
        self.gate.unclear();
    }

    fn is_long(&self, since: Timestamp) -> bool {
        self.clock.now().since(since) >= DOUBT
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why nothing gets through; `None` where WeCom has answered about the message itself, or not at all.
pub(super) fn block(error: &SendError) -> Option<Block> {
    Some(match error {
        SendError::SlowDown { .. } => Block::SlowDown,
        SendError::IpRefused { address } => Block::Address(address.clone()),
        SendError::Misconfigured { refusal } => {
            Block::Refused { errcode: refusal.errcode.0, remedy: refusal.errcode.remedy() }
        }
        SendError::Unreachable { .. } => Block::Unreachable,
        SendError::Unsure { .. }
        | SendError::Busy { .. }
        | SendError::Unknown { .. }
        | SendError::BadRecipient { .. }
        | SendError::Refused { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn one_lost_answer_is_no_block_and_a_minute_of_silence_is() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let start = Timestamp::from_secs(1_700_000_000);
        let way = Way::new(Clock::Manual(manual.clone()), Arc::default());
        way.doubt();
        manual.advance(DOUBT / 2);
        way.open();
        assert_eq!(way.seen(), Wecom::Works { since: start }, "as if nothing had been");

        way.doubt();
        manual.advance(DOUBT / 2);
        way.doubt();
        manual.advance(DOUBT / 2);
        let silent_since = start + DOUBT / 2;
        assert_eq!(way.seen(), Wecom::Blocked { since: silent_since, reason: Block::Unreachable });
        assert_eq!(way.pause(), None, "one may try");
        let refused = SendError::IpRefused { address: None };
        let _ = way.close(Block::Address(None), &refused);
        assert_eq!(way.seen(), Wecom::Blocked { since: silent_since, reason: Block::Address(None) });
        assert_eq!(way.pause().expect("paused").since, silent_since + DOUBT);
        way.open();
        assert_eq!(way.seen(), Wecom::Works { since: silent_since + DOUBT });
        assert_eq!(way.pause(), None);
    }
}
