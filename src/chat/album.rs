//! The pictures that a request to the model carries: those of the question, and the newest of the conversation before it.
//!
//! They are read when the model is asked, and forgotten as soon as it begins to answer: only so many are in memory at
//! once, whoever asks.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    llm::client::Picture,
    model::{conversation::Exchange, media::MediaId},
    store::{self, Store},
};

/// As many pictures are in memory at once. A large one has a megabyte, and somewhat more as it is sent.
const AT_ONCE: usize = 24;
/// What a picture that was scaled costs, in model tokens: OpenAI's models take up to 1105, others up to about 1600.
pub const PICTURE_TOKENS: usize = 1200;

/// Reads pictures from the store.
pub struct Album {
    store: Store,
    seats: Semaphore,
    shown_again: usize,
}

/// Pictures in memory, until it is dropped.
#[derive(Debug, Default)]
pub struct Shown<'a> {
    pictures: HashMap<MediaId, Picture>,
    _seats: Option<SemaphorePermit<'a>>,
}

impl Album {
    /// Shows pictures of `store`: of the questions before, the newest `shown_again`.
    pub const fn new(store: Store, shown_again: usize) -> Self {
        Self { store, seats: Semaphore::const_new(AT_ONCE), shown_again }
    }

    /// Reads the pictures of a question, and of the exchanges before it the newest. What is gone is left out.
    ///
    /// # Errors
    /// [`store::Error`] while the process stops.
    pub async fn open(&self, question: &[MediaId], exchanges: &[Exchange]) -> Result<Shown<'_>, store::Error> {
        let before = exchanges.iter().rev().flat_map(|exchange| exchange.pictures.iter().rev());
        let wanted: Vec<MediaId> = question.iter().chain(before.take(self.shown_again)).copied().collect();
        if wanted.is_empty() {
            return Ok(Shown::default());
        }
        let count = u32::try_from(wanted.len().min(AT_ONCE)).unwrap_or(1);
        let seats = self.seats.acquire_many(count).await.map_err(|_| store::Error::Closed)?;
        let mut pictures = HashMap::new();
        for id in wanted {
            if !pictures.contains_key(&id)
                && let Some(picture) = self.store.read_media(&id).await?.and_then(picture)
            {
                pictures.insert(id, picture);
            }
        }
        Ok(Shown { pictures, _seats: Some(seats) })
    }
}

impl Shown<'_> {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Those of `ids` that are there, in their order, and how many are not.
    pub fn of(&self, ids: &[MediaId]) -> (Vec<Picture>, usize) {
        let there: Vec<Picture> = ids.iter().filter_map(|id| self.pictures.get(id)).cloned().collect();
        let missing = ids.len() - there.len();
        (there, missing)
    }
}

/// Only what was prepared for a model is shown to it.
fn picture(bytes: Bytes) -> Option<Picture> {
    let media_type = match &bytes[..] {
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        _ => return None,
    };
    Some(Picture { media_type, bytes })
}
