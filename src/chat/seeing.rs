//! From a picture message to a picture that a model takes: fetched from WeCom onto the disk, decoded, scaled, kept.
//!
//! Many may come at once, and each is large: what is fetched goes to a file, not into memory, and pictures are decoded
//! one after the other, each only where its head says that it stays within a bound.

use std::{
    fs::File,
    io::BufReader,
    sync::{Arc, OnceLock, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use tempfile::NamedTempFile;
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, warn};

use super::persist::persist;
use crate::{
    clock::Clock,
    config,
    media::picture::{self, Picture, Unusable},
    metrics::TurnResult,
    model::media::MediaId,
    store::{LeaseLost, Store, inbox::Inbound},
    wecom::{client::Client, media::MediaError},
};

/// How often WeCom is asked for the file, and how long between: a file that was just sent may take a moment to be there.
const PAUSES: [Duration; 3] = [Duration::from_millis(700), Duration::from_millis(1700), Duration::from_millis(4100)];
/// As many files are fetched at once.
const FETCHED_AT_ONCE: usize = 8;
/// Bytes that are on their way to the disk at once, of each file.
const WRITTEN_AT_ONCE: usize = 64 * 1024;

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
    /// Decodes, one picture at a time: what an allocator keeps back for each thread that had large pieces adds up.
    decoder: Decoder,
}

impl Seeing {
    /// Fetches with `wecom`, and keeps in `store`.
    pub fn new(wecom: Client, store: Store, clock: Clock, settings: config::Pictures) -> Self {
        Self { wecom, store, clock, settings, seats: Semaphore::new(FETCHED_AT_ONCE), decoder: Decoder::default() }
    }

    /// Fetches, prepares and keeps the picture of this id in the chat of `claim`.
    ///
    /// # Errors
    /// [`Unseen`]; [`LeaseLost`] when the member was erased meanwhile.
    pub(super) async fn see(&self, claim: &Inbound, media_id: &str) -> Result<Result<MediaId, LeaseLost>, Unseen> {
        let file = {
            // They are never closed.
            let _seat = self.seats.acquire().await.map_err(|_| Unseen::Broken)?;
            let (file, size) = self.fetch(media_id).await?;
            let file = Arc::new(file);
            let head = Arc::clone(&file);
            blocking(move || picture::memory(open(&head)?, size)).await?;
            file
        };
        let picture = self.decoder.decode(file).await?;
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
            sink.set_max_buf_size(WRITTEN_AT_ONCE);
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

/// A thread that decodes pictures, from the first on.
#[derive(Default)]
struct Decoder(OnceLock<Option<mpsc::Sender<Job>>>);

/// A picture, and somebody who waits for it.
struct Job {
    file: Arc<NamedTempFile>,
    reply: oneshot::Sender<Result<Picture, Unusable>>,
}

impl Decoder {
    async fn decode(&self, file: Arc<NamedTempFile>) -> Result<Picture, Unseen> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.0.get_or_init(start).as_ref().ok_or(Unseen::Broken)?;
        jobs.send(Job { file, reply }).map_err(|_| Unseen::Broken)?;
        match answer.await {
            Ok(Ok(picture)) => Ok(picture),
            Ok(Err(Unusable::TooLarge)) => Err(Unseen::TooLarge),
            Ok(Err(unusable)) => Err(Unseen::Unusable(unusable)),
            Err(_) => Err(Unseen::Broken),
        }
    }
}

fn start() -> Option<mpsc::Sender<Job>> {
    let (jobs, queue) = mpsc::channel::<Job>();
    let work = move || {
        while let Ok(Job { file, reply }) = queue.recv() {
            // Whoever has gone waits for nothing.
            if !reply.is_closed() {
                let _ = reply.send(open(&file).and_then(picture::prepare));
            }
        }
    };
    thread::Builder::new().name("pictures".to_owned()).spawn(work).ok().map(|_| jobs)
}

/// On a thread of its own: it reads from the disk.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Unusable> + Send + 'static) -> Result<T, Unseen> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(Unusable::TooLarge)) => Err(Unseen::TooLarge),
        Ok(Err(unusable)) => Err(Unseen::Unusable(unusable)),
        Err(_) => Err(Unseen::Broken),
    }
}
