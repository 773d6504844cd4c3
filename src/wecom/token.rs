//! WeCom's access token: fetched once, shared by everyone, renewed before it ends.
//!
//! Knows only `gettoken`, and not what the token is used for. WeCom blocks an address that asks too often or with a
//! wrong secret, so there is one request at a time, all who waited share its outcome, and a refusal is remembered.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Deserialize;
use tracing::{info, warn};

use super::{
    answer::{Outcome, Refusal, Trouble, ask},
    errcode::{Class, SLOW_DOWN},
};
use crate::{
    clock::{Clock, Timestamp},
    config,
    metrics::Metrics,
    model::id::CorpId,
    secret::Secret,
};

/// How long before its end an access token is renewed; a tenth of its life where that is shorter, because `gettoken`
/// may hand out the same token again until it ends.
const RENEW_BEFORE: Duration = Duration::from_secs(300);
/// How long the old access token is used after it could not be renewed, before that is tried again.
const RENEW_AGAIN_AFTER: Duration = Duration::from_secs(30);
/// How long a refused configuration is remembered: wrong secrets get the address blocked for an hour (45009).
const REFUSAL_STANDS: Duration = Duration::from_secs(30);
/// WeCom's usual life of an access token in seconds (page 91039), should an answer not say.
const USUAL_LIFE: u64 = 7200;

/// Lets its holder call WeCom in the application's name. Never shows itself.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessToken(Arc<Secret<String>>);

impl AccessToken {
    /// For the query of an API call, and nothing else.
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl fmt::Debug for AccessToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AccessToken(***)")
    }
}

/// There is no access token. Clones are of one and the same call.
#[derive(Clone, Debug, thiserror::Error)]
pub enum TokenError {
    /// `gettoken` gave no answer of WeCom's.
    #[error("WeCom could not be asked for an access token")]
    Unreachable(#[source] Arc<Trouble>),
    /// WeCom gives none.
    #[error("WeCom gives no access token")]
    Refused(#[source] Refusal),
}

/// The application's access token, whoever needs it.
#[derive(Debug)]
pub struct AccessTokens {
    http: reqwest::Client,
    url: String,
    corp: CorpId,
    secret: Secret<String>,
    timeout: Duration,
    clock: Clock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    /// Held by the one who asks WeCom.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct State {
    held: Option<Held>,
    /// How many calls have ended: tells those who waited whether a call ended meanwhile.
    calls: u64,
    /// How the last call failed, unless it did not, and until when that stands for those who come later.
    failure: Option<(TokenError, Timestamp)>,
}

#[derive(Debug)]
struct Held {
    access_token: AccessToken,
    renew_at: Timestamp,
    ends_at: Timestamp,
}

/// What there is at this moment.
enum Stock {
    Fresh(AccessToken),
    /// Still good, but somebody should renew it.
    Ageing(AccessToken),
    Nothing,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(flatten)]
    outcome: Outcome,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

impl AccessTokens {
    /// Fetches nothing yet.
    pub fn new(http: reqwest::Client, settings: &config::Wecom, clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self {
            http,
            url: format!("{}/cgi-bin/gettoken", settings.api_base),
            corp: settings.corp_id.clone(),
            secret: settings.secret.clone(),
            timeout: settings.timeout,
            clock,
            metrics,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// The access token. Asks WeCom when there is none or it ends soon; in the latter case one caller asks and the
    /// others go on with the old one.
    ///
    /// # Errors
    /// [`TokenError`] when there is none to be had. Callers that waited for the same call get the same error, and a
    /// refusal stands for some seconds without asking again.
    pub async fn get(&self) -> Result<AccessToken, TokenError> {
        let calls_before = self.state().calls;
        match self.stock() {
            Stock::Fresh(access_token) => return Ok(access_token),
            Stock::Ageing(old) => return Ok(self.renew(old).await),
            Stock::Nothing => {}
        }
        let _asking = self.asking.lock().await;
        if let Stock::Fresh(access_token) | Stock::Ageing(access_token) = self.stock() {
            return Ok(access_token);
        }
        if let Some(error) = self.standing_failure(calls_before) {
            return Err(error);
        }
        self.fetch().await
    }

    /// Forgets `stale` because WeCom does not take it any more (40014, 42001). Does nothing when it was replaced
    /// meanwhile, so of many callers that were refused the same access token only the first causes a new one.
    pub fn invalidate(&self, stale: &AccessToken) {
        let mut state = self.state();
        if state.held.as_ref().is_some_and(|held| held.access_token == *stale) {
            state.held = None;
        }
    }

    /// Replaces `old`, unless somebody else is at it or it fails: `old` is still good.
    async fn renew(&self, old: AccessToken) -> AccessToken {
        let Ok(_asking) = self.asking.try_lock() else { return old };
        if let Stock::Fresh(access_token) = self.stock() {
            return access_token;
        }
        match self.fetch().await {
            Ok(access_token) => access_token,
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "could not renew the access token; the old one serves on");
                if let Some(held) = &mut self.state().held {
                    held.renew_at = self.clock.now() + RENEW_AGAIN_AFTER;
                }
                old
            }
        }
    }

    fn stock(&self) -> Stock {
        let now = self.clock.now();
        match &self.state().held {
            Some(held) if now < held.renew_at.min(held.ends_at) => Stock::Fresh(held.access_token.clone()),
            Some(held) if now < held.ends_at => Stock::Ageing(held.access_token.clone()),
            _ => Stock::Nothing,
        }
    }

    /// The last call's failure, if it ended while the caller waited or is still to be believed.
    fn standing_failure(&self, calls_before: u64) -> Option<TokenError> {
        let state = self.state();
        let (error, until) = state.failure.as_ref()?;
        // More is left of it than there ever was: somebody set the clock back.
        let left = until.since(self.clock.now());
        let stands = left > Duration::ZERO && left <= stands(error);
        (state.calls != calls_before || stands).then(|| error.clone())
    }

    /// Asks WeCom and keeps the outcome. The caller holds `asking`.
    async fn fetch(&self) -> Result<AccessToken, TokenError> {
        // The life counts from before the call: too early an end does no harm.
        let asked_at = self.clock.now();
        let outcome = self.call().await;
        let mut state = self.state();
        state.calls += 1;
        match outcome {
            Ok((access_token, life)) => {
                let ends_at = asked_at + life;
                let renew_at = ends_at - RENEW_BEFORE.min(life / 10);
                state.held = Some(Held { access_token: access_token.clone(), renew_at, ends_at });
                state.failure = None;
                self.metrics.access_token_fetched(asked_at.since(Timestamp::default()));
                info!(wecom.expires_in_s = life.as_secs(), "fetched an access token");
                Ok(access_token)
            }
            Err(error) => {
                match &error {
                    TokenError::Unreachable(_) => self.metrics.access_token_unreachable(),
                    TokenError::Refused(refusal) => self.metrics.access_token_refused(refusal.errcode.documented()),
                }
                state.failure = Some((error.clone(), self.clock.now() + stands(&error)));
                Err(error)
            }
        }
    }

    async fn call(&self) -> Result<(AccessToken, Duration), TokenError> {
        let unreachable = |trouble| TokenError::Unreachable(Arc::new(trouble));
        let secret = self.secret.expose().as_str();
        let request = self.http.get(&self.url).query(&[("corpid", self.corp.as_str()), ("corpsecret", secret)]);
        let answer: Answer = ask(&self.clock, self.timeout, request).await.map_err(unreachable)?;
        if let Some(refusal) = answer.outcome.refusal(secret) {
            return Err(TokenError::Refused(refusal));
        }
        let access_token = answer
            .access_token
            .filter(|text| !text.is_empty())
            .ok_or_else(|| unreachable(Trouble::Incomplete("access_token")))?;
        let life = Duration::from_secs(answer.expires_in.unwrap_or(USUAL_LIFE));
        Ok((AccessToken(Arc::new(Secret::new(access_token))), life))
    }

    /// No one panics while holding this lock, and if one did, what it guards would still be whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long a failure stands for those who did not wait for it.
const fn stands(error: &TokenError) -> Duration {
    match error {
        TokenError::Unreachable(_) => Duration::ZERO,
        TokenError::Refused(refusal) => match refusal.errcode.class() {
            Class::SlowDown => SLOW_DOWN,
            Class::Busy => Duration::ZERO,
            _ => REFUSAL_STANDS,
        },
    }
}

#[cfg(test)]
mod tests;
