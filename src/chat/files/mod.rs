//! What no bubble can show goes as a file beside a short text: long code as a source file, large tables as `.csv`, a very
//! long answer whole as `.md`.
//!
//! [`compose`] takes Markdown apart and decides; [`Shaper`] keeps the files and makes reply parts of all. Knows nothing
//! of sending, and does not touch what the model is told of its answer: that stays as it was written.
//!
//! To send another block as a file, catch it in `Reader::event`.

mod name;
mod read;
mod shaper;

pub use self::{read::compose, shaper::Shaper};
use crate::model::{
    file_name::FileName,
    language::Language,
    reply::{Format, ReplyPart},
};

/// A file that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewFile {
    /// What the member sees it called.
    pub name: FileName,
    /// What is in it, as a media type.
    pub media_type: &'static str,
    /// Its content.
    pub content: String,
}

/// A piece of an answer, in the order in which it is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Words, in a message of their own.
    Words(ReplyPart),
    /// A file; the words before it say what it is.
    File(NewFile),
}

/// How a member's answer is to look.
#[derive(Clone, Copy, Debug)]
pub struct Look {
    /// The form of its words.
    pub format: Format,
    /// The language of the sentences that stand for files.
    pub language: Language,
}
