//! A rendered answer: pieces, each proved to fit into one WeCom message. To send another kind of message, add a variant
//! to [`ReplyPart`] and follow the compiler.

use serde::{Deserialize, Serialize};

use super::{file_name::FileName, media::MediaId};

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

/// Words: not blank, at most [`PART_LIMIT`] bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    format: Format,
    content: String,
}

impl Words {
    /// How they are to be shown.
    pub const fn format(&self) -> Format {
        self.format
    }

    /// What they say.
    pub fn content(&self) -> &str {
        &self.content
    }
}

/// As what a member gets an attachment. It says what is wished: what WeCom does not take as a picture or as a voice
/// message goes as a file (see `wecom/upload`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachmentKind {
    /// A picture in the chat: JPEG or PNG, at most 10 MB.
    Image,
    /// A voice message: AMR, at most 60 s and 2 MB.
    Voice,
    /// Anything, to be opened: 6 bytes to 20 MB.
    File,
}

impl AttachmentKind {
    /// The word that WeCom's `msgtype` and `type` use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Voice => "voice",
            Self::File => "file",
        }
    }

    /// The kind of this word.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Image, Self::Voice, Self::File].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// Bytes that go out as a message of their own. They lie in the store of media under their name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Attachment {
    /// As what.
    pub kind: AttachmentKind,
    /// Which bytes.
    pub media: MediaId,
    /// What the member sees them called; a picture and a voice message show none.
    pub name: FileName,
}

/// A template card: something to press, which comes back as an event with the card's task. The WeChat plugin shows none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Card {
    task_id: String,
    card: serde_json::Value,
}

/// A value is no template card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a template card is an object with a `card_type`, and its task id 1 to 128 of letters, digits and `_-@`")]
pub struct InvalidCard;

impl Card {
    /// The card `card` (page 90236) as the task `task_id`, which no other card of the application may have: presses of
    /// this one are known by it. Written into the card, whatever stood there.
    ///
    /// # Errors
    /// [`InvalidCard`] when `card` is no object with a `card_type`, or WeCom would not take the task id.
    pub fn new(task_id: impl Into<String>, mut card: serde_json::Value) -> Result<Self, InvalidCard> {
        let task_id = task_id.into();
        let is_id = (1..=128).contains(&task_id.len())
            && task_id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte));
        let fields = card.as_object_mut().filter(|fields| fields.get("card_type").is_some_and(|kind| kind.is_string()));
        let fields = fields.filter(|_| is_id).ok_or(InvalidCard)?;
        fields.insert("task_id".to_owned(), task_id.clone().into());
        Ok(Self { task_id, card })
    }

    /// The task that a press of it names.
    pub fn task_id(&self) -> &str {
        &self.task_id
    }

    /// The card as WeCom wants it, the task id in it.
    pub const fn card(&self) -> &serde_json::Value {
        &self.card
    }
}

/// One message to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyPart {
    /// Something to read.
    Words(Words),
    /// A picture, a voice message or a file.
    Attachment(Attachment),
    /// Something to press.
    Card(Box<Card>),
}

/// Words were blank or longer than [`PART_LIMIT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a reply part holds 1 to {PART_LIMIT} bytes that are not all blank")]
pub struct InvalidPart;

impl ReplyPart {
    /// Words, with their limits proved.
    ///
    /// # Errors
    /// [`InvalidPart`] when `content` is blank or too long.
    pub fn new(format: Format, content: impl Into<String>) -> Result<Self, InvalidPart> {
        let content = content.into();
        if content.len() > PART_LIMIT || content.trim().is_empty() {
            return Err(InvalidPart);
        }
        Ok(Self::Words(Words { format, content }))
    }

    /// The words, where it is some.
    pub const fn words(&self) -> Option<&Words> {
        match self {
            Self::Words(words) => Some(words),
            Self::Attachment(_) | Self::Card(_) => None,
        }
    }

    /// Both parts as one, where they are words of one format and fit together.
    pub fn merge(&self, next: &Self) -> Option<Self> {
        let (Self::Words(words), Self::Words(next)) = (self, next) else { return None };
        if words.format != next.format {
            return None;
        }
        Self::new(words.format, format!("{}\n\n{}", words.content, next.content)).ok()
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
        assert_eq!(merged.words().expect("words").content(), "one\n\ntwo");
        assert!(part(Format::Text, "one").merge(&part(Format::Markdown, "two")).is_none());
        let long = "a".repeat(PART_LIMIT - 3);
        assert!(part(Format::Text, &long).merge(&part(Format::Text, "two")).is_none());
    }

    #[test]
    fn only_words_merge() {
        let words = ReplyPart::new(Format::Text, "one").expect("part");
        let attachment = ReplyPart::Attachment(Attachment {
            kind: AttachmentKind::File,
            media: MediaId::of(b"bytes"),
            name: FileName::make("a", "txt"),
        });
        assert!(words.merge(&attachment).is_none() && attachment.merge(&words).is_none());
        assert!(attachment.merge(&attachment).is_none());
    }

    #[test]
    fn a_card_names_its_task_and_nothing_else_is_one() {
        let card = Card::new("q-1@a", serde_json::json!({"card_type": "text_notice", "task_id": "old"})).expect("card");
        assert_eq!(card.card()["task_id"], "q-1@a");
        let card = |task: &str, card| Card::new(task, card).is_err();
        assert!(card("", serde_json::json!({"card_type": "text_notice"})));
        assert!(card("有", serde_json::json!({"card_type": "text_notice"})));
        assert!(card(&"a".repeat(129), serde_json::json!({"card_type": "text_notice"})));
        assert!(card("a", serde_json::json!({"card": 1})));
        assert!(card("a", serde_json::json!([])));
    }
}
