//! The SQLite file: one thread that writes, a few connections that read.
//!
//! Every change is a job. The writer takes all jobs that have come and commits them together, so that the disk's
//! durability is paid once for many. A job that fails takes nobody with it: the group is then done again, one by one.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};
use tokio::sync::{mpsc, oneshot};

use super::{
    Error,
    lock::{self, Lock},
    migrate,
    readers::Readers,
    terms::{Terms, Unmet},
};
use crate::{
    clock::Timestamp,
    config::{self, storage::Synchronous},
};

pub(super) const FILE: &str = "qimate.db";
/// Jobs that may wait for the writer before callers wait too.
const QUEUE: usize = 4096;
/// Jobs in one commit.
const GROUP: usize = 512;
/// How many reads may run at once.
const READERS: usize = 2;
/// The longest that an outbox lane rests: what the pace of an hour can ask for.
const LONGEST_REST: Duration = Duration::from_secs(3600);
/// How far a clock is moved to be kept right: no reason to think that it was set while the process was away.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);
/// How long a statement waits for another process (a command, a backup) before it gives up. Below the five seconds
/// that WeCom waits for an answer, so that the callback is refused in time and repeated.
const BUSY: Duration = Duration::from_secs(2);

/// The thread that writes. Dropped, it has done what it was given: whoever opens the file next finds nothing of it
/// undone, and nothing is done behind their back.
#[derive(Debug)]
struct Writer {
    /// `None` while it ends.
    tasks: Option<mpsc::Sender<Task>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Writer {
    async fn give(&self, task: Task) -> Result<(), Error> {
        let tasks = self.tasks.as_ref().ok_or(Error::Closed)?;
        tasks.send(task).await.map_err(|_| Error::Closed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.tasks = None;
        // A job may hold the last handle; it cannot wait for itself.
        if let Some(thread) = self.thread.take().filter(|thread| thread.thread().id() != thread::current().id()) {
            let _ = thread.join();
        }
    }
}

/// Handle to the database. Clones share it; the writer ends when the last is dropped.
#[derive(Clone, Debug)]
pub struct Db {
    // Before the lock: it is dropped first.
    writer: Arc<Writer>,
    readers: Arc<Readers>,
    /// Under which changes are made that are made by this handle.
    terms: Option<Arc<Terms>>,
    /// Held as long as the store is open; `None` beside a serving process.
    _lock: Option<Arc<Lock>>,
}

impl Db {
    /// See [`super::Store::open`].
    pub(super) fn open(settings: &config::Storage, now: Timestamp) -> Result<Self, Error> {
        let dir = &settings.data_dir;
        let lock = lock::take(dir)?;
        // On a connection of its own: what a migration takes of memory is given back before those are opened that stay.
        let mut migrating = connect(settings, OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        migrate::migrate(&mut migrating, dir, migrate::ALL)?;
        drop(migrating);
        let writer = connect(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        clear_leases(&writer, now)?;
        Self::start(settings, writer, Some(Arc::new(lock)))
    }

    /// See [`super::Store::open_beside`].
    pub(super) fn open_beside(settings: &config::Storage) -> Result<Self, Error> {
        if !settings.data_dir.join(FILE).exists() {
            return Err(Error::Missing(settings.data_dir.clone()));
        }
        let writer = connect(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        migrate::check(&writer, migrate::ALL)?;
        Self::start(settings, writer, None)
    }

    fn start(settings: &config::Storage, writer: Connection, lock: Option<Arc<Lock>>) -> Result<Self, Error> {
        let readers = Readers::open(READERS, || connect(settings, OpenFlags::SQLITE_OPEN_READ_ONLY))?;
        let (tasks, queue) = mpsc::channel(QUEUE);
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || write_loop(writer, queue))
            .map_err(|source| io(&settings.data_dir, source))?;
        let writer = Arc::new(Writer { tasks: Some(tasks), thread: Some(thread) });
        Ok(Self { writer, readers: Arc::new(readers), terms: None, _lock: lock })
    }

    /// This database, for one change under these terms.
    pub(super) fn under(&self, terms: Arc<Terms>) -> Self {
        Self { terms: Some(terms), ..self.clone() }
    }

    /// Runs `work` in the writer, as part of one transaction. When this returns `Ok`, it is on the disk. `work` may run
    /// twice; the first run was then taken back.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        self.write_then(work, |_| {}).await
    }

    /// The same, and `then` as soon as it is on the disk, before any later job runs: for what must follow the commit
    /// even when whoever asked for it has gone, as a client that hangs up takes its handler with it. Must not block.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written, and `then` does not run.
    pub(super) async fn write_then<T, F, G>(&self, work: F, then: G) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
        G: FnOnce(&T) + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job = Work { terms: self.terms.clone(), unmet: None, work, value: None, then, reply };
        self.writer.give(Task::Change(Box::new(job))).await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Folds the log beside the file into it, and empties it. False where somebody reads at this moment: try again.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub(super) async fn empty_log(&self) -> Result<bool, Error> {
        let (reply, answer) = oneshot::channel();
        self.writer.give(Task::EmptyLog(reply)).await?;
        answer.await.map_err(|_| Error::Closed)?
    }

    /// Runs `work` on a connection that only reads, beside the writer.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub(super) async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        self.readers.read(work).await
    }

    /// A number that changes when another process commits.
    pub(super) async fn foreign_version(&self) -> Result<i64, Error> {
        // Asked of the writer: on its connection, and only there, our own commits do not count.
        self.write(|conn| conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))).await
    }
}

/// What the writer is given.
enum Task {
    Change(Box<dyn Job>),
    /// Not from a connection of its own: to the writer that would look as if another process had written.
    EmptyLog(oneshot::Sender<Result<bool, Error>>),
}

/// One change, and somebody who waits for it.
trait Job: Send {
    /// Makes the change inside an open transaction.
    fn run(&mut self, conn: &Connection) -> Result<(), rusqlite::Error>;
    /// Tells the one who waits, after the commit or the failure.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

struct Work<F, T, G> {
    terms: Option<Arc<Terms>>,
    unmet: Option<Unmet>,
    work: F,
    value: Option<T>,
    then: G,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<F, T, G> Job for Work<F, T, G>
where
    T: Send,
    F: FnMut(&Connection) -> Result<T, rusqlite::Error> + Send,
    G: FnOnce(&T) + Send,
{
    fn run(&mut self, conn: &Connection) -> Result<(), rusqlite::Error> {
        self.unmet = self.terms.as_ref().map_or(Ok(None), |terms| terms.look(conn))?;
        self.value = if self.unmet.is_none() { Some((self.work)(conn)?) } else { None };
        Ok(())
    }

    fn finish(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { terms, unmet, value, then, reply, .. } = *self;
        let answer = outcome.and_then(|()| value.ok_or_else(|| unmet.map_or(Error::Closed, Error::Unmet)));
        if let Ok(value) = &answer {
            if let Some(terms) = terms {
                terms.settle();
            }
            then(value);
        }
        // Who asked may have gone; the change stands all the same.
        let _ = reply.send(answer);
    }
}

fn write_loop(conn: Connection, mut queue: mpsc::Receiver<Task>) {
    let mut group = Vec::with_capacity(GROUP);
    while let Some(first) = queue.blocking_recv() {
        let mut next = Some(first);
        let mut emptying = None;
        while let Some(task) = next {
            match task {
                Task::Change(job) => group.push(job),
                Task::EmptyLog(reply) => {
                    emptying = Some(reply);
                    break;
                }
            }
            next = if group.len() < GROUP { queue.try_recv().ok() } else { None };
        }
        if !group.is_empty() {
            commit_group(&conn, &mut group);
        }
        if let Some(reply) = emptying {
            let _ = reply.send(empty_log(&conn).map_err(Error::from));
        }
    }
    // So that a copy of the file alone is complete. Failing costs nothing.
    let _ = conn.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)");
}

/// False where a reader is in the way: it is not waited for, since nothing is written meanwhile.
fn empty_log(conn: &Connection) -> Result<bool, rusqlite::Error> {
    conn.busy_timeout(Duration::ZERO)?;
    let busy = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
    conn.busy_timeout(BUSY)?;
    Ok(busy? == 0)
}

fn commit_group(conn: &Connection, group: &mut Vec<Box<dyn Job>>) {
    match transact(conn, group) {
        Ok(()) => group.drain(..).for_each(|job| job.finish(Ok(()))),
        Err(error) if group.len() == 1 || concerns_all(&error) => {
            let error = Error::from(error);
            group.drain(..).for_each(|job| job.finish(Err(error.clone())));
        }
        Err(_) => {
            for mut job in group.drain(..) {
                let outcome = transact(conn, std::slice::from_mut(&mut job));
                job.finish(outcome.map_err(Error::from));
            }
        }
    }
}

fn transact(conn: &Connection, group: &mut [Box<dyn Job>]) -> Result<(), rusqlite::Error> {
    let outcome = conn
        .prepare_cached("BEGIN IMMEDIATE")
        .and_then(|mut begin| begin.execute([]))
        .and_then(|_| group.iter_mut().try_for_each(|job| job.run(conn)))
        .and_then(|()| conn.prepare_cached("COMMIT")?.execute([]))
        .map(|_| ());
    if outcome.is_err() && !conn.is_autocommit() {
        // If even this fails, SQLite has rolled back by itself, or the next BEGIN says so.
        let _ = conn.execute_batch("ROLLBACK");
    }
    outcome
}

/// Whether the next job would fail for the same reason.
fn concerns_all(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
        )
    )
}

/// Ends the leases of the process before: it is gone, or we would not have the lock. What it was sending may have
/// arrived. Nothing rests longer than it may from now, in case the clock was set back since.
fn clear_leases(conn: &Connection, now: Timestamp) -> Result<(), rusqlite::Error> {
    conn.execute_batch(
        "UPDATE outbox SET unsure_since = COALESCE(unsure_since, attempted_at)
         WHERE state = 'waiting' AND batch = seq
           AND lane IN (SELECT lane FROM outbox_lane WHERE lease IS NOT NULL)",
    )?;
    conn.execute("UPDATE inbox_lane SET lease = NULL, ready_at = MIN(ready_at, ?1)", [now.as_millis()])?;
    let longest_rest = (now + LONGEST_REST).as_millis();
    conn.execute("UPDATE outbox_lane SET lease = NULL, ready_at = MIN(ready_at, ?1)", [longest_rest])?;
    // Sent in the future: as good as just now. In doubt since the future: for nobody knows how long, so too long.
    conn.execute("UPDATE outbox SET attempted_at = ?1 WHERE batch = seq AND attempted_at > ?1", [now.as_millis()])?;
    let beyond = (now + CLOCKS_DIFFER).as_millis();
    conn.execute("UPDATE outbox SET unsure_since = 0 WHERE state = 'waiting' AND unsure_since > ?1", [beyond])?;
    Ok(())
}

/// Makes the directory where it is missing. What is in it is what employees say: nobody else on the machine reads it.
pub(super) fn private_dir(dir: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)
}

/// The same for the database itself, whose mode SQLite gives to the files beside it.
pub(super) fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

pub(super) fn connect(settings: &config::Storage, flags: OpenFlags) -> Result<Connection, Error> {
    let path = settings.data_dir.join(FILE);
    if flags.contains(OpenFlags::SQLITE_OPEN_CREATE) {
        private_file(&path).map_err(|source| io(&path, source))?;
    }
    let conn = Connection::open_with_flags(&path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.set_prepared_statement_cache_capacity(64);
    plan_once(&conn)?;
    if flags.contains(OpenFlags::SQLITE_OPEN_READ_ONLY) {
        conn.execute_batch("PRAGMA cache_size = -1024")?;
        return Ok(conn);
    }
    let synchronous = match settings.synchronous {
        Synchronous::Full => "FULL",
        Synchronous::Normal => "NORMAL",
    };
    // `secure_delete`: what a member wrote is gone from the file when its row is. `journal_size_limit` returns what a burst took; 1000 pages between checkpoints gave the evenest commits.
    conn.execute_batch(&format!(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = {synchronous};
         PRAGMA wal_autocheckpoint = 1000;
         PRAGMA journal_size_limit = 67108864;
         PRAGMA cache_size = -6144;
         PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;"
    ))?;
    if let Some(mib) = settings.max_size_mib {
        let page_size: u64 = conn.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        conn.pragma_update(None, "max_page_count", mib.saturating_mul(1024 * 1024) / page_size)?;
    }
    Ok(conn)
}

/// Has a statement planned when it is prepared. By default one with `LIMIT ?`, or with `> ?` on an index, is planned again
/// each time that a value is bound.
pub(super) fn plan_once(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(drop)
}

pub(super) fn io(path: &Path, source: std::io::Error) -> Error {
    Error::Io { path: PathBuf::from(path), source: Arc::new(source) }
}
