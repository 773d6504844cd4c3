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
    store::{self, Store, inbox::Inbound},
};

/// Text that all cached conversations may hold together.
const CAPACITY_BYTES: u64 = 8 * 1024 * 1024;
/// What an entry costs beside its text, as measured over ten thousand members.
const OVERHEAD_BYTES: usize = 1536;
/// A conversation that rests this long is read again when it goes on.
const AT_HAND: Duration = Duration::from_secs(30 * 60);
/// Bytes of text that are kept for each token of the context budget: a token of any language is rarely longer.
const BYTES_PER_TOKEN: usize = 6;

/// A conversation as it was at a claim's epoch ([`Inbound::epoch`]): a later claim of another epoch reads it again, since
/// its member may have been erased by a command.
#[derive(Clone, Debug)]
struct AtHand {
    epoch: i64,
    conversation: Arc<Conversation>,
}

/// The conversations of all members. Only the worker that holds a lane asks for, and changes, the lane's conversation.
#[derive(Debug)]
pub struct Memory {
    store: Store,
    cache: Cache<Lane, AtHand>,
    idle: Option<Duration>,
    bytes: usize,
}

impl Memory {
    /// Remembers on top of `store`.
    pub fn new(store: Store, settings: &config::Chat) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY_BYTES)
            .weigher(|lane: &Lane, at_hand: &AtHand| {
                u32::try_from(lane.as_str().len() + text_bytes(&at_hand.conversation) + OVERHEAD_BYTES)
                    .unwrap_or(u32::MAX)
            })
            .time_to_idle(AT_HAND)
            .build();
        let bytes = settings.context_tokens.saturating_mul(BYTES_PER_TOKEN);
        Self { store, cache, idle: settings.idle, bytes }
    }

    /// The conversation that a claimed message belongs to: the one that goes on, or a new one when it rested too long.
    /// Where the claim was lost meanwhile, one that is stored nowhere, as nothing of the turn will be.
    ///
    /// # Errors
    /// [`store::Error`] when it can be neither read nor begun.
    pub async fn current(&self, claim: &Inbound) -> Result<Arc<Conversation>, store::Error> {
        let (lane, now, epoch) = (&claim.lane, claim.received_at, claim.epoch);
        let known = match self.cache.get(lane).await {
            Some(at_hand) if at_hand.epoch == epoch => Some(at_hand.conversation),
            _ => self.store.find_conversation(lane, self.bytes).await?.map(Arc::new),
        };
        let rested =
            |conversation: &Conversation| self.idle.is_some_and(|idle| now.since(conversation.last_at) >= idle);
        match known {
            Some(conversation) if !rested(&conversation) => Ok(conversation),
            _ => {
                let Ok(fresh) = self.store.begin_conversation(claim, now).await? else {
                    return Ok(Arc::new(Conversation { id: 0, last_at: now, exchanges: Vec::new() }));
                };
                let fresh = Arc::new(fresh);
                self.cache.insert(lane.clone(), AtHand { epoch, conversation: Arc::clone(&fresh) }).await;
                Ok(fresh)
            }
        }
    }

    /// Forgets what is at hand of a lane: it is read again.
    pub async fn forget(&self, lane: &Lane) {
        self.cache.invalidate(lane).await;
    }

    /// Adds an exchange that is about to be saved. Only while the lane is held.
    pub async fn add(&self, claim: &Inbound, conversation: &Conversation, exchange: Exchange, now: Timestamp) {
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
        let at_hand = AtHand { epoch: claim.epoch, conversation: Arc::new(conversation) };
        self.cache.insert(claim.lane.clone(), at_hand).await;
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
