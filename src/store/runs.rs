//! When this process started and stopped, so that the next one knows whether that was in good order.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store};
use crate::clock::Timestamp;

/// Under these names, the database says that a process runs or ran, and that it was stopped.
pub(super) const STARTED: &str = "started";
pub(super) const STOPPED: &str = "stopped";

/// How the process before ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LastRun {
    /// There was none.
    None,
    /// It was stopped.
    Stopped,
    /// It ended without being told to: a crash, a kill, a power cut.
    Crashed,
}

impl Store {
    /// Remembers that this process has begun, and tells how the one before ended.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn begin_run(&self, now: Timestamp) -> Result<LastRun, Error> {
        self.db
            .write(move |conn| {
                let stopped = conn.prepare_cached("DELETE FROM moment WHERE name = ?1")?.execute([STOPPED])? > 0;
                let started: Option<i64> = conn
                    .prepare_cached("SELECT at FROM moment WHERE name = ?1")?
                    .query_row([STARTED], |row| row.get(0))
                    .optional()?;
                remember(conn, STARTED, now)?;
                Ok(match started {
                    _ if stopped => LastRun::Stopped,
                    Some(_) => LastRun::Crashed,
                    None => LastRun::None,
                })
            })
            .await
    }

    /// Remembers that this process was stopped.
    ///
    /// # Errors
    /// [`Error`]: nothing was written, and the next process will think that this one crashed.
    pub async fn end_run(&self, now: Timestamp) -> Result<(), Error> {
        self.db.write(move |conn| remember(conn, STOPPED, now)).await
    }
}

/// Keeps `at` under `name`, in the place of what was there.
pub(super) fn remember(conn: &Connection, name: &str, at: Timestamp) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO moment (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
    )?
    .execute(params![name, at.as_millis()])?;
    Ok(())
}
