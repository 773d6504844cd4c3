//! The JSON of chat completions, as it is sent and as it comes back.
//!
//! What is read is read tolerantly: "OpenAI-compatible" upstreams leave fields out, send them as `null`, or give them
//! another type. Only what an answer cannot do without can make a chunk unreadable. Knows nothing of how the bytes
//! came. To read another field, add it with a default.

use std::fmt;

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, SeqAccess, Visitor},
};
use serde_json::{Map, Value};

use super::{
    dialect::{IdentifierField, LimitName},
    tools::{CallPiece, Messages, ToolSpec},
};
use crate::model::conversation::Usage;

/// The body of `POST /chat/completions`.
#[derive(Debug, Serialize)]
pub(super) struct Request<'a> {
    pub(super) model: &'a str,
    pub(super) messages: Messages<'a>,
    #[serde(skip_serializing_if = "<[ToolSpec]>::is_empty")]
    pub(super) tools: &'a [ToolSpec],
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tool_choice: Option<&'static str>,
    pub(super) stream: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) stream_options: Option<StreamOptions>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) reasoning_effort: Option<&'a str>,
    #[serde(flatten)]
    pub(super) limit: Option<OutputLimit>,
    #[serde(flatten)]
    pub(super) identifier: Option<Identifier<'a>>,
    /// What the upstream wants beside.
    #[serde(flatten)]
    pub(super) extra: &'a Map<String, Value>,
}

/// What the stream should carry beside the answer.
#[derive(Debug, Serialize)]
pub(super) struct StreamOptions {
    pub(super) include_usage: bool,
}

/// The longest answer in model tokens, under the name that the model knows.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum OutputLimit {
    MaxTokens(u32),
    MaxCompletionTokens(u32),
}

/// Who asks, under the name that the upstream knows.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Identifier<'a> {
    SafetyIdentifier(&'a str),
    User(&'a str),
}

impl<'a> Identifier<'a> {
    pub(super) const fn of(field: IdentifierField, identifier: &'a str) -> Self {
        match field {
            IdentifierField::SafetyIdentifier => Self::SafetyIdentifier(identifier),
            IdentifierField::User => Self::User(identifier),
        }
    }
}

impl OutputLimit {
    /// OpenAI's reasoning models refuse `max_tokens`; most other upstreams know nothing else.
    pub(super) fn for_model(name: LimitName, model: &str, tokens: u32) -> Self {
        if name == LimitName::MaxTokens {
            return Self::MaxTokens(tokens);
        }
        // Resellers put the maker first: `openai/gpt-5`.
        let name = model.rsplit('/').next().unwrap_or(model);
        if ["o1", "o3", "o4", "gpt-5"].iter().any(|family| name.starts_with(family)) {
            Self::MaxCompletionTokens(tokens)
        } else {
            Self::MaxTokens(tokens)
        }
    }
}

/// One event of a stream or, from an upstream that does not stream, the whole answer.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Chunk {
    #[serde(deserialize_with = "choices")]
    pub(super) choices: Vec<Choice>,
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<TokenUsage>,
    pub(super) error: Option<Complaint>,
}

/// One of the answers; chats ask for only one.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Choice {
    delta: Option<Piece>,
    message: Option<Piece>,
    #[serde(deserialize_with = "lenient")]
    pub(super) finish_reason: Option<String>,
    /// Moonshot puts the usage here, and only since its newer models beside `choices` as well.
    #[serde(deserialize_with = "lenient")]
    pub(super) usage: Option<TokenUsage>,
    /// Azure's verdicts, by category.
    #[serde(deserialize_with = "lenient")]
    content_filter_results: Option<Map<String, Value>>,
}

impl Choice {
    /// Whether a filter struck. Where it looks at an answer beside the stream and finds something after the model has
    /// ended, nothing else says so.
    pub(super) fn was_filtered(&self) -> bool {
        let struck = |verdict: &Value| verdict.get("filtered").and_then(Value::as_bool) == Some(true);
        let mut verdicts = self.content_filter_results.iter().flat_map(Map::values);
        // Lists of words have a verdict each.
        verdicts.any(|verdict| struck(verdict) || verdict.as_array().is_some_and(|lists| lists.iter().any(struck)))
    }

    /// The piece of a stream, or the message of an answer that was not streamed.
    pub(super) fn piece(&mut self) -> Option<Piece> {
        self.delta.take().or(self.message.take())
    }
}

/// A part of the answer. A missing text and an empty one mean the same.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Piece {
    #[serde(deserialize_with = "text")]
    pub(super) content: String,
    #[serde(deserialize_with = "text")]
    pub(super) refusal: String,
    #[serde(deserialize_with = "text")]
    pub(super) reasoning_content: String,
    /// What OpenRouter and newer vLLM call `reasoning_content`.
    #[serde(deserialize_with = "text")]
    reasoning: String,
    #[serde(deserialize_with = "lenient")]
    pub(super) tool_calls: Option<Vec<CallPiece>>,
}

impl Piece {
    /// What the model thinks aloud in it. Where both fields are there, they say the same.
    pub(super) fn take_reasoning(&mut self) -> String {
        let (first, second) = (std::mem::take(&mut self.reasoning_content), std::mem::take(&mut self.reasoning));
        if first.is_empty() { second } else { first }
    }
}

/// What the upstream says the call cost.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TokenUsage {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    total_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    prompt_tokens_details: Option<PromptDetails>,
    /// DeepSeek's word for it.
    #[serde(deserialize_with = "lenient")]
    prompt_cache_hit_tokens: Option<u64>,
    /// Moonshot's.
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
}

/// OpenAI's way of saying what was in the cache.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PromptDetails {
    #[serde(deserialize_with = "lenient")]
    cached_tokens: Option<u64>,
}

impl TokenUsage {
    /// The two numbers, if they are there or follow from the total. A zero that is said is a number.
    pub(super) fn reported(&self) -> Option<Usage> {
        let total_without = |part: Option<u64>| self.total_tokens?.checked_sub(part?);
        let input = self.prompt_tokens.or_else(|| total_without(self.completion_tokens))?;
        let output = self.completion_tokens.or_else(|| total_without(self.prompt_tokens))?;
        let cached = self.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens);
        let cached = cached.or(self.prompt_cache_hit_tokens).or(self.cached_tokens).unwrap_or(0);
        // More than there is cannot have been cached.
        Some(Usage { input, cached: cached.min(input), output, estimated: false })
    }
}

/// What an upstream says is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) message: String,
    /// `code` and `type`, as far as they are there: which of the two holds the telling word differs by upstream.
    pub(super) codes: Vec<String>,
}

impl Complaint {
    /// Reads the body of a refusal: `{"error": {...}}`, `{"error": "..."}` or the object itself. `None` when it is
    /// nothing of the kind, such as a proxy's HTML page.
    pub(super) fn parse(body: &[u8]) -> Option<Self> {
        let mut body = serde_json::from_slice::<Value>(body).ok()?;
        let complaint = match body.get_mut("error") {
            Some(error @ (Value::Object(_) | Value::String(_))) => Self::read(error.take()),
            _ => Self::read(body),
        };
        (complaint != Self::default()).then_some(complaint)
    }

    fn read(value: Value) -> Self {
        let word = |key: &str| match value.get(key) {
            Some(Value::String(word)) if !word.is_empty() => Some(word.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        let message = value.as_str().map(str::to_owned).or_else(|| word("message")).or_else(|| word("detail"));
        Self { message: message.unwrap_or_default(), codes: ["code", "type"].into_iter().filter_map(word).collect() }
    }
}

impl<'de> Deserialize<'de> for Complaint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(Self::read)
    }
}

/// A value of the wrong type counts as missing: a strange `usage` must not cost the employee the answer.
pub(super) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        // In most chunks most fields are; as a wrong type it would be an error with words, for nobody.
        Value::Null => None,
        value => T::deserialize(value).ok(),
    })
}

/// A text that may be `null`, or come in parts of which only those with a `text` are part of it.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    deserializer.deserialize_any(TextVisitor)
}

/// Reads a text as it stands: `#[serde(untagged)]` would read the whole of each delta into another form first.
struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, null, or parts of a text")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_string<E>(self, text: String) -> Result<String, E> {
        Ok(text)
    }

    fn visit_unit<E>(self) -> Result<String, E> {
        Ok(String::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<String, A::Error> {
        #[derive(Deserialize)]
        struct Part {
            #[serde(default)]
            text: String,
        }
        let mut text = String::new();
        while let Some(part) = parts.next_element::<Part>()? {
            text.push_str(&part.text);
        }
        Ok(text)
    }
}

/// A list that may be `null`. Nearly always it has one: by itself a list would make room for four of them, for each delta.
fn choices<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Choice>, D::Error> {
    deserializer.deserialize_any(ChoicesVisitor)
}

struct ChoicesVisitor;

impl<'de> Visitor<'de> for ChoicesVisitor {
    type Value = Vec<Choice>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of choices, or null")
    }

    fn visit_unit<E>(self) -> Result<Vec<Choice>, E> {
        Ok(Vec::new())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Choice>, A::Error> {
        let mut choices = Vec::with_capacity(1);
        while let Some(choice) = list.next_element()? {
            choices.push(choice);
        }
        Ok(choices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(usage: &str) -> Option<(u64, u64)> {
        let chunk: Chunk = serde_json::from_str(&format!(r#"{{"choices":[],"usage":{usage}}}"#)).expect("a chunk");
        chunk.usage.and_then(|usage| usage.reported()).map(|usage| (usage.input, usage.output))
    }

    #[test]
    fn usage_is_what_is_said_and_nothing_else() {
        assert_eq!(reported(r#"{"prompt_tokens":7,"completion_tokens":0}"#), Some((7, 0)));
        assert_eq!(reported(r#"{"prompt_tokens":7,"total_tokens":9}"#), Some((7, 2)));
        assert_eq!(reported(r#"{"prompt_tokens":7}"#), None);
        assert_eq!(reported(r#"{"prompt_tokens":7,"total_tokens":3}"#), None);
        assert_eq!(reported(r#"{"prompt_tokens":"many"}"#), None);
        assert_eq!(reported("{}"), None);
        assert_eq!(reported("null"), None);
    }

    #[test]
    fn a_piece_is_read_in_every_shape_that_upstreams_give_it() {
        for (choice, content, reasoning) in [
            (r#"{"delta":{"content":"a"}}"#, "a", ""),
            (r#"{"delta":{"content":null,"reasoning_content":"hm"}}"#, "", "hm"),
            (r#"{"delta":{"reasoning":"hm"}}"#, "", "hm"),
            (r#"{"delta":{"reasoning":"hm","reasoning_content":"hm"}}"#, "", "hm"),
            (r#"{"delta":{"role":"assistant"}}"#, "", ""),
            (r#"{"delta":null,"message":{"content":"b"}}"#, "b", ""),
            (r#"{"delta":{"content":"c"},"message":null,"finish_reason":7}"#, "c", ""),
            (r#"{"delta":{"content":[{"type":"thinking"},{"type":"text","text":"d"}]}}"#, "d", ""),
        ] {
            let mut choice: Choice = serde_json::from_str(choice).expect(choice);
            let mut piece = choice.piece().expect("a piece");
            assert_eq!((piece.content.clone(), piece.take_reasoning()), (content.to_owned(), reasoning.to_owned()));
        }
    }

    #[test]
    fn choices_are_a_list_or_nothing() {
        let choices = |json: &str| serde_json::from_str::<Chunk>(json).ok().map(|chunk| chunk.choices.len());
        for (json, expected) in [
            (r#"{"choices":[{"delta":{}},{"delta":{}}]}"#, Some(2)),
            (r#"{"choices":[]}"#, Some(0)),
            (r#"{"choices":null}"#, Some(0)),
            ("{}", Some(0)),
            (r#"{"choices":7}"#, None),
        ] {
            assert_eq!(choices(json), expected, "{json}");
        }
    }

    #[test]
    fn a_complaint_is_read_in_every_shape_that_upstreams_give_it() {
        let complaint = |message: &str, codes: &[&str]| {
            Some(Complaint { message: message.to_owned(), codes: codes.iter().map(|&code| code.to_owned()).collect() })
        };
        for (body, expected) in [
            (r#"{"error":{"message":"no","code":"c","type":"t"}}"#, complaint("no", &["c", "t"])),
            (r#"{"error":{"message":"no","code":429,"type":null}}"#, complaint("no", &["429"])),
            (r#"{"error":"no"}"#, complaint("no", &[])),
            (r#"{"object":"error","message":"no","code":400}"#, complaint("no", &["400"])),
            (r#"{"detail":"Not Found"}"#, complaint("Not Found", &[])),
            ("{}", None),
            ("[1]", None),
            ("<html>", None),
        ] {
            assert_eq!(Complaint::parse(body.as_bytes()), expected, "{body}");
        }
    }

    #[test]
    fn the_limit_has_the_name_that_the_model_knows() {
        for (model, expected) in [
            ("gpt-4o", OutputLimit::MaxTokens(9)),
            ("deepseek-chat", OutputLimit::MaxTokens(9)),
            ("gpt-5-mini", OutputLimit::MaxCompletionTokens(9)),
            ("openai/o3", OutputLimit::MaxCompletionTokens(9)),
        ] {
            assert_eq!(OutputLimit::for_model(LimitName::ByModel, model, 9), expected, "{model}");
        }
    }
}
