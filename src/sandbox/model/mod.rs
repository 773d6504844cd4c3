//! A demo model: an OpenAI-compatible upstream that needs no key, no network and no intelligence.
//!
//! For people it writes the answers of [`answer`], word by word, and says plainly that it is no AI. For tests it plays
//! any upstream: [`DemoModel::push`] and [`DemoModel::set_script`] decide what it replies, [`DemoModel::requests`]
//! shows what it was asked. Knows the wire, not who calls.

pub mod answer;
pub mod failure;
pub mod made;
mod samples;
mod wire;

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::watch;

use self::{failure::Failure, made::Made};
use super::{Error, Served, journal::Journal, serve};
use crate::clock::Clock;

/// The name it goes by.
pub const NAME: &str = "qimate-demo";
/// The pace at which people read along comfortably.
pub const READING_PACE: Duration = Duration::from_millis(25);
/// How long it thinks before the first word while it is slow.
const SLOW: Duration = Duration::from_secs(8);

/// One reply of the model.
#[derive(Clone, Debug)]
pub enum ModelReply {
    /// The answer of [`answer`].
    Demo,
    /// This text, word by word. May be empty.
    Answer(String),
    /// This text in exactly these pieces.
    Pieces(Vec<String>),
    /// Thinks aloud first (`reasoning_content`), then answers.
    Reasoning {
        /// The thoughts.
        think: String,
        /// The answer.
        text: String,
    },
    /// This text, and no word about what it cost, whoever asked.
    NoUsage(String),
    /// This text, ended by another reason than `stop`, such as `length` or `content_filter`.
    Ended {
        /// The text.
        text: String,
        /// The `finish_reason`.
        reason: String,
    },
    /// A refusal.
    Status {
        /// The HTTP status.
        code: u16,
        /// Headers, such as `retry-after`.
        headers: BTreeMap<String, String>,
        /// The body.
        body: String,
    },
    /// Takes the request and never answers.
    Hang,
    /// Writes this text and then nothing more, without ending.
    Stall(String),
    /// Writes this text, then the connection breaks.
    CutAfter(String),
    /// Status 200, and a body that is no answer.
    Garbage,
    /// Breaks the connection before its first byte.
    Reset,
    /// Status 200 and these bytes in these pieces, with a pause before each, and the end of the body.
    Bytes {
        /// The `Content-Type`.
        content_type: String,
        /// What is written.
        pieces: Vec<Vec<u8>>,
        /// How long it waits before each piece.
        pause: Duration,
    },
    /// Waits first.
    After(Duration, Box<ModelReply>),
    /// Writes `before`, waits until the gate is open, writes `after`.
    Held {
        /// What is written at once.
        before: String,
        /// What is waited for.
        gate: Gate,
        /// What is written then.
        after: String,
    },
}

impl ModelReply {
    /// A refusal without headers.
    pub fn status(code: u16, body: impl Into<String>) -> Self {
        Self::Status { code, headers: BTreeMap::new(), body: body.into() }
    }
}

/// Holds replies back until it is opened. Clones are the same gate.
#[derive(Clone, Debug, Default)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Opens it, for good.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    async fn passed(&self) {
        // The sender lives in `self`, so this wait cannot fail.
        let _ = self.0.subscribe().wait_for(|open| *open).await;
    }
}

/// What becomes of one recording.
#[derive(Clone, Debug)]
pub enum Transcript {
    /// These words. May be empty.
    Text(String),
    /// A refusal with this HTTP status and body.
    Status(u16, String),
    /// This body of this type.
    Body(&'static str, String),
    /// Takes the recording and never answers.
    Hang,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct ModelRequest {
    /// The JSON body.
    pub body: Value,
    /// The `Authorization` header.
    pub authorization: Option<String>,
}

impl ModelRequest {
    /// The contents of the messages of `role`, in order.
    pub fn contents(&self, role: &str) -> Vec<&str> {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        messages
            .iter()
            .filter(|message| message["role"] == role)
            .filter_map(|message| match &message["content"] {
                Value::Array(parts) => parts.iter().find_map(|part| part["text"].as_str()).or(Some("")),
                content => content.as_str(),
            })
            .collect()
    }

    /// The pictures of the messages of `role`, in order: each as the model can look at it.
    pub fn pictures(&self, role: &str) -> Vec<Vec<u8>> {
        let messages = self.body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        messages.iter().filter(|message| message["role"] == role).flat_map(answer::pictures_of).collect()
    }
}

/// What the model has to do and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests under way.
    pub in_flight: u64,
    /// The most that were under way at once.
    pub most_in_flight: u64,
    /// Requests that were taken, from the start.
    pub taken: u64,
    /// Replies whose reader went away before their end.
    pub abandoned: u64,
}

/// The demo model on a loopback port. Clones are the same model; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct DemoModel {
    desk: Arc<Desk>,
    server: Arc<Served>,
}

/// What the handlers share.
#[derive(Debug)]
struct Desk {
    clock: Clock,
    journal: Journal,
    state: Mutex<State>,
    load: watch::Sender<Load>,
}

type Script = Arc<dyn Fn(&Value) -> ModelReply + Send + Sync>;

#[derive(Default)]
struct State {
    delta_delay: Duration,
    slow: bool,
    failure: Option<Failure>,
    queue: VecDeque<ModelReply>,
    script: Option<Script>,
    requests: Vec<ModelRequest>,
    transcripts: VecDeque<Transcript>,
    /// How large the forms with recordings were.
    heard: Vec<usize>,
    /// The last of them.
    form: Bytes,
    pictures: VecDeque<Made>,
    /// The bodies of the calls for pictures.
    painted: Vec<Value>,
    speeches: VecDeque<Made>,
    /// The bodies of the calls for speech.
    spoken: Vec<Value>,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("queue", &self.queue)
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}

impl DemoModel {
    /// Starts on a free loopback port, writing as fast as it can; see [`DemoModel::set_delta_delay`].
    ///
    /// # Errors
    /// [`Error::Listen`] when no port can be had.
    pub async fn start(clock: Clock) -> Result<Self, Error> {
        let journal = Journal::new(clock.clone());
        Self::start_with_journal(clock, journal).await
    }

    /// The same, writing what happens into `journal`.
    ///
    /// # Errors
    /// [`Error::Listen`] when no port can be had.
    pub async fn start_with_journal(clock: Clock, journal: Journal) -> Result<Self, Error> {
        let desk =
            Arc::new(Desk { clock, journal, state: Mutex::default(), load: watch::Sender::new(Load::default()) });
        let server = serve(wire::router(Arc::clone(&desk)), 0).await?;
        Ok(Self { desk, server: Arc::new(server) })
    }

    /// Where the API is: what the daemon is given as `llm.base_url`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.server.address)
    }

    /// How long it waits between two words; none at first.
    pub fn set_delta_delay(&self, delay: Duration) {
        self.desk.state().delta_delay = delay;
    }

    /// Whether it thinks for eight seconds before the first word of a demo answer.
    pub fn set_slow(&self, slow: bool) {
        self.desk.state().slow = slow;
    }

    /// Fails so instead of giving demo answers. It fails in one way at a time; no longer in this one where it is not `on`.
    pub fn set_failure(&self, failure: Failure, on: bool) {
        let current = &mut self.desk.state().failure;
        match on {
            true => *current = Some(failure),
            false => *current = current.filter(|current| *current != failure),
        }
    }

    /// Whether it is slow, and how it fails.
    pub fn trouble(&self) -> (bool, Option<Failure>) {
        let state = self.desk.state();
        (state.slow, state.failure)
    }

    /// Replies this to the next request that has no reply yet. Goes before the script.
    pub fn push(&self, reply: ModelReply) {
        self.desk.state().queue.push_back(reply);
    }

    /// Decides from now on what is replied to a request's body.
    pub fn set_script(&self, script: impl Fn(&Value) -> ModelReply + Send + Sync + 'static) {
        self.desk.state().script = Some(Arc::new(script));
    }

    /// Understands this of the next recording about which it was told nothing yet.
    pub fn push_transcript(&self, transcript: Transcript) {
        self.desk.state().transcripts.push_back(transcript);
    }

    /// How large each form with a recording was, in the order of arrival.
    pub fn heard(&self) -> Vec<usize> {
        self.desk.state().heard.clone()
    }

    /// The last form with a recording, as it came.
    pub fn last_form(&self) -> Bytes {
        self.desk.state().form.clone()
    }

    /// Makes this of the next wish for a picture about which it was told nothing yet.
    pub fn push_picture(&self, made: Made) {
        self.desk.state().pictures.push_back(made);
    }

    /// The body of each wish for a picture, in the order of arrival.
    pub fn painted(&self) -> Vec<Value> {
        self.desk.state().painted.clone()
    }

    /// Makes this of the next text to be spoken about which it was told nothing yet.
    pub fn push_speech(&self, made: Made) {
        self.desk.state().speeches.push_back(made);
    }

    /// The body of each wish for speech, in the order of arrival.
    pub fn spoken(&self) -> Vec<Value> {
        self.desk.state().spoken.clone()
    }

    /// Every request, in the order of arrival.
    pub fn requests(&self) -> Vec<ModelRequest> {
        self.desk.state().requests.clone()
    }

    /// What it has to do now, and had to do at most.
    pub fn load(&self) -> Load {
        *self.desk.load.borrow()
    }

    /// Waits until the load fulfils `condition`, and returns it. Waits forever if it never does.
    pub async fn wait_load(&self, condition: impl Fn(&Load) -> bool) -> Load {
        match self.desk.load.subscribe().wait_for(condition).await {
            Ok(load) => *load,
            // Cannot be: the sender lives in `self`.
            Err(_) => self.load(),
        }
    }

    /// Shows the load as it changes.
    pub fn subscribe(&self) -> watch::Receiver<Load> {
        self.desk.load.subscribe()
    }
}

impl Desk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes the request down and decides what is replied to it, with the delay between two words.
    fn take(&self, request: ModelRequest) -> (ModelReply, Duration) {
        let (queued, script, delay, slow, failure) = {
            let mut state = self.state();
            state.requests.push(request.clone());
            let queued = state.queue.pop_front();
            (queued, state.script.clone(), state.delta_delay, state.slow, state.failure)
        };
        let reply = match (queued, script, failure) {
            (Some(reply), ..) => reply,
            // Outside the lock: a script may look at the model.
            (None, Some(script), _) => script(&request.body),
            (None, None, Some(failure)) => failure.reply(),
            (None, None, None) if slow => ModelReply::After(SLOW, Box::new(ModelReply::Demo)),
            (None, None, None) => ModelReply::Demo,
        };
        (reply, delay)
    }
}

#[cfg(test)]
mod tests;
