//! How long an answer is waited for.
//!
//! Only the time spent waiting counts for the gaps: a caller that takes its time between two deltas is not the model's
//! fault. The whole answer has one deadline, whoever is slow. All of it is measured by the time that passes: setting the
//! machine's clock gives up no answer and keeps none waiting. Knows nothing of what is waited for.

use std::time::Duration;

use super::error::Error;
use crate::{clock::Clock, config::Llm};

/// The longest wait for usage and `[DONE]` once the reason for the end has come. They follow at once or never, and
/// the employee's last words wait for them.
const TRAILER: Duration = Duration::from_secs(5);

/// The timers of one attempt.
#[derive(Debug)]
pub(super) struct Timers {
    clock: Clock,
    /// An uptime of `clock`.
    deadline: Duration,
    first_delta: Duration,
    gap: Duration,
    stage: Stage,
    /// Since when the stage's limit runs: kept over waits that are dropped before their end, so that a caller that
    /// waits for several things at once does not start it anew each time.
    since: Option<Duration>,
}

#[derive(Clone, Copy, Debug)]
enum Stage {
    /// Nothing has come.
    Asked,
    Answering,
    /// The answer is complete; only its trailer is missing.
    Ending,
}

impl Timers {
    /// For an attempt that begins with the first [`Timers::wait`].
    pub(super) fn new(clock: Clock, settings: &Llm, deadline: Duration) -> Self {
        let (first_delta, gap) = (settings.first_delta_timeout, settings.gap_timeout);
        Self { clock, deadline, first_delta, gap, stage: Stage::Asked, since: None }
    }

    /// The same where nothing is heard before the end: only the deadline counts.
    pub(super) const fn patient(mut self) -> Self {
        self.first_delta = Duration::MAX;
        self.gap = Duration::MAX;
        self
    }

    /// A delta came.
    pub(super) fn delta_came(&mut self, ending: bool) {
        self.stage = if ending { Stage::Ending } else { Stage::Answering };
        self.since = None;
    }

    /// Waits for `future` as long as the stage allows.
    ///
    /// # Errors
    /// The timeout that passed. `future` is dropped.
    pub(super) async fn wait<F: Future>(&mut self, future: F) -> Result<F::Output, Error> {
        let now = self.clock.uptime();
        let (limit, error) = match self.stage {
            Stage::Asked => (self.first_delta, Error::FirstDeltaTimeout),
            Stage::Answering => (self.gap, Error::GapTimeout),
            Stage::Ending => (self.gap.min(TRAILER), Error::GapTimeout),
        };
        let quiet_until = self.since.get_or_insert(now).saturating_add(limit);
        let (until, error) =
            if self.deadline <= quiet_until { (self.deadline, Error::AnswerTimeout) } else { (quiet_until, error) };
        // A clock's timeout looks at the future first: what is always ready would never be too late.
        if now >= until {
            return Err(error);
        }
        self.clock.timeout(until - now, future).await.map_err(|_| error)
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, future};

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    const ASKED: Timestamp = Timestamp::from_secs(1_700_000_000);

    fn timers(clock: &ManualClock) -> Timers {
        let settings = Llm {
            base_url: String::new(),
            api_key: None,
            model: String::new(),
            vision: None,
            safety_identifier: None,
            upstreams: Vec::new(),
            allowed: Vec::new(),
            more_models: Vec::new(),
            system_prompt: String::new(),
            summary_model: None,
            temperature: None,
            reasoning_effort: None,
            max_output_tokens: None,
            extra_headers: BTreeMap::new(),
            proxy: None,
            connect_timeout: Duration::from_secs(1),
            first_delta_timeout: Duration::from_secs(60),
            gap_timeout: Duration::from_secs(20),
            answer_timeout: Duration::from_secs(100),
            max_retries: 0,
            max_continuations: 0,
        };
        Timers::new(Clock::Manual(clock.clone()), &settings, settings.answer_timeout)
    }

    async fn fails_after(clock: &ManualClock, timers: &mut Timers, secs: u64) -> Error {
        let wait = timers.wait(future::pending::<()>());
        tokio::pin!(wait);
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
        clock.advance(Duration::from_secs(secs) - Duration::from_millis(1));
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
        clock.advance(Duration::from_millis(1));
        wait.await.expect_err("the time is over")
    }

    #[tokio::test]
    async fn each_stage_has_its_limit_and_the_whole_has_one() {
        let clock = ManualClock::new(ASKED);
        let mut asked = timers(&clock);
        assert!(asked.wait(future::ready(())).await.is_ok());
        assert!(matches!(fails_after(&clock, &mut asked, 60).await, Error::FirstDeltaTimeout));

        let clock = ManualClock::new(ASKED);
        let mut answering = timers(&clock);
        answering.delta_came(false);
        clock.advance(Duration::from_secs(50));
        assert!(matches!(fails_after(&clock, &mut answering, 20).await, Error::GapTimeout));
        answering.delta_came(true);
        assert!(matches!(fails_after(&clock, &mut answering, 5).await, Error::GapTimeout));
        clock.advance(Duration::from_secs(15));
        answering.delta_came(false);
        assert!(matches!(fails_after(&clock, &mut answering, 10).await, Error::AnswerTimeout));
        assert!(matches!(answering.wait(future::ready(())).await, Err(Error::AnswerTimeout)));
    }

    #[tokio::test]
    async fn a_wait_that_is_dropped_and_begun_again_is_one_wait() {
        let clock = ManualClock::new(ASKED);
        let mut timers = timers(&clock);
        timers.delta_came(false);
        for _ in 0..2 {
            let mut wait = Box::pin(timers.wait(future::pending::<()>()));
            assert!(futures_util::poll!(wait.as_mut()).is_pending());
            clock.advance(Duration::from_secs(10));
        }
        assert!(matches!(timers.wait(future::pending::<()>()).await, Err(Error::GapTimeout)));
    }
}
