//! Keeps a queue's workers busy: claims as much as there are hands for, at the moment it is there.

use std::time::Duration;

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    clock::{
        Clock, Timestamp,
        setting::{ClockSet, Watch},
    },
    store::{self, inbox::Claimed},
};

/// How long the store is left alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// How a queue is worked.
#[derive(Clone, Copy, Debug)]
pub struct Queue {
    /// Its name in the log.
    pub name: &'static str,
    /// How many claims are handled at once.
    pub hands: usize,
    /// What becomes of what is ready when the process stops.
    pub on_stop: OnStop,
}

/// What becomes of what is ready when the process stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnStop {
    /// It waits for the next start.
    Leave,
    /// It is still handled.
    Drain,
}

/// Claims with `claim` whenever `ready` says so, and gives each claim to `handle`, until `stop`; then waits for those
/// at work. Dropping the future drops them.
///
/// `claim` is asked for up to so many; `ready` waits for a signal that there may be more; `clock_set` moves what waits
/// when somebody has set the clock.
pub async fn dispatch<T, C, S, R, H>(
    queue: Queue,
    clock: &Clock,
    stop: &CancellationToken,
    claim: impl Fn(usize) -> C,
    clock_set: impl Fn(ClockSet) -> S,
    ready: impl Fn() -> R,
    handle: impl Fn(T) -> H,
) where
    C: Future<Output = Result<Claimed<T>, store::Error>>,
    S: Future<Output = Result<(), store::Error>>,
    R: Future<Output = ()>,
    H: Future<Output = ()> + Send + 'static,
{
    let Queue { name, hands, on_stop } = queue;
    let mut at_work = JoinSet::new();
    let mut watch = Watch::new(clock.clone());
    // When there is, or may be, something to claim. It stays due while all hands are full.
    let mut ask_at = Some(clock.now());
    let mut failing = false;
    let mut open = true;
    // While stopping: nothing was ready when last asked. Whoever ends after that may have made something ready.
    let mut drained = false;
    while open || !at_work.is_empty() {
        // All that have ended, before the next claim: else each claim would be for one hand.
        while let Some(ended) = at_work.try_join_next() {
            drained = false;
            report(name, ended);
        }
        let free = hands - at_work.len();
        let stopping = stop.is_cancelled();
        if stopping && (on_stop == OnStop::Leave || drained && at_work.is_empty()) {
            open = false;
        }
        let due = stopping && !drained || !stopping && ask_at.is_some_and(|at| at <= clock.now());
        if open && due && free > 0 {
            let claimed = async {
                if let Some(set) = watch.look() {
                    clock_set(set).await?;
                    watch.rest();
                    info!(queue = name, ?set, "the clock was set; what waits was moved with it");
                }
                claim(free).await
            };
            match claimed.await {
                Ok(Claimed { claims, next_at }) => {
                    if failing {
                        info!(queue = name, "the database can be used again");
                    }
                    failing = false;
                    ask_at = next_at;
                    drained = stopping && claims.is_empty();
                    for claimed in claims {
                        at_work.spawn(handle(claimed));
                    }
                }
                Err(error) => {
                    if !failing {
                        error!(queue = name, %error, "cannot claim; trying again every second");
                    }
                    failing = true;
                    ask_at = Some(clock.now() + AFTER_FAILURE);
                    drained = stopping;
                }
            }
            continue;
        }
        tokio::select! {
            Some(ended) = at_work.join_next(), if !at_work.is_empty() => {
                drained = false;
                report(name, ended);
            }
            () = ready(), if open => ask_at = Some(clock.now()),
            // The wait is over, even if the clock was set back meanwhile and does not show it.
            () = until(clock, ask_at), if open && !stopping && free > 0 => ask_at = Some(clock.now()),
            () = stop.cancelled(), if open && !stopping => {}
            else => return,
        }
    }
}

fn report(name: &str, ended: Result<(), JoinError>) {
    // Where it broke is in the log (`server::telemetry`); its words may quote what it was working on.
    if ended.is_err() {
        error!(queue = name, "a worker broke");
    }
}

async fn until(clock: &Clock, at: Option<Timestamp>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
