//! Runs a server until it is told to stop, and stops it well: whoever is at work may end, nobody begins.

use std::{sync::Arc, time::Duration};

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use super::{Server, listen, privacy::let_texts_go};
use crate::{
    admin::{Admin, felt::Asked},
    api::Api,
    chat::announcer::Announcer,
    clock::Clock,
    config,
    meter::allowances::Allowances,
    store::{
        self, Store,
        ledger::{Keep, Ledger},
        sightings::Sightings,
    },
};

/// How often the store is asked whether a command changed it.
const FOREIGN_CHANGES: Duration = Duration::from_secs(1);
/// How often what was seen of callbacks is saved.
const SAVE_SIGHTINGS: Duration = Duration::from_secs(5);
/// How often what is old is deleted.
const PRUNE: Duration = Duration::from_secs(3600);

/// How long it may take to remember that the process was stopped.
const LAST_WORD: Duration = Duration::from_secs(3);

/// How a server is told to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    soft: CancellationToken,
    hard: CancellationToken,
}

impl Stop {
    /// Nothing has been said yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks to stop. The first time, open turns and deliveries may end until the deadline; the second time, they are
    /// dropped: what they were at is in the store, and goes on after the next start.
    pub fn request(&self) {
        if self.soft.is_cancelled() {
            self.hard.cancel();
        }
        self.soft.cancel();
    }

    /// Waits until somebody asks to stop.
    pub async fn requested(&self) {
        self.soft.cancelled().await;
    }

    /// Asks to stop when the process gets SIGTERM or SIGINT (Ctrl-C).
    ///
    /// # Errors
    /// The system does not let signals be watched.
    #[cfg(unix)]
    pub fn on_signals(&self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let stop = self.clone();
        tokio::spawn(async move {
            while !stop.hard.is_cancelled() {
                tokio::select! {
                    _ = terminate.recv() => info!("SIGTERM: stopping"),
                    _ = interrupt.recv() => info!("SIGINT: stopping"),
                }
                stop.request();
            }
        });
        Ok(())
    }

    /// Asks to stop on Ctrl-C.
    ///
    /// # Errors
    /// None on this system.
    #[cfg(not(unix))]
    pub fn on_signals(&self) -> std::io::Result<()> {
        let stop = self.clone();
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() {
                stop.request();
            }
        });
        Ok(())
    }
}

impl Server {
    /// Runs until `stop`.
    ///
    /// # Errors
    /// A part ended that must not: the process should end too, and be started again.
    pub async fn run(self, stop: Stop) -> anyhow::Result<()> {
        let Self {
            config,
            clock,
            store,
            listener,
            router,
            tls,
            operations,
            apps,
            servers,
            watch,
            webhook,
            standing,
            allowances,
            directory,
            api,
            admin,
            asked,
            ledger,
        } = self;
        // Whatever is still in here when this function returns is dropped with it.
        let mut parts = JoinSet::new();
        let (acceptor, keeper) = tls.unzip();
        let proxies = config.v1.trusted_proxies.clone();
        parts.spawn(listen::serve(listener, router, acceptor, proxies, stop.soft.clone()));
        if let Some(keeper) = keeper {
            parts.spawn(keeper.run(stop.soft.clone()));
        }
        if let Some((listener, router)) = operations {
            parts.spawn(listen::serve(listener, router, None, Vec::new(), stop.soft.clone()));
        }
        parts.spawn(servers.run(stop.soft.clone()));
        parts.spawn(directory.run(stop.soft.clone()));
        parts.spawn(watch.run(stop.soft.clone()));
        let announcer = Announcer::new(store.clone(), clock.clone(), config.chat.language);
        parts.spawn(announcer.run(stop.soft.clone()));
        if let Some(webhook) = webhook {
            parts.spawn(webhook.run(stop.soft.clone()));
        }
        parts.spawn({
            let (at_start, stop) = (config.server.check_at_start, stop.soft.clone());
            async move { standing.run(at_start, stop).await }
        });
        let sightings: Vec<_> = apps.iter().map(|app| Arc::clone(&app.sightings)).collect();
        parts.spawn(save_sightings(sightings.clone(), store.clone(), clock.clone(), stop.soft.clone()));
        if let Some(api) = api.clone() {
            parts.spawn(api.run(stop.soft.clone(), config.server.stop_timeout));
        }
        parts.spawn(admin.clone().run(stop.soft.clone()));
        parts.spawn(watch_commands(
            store.clone(),
            clock.clone(),
            allowances,
            api,
            (admin, asked),
            ledger.clone(),
            stop.soft.clone(),
        ));
        parts.spawn(let_texts_go(store.clone(), clock.clone(), stop.soft.clone()));
        parts.spawn(prune(store.clone(), clock.clone(), config.storage, stop.soft.clone()));
        let keep = Keep { calls: config.team.keep_calls, totals: config.team.keep_totals };
        parts.spawn(prune_usage(ledger.clone(), clock.clone(), keep, stop.soft.clone()));
        for app in apps {
            app.start(&mut parts, &stop.soft);
        }

        let deadline = deadline(&stop, &clock, config.server.stop_timeout);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = parts.join_next() => match ended {
                    None => break,
                    // What it said is not repeated: it may quote a message. Where it broke is in the log.
                    Some(Err(_)) => anyhow::bail!("a part of the server broke; the log says where"),
                    Some(Ok(())) => anyhow::ensure!(stop.soft.is_cancelled(), "a part of the server ended unasked"),
                },
                () = &mut deadline => {
                    warn!("not everything ended in time; the rest is done after the next start");
                    break;
                }
            }
        }
        // The listener has ended: nothing is seen any more.
        if tokio::time::timeout(LAST_WORD, save(&sightings, &store)).await.is_err() {
            debug!("could not save what was seen of callbacks");
        }
        if !matches!(tokio::time::timeout(LAST_WORD, ledger.flush()).await, Ok(Ok(()))) {
            warn!("could not write down the last model calls");
        }
        // A disk that hangs does not hold the process up.
        if !matches!(tokio::time::timeout(LAST_WORD, store.end_run(clock.now())).await, Ok(Ok(()))) {
            warn!("could not remember this stop; the next start will take it for a crash");
        }
        info!("stopped");
        Ok(())
    }
}

async fn deadline(stop: &Stop, clock: &Clock, limit: Duration) {
    stop.soft.cancelled().await;
    tokio::select! {
        () = stop.hard.cancelled() => {}
        () = clock.sleep(limit) => {}
    }
}

/// Lets a command such as `qimate dead-letters retry` or `qimate plan` be felt within a second, a change over HTTP at once,
/// and a change of the address book where it concerns more than who may ask.
async fn watch_commands(
    store: Store,
    clock: Clock,
    allowances: Arc<Allowances>,
    api: Option<Api>,
    (admin, mut asked): (Admin, Asked),
    ledger: Ledger,
    stop: CancellationToken,
) {
    /// Of no version: everything is read again.
    const NONE: i64 = -1;
    let mut seen = 0;
    loop {
        let waits = tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(FOREIGN_CHANGES) => None,
            waits = asked.next() => Some(waits),
        };
        if waits.is_some() {
            // Where it cannot be read now, it is tried again every second.
            seen = NONE;
        }
        let noticed = async {
            let version = store.notice_foreign_changes(seen).await?;
            let changed = allowances.people().take_changed();
            if changed && let Err(error) = ledger.follow_renames().await {
                debug!(%error, "what was used under a userid of before is carried over later");
            }
            if changed || version != seen {
                allowances.reload().await?;
                if let Some(api) = &api {
                    api.reload().await?;
                }
            }
            if version != seen || admin.is_stale() {
                admin.reload().await?;
            }
            Ok::<_, store::Error>(version)
        };
        match noticed.await {
            Ok(version) => seen = version,
            Err(error) => debug!(%error, "could not look for changes by commands"),
        }
        waits.map(|waits| waits.send(()));
    }
}

/// Saves now and then what was seen of callbacks.
async fn save_sightings(sightings: Vec<Arc<Sightings>>, store: Store, clock: Clock, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(SAVE_SIGHTINGS) => {}
        }
        save(&sightings, &store).await;
    }
}

async fn save(sightings: &[Arc<Sightings>], store: &Store) {
    for of_app in sightings {
        if let Err(error) = of_app.save(store).await {
            debug!(%error, "could not save what was seen of callbacks");
        }
    }
}

async fn prune(store: Store, clock: Clock, settings: config::Storage, stop: CancellationToken) {
    loop {
        let pruned = tokio::select! {
            () = stop.cancelled() => return,
            pruned = store.prune(clock.now(), settings.keep) => pruned,
        };
        match pruned {
            Ok(0) => {}
            Ok(rows) => info!(rows, "deleted what is older than storage.keep_days, or chat.keep_days"),
            Err(error) => error!(%error, "could not delete what is old"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(PRUNE) => {}
        }
    }
}

/// Deletes from the file of usage what is old. Where that fails, nothing else is concerned.
async fn prune_usage(ledger: Ledger, clock: Clock, keep: Keep, stop: CancellationToken) {
    loop {
        let pruned = tokio::select! {
            () = stop.cancelled() => return,
            pruned = ledger.prune(keep) => pruned,
        };
        match pruned {
            Ok(0) => {}
            Ok(rows) => info!(rows, "deleted usage that is older than team.keep_calls_days"),
            Err(error) => warn!(%error, "could not delete usage that is old"),
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = clock.sleep(PRUNE) => {}
        }
    }
}
