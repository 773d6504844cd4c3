//! How fast one member may be written to.
//!
//! Beyond 30 messages a minute and 1000 an hour to one member WeCom drops silently and answers `errcode` 0 (page
//! 90312). Whether its minute rolls or starts on the clock is not documented, so ours rolls, and stays a little below:
//! what leaves here evenly can arrive there in a bunch.

use std::time::Duration;

use crate::clock::Timestamp;

/// Messages to one member in any 60 seconds.
pub const PER_MINUTE: usize = 28;
/// Messages to one member in any 60 minutes.
pub const PER_HOUR: usize = 960;
/// From this share of a limit on, what waits is merged: half.
const MERGE_FROM: usize = 2;

/// Whether the next message to a member may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// It may. `merge`: the limits are near, so what waits should leave as one message.
    Now {
        /// Whether to merge.
        merge: bool,
    },
    /// Not before `until`.
    Wait {
        /// The first moment at which there is room again.
        until: Timestamp,
    },
}

/// Decides from the times of the messages sent in the last hour, in ascending order.
pub fn pace(sent: &[Timestamp], now: Timestamp) -> Pace {
    let full_until = |limit: usize, window: Duration| {
        let oldest_that_counts = sent.len().checked_sub(limit).map(|i| sent[i])?;
        let free_at = oldest_that_counts + window;
        (free_at > now).then_some(free_at)
    };
    let minute = full_until(PER_MINUTE, Duration::from_secs(60));
    let hour = full_until(PER_HOUR, Duration::from_secs(3600));
    match minute.max(hour) {
        Some(until) => Pace::Wait { until },
        None => {
            let within = |window| sent.iter().rev().take_while(|at| now.since(**at) < window).count();
            let merge = within(Duration::from_secs(60)) >= PER_MINUTE / MERGE_FROM
                || within(Duration::from_secs(3600)) >= PER_HOUR / MERGE_FROM;
            Pace::Now { merge }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(1_700_000_000 + secs)
    }

    #[test]
    fn a_quiet_member_is_written_to_at_once_and_a_busy_one_later() {
        assert_eq!(pace(&[], at(0)), Pace::Now { merge: false });
        let half: Vec<_> = (0..14).map(at).collect();
        assert_eq!(pace(&half, at(20)), Pace::Now { merge: true });
        let full: Vec<_> = (0..28).map(at).collect();
        assert_eq!(pace(&full, at(28)), Pace::Wait { until: at(60) });
        assert_eq!(pace(&full, at(60)), Pace::Now { merge: true });
    }

    proptest! {
        #[test]
        fn no_rolling_minute_or_hour_ever_holds_too_many(gaps in proptest::collection::vec(0_u64..5000, 1..1500)) {
            let mut now = at(0);
            let mut sent: Vec<Timestamp> = Vec::new();
            for gap in gaps {
                now = now + Duration::from_millis(gap);
                if let Pace::Wait { until } = pace(&sent, now) {
                    prop_assert!(until > now);
                    now = until;
                }
                let may_leave = matches!(pace(&sent, now), Pace::Now { .. });
                prop_assert!(may_leave);
                sent.push(now);
                let within = |window| sent.iter().filter(|at| now.since(**at) < Duration::from_secs(window)).count();
                prop_assert!(within(60) <= PER_MINUTE && within(3600) <= PER_HOUR);
            }
        }
    }
}
