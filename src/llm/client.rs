//! Asks one upstream for an answer, once, with one key.
//!
//! Knows one endpoint, `POST /chat/completions`, and nothing of other upstreams or of trying again: that is the
//! router's. To add an endpoint, add its wire types and a method on [`Client`].

mod probe;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use bytes::Bytes;
use reqwest::{
    Response,
    header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER},
};

pub use self::probe::{ProbeFault, Probed};
pub use super::message::{Message, Picture, Role};
use super::{
    cleared::ClearedRequest,
    decode::Decoder,
    dialect::{Dialect, IdentifierField, KeyHeader},
    error::Error,
    redact::Redactor,
    retry,
    stream::CompletionStream,
    timers::Timers,
    tools::{Messages, Tooling},
    wire::{Identifier, OutputLimit, Request, StreamOptions},
};
use crate::{
    clock::Clock,
    config::{self, Upstream},
    metrics::Metrics,
    net::link::Way,
    secret::Secret,
};

/// As much of a refusal's body is read: the reason stands at the beginning or nowhere.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;
/// The newest messages of a request whose quotations are hidden in what the upstream says.
const QUOTABLE: usize = 3;

/// What the model is asked. Model, temperature and the like come from the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatRequest {
    /// The conversation, oldest first.
    pub messages: Vec<Message>,
    /// What it may call; `None` for most questions.
    pub tooling: Option<Box<Tooling>>,
    /// The most model tokens that the answer may have, where it is fewer than the settings allow.
    pub most_output: Option<u32>,
    /// Who asks, as an upstream may know it: nothing that says who.
    pub identifier: Option<Arc<str>>,
}

impl ChatRequest {
    /// Only words, nothing to call.
    pub const fn of(messages: Vec<Message>) -> Self {
        Self { messages, tooling: None, most_output: None, identifier: None }
    }
}

/// Speaks to one upstream with one key. Clones share its connections.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    settings: Arc<Settings>,
    clock: Clock,
    redactor: Redactor,
    metrics: Arc<Metrics>,
}

struct Settings {
    base_url: String,
    /// The way there, to be shown.
    way: Way,
    api_key: Option<Secret<String>>,
    extra_headers: BTreeMap<String, Secret<String>>,
    extra_body: serde_json::Map<String, serde_json::Value>,
    dialect: Dialect,
    /// What is said to all upstreams alike.
    common: config::Llm,
}

impl Client {
    /// For `upstream` with `key`, over `http` (`crate::net::http_client` with its proxy and connect timeout).
    pub fn new(
        http: reqwest::Client,
        common: &config::Llm,
        upstream: &Upstream,
        key: Option<&Secret<String>>,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Self {
        let settings = Settings {
            base_url: upstream.base_url.clone(),
            way: Way::new(&upstream.base_url, upstream.proxy.as_ref()),
            api_key: key.cloned(),
            extra_headers: upstream.extra_headers.clone(),
            extra_body: upstream.extra_body.clone(),
            dialect: Dialect::of(upstream.dialect.as_deref(), &upstream.base_url),
            common: common.clone(),
        };
        let redactor = Redactor::new(key.into_iter().chain(upstream.extra_headers.values()))
            .and_quotations([common.system_prompt.as_str()].into_iter().filter(|prompt| !prompt.is_empty()));
        Self { http, settings: Arc::new(settings), clock, redactor, metrics }
    }

    /// Asks `model`, and waits until the answer begins. All of it must be over at `deadline`, an uptime of the clock.
    ///
    /// # Errors
    /// [`Error`]: nothing of the answer has come.
    pub(super) async fn begin(
        &self,
        model: &str,
        request: &ClearedRequest<'_>,
        deadline: Duration,
    ) -> Result<Box<CompletionStream>, Error> {
        let request = request.request();
        let (headers, body) = (self.headers()?, self.body(model, request)?);
        // The question, or what asks for the rest of an answer with what is there of it. Older ones would cost more
        // memory in each running answer than the chance that they are quoted is worth.
        let newest = &request.messages[request.messages.len().saturating_sub(QUOTABLE)..];
        // What is said first holds more than the instructions, which are known: what is remembered of the member.
        let told = request
            .messages
            .first()
            .filter(|first| request.messages.len() > QUOTABLE && first.content != self.settings.common.system_prompt);
        let found = request.tooling.iter().filter_map(|tooling| tooling.rounds.last()).flat_map(|round| &round.results);
        let quotable = told.into_iter().chain(newest).map(|message| message.content.as_str());
        let redactor = self.redactor.and_quotations(quotable.chain(found.map(|(_, result)| result.as_str())));
        self.metrics.model_called();
        let sending = self.send("/chat/completions", headers, body);
        let attempt = self.attempt(sending, deadline, request.tooling.is_some(), &redactor).await;
        attempt.inspect_err(|error| self.metrics.model_failed(error.kind()))
    }

    async fn attempt(
        &self,
        sending: impl Future<Output = reqwest::Result<Response>>,
        deadline: Duration,
        keeps_thought: bool,
        redactor: &Redactor,
    ) -> Result<Box<CompletionStream>, Error> {
        let mut timers = self.timers(deadline);
        let response = self.answered(sending, &mut timers, redactor).await?;
        let decoder = Box::new(Decoder::new(redactor.clone()).keeping_thought(keeps_thought));
        Box::pin(CompletionStream::begin(response, timers, decoder)).await
    }

    /// What limits an attempt from now on.
    pub(super) fn timers(&self, deadline: Duration) -> Timers {
        Timers::new(self.clock.clone(), &self.settings.common, deadline)
    }

    /// How this upstream wants to be spoken to, and what it wants beside.
    pub(super) fn manner(&self) -> (Dialect, &serde_json::Map<String, serde_json::Value>) {
        (self.settings.dialect, &self.settings.extra_body)
    }

    /// The field in which this upstream is told who asks, where it is told.
    pub(super) fn told_in(&self) -> Option<IdentifierField> {
        self.settings.dialect.told_in(self.settings.common.safety_identifier)
    }

    /// What programs are told goes through this: they may not even know where the upstream is.
    pub(super) fn redactor_of_programs(&self) -> Redactor {
        let base_url = self.settings.base_url.as_str();
        let authority = base_url.split("://").nth(1).unwrap_or(base_url).split('/').next().unwrap_or_default();
        let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
        self.redactor.and_words([base_url, authority, host])
    }

    /// Sends a program's request, and waits for the head of an answer that is none of refusal.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn sent(
        &self,
        path: &str,
        (content_type, body): (&str, Bytes),
        timers: &mut Timers,
        redactor: &Redactor,
    ) -> Result<Response, Error> {
        let mut headers = self.headers()?;
        if let Ok(content_type) = HeaderValue::try_from(content_type) {
            headers.insert(CONTENT_TYPE, content_type);
        }
        self.metrics.model_called();
        let answered = self.answered(self.send(path, headers, body), timers, redactor).await;
        answered.inspect_err(|error| self.metrics.model_failed(error.kind()))
    }

    fn send(
        &self,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = reqwest::Result<Response>> + use<> {
        let url = format!("{}{path}", self.settings.base_url);
        self.http.post(url).headers(headers).body(body).send()
    }

    async fn answered(
        &self,
        sending: impl Future<Output = reqwest::Result<Response>>,
        timers: &mut Timers,
        redactor: &Redactor,
    ) -> Result<Response, Error> {
        let response = timers.wait(sending).await?.map_err(|error| {
            if error.is_builder() {
                Error::Misconfigured { key: "llm.base_url".to_owned(), problem: "not a URL" }
            } else {
                Error::Unreachable(error.without_url())
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let retry_after = self.retry_after(&response);
        // A body that does not come leaves the status, which says enough.
        let body = Box::pin(timers.wait(beginning(response, MAX_REFUSAL_BYTES))).await.unwrap_or_default();
        Err(Error::refused(status, retry_after, &body, redactor))
    }

    fn body(&self, model: &str, request: &ChatRequest) -> Result<Bytes, Error> {
        let (settings, dialect) = (&self.settings.common, self.settings.dialect);
        let tooling = request.tooling.as_deref();
        let offers = tooling.map_or(&[][..], |tooling| &tooling.offers);
        let most_output = settings.max_output_tokens.into_iter().chain(request.most_output).min();
        let body = Request {
            model,
            messages: Messages { messages: &request.messages, rounds: tooling.map_or(&[], |tooling| &tooling.rounds) },
            tools: offers,
            // Beside no tools nobody takes it.
            tool_choice: tooling.filter(|tooling| tooling.enough && !offers.is_empty()).map(|_| "none"),
            stream: true,
            stream_options: dialect.stream_options.then_some(StreamOptions { include_usage: true }),
            temperature: settings.temperature,
            reasoning_effort: settings.reasoning_effort.as_deref(),
            limit: most_output.map(|tokens| OutputLimit::for_model(dialect.limit, model, tokens)),
            identifier: self.identifier(request),
            extra: &self.settings.extra_body,
        };
        match serde_json::to_vec(&body) {
            Ok(body) => Ok(body.into_boxed_slice().into()),
            // Strings and numbers always become JSON; this is here so that nothing can panic.
            Err(_) => Err(Error::Misconfigured { key: "llm".to_owned(), problem: "makes no JSON" }),
        }
    }

    /// Who asks, where the upstream is to be told and the administrator does not tell it something else.
    fn identifier<'r>(&self, request: &'r ChatRequest) -> Option<Identifier<'r>> {
        let (field, identifier) = (self.told_in()?, request.identifier.as_deref()?);
        (!self.settings.extra_body.contains_key(field.as_str())).then(|| Identifier::of(field, identifier))
    }

    fn headers(&self) -> Result<HeaderMap, Error> {
        let mut headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (ACCEPT, HeaderValue::from_static("text/event-stream, application/json")),
            // A compressed stream comes in lumps.
            (ACCEPT_ENCODING, HeaderValue::from_static("identity")),
        ]);
        if let Some(key) = &self.settings.api_key {
            let (name, value) = match self.settings.dialect.key {
                KeyHeader::Bearer => (AUTHORIZATION, Secret::new(format!("Bearer {}", key.expose()))),
                KeyHeader::ApiKey => (HeaderName::from_static("api-key"), key.clone()),
            };
            headers.insert(name, header_value(&value, || "llm.api_key".to_owned())?);
        }
        // The administrator's word is the last: some upstreams want another authorization.
        for (name, value) in &self.settings.extra_headers {
            let key = || format!("llm.extra_headers.{name}");
            let problem = "not the name of a header";
            let name = HeaderName::try_from(name).map_err(|_| Error::Misconfigured { key: key(), problem })?;
            headers.insert(name, header_value(value, key)?);
        }
        Ok(headers)
    }

    fn retry_after(&self, response: &Response) -> Option<Duration> {
        let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
        retry::parse_retry_after(value, self.clock.now())
    }
}

fn header_value(value: &Secret<String>, key: impl FnOnce() -> String) -> Result<HeaderValue, Error> {
    let mut value = HeaderValue::try_from(value.expose())
        .map_err(|_| Error::Misconfigured { key: key(), problem: "has characters that no header can have" })?;
    value.set_sensitive(true);
    Ok(value)
}

/// The first `most` bytes of the body, or as far as it came.
pub(super) async fn beginning(mut response: Response, most: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some(bytes)) = response.chunk().await {
        let room = most - body.len();
        body.extend_from_slice(&bytes[..bytes.len().min(room)]);
        if body.len() == most {
            break;
        }
    }
    body
}

#[cfg(test)]
mod tests;
