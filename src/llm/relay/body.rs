//! What a program asks: a JSON object whose fields keep their bytes.
//!
//! Upstreams are written in many languages, and those that read the last of two fields of one name, or take `Model` for
//! `model`, would do what was not looked at: such bodies are refused.

use std::{borrow::Cow, fmt, ops::Range};

use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::strings::{each_written, is_data};
use crate::llm::{
    dialect::IdentifierField,
    tokens::{self, MESSAGE_OVERHEAD},
};

/// Fields of a request; the API has some forty.
const MOST_FIELDS: usize = 256;
/// Messages of a request, or texts to be embedded.
const MOST_ITEMS: usize = 16_384;
/// Answers to one request.
const MOST_ANSWERS: u64 = 128;
/// Bytes of `stream_options`.
const MOST_OPTIONS: usize = 1024;
/// A picture, a recording or a file: what the first costs with most models.
const DATA_TOKENS: usize = 1100;
/// Fields that are looked at.
const KNOWN: [&str; 10] = [
    "model",
    "messages",
    "input",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "n",
    "user",
    "safety_identifier",
];

/// What is asked of an upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `/chat/completions`
    Chat,
    /// `/embeddings`
    Embeddings,
}

impl Call {
    /// Behind the upstream's base URL.
    pub(in crate::llm) const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/chat/completions",
            Self::Embeddings => "/embeddings",
        }
    }

    /// The field for who asks, at an upstream that is told in `chat` who chats.
    pub(in crate::llm) const fn told_in(self, chat: IdentifierField) -> IdentifierField {
        match self {
            Self::Chat => chat,
            // The only one that these have.
            Self::Embeddings => IdentifierField::User,
        }
    }

    /// The field that holds what is asked.
    const fn content(self) -> &'static str {
        match self {
            Self::Chat => "messages",
            Self::Embeddings => "input",
        }
    }
}

/// Why a body is no request. The message says what would be right, and quotes nothing but names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidBody {
    /// Which field, where it is one.
    pub field: Option<&'static str>,
    /// What is wrong, and what would be right.
    pub message: String,
}

fn wrong(field: &'static str, right: &str) -> InvalidBody {
    InvalidBody { field: Some(field), message: format!("'{field}' must be {right}") }
}

/// A request of a program.
pub struct Body {
    json: String,
    fields: Vec<(String, Range<usize>)>,
    /// What is asked.
    pub call: Call,
    /// The alias that is asked for.
    pub model: String,
    /// Whether the answer should come in events.
    pub streams: bool,
    /// Whether the program wants to be told the usage in the stream.
    pub wants_usage: bool,
    /// How many answers.
    pub answers: u64,
    /// The longest that each may be, in model tokens; `None`: not said.
    pub longest: Option<u64>,
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("model", &self.model).field("bytes", &self.json.len()).finish_non_exhaustive()
    }
}

impl Body {
    /// Reads a request.
    ///
    /// # Errors
    /// [`InvalidBody`].
    pub fn parse(call: Call, bytes: Vec<u8>) -> Result<Self, InvalidBody> {
        let not_json = |error: &dyn fmt::Display| InvalidBody {
            field: None,
            message: format!("the body is not a JSON object that can be passed on: {error}"),
        };
        let json = String::from_utf8(bytes).map_err(|_| not_json(&"it is not UTF-8"))?;
        let Fields(found) = serde_json::from_str(&json).map_err(|error| not_json(&error))?;
        let place = |raw: &RawValue| {
            let from = raw.get().as_ptr() as usize - json.as_ptr() as usize;
            from..from + raw.get().len()
        };
        let fields: Vec<(String, Range<usize>)> = found.into_iter().map(|(name, raw)| (name, place(raw))).collect();
        check_names(&fields)?;
        let of = |name: &str| {
            let range = fields.iter().find(|(known, _)| known == name).map(|(_, range)| range.clone());
            range.map(|range| &json[range]).filter(|raw| *raw != "null")
        };
        let model: String = of("model")
            .and_then(|raw| serde_json::from_str(raw).ok())
            .ok_or_else(|| wrong("model", "the name of a model; GET /v1/models lists those that there are"))?;
        if !of(call.content())
            .is_some_and(|raw| raw.starts_with('[') || call == Call::Embeddings && raw.starts_with('"'))
        {
            return Err(wrong(call.content(), "there, and a list"));
        }
        let streams = match of("stream").filter(|_| call == Call::Chat) {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(wrong("stream", "true or false")),
        };
        let options = of("stream_options");
        if options.is_some_and(|raw| raw.len() > MOST_OPTIONS || !raw.starts_with('{')) {
            return Err(wrong("stream_options", "a small object"));
        }
        let wants_usage = options.is_some_and(|raw| {
            serde_json::from_str::<serde_json::Value>(raw).is_ok_and(|options| options["include_usage"] == true)
        });
        let number = |name: &'static str| {
            let parse = |raw: &str| raw.parse::<u64>().ok().filter(|number| *number > 0);
            of(name).map(|raw| parse(raw).ok_or_else(|| wrong(name, "a whole number above 0"))).transpose()
        };
        let answers = number("n")?.unwrap_or(1);
        if answers > MOST_ANSWERS {
            return Err(wrong("n", "at most 128"));
        }
        let longest = number("max_tokens")?.into_iter().chain(number("max_completion_tokens")?).min();
        let body = Self { call, model, streams, wants_usage, answers, longest, fields, json };
        body.items()?;
        Ok(body)
    }

    /// The fields in their order: the names and what stands there.
    pub(in crate::llm) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, range)| (name.as_str(), &self.json[range.clone()]))
    }

    /// The messages or, for embeddings, all that is to be embedded as one.
    pub(in crate::llm) fn items(&self) -> Result<Vec<&str>, InvalidBody> {
        let content = self.fields().find(|(name, _)| *name == self.call.content()).map_or("", |(_, raw)| raw);
        if self.call == Call::Embeddings {
            return Ok(vec![content]);
        }
        let Items(items) = serde_json::from_str(content)
            .map_err(|_| wrong("messages", &format!("a list of at least one and at most {MOST_ITEMS} messages")))?;
        if items.iter().any(|item| !item.get().starts_with('{')) {
            return Err(wrong("messages", "a list of objects"));
        }
        Ok(items.into_iter().map(RawValue::get).collect())
    }

    /// How many model tokens it has, about: those of every text in it.
    pub fn estimate(&self) -> usize {
        let mut tokens = 0_usize;
        for (name, raw) in self.fields().filter(|(name, _)| *name != "model") {
            each_written(raw, |text| {
                tokens = tokens.saturating_add(if is_data(text) { DATA_TOKENS } else { tokens::estimate(text) });
            });
            // Texts may be given as numbers of tokens.
            if name == "input" && !raw.contains('"') {
                tokens = tokens.saturating_add(raw.bytes().filter(|byte| *byte == b',').count() + 1);
            }
        }
        let messages = self.items().map_or(0, |items| items.len());
        tokens.saturating_add(messages * MESSAGE_OVERHEAD).saturating_add(self.pictures_elsewhere() * DATA_TOKENS)
    }

    /// Whether it shows pictures.
    pub fn has_pictures(&self) -> bool {
        self.call == Call::Chat && self.json.contains("\"image_url\"")
    }

    /// Pictures that the upstream is to fetch.
    fn pictures_elsewhere(&self) -> usize {
        self.json.matches("\"image_url\"").count() / 2
    }

    /// Texts of the newest messages: an upstream that complains may quote them.
    pub(in crate::llm) fn quotable(&self) -> Vec<Cow<'_, str>> {
        const MESSAGES: usize = 3;
        const TEXTS: usize = 12;
        let items = self.items().unwrap_or_default();
        let mut texts = Vec::new();
        for item in items[items.len().saturating_sub(MESSAGES)..].iter().rev() {
            each_written(item, |text| {
                // Shorter ones are names of fields, mostly.
                if texts.len() < TEXTS && text.len() > 24 && !is_data(text) {
                    let quoted = serde_json::from_str::<String>(&format!("\"{text}\""));
                    texts.push(quoted.map_or(Cow::Borrowed(text), Cow::Owned));
                }
            });
        }
        texts
    }
}

/// Refuses what upstreams may read differently: a name twice, also in other letters, and what is nearly a known one.
fn check_names(fields: &[(String, Range<usize>)]) -> Result<(), InvalidBody> {
    // As languages fold that compare names without case: the long s and the Kelvin sign are letters too.
    let fold = |name: &str| -> String {
        let fold = |c: char| match c {
            '\u{17f}' => 's',
            '\u{212a}' => 'k',
            c => c.to_ascii_lowercase(),
        };
        name.chars().map(fold).collect()
    };
    let mut folded: Vec<(String, &str)> = fields.iter().map(|(name, _)| (fold(name), name.as_str())).collect();
    if let Some((known, _)) = folded.iter().find(|(folded, name)| folded != name && KNOWN.contains(&folded.as_str())) {
        return Err(InvalidBody { field: None, message: format!("'{known}' must be written so, in small letters") });
    }
    folded.sort_unstable();
    match folded.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        true => Err(InvalidBody { field: None, message: "a field is there twice".to_owned() }),
        false => Ok(()),
    }
}

/// An object, with its values as they are written.
struct Fields<'j>(Vec<(String, &'j RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry::<String, &'de RawValue>()? {
                    if fields.len() == MOST_FIELDS {
                        return Err(A::Error::custom(format!("more than {MOST_FIELDS} fields")));
                    }
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Reader)
    }
}

/// A list, with its items as they are written.
struct Items<'j>(Vec<&'j RawValue>);

impl<'de> Deserialize<'de> for Items<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Items<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Items<'de>, A::Error> {
                let mut items = Vec::new();
                while let Some(item) = list.next_element::<&'de RawValue>()? {
                    if items.len() == MOST_ITEMS {
                        return Err(A::Error::custom("too many"));
                    }
                    items.push(item);
                }
                if items.is_empty() { Err(A::Error::custom("none")) } else { Ok(Items(items)) }
            }
        }
        deserializer.deserialize_seq(Reader)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(json: &str) -> Result<Body, InvalidBody> {
        Body::parse(Call::Chat, json.as_bytes().to_vec())
    }

    #[test]
    fn what_must_be_known_is_read_and_the_rest_keeps_its_bytes() {
        let json = r#"{ "model": "a", "messages": [ {"role":"user","content":"x"} ], "seed" : 1.50e1,
            "stream": true, "stream_options":{"include_usage":true}, "max_tokens": 9, "max_completion_tokens": 7, "n":2}"#;
        let body = chat(json).expect("a request");
        assert_eq!((body.model.as_str(), body.streams, body.wants_usage), ("a", true, true));
        assert_eq!((body.longest, body.answers), (Some(7), 2));
        assert!(body.fields().any(|field| field == ("seed", "1.50e1")));
        assert_eq!(body.items().expect("messages"), [r#"{"role":"user","content":"x"}"#]);
        let nulls = r#"{"model":"a","messages":[{}],"stream":null,"max_tokens":null,"n":null,"stream_options":null}"#;
        let body = chat(nulls).expect("a request");
        assert_eq!((body.streams, body.longest, body.answers), (false, None, 1));
    }

    #[test]
    fn what_upstreams_may_read_differently_is_refused() {
        let base = r#""model":"a","messages":[{}]"#;
        for (json, words) in [
            (format!(r#"{{{base},"model":"b"}}"#), "twice"),
            (format!(r#"{{{base},"mod\u0065l":"b"}}"#), "twice"),
            (format!(r#"{{{base},"Model":"b"}}"#), "'model' must be written so"),
            (format!(r#"{{{base},"max_to\u212aens":5}}"#), "'max_tokens' must be written so"),
            (format!(r#"{{{base},"meſſages":[]}}"#), "'messages' must be written so"),
            (format!(r#"{{{base},"seed":1,"Seed":2}}"#), "twice"),
            (format!(r#"{{{base},"n":129}}"#), "'n' must be at most 128"),
            (format!(r#"{{{base},"n":0}}"#), "'n' must be a whole number"),
            (format!(r#"{{{base},"max_tokens":"9"}}"#), "'max_tokens' must be a whole number"),
            (format!(r#"{{{base},"max_tokens":1e9}}"#), "'max_tokens' must be a whole number"),
            (format!(r#"{{{base},"stream":"yes"}}"#), "'stream' must be true or false"),
            (format!(r#"{{{base},"stream_options":[]}}"#), "'stream_options' must be a small object"),
            (format!("{{{base}}} x"), "not a JSON object"),
            (r#"{"messages":[{}]}"#.to_owned(), "'model' must be the name of a model"),
            (r#"{"model":7,"messages":[{}]}"#.to_owned(), "'model' must be the name of a model"),
            (r#"{"model":"a"}"#.to_owned(), "'messages' must be there"),
            (r#"{"model":"a","messages":[]}"#.to_owned(), "'messages' must be a list of at least one"),
            (r#"{"model":"a","messages":["x"]}"#.to_owned(), "'messages' must be a list of objects"),
            ("[]".to_owned(), "expected an object"),
        ] {
            let told = chat(&json).expect_err(&json).message;
            assert!(told.contains(words), "{json}: {told}");
        }
        let many = format!(r#"{{"model":"a","messages":[{}{{}}]}}"#, "{},".repeat(MOST_ITEMS));
        assert!(chat(&many).is_err());
    }

    #[test]
    fn pictures_are_estimated_as_pictures() {
        let picture = format!("data:image/png;base64,{}", "QUJD".repeat(50_000));
        let json = format!(
            r#"{{"model":"a","messages":[{{"role":"user","content":[{{"type":"image_url","image_url":{{"url":"{picture}"}}}}]}}]}}"#
        );
        let body = chat(&json).expect("a request");
        assert!(body.has_pictures() && (1000..4000).contains(&body.estimate()), "{}", body.estimate());
    }
}
