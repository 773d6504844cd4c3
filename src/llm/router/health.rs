//! What is known of one route, a key with a model: whether it answers.
//!
//! Pure: times are handed in, as uptimes of the clock, so that setting the machine's clock changes nothing. What the
//! upstream says decides ([`Verdict::of`]); what is the member's own fault, such as a conversation that is too long, says
//! nothing about the route.

use std::time::Duration;

use crate::llm::error::Error;

/// The first rest after a failure without a word about when to come back; each further one is twice as long.
const FIRST_REST: Duration = Duration::from_secs(1);
/// See [`FIRST_REST`].
const LONGEST_REST: Duration = Duration::from_secs(60);
/// After how long a route that was set aside is tried by itself: whoever paid the bill need not tell us.
pub(super) const TRY_SET_ASIDE: Duration = Duration::from_secs(600);

/// What an outcome says about the route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is not the route's: every other would say the same.
    Innocent,
    /// It rests, at least as long as the upstream asks for.
    Cool(Option<Duration>),
    /// This key is of no use with any model until somebody mends it.
    KeyAside,
    /// This key is of no use with this model.
    ModelAside,
}

impl Verdict {
    pub(super) const fn of(error: &Error) -> Self {
        match error {
            Error::TooLong | Error::ContentFiltered | Error::Withheld | Error::Rejected { .. } => Self::Innocent,
            Error::AnswerTimeout => Self::Innocent,
            Error::RateLimited { retry_after } | Error::Upstream { retry_after, .. } => Self::Cool(*retry_after),
            Error::Unreachable(_)
            | Error::FirstDeltaTimeout
            | Error::GapTimeout
            | Error::Cut { .. }
            | Error::Garbage { .. }
            | Error::StreamError { .. } => Self::Cool(None),
            Error::Unauthorized { .. } | Error::QuotaExhausted { .. } => Self::KeyAside,
            Error::ModelNotFound { .. } | Error::Misconfigured { .. } => Self::ModelAside,
        }
    }
}

/// What is known of one route.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Health {
    /// It answers, as far as we know.
    #[default]
    Healthy,
    /// It rests after failures.
    Cooling {
        /// Until when.
        until: Duration,
        /// Failures in a row.
        strikes: u32,
        /// The upstream asked for it: nobody goes before.
        asked: bool,
    },
    /// Somebody mends it, or it is tried now and then.
    SetAside {
        /// When it is tried by itself.
        until: Duration,
    },
    /// One tries whether it answers again.
    Probing {
        /// Failures in a row before.
        strikes: u32,
        /// It was set aside before.
        aside: bool,
    },
}

/// How willing a route is, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Standing {
    /// Take it.
    Good,
    /// Its rest is over: one may try.
    Probe,
    /// It rests; take it when there is nothing better.
    Doubtful,
    /// Nobody before then: the upstream asked for it.
    Closed(Duration),
    /// One is trying; wait for what comes of it.
    Waiting,
    /// It will refuse again, most likely; take it when there is nothing else at all.
    Aside,
}

impl Health {
    /// How willing it is now.
    pub(super) fn standing(self, now: Duration) -> Standing {
        match self {
            Self::Healthy => Standing::Good,
            Self::Cooling { until, .. } | Self::SetAside { until } if until <= now => Standing::Probe,
            Self::Cooling { asked: false, .. } => Standing::Doubtful,
            Self::Cooling { until, .. } => Standing::Closed(until),
            Self::SetAside { .. } => Standing::Aside,
            Self::Probing { .. } => Standing::Waiting,
        }
    }

    /// Somebody goes.
    pub(super) fn gone(self, now: Duration) -> Self {
        match self {
            Self::Cooling { strikes, until, .. } if until <= now => Self::Probing { strikes, aside: false },
            Self::SetAside { until } if until <= now => Self::Probing { strikes: 0, aside: true },
            other => other,
        }
    }

    /// The answer began.
    pub(super) const fn well(self) -> Self {
        Self::Healthy
    }

    /// The one who went gave up before anything was known, as when the member says stop.
    pub(super) const fn unknown(self, now: Duration) -> Self {
        match self {
            Self::Probing { aside: true, .. } => Self::SetAside { until: now },
            Self::Probing { strikes, aside: false } => Self::Cooling { until: now, strikes, asked: false },
            other => other,
        }
    }

    /// It failed.
    pub(super) fn failed(self, verdict: Verdict, now: Duration) -> Self {
        let strikes = match self {
            Self::Cooling { strikes, .. } | Self::Probing { strikes, .. } => strikes,
            Self::Healthy | Self::SetAside { .. } => 0,
        };
        match verdict {
            Verdict::Innocent => self.well(),
            Verdict::Cool(asked) => {
                let rest = FIRST_REST.saturating_mul(1 << strikes.min(6)).min(LONGEST_REST);
                let until = now.saturating_add(asked.unwrap_or_default().max(rest));
                let until = match self {
                    // Others that failed in the same moment do not shorten what was asked for.
                    Self::Cooling { until: before, .. } => until.max(before),
                    _ => until,
                };
                Self::Cooling { until, strikes: strikes + 1, asked: asked.is_some_and(|asked| !asked.is_zero()) }
            }
            Verdict::KeyAside | Verdict::ModelAside => Self::SetAside { until: now + TRY_SET_ASIDE },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_700_000);

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    /// Each rule is a row: what the upstream said, and what becomes of a healthy route.
    #[test]
    fn each_failure_has_its_consequence() {
        let message = String::new;
        let cool = |rest: u64, asked: bool| Health::Cooling { until: NOW + secs(rest), strikes: 1, asked };
        let aside = Health::SetAside { until: NOW + TRY_SET_ASIDE };
        let upstream = |status, retry_after| Error::Upstream { status, retry_after, message: message() };
        for (error, expected) in [
            (Error::TooLong, Health::Healthy),
            (Error::ContentFiltered, Health::Healthy),
            (Error::Rejected { status: 400, message: message() }, Health::Healthy),
            (Error::Rejected { status: 422, message: message() }, Health::Healthy),
            (Error::AnswerTimeout, Health::Healthy),
            (Error::RateLimited { retry_after: Some(secs(20)) }, cool(20, true)),
            (Error::RateLimited { retry_after: Some(secs(0)) }, cool(1, false)),
            (Error::RateLimited { retry_after: None }, cool(1, false)),
            (upstream(500, None), cool(1, false)),
            (upstream(503, Some(secs(5))), cool(5, true)),
            (Error::FirstDeltaTimeout, cool(1, false)),
            (Error::GapTimeout, cool(1, false)),
            (Error::Cut { source: None }, cool(1, false)),
            (Error::Garbage { what: "a web page" }, cool(1, false)),
            (Error::StreamError { message: message() }, cool(1, false)),
            (Error::Unauthorized { message: message() }, aside),
            (Error::QuotaExhausted { message: message() }, aside),
            (Error::ModelNotFound { message: message() }, aside),
            (Error::Misconfigured { key: message(), problem: "" }, aside),
        ] {
            assert_eq!(Health::Healthy.failed(Verdict::of(&error), NOW), expected, "{error}");
        }
        assert_eq!(Verdict::of(&Error::Unauthorized { message: message() }), Verdict::KeyAside);
        assert_eq!(Verdict::of(&Error::ModelNotFound { message: message() }), Verdict::ModelAside);
    }

    #[test]
    fn rests_grow_one_probes_and_a_success_heals() {
        let mut health = Health::Healthy;
        let mut now = NOW;
        for rest in [1, 2, 4, 8, 16, 32, 60, 60] {
            health = health.failed(Verdict::Cool(None), now);
            assert_eq!(health.standing(now), Standing::Doubtful);
            now += secs(rest);
            assert_eq!(health.standing(now), Standing::Probe, "after {rest} s");
            health = health.gone(now);
            assert_eq!(health.standing(now), Standing::Waiting, "one at a time");
        }
        assert_eq!(health.unknown(now).standing(now), Standing::Probe, "a probe that came to nothing is free again");
        assert_eq!(health.well(), Health::Healthy);
    }

    #[test]
    fn what_the_upstream_asked_for_is_not_shortened_by_others() {
        let asked = Health::Healthy.failed(Verdict::Cool(Some(secs(30))), NOW);
        let both = asked.failed(Verdict::Cool(Some(secs(5))), NOW);
        assert_eq!(both.standing(NOW), Standing::Closed(NOW + secs(30)));
    }

    #[test]
    fn what_was_set_aside_is_tried_now_and_then() {
        let aside = Health::Healthy.failed(Verdict::KeyAside, NOW);
        assert_eq!(aside.standing(NOW), Standing::Aside);
        let later = NOW + TRY_SET_ASIDE;
        assert_eq!(aside.standing(later), Standing::Probe);
        assert_eq!(aside.gone(later).failed(Verdict::KeyAside, later).standing(later), Standing::Aside);
    }
}
