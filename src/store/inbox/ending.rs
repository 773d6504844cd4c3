//! How an inbox row ends.

use crate::{
    model::{conversation::Exchange, reply::ReplyPart},
    store::conversation::TurnRecord,
};

/// How an inbox row ends: what must be true together with its end.
#[derive(Clone, Debug)]
pub enum Ending {
    /// There is nothing to say.
    Silent,
    /// The bot says something of its own.
    Says(Vec<ReplyPart>),
    /// The member is welcomed, and that is remembered.
    Welcomes(Vec<ReplyPart>),
    /// A turn ends.
    Turn {
        /// The turn with its cost.
        turn: TurnRecord,
        /// The number of the first of `parts` in the answer.
        first_part: u32,
        /// What is still to be said of it.
        parts: Vec<ReplyPart>,
    },
}

impl Ending {
    /// The same without what nobody is to find later; what is still to be said is there until it is delivered.
    pub(super) fn without_texts(self) -> Self {
        match self {
            Self::Turn { turn, first_part, parts } => {
                Self::Turn { turn: TurnRecord { exchange: Exchange::default(), ..turn }, first_part, parts }
            }
            other => other,
        }
    }
}
