//! An answer that is paid for: read through what stands between the model and the member, and settled.

use super::{Charge, OUT, Reservation, Units, filter::Filter};
use crate::{
    llm::{self, router::Answer, stream::Delta, tokens},
    model::conversation::Usage,
};

/// An answer as it is written, under its reservation.
#[must_use = "what was streamed must be settled"]
pub struct Metered<'a> {
    stream: Answer,
    reservation: Reservation<'a>,
    usage: Option<Usage>,
    /// What the model wrote, before it was restored.
    written: String,
    /// What stands between the model and the member; `None`: nothing.
    filter: Option<Box<Filter>>,
}

impl<'a> Metered<'a> {
    /// An answer of which nothing was read.
    pub(super) const fn begun(stream: Answer, reservation: Reservation<'a>, filter: Option<Box<Filter>>) -> Self {
        Self { stream, reservation, usage: None, written: String::new(), filter }
    }

    /// The next piece; `None` after the end.
    ///
    /// # Errors
    /// [`llm::error::Error`] when the answer broke off.
    pub async fn next(&mut self) -> Option<Result<Delta, llm::error::Error>> {
        loop {
            if let Some(kept) = self.filter.as_mut().and_then(|filter| filter.kept()) {
                self.reservation.record.shows(kept.as_ref());
                return kept;
            }
            let next = self.read().await;
            self.reservation.record.comes(next.as_ref());
            let Some(filter) = &mut self.filter else { return next };
            filter.take(next);
        }
    }

    /// The answer goes on behind `before`, which was shown already.
    pub fn continues(&mut self, before: &str) {
        if let Some(filter) = &mut self.filter {
            filter.continues(before);
        }
    }

    /// The next piece as the model wrote it.
    async fn read(&mut self) -> Option<Result<Delta, llm::error::Error>> {
        let next = self.stream.next().await;
        match &next {
            Some(Ok(Delta::Text(text))) => self.written.push_str(text),
            Some(Ok(Delta::Finish(finish))) => self.usage = finish.usage,
            // The client counts the calls that never began to answer.
            Some(Err(error)) => self.reservation.meter.metrics.model_failed(error.kind()),
            Some(Ok(Delta::Thought(_))) | None => {}
        }
        next
    }

    /// What it cost: as the upstream says or, where it does not (or the answer broke off), estimated.
    pub fn settle(self) -> Charge {
        let Reservation { meter, alias, held, input_estimate, mut record, .. } = self.reservation;
        let estimate = || Usage {
            input: input_estimate as u64,
            cached: 0,
            output: tokens::estimate(&self.written) as u64,
            estimated: true,
        };
        let usage = self.usage.unwrap_or_else(estimate);
        if let Some(filter) = &self.filter {
            meter.count(&filter.hits(), OUT);
        }
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        let rate = meter.prices.of(self.stream.upstream(), &alias, meter.allowances.now());
        let (used, nearly_used) = held.settle(usage, rate);
        record.costs(usage, used.amounts.money);
        Charge { usage, units: Units::default(), used, nearly_used }
    }
}
