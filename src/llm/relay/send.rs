//! Sends a program's request to one upstream, once, and reads what comes back.

use std::{collections::VecDeque, time::Duration};

use bytes::Bytes;
use reqwest::header::CONTENT_TYPE;
use serde_json::{Map, Value};

use super::{
    Asker, Event, Made, MadeAnswer, Relayed,
    body::{Body, Call},
    cleared::ClearedBody,
    events::{Splitter, TooLong},
    watch::Watch,
};
use crate::{
    llm::{
        client::Client,
        dialect::{Dialect, IdentifierField, LimitName},
        error::Error,
        redact::Redactor,
        timers::Timers,
        wire::OutputLimit,
    },
    model::conversation::Usage,
};

/// What a request comes as that is no form.
const JSON: &str = "application/json";
/// The longest answer in one piece.
const MAX_WHOLE_BYTES: usize = 64 * 1024 * 1024;

/// What stands between a program and an upstream.
#[derive(Clone, Copy, Debug)]
pub(in crate::llm) struct Manner<'a> {
    /// The model as the upstream calls it.
    pub(in crate::llm) model: &'a str,
    pub(in crate::llm) dialect: Dialect,
    /// Where it is told who asks in a chat; `None`: it is not told.
    pub(in crate::llm) told_in: Option<IdentifierField>,
    /// What the upstream wants beside; the administrator's word is the last.
    pub(in crate::llm) extra: &'a Map<String, Value>,
    /// The longest that each answer may be.
    pub(in crate::llm) most_output: Option<u64>,
}

impl ClearedBody<'_> {
    /// The request as this upstream is sent it.
    pub(in crate::llm) fn written(&self, manner: Manner<'_>) -> Vec<u8> {
        let body = self.body();
        let mut written = Vec::from(*b"{");
        let mut put = |name: &str, raw: &str| {
            if written.len() > 1 {
                written.push(b',');
            }
            written.extend_from_slice(Value::from(name).to_string().as_bytes());
            written.push(b':');
            written.extend_from_slice(raw.as_bytes());
        };
        let asks_usage = body.call == Call::Chat && body.streams && manner.dialect.stream_options;
        let mut limit = manner.most_output.map(|most| (most, false));
        let mut has_options = false;
        for (index, (name, raw)) in body.fields().enumerate() {
            if manner.extra.contains_key(name) || self.is_ours_to_say(name) {
                continue;
            }
            match name {
                "model" => put(name, &Value::from(manner.model).to_string()),
                "stream_options" if asks_usage => {
                    has_options = true;
                    put(name, &with_usage(raw));
                }
                _ if limit.is_some() && raw != "null" && body.call.limits().contains(&name) => {
                    let most = limit.map_or(u64::MAX, |(most, _)| most);
                    limit = Some((most, true));
                    put(name, &raw.parse::<u64>().map_or(most, |wished| wished.min(most)).to_string());
                }
                _ if limit.is_some() && body.call.limits().contains(&name) => {}
                _ => put(name, self.field(index).unwrap_or(raw)),
            }
        }
        if asks_usage && !has_options && !manner.extra.contains_key("stream_options") {
            put("stream_options", &with_usage("null"));
        }
        if let Some((name, raw)) = self.added().filter(|(name, _)| !manner.extra.contains_key(*name)) {
            put(name, raw);
        }
        if let Some((most, false)) = limit.filter(|_| body.call.is_words()) {
            let name = match body.call {
                Call::Chat => limit_name(manner.dialect.limit, manner.model),
                _ => body.call.limits()[0],
            };
            if !manner.extra.contains_key(name) {
                put(name, &most.to_string());
            }
        }
        let told_in = manner.told_in.and_then(|field| body.call.told_in(field));
        if let (Asker::Member(Some(identifier)), Some(field)) = (self.asker(), told_in) {
            let name = field.as_str();
            if !manner.extra.contains_key(name) {
                put(name, &Value::from(&**identifier).to_string());
            }
        }
        for (name, value) in manner.extra {
            put(name, &value.to_string());
        }
        written.push(b'}');
        written
    }

    /// Whether a field says who asks, and that is not for the program to say.
    fn is_ours_to_say(&self, name: &str) -> bool {
        matches!(self.asker(), Asker::Member(_)) && IdentifierField::ALL.iter().any(|field| field.as_str() == name)
    }
}

fn with_usage(options: &str) -> String {
    let mut options = serde_json::from_str::<Map<String, Value>>(options).unwrap_or_default();
    options.insert("include_usage".to_owned(), Value::Bool(true));
    Value::Object(options).to_string()
}

/// Few upstreams know this address: one that does not is well for everything else, and the program hears what it says.
fn about_the_address(call: Call, error: Error) -> Error {
    match error {
        Error::ModelNotFound { message } if call == Call::Responses => Error::Rejected { status: 404, message },
        Error::Upstream { status: status @ 501, message, .. } if call == Call::Responses => {
            Error::Rejected { status, message }
        }
        other => other,
    }
}

fn has_events(response: &reqwest::Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().to_ascii_lowercase().starts_with("text/event-stream"))
}

fn limit_name(name: LimitName, model: &str) -> &'static str {
    match OutputLimit::for_model(name, model, 0) {
        OutputLimit::MaxTokens(_) => "max_tokens",
        OutputLimit::MaxCompletionTokens(_) => "max_completion_tokens",
    }
}

impl Client {
    /// Passes a request on, and waits until the answer begins; where it comes in one piece, until it is there. All of it
    /// must be over at `deadline`, an uptime of the clock.
    ///
    /// # Errors
    /// [`Error`]: nothing of the answer has come.
    pub(in crate::llm) async fn relay(
        &self,
        model: &str,
        request: &ClearedBody<'_>,
        most_output: Option<u64>,
        deadline: Duration,
    ) -> Result<Relayed, Error> {
        let body = request.body();
        let (dialect, extra) = self.manner();
        let (content_type, bytes) = request.form().unwrap_or_else(|| {
            let manner = Manner { model, dialect, told_in: self.told_in(), extra, most_output };
            (JSON, request.written(manner).into())
        });
        let redactor = self.redactor_for(body);
        let mut timers = self.timers(deadline);
        if !body.streams {
            // Nothing is heard of an answer in one piece until it is written.
            timers = timers.patient();
        }
        let sent = self.sent(body.call.path(), (content_type, bytes), &mut timers, &redactor).await;
        let response = sent.map_err(|error| about_the_address(body.call, error))?;
        if body.call.is_made() && !has_events(&response) {
            return MadeAnswer::begin(body.call, response, timers, &redactor).await.map(Box::new).map(Relayed::Made);
        }
        let stream = RelayStream {
            response: Some(response),
            timers,
            splitter: Splitter::default(),
            watch: Watch::of(body.call),
            ready: VecDeque::new(),
            redactor,
        };
        stream.begin().await
    }

    fn redactor_for(&self, body: &Body) -> Redactor {
        let quotable = body.quotable();
        self.redactor_of_programs().and_quotations(quotable.iter().map(AsRef::as_ref))
    }
}

/// An answer that comes in events. Dropping it closes the connection, and the upstream stops writing.
#[derive(Debug)]
#[must_use]
pub struct RelayStream {
    /// `None` once nothing more can be read.
    response: Option<reqwest::Response>,
    timers: Timers,
    splitter: Splitter,
    watch: Watch,
    /// What was read to know that the answer has begun.
    ready: VecDeque<Event>,
    redactor: Redactor,
}

impl RelayStream {
    /// The events that have come; waits for at least one. `None` after the last.
    ///
    /// Safe to drop before it is ready and to call again: nothing is lost.
    ///
    /// # Errors
    /// [`Error`]: what came so far is part of an answer.
    pub async fn next(&mut self) -> Option<Result<Vec<Event>, Error>> {
        loop {
            if !self.ready.is_empty() {
                return Some(Ok(self.ready.drain(..).collect()));
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) if self.ready.is_empty() => {
                    return (!self.watch.may_end()).then_some(Err(Error::Cut { source: None }));
                }
                Ok(false) => {}
                Err(error) => {
                    self.response = None;
                    // All was said; what breaks now is a connection that nobody needs.
                    return (!self.watch.has_ended()).then_some(Err(error));
                }
            }
        }
    }

    /// What was made, as far as the upstream said so.
    pub const fn made(&self) -> Made {
        self.watch.made
    }

    /// What it cost, as far as the upstream said so.
    pub const fn usage(&self) -> Option<Usage> {
        self.watch.usage
    }

    /// How many model tokens were written so far, about.
    pub fn written(&self) -> u64 {
        self.watch.written()
    }

    /// Reads until something has come that tells what it is.
    async fn begin(mut self) -> Result<Relayed, Error> {
        let mut body = Vec::new();
        let first = loop {
            let Some(bytes) = self.chunk().await? else { return Err(Error::Cut { source: None }) };
            body.extend_from_slice(&bytes);
            if let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) {
                break *first;
            }
        };
        match first {
            b'<' => return Err(Error::Garbage { what: "a web page" }),
            b'{' | b'[' => {
                while let Some(bytes) = self.chunk().await? {
                    if body.len() + bytes.len() > MAX_WHOLE_BYTES {
                        return Err(Error::Garbage { what: "more than can be an answer" });
                    }
                    body.extend_from_slice(&bytes);
                }
                return self.watch.whole(body.into(), &self.redactor).map(Relayed::Whole);
            }
            _ => self.take(&body)?,
        }
        while self.ready.iter().all(|event| event.kind == super::Kind::Other) {
            if !self.read().await? && self.ready.iter().all(|event| event.kind == super::Kind::Other) {
                return Err(Error::Cut { source: None });
            }
        }
        Ok(Relayed::Stream(Box::new(self)))
    }

    /// Reads on; `false` when the stream has ended.
    async fn read(&mut self) -> Result<bool, Error> {
        match self.chunk().await? {
            Some(bytes) => {
                self.take(&bytes)?;
                Ok(true)
            }
            None => {
                if let Some(raw) = self.splitter.finish() {
                    self.keep(raw)?;
                }
                Ok(false)
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.splitter.feed(bytes).map_err(|TooLong| Error::Garbage { what: "an event longer than 8 MiB" })?;
        while let Some(raw) = self.splitter.next() {
            self.keep(raw)?;
        }
        Ok(())
    }

    fn keep(&mut self, raw: super::events::Raw) -> Result<(), Error> {
        let event = self.watch.event(raw, &self.redactor)?;
        self.ready.push_back(event);
        Ok(())
    }

    async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(response) = &mut self.response else { return Ok(None) };
        let read = self.timers.wait(response.chunk()).await?;
        let bytes = read.map_err(|broken| Error::Cut { source: Some(broken.without_url()) })?;
        if bytes.is_some() {
            self.timers.delta_came(self.watch.has_ended());
        } else {
            self.response = None;
        }
        Ok(bytes)
    }
}
