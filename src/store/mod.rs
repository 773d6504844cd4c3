//! What is durable: the inbox, conversations with their turns, the outbox and its dead letters, in one SQLite file, and
//! media beside it.
//!
//! Nothing outside this room writes SQL, and nothing in it knows what WeCom or a model is. It gives and takes nouns of
//! `model`. To store something new, add a migration, and a file with one function for each question that is asked of
//! it; every writing function is one job of the writer (`Db::write`), so it is one transaction.

pub mod alerts;
pub mod announcements;
pub mod audit;
pub mod backup;
pub mod blocks;
pub mod conversation;
mod copy;
pub mod db;
pub mod dead_letters;
mod ended;
pub mod facts;
pub mod figures;
pub mod grants;
pub mod inbox;
pub mod key_links;
pub mod keys;
mod lane;
pub mod ledger;
mod lock;
pub mod media;
pub mod member;
pub mod migrate;
pub mod operators;
pub mod outbox;
pub mod people;
pub mod plans;
pub mod preferences;
mod privacy;
pub mod profiles;
mod prune;
pub mod quota_requests;
mod readers;
pub mod restore;
mod retention;
pub mod runs;
pub mod secrets;
mod setting;
pub mod sightings;
pub mod steps;
pub mod summaries;
pub mod terms;
pub mod usage;
pub mod usage_key;
pub mod used;

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use self::{db::Db, media::Shelf, privacy::Modes, retention::Shorter};
use crate::{
    clock::Timestamp,
    config,
    model::id::{AppKey, Lane},
};

/// Why the store did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be written or read at this moment: disk full, file read-only, locked by another process. Nothing was
    /// changed; try again later.
    #[error("the database cannot be used at the moment: {0}")]
    Unavailable(#[source] Arc<rusqlite::Error>),
    /// What it holds is not what was put there.
    #[error("the database holds a value that cannot be read: {0}")]
    Corrupt(String),
    /// The system gives no random bytes, so nothing secret can be drawn.
    #[error("the system gives no random bytes")]
    NoRandomBytes,
    /// The terms under which it was to be done do not hold. Nothing was changed.
    #[error(transparent)]
    Unmet(terms::Unmet),
    /// The store is closing.
    #[error("the database is closed")]
    Closed,
    /// The directory or a file in it cannot be used.
    #[error("{path}: {source}", path = .path.display())]
    Io {
        /// Which one.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// Another process serves from this directory.
    #[error("{}: another qimate is running on this data directory; stop it, or set storage.data_dir", .0.display())]
    InUse(PathBuf),
    /// There is no database there.
    #[error("{}: no database there; is storage.data_dir right, and has qimate been started once?", .0.display())]
    Missing(PathBuf),
    /// A file that was given is not what a backup is.
    #[error("{}: {why}", .path.display())]
    NotABackup {
        /// Which one.
        path: PathBuf,
        /// What it is instead.
        why: String,
    },
    /// A file with this name is there.
    #[error("{}: is there already", .0.display())]
    Exists(PathBuf),
    /// A database of an older version could not be copied before it is brought to this one. Nothing was changed.
    #[error(
        "{}: the copy that is made before the database is brought to this version could not be written ({cause}), so \
         nothing was changed; make room for a second database there, or go back to the qimate of before", .path.display()
    )]
    NoCopyBefore {
        /// The copy.
        path: PathBuf,
        /// What was in the way; said in the sentence.
        cause: Box<Self>,
    },
    /// The file of usage cannot be used. Nothing else is concerned.
    #[error("{}: the file of usage cannot be used ({cause}); a daemon that is started without it begins another", .path.display())]
    Usage {
        /// The file.
        path: PathBuf,
        /// Why; said in the sentence.
        cause: Box<Self>,
    },
    /// A newer Qimate wrote the database.
    #[error("the database is of version {found}, and this qimate knows versions up to {known}; use a newer qimate")]
    NewerSchema {
        /// The version of the file.
        found: i64,
        /// The newest version that this binary knows.
        known: i64,
    },
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::Error as E;
        match error {
            E::FromSqlConversionFailure(..) | E::IntegralValueOutOfRange(..) | E::InvalidColumnType(..) => {
                Self::Corrupt(error.to_string())
            }
            other => Self::Unavailable(Arc::new(other)),
        }
    }
}

/// The claim that a worker worked under is not its own any more: its member was erased meanwhile, or another worker has
/// it. What it tried to write was not written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the claim was lost: the member was erased, or another worker has it")]
pub struct LeaseLost;

/// The durable state of this process. Clones share it.
#[derive(Clone, Debug)]
pub struct Store {
    db: Db,
    shelf: Shelf,
    signals: Arc<Signals>,
    modes: Modes,
    shorter: Shorter,
}

/// Wakes whoever works the queues. Each application has a dispatcher for each of its queues, who is woken for what is
/// its own and for nothing else.
#[derive(Debug, Default)]
struct Signals {
    /// For the one who sends announcements.
    announcements: Notify,
    /// For the one who empties the log where texts are not kept.
    texts_went: Notify,
    of_app: Mutex<HashMap<AppKey, Arc<Wake>>>,
}

/// Wakes the two dispatchers of one application.
#[derive(Debug, Default)]
struct Wake {
    inbox: Notify,
    outbox: Notify,
}

impl Signals {
    /// Those of this application.
    fn of(&self, app: &str) -> Arc<Wake> {
        let mut of_app = self.lock();
        // Also where nobody waits yet: what is said now is heard by the dispatcher that begins a moment later.
        let missing = || AppKey::from_stored(app);
        match of_app.get(app) {
            Some(wake) => Arc::clone(wake),
            None => Arc::clone(of_app.entry(missing()).or_default()),
        }
    }

    fn wake_all(&self) {
        for wake in self.lock().values() {
            wake.inbox.notify_one();
            wake.outbox.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<AppKey, Arc<Wake>>> {
        self.of_app.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    /// Opens the database for serving: creates what is missing, migrates, and frees what the process before held. The
    /// directory belongs to this process until the store is dropped; that is what makes the leases of the process
    /// before worthless.
    ///
    /// # Errors
    /// [`Error::InUse`], [`Error::NewerSchema`], or that the directory cannot be used.
    pub fn open(settings: &config::Storage, now: Timestamp) -> Result<Self, Error> {
        let db = Db::open(settings, now)?;
        let shelf = Shelf::new(&settings.data_dir);
        shelf.tidy()?;
        Ok(Self { db, shelf, signals: Arc::default(), modes: Modes::default(), shorter: Shorter::default() })
    }

    /// Opens the database beside a process that may be serving from it: for commands.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is none, otherwise as [`Store::open`].
    pub fn open_beside(settings: &config::Storage) -> Result<Self, Error> {
        let db = Db::open_beside(settings)?;
        let shelf = Shelf::new(&settings.data_dir);
        Ok(Self { db, shelf, signals: Arc::default(), modes: Modes::default(), shorter: Shorter::default() })
    }

    /// Wakes the dispatcher of the outbox for a lane; for [`Db::write_then`].
    fn wake_outbox<T>(&self, lane: &Lane) -> impl FnOnce(&T) + Send + 'static {
        let (signals, lane) = (Arc::clone(&self.signals), lane.clone());
        let keeps_texts = self.modes.of(&lane).keeps_texts();
        move |_| {
            signals.of(lane.app()).outbox.notify_one();
            if !keeps_texts {
                signals.texts_went.notify_one();
            }
        }
    }

    /// The same for both queues.
    fn wake_both<T>(&self, lane: &Lane) -> impl FnOnce(&T) + Send + 'static {
        let (signals, lane) = (Arc::clone(&self.signals), lane.clone());
        move |_| {
            let wake = signals.of(lane.app());
            wake.inbox.notify_one();
            wake.outbox.notify_one();
        }
    }

    /// Waits until the inbox of an application may hold something to claim.
    pub async fn inbox_ready(&self, app: &AppKey) {
        self.signals.of(app.as_str()).inbox.notified().await;
    }

    /// Waits until the outbox of an application may hold something to claim.
    pub async fn outbox_ready(&self, app: &AppKey) {
        self.signals.of(app.as_str()).outbox.notified().await;
    }

    /// Waits until there may be an announcement to be sent.
    pub async fn announcements_ready(&self) {
        self.signals.announcements.notified().await;
    }

    /// Writes a page and takes it back.
    ///
    /// # Errors
    /// [`Error::Unavailable`] with the reason, when the next message could not be saved either.
    pub async fn check_writable(&self) -> Result<(), Error> {
        self.db
            .write(|conn| {
                conn.prepare_cached("INSERT INTO probe (page) VALUES (zeroblob(16384))")?.execute([])?;
                conn.prepare_cached("DELETE FROM probe")?.execute([])?;
                Ok(())
            })
            .await
    }

    /// Wakes the dispatchers when another process changed the database, as `qimate dead-letters retry` does. Cheap
    /// enough to be asked every second.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn notice_foreign_changes(&self, seen: i64) -> Result<i64, Error> {
        let version = self.db.foreign_version().await?;
        if version != seen {
            self.signals.wake_all();
        }
        Ok(version)
    }

    /// Takes away what applications that keep no texts have of before: under another mode, or from a backup. Returns how
    /// many rows lost something.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be written.
    pub async fn sweep(&self, now: Timestamp) -> Result<usize, Error> {
        let swept = privacy::sweep(&self.db, &self.shelf, &self.modes, now).await?;
        self.signals.texts_went.notify_one();
        Ok(swept)
    }

    /// Deletes finished rows and media that are older than `keep`, or than their application's own days, a bounded number
    /// at a time, so that no callback waits for it. Returns how many went.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be written.
    pub async fn prune(&self, now: Timestamp, keep: Duration) -> Result<usize, Error> {
        let mut pruned = prune::prune(&self.db, now, keep).await?;
        pruned += privacy::prune(&self.db, &self.modes, now).await?;
        let of_apps = retention::prune(&self.db, &self.shelf, &self.shorter, now).await?;
        if of_apps > 0 {
            self.signals.texts_went.notify_one();
        }
        Ok(pruned + of_apps + media::prune(&self.db, &self.shelf, now - keep).await?)
    }
}
