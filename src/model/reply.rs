//! A rendered answer: pieces, each proved to fit into one WeCom message.

use serde::{Deserialize, Serialize};

/// Bytes that one part may hold. WeCom cuts a text silently at 2048 bytes (page 90236); the rest is kept for the
/// invisible mark that tells an honest repetition from a repeated attempt (see [`super::outbound`]).
pub const PART_LIMIT: usize = 2000;

/// How a part is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// Plain text: every client shows it.
    Text,
    /// WeCom's Markdown subset: the WeChat plugin does not show it (page 90236).
    Markdown,
}

impl Format {
    /// The word that WeCom's `msgtype` and our configuration use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Markdown => "markdown",
        }
    }
}

/// One message to be: not blank, at most [`PART_LIMIT`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplyPart {
    format: Format,
    content: String,
}

/// A part was blank or longer than [`PART_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reply part holds 1 to {PART_LIMIT} bytes that are not all blank")]
pub struct InvalidPart;

impl ReplyPart {
    /// Proves the limits.
    ///
    /// # Errors
    /// [`InvalidPart`] when `content` is blank or too long.
    pub fn new(format: Format, content: impl Into<String>) -> Result<Self, InvalidPart> {
        let content = content.into();
        if content.len() > PART_LIMIT || content.trim().is_empty() {
            return Err(InvalidPart);
        }
        Ok(Self { format, content })
    }

    /// How it is to be shown.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What it says.
    pub fn content(&self) -> &str {
        &self.content
    }

    /// Both parts as one, where they are of one format and fit together.
    pub fn merge(&self, next: &Self) -> Option<Self> {
        if self.format != next.format {
            return None;
        }
        Self::new(self.format, format!("{}\n\n{}", self.content, next.content)).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_never_blank_and_never_too_long() {
        assert_eq!(ReplyPart::new(Format::Text, " \n\t"), Err(InvalidPart));
        assert_eq!(ReplyPart::new(Format::Text, "字".repeat(667)), Err(InvalidPart));
        assert!(ReplyPart::new(Format::Text, "字".repeat(666)).is_ok());
    }

    #[test]
    fn parts_merge_while_they_fit_and_are_alike() {
        let part = |format, text: &str| ReplyPart::new(format, text).expect("part");
        let merged = part(Format::Text, "one").merge(&part(Format::Text, "two")).expect("fits");
        assert_eq!(merged.content(), "one\n\ntwo");
        assert!(part(Format::Text, "one").merge(&part(Format::Markdown, "two")).is_none());
        let long = "a".repeat(PART_LIMIT - 3);
        assert!(part(Format::Text, &long).merge(&part(Format::Text, "two")).is_none());
    }
}
