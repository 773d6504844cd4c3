//! A cheap question, to see whether the model answers at all: one token, no repetition, and nobody reads the rest.

use std::time::Duration;

use reqwest::header::CONTENT_TYPE;

use super::{Client, MAX_REFUSAL_BYTES, Message, beginning};
use crate::{
    llm::{
        decode::Decoder,
        error::Error,
        stream::CompletionStream,
        timers::Timers,
        tools::Messages,
        wire::{OutputLimit, Request, StreamOptions},
    },
    net::link::{LinkFault, Way},
};

/// What reasoning models need before they can end: with less, OpenAI's refuse instead of being cut.
const REASONING_LIMIT: u32 = 64;

/// The model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// How long until the first piece of the answer came.
    pub first_delta: Duration,
}

/// The model does not answer. What the upstream said is on one line, without our secrets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeFault {
    /// It cannot be reached.
    Link(LinkFault),
    /// A page for people, or a redirection: not an API.
    Page,
    /// An API, perhaps, but nothing on this path.
    PathNotFound,
    /// The key is wrong.
    KeyRefused(String),
    /// The key is right and may not do this.
    Forbidden(String),
    /// The account is empty.
    QuotaExhausted(String),
    /// Too many requests at this moment.
    RateLimited,
    /// There is no such model, or not for this key.
    ModelNotFound(String),
    /// The request itself is refused: some setting is not for this model.
    Rejected(String),
    /// The upstream is not well.
    Upstream(String),
    /// No piece of an answer within `llm.first_delta_timeout`.
    TooSlow,
    /// It answers, and not as a stream of chat completions.
    NoStream,
}

impl ProbeFault {
    /// Of an error with this status, on this way.
    pub(in crate::llm) fn of(error: Error, status: u16, way: &Way) -> Self {
        match error {
            Error::Unauthorized { message } if status == 403 => Self::Forbidden(message),
            Error::Unauthorized { message } => Self::KeyRefused(message),
            Error::ModelNotFound { message } => Self::ModelNotFound(message),
            Error::QuotaExhausted { message } => Self::QuotaExhausted(message),
            Error::RateLimited { .. } => Self::RateLimited,
            Error::Rejected { status: 404, .. } => Self::PathNotFound,
            Error::Rejected { message, .. } => Self::Rejected(message),
            Error::TooLong | Error::ContentFiltered | Error::Withheld | Error::Misconfigured { .. } => {
                Self::Rejected(error.to_string())
            }
            Error::Upstream { message, status, .. } => Self::Upstream(format!("{status} {message}")),
            Error::StreamError { message } => Self::Upstream(message),
            Error::Unreachable(error) => Self::Link(way.fault_of(&error)),
            Error::FirstDeltaTimeout | Error::GapTimeout | Error::AnswerTimeout => Self::TooSlow,
            Error::Cut { .. } | Error::Garbage { .. } => Self::NoStream,
        }
    }
}

impl Client {
    /// The way to the upstream, to be shown.
    pub fn way(&self) -> Way {
        self.settings.way.clone()
    }

    /// Asks `model` for one word, once, and hangs up when it comes.
    ///
    /// # Errors
    /// [`ProbeFault`].
    pub(crate) async fn probe(&self, model: &str) -> Result<Probed, ProbeFault> {
        let (way, common) = (self.way(), &self.settings.common);
        way.try_first_hop(&self.clock, common.connect_timeout).await.map_err(ProbeFault::Link)?;
        let asked_at = self.clock.now();
        let mut timers =
            Timers::new(self.clock.clone(), common, self.clock.uptime().saturating_add(common.answer_timeout));
        let headers = self.headers().map_err(|error| ProbeFault::Rejected(error.to_string()))?;
        let url = format!("{}/chat/completions", self.settings.base_url);
        let sent = self.http.post(url).headers(headers).body(self.question(model)).send();
        let response = match timers.wait(sent).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(ProbeFault::Link(way.fault_of(&error))),
            Err(_) => return Err(ProbeFault::TooSlow),
        };
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let page = kind.starts_with("text/html");
        if status.is_success() && !page {
            let begun = CompletionStream::begin(response, timers, Box::new(Decoder::new(self.redactor.clone()))).await;
            return match begun {
                Ok(_) => Ok(Probed { first_delta: self.clock.now().since(asked_at) }),
                Err(error) => Err(self.fault(error, 200)),
            };
        }
        let code = status.as_u16();
        let body = timers.wait(beginning(response, MAX_REFUSAL_BYTES)).await.unwrap_or_default();
        match code {
            407 => Err(ProbeFault::Link(LinkFault::ProxyAuthentication)),
            200..=399 | 405 => Err(ProbeFault::Page),
            404 if page => Err(ProbeFault::PathNotFound),
            _ => match self.fault(Error::refused(status, None, &body, &self.redactor), code) {
                // It wanted to think longer than this question lets it: it works.
                ProbeFault::Rejected(message) if message.contains("output limit was reached") => {
                    Ok(Probed { first_delta: self.clock.now().since(asked_at) })
                }
                fault => Err(fault),
            },
        }
    }

    fn question(&self, model: &str) -> Vec<u8> {
        let (settings, dialect) = (&self.settings.common, self.settings.dialect);
        let messages = [Message::user("ping")];
        let limit = match OutputLimit::for_model(dialect.limit, model, 1) {
            OutputLimit::MaxCompletionTokens(_) => OutputLimit::MaxCompletionTokens(REASONING_LIMIT),
            one => one,
        };
        let body = Request {
            model,
            messages: Messages { messages: &messages, rounds: &[] },
            tools: &[],
            tool_choice: None,
            stream: true,
            stream_options: dialect.stream_options.then_some(StreamOptions { include_usage: true }),
            temperature: settings.temperature,
            reasoning_effort: settings.reasoning_effort.as_deref(),
            limit: Some(limit),
            identifier: None,
            extra: &self.settings.extra_body,
        };
        // Strings and numbers always become JSON.
        serde_json::to_vec(&body).unwrap_or_default()
    }

    fn fault(&self, error: Error, status: u16) -> ProbeFault {
        ProbeFault::of(error, status, &self.way())
    }
}
