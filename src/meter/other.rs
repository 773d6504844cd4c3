//! Calls that bring no words: a picture that is painted, a text that is spoken, a recording that is written down. They go
//! through the same door and are counted by the piece.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{
    Charge, Meter, Payer, Purpose, Units,
    allowances::{Held, Refusal},
    record::Record,
};
use crate::{
    llm::{
        self,
        error::Error,
        images::{Painted, Painter},
        speech::Speaker,
        transcribe::Transcriber,
    },
    model::{
        call::{Ended, Kind},
        conversation::Usage,
        quota::{
            amounts::{MediaPrices, Price},
            book::Ask,
            plan::Right,
            prices::Rate,
        },
    },
};

/// What a call brings or takes that is not words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// A picture that is made; it counts as a question.
    Drawing,
    /// So many characters that are spoken.
    Speech(usize),
    /// So much sound that is written down.
    Sound(Duration),
}

impl Medium {
    /// What somebody must be allowed to have it.
    pub(super) const fn right(self) -> Right {
        match self {
            Self::Drawing => Right::Drawing,
            Self::Speech(_) => Right::Speech,
            Self::Sound(_) => Right::Voice,
        }
    }

    pub(super) const fn kind(self) -> Kind {
        match self {
            Self::Drawing => Kind::Picture,
            Self::Speech(_) => Kind::Speech,
            Self::Sound(_) => Kind::Transcription,
        }
    }

    pub(super) fn cost(self, prices: MediaPrices) -> u64 {
        match self {
            Self::Drawing => prices.picture,
            Self::Speech(characters) => prices.of_speech(characters),
            Self::Sound(length) => prices.of_sound(length),
        }
    }
}

impl Meter {
    /// Has pictures made by `painter`, where there is one.
    pub fn with_painter(self, painter: Option<Painter>) -> Self {
        Self { painter, ..self }
    }

    /// Has texts spoken by `speaker`, where there is one.
    pub fn with_speaker(self, speaker: Option<Speaker>) -> Self {
        Self { speaker, ..self }
    }

    /// Has recordings written down by `transcriber`, where there is one.
    pub fn with_transcriber(self, transcriber: Option<Transcriber>) -> Self {
        Self { transcriber, ..self }
    }

    /// What is not words costs so much.
    pub fn with_media_prices(self, media_prices: MediaPrices) -> Self {
        Self { media_prices, ..self }
    }

    /// Whether texts can be spoken.
    pub const fn speaks(&self) -> bool {
        self.speaker.is_some()
    }

    /// Whether pictures can be made.
    pub const fn paints(&self) -> bool {
        self.painter.is_some()
    }

    /// Holds what a call costs that brings no words.
    ///
    /// # Errors
    /// [`Refusal`], and it must not be made.
    pub async fn reserve_media(&self, payer: Payer<'_>, medium: Medium) -> Result<MediaReservation<'_>, Refusal> {
        let ask = Ask {
            requests: u64::from(medium == Medium::Drawing),
            input: 0,
            output: 0,
            least_output: 0,
            price: Price::default(),
            beside: medium.cost(self.media_prices),
        };
        // What is spoken belongs to an answer that was begun.
        let purpose = if matches!(medium, Medium::Speech(_)) { Purpose::Further } else { Purpose::Question };
        let (model, place) = self.place(medium).unwrap_or_default();
        let mut record = Record::new(self.recorder.as_ref(), payer, medium.kind(), &model.into());
        let admitted = Box::pin(self.admit(payer, purpose, None)).await;
        admitted.inspect_err(|refusal| record.refused(refusal.kind()))?;
        let reserved = self.allowances.reserve_media(payer, medium.right(), ask).await;
        let held = reserved.inspect_err(|refusal| record.refused(refusal.kind()))?;
        record.answers(&place.into());
        Ok(MediaReservation { meter: self, held, identifier: self.identifier_of(payer), record })
    }

    /// The model for it, and the host that it is asked at.
    fn place(&self, medium: Medium) -> Option<(&str, &str)> {
        match medium {
            Medium::Drawing => self.painter.as_ref().map(Painter::place),
            Medium::Speech(_) => self.speaker.as_ref().map(Speaker::place),
            Medium::Sound(_) => self.transcriber.as_ref().map(Transcriber::place),
        }
    }
}

/// The permission for one call that brings no words.
#[must_use = "a reservation that is not used holds an allowance for nothing"]
pub struct MediaReservation<'a> {
    meter: &'a Meter,
    held: Held,
    /// Who asks, as upstreams may know it.
    identifier: Option<Arc<str>>,
    record: Record,
}

impl MediaReservation<'_> {
    /// Has `text` spoken.
    ///
    /// # Errors
    /// [`llm::error::Error`]: it is not, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn speak(mut self, text: &str) -> Result<(Vec<u8>, Charge), llm::error::Error> {
        let meter = self.meter;
        let speaker = meter.speaker.as_ref().ok_or_else(|| not_set("voice.speech_model"))?;
        self.record.begins();
        let cleared = Box::pin(meter.clear(text)).await.inspect_err(|error| self.record.failed(error))?;
        meter.metrics.model_called();
        let sound = speaker.speak(cleared.as_str()).await;
        let sound = sound.inspect_err(|error| self.fails(error))?;
        let spoken = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        Ok((sound, self.settle(Usage::default(), Units { spoken, ..Units::default() })))
    }

    /// Has one picture made of what `wish` describes.
    ///
    /// # Errors
    /// [`llm::error::Error`]: there is none, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn paint(mut self, wish: &str) -> Result<(Painted, Charge), llm::error::Error> {
        let meter = self.meter;
        let painter = meter.painter.as_ref().ok_or_else(|| not_set("images.model"))?;
        self.record.begins();
        let cleared = Box::pin(meter.clear(wish)).await.inspect_err(|error| self.record.failed(error))?;
        meter.metrics.model_called();
        let painted = painter.paint(cleared.as_str(), self.identifier.as_deref()).await;
        let (painted, usage) = painted.inspect_err(|error| self.fails(error))?;
        let estimate = || Usage { input: llm::tokens::estimate(wish) as u64, cached: 0, output: 0, estimated: true };
        let usage = usage.unwrap_or_else(estimate);
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        Ok((painted, self.settle(usage, Units { pictures: 1, ..Units::default() })))
    }

    /// Has a WAV file written down that is so long. The words may be none.
    ///
    /// # Errors
    /// [`llm::error::Error`]: it is not, and nothing is charged.
    pub async fn transcribe(mut self, wav: Bytes, length: Duration) -> Result<(String, Charge), llm::error::Error> {
        let meter = self.meter;
        let transcriber = meter.transcriber.as_ref().ok_or_else(|| not_set("voice.transcription_model"))?;
        self.record.begins();
        meter.metrics.model_called();
        let text = transcriber.transcribe(wav).await;
        let text = text.inspect_err(|error| self.fails(error))?;
        let heard = u32::try_from(length.as_secs()).unwrap_or(u32::MAX);
        Ok((text, self.settle(Usage::default(), Units { heard, ..Units::default() })))
    }

    fn fails(&mut self, error: &Error) {
        self.meter.metrics.model_failed(error.kind());
        self.record.failed(error);
    }

    fn settle(mut self, usage: Usage, units: Units) -> Charge {
        let (used, nearly_used) = self.held.settle(usage, Rate::default());
        self.record.ends(Ended::Ok);
        self.record.costs(usage, used.amounts.money);
        Charge { usage, units, used, nearly_used }
    }
}

fn not_set(key: &str) -> Error {
    Error::Misconfigured { key: key.to_owned(), problem: "is not set" }
}
