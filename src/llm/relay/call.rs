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
}

impl Call {
    /// Behind the upstream's base URL.
    pub(in crate::llm) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Responses => "/responses",
            Self::Embeddings => "/embeddings",
        }
    }

    /// The field for who asks, at an upstream that is told in `chat` who chats.
    pub(in crate::llm) const fn told_in(self, chat: IdentifierField) -> IdentifierField {
        match self {
            Self::Chat | Self::Responses => chat,
            // The only one that these have.
            Self::Embeddings => IdentifierField::User,
        }
    }

    /// The field that holds what is asked.
    pub(super) const fn content(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Responses | Self::Embeddings => "input",
        }
    }

    /// Whether `content`, or its absence, can be what is asked.
    pub(super) fn takes(self, content: Option<&str>) -> bool {
        match (self, content) {
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

    /// The fields that say how long the answer may be.
    pub(super) const fn limits(self) -> &'static [&'static str] {
        match self {
            Self::Chat => &["max_tokens", "max_completion_tokens"],
            Self::Responses => &["max_output_tokens"],
            Self::Embeddings => &[],
        }
    }
}
