//! What a program asks: a JSON object whose fields keep their bytes.
//!
//! Upstreams are written in many languages, and those that read the last of two fields of one name, or take `Model` for
//! `model`, would do what was not looked at: such bodies are refused.

use std::{borrow::Cow, fmt, ops::Range, time::Duration};

use serde_json::value::RawValue;

pub use super::call::Call;
use super::{
    fields::{Fields, Items, MOST_ITEMS, check_names},
    form::Form,
    strings::{each_written, is_data},
};
use crate::llm::tokens::{self, MESSAGE_OVERHEAD};

/// Bytes of `stream_options`.
const MOST_OPTIONS: usize = 1024;
/// A picture, a recording or a file: what the first costs with most models.
const DATA_TOKENS: usize = 1100;

/// Why a body is no request. The message says what would be right, and quotes nothing but names of fields.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidBody {
    /// Which field, where it is one.
    pub field: Option<&'static str>,
    /// What is wrong, and what would be right.
    pub message: String,
}

pub(super) fn wrong(field: &'static str, right: &str) -> InvalidBody {
    InvalidBody { field: Some(field), message: format!("'{field}' must be {right}") }
}

/// A request of a program.
pub struct Body {
    /// What is asked, where it is a form and no JSON.
    pub(in crate::llm) form: Option<Form>,
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
        if !call.takes(of(call.content())) {
            return Err(wrong(call.content(), call.right()));
        }
        if call == Call::Responses && of("background").is_some_and(|raw| raw != "false") {
            return Err(wrong("background", "false: what is answered later would be paid by nobody"));
        }
        let streams = match of("stream").filter(|_| call.is_words()) {
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
        let answers = match call.most_answers() {
            Some((most, right)) => number("n")?.filter(|n| *n <= most).or(of("n").is_none().then_some(1)).ok_or(right),
            None => Ok(1),
        };
        let answers = answers.map_err(|right| wrong("n", right))?;
        let mut longest = None;
        for name in call.limits() {
            longest = longest.into_iter().chain(number(name)?).min();
        }
        let body = Self { call, model, streams, wants_usage, answers, longest, fields, json, form: None };
        body.items()?;
        Ok(body)
    }

    /// Reads a recording in a form that is to be written down.
    ///
    /// # Errors
    /// [`InvalidBody`].
    pub fn recording(content_type: &str, bytes: Vec<u8>) -> Result<Self, InvalidBody> {
        let form = Form::parse(content_type, bytes.into())?;
        let model = form.model().to_owned();
        Ok(Self {
            form: Some(form),
            json: String::new(),
            fields: Vec::new(),
            call: Call::Transcription,
            model,
            streams: false,
            wants_usage: false,
            answers: 1,
            longest: None,
        })
    }

    /// How long the recording is, and whether that is known and not guessed by its size.
    pub fn sound(&self) -> (Duration, bool) {
        self.form.as_ref().map(Form::sound).unwrap_or_default()
    }

    /// How many characters are to be spoken.
    pub fn characters(&self) -> usize {
        let text = self.field(Call::Speech.content()).and_then(|raw| serde_json::from_str::<String>(raw).ok());
        text.map_or(0, |text| text.chars().count())
    }

    /// The fields in their order: the names and what stands there.
    pub(in crate::llm) fn fields(&self) -> impl Iterator<Item = (&str, &str)> {
        self.fields.iter().map(|(name, range)| (name.as_str(), &self.json[range.clone()]))
    }

    /// The messages or, where there are none, all that is asked as one.
    pub(in crate::llm) fn items(&self) -> Result<Vec<&str>, InvalidBody> {
        let name = self.call.content();
        let content = self.field(name).unwrap_or("");
        if !self.call.has_items() || !content.starts_with('[') {
            return Ok(vec![content]);
        }
        let Items(items) = serde_json::from_str(content)
            .map_err(|_| wrong(name, &format!("a list of at least one and at most {MOST_ITEMS} messages")))?;
        if items.iter().any(|item| !item.get().starts_with('{')) {
            return Err(wrong(name, "a list of objects"));
        }
        Ok(items.into_iter().map(RawValue::get).collect())
    }

    /// What stands in a field; `None` also for `null`.
    pub(in crate::llm) fn field(&self, name: &str) -> Option<&str> {
        self.fields().find(|(known, raw)| *known == name && *raw != "null").map(|(_, raw)| raw)
    }

    /// The field by which it goes on with words that stand at the upstream and not in it; `None`: it is whole.
    pub fn goes_on_with(&self) -> Option<&'static str> {
        let names = ["previous_response_id", "conversation"].into_iter().filter(|_| self.call == Call::Responses);
        names.into_iter().find(|name| self.field(name).is_some())
    }

    /// How many model tokens it has, about: those of every text in it.
    pub fn estimate(&self) -> usize {
        let mut tokens = 0_usize;
        for (name, raw) in self.fields().filter(|(name, _)| *name != "model") {
            each_written(raw, |text| {
                tokens = tokens.saturating_add(if is_data(text) { DATA_TOKENS } else { tokens::estimate(text) });
            });
            // Texts may be given as numbers of tokens.
            if self.call == Call::Embeddings && name == "input" && !raw.contains('"') {
                tokens = tokens.saturating_add(raw.bytes().filter(|byte| *byte == b',').count() + 1);
            }
        }
        let messages = self.items().map_or(0, |items| items.len());
        tokens.saturating_add(messages * MESSAGE_OVERHEAD).saturating_add(self.pictures_elsewhere() * DATA_TOKENS)
    }

    /// Whether it shows pictures.
    pub fn has_pictures(&self) -> bool {
        self.call.is_words() && ["image_url", "input_image"].iter().any(|word| self.says(word))
    }

    /// Whether one of its strings is this word, however its letters are written.
    pub fn says(&self, word: &str) -> bool {
        if self.json.contains(&format!("\"{word}\"")) {
            return true;
        }
        let mut found = false;
        if self.json.contains("\\u") {
            each_written(&self.json, |text| {
                let may_be = text.len() <= 6 * word.len() && text.contains("\\u");
                found |=
                    may_be && serde_json::from_str::<String>(&format!("\"{text}\"")).is_ok_and(|read| read == word);
            });
        }
        found
    }

    /// Pictures that the upstream is to fetch.
    fn pictures_elsewhere(&self) -> usize {
        let named = |word: &str| self.json.matches(word).count();
        match self.call {
            Call::Responses => named("\"input_image\""),
            _ => named("\"image_url\"") / 2,
        }
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
    fn a_word_is_known_however_its_letters_are_written() {
        for (part, pictures) in [
            (r#"{"type":"image_url"}"#, true),
            (r#"{"\u0069mage_ur\u006c":{}}"#, true),
            (r#"{"text":"an image_url, \u0069mage"}"#, false),
        ] {
            let body = chat(&format!(r#"{{"model":"a","messages":[{{"content":[{part}]}}]}}"#)).expect("a request");
            assert_eq!(body.has_pictures(), pictures, "{part}");
        }
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
