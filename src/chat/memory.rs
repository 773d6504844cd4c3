//! The conversations that are going on, at hand: a turn of an active member costs no read. The store has the truth;
//! what is lost here is read again.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use crate::{
    clock::Timestamp,
    config,
    model::{
        conversation::{Conversation, Exchange},
        id::Lane,
    },
    store::{self, Store},
};

/// Text that all cached conversations may hold together.
const CAPACITY_BYTES: u64 = 8 * 1024 * 1024;
/// What an entry costs beside its text, as measured over ten thousand members.
const OVERHEAD_BYTES: usize = 1536;
/// A conversation that rests this long is read again when it goes on.
const AT_HAND: Duration = Duration::from_secs(30 * 60);
/// Bytes of text that are kept for each token of the context budget: a token of any language is rarely longer.
const BYTES_PER_TOKEN: usize = 6;

/// The conversations of all members. Only the worker that holds a lane asks for, and changes, the lane's conversation.
#[derive(Debug)]
pub struct Memory {
    store: Store,
    cache: Cache<Lane, Arc<Conversation>>,
    idle: Option<Duration>,
    bytes: usize,
}

impl Memory {
    /// Remembers on top of `store`.
    pub fn new(store: Store, settings: &config::Chat) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY_BYTES)
            .weigher(|lane: &Lane, conversation: &Arc<Conversation>| {
                u32::try_from(lane.as_str().len() + text_bytes(conversation) + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            })
            .time_to_idle(AT_HAND)
            .build();
        let bytes = settings.context_tokens.saturating_mul(BYTES_PER_TOKEN);
        Self { store, cache, idle: settings.idle, bytes }
    }

    /// The conversation that a message of `now` belongs to: the one that goes on, or a new one when it rested too long.
    ///
    /// # Errors
    /// [`store::Error`] when it can be neither read nor begun.
    pub async fn current(&self, lane: &Lane, now: Timestamp) -> Result<Arc<Conversation>, store::Error> {
        let known = match self.cache.get(lane).await {
            Some(conversation) => Some(conversation),
            None => self.store.find_conversation(lane, self.bytes).await?.map(Arc::new),
        };
        let rested =
            |conversation: &Conversation| self.idle.is_some_and(|idle| now.since(conversation.last_at) >= idle);
        match known {
            Some(conversation) if !rested(&conversation) => Ok(conversation),
            _ => {
                let fresh = Arc::new(self.store.open_conversation(lane, now).await?);
                self.cache.insert(lane.clone(), Arc::clone(&fresh)).await;
                Ok(fresh)
            }
        }
    }

    /// Forgets what is at hand of a lane: it is read again.
    pub async fn forget(&self, lane: &Lane) {
        self.cache.invalidate(lane).await;
    }

    /// Adds an exchange that is about to be saved. Only while the lane is held.
    pub async fn add(&self, lane: &Lane, conversation: &Conversation, exchange: Exchange, now: Timestamp) {
        let mut conversation = conversation.clone();
        conversation.last_at = now;
        if !exchange.answer.is_empty() {
            conversation.exchanges.push(exchange);
        }
        let mut over = text_bytes(&conversation).saturating_sub(self.bytes);
        let gone = conversation.exchanges.iter().take_while(|exchange| {
            let goes = over > 0;
            over = over.saturating_sub(exchange.question.len() + exchange.answer.len());
            goes
        });
        let gone = gone.count();
        conversation.exchanges.drain(..gone);
        self.cache.insert(lane.clone(), Arc::new(conversation)).await;
    }

    /// Ends a lane's conversation; the next message begins a new one.
    ///
    /// # Errors
    /// [`store::Error`]: it goes on.
    pub async fn close(&self, lane: &Lane, now: Timestamp) -> Result<(), store::Error> {
        self.store.close_conversation(lane, now).await?;
        self.cache.invalidate(lane).await;
        Ok(())
    }
}

fn text_bytes(conversation: &Conversation) -> usize {
    conversation.exchanges.iter().map(|exchange| exchange.question.len() + exchange.answer.len()).sum()
}
