//! From a voice message to its words: fetched from WeCom, decoded in the process, written down by a model.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::answer::Answerer;
use crate::{
    clock::Clock,
    config, llm,
    media::voice::{self, Unusable},
    meter::{Charge, Medium, allowances::Refusal},
    metrics::TurnResult,
    model::quota::plan::Right,
    store::inbox::Inbound,
    wecom::{client::Client, media::MediaError},
};

/// Bytes that a voice message may have: WeCom's own limit for voice (page 90253). A minute of AMR has about 100 KB.
const LIMIT: usize = 2 * 1024 * 1024;
/// How often WeCom is asked for the file, and how long between: a file that was just sent may take a moment to be there.
const PAUSES: [Duration; 3] = [Duration::from_millis(700), Duration::from_millis(1700), Duration::from_millis(4100)];
/// As many recordings are in memory at once. A minute of sound has about a megabyte.
const AT_ONCE: usize = 16;

/// Why there are no words.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// WeCom did not give the recording.
    #[error("the recording did not come")]
    Fetch(#[source] MediaError),
    /// It is no recording, or a broken one.
    #[error("the recording cannot be used")]
    Unusable(#[source] Unusable),
    /// The member may not have it written down.
    #[error("quota exceeded: {0}")]
    Quota(Refusal),
    /// It is too long.
    #[error("the recording is too long")]
    TooLong,
    /// Nobody speaks in it, or nobody can be understood.
    #[error("nothing was understood")]
    Nothing,
    /// The model that writes it down failed.
    #[error("the recording could not be written down")]
    Transcription(#[source] llm::error::Error),
    /// Our own fault.
    #[error("the decoder broke")]
    Broken,
}

impl Unheard {
    /// What is counted for it.
    pub const fn result(&self) -> TurnResult {
        match self {
            Self::Unusable(_) | Self::TooLong | Self::Nothing => TurnResult::Unheard,
            Self::Quota(_) => TurnResult::Quota,
            Self::Transcription(_) => TurnResult::Model,
            Self::Fetch(_) | Self::Broken => TurnResult::Internal,
        }
    }
}

/// Hears voice messages.
pub struct Hearing {
    wecom: Client,
    clock: Clock,
    shows_transcript: bool,
    seats: Arc<Semaphore>,
}

impl Hearing {
    /// Fetches with `wecom`.
    pub fn new(wecom: Client, clock: Clock, settings: &config::Voice) -> Self {
        let seats = Arc::new(Semaphore::new(AT_ONCE));
        Self { wecom, clock, shows_transcript: settings.show_transcript, seats }
    }

    /// Whether the member is shown what was understood.
    pub(super) const fn shows_transcript(&self) -> bool {
        self.shows_transcript
    }

    /// What is said in the voice message of this id, and what it cost to know. Empty where nobody can be understood.
    ///
    /// # Errors
    /// [`Unheard`].
    pub(super) async fn hear(
        &self,
        answerer: &Answerer,
        claim: &Inbound,
        media_id: &str,
    ) -> Result<(String, Charge), Unheard> {
        answerer.permit(claim, Right::Voice).await.map_err(Unheard::Quota)?;
        // It is never closed.
        let _seat = self.seats.acquire().await.map_err(|_| Unheard::Broken)?;
        let amr = self.fetch(media_id).await?;
        let (wav, length) = decode(amr).await?;
        let reserved = answerer.reserve_media(claim, Medium::Sound(length)).await.map_err(Unheard::Quota)?;
        reserved.transcribe(wav, length).await.map_err(Unheard::Transcription)
    }

    async fn fetch(&self, media_id: &str) -> Result<Bytes, Unheard> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let error = match self.wecom.media(media_id, LIMIT).await {
                Ok(amr) => return Ok(amr),
                Err(MediaError::TooLarge { .. }) => return Err(Unheard::TooLong),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_transient()) else { return Err(Unheard::Fetch(error)) };
            warn!(pause_ms = pause.as_millis(), "a voice message is fetched again: {error}");
            self.clock.sleep(pause).await;
        }
    }
}

/// On a thread of its own: a minute takes the decoder some tens of milliseconds.
async fn decode(amr: Bytes) -> Result<(Bytes, Duration), Unheard> {
    let decoded = tokio::task::spawn_blocking(move || {
        let recording = voice::decode(&amr)?;
        debug!(seconds = recording.duration().as_secs(), bytes = amr.len(), "decoded a voice message");
        Ok((Bytes::from(recording.to_wav()), recording.duration()))
    });
    match decoded.await {
        Ok(Ok(decoded)) => Ok(decoded),
        Ok(Err(Unusable::TooLong)) => Err(Unheard::TooLong),
        Ok(Err(unusable)) => Err(Unheard::Unusable(unusable)),
        Err(_) => Err(Unheard::Broken),
    }
}
