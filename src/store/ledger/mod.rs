//! What model calls took, one row for each, in a file of its own (`usage.db`), with their sums by the hour and by the
//! day.
//!
//! Nobody waits for it: calls go into a queue that has an end, and a thread writes what has come, some at a time. A crash
//! loses what is in the queue; where the disk cannot be written, what does not fit into the queue is lost, and how many
//! that were is logged. Where the file is deleted or broken, another is begun. Nothing is decided by what stands here:
//! quotas have their own figures (`store::used`), saved with the answers.
//!
//! To sum up by something else, add a [`totals::Dimension`].

mod file;
mod of_member;
mod prune;
mod read;
mod rebuild;
mod renamed;
mod span;
pub mod totals;
mod write;

#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, Thread},
    time::{Duration, Instant},
};

use rusqlite::{Connection, OpenFlags};
use tokio::sync::oneshot;
use tracing::{info, warn};

pub(super) use self::{
    file::USAGE,
    of_member::{erase, export},
    renamed::follow_beside,
};
pub use self::{
    prune::Keep,
    read::{Books, COLUMNS_OF_CALLS, ExportError, Line, csv_field},
    rebuild::rebuild,
    span::{InvalidSpan, Span},
};
use self::{renamed::Renamed, write::Calendar};
use super::{Error, db, people};
use crate::{
    clock::{Clock, zone::Zone},
    config,
    model::call::Call,
};

/// Calls that may wait to be written; what comes beyond is lost. Half an hour of a busy company, some 2 MiB.
const QUEUE: usize = 8192;
/// Calls in one transaction.
const BATCH: usize = 512;
/// How long a call waits for others to be written with it: what a crash loses. Not longer, so that what is written at once
/// takes no more than a millisecond or two from who is being answered.
const LINGER: Duration = Duration::from_millis(100);
/// How long the file is left alone after it could not be written.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Takes calls to be remembered. Clones share it; its thread ends, with everything written, when the last is dropped.
#[derive(Clone, Debug)]
pub struct Ledger(Arc<Desk>);

/// What the clones share.
#[derive(Debug)]
struct Desk {
    orders: Sender<Order>,
    keeper: Thread,
    tally: Arc<Tally>,
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
        self.keeper.unpark();
    }
}

/// How many calls there are; known on both sides of the queue.
#[derive(Debug, Default)]
struct Tally {
    /// Neither written nor lost. The queue itself has no end, so that it takes memory only for what is in it.
    waiting: AtomicUsize,
    /// Lost, and nobody was told of it yet.
    lost: AtomicU64,
}

enum Order {
    Call(Box<Call>),
    Do(Box<dyn FnOnce(&mut Keeper) + Send>),
    End,
}

impl Ledger {
    /// For the file in the data directory, which belongs to this process (`Store::open`). Days and hours are those of
    /// `zone`. Opens nothing yet: where the file cannot be used, the company is served without.
    ///
    /// # Errors
    /// [`Error::Io`]: the system makes no thread.
    pub fn start(settings: &config::Storage, zone: Zone, clock: Clock) -> Result<Self, Error> {
        let (orders, queue) = mpsc::channel();
        let tally = Arc::new(Tally::default());
        let dir = settings.data_dir.clone();
        let file = OpenFile { dir: dir.clone(), clock, open: None };
        let people = People { settings: settings.clone(), conn: None };
        let keeper = Keeper { file, people, calendar: Calendar::new(zone), failure: None, tally: Arc::clone(&tally) };
        let thread = thread::Builder::new()
            .name("usage-writer".to_owned())
            .spawn(move || keeper.keep(&queue))
            .map_err(|source| db::io(&dir, source))?;
        Ok(Self(Arc::new(Desk { orders, keeper: thread.thread().clone(), tally })))
    }

    /// Remembers a call, soon. Waits for nothing.
    pub fn record(&self, call: Call) {
        let Desk { orders, keeper, tally } = &*self.0;
        let before = tally.waiting.fetch_add(1, Ordering::Relaxed);
        if before >= QUEUE || orders.send(Order::Call(Box::new(call))).is_err() {
            tally.waiting.fetch_sub(1, Ordering::Relaxed);
            tally.lost.fetch_add(1, Ordering::Relaxed);
        } else if before == BATCH {
            keeper.unpark();
        }
    }

    /// Waits until every call of before is written, or cannot be.
    ///
    /// # Errors
    /// [`Error`] when they could not be written.
    pub async fn flush(&self) -> Result<(), Error> {
        self.ask(|keeper| keeper.failure.clone().map_or(Ok(()), Err)).await
    }

    /// Gives members what they used under a userid of before.
    ///
    /// # Errors
    /// [`Error`] when it could not be read or written; it is done with the next calls.
    pub async fn follow_renames(&self) -> Result<(), Error> {
        self.ask(Keeper::follow_renames).await
    }

    /// Deletes what is older than it is kept, a few rows at a time. Returns how many went.
    ///
    /// # Errors
    /// [`Error`] when it cannot be written.
    pub async fn prune(&self, keep: Keep) -> Result<usize, Error> {
        let now = self.ask(|keeper| Ok(keeper.file.clock.now())).await?;
        let mut total = 0;
        for step in prune::steps(keep, now) {
            loop {
                // Each is an order of its own: calls are written in between.
                let (more, deleted) = self.ask(move |keeper| keeper.file.with(|conn| prune::step(conn, step))).await?;
                total += deleted;
                if !more {
                    break;
                }
            }
        }
        Ok(total)
    }

    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Keeper) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        let order = Order::Do(Box::new(move |keeper| {
            // Who asked may have gone.
            let _ = reply.send(work(keeper));
        }));
        self.0.orders.send(order).map_err(|_| Error::Closed)?;
        self.0.keeper.unpark();
        answer.await.map_err(|_| Error::Closed)?
    }
}

/// The one who writes.
struct Keeper {
    file: OpenFile,
    people: People,
    calendar: Calendar,
    /// Why it cannot be written since a while; that was said.
    failure: Option<Error>,
    tally: Arc<Tally>,
}

impl Keeper {
    /// Writes what comes, until the end.
    fn keep(mut self, queue: &Receiver<Order>) {
        // Of before a crash, perhaps. Where it fails, it is done with the first calls.
        let _ = self.follow_renames();
        let mut goes_on = true;
        while goes_on {
            let mut batch = Vec::new();
            // Without this it would not be woken by a call.
            let Ok(first) = queue.recv() else { return };
            goes_on = self.take(first, &mut batch) && self.gather(queue, &mut batch, LINGER, BATCH);
            while !self.write(&mut batch) {
                if !goes_on {
                    return;
                }
                goes_on = self.gather(queue, &mut batch, AFTER_FAILURE, usize::MAX);
            }
        }
    }

    /// Takes what comes for so long, or until there is `enough`. Calls do not wake it: that would cost each of them more
    /// than it takes to write it. False at the end.
    fn gather(&mut self, queue: &Receiver<Order>, batch: &mut Vec<Call>, time: Duration, enough: usize) -> bool {
        let until = Instant::now() + time;
        loop {
            while batch.len() < enough {
                let goes_on = match queue.try_recv() {
                    Ok(order) => self.take(order, batch),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => false,
                };
                if !goes_on {
                    return false;
                }
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || batch.len() >= enough {
                return true;
            }
            thread::park_timeout(left);
        }
    }

    fn follow_renames(&mut self) -> Result<(), Error> {
        let told = self.people.renamed()?;
        if told.is_empty() && !self.file.dir.join(USAGE).exists() {
            return Ok(());
        }
        self.file.with(|conn| renamed::follow(conn, &told))
    }

    /// False at the end.
    fn take(&mut self, order: Order, batch: &mut Vec<Call>) -> bool {
        match order {
            Order::Call(call) => batch.push(*call),
            Order::Do(work) => {
                self.write(batch);
                work(self);
            }
            Order::End => return false,
        }
        true
    }

    /// Writes the batch and empties it. False when it could not be written.
    fn write(&mut self, batch: &mut Vec<Call>) -> bool {
        if batch.is_empty() {
            return true;
        }
        // A call is not held back for it.
        let _ = self.follow_renames();
        let Self { file, people, calendar, failure, tally } = self;
        people.fill_in(batch);
        match file.with(|conn| write::write(conn, batch, calendar)) {
            Ok(()) => {
                tally.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
                batch.clear();
                if failure.take().is_some() {
                    info!("the file of usage is written again");
                }
                let lost = tally.lost.swap(0, Ordering::Relaxed);
                if lost > 0 {
                    warn!(lost, "model calls are missing in the file of usage: it could not be written fast enough");
                }
                true
            }
            Err(error) => {
                if failure.is_none() {
                    warn!(%error, "cannot write the file of usage; trying again every second");
                }
                *failure = Some(error);
                false
            }
        }
    }
}

/// Who knows in which departments members are: the database, read beside its writer.
struct People {
    settings: config::Storage,
    conn: Option<Connection>,
}

impl People {
    /// Who has another userid now.
    fn renamed(&mut self) -> Result<BTreeSet<Renamed>, Error> {
        let conn = match self.conn.take() {
            Some(conn) => conn,
            None => db::connect(&self.settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?,
        };
        let told = renamed::told(&conn)?;
        self.conn = Some(conn);
        Ok(told)
    }

    /// Puts the member's own first department into each call that has none yet. Where it cannot be read, there is none:
    /// a call is not held back for it.
    fn fill_in(&mut self, calls: &mut [Call]) {
        if self.conn.is_none() {
            self.conn = db::connect(&self.settings, OpenFlags::SQLITE_OPEN_READ_ONLY).ok();
        }
        if self.conn.as_ref().is_some_and(|conn| read_departments(conn, calls).is_err()) {
            // Another is opened next time.
            self.conn = None;
        }
    }
}

/// One transaction for all of them: each would take and give back the locks of one.
fn read_departments(conn: &Connection, calls: &mut [Call]) -> Result<(), rusqlite::Error> {
    let tx = conn.unchecked_transaction()?;
    for call in calls.iter_mut().filter(|call| call.department.is_none()) {
        let Some(member) = &call.member else { continue };
        call.department = people::first_department_of(&tx, call.corp.as_str(), &member.key())?;
    }
    tx.commit()
}

/// The file, opened where that is needed.
struct OpenFile {
    dir: PathBuf,
    clock: Clock,
    /// With what tells it from another of its name.
    open: Option<(Connection, Option<(u64, u64)>)>,
}

impl OpenFile {
    /// Does `work` with the file. Where that is broken, another is begun and `work` is done with it.
    fn with<T>(&mut self, mut work: impl FnMut(&Connection) -> Result<T, rusqlite::Error>) -> Result<T, Error> {
        let mut is_new = false;
        loop {
            let error = match work(self.conn()?) {
                Ok(value) => return Ok(value),
                Err(error) => Error::from(error),
            };
            if is_new || !file::is_of_the_file(&error) {
                return Err(error);
            }
            is_new = true;
            self.open = None;
            file::move_aside(&self.dir, &error.to_string(), self.clock.now())?;
        }
    }

    fn conn(&mut self) -> Result<&Connection, Error> {
        let there = file::identity(&self.dir);
        if self.open.as_ref().is_some_and(|(_, identity)| there.is_none() || *identity != there) {
            self.open = None;
            warn!("the file of usage is gone: another is begun");
        }
        if self.open.is_none() {
            let conn = file::open(&self.dir, self.clock.now())?;
            self.open = Some((conn, file::identity(&self.dir)));
        }
        self.open.as_ref().map(|(conn, _)| conn).ok_or(Error::Closed)
    }
}
