//! How often rules fitted that operators are told of, lately. Knows when and how often, and not what.

use std::{
    collections::VecDeque,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::clock::{Clock, Timestamp};

/// What is lately.
pub const WINDOW: Duration = Duration::from_secs(60 * 60);
/// What falls within the same so long is one entry.
const STEP: Duration = Duration::from_secs(60);

/// Counts what operators are told of. Share one.
#[derive(Debug)]
pub struct Tally {
    clock: Clock,
    /// When each step began, when it last grew, and how often a rule fitted in it.
    steps: Mutex<VecDeque<(Timestamp, Timestamp, u64)>>,
}

/// How often within [`WINDOW`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lately {
    /// So often, at least once.
    pub times: u64,
    /// The last time.
    pub newest_at: Timestamp,
}

impl Tally {
    /// Counts by `clock`.
    pub const fn new(clock: Clock) -> Self {
        Self { clock, steps: Mutex::new(VecDeque::new()) }
    }

    /// How often within the last hour; `None`: never.
    pub fn lately(&self) -> Option<Lately> {
        let now = self.clock.now();
        let mut steps = self.steps();
        while steps.front().is_some_and(|(_, last, _)| now.since(*last) >= WINDOW) {
            steps.pop_front();
        }
        let (_, newest_at, _) = *steps.back()?;
        Some(Lately { times: steps.iter().map(|(_, _, times)| times).sum(), newest_at })
    }

    /// A rule fitted so many times.
    pub(super) fn add(&self, times: u64) {
        let now = self.clock.now();
        let mut steps = self.steps();
        match steps.back_mut().filter(|(begun, ..)| now.since(*begun) < STEP) {
            Some((_, last, count)) => (*last, *count) = (now, *count + times),
            None => steps.push_back((now, now, times)),
        }
        // An hour has sixty, also when nobody asks.
        while steps.len() > 64 {
            steps.pop_front();
        }
    }

    fn steps(&self) -> MutexGuard<'_, VecDeque<(Timestamp, Timestamp, u64)>> {
        self.steps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn what_is_older_than_an_hour_no_longer_counts() {
        let clock = ManualClock::new(Timestamp::from_secs(1_790_000_000));
        let tally = Tally::new(Clock::Manual(clock.clone()));
        assert_eq!(tally.lately(), None);
        tally.add(2);
        clock.advance(Duration::from_secs(30 * 60));
        tally.add(1);
        assert_eq!(tally.lately().map(|lately| lately.times), Some(3));
        clock.advance(Duration::from_secs(30 * 60));
        assert_eq!(tally.lately().map(|lately| lately.times), Some(1));
        clock.advance(Duration::from_secs(30 * 60));
        assert_eq!(tally.lately(), None);
        for _ in 0..1000 {
            clock.advance(STEP);
            tally.add(1);
        }
        assert_eq!(tally.lately().map(|lately| lately.times), Some(60));
    }
}
