//! How upstreams differ that all call themselves OpenAI-compatible, as data.
//!
//! Knows how a request to each must look; what comes back is read tolerantly for all alike (`wire`). To know another
//! manner, add a row to [`Dialect::of`] and an example of its stream to `tests/fixtures/upstreams`, which `decode` reads
//! in its tests.

/// One manner of speaking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Dialect {
    /// How the key is shown.
    pub(super) key: KeyHeader,
    /// Whether `stream_options` may be sent. Without it an upstream tells the usage by itself or not at all.
    pub(super) stream_options: bool,
    /// What the longest answer is called.
    pub(super) limit: LimitName,
    /// The field for who asks; `None`: it may refuse every such field.
    pub(super) identifier: Option<IdentifierField>,
}

/// The name of the field for who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum IdentifierField {
    /// `safety_identifier`: OpenAI's name, in the place of `user`.
    SafetyIdentifier,
    /// `user`: Azure's, and what others know.
    User,
}

impl IdentifierField {
    pub(super) const ALL: [Self; 2] = [Self::SafetyIdentifier, Self::User];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::SafetyIdentifier => "safety_identifier",
            Self::User => "user",
        }
    }
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
        const OPENAI: Dialect =
            Dialect { key: KeyHeader::Bearer, stream_options: true, limit: LimitName::ByModel, identifier: None };
        const AZURE: Dialect = Dialect { key: KeyHeader::ApiKey, identifier: Some(IdentifierField::User), ..OPENAI };
        let host = base_url.split("://").nth(1).unwrap_or(base_url);
        let host = host.split(['/', ':']).next().unwrap_or(host);
        match named {
            Some("azure") => AZURE,
            Some("plain") => Self { stream_options: false, limit: LimitName::MaxTokens, ..OPENAI },
            Some("ollama") => Self { limit: LimitName::MaxTokens, ..OPENAI },
            Some("openai") | None if host == "api.openai.com" => {
                Self { identifier: Some(IdentifierField::SafetyIdentifier), ..OPENAI }
            }
            Some(_) => OPENAI,
            None if host.ends_with(".openai.azure.com") || host.ends_with(".cognitiveservices.azure.com") => AZURE,
            // Resellers (`openai/gpt-5`) and everybody else: by the model's name.
            None => OPENAI,
        }
    }

    /// The field for who asks as `llm.safety_identifier` has it: `None` there leaves it to the upstream's manner.
    pub(super) const fn told_in(self, setting: Option<bool>) -> Option<IdentifierField> {
        match (setting, self.identifier) {
            (Some(false), _) | (None, None) => None,
            (Some(true), None) => Some(IdentifierField::User),
            (_, field) => field,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manner_is_named_or_guessed_from_the_address() {
        let of = |named: Option<&str>, url: &str| {
            let Dialect { key, stream_options, limit, .. } = Dialect::of(named, url);
            (key == KeyHeader::ApiKey, stream_options, limit == LimitName::ByModel)
        };
        for (url, expected) in [
            ("https://acme.openai.azure.com/openai/v1", (true, true, true)),
            ("https://api.openai.com/v1", (false, true, true)),
            ("https://api.deepseek.com/v1", (false, true, true)),
            ("https://openai.azure.com.example/v1", (false, true, true)),
        ] {
            assert_eq!(of(None, url), expected, "{url}");
        }
        assert_eq!(of(Some("azure"), "https://gateway.example.com/v1"), (true, true, true));
        assert_eq!(of(Some("plain"), "http://old:8000/v1"), (false, false, false));
        assert_eq!(of(Some("ollama"), "http://localhost:11434/v1"), (false, true, false));
    }

    #[test]
    fn only_openai_and_azure_are_told_who_asks_unless_it_is_set() {
        for (named, url, field) in [
            (None, "https://api.openai.com/v1", Some("safety_identifier")),
            (Some("openai"), "https://api.openai.com/v1", Some("safety_identifier")),
            (None, "https://acme.openai.azure.com/openai/v1", Some("user")),
            (Some("azure"), "https://gateway.example.com/v1", Some("user")),
            (None, "https://api.deepseek.com/v1", None),
            (None, "https://api.openai.com.example/v1", None),
            (Some("openai"), "https://gateway.example.com/v1", None),
            (Some("plain"), "https://api.openai.com/v1", None),
            (Some("ollama"), "http://localhost:11434/v1", None),
        ] {
            let told = Dialect::of(named, url).identifier.map(IdentifierField::as_str);
            assert_eq!(told, field, "{named:?} {url}");
        }
    }
}
