//! Text that is spoken: `POST /audio/speech`.
//!
//! Knows the wire; nothing of where the sound goes.

use serde::Serialize;

use super::{endpoint::Endpoint, error::Error};
use crate::{
    clock::Clock,
    config::{self, voice::SpeechFormat},
};

/// Five minutes at 48 kHz: far more than one piece of an answer takes.
const MAX_SOUND_BYTES: usize = 30 * 1024 * 1024;

/// Has texts spoken. Clones share its connections.
#[derive(Clone)]
pub struct Speaker {
    endpoint: Endpoint,
    model: String,
    voice: String,
    format: SpeechFormat,
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    input: &'a str,
    voice: &'a str,
    response_format: &'static str,
}

impl Speaker {
    /// For the model in `voice`, at its own address or that of `llm`; `None` where no model is set.
    pub fn new(http: reqwest::Client, voice: &config::Voice, llm: &config::Llm, clock: Clock) -> Option<Self> {
        let model = voice.speech_model.clone()?;
        let place = (voice.speech_url.as_ref(), "/audio/speech");
        let endpoint = Endpoint::new(http, place, voice.speech_key.as_ref(), llm, voice.timeout, clock);
        Some(Self { endpoint, model, voice: voice.speech_voice.clone(), format: voice.speech_format })
    }

    /// The model, and the host that it is asked at.
    pub fn place(&self) -> (&str, &str) {
        (&self.model, self.endpoint.host())
    }

    /// What the sound comes as.
    pub const fn format(&self) -> SpeechFormat {
        self.format
    }

    /// Has `text` spoken.
    ///
    /// # Errors
    /// [`Error`].
    pub(crate) async fn speak(&self, text: &str) -> Result<Vec<u8>, Error> {
        let request =
            Request { model: &self.model, input: text, voice: &self.voice, response_format: self.format.as_str() };
        let sound = self.endpoint.post(|post| post.json(&request), MAX_SOUND_BYTES).await?;
        if sound.is_empty() {
            return Err(Error::Garbage { what: "speech without a sound" });
        }
        Ok(sound)
    }
}
