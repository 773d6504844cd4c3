//! `[chat]`: how the bot behaves.

use std::time::Duration;

use crate::model::reply::Format;

/// The language of what the bot itself says (help, notices, failures).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// 中文
    #[default]
    Chinese,
    /// English
    English,
}

/// The section's values.
#[derive(Clone, Debug)]
pub struct Chat {
    /// The language of the bot's own sentences.
    pub language: Language,
    /// A conversation that rests this long ends; `None`: never.
    pub idle: Option<Duration>,
    /// How many members are answered at once.
    pub max_concurrent_turns: usize,
    /// Whether finished paragraphs are sent while the model still writes.
    pub progressive: bool,
    /// How answers are rendered.
    pub output: Format,
    /// How many model tokens of conversation (system prompt, history, question) a request may hold.
    pub context_tokens: usize,
    /// What a member who opens the chat is greeted with, at most once a day; `None`: nothing.
    pub welcome: Option<String>,
    /// After how long without a word of the answer the member is told that it takes a while; `None`: never.
    pub slow_notice: Option<Duration>,
    /// From how many waiting messages on a member is told that they are in the queue; 0: never.
    pub backlog_notice: u32,
}
