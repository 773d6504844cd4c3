//! How often an upstream may be asked: a limit a minute that queues instead of failing.
//!
//! The generic cell rate algorithm: a quarter of the limit may come at once, the rest evenly, so that no minute,
//! wherever it begins, holds more than the limit. Times are uptimes of the clock.

use std::time::Duration;

/// What may come at once, as a share of the limit: one in so many.
const BURST: u64 = 4;
const MINUTE_MICROS: u64 = 60_000_000;

/// A limit of so many units in any minute.
#[derive(Clone, Debug)]
pub(super) struct Limiter {
    /// Between two units, when they come evenly.
    interval_micros: u64,
    /// How far ahead of the even pace one may be.
    tolerance_micros: u64,
    /// When the last unit would have come at the even pace, in microseconds of uptime.
    even_micros: u64,
}

impl Limiter {
    /// `per_minute` is at least 1.
    pub(super) fn new(per_minute: u32) -> Self {
        let limit = u64::from(per_minute.max(1));
        let burst = (limit / BURST).max(1);
        // What is left of the limit for the minute after a burst.
        let even = (limit - burst).max(1);
        let interval_micros = MINUTE_MICROS.div_ceil(even);
        Self { interval_micros, tolerance_micros: interval_micros * (burst - 1), even_micros: 0 }
    }

    /// When the next unit may come, if nothing is taken before.
    pub(super) fn free_at(&self, now: Duration) -> Duration {
        let wait = self.even_micros.saturating_sub(self.tolerance_micros).saturating_sub(micros(now));
        now + Duration::from_micros(wait)
    }

    /// Takes `units`, and says when they may be used: now, or when those before them have gone.
    pub(super) fn take(&mut self, now: Duration, units: u64) -> Duration {
        let at = self.free_at(now);
        self.even_micros = self.even_micros.max(micros(now)).saturating_add(self.interval_micros.saturating_mul(units));
        at
    }
}

fn micros(at: Duration) -> u64 {
    u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const START: Duration = Duration::from_secs(1_700_000);

    #[test]
    fn a_quarter_may_come_at_once_and_the_rest_waits_in_order() {
        let mut limiter = Limiter::new(8);
        let waits: Vec<u128> = (0..5).map(|_| (limiter.take(START, 1) - START).as_secs().into()).collect();
        assert_eq!(waits, [0, 0, 10, 20, 30]);
        assert_eq!(limiter.free_at(START + Duration::from_secs(500)), START + Duration::from_secs(500));
    }

    proptest! {
        /// Whoever asks whenever: no minute holds more than the limit.
        #[test]
        fn no_minute_holds_more_than_the_limit(limit in 1_u32..200, gaps in prop::collection::vec(0_u64..20_000, 1..400)) {
            let mut limiter = Limiter::new(limit);
            let mut now = START;
            let mut used: Vec<Duration> = Vec::new();
            for gap in gaps {
                now += Duration::from_millis(gap);
                used.push(limiter.take(now, 1));
            }
            used.sort();
            for (index, first) in used.iter().enumerate() {
                let within = used[index..].iter().take_while(|at| at.saturating_sub(*first) < Duration::from_secs(60)).count();
                prop_assert!(within <= limit as usize, "{within} of {limit}");
            }
        }
    }
}
