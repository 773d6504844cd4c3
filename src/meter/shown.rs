//! What of an answer a program is shown where something has to be put back or looked at: in the form in which it asked.

mod responses;

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use self::responses::ResponseFilter;
use super::program::ProgramFilter;
use crate::{
    llm::relay::body::Call,
    safety::{
        guard::{Guard, Hits},
        masks::Masks,
    },
};

/// On the way of one answer.
#[derive(Debug)]
pub(super) enum Shown {
    /// Of a chat completion.
    Chat(Box<ProgramFilter>),
    /// Of a response.
    Response(Box<ResponseFilter>),
}

impl Shown {
    /// As [`ProgramFilter::new`]; `None` where there is nothing to do, or where an answer has no words.
    pub(super) fn new(call: Call, masks: Masks, guard: &Arc<Guard>, judged: bool) -> Option<Self> {
        if !call.is_words() || masks.is_empty() && guard.screen().is_none() && !judged {
            return None;
        }
        Some(match call {
            Call::Responses => Self::Response(Box::new(ResponseFilter::new(masks, guard, judged))),
            _ => Self::Chat(Box::new(ProgramFilter::new(masks, guard, judged))),
        })
    }

    /// An event as it may be shown; may be nothing.
    pub(super) fn event(&mut self, json: &[u8]) -> Bytes {
        match self {
            Self::Chat(filter) => filter.event(json).map(|chunk| written(&chunk)).unwrap_or_default(),
            Self::Response(filter) => filter.event(json).iter().map(named).collect::<String>().into(),
        }
    }

    /// An answer in one piece; `None` where it is no object.
    pub(super) fn whole(&mut self, json: &[u8]) -> Option<Bytes> {
        let answer = match self {
            Self::Chat(filter) => filter.event(json),
            Self::Response(filter) => filter.whole(json),
        };
        answer.map(|answer| answer.to_string().into())
    }

    /// What is still held back where the answer ends without saying so.
    pub(super) fn rest(&mut self) -> Bytes {
        match self {
            Self::Chat(filter) => filter.rest().map(|rest| written(&rest)).unwrap_or_default(),
            Self::Response(filter) => filter.rest().iter().map(named).collect::<String>().into(),
        }
    }

    /// What was shown so far, for somebody's look.
    pub(super) fn said(&mut self) -> Option<String> {
        match self {
            Self::Chat(filter) => filter.said(),
            Self::Response(filter) => filter.said(),
        }
    }

    /// What the rules found.
    pub(super) fn hits(&self) -> Hits {
        match self {
            Self::Chat(filter) => filter.hits(),
            Self::Response(filter) => filter.hits(),
        }
    }
}

/// An event as it is written.
fn written(chunk: &Value) -> Bytes {
    format!("data: {chunk}\n\n").into()
}

/// An event of a response, which is named by its type.
fn named(event: &Value) -> String {
    let kind = event["type"].as_str().filter(|kind| !kind.contains(['\n', '\r'])).unwrap_or("message");
    format!("event: {kind}\ndata: {event}\n\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_event_is_written_as_its_form_wants() {
        assert_eq!(written(&json!({"a": 1})), "data: {\"a\":1}\n\n");
        assert_eq!(
            named(&json!({"type": "response.created"})),
            "event: response.created\ndata: {\"type\":\"response.created\"}\n\n"
        );
        assert!(named(&json!({"type": "a\nb"})).starts_with("event: message\n"));
    }
}
