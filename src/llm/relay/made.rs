//! Answers that are not words: sound, pictures, a transcript. Their bytes pass as they come, and nothing is kept of them
//! but what says how much there was.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use reqwest::{Response, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::Value;

use super::call::Call;
use crate::{
    llm::{
        error::Error,
        redact::Redactor,
        timers::Timers,
        wire::{Complaint, lenient},
    },
    model::conversation::Usage,
};

/// As much of JSON is held back to see whether it is a complaint.
const LOOKED_AT: usize = 64 * 1024;
/// What is longer of a string in JSON is not kept; pictures are strings of megabytes.
const LONG_STRING: usize = 64;
/// Of an answer so much is kept.
const KEPT: usize = 256 * 1024;

/// What an upstream says that it made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Made {
    /// Pictures.
    pub pictures: Option<u64>,
    /// How long what was heard is.
    pub heard: Option<Duration>,
    /// Model tokens.
    pub usage: Option<Usage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Said {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    data: Option<Vec<Value>>,
    /// So SiliconFlow says it, with `data` beside it or without.
    #[serde(deserialize_with = "lenient")]
    images: Option<Vec<Value>>,
    duration: Value,
    usage: Value,
    error: Option<Complaint>,
}

impl Made {
    /// Takes in an answer, or an event of one.
    ///
    /// # Errors
    /// It is a complaint.
    pub(super) fn hear(&mut self, json: &[u8], redactor: &Redactor) -> Result<(), Error> {
        let Ok(said) = serde_json::from_slice::<Said>(json) else { return Ok(()) };
        if let Some(complaint) = said.error.filter(|complaint| *complaint != Complaint::default()) {
            return Err(Error::in_stream(&complaint, redactor));
        }
        let pictures = said.data.or(said.images).map(|pictures| pictures.len() as u64);
        let one_more = said.kind.as_deref() == Some("image_generation.completed");
        self.pictures = pictures.or_else(|| one_more.then(|| self.pictures.unwrap_or(0) + 1)).or(self.pictures);
        let seconds = seconds(&said.usage["seconds"]).or_else(|| seconds(&said.duration));
        self.heard = seconds.or(self.heard);
        let tokens = |name: &str| said.usage[name].as_u64();
        if let (Some(input), Some(output)) = (tokens("input_tokens"), tokens("output_tokens")) {
            self.usage = Some(Usage { input, output, ..Usage::default() });
        }
        Ok(())
    }
}

/// A number, or one that is written as a text.
fn seconds(value: &Value) -> Option<Duration> {
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(number).ok()
}

/// An answer in bytes. Dropping it closes the connection.
#[derive(Debug)]
#[must_use]
pub struct MadeAnswer {
    /// `None` once nothing more can be read.
    response: Option<Response>,
    timers: Timers,
    ready: VecDeque<Bytes>,
    content_type: String,
    /// `None`: it is no JSON, or too much of it.
    outline: Option<Outline>,
    made: Made,
    redactor: Redactor,
}

impl MadeAnswer {
    /// Waits until it begins, and looks whether it is a complaint.
    pub(super) async fn begin(
        call: Call,
        response: Response,
        timers: Timers,
        redactor: &Redactor,
    ) -> Result<Self, Error> {
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let content_type = if kind.is_empty() { "application/octet-stream" } else { kind }.to_owned();
        if content_type.contains("html") {
            return Err(Error::Garbage { what: "a web page" });
        }
        let may_be_json = call != Call::Speech || content_type.contains("json");
        let (response, ready, redactor) = (Some(response), VecDeque::new(), redactor.clone());
        let mut answer = Self { response, timers, ready, content_type, outline: None, made: Made::default(), redactor };
        let first = loop {
            match answer.chunk().await? {
                None => return Err(Error::Cut { source: None }),
                Some(bytes) if bytes.is_empty() => {}
                Some(bytes) => break bytes,
            }
        };
        if may_be_json && first.trim_ascii_start().starts_with(b"{") {
            answer.outline = Some(Outline::default());
        }
        answer.keep(first)?;
        let mut held = answer.ready.front().map_or(0, Bytes::len);
        while answer.outline.is_some() && held < LOOKED_AT {
            let Some(bytes) = answer.chunk().await? else { break };
            held += bytes.len();
            answer.keep(bytes)?;
        }
        Ok(answer)
    }

    /// What it comes as.
    pub fn content_type(&self) -> &str {
        &self.content_type
    }

    /// What was made, as far as the upstream said so.
    pub const fn made(&self) -> Made {
        self.made
    }

    /// The next bytes; `None` after the last. Safe to drop before it is ready and to call again.
    ///
    /// # Errors
    /// [`Error`]: what came so far is part of an answer.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            if let Some(bytes) = self.ready.pop_front() {
                return Some(Ok(bytes));
            }
            match self.chunk().await {
                Ok(Some(bytes)) => drop(self.keep(bytes)),
                Ok(None) => return None,
                Err(error) => {
                    self.response = None;
                    return Some(Err(error));
                }
            }
        }
    }

    fn keep(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.outline = self.outline.take().and_then(|outline| outline.and(&bytes));
        self.ready.push_back(bytes);
        self.hear()
    }

    /// Hears what is whole.
    fn hear(&mut self) -> Result<(), Error> {
        match &self.outline {
            Some(outline) if outline.depth == 0 => self.made.hear(&outline.kept, &self.redactor),
            _ => Ok(()),
        }
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let read = self.timers.wait(response.chunk()).await?;
        let bytes = read.map_err(|broken| Error::Cut { source: Some(broken.without_url()) })?;
        self.timers.delta_came(false);
        if bytes.is_none() {
            self.response = None;
        }
        Ok(bytes)
    }
}

/// JSON with no long strings: what is left of an answer with pictures is some hundred bytes.
#[derive(Debug, Default)]
struct Outline {
    kept: Vec<u8>,
    /// Objects and lists that are open.
    depth: usize,
    string: Option<Text>,
}

/// A string that is open.
#[derive(Debug, PartialEq, Eq)]
struct Text {
    /// Where it begins in what is kept.
    from: usize,
    /// A backslash came last.
    escaped: bool,
    /// It is long: nothing of it is kept.
    is_long: bool,
}

impl Outline {
    /// With what comes next; `None` where it becomes too much.
    fn and(mut self, bytes: &[u8]) -> Option<Self> {
        for byte in bytes {
            let Some(text) = &mut self.string else {
                match byte {
                    b'"' => self.string = Some(Text { from: self.kept.len() + 1, escaped: false, is_long: false }),
                    b'{' | b'[' => self.depth += 1,
                    b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.kept.push(*byte);
                continue;
            };
            let ends = !text.escaped && *byte == b'"';
            text.escaped = !text.escaped && *byte == b'\\';
            if !text.is_long && self.kept.len() - text.from == LONG_STRING && !ends {
                self.kept.truncate(text.from);
                text.is_long = true;
            }
            if ends || !text.is_long {
                self.kept.push(*byte);
            }
            if ends {
                self.string = None;
            }
        }
        (self.kept.len() <= KEPT).then_some(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(json: &str) -> Made {
        let mut made = Made::default();
        for at in 0..json.len() {
            let (first, second) = json.as_bytes().split_at(at);
            let outline = Outline::default().and(first).and_then(|outline| outline.and(second)).expect("short");
            assert_eq!((outline.depth, outline.string), (0, None), "{json}");
            made = Made::default();
            made.hear(&outline.kept, &Redactor::default()).expect("no complaint");
        }
        made
    }

    #[test]
    fn however_long_its_strings_are_what_was_made_is_read() {
        let long = r#"QUJD\"\\\u4f60"#.repeat(40);
        let json = format!(
            r#"{{"data":[{{"b64_json":"{long}"}},{{"url":"{{[\""}}],"usage":{{"input_tokens":3,"output_tokens":5}}}}"#
        );
        let usage = Some(Usage { input: 3, output: 5, ..Usage::default() });
        assert_eq!(made(&json), Made { pictures: Some(2), heard: None, usage });
        let heard = |millis| Made { heard: Some(Duration::from_millis(millis)), ..Made::default() };
        assert_eq!(made(&format!(r#"{{"text":"{long}","usage":{{"type":"duration","seconds":7}}}}"#)), heard(7000));
        assert_eq!(made(r#"{"duration":"2.5","text":""}"#), heard(2500));
        assert_eq!(made(r#"{"duration":-1}"#), Made::default());
    }

    #[test]
    fn pictures_that_come_in_events_are_counted() {
        let mut made = Made::default();
        for kind in ["partial_image", "completed", "completed"] {
            made.hear(format!(r#"{{"type":"image_generation.{kind}"}}"#).as_bytes(), &Redactor::default())
                .expect("fine");
        }
        assert_eq!(made.pictures, Some(2));
        assert!(made.hear(br#"{"error":{"message":"no"}}"#, &Redactor::default()).is_err());
    }
}
