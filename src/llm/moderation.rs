//! Whether a text may be said, in another model's eyes: `POST /moderations`.
//!
//! One call, once. What it is asked about has been through the guard like everything that leaves the house.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{client::beginning, error::Error, redact::Redactor};
use crate::{clock::Clock, config, safety::guard::Cleared, secret::Secret};

/// An answer names some categories with numbers; more than this is none.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Asks a moderation endpoint. Clones share its connections.
#[derive(Clone)]
pub struct Moderator {
    http: reqwest::Client,
    url: String,
    api_key: Option<Secret<String>>,
    model: Option<String>,
    timeout: Duration,
    /// Whether what could not be looked at passes.
    passes_unseen: bool,
    clock: Clock,
    redactor: Redactor,
}

/// What came of a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may be said.
    Passes,
    /// It must not be said.
    Flagged,
    /// Nobody could be asked, and the settings let it pass.
    Unseen,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<Judged>,
}

#[derive(Deserialize)]
struct Judged {
    flagged: bool,
}

impl Moderator {
    /// For the endpoint in `safety`; `None` where none is set.
    pub fn new(http: reqwest::Client, safety: &config::Safety, llm: &config::Llm, clock: Clock) -> Option<Self> {
        let base_url = safety.moderation_url.as_ref()?;
        // The model's key goes to the model's address and nowhere else.
        let of_llm = llm.api_key.as_ref().filter(|_| *base_url == llm.base_url);
        let api_key = safety.moderation_key.as_ref().or(of_llm).cloned();
        Some(Self {
            http,
            url: format!("{base_url}/moderations"),
            redactor: Redactor::new(&api_key),
            api_key,
            model: safety.moderation_model.clone(),
            timeout: safety.moderation_timeout,
            passes_unseen: safety.moderation_passes_unseen,
            clock,
        })
    }

    /// Whether `text` may be said. An empty one may.
    ///
    /// # Errors
    /// [`Error`] where nobody could be asked, and the settings let nothing pass unseen.
    pub async fn judge(&self, text: &Cleared<'_>) -> Result<Verdict, Error> {
        if text.as_str().trim().is_empty() {
            return Ok(Verdict::Passes);
        }
        let judged = self.clock.timeout(self.timeout, self.ask(text)).await.unwrap_or(Err(Error::AnswerTimeout));
        match judged {
            Ok(true) => Ok(Verdict::Flagged),
            Ok(false) => Ok(Verdict::Passes),
            Err(error) if self.passes_unseen => {
                tracing::warn!(%error, "a text was not moderated, and passes (safety.moderation_unreachable)");
                Ok(Verdict::Unseen)
            }
            Err(error) => Err(error),
        }
    }

    async fn ask(&self, text: &Cleared<'_>) -> Result<bool, Error> {
        let mut body = json!({"input": text.as_str()});
        if let Some(model) = &self.model {
            body["model"] = json!(model);
        }
        let mut request = self.http.post(&self.url).json(&body);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(|error| Error::Unreachable(error.without_url()))?;
        let status = response.status();
        let body = beginning(response, MAX_ANSWER_BYTES).await;
        if !status.is_success() {
            let redactor = self.redactor.and_quotations([text.as_str()]);
            return Err(Error::refused(status, None, &body, &redactor));
        }
        match serde_json::from_slice::<Answer>(&body) {
            Ok(Answer { results }) if !results.is_empty() => Ok(results.iter().any(|judged| judged.flagged)),
            _ => Err(Error::Garbage { what: "a judgement without a result" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        llm::fake::{config, endpoint},
        net,
        safety::guard::Guard,
    };

    fn moderator(url: &str, unreachable: &str) -> Moderator {
        let config = config(&[
            ("QIMATE_LLM__API_KEY", "sk-of-the-model"),
            ("QIMATE_SAFETY__MODERATION_URL", url),
            ("QIMATE_SAFETY__MODERATION_KEY", "sk-of-moderation"),
            ("QIMATE_SAFETY__MODERATION_UNREACHABLE", unreachable),
        ]);
        let http = net::http_client(None, Duration::from_secs(5)).expect("a client");
        Moderator::new(http, &config.safety, &config.llm, Clock::System).expect("an address is set")
    }

    async fn judge(moderator: &Moderator, text: &str) -> Result<Verdict, String> {
        let guard = Guard::default();
        let (cleared, _) = guard.clear(text).expect("no rules");
        moderator.judge(&cleared).await.map_err(|error| error.to_string())
    }

    #[tokio::test]
    async fn it_is_asked_with_its_own_key_and_its_word_counts() {
        for (body, expected) in [
            (r#"{"results":[{"flagged":false,"categories":{}}]}"#, Verdict::Passes),
            (r#"{"results":[{"flagged":false},{"flagged":true}]}"#, Verdict::Flagged),
        ] {
            let (url, asked) = endpoint(200, body).await;
            assert_eq!(judge(&moderator(&url, "refuse"), "在吗").await, Ok(expected));
            let (path, key, sent) = asked.lock().unwrap().remove(0);
            assert_eq!((path.as_str(), key.as_str()), ("/v1/moderations", "Bearer sk-of-moderation"));
            let sent: Value = serde_json::from_slice(&sent).expect("JSON");
            assert_eq!(sent["input"], "在吗");
        }
    }

    #[tokio::test]
    async fn what_cannot_be_looked_at_passes_or_not_as_it_is_set() {
        for (status, body) in [(500, ""), (200, "<html>"), (200, r#"{"results":[]}"#), (401, "{}")] {
            let (url, _) = endpoint(status, body).await;
            assert_eq!(judge(&moderator(&url, "pass"), "在吗").await, Ok(Verdict::Unseen), "{status} {body}");
            assert!(judge(&moderator(&url, "refuse"), "在吗").await.is_err(), "{status} {body}");
            assert_eq!(judge(&moderator(&url, "refuse"), " \n").await, Ok(Verdict::Passes));
        }
    }
}
