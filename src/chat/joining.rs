//! Which messages of a member are one question: those that follow one another in quick succession, and a picture with
//! its words.
//!
//! Knows when a message continues the one before it; nothing of what becomes of the question. To let another kind of
//! message be part of a question, add it to [`Piece`] and follow the compiler.

use std::time::Duration;

use tracing::warn;

use super::stops::Held;
use crate::{
    clock::Timestamp,
    model::{command::Command, event::EventKind},
    store::{
        self, Store,
        inbox::{Inbound, Waiting},
    },
};

/// As many pictures are one question's.
const MOST_PICTURES: usize = 9;

/// What a message brings to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// Words.
    Words(&'a str),
    /// Something spoken, by its id for `media/get`.
    Spoken(&'a str),
    /// A picture, by its id for `media/get`.
    Picture(&'a str),
}

/// What the bot can take in at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Senses {
    /// Voice is written down.
    pub hears: bool,
    /// The member's model sees pictures.
    pub sees: bool,
}

impl<'a> Piece<'a> {
    /// What an event brings; `None`: it is no part of a question, such as a command.
    pub fn of(event: &'a EventKind, senses: Senses) -> Option<Self> {
        match event {
            EventKind::Text { content } if Command::parse(content).is_some() || Command::meant(content).is_some() => {
                None
            }
            EventKind::Text { content } => Some(Self::Words(content)),
            EventKind::Voice { media_id, .. } if senses.hears => Some(Self::Spoken(media_id)),
            EventKind::Image { media_id, .. } if senses.sees => Some(Self::Picture(media_id)),
            _ => None,
        }
    }

    /// Whether it could be one, for somebody who hears and sees.
    pub fn may_be(event: &EventKind) -> bool {
        Piece::of(event, Senses { hears: true, sees: true }).is_some()
    }

    const fn is_picture(self) -> bool {
        matches!(self, Self::Picture(_))
    }
}

/// The last message of a question so far.
#[derive(Clone, Copy, Debug)]
pub struct Last {
    /// Its inbox row.
    pub seq: i64,
    /// When it came.
    pub at: Timestamp,
    is_picture: bool,
    pictures: usize,
}

impl Last {
    /// The first message of a question.
    pub fn of(claim: &Inbound) -> Self {
        let is_picture = matches!(claim.event.kind, EventKind::Image { .. });
        Self { seq: claim.seq, at: claim.received_at, is_picture, pictures: usize::from(is_picture) }
    }

    /// With one more behind it.
    pub fn and(self, next: &Waiting) -> Self {
        let is_picture = matches!(next.event.kind, EventKind::Image { .. });
        let pictures = self.pictures + usize::from(is_picture);
        Self { seq: next.seq, at: next.received_at, is_picture, pictures }
    }
}

/// Decides which messages are one question.
#[derive(Clone, Debug)]
pub struct Joining {
    store: Store,
    words: Duration,
    pictures: Duration,
}

impl Joining {
    /// Joins messages that follow one another within `words`, a picture and its words within `pictures`; zero: never.
    pub fn new(store: Store, words: Duration, pictures: Duration) -> Self {
        Self { store, words, pictures: pictures.max(words) }
    }

    /// How long a picture without words waits for them.
    pub const fn picture_waits(&self) -> Duration {
        self.pictures
    }

    /// The first of `waiting` that continue the question which ends with `last`.
    pub fn of_these(&self, mut last: Last, waiting: Vec<Waiting>, senses: Senses) -> Vec<Waiting> {
        let mut joined = Vec::new();
        for next in waiting {
            let Some(piece) = Piece::of(&next.event.kind, senses) else { break };
            let limit = if piece.is_picture() || last.is_picture { self.pictures } else { self.words };
            let full = piece.is_picture() && last.pictures == MOST_PICTURES;
            if full || limit.is_zero() || next.received_at.since(last.at) > limit {
                break;
            }
            last = last.and(&next);
            joined.push(next);
        }
        joined
    }

    /// Those that came since and continue it.
    ///
    /// # Errors
    /// [`store::Error`] when the store cannot be read.
    pub async fn newer(&self, claim: &Inbound, last: Last, senses: Senses) -> Result<Vec<Waiting>, store::Error> {
        let waiting = self.store.waiting(&claim.lane, last.seq).await?;
        Ok(self.of_these(last, waiting, senses))
    }
}

/// Watches, beside the work on a question, whether something comes that belongs to it.
#[derive(Debug)]
pub struct Together<'a> {
    joining: &'a Joining,
    held: &'a Held,
    senses: Senses,
    /// The last message of the question so far.
    pub last: Last,
    /// The newest message that was looked at.
    seen: i64,
}

impl<'a> Together<'a> {
    /// For a question that ends with `last`.
    pub const fn new(joining: &'a Joining, held: &'a Held, senses: Senses, last: Last) -> Self {
        Self { joining, held, senses, last, seen: last.seq }
    }

    /// Waits until something came that continues the question. Nothing is lost when the wait is given up.
    pub async fn more(&mut self, claim: &Inbound) -> Vec<Waiting> {
        loop {
            let newest = self.held.newer_than(self.seen).await;
            // Rare, so not in every turn's future.
            match Box::pin(self.joining.newer(claim, self.last, self.senses)).await {
                Ok(rows) if rows.is_empty() => {}
                Ok(rows) => return rows,
                // What cannot be read now is answered by itself.
                Err(error) => warn!(inbox.seq = claim.seq, %error, "cannot see what came behind a message"),
            }
            self.seen = newest;
        }
    }

    /// The same without a wait; mostly nothing.
    pub async fn already(&mut self, claim: &Inbound) -> Vec<Waiting> {
        if self.held.newest() <= self.seen {
            return Vec::new();
        }
        self.seen = self.held.newest();
        Box::pin(self.joining.newer(claim, self.last, self.senses)).await.unwrap_or_default()
    }

    /// From now on nothing belongs to the question, so there is nothing of it that waits.
    pub const fn close(&mut self) -> Vec<Waiting> {
        self.seen = i64::MAX;
        Vec::new()
    }

    /// Takes a message into the question.
    pub fn take(&mut self, next: &Waiting) {
        self.last = self.last.and(next);
        self.seen = self.seen.max(next.seq);
    }
}
