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
        cleared::ClearedRequest,
        client::ChatRequest,
        images::{Painted, Painter},
        router::{Answer, Router, Wish},
        speech::Speaker,
        stream::{Delta, Finish},
        tokens::{self, TokenCounter},
    },
    metrics::Metrics,
    model::{
        conversation::Usage,
        id::{AgentId, CorpId, MemberId},
    },
    safety::{
        guard::{Cleared, Guard, Hit, Hits, Withheld},
        restore::Restorer,
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
    guard: Arc<Guard>,
    painter: Option<Painter>,
    speaker: Option<Speaker>,
}

impl Meter {
    /// Asks by `router` and sends nothing that has not been through `guard`; estimates with `counter` what an upstream
    /// does not tell.
    pub const fn new(router: Router, counter: TokenCounter, guard: Arc<Guard>, metrics: Arc<Metrics>) -> Self {
        Self { router, counter, metrics, guard, painter: None, speaker: None }
    }

    /// Has pictures made by `painter`, where there is one.
    pub fn with_painter(self, painter: Option<Painter>) -> Self {
        Self { painter, ..self }
    }

    /// Has texts spoken by `speaker`, where there is one.
    pub fn with_speaker(self, speaker: Option<Speaker>) -> Self {
        Self { speaker, ..self }
    }

    /// Whether texts can be spoken.
    pub const fn speaks(&self) -> bool {
        self.speaker.is_some()
    }

    /// Whether pictures can be made.
    pub const fn paints(&self) -> bool {
        self.painter.is_some()
    }

    /// What else is sent to a model goes through this first: what a picture should show, what should be spoken.
    ///
    /// # Errors
    /// [`llm::error::Error::Withheld`]: it must not be sent.
    pub fn clear<'t>(&self, text: &'t str) -> Result<Cleared<'t>, llm::error::Error> {
        let (cleared, hits) = self.guard.clear(text).map_err(|Withheld(hits)| {
            self.count(&hits);
            llm::error::Error::Withheld
        })?;
        self.count(&hits);
        Ok(cleared)
    }

    fn count(&self, hits: &Hits) {
        for Hit { rule, action, times } in hits.iter() {
            self.metrics.safety_hit(rule, "in", action, times);
        }
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
    /// [`llm::error::Error`] when no answer began; nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn stream(self, request: &ChatRequest) -> Result<Metered<'a>, llm::error::Error> {
        let sees = request.messages.iter().any(|message| !message.pictures.is_empty());
        let wish = Wish { alias: self.alias, affinity: self.affinity, input_tokens: self.input_estimate, sees };
        let cleared = ClearedRequest::through(&self.meter.guard, request);
        let (request, masks, hits) = cleared.map_err(|Withheld(hits)| {
            self.meter.count(&hits);
            llm::error::Error::Withheld
        })?;
        self.meter.count(&hits);
        let stream = self.meter.router.stream(wish, &request).await?;
        let restorer = (!masks.is_empty()).then(|| Box::new(Restorer::new(masks)));
        Ok(Metered { stream, reservation: self, usage: None, written: String::new(), restorer, next: None })
    }
}

impl Reservation<'_> {
    /// Has `text` spoken.
    ///
    /// # Errors
    /// [`llm::error::Error`]: it is not, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn speak(self, text: &str) -> Result<(Vec<u8>, Charge), llm::error::Error> {
        let Self { meter, .. } = self;
        let Some(speaker) = &meter.speaker else {
            return Err(llm::error::Error::Misconfigured {
                key: "voice.speech_model".to_owned(),
                problem: "is not set",
            });
        };
        let cleared = meter.clear(text)?;
        meter.metrics.model_called();
        let sound = speaker.speak(cleared.as_str()).await;
        let sound = sound.inspect_err(|error| meter.metrics.model_failed(error.kind()))?;
        let spoken = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Ok((sound, Charge { usage: Charge::NOTHING.usage, units: Units { spoken, ..Units::default() } }))
    }

    /// Has one picture made of what `wish` describes.
    ///
    /// # Errors
    /// [`llm::error::Error`]: there is none, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn paint(self, wish: &str) -> Result<(Painted, Charge), llm::error::Error> {
        let Self { meter, input_estimate, .. } = self;
        let Some(painter) = &meter.painter else {
            return Err(llm::error::Error::Misconfigured { key: "images.model".to_owned(), problem: "is not set" });
        };
        let cleared = meter.clear(wish)?;
        meter.metrics.model_called();
        let painted = painter.paint(cleared.as_str()).await;
        let (painted, usage) = painted.inspect_err(|error| meter.metrics.model_failed(error.kind()))?;
        let usage = usage.unwrap_or(Usage { input: input_estimate as u64, output: 0, estimated: true });
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        let units = Units { pictures: 1, ..Units::default() };
        Ok((painted, Charge { usage, units }))
    }
}

/// An answer as it is written, under its reservation.
#[must_use = "what was streamed must be settled"]
pub struct Metered<'a> {
    stream: Answer,
    reservation: Reservation<'a>,
    usage: Option<Usage>,
    /// What the model wrote, before it was restored.
    written: String,
    /// Puts back what was masked; `None` where nothing was.
    restorer: Option<Box<Restorer>>,
    /// What comes behind what was held back.
    next: Option<Box<Result<Delta, llm::error::Error>>>,
}

impl Metered<'_> {
    /// The next piece; `None` after the end.
    ///
    /// # Errors
    /// [`llm::error::Error`] when the answer broke off.
    pub async fn next(&mut self) -> Option<Result<Delta, llm::error::Error>> {
        if let Some(next) = self.next.take() {
            return Some(*next);
        }
        loop {
            let next = self.read().await;
            let Some(restorer) = &mut self.restorer else { return next };
            let mut next = next;
            if let Some(Ok(Delta::Finish(Finish { calls: Some(calls), .. }))) = &mut next {
                calls.thought = restorer.whole(&calls.thought);
                for call in &mut calls.calls {
                    call.arguments = restorer.json(&call.arguments);
                }
            }
            // A thought stands beside the text: it ends nothing that is held back of that.
            if let Some(Ok(Delta::Thought(thought))) = next {
                return Some(Ok(Delta::Thought(restorer.whole(&thought))));
            }
            let restored = match &next {
                Some(Ok(Delta::Text(text))) => restorer.push(text),
                _ => restorer.finish(),
            };
            let is_text = matches!(next, Some(Ok(Delta::Text(_))));
            match (restored.is_empty(), is_text) {
                (true, true) => {}
                (true, false) => return next,
                (false, true) => return Some(Ok(Delta::Text(restored))),
                (false, false) => {
                    self.next = next.map(Box::new);
                    return Some(Ok(Delta::Text(restored)));
                }
            }
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
        let estimate = || Usage {
            input: self.reservation.input_estimate as u64,
            output: tokens::estimate(&self.written) as u64,
            estimated: true,
        };
        let usage = self.usage.unwrap_or_else(estimate);
        self.reservation.meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        Charge::saved(usage)
    }
}

/// The cost of a model call, to be saved with what it bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "the cost must be saved"]
pub struct Charge {
    usage: Usage,
    units: Units,
}

/// What is not paid by model tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Units {
    /// Pictures that were made.
    pub pictures: u32,
    /// Characters that were spoken.
    pub spoken: u32,
}

impl Charge {
    /// For a call that never began.
    pub const NOTHING: Self = Self::saved(Usage { input: 0, output: 0, estimated: false });

    /// The cost of a call before a restart, as it was saved.
    pub const fn saved(usage: Usage) -> Self {
        Self { usage, units: Units { pictures: 0, spoken: 0 } }
    }

    /// What is paid by other measures.
    pub const fn units(self) -> Units {
        self.units
    }

    /// Model tokens.
    pub const fn usage(self) -> Usage {
        self.usage
    }

    /// The cost of both calls.
    pub const fn and(self, other: Self) -> Self {
        let usage = Usage {
            input: self.usage.input.saturating_add(other.usage.input),
            output: self.usage.output.saturating_add(other.usage.output),
            estimated: self.usage.estimated || other.usage.estimated,
        };
        let units = Units {
            pictures: self.units.pictures.saturating_add(other.units.pictures),
            spoken: self.units.spoken.saturating_add(other.units.spoken),
        };
        Self { usage, units }
    }
}
