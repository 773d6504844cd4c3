//! How often upstreams were asked for one answer, and what came of it: for whoever keeps account of them.

use std::{sync::Arc, time::Duration};

use super::Route;
use crate::llm::error::Error;

/// What was tried for one answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Each one that failed, the first first.
    pub failed: Vec<Failed>,
    /// When the last one began, by the clock's uptime; `None`: nobody was asked.
    pub last_began: Option<Duration>,
}

/// An upstream was asked and did not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Which.
    pub upstream: Arc<str>,
    /// [`Error::kind`].
    pub kind: &'static str,
    /// How long it took to fail.
    pub took: Duration,
}

impl Attempts {
    pub(super) fn begins(&mut self, now: Duration) {
        self.last_began = Some(now);
    }

    pub(super) fn failed(&mut self, route: &Route, error: &Error, now: Duration) {
        let took = now.saturating_sub(self.last_began.unwrap_or(now));
        self.failed.push(Failed { upstream: Arc::clone(&route.name), kind: error.kind(), took });
    }
}
