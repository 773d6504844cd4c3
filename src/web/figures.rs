//! What has to be asked for when somebody looks: the store's queues and the disk.
//!
//! However many ask at once, the store is asked by one of them and at most once a second; the others share its answer.
//! It takes one of the connections that read, and nothing that a callback needs.

use std::{path::PathBuf, time::Duration};

use tokio::sync::Mutex;
use tracing::debug;

use crate::{
    clock::{Clock, Timestamp},
    metrics::{Depth, Sample, machine},
    store::{
        Store,
        audit::Head,
        figures::{Figures as Stored, OfApp, Queued},
        people::directory::Unread,
    },
};

/// How long an answer stands.
const FRESH: Duration = Duration::from_secs(1);
/// How long is waited for the store and the disk; a collector gives up after ten seconds.
const PATIENCE: Duration = Duration::from_secs(3);

/// Asks, and shares what it is told.
#[derive(Debug)]
pub struct Figures {
    store: Store,
    clock: Clock,
    data_dir: PathBuf,
    last: Mutex<Option<Asked>>,
}

/// What was told.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    at: Timestamp,
    /// For the metrics.
    pub(super) sample: Sample,
    /// When the last callback was accepted.
    pub(super) last_accepted: Option<Timestamp>,
    /// What waits, application by application; `None` when that cannot be found out.
    pub(super) by_app: Option<Vec<OfApp>>,
    /// Address books that could not be read the last time, as far as that can be found out.
    pub(super) unread: Vec<Unread>,
    /// Where the audit log ends; the same.
    pub(super) audit: Option<Head>,
}

impl Figures {
    /// Asks `store`, and the disk under `data_dir`.
    pub fn new(store: Store, clock: Clock, data_dir: PathBuf) -> Self {
        Self { store, clock, data_dir, last: Mutex::default() }
    }

    /// How things are, at most a second ago.
    pub(super) async fn now(&self) -> Asked {
        let mut last = self.last.lock().await;
        let now = self.clock.now();
        match &*last {
            Some(asked) if asked.at <= now && now.since(asked.at) < FRESH => asked.clone(),
            _ => last.insert(self.ask(now).await).clone(),
        }
    }

    async fn ask(&self, now: Timestamp) -> Asked {
        let data_dir = self.data_dir.clone();
        let disk = tokio::task::spawn_blocking(move || machine::disk_free(&data_dir));
        // Not on our clock: this is about the machine under us.
        let (stored, disk) =
            tokio::join!(tokio::time::timeout(PATIENCE, self.store.figures()), tokio::time::timeout(PATIENCE, disk),);
        let mut stored = match stored {
            Ok(Ok(stored)) => Some(stored),
            Ok(Err(error)) => {
                debug!(%error, "could not look how much waits");
                None
            }
            Err(_) => {
                debug!("could not look how much waits: the database takes too long");
                None
            }
        };
        let depth = |queued: Queued| Depth {
            messages: queued.rows,
            oldest: queued.oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)),
        };
        let of = |queue: fn(&Stored) -> Queued| stored.as_ref().map(|stored| depth(queue(stored)));
        let sample = Sample {
            inbox: of(|stored| stored.inbox),
            outbox: of(|stored| stored.outbox),
            dead_letters: stored.as_ref().map(|stored| stored.dead_letters),
            disk_free: disk.ok().and_then(Result::ok).flatten(),
        };
        let unread = stored.as_mut().map(|stored| std::mem::take(&mut stored.unread)).unwrap_or_default();
        let audit = stored.as_ref().map(|stored| stored.audit);
        let (last_accepted, by_app) = stored.map(|stored| (stored.last_accepted, stored.by_app)).unzip();
        Asked { at: now, sample, last_accepted: last_accepted.flatten(), by_app, unread, audit }
    }
}
