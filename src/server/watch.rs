//! Looks at the parts every fifteen seconds and shows the alerts what it saw. Translates, and decides nothing.

use std::{sync::Arc, time::Duration};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::tls::Certified;
use crate::{
    alert::{
        alerts::Alerts,
        judge::DEAD_LETTER_NEWS,
        observation::{Database, DeadLetters, End, Observation, SafetyHits, SetAside, Size, Wecom},
    },
    chat::{delivery::Delivery, lately::Lately},
    clock::{Clock, Timestamp},
    config,
    llm::router::{self, Router, Trouble},
    meter::tally::Tally,
    metrics::machine,
    model::id::AppKey,
    store::{Store, audit::Head, figures::Vitals, runs::LastRun},
};

/// How often it looks.
const PAUSE: Duration = Duration::from_secs(15);
/// How long a look at the disk or the database may take on the machine's own clock: a disk that hangs is a disk that
/// fails, and must not keep the others from being told.
const DISK_PATIENCE: Duration = Duration::from_secs(10);

/// The way of an application's messages to WeCom.
pub(super) struct Way {
    /// What operators call the application.
    pub(super) name: Arc<str>,
    pub(super) app: AppKey,
    pub(super) delivery: Arc<Delivery>,
}

/// Watches over the parts.
pub(super) struct Watch {
    store: Store,
    clock: Clock,
    storage: config::Storage,
    ways: Vec<Way>,
    lately: Arc<Lately>,
    models: Router,
    alerts: Alerts,
    tally: Arc<Tally>,
    /// `None`: no certificate is served.
    certificate: Option<Certified>,
    started_at: Timestamp,
    crashed: bool,
    database: Database,
    vitals: Vitals,
    /// Where the audit log ended when it was last told.
    audited: Option<Head>,
}

impl Watch {
    /// Shows `alerts` what it sees of the others. The first of the `ways` is that of the application which tells the
    /// operators; there is at least one.
    pub(super) fn new(
        store: Store,
        clock: Clock,
        storage: config::Storage,
        ways: Vec<Way>,
        lately: Arc<Lately>,
        models: Router,
        alerts: Alerts,
    ) -> Self {
        let now = clock.now();
        let tally = Arc::new(Tally::new(clock.clone()));
        Self {
            store,
            clock,
            storage,
            ways,
            lately,
            models,
            alerts,
            tally,
            certificate: None,
            started_at: now,
            crashed: false,
            database: Database::Writable { since: now },
            vitals: Vitals::default(),
            audited: None,
        }
    }

    /// Tells how often the rules counted by `tally` fitted.
    pub(super) fn with_tally(self, tally: Arc<Tally>) -> Self {
        Self { tally, ..self }
    }

    /// Looks after this certificate too.
    pub(super) fn with_certificate(self, certificate: Option<Certified>) -> Self {
        Self { certificate, ..self }
    }

    /// Works until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            begun = self.store.begin_run(self.started_at) => match begun {
                Ok(last) => self.crashed = last == LastRun::Crashed,
                Err(error) => warn!(%error, "could not remember this start; the next one will not know how it ended"),
            }
        }
        loop {
            let pause = self.clock.now() + PAUSE;
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.look() => {}
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = self.clock.sleep_until(pause) => {}
            }
        }
    }

    async fn look(&mut self) {
        self.look_at_the_database().await;
        self.tell_where_the_audit_log_ends().await;
        let now = self.clock.now();
        let Vitals { waiting, dead_letters, dead_letter_at, used } = self.vitals.clone();
        let mut seen: Vec<_> = self.ways.iter().map(|way| (Arc::clone(&way.name), way.delivery.way())).collect();
        // Where nothing gets through, that has its own alert.
        let outbox_since = seen.iter().zip(&waiting).filter_map(|((_, wecom), waiting)| match wecom {
            Wecom::Works { since } => waiting.outbox.map(|waits| waits.max(*since)),
            Wecom::Blocked { .. } => None,
        });
        let outbox_waiting_since = outbox_since.min();
        let several = self.ways.len() > 1;
        let others = seen.split_off(seen.len().min(1));
        let Some((app, wecom)) = seen.pop() else { return };
        let mib = 1024 * 1024;
        let seen = Observation {
            now,
            started_at: self.started_at,
            crashed: self.crashed,
            wecom,
            app: several.then_some(app),
            others,
            answers: self.lately.ends(),
            set_aside: self.models.set_aside().into_iter().map(aside).collect(),
            // What waited while nobody could work waits, for this, since somebody can.
            inbox_waiting_since: waiting.iter().filter_map(|app| app.inbox).min().map(|at| at.max(self.started_at)),
            outbox_waiting_since,
            disk_free: self.disk_free().await,
            size: self.storage.max_size_mib.map(|limit| Size { used, limit: limit.saturating_mul(mib) }),
            database: self.database.clone(),
            certificate: self.certificate.as_ref().and_then(Certified::look),
            safety: self.tally.lately().map(|hits| SafetyHits { count: hits.times, newest_at: hits.newest_at }),
            dead_letters: dead_letter_at.map(|newest_at| DeadLetters { count: dead_letters, newest_at }),
        };
        self.alerts.look(&seen).await;
    }

    /// Where logs are kept elsewhere, nobody who changes the database can make its audit log anew without being found.
    async fn tell_where_the_audit_log_ends(&mut self) {
        let asked = tokio::time::timeout(DISK_PATIENCE, self.store.audit_head()).await;
        if let Ok(Ok(head)) = asked
            && self.audited != Some(head)
        {
            info!(audit.head = %head, "the audit log ends here");
            self.audited = Some(head);
        }
    }

    async fn look_at_the_database(&mut self) {
        let written = tokio::time::timeout(DISK_PATIENCE, self.store.check_writable()).await;
        let now = self.clock.now();
        let error = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("a write took more than {} s", DISK_PATIENCE.as_secs())),
        };
        self.database = match (error, &self.database) {
            (None, Database::Writable { since }) => Database::Writable { since: *since },
            (None, Database::Failing { .. }) => Database::Writable { since: now },
            (Some(error), Database::Failing { since, .. }) => Database::Failing { since: *since, error },
            (Some(error), Database::Writable { .. }) => Database::Failing { since: now, error },
        };
        let apps: Vec<_> = self.ways.iter().map(|way| way.app.clone()).collect();
        match tokio::time::timeout(DISK_PATIENCE, self.store.vitals(&apps, now - DEAD_LETTER_NEWS)).await {
            Ok(Ok(vitals)) => self.vitals = vitals,
            Ok(Err(error)) => debug!(%error, "could not look at the queues"),
            Err(_) => debug!("could not look at the queues in time"),
        }
    }

    /// Free bytes on the disk of the database; `None` where the system does not say, or not in time.
    async fn disk_free(&self) -> Option<u64> {
        let dir = self.storage.data_dir.clone();
        // On a network's disk this can hang.
        let asked = tokio::task::spawn_blocking(move || machine::disk_free(&dir));
        tokio::time::timeout(DISK_PATIENCE, asked).await.ok()?.ok()?
    }
}

fn aside(one: router::SetAside) -> SetAside {
    SetAside {
        since: one.since,
        end: match one.trouble {
            Trouble::KeyRefused => End::KeyRefused,
            Trouble::NoCredit => End::NoCredit,
            Trouble::Settings => End::Misconfigured,
        },
        upstream: one.upstream.to_string(),
        key: one.key,
        model: one.alias.to_string(),
    }
}
