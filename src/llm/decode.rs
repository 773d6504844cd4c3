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
    usage: Option<Usage>,
    calls: Assembly,
    keeps_thought: bool,
    /// What comes after `ready` when the body has ended.
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
        if self.reason.is_some() {
            self.finish();
        }
        self.failure = Some(ended.err().unwrap_or(Error::Cut { source: None }));
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
        if let Some(mut choice) = chunk.choices.into_iter().flatten().next() {
            usage = usage.or(choice.usage.take());
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
                self.reason = Some(FinishReason::parse(&word, &self.redactor));
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
        let answered = chunk.choices.as_ref().is_some_and(|choices| !choices.is_empty());
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
        let reason = self.reason.take().unwrap_or(FinishReason::Stop);
        self.ready.push_back(Step::Finish(Finish { reason, usage: self.usage, calls }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answer in `pieces` and how it ends: `finish <reason> <usage>` or the error.
    fn answer<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, String) {
        let mut decoder = Decoder::new(Redactor::default());
        let mut pieces = pieces.into_iter();
        let mut text = String::new();
        loop {
            match decoder.step() {
                Ok(None) => match pieces.next() {
                    Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
                    None => decoder.end(Ok(())),
                },
                Ok(Some(Step::Unseen | Step::Thought(_))) => {}
                Ok(Some(Step::Text(more))) => {
                    assert!(!more.is_empty());
                    text.push_str(&more);
                }
                Ok(Some(Step::Finish(Finish { reason, usage, .. }))) => {
                    let usage = usage.map(|usage| (usage.input, usage.output));
                    return (text, format!("finish {reason:?} {usage:?}"));
                }
                Err(error) => return (text, error.to_string()),
            }
        }
    }

    const HI: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"你好"}}]}"#;
    const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
    const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    const DONE: &str = "data: [DONE]";
    const CUT: &str = "the answer was cut off";

    #[test]
    fn a_stream_cut_at_every_byte_gives_the_same_answer() {
        let think = r#"data: {"choices":[{"delta":{"reasoning_content":"hm","content":"<thi"}}]}"#;
        let thought = r#"data: {"choices":[{"delta":{"content":"nk>x</think>\n"},"finish_reason":""}]}"#;
        let length = r#"data: {"choices":[{"delta":{"content":"!"},"finish_reason":"length"}]}"#;
        let broken = r#"data: {"error":{"message":"out of\nmemory","code":null}}"#;
        let refusal = r#"data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"refused"}]}"#;
        let own_usage = r#"data: {"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":0,"completion_tokens":0}}],"usage":null}"#;
        for (lines, text, end) in [
            (&[": ping", HI, STOP, USAGE, DONE][..], "你好", "finish Stop Some((3, 2))"),
            (&[think, thought, HI, length, DONE], "你好!", "finish Length None"),
            (&[HI, own_usage], "你好", "finish Stop Some((0, 0))"),
            (&[HI, STOP], "你好", "finish Stop None"),
            (&[HI, DONE], "你好", "finish Stop None"),
            (&[think, DONE], "<thi", "finish Stop None"),
            (&[refusal, "data:"], "no", "finish Other(\"refused\") None"),
            (&[HI, HI], "你好你好", CUT),
            (&[HI, broken, DONE], "你好", "the upstream failed while it answered: out ofmemory"),
            (&[HI, "data: {'", DONE], "你好", "the upstream does not speak the protocol: an event that is not a chunk"),
            (&[], "", CUT),
        ] {
            let stream: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
            let expected = (text.to_owned(), end.to_owned());
            for at in 0..=stream.len() {
                let (head, tail) = stream.as_bytes().split_at(at);
                assert_eq!(answer([head, tail]), expected, "{stream} cut at {at}");
            }
            assert_eq!(answer(stream.as_bytes().chunks(1)), expected, "{stream}");
        }
    }

    #[test]
    fn a_stream_that_ends_anywhere_is_whole_only_after_its_finish_reason() {
        let stream = format!("{HI}\n\n{STOP}\n\n{USAGE}\n\n{DONE}\n\n");
        // The last brace of the chunk is enough: some upstreams forget the line ends.
        let whole_from = stream.find(USAGE).expect("usage") - 2;
        for at in 0..=stream.len() {
            let (_, end) = answer([&stream.as_bytes()[..at]]);
            assert_eq!(end.starts_with("finish Stop"), at >= whole_from, "ended at {at}: {end}");
            assert!(end.starts_with("finish") || end == CUT, "ended at {at}: {end}");
        }
    }

    #[test]
    fn a_body_that_is_not_a_stream_is_an_answer_or_an_error() {
        for (body, text, end) in [
            (
                r#" {"choices":[{"message":{"content":"<think>x</think>好"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":9}}"#,
                "好",
                "finish Length Some((1, 9))",
            ),
            (r#"{"choices":[{"message":{"content":"好"}}]}"#, "好", "finish Stop None"),
            (r#"{"choices":[{"message":{"content":"好"}"#, "", CUT),
            (r#"{"choices":[]}"#, "", "the upstream does not speak the protocol: a completion without an answer"),
            (r#"{"choices":7}"#, "", "the upstream does not speak the protocol: a body that is not a completion"),
            (r#"{"error":{"message":"busy","code":503}}"#, "", "the upstream failed with status 503: busy"),
            (r#"{"code":"x","message":"no such route"}"#, "", "the upstream failed while it answered: no such route"),
            ("\r\n<!doctype html>", "", "the upstream does not speak the protocol: a web page"),
        ] {
            let expected = (text.to_owned(), end.to_owned());
            assert_eq!(answer([body.as_bytes()]), expected, "{body}");
            assert_eq!(answer(body.as_bytes().chunks(1)), expected, "{body}");
        }
    }

    #[test]
    fn calls_of_tools_come_with_the_end_however_the_stream_is_cut() {
        let asked = r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}"#;
        let stream = format!(
            "data: {{\"choices\":[{{\"delta\":{{\"reasoning_content\":\"hm\",\"content\":\"看\"}}}}]}}\n\n\
             data: {{\"choices\":[{{\"delta\":{{\"content\":null,\"tool_calls\":[{asked}]}}}}]}}\n\n\
             data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"1}}\"}}}}]}}}}]}}\n\n\
             data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":null}},\"finish_reason\":\"tool_calls\"}}]}}\n\ndata: [DONE]\n\n"
        );
        let whole = r#"{"choices":[{"message":{"content":"看","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]},"finish_reason":"stop"}]}"#;
        for (body, thought) in [(stream.as_str(), "hm"), (whole, "")] {
            for at in 0..=body.len() {
                let mut decoder = Decoder::new(Redactor::default()).keeping_thought(true);
                let (head, tail) = body.as_bytes().split_at(at);
                let mut pieces = [head, tail].into_iter();
                let (mut text, mut finish) = (String::new(), None);
                while finish.is_none() {
                    match decoder.step().expect("an answer") {
                        None => match pieces.next() {
                            Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
                            None => decoder.end(Ok(())),
                        },
                        Some(Step::Unseen | Step::Thought(_)) => {}
                        Some(Step::Text(more)) => text.push_str(&more),
                        Some(Step::Finish(end)) => finish = Some(end),
                    }
                }
                let calls = finish.and_then(|finish| finish.calls).expect("calls");
                assert_eq!(
                    (text.as_str(), calls.thought.as_str(), calls.calls.len()),
                    ("看", thought, 1),
                    "cut at {at}"
                );
                let call = &calls.calls[0];
                assert_eq!((call.id.as_str(), call.name.as_str(), call.arguments.as_str()), ("a", "f", "{\"x\":1}"));
            }
        }
    }

    #[test]
    fn what_never_ends_is_refused_at_the_limit() {
        for start in ["{\"choices\":\"", "data: {\"choices\":\""] {
            let pieces = std::iter::once(start.as_bytes()).chain(std::iter::repeat_n(&[b'x'; 65536][..], 129));
            let expected = "the upstream does not speak the protocol: an event longer than 8 MiB";
            assert_eq!(answer(pieces).1, expected);
        }
    }
}
