//! From a picture message to a picture that a model takes: fetched from WeCom onto the disk, decoded, scaled, kept.
//!
//! Many may come at once, and each is large: what is fetched goes to a file, not into memory, and pictures are decoded
//! only as far as their decoded forms fit together into one bound.

use std::{fs::File, io::BufReader, sync::Arc, time::Duration};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::persist::persist;
use crate::{
    clock::Clock,
    config,
    media::picture::{self, MOST_MEMORY, Picture, Unusable},
    metrics::TurnResult,
    model::media::MediaId,
    store::{LeaseLost, Store, inbox::Inbound},
    wecom::{client::Client, media::MediaError},
};

/// How often WeCom is asked for the file, and how long between: a file that was just sent may take a moment to be there.
const PAUSES: [Duration; 3] = [Duration::from_millis(700), Duration::from_millis(1700), Duration::from_millis(4100)];
/// As many files are fetched at once.
const FETCHED_AT_ONCE: usize = 8;
/// The unit in which memory for decoding is given out.
const KIB: u64 = 1024;

/// Why there is no picture to look at.
#[derive(Debug, thiserror::Error)]
pub enum Unseen {
    /// WeCom has it no longer.
    #[error("WeCom has the picture no longer")]
    Expired(#[source] MediaError),
    /// WeCom did not give it.
    #[error("the picture did not come")]
    Fetch(#[source] MediaError),
    /// It is no picture, or a broken one.
    #[error("the picture cannot be used")]
    Unusable(#[source] Unusable),
    /// It is too large.
    #[error("the picture is too large")]
    TooLarge,
    /// It was kept, and is there no longer: too old, or not in the backup that was restored.
    #[error("the picture is not kept any more")]
    Gone,
    /// Our own fault.
    #[error("the picture could not be prepared")]
    Broken,
}

impl Unseen {
    /// What is counted for it.
    pub const fn result(&self) -> TurnResult {
        match self {
            Self::Expired(_) | Self::Unusable(_) | Self::TooLarge | Self::Gone => TurnResult::Unseen,
            Self::Fetch(_) | Self::Broken => TurnResult::Internal,
        }
    }
}

/// Looks at picture messages.
pub struct Seeing {
    wecom: Client,
    store: Store,
    clock: Clock,
    settings: config::Pictures,
    seats: Semaphore,
    /// Memory for decoding, in KiB.
    memory: Semaphore,
}

impl Seeing {
    /// Fetches with `wecom`, and keeps in `store`.
    pub fn new(wecom: Client, store: Store, clock: Clock, settings: config::Pictures) -> Self {
        let memory = Semaphore::new(usize::try_from(MOST_MEMORY / KIB).unwrap_or(usize::MAX));
        Self { wecom, store, clock, settings, seats: Semaphore::new(FETCHED_AT_ONCE), memory }
    }

    /// Fetches, prepares and keeps the picture of this id in the chat of `claim`.
    ///
    /// # Errors
    /// [`Unseen`]; [`LeaseLost`] when the member was erased meanwhile.
    pub(super) async fn see(&self, claim: &Inbound, media_id: &str) -> Result<Result<MediaId, LeaseLost>, Unseen> {
        let (file, need) = {
            // They are never closed.
            let _seat = self.seats.acquire().await.map_err(|_| Unseen::Broken)?;
            let (file, size) = self.fetch(media_id).await?;
            let file = Arc::new(file);
            let head = Arc::clone(&file);
            (file, blocking(move || picture::memory(open(&head)?, size)).await?)
        };
        let need = u32::try_from(need.div_ceil(KIB)).unwrap_or(u32::MAX);
        let picture = {
            let _memory = self.memory.acquire_many(need).await.map_err(|_| Unseen::Broken)?;
            blocking(move || picture::prepare(open(&file)?)).await?
        };
        let Picture { media_type, bytes, width, height } = picture;
        debug!(inbox.seq = claim.seq, bytes = bytes.len(), width, height, "prepared a picture");
        let bytes = Bytes::from(bytes);
        let keep = || self.store.keep_media(claim, media_type, bytes.clone(), self.clock.now());
        Ok(persist(&self.clock, keep).await)
    }

    /// The file, which is gone when it is dropped, and its size.
    async fn fetch(&self, media_id: &str) -> Result<(NamedTempFile, u64), Unseen> {
        let mut pauses = PAUSES.into_iter();
        loop {
            let file = persist(&self.clock, || self.store.unfinished_media()).await;
            let sink = file.reopen().map_err(|_| Unseen::Broken)?;
            let mut sink = tokio::fs::File::from_std(sink);
            let config::Pictures { max_bytes, timeout, .. } = self.settings;
            let error = match self.wecom.media_into(media_id, max_bytes, timeout, &mut sink).await {
                Ok(size) => return Ok((file, size)),
                Err(MediaError::TooLarge { .. }) => return Err(Unseen::TooLarge),
                Err(error @ MediaError::Gone { .. }) => return Err(Unseen::Expired(error)),
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_transient()) else { return Err(Unseen::Fetch(error)) };
            warn!(pause_ms = pause.as_millis(), "a picture is fetched again: {error}");
            self.clock.sleep(pause).await;
        }
    }
}

fn open(file: &NamedTempFile) -> Result<BufReader<File>, Unusable> {
    file.reopen().map(BufReader::new).map_err(|_| Unusable::Broken)
}

/// On a thread of its own: a large photo takes the decoder a good part of a second.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Unusable> + Send + 'static) -> Result<T, Unseen> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Unusable::TooLarge)) => Err(Unseen::TooLarge),
        Ok(Err(unusable)) => Err(Unseen::Unusable(unusable)),
        Err(_) => Err(Unseen::Broken),
    }
}
