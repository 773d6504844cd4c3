//! Posts alerts to an address of the company's own. Nothing waits for it.
//!
//! Goes straight, through no proxy: a proxy is set for WeCom or for the model, and is among what may be failing. The
//! address holds a token with many services, so it is in no log and no error.

use std::{sync::Arc, time::Duration};

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::{
    clock::{Clock, Timestamp},
    config,
    secret::Secret,
};

/// How long one post may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long to wait before each further try.
const PAUSES: [Duration; 3] = [Duration::from_secs(2), Duration::from_secs(15), Duration::from_secs(60)];
/// Posts that may wait while the address does not answer; what is beyond is only logged.
const QUEUE: usize = 64;

/// One post, as it is sent but for the instance.
#[derive(Clone, Debug)]
pub(super) struct Notice {
    pub(super) condition: &'static str,
    /// Which application, where there are several.
    pub(super) app: Option<Arc<str>>,
    pub(super) state: State,
    pub(super) at: Timestamp,
    pub(super) detail: String,
    pub(super) remedy: String,
}

/// Which way it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum State {
    Raised,
    Resolved,
}

/// What is posted.
#[derive(Serialize)]
struct Body<'a> {
    condition: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    state: State,
    /// Epoch seconds, as in `X-Qimate-Timestamp`.
    at: i64,
    detail: &'a str,
    remedy: &'a str,
    instance: &'a str,
}

/// Where posts are left.
#[derive(Clone, Debug)]
pub struct Hook(mpsc::Sender<Notice>);

impl Hook {
    pub(super) fn post(&self, notice: Notice) {
        if let Err(error) = self.0.try_send(notice) {
            warn!(%error, "the webhook (alerts.webhook_url) is too slow: an alert was not posted");
        }
    }
}

/// Posts what is left with its [`Hook`], one at a time and in order.
#[derive(Debug)]
pub struct Webhook {
    http: reqwest::Client,
    url: Secret<String>,
    secret: Option<Secret<String>>,
    instance: String,
    clock: Clock,
    queue: mpsc::Receiver<Notice>,
}

/// The webhook of `settings`, over `http`; `None` where there is none. `instance` says who posts.
pub fn webhook(
    http: reqwest::Client,
    settings: &config::Alerts,
    instance: String,
    clock: Clock,
) -> Option<(Hook, Webhook)> {
    let url = settings.webhook_url.clone()?;
    let (hook, queue) = mpsc::channel(QUEUE);
    let secret = settings.webhook_secret.clone();
    Some((Hook(hook), Webhook { http, url, secret, instance, clock, queue }))
}

impl Webhook {
    /// Works until `stop`. What is not posted then is lost: the operators have it, and the log.
    pub async fn run(mut self, stop: CancellationToken) {
        loop {
            let notice = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(notice) = self.queue.recv() => notice,
                // Whoever left posts here is gone; the part itself ends with the process.
                else => return stop.cancelled().await,
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.deliver(&notice) => {}
            }
        }
    }

    async fn deliver(&self, notice: &Notice) {
        let Notice { condition, app, state, at, detail, remedy } = notice;
        let instance = &self.instance;
        let body = Body { condition, app: app.as_deref(), state: *state, at: at.as_secs(), detail, remedy, instance };
        let Ok(body) = serde_json::to_vec(&body) else { return };
        let mut pauses = PAUSES.iter();
        loop {
            let failure = match self.clock.timeout(TIMEOUT, self.post(&body)).await {
                Ok(Ok(())) => return debug!(condition, "posted to the webhook"),
                Ok(Err(failure)) => failure,
                Err(late) => Box::new(late),
            };
            match pauses.next() {
                Some(pause) => self.clock.sleep(*pause).await,
                None => {
                    warn!(
                        condition,
                        error = &*failure as &dyn std::error::Error,
                        "the webhook (alerts.webhook_url) did not take an alert"
                    );
                    return;
                }
            }
        }
    }

    async fn post(&self, body: &[u8]) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        // Of this attempt: who receives it may refuse what is old.
        let timestamp = self.clock.now().as_secs().to_string();
        let mut request = self
            .http
            .post(self.url.expose())
            .header("Content-Type", "application/json; charset=utf-8")
            .header("X-Qimate-Timestamp", &timestamp)
            .body(body.to_vec());
        if let Some(secret) = &self.secret {
            request = request.header("X-Qimate-Signature", sign(secret, &timestamp, body)?);
        }
        let response = request.send().await.map_err(reqwest::Error::without_url)?;
        if response.status().is_success() {
            Ok(())
        } else {
            Err(format!("it answers with status {}", response.status().as_u16()).into())
        }
    }
}

/// `sha256=` and the HMAC-SHA256 of the timestamp, a dot and the body, in hex.
fn sign(secret: &Secret<String>, timestamp: &str, body: &[u8]) -> Result<String, hmac::digest::InvalidLength> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())?;
    mac.update(timestamp.as_bytes());
    mac.update(b".");
    mac.update(body);
    Ok(format!("sha256={}", hex::encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_that_of_openssl() {
        // printf '1790000000.{"a":1}' | openssl dgst -sha256 -hmac 0123456789abcdef
        let secret = Secret::new("0123456789abcdef".to_owned());
        let expected = "sha256=d569e4518fe6f4620fd6639233427e7df5e5394d8f14c85c1063b8d90a724dcb";
        assert_eq!(sign(&secret, "1790000000", br#"{"a":1}"#).unwrap(), expected);
    }
}
