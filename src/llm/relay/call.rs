//! What programs may ask of an upstream: where it is asked, and which fields of it are known.

use crate::llm::dialect::IdentifierField;

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Call {
    /// `/chat/completions`
    #[default]
    Chat,
    /// `/responses`
    Responses,
    /// `/embeddings`
    Embeddings,
    /// `/images/generations`
    Images,
    /// `/audio/speech`
    Speech,
    /// `/audio/transcriptions`
    Transcription,
}

impl Call {
    /// Behind the upstream's base URL.
    pub(in crate::llm) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
            Self::Images => "/images/generations",
            Self::Speech => "/audio/speech",
            Self::Transcription => "/audio/transcriptions",
        }
    }

    /// The field for who asks, at an upstream that is told in `chat` who chats.
    pub(in crate::llm) const fn told_in(self, chat: IdentifierField) -> Option<IdentifierField> {
        match self {
            Self::Chat | Self::Responses => Some(chat),
            // The only one that these have.
            Self::Embeddings | Self::Images => Some(IdentifierField::User),
            Self::Speech | Self::Transcription => None,
        }
    }

    /// The field that holds what is asked.
    pub(super) const fn content(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Responses | Self::Embeddings | Self::Speech => "input",
            Self::Images => "prompt",
            Self::Transcription => "file",
        }
    }

    /// Whether `content`, or its absence, can be what is asked.
    pub(super) fn takes(self, content: Option<&str>) -> bool {
        match (self, content) {
            (Self::Images | Self::Speech, Some(text)) => text.starts_with('"'),
            (_, Some(list)) if list.starts_with('[') => true,
            (Self::Responses | Self::Embeddings, Some(text)) => text.starts_with('"'),
            // A stored prompt, or the rest of an answer, needs no words.
            (Self::Responses, None) => true,
            _ => false,
        }
    }

    /// Whether what is asked may be a list of what was said, by whom.
    pub(super) const fn has_items(self) -> bool {
        matches!(self, Self::Chat | Self::Responses)
    }

    /// Whether it is answered in words, which may come in events.
    pub const fn is_words(self) -> bool {
        matches!(self, Self::Chat | Self::Responses)
    }

    /// Whether it is answered where models are that make something else than words.
    pub const fn is_made(self) -> bool {
        matches!(self, Self::Images | Self::Speech | Self::Transcription)
    }

    /// What its content must be.
    pub(super) const fn right(self) -> &'static str {
        match self {
            Self::Images | Self::Speech => "there, and a text",
            _ => "there, and a list",
        }
    }

    /// How many of what is asked may be had at once.
    pub(super) const fn most_answers(self) -> Option<(u64, &'static str)> {
        match self {
            Self::Chat => Some((128, "at most 128")),
            Self::Images => Some((10, "at most 10")),
            _ => None,
        }
    }

    /// The fields that say how long the answer may be.
    pub(super) const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_tokens", "max_completion_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Embeddings | Self::Images | Self::Speech | Self::Transcription => &[],
        }
    }
}
