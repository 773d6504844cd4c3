//! Looks at what an upstream answers to a program, without changing it: what it cost, how much was written, whether it is
//! a complaint.

use serde_json::Value;

use super::{
    Event, Kind, Made, Whole,
    call::Call,
    events::Raw,
    responses::{self, Piece},
};
use crate::{
    llm::{
        error::Error,
        redact::Redactor,
        tokens,
        wire::{Chunk, Complaint},
    },
    model::conversation::Usage,
};

/// So much text is counted at once: a share of a token at the end of each piece would add up.
const COUNTED: usize = 4096;

/// What was seen of one answer.
#[derive(Debug, Default)]
pub(super) struct Watch {
    call: Call,
    /// The last event of a response came.
    ended: bool,
    /// What was made that is not words.
    pub(super) made: Made,
    /// What it cost, as the upstream said last.
    pub(super) usage: Option<Usage>,
    written: u64,
    text: String,
}

impl Watch {
    /// Of an answer to this.
    pub(super) fn of(call: Call) -> Self {
        Self { call, ..Self::default() }
    }

    /// Whether the answer has ended, by its own word.
    pub(super) const fn has_ended(&self) -> bool {
        self.ended
    }

    /// Whether the stream may end here: that of a response says when.
    pub(super) fn may_end(&self) -> bool {
        self.ended || self.call != Call::Responses
    }

    /// Looks at an event.
    ///
    /// # Errors
    /// It is a complaint.
    pub(super) fn event(&mut self, (raw, data): Raw, redactor: &Redactor) -> Result<Event, Error> {
        let Some(data) = data else { return Ok(Event { raw, kind: Kind::Other }) };
        let kind = match data.trim_ascii() {
            b"" => Kind::Other,
            b"[DONE]" => Kind::Done,
            json if self.call.is_made() => {
                self.made.hear(json, redactor)?;
                Kind::Chunk(json.to_vec())
            }
            json if self.call == Call::Responses => return self.response(raw, json, redactor),
            json => match serde_json::from_slice::<Chunk>(json) {
                Ok(chunk) => self.chunk(chunk, json, redactor)?,
                // What nobody here knows is passed on, as long as it is JSON.
                Err(_) if serde_json::from_slice::<Value>(json).is_ok() => Kind::Chunk(json.to_vec()),
                Err(_) => return Err(Error::Garbage { what: "an event that is not JSON" }),
            },
        };
        Ok(Event { raw, kind })
    }

    /// Looks at an answer in one piece.
    ///
    /// # Errors
    /// It is a complaint, or not JSON.
    pub(super) fn whole(mut self, body: bytes::Bytes, redactor: &Redactor) -> Result<Whole, Error> {
        if self.call == Call::Responses {
            let (body, usage, written) = responses::whole(body, redactor)?;
            return Ok(Whole { usage, written, body });
        }
        match serde_json::from_slice::<Chunk>(&body) {
            Ok(chunk) => {
                self.chunk(chunk, &[], redactor)?;
            }
            Err(_) if serde_json::from_slice::<&serde_json::value::RawValue>(&body).is_ok() => {}
            Err(_) => return Err(Error::Garbage { what: "a body that is not JSON" }),
        }
        Ok(Whole { usage: self.usage, written: self.written(), body })
    }

    /// How many model tokens were written so far, about.
    pub(super) fn written(&self) -> u64 {
        self.written + tokens::estimate(&self.text) as u64
    }

    fn response(&mut self, raw: bytes::Bytes, json: &[u8], redactor: &Redactor) -> Result<Event, Error> {
        let (piece, shown) = responses::event(json, redactor)?;
        match piece {
            Piece::Words(words) => self.wrote(&words),
            Piece::End(usage) => (self.ended, self.usage) = (true, usage.or(self.usage)),
            Piece::Other => {}
        }
        let Some(shown) = shown else { return Ok(Event { raw, kind: Kind::Chunk(json.to_vec()) }) };
        let raw = format!("event: response.failed\ndata: {shown}\n\n").into();
        Ok(Event { raw, kind: Kind::Chunk(shown.into_bytes()) })
    }

    fn wrote(&mut self, words: &str) {
        self.text.push_str(words);
        if self.text.len() > COUNTED {
            self.written += tokens::estimate(&self.text) as u64;
            self.text.clear();
        }
    }

    fn chunk(&mut self, chunk: Chunk, json: &[u8], redactor: &Redactor) -> Result<Kind, Error> {
        if let Some(complaint) = chunk.error.filter(|complaint| *complaint != Complaint::default()) {
            return Err(Error::in_stream(&complaint, redactor));
        }
        let mut usage = chunk.usage.and_then(|usage| usage.reported());
        let only_usage = usage.is_some() && chunk.choices.is_empty();
        for mut choice in chunk.choices {
            usage = usage.or(choice.usage.take().and_then(|usage| usage.reported()));
            let Some(mut piece) = choice.piece() else { continue };
            self.text.push_str(&piece.take_reasoning());
            self.text.push_str(&piece.content);
            self.text.push_str(&piece.refusal);
            for call in piece.tool_calls.into_iter().flatten() {
                self.text.push_str(call.written());
            }
        }
        self.wrote("");
        // Some upstreams repeat the usage, growing, in every chunk.
        self.usage = usage.or(self.usage);
        Ok(if only_usage { Kind::OnlyUsage } else { Kind::Chunk(json.to_vec()) })
    }
}
