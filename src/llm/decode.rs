//! The bytes of one body, turned into steps of the answer, however they are cut.
//!
//! Does no I/O and has no clock. To read another part of a chunk, do it in [`Decoder::on_chunk`].

use std::collections::VecDeque;

use bytes::Bytes;

use super::{
    error::Error,
    redact::Redactor,
    sse::{Events, MAX_EVENT_BYTES, TooLong},
    stream::{Finish, FinishReason},
    think::ThinkFilter,
    tools::{Assembly, TooMuch},
    wire::{Chunk, Complaint},
};
use crate::model::conversation::Usage;

/// How the answer goes on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The model is alive, but there is nothing to show: it said why it ends.
    Unseen,
    /// More of what the model thinks before it answers, never empty.
    Thought(String),
    /// More text, never empty.
    Text(String),
    /// The end.
    Finish(Finish),
}

/// Reads one body.
#[derive(Debug)]
pub(super) struct Decoder {
    framing: Framing,
    think: ThinkFilter,
    ready: VecDeque<Step>,
    reason: Option<FinishReason>,
    /// The upstream's filter struck, with or without saying so as the reason.
    filtered: bool,
    usage: Option<Usage>,
    calls: Assembly,
    keeps_thought: bool,
    /// What comes after `ready` when the body has ended, or the upstream has broken off.
    failure: Option<Error>,
    redactor: Redactor,
}

/// How the body is built. Its first character tells: gateways send content types that are wrong both ways.
#[derive(Debug)]
enum Framing {
    Unknown,
    Stream(Events),
    /// One JSON object: the upstream does not stream.
    Whole(Vec<u8>),
    /// A page of a proxy or a login.
    Html,
}

const TOO_MANY_CALLS: Error = Error::Garbage { what: "calls of tools without end" };
const TOO_LONG: Error = Error::Garbage { what: "an event longer than 8 MiB" };

impl Decoder {
    pub(super) fn new(redactor: Redactor) -> Self {
        Self {
            framing: Framing::Unknown,
            think: ThinkFilter::default(),
            ready: VecDeque::new(),
            reason: None,
            filtered: false,
            usage: None,
            calls: Assembly::default(),
            keeps_thought: false,
            failure: None,
            redactor,
        }
    }

    /// The same, for an answer in which tools may be called: what the model thought is kept for [`Finish::calls`].
    pub(super) fn keeping_thought(self, keeps_thought: bool) -> Self {
        Self { keeps_thought, ..self }
    }

    /// Whether the answer is complete and only usage and `[DONE]` are missing.
    pub(super) const fn is_ending(&self) -> bool {
        self.reason.is_some()
    }

    /// Takes in what came. [`Decoder::step`] must have taken everything out before.
    pub(super) fn feed(&mut self, mut bytes: Bytes) {
        if let Framing::Unknown = self.framing {
            let Some(at) = bytes.iter().position(|byte| !byte.is_ascii_whitespace()) else { return };
            self.framing = match bytes[at] {
                b'{' => Framing::Whole(Vec::new()),
                b'<' => Framing::Html,
                _ => Framing::Stream(Events::default()),
            };
            bytes = bytes.split_off(at);
        }
        match &mut self.framing {
            Framing::Stream(events) => events.feed(bytes),
            Framing::Whole(body) => {
                // One byte too many is enough for `step` to see that it is too long.
                bytes.truncate((MAX_EVENT_BYTES + 1).saturating_sub(body.len()));
                body.extend_from_slice(&bytes);
            }
            Framing::Unknown | Framing::Html => {}
        }
    }

    /// The next step; `None` when more bytes are needed, which is never so after [`Decoder::end`].
    ///
    /// # Errors
    /// What the upstream said, or that nothing can be made of it; or what ended the body before the answer.
    pub(super) fn step(&mut self) -> Result<Option<Step>, Error> {
        loop {
            if let Some(step) = self.ready.pop_front() {
                return Ok(Some(step));
            }
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            let event = match &mut self.framing {
                Framing::Stream(events) => events.next().map_err(|TooLong| TOO_LONG)?,
                Framing::Whole(body) if body.len() > MAX_EVENT_BYTES => return Err(TOO_LONG),
                Framing::Html => return Err(Error::Garbage { what: "a web page" }),
                Framing::Unknown | Framing::Whole(_) => None,
            };
            match event {
                Some(event) => self.on_event(&event)?,
                None => return Ok(None),
            }
        }
    }

    /// Nothing more will come: the body ended in good order, or the error says why it did not. An answer whose reason
    /// for the end has come is complete, whatever became of the rest.
    pub(super) fn end(&mut self, how: Result<(), Error>) {
        let ended = how.and_then(|()| self.on_last_event());
        if self.reason.is_some() && self.failure.is_none() {
            self.finish();
        }
        let failure = self.failure.take().or(ended.err());
        self.failure = Some(failure.unwrap_or(Error::Cut { source: None }));
    }

    fn on_event(&mut self, data: &[u8]) -> Result<(), Error> {
        match data.trim_ascii() {
            b"" => {}
            b"[DONE]" => self.finish(),
            json => match serde_json::from_slice(json) {
                Ok(chunk) => self.on_chunk(chunk)?,
                Err(_) => return Err(Error::Garbage { what: "an event that is not a chunk" }),
            },
        }
        Ok(())
    }

    fn on_chunk(&mut self, chunk: Chunk) -> Result<(), Error> {
        if let Some(complaint) = chunk.error {
            return Err(Error::in_stream(&complaint, &self.redactor));
        }
        let mut usage = chunk.usage;
        if let Some(mut choice) = chunk.choices.into_iter().next() {
            usage = usage.or(choice.usage.take());
            self.filtered |= choice.was_filtered();
            let mut piece = choice.piece().unwrap_or_default();
            let mut alive = false;
            if self.keeps_thought {
                self.calls.think(&piece.reasoning_content);
            }
            let thought = piece.take_reasoning();
            self.think(thought);
            for call in piece.tool_calls.into_iter().flatten() {
                self.calls.push(call).map_err(|TooMuch| TOO_MANY_CALLS)?;
                alive = true;
            }
            for text in [piece.content, piece.refusal] {
                alive |= !text.is_empty();
                let answer = self.think.push(&text);
                let thought = self.think.take_thought();
                self.think(thought);
                self.show(answer);
            }
            if let Some(word) = choice.finish_reason.filter(|word| !word.is_empty()) {
                self.reason = FinishReason::parse(&word, &self.redactor);
                if self.reason.is_none() {
                    self.failure = Some(Error::Cut { source: None });
                }
                alive = true;
            }
            if alive && self.ready.is_empty() {
                self.ready.push_back(Step::Unseen);
            }
        }
        // Some upstreams repeat the usage, growing, in every chunk.
        self.usage = usage.and_then(|usage| usage.reported()).or(self.usage);
        Ok(())
    }

    fn on_last_event(&mut self) -> Result<(), Error> {
        match std::mem::replace(&mut self.framing, Framing::Unknown) {
            Framing::Stream(mut events) => match events.finish().map(|event| self.on_event(&event)) {
                // An event without its empty line may have been cut in two: that is no fault of the upstream's JSON.
                None | Some(Err(Error::Garbage { .. })) => Ok(()),
                Some(read) => read,
            },
            Framing::Whole(body) => self.on_whole(&body),
            Framing::Unknown | Framing::Html => Ok(()),
        }
    }

    fn on_whole(&mut self, body: &[u8]) -> Result<(), Error> {
        let chunk: Chunk = match serde_json::from_slice(body) {
            Ok(chunk) => chunk,
            Err(cut) if cut.is_eof() => return Ok(()),
            Err(_) => return Err(Error::Garbage { what: "a body that is not a completion" }),
        };
        let answered = !chunk.choices.is_empty();
        self.on_chunk(chunk)?;
        if answered {
            self.reason.get_or_insert(FinishReason::Stop);
            return Ok(());
        }
        Err(match Complaint::parse(body) {
            Some(complaint) => Error::in_stream(&complaint, &self.redactor),
            None => Error::Garbage { what: "a completion without an answer" },
        })
    }

    fn think(&mut self, thought: String) {
        if !thought.is_empty() {
            self.ready.push_back(Step::Thought(thought));
        }
    }

    fn show(&mut self, answer: String) {
        if !answer.is_empty() {
            self.ready.push_back(Step::Text(answer));
        }
    }

    fn finish(&mut self) {
        let held = self.think.finish();
        self.show(held);
        let calls = self.calls.finish().map(Box::new);
        let said = self.reason.take().unwrap_or(FinishReason::Stop);
        let reason = if self.filtered { FinishReason::ContentFilter } else { said };
        self.ready.push_back(Step::Finish(Finish { reason, usage: self.usage, calls }));
    }
}

#[cfg(test)]
mod tests;
