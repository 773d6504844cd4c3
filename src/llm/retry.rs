//! Whether and when a request is made again.
//!
//! Knows nothing of what an attempt is; an attempt ends with its first delta, so nothing that the employee has seen
//! is ever asked for twice.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use backon::{BackoffBuilder, ExponentialBuilder};

use super::error::Error;
use crate::clock::{Clock, Timestamp};

/// The first pause; each further one is twice as long, up to [`MAX_PAUSE`]. Up to as much again is added by chance,
/// so that the turns which one fault has struck do not come back in one moment.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// See [`FIRST_PAUSE`].
const MAX_PAUSE: Duration = Duration::from_secs(8);
/// An employee who would wait longer than this is told so instead.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Makes `attempt` until it succeeds, at most 1 + `max_retries` times, never starting one at or after `deadline`,
/// an uptime of `clock`.
///
/// # Errors
/// That of the last attempt.
pub(super) async fn until_success<T, F: Future<Output = Result<T, Error>>>(
    clock: &Clock,
    deadline: Duration,
    max_retries: u32,
    mut attempt: impl FnMut() -> F,
) -> Result<T, Error> {
    let mut pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_factor(2.0)
        .with_max_delay(MAX_PAUSE)
        .with_max_times(usize::try_from(max_retries).unwrap_or(usize::MAX))
        .with_jitter()
        .build();
    loop {
        let error = match attempt().await {
            Ok(success) => return Ok(success),
            Err(error) => error,
        };
        let Some(pause) =
            pause_after(&error, &mut pauses).filter(|pause| clock.uptime().saturating_add(*pause) < deadline)
        else {
            return Err(error);
        };
        tracing::warn!(llm.pause_ms = pause.as_millis(), kind = error.kind(), "the model is asked again: {error}");
        clock.sleep(pause).await;
    }
}

/// The pause after `error`; `None` when another attempt is not worth it.
fn pause_after(error: &Error, pauses: &mut impl Iterator<Item = Duration>) -> Option<Duration> {
    if !error.is_transient() {
        return None;
    }
    let pause = pauses.next()?;
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
    use std::cell::RefCell;

    use super::*;
    use crate::clock::ManualClock;

    const START: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn limited(retry_after: Option<u64>) -> Error {
        Error::RateLimited { retry_after: retry_after.map(Duration::from_secs) }
    }

    /// Makes attempts that fail as told, moving the clock by exactly what is slept. Gives the seconds since the start
    /// at each attempt and how it ended.
    async fn attempts(errors: Vec<Error>, max_retries: u32) -> (Vec<f64>, Result<(), Error>) {
        let manual = ManualClock::new(START);
        let clock = Clock::Manual(manual.clone());
        let (errors, at) = (RefCell::new(errors.into_iter()), RefCell::new(Vec::new()));
        let run = until_success(&clock, Duration::from_secs(100), max_retries, || async {
            at.borrow_mut().push(clock.now().since(START).as_secs_f64());
            errors.borrow_mut().next().map_or(Ok(()), Err)
        });
        tokio::pin!(run);
        loop {
            if let std::task::Poll::Ready(ended) = futures_util::poll!(run.as_mut()) {
                return (at.take(), ended);
            }
            assert_eq!(manual.sleepers(), 1);
            manual.advance(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn what_the_upstream_asks_for_is_obeyed_to_the_millisecond() {
        let (at, ended) = attempts(vec![limited(Some(7)), limited(Some(30))], 2).await;
        assert_eq!(at, [0.0, 7.0, 37.0]);
        assert!(ended.is_ok());
    }

    #[tokio::test]
    async fn pauses_grow_and_end_with_the_last_error() {
        let (at, ended) = attempts((0..9).map(|_| limited(None)).collect(), 6).await;
        let pauses: Vec<f64> = at.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses.len(), 6);
        for (pause, least) in pauses.into_iter().zip([0.5, 1.0, 2.0, 4.0, 8.0, 8.0]) {
            assert!((least..=2.0 * least + 0.001).contains(&pause), "{pause} after {least}");
        }
        assert!(matches!(ended, Err(Error::RateLimited { .. })));
    }

    #[tokio::test]
    async fn what_cannot_help_is_not_tried() {
        for (first, max_retries) in [(limited(Some(31)), 9), (Error::TooLong, 9), (limited(None), 0)] {
            let expected = first.to_string();
            let (at, ended) = attempts(vec![first], max_retries).await;
            assert_eq!((at, ended.expect_err("failed").to_string()), (vec![0.0], expected));
        }
        // The fifth would begin after the deadline.
        let (at, _) = attempts((0..9).map(|_| limited(Some(30))).collect(), 9).await;
        assert_eq!(at, [0.0, 30.0, 60.0, 90.0]);
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
