//! Calls that bring no words: a picture that is painted, a text that is spoken. They go through the same door and are
//! counted by the piece. Knows nothing of prices: those of `llm` are for words.

use super::{Charge, Reservation, Units};
use crate::{
    llm::{self, images::Painted},
    model::{conversation::Usage, quota::amounts::Price},
};

impl Reservation<'_> {
    /// Has `text` spoken.
    ///
    /// # Errors
    /// [`llm::error::Error`]: it is not, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn speak(self, text: &str) -> Result<(Vec<u8>, Charge), llm::error::Error> {
        let Self { meter, held, .. } = self;
        let Some(speaker) = &meter.speaker else {
            return Err(llm::error::Error::Misconfigured {
                key: "voice.speech_model".to_owned(),
                problem: "is not set",
            });
        };
        let cleared = Box::pin(meter.clear(text)).await?;
        meter.metrics.model_called();
        let sound = speaker.speak(cleared.as_str()).await;
        let sound = sound.inspect_err(|error| meter.metrics.model_failed(error.kind()))?;
        let spoken = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        let usage = Usage::default();
        let (used, nearly_used) = held.settle(usage, Price::default());
        Ok((sound, Charge { usage, units: Units { spoken, ..Units::default() }, used, nearly_used }))
    }

    /// Has one picture made of what `wish` describes.
    ///
    /// # Errors
    /// [`llm::error::Error`]: there is none, and nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub async fn paint(self, wish: &str) -> Result<(Painted, Charge), llm::error::Error> {
        let Self { meter, input_estimate, held, .. } = self;
        let Some(painter) = &meter.painter else {
            return Err(llm::error::Error::Misconfigured { key: "images.model".to_owned(), problem: "is not set" });
        };
        let cleared = Box::pin(meter.clear(wish)).await?;
        meter.metrics.model_called();
        let painted = painter.paint(cleared.as_str()).await;
        let (painted, usage) = painted.inspect_err(|error| meter.metrics.model_failed(error.kind()))?;
        let usage = usage.unwrap_or(Usage { input: input_estimate as u64, output: 0, estimated: true });
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        let units = Units { pictures: 1, ..Units::default() };
        let (used, nearly_used) = held.settle(usage, Price::default());
        Ok((painted, Charge { usage, units, used, nearly_used }))
    }
}
