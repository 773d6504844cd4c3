//! One call of a model, as it is remembered for whoever asks what was used, by whom and how well it went.

use std::sync::Arc;

use super::{
    conversation::Usage,
    id::{AgentId, CorpId, MemberId},
};
use crate::clock::Timestamp;

/// A call that has ended, however it did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// When it ended.
    pub at: Timestamp,
    /// The enterprise.
    pub corp: CorpId,
    /// On whose account; `None` for a program of the enterprise.
    pub member: Option<MemberId>,
    /// The member's own first department, where it is known.
    pub department: Option<u64>,
    /// The application; `None` for a program, which asks beside all of them.
    pub agent: Option<AgentId>,
    /// The number of the API key that asked; `None` for what is asked in a chat.
    pub api_key: Option<i64>,
    /// The model's alias.
    pub model: Arc<str>,
    /// Who was asked; `None` where nobody was.
    pub upstream: Option<Arc<str>>,
    /// What it was for.
    pub kind: Kind,
    /// How it ended.
    pub ended: Ended,
    /// Model tokens.
    pub usage: Usage,
    /// What they cost, in micro-units of the configured currency.
    pub money: u64,
    /// Milliseconds until the first piece came; `None` where none came, or where there are no pieces.
    pub first_ms: Option<u64>,
    /// Milliseconds from beginning to end.
    pub total_ms: u64,
}

/// What a model is called for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// An answer, or a part of one.
    Chat,
    /// A summary of a conversation.
    Summary,
    /// A picture is made.
    Picture,
    /// A text is spoken.
    Speech,
    /// A recording is written down.
    Transcription,
    /// A program has texts made into numbers.
    Embedding,
}

impl Kind {
    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Summary => "summary",
            Self::Picture => "picture",
            Self::Speech => "speech",
            Self::Transcription => "transcription",
            Self::Embedding => "embedding",
        }
    }
}

/// How a call ended. What stands in it is a word that never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The model said all that it wanted to say.
    Ok,
    /// Nobody wanted the rest any more.
    Stopped,
    /// It was not to be made, or its answer not to be shown: `quota`, `busy`, `model`, `withheld`.
    Refused(&'static str),
    /// No answer began: the kind of the error.
    Failed(&'static str),
    /// The answer broke off: the kind of the error.
    Cut(&'static str),
}

impl Ended {
    /// The word in tables and files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Stopped => "stopped",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "failed",
            Self::Cut(_) => "cut",
        }
    }

    /// Why, where that is known.
    pub const fn reason(self) -> Option<&'static str> {
        match self {
            Self::Ok | Self::Stopped => None,
            Self::Refused(reason) | Self::Failed(reason) | Self::Cut(reason) => Some(reason),
        }
    }
}
