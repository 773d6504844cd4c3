//! What programs may ask by keys: who asks, what they may, and their calls of models.
//!
//! Knows nothing of HTTP beyond that a key is a text: `web` turns what is said here into statuses. A call runs in a task
//! of its own, so that a program that hangs up neither loses what was used nor keeps an upstream. To add a call, add it
//! to `llm::relay` and to [`Endpoint`].

mod calls;
mod fault;
mod hand_out;
mod keys;

use std::{net::IpAddr, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::debug;

pub use self::{
    calls::{Answering, Asked, Form},
    fault::{Fault, Refused},
    hand_out::{HandOut, Handed, HandedOut},
    keys::Keys,
};
use crate::{
    clock::Clock,
    llm::relay::body::Call,
    meter::{Meter, allowances::Allowances},
    model::{
        key::{ApiKey, Endpoint, KeyHash, KeyText, Standing},
        quota::{book, subject::Subject},
    },
    store::Store,
};

/// How often it is remembered when keys were used.
const SAVE_USED: Duration = Duration::from_secs(60);
/// What calls that are cut at a stop may take to be settled.
const TO_SETTLE: Duration = Duration::from_secs(2);

/// Everything that programs may ask. Clones share it.
#[derive(Clone)]
pub struct Api(Arc<Inner>);

struct Inner {
    keys: Keys,
    meter: Meter,
    allowances: Arc<Allowances>,
    store: Store,
    clock: Clock,
    tasks: TaskTracker,
    /// The process ends: what is under way is cut, and settled.
    cut: CancellationToken,
}

/// Who asks, known and allowed to.
#[derive(Clone, Debug)]
pub struct Caller {
    /// By which key.
    pub key: Arc<ApiKey>,
    /// Of the secret that was brought.
    hash: KeyHash,
}

/// What a key may use.
#[derive(Clone, Debug)]
pub struct Me {
    /// The key.
    pub key: Arc<ApiKey>,
    /// The aliases that may be asked for.
    pub models: Vec<Arc<str>>,
    /// How much of each limit is used, from the company's to the key's.
    pub limits: Vec<(Subject, Vec<book::Standing>)>,
}

impl Api {
    /// Asks by `meter`, under `allowances`.
    pub fn new(keys: Keys, meter: Meter, allowances: Arc<Allowances>, store: Store, clock: Clock) -> Self {
        let (tasks, cut) = (TaskTracker::new(), CancellationToken::new());
        Self(Arc::new(Inner { keys, meter, allowances, store, clock, tasks, cut }))
    }

    /// Who asks, by the key that was brought, from this address.
    ///
    /// # Errors
    /// [`Refused`]: nobody who may.
    pub async fn caller(&self, key: &str, from: IpAddr) -> Result<Caller, Refused> {
        let Inner { keys, meter, clock, .. } = &*self.0;
        let text = KeyText::parse(key).map_err(|_| Refused::Malformed)?;
        let (hash, now) = (text.hash(), clock.now());
        let key = keys.opened_by(&text.id, &hash, now).ok_or(Refused::Unknown)?;
        match key.standing(now) {
            Standing::Good => {}
            standing => return Err(Refused::NoLongerGood(standing)),
        }
        if !key.scope.has_address(from) {
            return Err(Refused::Address(from));
        }
        if !meter.has_access(&key).await {
            return Err(Refused::Owner);
        }
        keys.note(key.number, now);
        Ok(Caller { key, hash })
    }

    /// The aliases that may be asked for by a key, in the order of the configuration.
    ///
    /// # Errors
    /// [`Refused::Endpoint`].
    pub async fn models(&self, caller: &Caller) -> Result<Vec<Arc<str>>, Refused> {
        allowed(caller, Endpoint::Models)?;
        Ok(self.models_of(&caller.key).await)
    }

    /// Those of words, and behind them those that make something else.
    async fn models_of(&self, key: &ApiKey) -> Vec<Arc<str>> {
        let meter = &self.0.meter;
        let mut models = meter.models_of(key).await;
        let makers = [
            (Endpoint::Images, Call::Images),
            (Endpoint::Speech, Call::Speech),
            (Endpoint::Transcriptions, Call::Transcription),
        ];
        for maker in makers.into_iter().filter(|(endpoint, _)| key.scope.has_endpoint(*endpoint)) {
            let maker = meter.maker_of(maker.1).filter(|maker| key.scope.has_model(maker));
            if let Some(maker) = maker.filter(|maker| models.iter().all(|model| **model != **maker)) {
                models.push(maker.into());
            }
        }
        models
    }

    /// What a key may use, and has used.
    pub async fn me(&self, caller: &Caller) -> Me {
        let key = Arc::clone(&caller.key);
        let limits = self.0.allowances.standings_of(&key).await;
        Me { models: self.models_of(&key).await, limits, key }
    }

    /// Reads the keys again, because somebody may have changed them. What is under way by one that is no longer good is
    /// cut.
    ///
    /// # Errors
    /// [`crate::store::Error`]: those of before hold.
    pub async fn reload(&self) -> Result<(), crate::store::Error> {
        self.0.keys.reload(&self.0.store).await
    }

    /// Remembers now and then when keys were used, until `stop`; then lets calls end for `grace`, cuts the others, and
    /// settles them.
    pub async fn run(self, stop: CancellationToken, grace: Duration) {
        let Inner { keys, store, clock, tasks, cut, .. } = &*self.0;
        let save = async || {
            if let Err(error) = keys.save_used(store).await {
                debug!(%error, "cannot remember when keys were used");
            }
        };
        while stop.run_until_cancelled(clock.sleep(SAVE_USED)).await.is_some() {
            save().await;
        }
        tasks.close();
        if clock.timeout(grace.saturating_sub(TO_SETTLE), tasks.wait()).await.is_err() {
            cut.cancel();
            tasks.wait().await;
        }
        save().await;
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

fn allowed(caller: &Caller, endpoint: Endpoint) -> Result<(), Refused> {
    if caller.key.scope.has_endpoint(endpoint) { Ok(()) } else { Err(Refused::Endpoint(endpoint)) }
}
