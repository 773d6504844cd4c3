//! Whether and when a request is made again.
//!
//! Knows nothing of what an attempt is; an attempt ends with its first delta, so nothing that the employee has seen
//! is ever asked for twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::error::Error;
use crate::clock::Timestamp;

/// The first pause; each further one is twice as long, up to [`MAX_PAUSE`]. Up to as much again is added by chance,
/// so that the turns which one fault has struck do not come back in one moment.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// See [`FIRST_PAUSE`].
const MAX_PAUSE: Duration = Duration::from_secs(8);
/// An employee who would wait longer than this is told so instead.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// The pauses between the rounds of one request.
pub(super) struct Pauses(backon::ExponentialBackoff);

impl Pauses {
    /// At most `max_retries` of them.
    pub(super) fn new(max_retries: u32) -> Self {
        let pauses = ExponentialBuilder::new()
            .with_min_delay(FIRST_PAUSE)
            .with_factor(2.0)
            .with_max_delay(MAX_PAUSE)
            .with_max_times(usize::try_from(max_retries).unwrap_or(usize::MAX))
            .with_jitter()
            .build();
        Self(pauses)
    }
}

/// The pause after `error`; `None` when another round is not worth it.
pub(super) fn pause_after(error: &Error, pauses: &mut Pauses) -> Option<Duration> {
    if !error.is_transient() {
        return None;
    }
    let pause = pauses.0.next()?;
    match error.retry_after() {
        // "At once" said to everybody would be a storm.
        None | Some(Duration::ZERO) => Some(pause),
        Some(asked) => (asked <= MAX_RETRY_AFTER).then_some(asked),
    }
}

/// Reads the header `Retry-After`: seconds or an HTTP date. `None` when it is neither.
pub(super) fn parse_retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(secs) = value.trim().parse() {
        return Some(Duration::from_secs(secs));
    }
    let at: SystemTime = httpdate::parse_http_date(value).ok()?;
    let at = Timestamp::default() + at.duration_since(UNIX_EPOCH).ok()?;
    Some(at.since(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn limited(retry_after: Option<u64>) -> Error {
        Error::RateLimited { retry_after: retry_after.map(Duration::from_secs) }
    }

    #[test]
    fn what_the_upstream_asks_for_is_obeyed_up_to_half_a_minute() {
        let pause = |error: Error| pause_after(&error, &mut Pauses::new(3));
        assert_eq!(pause(limited(Some(7))), Some(Duration::from_secs(7)));
        assert_eq!(pause(limited(Some(30))), Some(Duration::from_secs(30)));
        assert_eq!(pause(limited(Some(31))), None);
        assert_eq!(pause(Error::TooLong), None);
        assert_eq!(pause_after(&limited(None), &mut Pauses::new(0)), None);
    }

    #[test]
    fn pauses_grow_and_end() {
        let mut pauses = Pauses::new(6);
        for least in [0.5, 1.0, 2.0, 4.0, 8.0, 8.0] {
            let pause = pause_after(&limited(None), &mut pauses).expect("a pause").as_secs_f64();
            assert!((least..=2.0 * least + 0.001).contains(&pause), "{pause} after {least}");
        }
        assert_eq!(pause_after(&limited(None), &mut pauses), None);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        for (value, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("Tue, 14 Nov 2023 22:13:50 GMT", Some(30)),
            ("Tue, 14 Nov 2023 22:13:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            assert_eq!(parse_retry_after(value, START), expected.map(Duration::from_secs), "{value}");
        }
    }
}
