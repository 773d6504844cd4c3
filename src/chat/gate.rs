//! Holds everybody back while nothing of the application gets through, then lets one try.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::clock::{Clock, Timestamp};

/// The first time that the gate stays closed.
const FIRST: Duration = Duration::from_secs(2);
/// The longest that it stays closed by itself: what an administrator mended is felt within this.
const LONGEST: Duration = Duration::from_secs(30);

/// The longest that it stays closed because WeCom asks for it.
const LONGEST_BLOCK: Duration = Duration::from_secs(3600);

/// Open, closed until a time, or waiting for the one that was let through.
#[derive(Debug)]
pub struct Gate {
    clock: Clock,
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    /// Closed; at `until` one may try. `pause` is how long it was closed for.
    Closed {
        until: Timestamp,
        pause: Duration,
    },
    /// One tries.
    Probing {
        pause: Duration,
    },
}

impl Gate {
    /// An open gate.
    pub fn new(clock: Clock) -> Self {
        Self { clock, state: Mutex::new(State::Open), opened: Notify::new() }
    }

    /// How many of `wanted` may try now and, where it is not all, when to ask again by the clock.
    pub fn allows(&self, wanted: usize) -> (usize, Option<Timestamp>) {
        let mut state = self.lock();
        match *state {
            State::Open => (wanted, None),
            State::Closed { until, pause } if is_over(until, pause, self.clock.now()) => {
                *state = State::Probing { pause };
                (wanted.min(1), None)
            }
            State::Closed { until, .. } => (0, Some(until)),
            State::Probing { .. } => (0, None),
        }
    }

    /// There was nothing to try: the next one may.
    pub fn nothing_to_try(&self) {
        let mut state = self.lock();
        if let State::Probing { pause } = *state {
            *state = State::Closed { until: self.clock.now(), pause };
        }
    }

    /// The one that was let through did not try after all: the next one may, now.
    pub fn give_back(&self) {
        self.nothing_to_try();
        self.opened.notify_one();
    }

    /// What came of the try is not known: as good as not getting through.
    pub fn unclear(&self) {
        if matches!(*self.lock(), State::Probing { .. }) {
            self.close(Duration::ZERO);
        }
    }

    /// Somebody got through.
    pub fn open(&self) {
        let mut state = self.lock();
        if !matches!(*state, State::Open) {
            *state = State::Open;
            self.opened.notify_one();
        }
    }

    /// Nobody gets through. Returns until when it is closed, and whether it was open before. Each failed try doubles
    /// the pause; those that were under way when it closed change nothing.
    pub fn close(&self, for_at_least: Duration) -> (Timestamp, bool) {
        let now = self.clock.now();
        let mut state = self.lock();
        // What WeCom asks for doubles too, when it asks again: its longest block lasts an hour (page 90312).
        let longest = if for_at_least > LONGEST { LONGEST_BLOCK } else { LONGEST };
        let (pause, was_open) = match *state {
            State::Open => (FIRST, true),
            State::Probing { pause } => ((pause * 2).min(longest), false),
            State::Closed { until, pause } if until >= now + for_at_least && !is_over(until, pause, now) => {
                return (until, false);
            }
            State::Closed { pause, .. } => (pause, false),
        };
        let pause = pause.max(for_at_least);
        let until = now + pause;
        *state = State::Closed { until, pause };
        // Whoever waits must learn the new time.
        self.opened.notify_one();
        (until, was_open)
    }

    /// When the next one may try; `None` when it is open, or one is trying.
    pub fn closed_until(&self) -> Option<Timestamp> {
        match *self.lock() {
            State::Closed { until, .. } => Some(until),
            State::Open | State::Probing { .. } => None,
        }
    }

    /// Waits until it makes sense to ask again.
    pub async fn opened(&self) {
        self.opened.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether the pause until then is over: also when more is left of it than there ever was, because somebody set the
/// clock back.
fn is_over(until: Timestamp, pause: Duration, now: Timestamp) -> bool {
    until <= now || until.since(now) > pause
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn a_closed_gate_lets_one_try_then_all_or_none() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let gate = Gate::new(Clock::Manual(manual.clone()));
        assert_eq!(gate.allows(8), (8, None));

        let (until, was_open) = gate.close(Duration::ZERO);
        assert!(was_open);
        assert_eq!(gate.close(Duration::ZERO), (until, false), "the others of the same moment");
        assert_eq!(gate.allows(8), (0, Some(until)));

        manual.advance(FIRST);
        assert_eq!(gate.allows(8), (1, None));
        assert_eq!(gate.allows(8), (0, None), "one at a time");
        let (again, was_open) = gate.close(Duration::ZERO);
        assert!(!was_open && again == until + FIRST * 2);

        manual.advance(FIRST * 2);
        assert_eq!(gate.allows(8).0, 1);
        gate.unclear();
        assert_eq!(gate.allows(8).0, 0, "a try that hangs does not open it");

        manual.advance(LONGEST);
        assert_eq!(gate.allows(8).0, 1);
        gate.open();
        assert_eq!(gate.allows(8), (8, None));
    }

    #[test]
    fn a_clock_that_is_set_back_does_not_keep_it_closed() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let gate = Gate::new(Clock::Manual(manual.clone()));
        gate.close(Duration::ZERO);
        manual.advance(Duration::from_secs(1));
        assert_eq!(gate.allows(8).0, 0);
        manual.set_back(Duration::from_secs(3600));
        assert_eq!(gate.allows(8).0, 1);
    }

    #[test]
    fn it_stays_closed_as_long_as_wecom_asks() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let clock = Clock::Manual(manual.clone());
        let gate = Gate::new(clock.clone());
        let minute = Duration::from_secs(60);
        assert_eq!(gate.close(minute), (clock.now() + minute, true));
        // Asked again each time that one tries: up to an hour.
        for minutes in [2, 4, 8, 16, 32, 60, 60] {
            let (_, again_at) = gate.allows(1);
            manual.advance(again_at.expect("closed").since(clock.now()));
            assert_eq!(gate.allows(1).0, 1);
            assert_eq!(gate.close(minute).0, clock.now() + minute * minutes);
        }
    }
}
