//! What is looked at of an answer of `/responses`: what it cost, how much was written, how it ended.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::strings::{self, NoText, each_written, is_data};
use crate::{
    llm::{
        error::Error,
        redact::Redactor,
        tokens,
        wire::{Complaint, lenient},
    },
    model::conversation::Usage,
};

/// What an event is for who counts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Something was written.
    Words(String),
    /// The answer has ended, one way or another; what it cost, where the upstream says so.
    End(Option<Usage>),
    /// Anything else.
    Other,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Event<'j> {
    #[serde(rename = "type", deserialize_with = "lenient")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient")]
    delta: Option<String>,
    #[serde(borrow)]
    response: Option<Response<'j>>,
    error: Option<Complaint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Response<'j> {
    #[serde(deserialize_with = "lenient")]
    object: Option<String>,
    #[serde(borrow)]
    output: Option<&'j RawValue>,
    #[serde(deserialize_with = "lenient")]
    usage: Option<ResponseUsage>,
    error: Option<Complaint>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ResponseUsage {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    #[serde(deserialize_with = "lenient")]
    input_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<u64>,
}

impl ResponseUsage {
    /// A zero that is said is a number.
    fn reported(self) -> Option<Usage> {
        let (input, output) = (self.input_tokens?, self.output_tokens?);
        let cached = self.input_tokens_details.and_then(|details| details.cached_tokens).unwrap_or(0);
        Some(Usage { input, cached: cached.min(input), output, estimated: false })
    }
}

/// Looks at an event, and gives its JSON where it must be shown in other words.
///
/// # Errors
/// It is a complaint and no event of the answer, or no JSON.
pub(super) fn event(json: &[u8], redactor: &Redactor) -> Result<(Piece, Option<String>), Error> {
    let Ok(event) = serde_json::from_slice::<Event<'_>>(json) else {
        return match serde_json::from_slice::<&RawValue>(json) {
            // What nobody here knows is passed on.
            Ok(_) => Ok((Piece::Other, None)),
            Err(_) => Err(Error::Garbage { what: "an event that is not JSON" }),
        };
    };
    let kind = event.kind.unwrap_or_default();
    let said = event.error.filter(|complaint| *complaint != Complaint::default());
    if kind == "error" || kind.is_empty() && said.is_some() {
        let said = said.or_else(|| Complaint::parse(json)).unwrap_or_default();
        return Err(Error::in_stream(&said, redactor));
    }
    match kind.as_str() {
        "response.completed" | "response.incomplete" | "response.failed" => {
            let response = event.response.unwrap_or_default();
            let shown = response.error.and_then(|complaint| in_our_words(json, &complaint, redactor));
            Ok((Piece::End(response.usage.and_then(ResponseUsage::reported)), shown))
        }
        // Sound and pictures come as data, which is not written in tokens of text.
        kind if kind.ends_with(".delta") && !kind.contains("audio.") => {
            Ok((event.delta.map_or(Piece::Other, Piece::Words), None))
        }
        _ => Ok((Piece::Other, None)),
    }
}

/// Looks at an answer in one piece: as it may be shown, what it cost, and how many model tokens were written, about.
///
/// # Errors
/// It is a complaint, or no JSON.
pub(super) fn whole(body: Bytes, redactor: &Redactor) -> Result<(Bytes, Option<Usage>, u64), Error> {
    let Ok(response) = serde_json::from_slice::<Response<'_>>(&body) else {
        return match serde_json::from_slice::<&RawValue>(&body) {
            Ok(_) => Ok((body, None, 0)),
            Err(_) => Err(Error::Garbage { what: "a body that is not JSON" }),
        };
    };
    let said = response.error.filter(|complaint| *complaint != Complaint::default());
    let shown = match said {
        Some(said) if response.object.as_deref() != Some("response") => return Err(Error::in_stream(&said, redactor)),
        Some(said) => in_our_words(&body, &said, redactor),
        None => None,
    };
    let mut written = 0;
    each_written(response.output.map_or("", RawValue::get), |text| {
        written += if is_data(text) { 0 } else { tokens::estimate(text) as u64 };
    });
    let usage = response.usage.and_then(ResponseUsage::reported);
    Ok((shown.map_or_else(|| body.clone(), Bytes::from), usage, written))
}

/// The JSON with a complaint that shows nothing of ours; `None` where it shows nothing.
fn in_our_words(json: &[u8], complaint: &Complaint, redactor: &Redactor) -> Option<String> {
    let clean = redactor.clean(&complaint.message);
    if clean == complaint.message {
        return None;
    }
    let json = std::str::from_utf8(json).ok()?;
    let rewritten: Result<Cow<'_, str>, NoText> =
        strings::rewrite(json, |text| Ok((text == complaint.message).then(|| clean.clone())));
    // What cannot be rewritten is not shown.
    Some(rewritten.map_or_else(|NoText| Value::Null.to_string(), Cow::into_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Piece, Option<String>), Error> {
        event(json.as_bytes(), &Redactor::default().and_words(["sk-secret"]))
    }

    #[test]
    fn what_an_event_is_follows_from_its_type() {
        let usage = r#"{"input_tokens":7,"output_tokens":0,"input_tokens_details":{"cached_tokens":9}}"#;
        let end = |kind: &str| format!(r#"{{"type":"response.{kind}","response":{{"usage":{usage}}}}}"#);
        for kind in ["completed", "incomplete", "failed"] {
            let (piece, _) = read(&end(kind)).expect(kind);
            let usage = Usage { input: 7, cached: 7, output: 0, estimated: false };
            assert_eq!(piece, Piece::End(Some(usage)), "{kind}");
        }
        for (json, piece) in [
            (r#"{"type":"response.output_text.delta","delta":"a"}"#, Piece::Words("a".to_owned())),
            (r#"{"type":"response.function_call_arguments.delta","delta":"{"}"#, Piece::Words("{".to_owned())),
            (r#"{"type":"response.audio.delta","delta":"QUJD"}"#, Piece::Other),
            (r#"{"type":"response.created","response":{"usage":null}}"#, Piece::Other),
            (r#"{"type":"response.completed","response":{"usage":null}}"#, Piece::End(None)),
            (r#"{"type":"brand.new","response":7}"#, Piece::Other),
            ("[1]", Piece::Other),
        ] {
            assert_eq!(read(json).expect(json).0, piece, "{json}");
        }
        for json in [r#"{"type":"error","message":"m","code":"c"}"#, r#"{"error":{"message":"m"}}"#] {
            assert!(matches!(read(json), Err(Error::StreamError { message }) if message == "m"), "{json}");
        }
        assert!(matches!(read("{'"), Err(Error::Garbage { .. })));
    }

    #[test]
    fn how_it_failed_is_told_without_what_is_ours() {
        let json = r#"{"type":"response.failed","x":1.50,"response":{"error":{"code":"c","message":"key sk-secret"}}}"#;
        let (piece, shown) = read(json).expect("an event");
        let expected = json.replace("sk-secret", "***");
        assert_eq!((piece, shown.as_deref()), (Piece::End(None), Some(expected.as_str())));
        assert_eq!(read(&expected).expect("an event").1, None);
    }
}
