//! An answer while it is being written.
//!
//! Reads and waits; what the bytes mean is the business of `decode`. Knows nothing of how the request was made. To pass on
//! another part of an answer, add a variant to [`Delta`] and follow the compiler.

use bytes::Bytes;

use super::{
    decode::{Decoder, Step},
    error::Error,
    redact::Redactor,
    timers::Timers,
    tools::Calls,
};
use crate::model::conversation::Usage;

/// A part of an answer, in the order in which the model wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// More of the answer, never empty. Thinking is not part of it.
    Text(String),
    /// More of what the model thinks aloud, mostly before it answers; never empty.
    Thought(String),
    /// The answer is complete as far as it goes. Nothing follows.
    Finish(Finish),
}

/// How an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Finish {
    /// Why the model stopped.
    pub reason: FinishReason,
    /// What the call cost; `None` when the upstream did not say.
    pub usage: Option<Usage>,
    /// What the model wants to be called before it goes on, whatever reason the upstream gives.
    pub calls: Option<Box<Calls>>,
}

/// Why the model stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// It had said everything, or the upstream gave no reason.
    Stop,
    /// The answer reached the longest it may have.
    Length,
    /// The upstream left out the rest.
    ContentFilter,
    /// The rules of this house hold back the rest. No upstream says so: the meter does.
    Withheld,
    /// It wants tools to be called.
    ToolCalls,
    /// The upstream's own word, at most 300 bytes.
    Other(String),
}

impl FinishReason {
    /// What the upstream's word means; `None`: the upstream broke off, and what came is part of an answer.
    pub(super) fn parse(word: &str, redactor: &Redactor) -> Option<Self> {
        Some(match word {
            "stop" => Self::Stop,
            // Others than OpenAI have words of their own for it.
            "length" | "max_tokens" | "MAX_TOKENS" | "model_length" | "model_context_window_exceeded" => Self::Length,
            // The second is Zhipu's.
            "content_filter" | "sensitive" => Self::ContentFilter,
            "tool_calls" | "function_call" => Self::ToolCalls,
            // Zhipu's and DeepSeek's.
            "network_error" | "insufficient_system_resource" => return None,
            other => Self::Other(redactor.clean(other)),
        })
    }
}

/// What a body comes to that is at hand already: its deltas, and how it ended. However it is cut into pieces, it comes to
/// the same, only that a text may come in more or fewer deltas.
///
/// # Errors
/// As [`CompletionStream::next`], beside the deltas before it.
pub fn read(pieces: impl IntoIterator<Item = Bytes>) -> (Vec<Delta>, Result<(), Error>) {
    let mut decoder = Decoder::new(Redactor::default());
    let mut pieces = pieces.into_iter();
    let mut deltas = Vec::new();
    loop {
        match decoder.step() {
            Ok(Some(Step::Unseen)) => {}
            Ok(Some(Step::Text(text))) => deltas.push(Delta::Text(text)),
            Ok(Some(Step::Thought(text))) => deltas.push(Delta::Thought(text)),
            Ok(Some(Step::Finish(finish))) => {
                deltas.push(Delta::Finish(finish));
                return (deltas, Ok(()));
            }
            Ok(None) => match pieces.next() {
                Some(piece) => decoder.feed(piece),
                None => decoder.end(Ok(())),
            },
            Err(error) => return (deltas, Err(error)),
        }
    }
}

/// An answer that is being written. Dropping it closes the connection, and the upstream stops writing.
#[must_use]
pub struct CompletionStream {
    /// `None` once nothing more can be read.
    response: Option<reqwest::Response>,
    decoder: Box<Decoder>,
    timers: Timers,
    /// What was read to know that the answer has begun.
    first: Option<Delta>,
    over: bool,
}

impl CompletionStream {
    /// Waits until the answer begins. `timers` have run since the request was sent.
    ///
    /// # Errors
    /// As [`CompletionStream::next`]; nothing of the answer has come then.
    pub(super) async fn begin(
        response: reqwest::Response,
        timers: Timers,
        decoder: Box<Decoder>,
    ) -> Result<Box<Self>, Error> {
        // Boxed: every running turn would hold it several times, in the futures that wait for one another.
        let mut stream = Box::new(Self { response: Some(response), decoder, timers, first: None, over: false });
        stream.first = stream.advance().await?;
        Ok(stream)
    }

    /// The next delta. The last one is [`Delta::Finish`] or an error; after it there is `None`.
    ///
    /// Safe to drop before it is ready and to call again: nothing is lost, and the time waited counts on.
    ///
    /// # Errors
    /// [`Error`]: what came so far is part of an answer.
    pub async fn next(&mut self) -> Option<Result<Delta, Error>> {
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        while !self.over {
            if let Some(delta) = self.advance().await.transpose() {
                return Some(delta);
            }
        }
        None
    }

    /// Reads until the answer goes on. `None` when it does without anything to show.
    async fn advance(&mut self) -> Result<Option<Delta>, Error> {
        loop {
            let step = self.decoder.step();
            self.over = matches!(step, Err(_) | Ok(Some(Step::Finish(_))));
            if self.over {
                self.response = None;
            }
            if let Some(step) = step? {
                self.timers.delta_came(self.decoder.is_ending());
                return Ok(match step {
                    Step::Unseen => None,
                    Step::Text(text) => Some(Delta::Text(text)),
                    Step::Thought(text) => Some(Delta::Thought(text)),
                    Step::Finish(finish) => Some(Delta::Finish(finish)),
                });
            }
            let Some(response) = &mut self.response else {
                self.decoder.end(Ok(()));
                continue;
            };
            let end = match self.timers.wait(response.chunk()).await {
                Ok(Ok(Some(bytes))) => {
                    self.decoder.feed(bytes);
                    continue;
                }
                Ok(Ok(None)) => Ok(()),
                Ok(Err(broken)) => Err(Error::Cut { source: Some(broken.without_url()) }),
                Err(too_late) => Err(too_late),
            };
            self.decoder.end(end);
            self.response = None;
        }
    }
}
