//! From the outbox to WeCom: in order for a member, members side by side, paced, and tried again until it is certain.

use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use backon::BackoffBuilder;
use futures_util::FutureExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{
    answer::persist,
    dispatch::{OnStop, Queue, dispatch},
    gate::Gate,
};
use crate::{
    clock::{Clock, Timestamp},
    store::{
        self, LeaseLost, Store,
        inbox::Claimed,
        outbox::{DUPLICATE_CHECK, OutboundClaim},
    },
    wecom::client::{Client, Delivered, SendError},
};

/// How long a message is tried that WeCom surely did not take: time for an administrator to mend what is wrong.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a message is tried that WeCom may have taken: while its duplicate check still remembers the first attempt.
const KEEP_UNSURE: Duration = DUPLICATE_CHECK.saturating_sub(Duration::from_secs(30 * 60));
/// How often a message is tried that WeCom refuses for a reason that this version does not know.
const UNKNOWN_ATTEMPTS: u32 = 6;
/// Addresses that have been reported as not trusted: enough for a host whose address changes, and bounded.
const REPORTED_ADDRESSES: usize = 64;

/// Sends what waits in the outbox.
#[derive(Debug)]
pub struct Delivery {
    store: Store,
    clock: Clock,
    wecom: Client,
    gate: Gate,
    hands: usize,
    reported: Mutex<HashSet<String>>,
}

/// What to do about a message that was not delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Reaction {
    /// Try again later; `unsure`: it may have arrived.
    Retry {
        unsure: bool,
    },
    /// Nothing of the application gets through: everybody waits, then one is tried.
    CloseGate {
        for_at_least: Duration,
    },
    GiveUp,
}

impl Delivery {
    /// Sends through `wecom`, at most `hands` messages at a time.
    pub fn new(store: Store, clock: Clock, wecom: Client, hands: usize) -> Self {
        Self { store, gate: Gate::new(clock.clone()), clock, wecom, hands, reported: Mutex::default() }
    }

    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let claim = |limit| self.claim(limit);
        let ready = || async {
            tokio::select! {
                () = self.store.outbox_ready() => {}
                () = self.gate.opened() => {}
            }
        };
        let handle = |claim| Arc::clone(&self).deliver(claim);
        let queue = Queue { name: "outbox", hands: self.hands, on_stop: OnStop::Drain };
        dispatch(queue, &self.clock, &stop, claim, ready, handle).await;
    }

    /// As many messages as the gate lets through.
    async fn claim(&self, limit: usize) -> Result<Claimed<OutboundClaim>, store::Error> {
        let (allowed, again_at) = self.gate.allows(limit);
        if allowed == 0 {
            return Ok(Claimed { claims: Vec::new(), next_at: again_at });
        }
        let claimed = self.store.claim_outbound(allowed, self.clock.now()).await;
        if claimed.as_ref().is_ok_and(|claimed| claimed.claims.is_empty()) || claimed.is_err() {
            self.gate.nothing_to_try();
        }
        claimed
    }

    async fn deliver(self: Arc<Self>, claim: OutboundClaim) {
        let sent = AssertUnwindSafe(self.wecom.send(&claim.message)).catch_unwind().await;
        let ended = match sent {
            Ok(Ok(delivered)) => {
                self.gate.open();
                self.accept_answer(&claim, &delivered).await
            }
            Ok(Err(error)) => self.react(&claim, &error).await,
            Err(_) => {
                error!(inbox.seq = claim.cause, "a worker broke; its message is sent again");
                self.gate.unclear();
                self.send_again(&claim, "a worker broke", true).await
            }
        };
        if let Err(lost) = ended {
            error!(inbox.seq = claim.cause, %lost, "a message was sent by two workers");
        }
    }

    async fn accept_answer(&self, claim: &OutboundClaim, delivered: &Delivered) -> Result<(), LeaseLost> {
        let (now, to) = (self.clock.now(), &claim.message.to);
        if delivered.invalid_users.iter().any(|user| user.to_lowercase() == to.key()) {
            let reason = "invaliduser: WeCom does not know the member, or the app's visible range leaves them out";
            warn!(inbox.seq = claim.cause, "{to} cannot be written to: not in the app's visible range, or gone");
            return self.persist(|| self.store.give_up(claim, reason, now)).await;
        }
        let (attempts, wait_ms) = (claim.attempts, now.since(claim.created_at).as_millis());
        debug!(inbox.seq = claim.cause, attempts, wait_ms, "delivered to {to}");
        self.persist(|| self.store.delivered(claim, &delivered.msg_id, now)).await
    }

    async fn react(&self, claim: &OutboundClaim, error: &SendError) -> Result<(), LeaseLost> {
        let (now, to, reason) = (self.clock.now(), &claim.message.to, error.to_string());
        match reaction(error, claim, now) {
            Reaction::Retry { unsure } => {
                if unsure {
                    self.gate.unclear()
                } else {
                    self.gate.open()
                }
                info!(inbox.seq = claim.cause, attempts = claim.attempts, error = %chain(error),
                    "a message to {to} is sent again");
                self.send_again(claim, &reason, unsure).await
            }
            Reaction::CloseGate { for_at_least } => {
                let (until, closed_now) = self.gate.close(for_at_least);
                self.report(error, closed_now);
                self.persist(|| self.store.retry(claim, &reason, false, until, now)).await
            }
            Reaction::GiveUp => {
                if error.is_sure() {
                    self.gate.open()
                } else {
                    self.gate.unclear()
                }
                warn!(inbox.seq = claim.cause, attempts = claim.attempts, error = %chain(error),
                    "gave up a message to {to}; `qimate dead-letters list` shows it");
                self.persist(|| self.store.give_up(claim, &reason, now)).await
            }
        }
    }

    async fn send_again(&self, claim: &OutboundClaim, reason: &str, unsure: bool) -> Result<(), LeaseLost> {
        let now = self.clock.now();
        let at = now + backoff(claim.attempts);
        self.persist(|| self.store.retry(claim, reason, unsure, at, now)).await
    }

    /// Says once what keeps everything from being sent, and how to mend it.
    fn report(&self, error: &SendError, closed_now: bool) {
        if let SendError::IpRefused { address } = error {
            let address = address.as_deref().unwrap_or("(WeCom did not name it)");
            let mut reported = self.reported.lock().unwrap_or_else(PoisonError::into_inner);
            if reported.len() >= REPORTED_ADDRESSES {
                reported.clear();
            }
            if reported.insert(address.to_owned()) {
                error!(
                    errcode = 60020,
                    address,
                    "WeCom does not trust this server's address. Enter {address} in the admin console: 应用管理 → \
                     the app → 企业可信IP (it opens once the callback URL or a trusted domain is saved); it takes \
                     effect in about a minute. Messages wait until then"
                );
            }
        } else if closed_now {
            error!(error = %chain(error), "nothing can be sent to WeCom at the moment; messages wait and are sent later");
        }
    }

    async fn persist<T, F>(&self, operation: impl Fn() -> F) -> T
    where
        F: Future<Output = Result<T, store::Error>>,
    {
        persist(&self.clock, operation).await
    }
}

fn reaction(error: &SendError, claim: &OutboundClaim, now: Timestamp) -> Reaction {
    let too_old =
        claim.unsure_since.is_some_and(|since| now.since(since) >= KEEP_UNSURE) || now.since(claim.created_at) >= KEEP;
    if too_old {
        return Reaction::GiveUp;
    }
    let later = |unsure| Reaction::Retry { unsure };
    match error {
        SendError::Busy { .. } => later(false),
        SendError::Unsure { .. } => later(true),
        SendError::SlowDown { after, .. } => Reaction::CloseGate { for_at_least: *after },
        SendError::IpRefused { .. } | SendError::Misconfigured { .. } | SendError::Unreachable { .. } => {
            Reaction::CloseGate { for_at_least: Duration::ZERO }
        }
        SendError::Unknown { .. } if claim.attempts < UNKNOWN_ATTEMPTS => later(false),
        SendError::Unknown { .. } | SendError::BadRecipient { .. } | SendError::Refused { .. } => Reaction::GiveUp,
    }
}

/// 1 s, 2 s, 4 s, ... up to a minute, each lengthened by chance so that those who failed together do not come back
/// together.
fn backoff(attempts: u32) -> Duration {
    const LONGEST: Duration = Duration::from_secs(60);
    backon::ExponentialBuilder::default()
        .with_min_delay(Duration::from_secs(1))
        .with_max_delay(LONGEST)
        .without_max_times()
        .with_jitter()
        .build()
        .nth(attempts.saturating_sub(1).min(16) as usize)
        .unwrap_or(LONGEST)
}

/// An error with what caused it, for one line of the log.
fn chain(error: &SendError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
