//! A member's thread with the bot: turns, how they end, what they cost.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{fact::Fact, id::TurnId, media::MediaId};
use crate::{clock::Timestamp, secret::Secret};

/// What a model call cost, in model tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Tokens of the prompt.
    pub input: u64,
    /// Those among them that the upstream had in its cache, as far as it says so.
    #[serde(default)]
    pub cached: u64,
    /// Tokens of the answer, reasoning included.
    pub output: u64,
    /// True when the upstream did not say and the numbers are our estimate.
    pub estimated: bool,
}

/// How a turn stands. Each state carries what is true only then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TurnState {
    /// The model is asked, or will be asked again after a crash.
    Running,
    /// All words of the answer are known, and those that are to be shown are in the outbox; what is made to go with
    /// them (a picture, the same words spoken) is not.
    Sealed {
        /// What it cost until then.
        usage: Usage,
        /// What was made and is paid for.
        made: Option<Made>,
    },
    /// The whole answer is in the outbox.
    Answered {
        /// What it cost.
        usage: Usage,
    },
    /// It ended in an honest sentence instead of an answer.
    Failed {
        /// The cause, for the log and the operator; the employee gets a sentence.
        reason: String,
        /// What it cost until then.
        usage: Usage,
    },
    /// The member stopped it.
    Stopped {
        /// What it cost until then.
        usage: Usage,
    },
}

/// What was made to go with an answer, so that nobody pays for it twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is in the store.
    Here(MediaId),
    /// It lies at this URL, for an hour or so, and is to be fetched from there. Whoever has the URL may fetch it.
    At(Secret<String>),
}

/// One question with its answer, as the model is shown it later.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exchange {
    /// What the member wrote. May be empty where there are pictures.
    pub question: String,
    /// The pictures that belong to the question, kept in the store.
    pub pictures: Vec<MediaId>,
    /// What the bot answered, as the model wrote it (Markdown). As far as it came, where it was stopped or failed.
    pub answer: String,
}

/// A member's thread as a turn needs it: the exchanges so far, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversation {
    /// Names the conversation; a new one begins with `/new` or after the idle time.
    pub id: i64,
    /// When its last turn ended or, without one, when it began.
    pub last_at: Timestamp,
    /// What the member asked to be remembered, in this and every conversation.
    pub facts: Arc<[Fact]>,
    /// What was said before `exchanges`, summed up.
    pub summary: Option<Arc<str>>,
    /// Whether all that was said is in `summary` or in `exchanges`. Where not, something between them is missing.
    pub whole: bool,
    /// The newest exchanges, oldest first.
    pub exchanges: Vec<Exchange>,
}

/// A turn that a crash or a stop of the process left unfinished.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The turn's id; it is kept when the turn goes on.
    pub id: TurnId,
    /// What the member asked; of a voice message, what was understood.
    pub question: String,
    /// The pictures of it that are in the store already.
    pub pictures: Vec<MediaId>,
    /// The inbox row of the last message that it answers.
    pub through: i64,
    /// The Markdown whose parts are in the outbox already. Empty where only what was understood of a voice message is
    /// there.
    pub answer_so_far: String,
    /// How many parts of it are in the outbox.
    pub parts: u32,
    /// Where all words are known: what they cost, and what was made to go with them.
    pub sealed: Option<(Usage, Option<Made>)>,
}
