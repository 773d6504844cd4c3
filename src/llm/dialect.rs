//! How upstreams differ that all call themselves OpenAI-compatible, as data.
//!
//! Knows how a request to each must look; what comes back is read tolerantly for all alike (`wire`). To know another
//! manner, add a row to [`Dialect::of`] and a recorded example to `dialect/tests.rs`.

/// One manner of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// How the key is shown.
    pub(super) key: KeyHeader,
    /// Whether `stream_options` may be sent. Without it an upstream tells the usage by itself or not at all.
    pub(super) stream_options: bool,
    /// What the longest answer is called.
    pub(super) limit: LimitName,
}

/// Which header carries the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyHeader {
    /// `Authorization: Bearer …`
    Bearer,
    /// `api-key: …`, as Azure wants it.
    ApiKey,
}

/// The name of the field for the longest answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitName {
    /// `max_tokens`: what nearly everybody knows.
    MaxTokens,
    /// `max_completion_tokens` for OpenAI's reasoning models, which refuse the other.
    ByModel,
}

impl Dialect {
    /// That of the upstream at `base_url`, unless `named` says otherwise.
    ///
    /// From the vendors' references: Azure OpenAI, DeepSeek, Alibaba's Model Studio, Zhipu, Moonshot, vLLM, Ollama.
    pub(super) fn of(named: Option<&str>, base_url: &str) -> Self {
        const OPENAI: Dialect = Dialect { key: KeyHeader::Bearer, stream_options: true, limit: LimitName::ByModel };
        let host = base_url.split("://").nth(1).unwrap_or(base_url);
        let host = host.split(['/', ':']).next().unwrap_or(host);
        match named {
            Some("azure") => Self { key: KeyHeader::ApiKey, ..OPENAI },
            Some("plain") => Self { stream_options: false, limit: LimitName::MaxTokens, ..OPENAI },
            Some("ollama") => Self { limit: LimitName::MaxTokens, ..OPENAI },
            Some(_) => OPENAI,
            None if host.ends_with(".openai.azure.com") || host.ends_with(".cognitiveservices.azure.com") => {
                Self { key: KeyHeader::ApiKey, ..OPENAI }
            }
            // Resellers (`openai/gpt-5`) and everybody else: by the model's name.
            None => OPENAI,
        }
    }
}
