//! Notices that somebody set the clock: what it shows moved by something else than time.

use std::time::Duration;

use super::{Clock, Timestamp};

/// What is not worth a word: two readings that are not of one moment, and the small steps of a clock that is kept right.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The clock was set, by so much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSet {
    /// It shows a later time than it would. A machine that slept looks the same: time passed and was not counted.
    Forward(Duration),
    /// It shows an earlier time than it would.
    Back(Duration),
}

/// Compares what a clock shows with the time that has passed since it was last looked at.
#[derive(Debug)]
pub struct Watch {
    clock: Clock,
    shown: Timestamp,
    uptime: Duration,
}

impl Watch {
    /// From now on.
    pub fn new(clock: Clock) -> Self {
        let (shown, uptime) = (clock.now(), clock.uptime());
        Self { clock, shown, uptime }
    }

    /// Whether the clock was set since the last [`Watch::rest`]; says so until the next one.
    pub fn look(&mut self) -> Option<ClockSet> {
        let now = self.clock.now();
        let expected = self.shown + self.clock.uptime().saturating_sub(self.uptime);
        let (forward, back) = (now.since(expected), expected.since(now));
        if forward > TOLERANCE {
            Some(ClockSet::Forward(forward))
        } else if back > TOLERANCE {
            Some(ClockSet::Back(back))
        } else {
            self.rest();
            None
        }
    }

    /// What was seen has been dealt with.
    pub fn rest(&mut self) {
        (self.shown, self.uptime) = (self.clock.now(), self.clock.uptime());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    #[test]
    fn only_what_is_not_time_is_noticed_and_until_it_is_dealt_with() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let mut watch = Watch::new(Clock::Manual(manual.clone()));
        let hour = Duration::from_secs(3600);
        manual.advance(hour);
        assert_eq!(watch.look(), None);
        manual.set_back(hour);
        manual.advance(hour);
        assert_eq!([watch.look(), watch.look()], [Some(ClockSet::Back(hour)); 2]);
        watch.rest();
        assert_eq!(watch.look(), None);
        manual.set_forward(hour);
        assert_eq!(watch.look(), Some(ClockSet::Forward(hour)));
        watch.rest();
        // A clock that is kept right in small steps.
        for _ in 0..5 {
            manual.set_back(Duration::from_millis(900));
            assert_eq!(watch.look(), None);
        }
    }
}
