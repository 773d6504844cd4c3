//! How the store is doing: what waits and since when, what was given up, how large it is, and whether the process
//! before stopped in good order.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store};
use crate::clock::Timestamp;

/// How the queues and the file are doing. Messages about alerts do not count: they must not cause alerts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// Since when the lane waits that has waited longest for a worker. A member's questions behind their own first one
    /// do not count: that one is being answered.
    pub inbox_waiting_since: Option<Timestamp>,
    /// When the oldest message was saved that is not sent.
    pub outbox_waiting_since: Option<Timestamp>,
    /// How many messages were given up after the time that was asked for, and are still there.
    pub dead_letters: u64,
    /// When the last of them was given up.
    pub dead_letter_at: Option<Timestamp>,
    /// Bytes of the file that hold something. Below the file's size where rows were deleted.
    pub used: u64,
}

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
    /// How the queues and the file are doing. Reads one row for each lane that has something to send.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn vitals(&self, given_up_after: Timestamp) -> Result<Vitals, Error> {
        self.db
            .read(move |conn| {
                let time = |sql| -> Result<Option<Timestamp>, rusqlite::Error> {
                    let at: Option<i64> = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
                    Ok(at.map(Timestamp::from_millis))
                };
                let inbox_waiting_since = time("SELECT MIN(ready_at) FROM inbox_lane WHERE lease IS NULL")?;
                let outbox_waiting_since = time(
                    "SELECT MIN(head.created_at) FROM outbox_lane JOIN outbox head ON head.seq =
                        (SELECT seq FROM outbox WHERE outbox.lane = outbox_lane.lane AND state = 'waiting' AND cause > 0
                         ORDER BY seq LIMIT 1)",
                )?;
                let (dead_letters, dead_letter_at): (u64, Option<i64>) = conn
                    .prepare_cached(
                        "SELECT COUNT(*), MAX(ended_at) FROM outbox WHERE state = 'dead' AND ended_at > ?1 AND cause > 0",
                    )?
                    .query_row([given_up_after.as_millis()], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let number = |sql| conn.query_row(sql, [], |row| row.get::<_, u64>(0));
                let pages = number("PRAGMA page_count")?.saturating_sub(number("PRAGMA freelist_count")?);
                Ok(Vitals {
                    inbox_waiting_since,
                    outbox_waiting_since,
                    dead_letters,
                    dead_letter_at: dead_letter_at.map(Timestamp::from_millis),
                    used: pages.saturating_mul(number("PRAGMA page_size")?),
                })
            })
            .await
    }

    /// Remembers that this process has begun, and tells how the one before ended.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn begin_run(&self, now: Timestamp) -> Result<LastRun, Error> {
        self.db
            .write(move |conn| {
                let stopped = conn.prepare_cached("DELETE FROM moment WHERE name = 'stopped'")?.execute([])? > 0;
                let started: Option<i64> = conn
                    .prepare_cached("SELECT at FROM moment WHERE name = 'started'")?
                    .query_row([], |row| row.get(0))
                    .optional()?;
                remember(conn, "started", now)?;
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
        self.db.write(move |conn| remember(conn, "stopped", now)).await
    }
}

fn remember(conn: &Connection, name: &str, at: Timestamp) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO moment (name, at) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET at = excluded.at",
    )?
    .execute(params![name, at.as_millis()])?;
    Ok(())
}
