//! What a member chose, and what is known of the client that they read with.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{language::Language, reply::Format};

/// How answers are to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Markdown where the member's client is known to show it, otherwise text.
    Auto,
    /// Text: every client shows it.
    Text,
    /// WeCom's Markdown subset.
    Markdown,
}

impl Output {
    /// All.
    pub const ALL: [Self; 3] = [Self::Auto, Self::Text, Self::Markdown];

    /// The word that the configuration and the store use.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Text => "text",
            Self::Markdown => "markdown",
        }
    }

    /// The form for a member who reads with `client`.
    pub const fn format(self, client: Client) -> Format {
        match (self, client) {
            (Self::Markdown, _) | (Self::Auto, Client::WeCom) => Format::Markdown,
            (Self::Text, _) | (Self::Auto, Client::WeChat | Client::Unknown) => Format::Text,
        }
    }
}

/// What a member was last seen to read and write with. WeCom does not tell it with a text; it does with a place
/// (`AppType`), and only its own client shows cards that can be clicked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Client {
    /// Nothing has told it yet.
    #[default]
    Unknown,
    /// WeCom's own client.
    WeCom,
    /// The plugin in WeChat (微信插件): it shows neither Markdown nor cards.
    WeChat,
}

impl Client {
    /// All.
    pub const ALL: [Self; 3] = [Self::Unknown, Self::WeCom, Self::WeChat];

    /// The word that the store uses.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::WeCom => "wecom",
            Self::WeChat => "wechat",
        }
    }
}

/// What a member of one application chose. `None`: as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// How answers are to look.
    pub output: Option<Output>,
    /// With what they were last seen.
    pub client: Client,
    /// The alias of the model that is to answer. It may be gone from the configuration since.
    pub model: Option<Arc<str>>,
    /// The name of the persona that is to answer. It may be gone from the configuration since.
    pub persona: Option<Arc<str>>,
    /// The language of the bot's own sentences.
    pub language: Option<Language>,
    /// Whether what was asked by voice is answered by voice.
    pub voice_answers: Option<bool>,
}

impl Preferences {
    /// The form of this member's answers, where `configured` holds for those who chose none.
    pub fn format(&self, configured: Output) -> Format {
        self.output.unwrap_or(configured).format(self.client)
    }

    /// The language of the bot's sentences to this member, where `configured` holds for those who chose none.
    pub fn language(&self, configured: Language) -> Language {
        self.language.unwrap_or(configured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_goes_where_it_is_shown() {
        for (output, client, format) in [
            (Output::Auto, Client::WeCom, Format::Markdown),
            (Output::Auto, Client::WeChat, Format::Text),
            (Output::Auto, Client::Unknown, Format::Text),
            (Output::Text, Client::WeCom, Format::Text),
            (Output::Markdown, Client::WeChat, Format::Markdown),
        ] {
            let of_member = Preferences { output: Some(output), client, ..Preferences::default() };
            assert_eq!(of_member.format(Output::Text), format, "{output:?} {client:?}");
            let configured = Preferences { client, ..Preferences::default() };
            assert_eq!(configured.format(output), format, "{output:?} {client:?}");
        }
    }
}
