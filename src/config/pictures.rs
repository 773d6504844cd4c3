//! `[pictures]`: what is shown to the bot.

use std::time::Duration;

use super::reader::{Reader, Reported};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Pictures {
    /// How long a picture without words waits for its question, and a question for its picture; zero: not at all.
    pub question: Duration,
    /// Bytes that a picture may have as it is sent.
    pub max_bytes: u64,
    /// The longest that fetching one may take.
    pub timeout: Duration,
    /// How many of the newest pictures of a conversation are shown to the model again with later questions.
    pub shown_again: usize,
}

impl Pictures {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let question = reader.whole("pictures.question_seconds", 0..=60);
        let max_mib = reader.whole("pictures.max_mib", 1..=100_u64);
        let timeout = reader.whole("pictures.timeout_seconds", 1..=600);
        let shown_again = reader.whole("pictures.shown_again", 0..=20);
        Ok(Self {
            question: Duration::from_secs(question?),
            max_bytes: max_mib? * 1024 * 1024,
            timeout: Duration::from_secs(timeout?),
            shown_again: shown_again?,
        })
    }
}
