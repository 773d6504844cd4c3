//! One call beside the conversation, once: a recording written down, a picture made, a text spoken.
//!
//! Who waits for it is told when it fails, so nothing is tried again. Knows where it goes and with which key; nothing of
//! what is sent.

use std::time::Duration;

use reqwest::{RequestBuilder, Response};

use super::{client::beginning, dialect::Dialect, error::Error, redact::Redactor};
use crate::{clock::Clock, config, secret::Secret};

/// As much of a refusal is read.
const MAX_REFUSAL_BYTES: usize = 64 * 1024;

/// Where it goes. Clones share its connections.
#[derive(Clone)]
pub(super) struct Endpoint {
    pub(super) http: reqwest::Client,
    url: String,
    api_key: Option<Secret<String>>,
    timeout: Duration,
    clock: Clock,
    redactor: Redactor,
    tells_who: bool,
}

impl Endpoint {
    /// `path` at `base_url` or, without one, where the model of `llm` is. All of a call is over within `timeout`.
    pub(super) fn new(
        http: reqwest::Client,
        (base_url, path): (Option<&String>, &str),
        key: Option<&Secret<String>>,
        llm: &config::Llm,
        timeout: Duration,
        clock: Clock,
    ) -> Self {
        let base_url = base_url.unwrap_or(&llm.base_url);
        // The model's key goes to the model's address and nowhere else.
        let of_llm = llm.api_key.as_ref().filter(|_| *base_url == llm.base_url);
        let api_key = key.or(of_llm).cloned();
        let redactor = Redactor::new(&api_key);
        let tells_who = Dialect::of(None, base_url).told_in(llm.safety_identifier).is_some();
        Self { http, url: format!("{base_url}{path}"), api_key, timeout, clock, redactor, tells_who }
    }

    /// Whether it is told who asks, where it has a field for that.
    pub(super) const fn tells_who(&self) -> bool {
        self.tells_who
    }

    /// The host that it goes to: what such a place is called that has no name.
    pub(super) fn host(&self) -> &str {
        host_of(&self.url)
    }

    /// The body that a POST of what `fill` makes is answered with, at most `most` bytes.
    ///
    /// # Errors
    /// [`Error`].
    pub(super) async fn post(
        &self,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder,
        most: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut request = fill(self.http.post(&self.url));
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        self.clock.timeout(self.timeout, self.read(request, most)).await.unwrap_or(Err(Error::AnswerTimeout))
    }

    async fn read(&self, request: RequestBuilder, most: usize) -> Result<Vec<u8>, Error> {
        let response = request.send().await.map_err(|error| Error::Unreachable(error.without_url()))?;
        let status = response.status();
        if status.is_success() {
            return whole(response, most).await;
        }
        let body = beginning(response, MAX_REFUSAL_BYTES).await;
        Err(Error::refused(status, None, &body, &self.redactor))
    }
}

/// The host of an address, with its port.
pub(super) fn host_of(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    behind.split('/').next().unwrap_or(behind)
}

/// All of a body, or nothing of it.
async fn whole(mut response: Response, most: usize) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(bytes)) if body.len() + bytes.len() > most => {
                return Err(Error::Garbage { what: "more than can be an answer" });
            }
            Ok(Some(bytes)) => body.extend_from_slice(&bytes),
            Ok(None) => return Ok(body),
            Err(error) => return Err(Error::Cut { source: Some(error.without_url()) }),
        }
    }
}
