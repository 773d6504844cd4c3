//! Requests of programs, passed on as they are.
//!
//! A program's request and what an upstream says to it go through nearly untouched: fields that nobody here knows stay
//! where they are, in both directions. What is looked at is what somebody must know: the model, the longest answer, what
//! it cost, and that an upstream's complaint shows nothing of ours. Knows nothing of who asks. To read another field of
//! a request, do it in `body`; of an answer, in `watch`.

pub mod body;
mod call;
pub mod cleared;
mod events;
mod fields;
mod form;
mod made;
pub mod place;
mod responses;
mod send;
pub mod strings;
mod watch;

use std::sync::Arc;

use bytes::Bytes;

pub use self::{
    made::{Made, MadeAnswer},
    send::RelayStream,
};
use crate::model::conversation::Usage;

/// In whose name a program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Asker {
    /// A member's. What an upstream is told where it is told who asks; a program's own word for that is left out, so
    /// that nobody speaks in somebody else's name.
    Member(Option<Arc<str>>),
    /// The company's: a service says itself for whom it asks.
    Service,
}

/// How an upstream answers a program.
#[derive(Debug)]
pub enum Relayed {
    /// In one piece, which is JSON.
    Whole(Whole),
    /// In events.
    Stream(Box<RelayStream>),
    /// In bytes that are nobody's to read: sound, pictures, a transcript.
    Made(Box<MadeAnswer>),
}

/// An answer in one piece.
#[derive(Clone, Debug)]
pub struct Whole {
    /// The JSON, as it came.
    pub body: Bytes,
    /// What it cost, where the upstream says so.
    pub usage: Option<Usage>,
    /// Model tokens that were written, estimated.
    pub written: u64,
}

/// One event of an answer.
#[derive(Clone, Debug)]
pub struct Event {
    /// Its bytes as they came, with what ends them.
    pub raw: Bytes,
    /// What it is.
    pub kind: Kind,
}

/// What an event is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A part of the answer; its JSON.
    Chunk(Vec<u8>),
    /// Tells what the answer cost, and nothing else.
    OnlyUsage,
    /// `[DONE]`.
    Done,
    /// A comment, or nothing.
    Other,
}
