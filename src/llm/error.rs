//! What can go wrong between us and a model, by what the caller can do.
//!
//! Knows the words by which upstreams say it. To know another upstream's word, add it to the lists at the bottom.

use std::time::Duration;

use reqwest::StatusCode;

use super::{redact::Redactor, wire::Complaint};

/// An answer could not be had, or not to its end. What the upstream said is in `message`: at most 300 bytes, on one
/// line, without our secrets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The settings make no request. Nothing was sent.
    #[error("{key} cannot be used: {problem}")]
    Misconfigured {
        /// The key in the configuration.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key is wrong, or may not use this model (401, 403).
    #[error("the upstream refuses the API key: {message}")]
    Unauthorized {
        /// What the upstream said.
        message: String,
    },
    /// The upstream has no such model.
    #[error("the upstream does not know the model: {message}")]
    ModelNotFound {
        /// What the upstream said.
        message: String,
    },
    /// Too many requests or model tokens a minute (429).
    #[error("the upstream is asked too often")]
    RateLimited {
        /// When the upstream wants to be asked again, from now.
        retry_after: Option<Duration>,
    },
    /// The account has nothing left (402, or 429 with a word for it): somebody has to pay.
    #[error("the account at the upstream has nothing left: {message}")]
    QuotaExhausted {
        /// What the upstream said.
        message: String,
    },
    /// The messages are longer than the model's context: ask again with fewer.
    #[error("the conversation is too long for the model")]
    TooLong,
    /// The upstream refuses to answer this, or to be asked it.
    #[error("the upstream's content filter stepped in")]
    ContentFiltered,
    /// The rules of this house refuse the question. Nothing was sent.
    #[error("the rules of this house refuse it")]
    Withheld,
    /// The upstream refuses the request for another reason.
    #[error("the upstream refuses the request with status {status}: {message}")]
    Rejected {
        /// The HTTP status.
        status: u16,
        /// What the upstream said.
        message: String,
    },
    /// The upstream has a fault or is overloaded (408, 409, 5xx).
    #[error("the upstream failed with status {status}: {message}")]
    Upstream {
        /// The HTTP status.
        status: u16,
        /// When the upstream wants to be asked again, from now.
        retry_after: Option<Duration>,
        /// What the upstream said.
        message: String,
    },
    /// No connection, or none that carried the request.
    #[error("the upstream cannot be reached")]
    Unreachable(#[source] reqwest::Error),
    /// `llm.first_delta_timeout` passed.
    #[error("the model did not begin to answer in time")]
    FirstDeltaTimeout,
    /// `llm.gap_timeout` passed in the middle of the answer.
    #[error("the model stopped in the middle of its answer")]
    GapTimeout,
    /// `llm.answer_timeout` passed.
    #[error("the model did not end its answer in time")]
    AnswerTimeout,
    /// The stream ended before the answer did. What came is part of an answer.
    #[error("the answer was cut off")]
    Cut {
        /// What broke the connection; `None` where the upstream ended it in good order.
        source: Option<reqwest::Error>,
    },
    /// What came is not a chat completion.
    #[error("the upstream does not speak the protocol: {what}")]
    Garbage {
        /// What came instead.
        what: &'static str,
    },
    /// The upstream reported a fault in the middle of the stream.
    #[error("the upstream failed while it answered: {message}")]
    StreamError {
        /// What the upstream said.
        message: String,
    },
}

impl Error {
    /// A word that never changes, for counting.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Misconfigured { .. } => "misconfigured",
            Self::Unauthorized { .. } => "unauthorized",
            Self::ModelNotFound { .. } => "model_not_found",
            Self::RateLimited { .. } => "rate_limited",
            Self::QuotaExhausted { .. } => "quota_exhausted",
            Self::TooLong => "too_long",
            Self::ContentFiltered => "content_filtered",
            Self::Withheld => "withheld",
            Self::Rejected { .. } => "rejected",
            Self::Upstream { .. } => "upstream",
            Self::Unreachable(_) => "unreachable",
            Self::FirstDeltaTimeout => "first_delta_timeout",
            Self::GapTimeout => "gap_timeout",
            Self::AnswerTimeout => "answer_timeout",
            Self::Cut { .. } => "cut",
            Self::Garbage { .. } => "garbage",
            Self::StreamError { .. } => "stream_error",
        }
    }

    /// Whether the same request may succeed if it is made again.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::RateLimited { .. } | Self::Upstream { .. } | Self::Unreachable(_) | Self::Cut { .. })
    }

    /// Whether the upstream refuses because tools were offered: vLLM, Ollama, OpenRouter and others say so in words of
    /// their own, and all of them name what they do not like.
    pub fn is_about_tools(&self) -> bool {
        let (Self::Rejected { message, .. } | Self::ModelNotFound { message }) = self else { return false };
        let message = message.to_ascii_lowercase();
        ["tool", "function call", "functions"].iter().any(|word| message.contains(word))
    }

    /// How long the upstream asks us to stay away.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RateLimited { retry_after } | Self::Upstream { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// From a status that is not success, with the beginning of its body.
    pub(super) fn refused(status: StatusCode, retry_after: Option<Duration>, body: &[u8], redactor: &Redactor) -> Self {
        let mut complaint = Complaint::parse(body).unwrap_or_else(|| {
            let text = String::from_utf8_lossy(body);
            // A proxy's page says nothing that its status does not.
            let message = if text.trim_start().starts_with('<') { String::new() } else { text.into_owned() };
            Complaint { message, codes: Vec::new() }
        });
        if complaint.message.is_empty() {
            complaint.message = status.canonical_reason().unwrap_or("no reason given").to_owned();
        }
        Self::said(&complaint, retry_after, redactor)
            .unwrap_or_else(|| Self::status(status, retry_after, &complaint, redactor))
    }

    /// From an error object inside a stream that began with success. Some resellers put the status of the upstream
    /// behind them in `code`.
    pub(super) fn in_stream(complaint: &Complaint, redactor: &Redactor) -> Self {
        if let Some(known) = Self::said(complaint, None, redactor) {
            return known;
        }
        let status = complaint.codes.iter().find_map(|code| StatusCode::from_bytes(code.as_bytes()).ok());
        match status {
            Some(status) if status.is_client_error() || status.is_server_error() => {
                Self::status(status, None, complaint, redactor)
            }
            _ => Self::StreamError { message: redactor.clean(&complaint.message) },
        }
    }

    /// What the upstream's own words mean, where they say more than the status.
    fn said(complaint: &Complaint, retry_after: Option<Duration>, redactor: &Redactor) -> Option<Self> {
        let says = |words: &[&str]| complaint.codes.iter().any(|code| words.contains(&code.as_str()));
        let contains = |words: &[&str]| words.iter().any(|words| complaint.message.contains(words));
        let begins = |words: &str| complaint.message.starts_with(words);
        let message = || redactor.clean(&complaint.message);
        if says(QUOTA_EXHAUSTED) {
            let of_a_minute = contains(QUOTA_OF_A_MINUTE);
            Some(if of_a_minute {
                Self::RateLimited { retry_after }
            } else {
                Self::QuotaExhausted { message: message() }
            })
        } else if says(TOO_LONG) || contains(TOO_LONG_SENTENCES) {
            Some(Self::TooLong)
        } else if says(CONTENT_FILTERED) || begins(CONTENT_FILTERED_SENTENCE) {
            Some(Self::ContentFiltered)
        } else if says(MODEL_NOT_FOUND) || begins(MODEL_NOT_FOUND_SENTENCE) {
            Some(Self::ModelNotFound { message: message() })
        } else {
            None
        }
    }

    fn status(status: StatusCode, retry_after: Option<Duration>, complaint: &Complaint, redactor: &Redactor) -> Self {
        let message = redactor.clean(&complaint.message);
        match status.as_u16() {
            401 | 403 => Self::Unauthorized { message },
            402 => Self::QuotaExhausted { message },
            // Without the word it is as likely the URL that is wrong.
            404 if message.to_ascii_lowercase().contains("model") => Self::ModelNotFound { message },
            413 => Self::TooLong,
            429 => Self::RateLimited { retry_after },
            status @ (408 | 409 | 500..) => Self::Upstream { status, retry_after, message },
            status => Self::Rejected { status, message },
        }
    }

    /// Whether it refuses a request because of the pictures in it, as a model without vision does.
    pub fn refuses_pictures(&self) -> bool {
        let (Self::Rejected { message, .. } | Self::ModelNotFound { message }) = self else { return false };
        let message = message.to_ascii_lowercase();
        ["image", "picture", "vision", "multimodal", "multi-modal"].iter().any(|word| message.contains(word))
    }
}

/// OpenAI; Moonshot; four of Alibaba's Model Studio; Zhipu, with 429.
const QUOTA_EXHAUSTED: &[&str] = &[
    "insufficient_quota",
    "exceeded_current_quota_error",
    "Arrearage",
    "AllocationQuota.FreeTierOnly",
    "PrepaidBillOverdue",
    "PostpaidBillOverdue",
    "1113",
];
/// With OpenAI's `insufficient_quota` Model Studio says that there were too many model tokens in a minute, and with
/// OpenAI's very sentence; only the address of its page tells the two apart.
const QUOTA_OF_A_MINUTE: &[&str] = &["Allocated quota exceeded", "error-code#token-limit"];
/// OpenAI; llama.cpp; Zhipu.
const TOO_LONG: &[&str] = &["context_length_exceeded", "exceed_context_size_error", "1261"];
/// OpenAI's sentence, which vLLM and DeepSeek send without its code; another of vLLM's; two of Moonshot's; Model
/// Studio's.
const TOO_LONG_SENTENCES: &[&str] = &[
    "maximum context length",
    "longer than the maximum model length",
    "exceeded model token limit",
    "Input token length too long",
    "Range of input length should be",
];
/// OpenAI, Azure and Moonshot; Alibaba's Model Studio in its two spellings; Zhipu.
const CONTENT_FILTERED: &[&str] = &[
    "content_filter",
    "content_policy_violation",
    "moderation_blocked",
    "data_inspection_failed",
    "DataInspectionFailed",
    "1301",
];
/// DeepSeek's, with a code that says nothing.
const CONTENT_FILTERED_SENTENCE: &str = "Content Exists Risk";
/// OpenAI; Azure; Zhipu.
const MODEL_NOT_FOUND: &[&str] = &["model_not_found", "DeploymentNotFound", "1211"];
/// DeepSeek's, with 400.
const MODEL_NOT_FOUND_SENTENCE: &str = "Model Not Exist";

#[cfg(test)]
mod tests;
