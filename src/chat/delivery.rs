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
use tracing::{Instrument, debug, error, error_span, info, warn};

use super::{
    cause::chain,
    dispatch::{OnStop, Queue, dispatch},
    persist::persist,
    render::{plain, render},
    send::{NotSent, Sender},
    texts::Text,
    way::{self, Pause, Way},
};
use crate::{
    alert::observation::Wecom,
    clock::{Clock, Timestamp},
    config::chat::Language,
    metrics::Metrics,
    model::{
        id::{AppKey, TurnId},
        outbound::Said,
        reply::Format,
    },
    store::{
        self, LeaseLost, Store,
        inbox::Claimed,
        outbox::{Attempt, DUPLICATE_CHECK, OutboundClaim},
    },
    wecom::client::{Client, Delivered, SendError},
};

/// How long a message is tried that WeCom surely did not take: time for an administrator to mend what is wrong.
const KEEP: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a message is tried that WeCom may have taken: while its duplicate check surely remembers the first attempt.
/// After that it is not sent once more, whatever kept it: it would be shown twice.
const KEEP_UNSURE: Duration = DUPLICATE_CHECK.saturating_sub(Duration::from_secs(30 * 60));
/// How often a message is tried that WeCom refuses for a reason that this version does not know.
const UNKNOWN_ATTEMPTS: u32 = 6;
/// Addresses that have been reported as not trusted: enough for a host whose address changes, and bounded.
const REPORTED_ADDRESSES: usize = 64;

/// Sends what one application has waiting in the outbox.
#[derive(Debug)]
pub struct Delivery {
    store: Store,
    clock: Clock,
    app: AppKey,
    sender: Sender,
    hands: usize,
    language: Language,
    reported: Mutex<HashSet<String>>,
    way: Way,
    metrics: Arc<Metrics>,
}

impl Delivery {
    /// Sends what waits for members of `app` through `wecom`, at most `hands` messages at a time. Where WeCom takes no
    /// answer, that is said in `language`.
    pub fn new(
        store: Store,
        clock: Clock,
        app: AppKey,
        wecom: Client,
        hands: usize,
        language: Language,
        metrics: Arc<Metrics>,
    ) -> Self {
        let way = Way::new(clock.clone(), Arc::clone(&metrics));
        let sender = Sender::new(store.clone(), clock.clone(), wecom);
        Self { store, clock, app, sender, hands, language, reported: Mutex::default(), way, metrics }
    }

    /// Whether messages get through to WeCom, as far as the last attempts tell.
    pub fn way(&self) -> Wecom {
        self.way.seen()
    }

    /// Why nothing can be sent at this moment, and when it is tried again.
    pub fn pause(&self) -> Option<Pause> {
        self.way.pause()
    }

    /// Works until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        let claim = |limit| self.claim(limit);
        let clock_set = |set| self.store.move_outbox_times(&self.app, set, self.clock.now());
        let ready = || async {
            tokio::select! {
                () = self.store.outbox_ready(&self.app) => {}
                () = self.way.gate.opened() => {}
            }
        };
        let handle = |claim| Arc::clone(&self).deliver(claim);
        let queue = Queue { name: "outbox", hands: self.hands, on_stop: OnStop::Drain };
        dispatch(queue, &self.clock, &stop, claim, clock_set, ready, handle).await;
    }

    /// As many messages as the gate lets through.
    async fn claim(&self, limit: usize) -> Result<Claimed<OutboundClaim>, store::Error> {
        let (allowed, again_at) = self.way.gate.allows(limit);
        if allowed == 0 {
            return Ok(Claimed { claims: Vec::new(), next_at: again_at });
        }
        let claimed = self.store.claim_outbound(&self.app, allowed, self.clock.now()).await;
        if claimed.as_ref().is_ok_and(|claimed| claimed.claims.is_empty()) || claimed.is_err() {
            self.way.gate.nothing_to_try();
        }
        claimed
    }

    fn deliver(self: Arc<Self>, claim: OutboundClaim) -> impl Future<Output = ()> {
        // As for the message that it answers (`chat::turn`): its life is one line of search.
        let span = error_span!("delivery", inbox.seq = claim.cause);
        self.deliver_within_span(claim).instrument(span)
    }

    async fn deliver_within_span(self: Arc<Self>, claim: OutboundClaim) {
        let ended = if is_too_old(&claim, self.clock.now()) && claim.unsure_since.is_some() {
            self.way.gate.give_back();
            self.give_up(&claim, "it may have arrived, and WeCom's duplicate check has forgotten it").await
        } else {
            self.attempt(&claim).await
        };
        if let Err(lost) = ended {
            error!(inbox.seq = claim.cause, %lost, "nobody will know what became of a message");
        }
    }

    async fn attempt(&self, claim: &OutboundClaim) -> Result<(), LeaseLost> {
        let Ok(sent) = AssertUnwindSafe(self.sender.send(claim)).catch_unwind().await else {
            error!(inbox.seq = claim.cause, "a worker broke; its message is sent again");
            self.way.gate.unclear();
            let at = self.clock.now() + backoff(claim.attempts);
            return self.send_again(claim, "a worker broke", Attempt::Unsure, at).await;
        };
        let (error, step) = match sent {
            Ok(delivered) => {
                self.way.open();
                return self.accept_answer(claim, &delivered).await;
            }
            Err(NotSent::Message(error)) => (error, Step::Message),
            Err(NotSent::File(error)) => (error, Step::File),
            Err(NotSent::Never(reason)) => {
                self.way.gate.give_back();
                return self.give_up_telling(claim, &reason, Text::Unsendable).await;
            }
        };
        // What it means for everybody, and what for this message, are two questions.
        let blocked_until = self.move_gate(&error);
        let (now, reason) = (self.clock.now(), error.to_string());
        match fate(&error, step, claim, now) {
            Fate::GiveUp if step == Step::File => self.give_up_telling(claim, &reason, Text::Unsendable).await,
            Fate::GiveUp if matches!(error, SendError::Refused { .. }) => {
                self.give_up_telling(claim, &reason, Text::Unshown).await
            }
            Fate::GiveUp => self.give_up(claim, &reason).await,
            Fate::Again(attempt) => {
                let at = blocked_until.unwrap_or_else(|| now + backoff(claim.attempts));
                // Why nobody gets through has been said once; it is not news for each message.
                if attempt == Attempt::Blocked {
                    debug!(inbox.seq = claim.cause, "a message to {} waits: nothing can be sent", claim.message.to);
                } else {
                    info!(inbox.seq = claim.cause, attempts = claim.attempts, error = %chain(&error),
                        "a message to {} is sent again", claim.message.to);
                }
                self.send_again(claim, &reason, attempt, at).await
            }
        }
    }

    async fn accept_answer(&self, claim: &OutboundClaim, delivered: &Delivered) -> Result<(), LeaseLost> {
        let (now, to) = (self.clock.now(), &claim.message.to);
        if delivered.invalid_users.iter().any(|user| user.to_lowercase() == to.key()) {
            let reason = "invaliduser: WeCom does not know the member, or the app's visible range leaves them out";
            return self.give_up(claim, reason).await;
        }
        let (attempts, wait_ms) = (claim.attempts, now.since(claim.created_at).as_millis());
        debug!(inbox.seq = claim.cause, attempts, wait_ms, "delivered to {to}");
        self.metrics.delivered(now.since(claim.created_at));
        persist(&self.clock, || self.store.delivered(claim, &delivered.msg_id, now)).await
    }

    async fn give_up(&self, claim: &OutboundClaim, reason: &str) -> Result<(), LeaseLost> {
        self.metrics.given_up();
        warn!(inbox.seq = claim.cause, attempts = claim.attempts, %reason,
            "gave up a message to {}; `qimate dead-letters list` shows it", claim.message.to);
        persist(&self.clock, || self.store.give_up(claim, reason, self.clock.now())).await
    }

    /// WeCom does not take the content; the member can be written to, and is told so, with a reference.
    async fn give_up_telling(
        &self,
        claim: &OutboundClaim,
        reason: &str,
        text: fn(TurnId) -> Text<'static>,
    ) -> Result<(), LeaseLost> {
        let id = TurnId::generate();
        let instead = match claim.message.said() {
            // What an operator decides about can be decided in writing.
            Said::Card(_) => persist(&self.clock, || self.store.request_in_words(claim.cause)).await,
            Said::Words { .. } | Said::Attachment { .. } => None,
        };
        let parts = match instead {
            Some(words) => plain(&words),
            None => render(&text(id).render(self.language), Format::Text),
        };
        let Some(part) = parts.into_iter().next() else {
            return self.give_up(claim, reason).await;
        };
        self.metrics.given_up();
        warn!(inbox.seq = claim.cause, turn.reference = %id.reference(), attempts = claim.attempts, %reason,
            "gave up a message to {}; `qimate dead-letters list` shows it", claim.message.to);
        persist(&self.clock, || self.store.give_up_saying(claim, reason, part.clone(), self.clock.now())).await
    }

    async fn send_again(
        &self,
        claim: &OutboundClaim,
        reason: &str,
        attempt: Attempt,
        at: Timestamp,
    ) -> Result<(), LeaseLost> {
        self.metrics.sent_again();
        persist(&self.clock, || self.store.retry(claim, reason, attempt, at)).await
    }

    /// Closes the gate when nothing of the application gets through, and opens it when WeCom has answered about the
    /// message itself. Returns until when it is closed.
    fn move_gate(&self, error: &SendError) -> Option<Timestamp> {
        let Some(reason) = way::block(error) else {
            if error.is_sure() {
                self.way.open();
            } else {
                self.way.doubt();
            }
            return None;
        };
        let (until, closed_now) = self.way.close(reason, error);
        self.report(error, closed_now);
        Some(until)
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
}

/// What becomes of a message that was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Again(Attempt),
    GiveUp,
}

/// Which of the two calls of a message failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Its bytes were to be uploaded: it has not been sent.
    File,
    /// It was to be sent.
    Message,
}

fn fate(error: &SendError, step: Step, claim: &OutboundClaim, now: Timestamp) -> Fate {
    if is_too_old(claim, now) {
        return Fate::GiveUp;
    }
    match error {
        SendError::Unsure { .. } if step == Step::File => Fate::Again(Attempt::Refused),
        SendError::Unsure { .. } => Fate::Again(Attempt::Unsure),
        SendError::Busy { .. } => Fate::Again(Attempt::Refused),
        SendError::Unknown { .. } if claim.attempts < UNKNOWN_ATTEMPTS => Fate::Again(Attempt::Refused),
        SendError::SlowDown { .. }
        | SendError::IpRefused { .. }
        | SendError::Misconfigured { .. }
        | SendError::Unreachable { .. } => Fate::Again(Attempt::Blocked),
        SendError::Unknown { .. } | SendError::BadRecipient { .. } | SendError::Refused { .. } => Fate::GiveUp,
    }
}

fn is_too_old(claim: &OutboundClaim, now: Timestamp) -> bool {
    claim.unsure_since.is_some_and(|since| now.since(since) >= KEEP_UNSURE) || now.since(claim.created_at) >= KEEP
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
