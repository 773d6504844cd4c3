//! Quota and model behind one door, for every client: reserve, stream, settle.
//!
//! Whoever wants words from a model reserves first, streams under the reservation, and gets a [`Charge`] that must be
//! saved. There are no limits yet; when they come they live here, and callers already handle [`QuotaExceeded`].

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use crate::{
    clock::Timestamp,
    llm::{
        self,
        client::ChatRequest,
        router::{Answer, Router, Wish},
        stream::Delta,
        tokens::{self, TokenCounter},
    },
    metrics::Metrics,
    model::{
        conversation::Usage,
        id::{AgentId, CorpId, MemberId},
    },
};

/// On whose account a model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Payer<'a> {
    /// The enterprise.
    pub corp: &'a CorpId,
    /// The application.
    pub agent: AgentId,
    /// The member.
    pub member: &'a MemberId,
}

/// The payer may not use more for now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{used} of {limit} used")]
pub struct QuotaExceeded {
    /// What may be used.
    pub limit: u64,
    /// What has been used.
    pub used: u64,
    /// When there is room again.
    pub resets_at: Timestamp,
}

/// The door.
pub struct Meter {
    router: Router,
    counter: TokenCounter,
    metrics: Arc<Metrics>,
}

impl Meter {
    /// Guards `router`; estimates with `counter` what an upstream does not tell.
    pub const fn new(router: Router, counter: TokenCounter, metrics: Arc<Metrics>) -> Self {
        Self { router, counter, metrics }
    }

    /// Who knows which models there are.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// Counts model tokens as the model in use does, or carefully estimates.
    pub const fn counter(&self) -> &TokenCounter {
        &self.counter
    }

    /// Sets aside what the call will probably cost. The model is that of `alias`; `None`: `llm.model`.
    ///
    /// # Errors
    /// [`QuotaExceeded`], and the model must not be asked.
    pub async fn reserve<'a>(
        &'a self,
        payer: Payer<'_>,
        alias: Option<&'a str>,
        input_estimate: usize,
    ) -> Result<Reservation<'a>, QuotaExceeded> {
        Ok(Reservation { meter: self, alias, input_estimate, affinity: affinity_of(payer) })
    }
}

/// A member's questions like to go the same way: what was said before is in that upstream's cache.
fn affinity_of(payer: Payer<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (payer.corp.as_str(), payer.agent.get(), payer.member.key()).hash(&mut hasher);
    hasher.finish()
}

/// The permission for one model call.
#[must_use = "a reservation that is not used holds an allowance for nothing"]
pub struct Reservation<'a> {
    meter: &'a Meter,
    alias: Option<&'a str>,
    input_estimate: usize,
    affinity: u64,
}

impl<'a> Reservation<'a> {
    /// Asks the model.
    ///
    /// # Errors
    /// [`llm::error::Error`] when no answer began; nothing is charged.
    pub async fn stream(self, request: &ChatRequest) -> Result<Metered<'a>, llm::error::Error> {
        let wish = Wish { alias: self.alias, affinity: self.affinity, input_tokens: self.input_estimate };
        let stream = self.meter.router.stream(wish, request).await?;
        Ok(Metered { stream, reservation: self, usage: None, written: String::new() })
    }
}

/// An answer as it is written, under its reservation.
#[must_use = "what was streamed must be settled"]
pub struct Metered<'a> {
    stream: Answer,
    reservation: Reservation<'a>,
    usage: Option<Usage>,
    written: String,
}

impl Metered<'_> {
    /// The next piece; `None` after the end.
    ///
    /// # Errors
    /// [`llm::error::Error`] when the answer broke off.
    pub async fn next(&mut self) -> Option<Result<Delta, llm::error::Error>> {
        let next = self.stream.next().await;
        match &next {
            Some(Ok(Delta::Text(text))) => self.written.push_str(text),
            Some(Ok(Delta::Finish(finish))) => self.usage = finish.usage,
            // The client counts the calls that never began to answer.
            Some(Err(error)) => self.reservation.meter.metrics.model_failed(error.kind()),
            None => {}
        }
        next
    }

    /// What it cost: as the upstream says or, where it does not (or the answer broke off), estimated.
    pub fn settle(self) -> Charge {
        let estimate = || Usage {
            input: self.reservation.input_estimate as u64,
            output: tokens::estimate(&self.written) as u64,
            estimated: true,
        };
        let usage = self.usage.unwrap_or_else(estimate);
        self.reservation.meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        Charge(usage)
    }
}

/// The cost of a model call, to be saved with what it bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the cost must be saved"]
pub struct Charge(Usage);

impl Charge {
    /// For a call that never began.
    pub const NOTHING: Self = Self(Usage { input: 0, output: 0, estimated: false });

    /// Model tokens.
    pub const fn usage(self) -> Usage {
        self.0
    }

    /// The cost of both calls.
    pub const fn and(self, other: Self) -> Self {
        Self(Usage {
            input: self.0.input.saturating_add(other.0.input),
            output: self.0.output.saturating_add(other.0.output),
            estimated: self.0.estimated || other.0.estimated,
        })
    }
}
