//! The conversations that are going on, and what their members chose, at hand: a turn of an active member costs no read. The store has the truth;
//! what is lost here is read again.

use std::{sync::Arc, time::Duration};

use moka::future::Cache;

use crate::{
    clock::Timestamp,
    config,
    model::{
        conversation::{Conversation, Exchange},
        fact::Fact,
        id::Lane,
        preferences::{Client, Preferences},
        privacy::Privacy,
    },
    store::{self, LeaseLost, Store, inbox::Inbound},
};

/// Text that all cached conversations may hold together.
const CAPACITY_BYTES: u64 = 8 * 1024 * 1024;
/// What an entry costs beside its text, as measured over ten thousand members.
const OVERHEAD_BYTES: usize = 1536;
/// A conversation that rests this long is read again when it goes on.
const AT_HAND: Duration = Duration::from_secs(30 * 60);
/// Bytes of text that are kept for each token of the context budget: a token of any language is rarely longer.
const BYTES_PER_TOKEN: usize = 6;

/// What is known of a member as it was at a claim's epoch ([`Inbound::epoch`]): a later claim of another epoch reads it
/// again, since its member may have been erased by a command.
#[derive(Clone, Debug)]
struct AtHand {
    epoch: i64,
    thread: Thread,
    /// `None`: not read yet.
    preferences: Option<Arc<Preferences>>,
}

/// What is known of a member's open conversation.
#[derive(Clone, Debug)]
enum Thread {
    /// There is none.
    Absent,
    Open(Arc<Conversation>),
}

/// The conversations of all members. Only the worker that holds a lane asks for, and changes, the lane's conversation;
/// anybody may [`Memory::forget`]. Clones share what is at hand.
#[derive(Clone, Debug)]
pub struct Memory {
    store: Store,
    cache: Cache<Lane, AtHand>,
    idle: Option<Duration>,
    bytes: usize,
    privacy: Privacy,
}

impl Memory {
    /// Remembers on top of `store`.
    pub fn new(store: Store, settings: &config::Chat) -> Self {
        let cache = Cache::builder()
            .max_capacity(CAPACITY_BYTES)
            .weigher(|lane: &Lane, at_hand: &AtHand| {
                let text = match &at_hand.thread {
                    Thread::Absent => 0,
                    Thread::Open(conversation) => weight(conversation),
                };
                u32::try_from(lane.as_str().len() + text + OVERHEAD_BYTES).unwrap_or(u32::MAX)
            })
            .time_to_idle(AT_HAND)
            .build();
        let bytes = settings.context_tokens.saturating_mul(BYTES_PER_TOKEN);
        Self { store, cache, idle: settings.idle, bytes, privacy: settings.privacy }
    }

    /// The conversation that a claimed message belongs to: the one that goes on, or a new one when it rested too long.
    /// Where the claim was lost meanwhile, one that is stored nowhere, as nothing of the turn will be.
    ///
    /// # Errors
    /// [`store::Error`] when it can be neither read nor begun.
    pub async fn current(&self, claim: &Inbound) -> Result<Arc<Conversation>, store::Error> {
        let (now, epoch) = (claim.received_at, claim.epoch);
        let (thread, preferences) = match self.cache.get(&claim.lane).await {
            Some(AtHand { epoch: known, thread, preferences }) if known == epoch => (thread, preferences),
            _ => {
                let (thread, preferences) = self.read(claim).await?;
                (thread, Some(preferences))
            }
        };
        let rested =
            |conversation: &Conversation| self.idle.is_some_and(|idle| now.since(conversation.last_at) >= idle);
        match thread {
            Thread::Open(conversation) if !rested(&conversation) => Ok(conversation),
            _ => {
                let Ok(fresh) = self.store.begin_conversation(claim, now).await? else {
                    return Ok(Arc::new(Conversation {
                        id: 0,
                        last_at: now,
                        facts: [].into(),
                        summary: None,
                        whole: true,
                        exchanges: Vec::new(),
                    }));
                };
                let fresh = Arc::new(fresh);
                let at_hand = AtHand { epoch, thread: Thread::Open(Arc::clone(&fresh)), preferences };
                self.cache.insert(claim.lane.clone(), at_hand).await;
                Ok(fresh)
            }
        }
    }

    /// What the member of a claimed message chose. Where it is not at hand, it is read together with the conversation,
    /// so that a turn reads once.
    ///
    /// # Errors
    /// [`store::Error`] when it cannot be read.
    pub async fn preferences(&self, claim: &Inbound) -> Result<Arc<Preferences>, store::Error> {
        if let Some(AtHand { epoch, preferences: Some(preferences), .. }) = self.cache.get(&claim.lane).await
            && epoch == claim.epoch
        {
            return Ok(preferences);
        }
        Ok(self.read(claim).await?.1)
    }

    /// Saves what the member of a claimed message chose. A claim that was lost chooses nothing.
    ///
    /// # Errors
    /// [`store::Error`]: what was chosen before holds.
    pub async fn prefer(
        &self,
        claim: &Inbound,
        preferences: Preferences,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, store::Error> {
        let saved = self.store.save_preferences(claim, preferences, now).await;
        self.cache.invalidate(&claim.lane).await;
        saved
    }

    /// Remembers with what the member of a claimed message was just seen to write, where that is news.
    ///
    /// # Errors
    /// [`store::Error`]: it is not remembered.
    pub async fn saw(&self, claim: &Inbound, client: Client, now: Timestamp) -> Result<(), store::Error> {
        let known = self.preferences(claim).await?;
        if known.client != client {
            // A claim that was lost teaches nothing either.
            let _lost = self.prefer(claim, Preferences { client, ..(*known).clone() }, now).await?;
        }
        Ok(())
    }

    async fn read(&self, claim: &Inbound) -> Result<(Thread, Arc<Preferences>), store::Error> {
        let (conversation, preferences) = self.store.find_conversation_and_preferences(&claim.lane, self.bytes).await?;
        let thread = conversation.map_or(Thread::Absent, |conversation| Thread::Open(Arc::new(conversation)));
        let preferences = Arc::new(preferences);
        let at_hand =
            AtHand { epoch: claim.epoch, thread: thread.clone(), preferences: Some(Arc::clone(&preferences)) };
        self.cache.insert(claim.lane.clone(), at_hand).await;
        Ok((thread, preferences))
    }

    /// Forgets what is at hand of a lane: it is read again.
    pub async fn forget(&self, lane: &Lane) {
        self.cache.invalidate(lane).await;
    }

    /// Adds an exchange that is about to be saved. Only while the lane is held. Where no texts are kept, this is the only
    /// place that has them and, where nothing is, not even this.
    pub async fn add(&self, claim: &Inbound, conversation: &Conversation, mut exchange: Exchange, now: Timestamp) {
        match self.privacy {
            Privacy::Full => {}
            // Its files go.
            Privacy::Metadata => exchange.pictures.clear(),
            Privacy::Nothing => return self.forget(&claim.lane).await,
        }
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
        conversation.whole &= gone == 0;
        // Forgotten meanwhile, as when there is a new summary: what was known at the turn's beginning is not to come back.
        let Some(AtHand { preferences, .. }) = self.cache.get(&claim.lane).await else { return };
        let at_hand = AtHand { epoch: claim.epoch, thread: Thread::Open(Arc::new(conversation)), preferences };
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

/// Bytes of all its texts, with what an entry of a list costs beside its own.
fn weight(conversation: &Conversation) -> usize {
    let facts = conversation.facts.iter().map(|fact| size_of::<Fact>() + fact.text.len()).sum::<usize>();
    text_bytes(conversation) + facts + conversation.summary.as_ref().map_or(0, |summary| summary.len())
}

fn text_bytes(conversation: &Conversation) -> usize {
    conversation.exchanges.iter().map(|exchange| exchange.question.len() + exchange.answer.len()).sum()
}
