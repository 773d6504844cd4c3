//! What of the routes changes, under one lock.

use std::time::Duration;

use super::{Trouble, health::Health, limit::Limiter};
use crate::clock::Timestamp;

/// What changes.
#[derive(Default)]
pub(super) struct Board {
    /// By route.
    pub(super) health: Vec<Health>,
    /// By route: since when it is set aside, and why.
    pub(super) aside: Vec<Option<(Timestamp, Trouble)>>,
    /// By route.
    pub(super) in_flight: Vec<u32>,
    /// By upstream.
    pub(super) requests: Vec<Option<Limiter>>,
    /// By upstream.
    pub(super) tokens: Vec<Option<Limiter>>,
}

impl Board {
    pub(super) fn free_at(&self, upstream: usize, now: Duration) -> Duration {
        let of = |limits: &[Option<Limiter>]| limits[upstream].as_ref().map_or(now, |limit| limit.free_at(now));
        of(&self.requests).max(of(&self.tokens))
    }

    pub(super) fn take(&mut self, upstream: usize, now: Duration, tokens: usize) -> Duration {
        let take = |limits: &mut [Option<Limiter>], units| {
            limits[upstream].as_mut().map_or(now, |limit| limit.take(now, units))
        };
        take(&mut self.requests, 1).max(take(&mut self.tokens, tokens as u64))
    }
}
