//! The inbox: what WeCom delivered, in the order in which it was committed, until a worker has ended it.
//!
//! A worker leases a lane, not a row: that is what keeps one member's messages in order and one at a time, on any
//! database, and what keeps a claim as cheap with ten thousand rows of one member as with one.

mod ending;

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, params};
use tracing::error;

pub use self::ending::Ending;
use super::{
    Error, LeaseLost, Store,
    lane::{Queue, end_rows, lease_lanes, next_lease, next_ready},
    member::tombstone,
    outbox, people,
    privacy::{self, Modes},
};
use crate::{
    clock::Timestamp,
    model::{
        event::{Event, EventKind},
        id::{AppKey, Lane},
    },
};

/// What became of a delivered event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and on the disk.
    Fresh {
        /// Its place in the inbox.
        seq: i64,
        /// How many of its lane are open before it, where the member is to be told so now.
        backlog: Option<u32>,
    },
    /// It was here before. Nothing was written.
    Duplicate,
}

/// What is to happen with an event after it was saved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// A worker is to handle it.
    Handle,
    /// A worker is to handle it, and it also asks to stop the answer before it.
    HandleAndStop,
    /// It is kept and known; there is nothing to do.
    Keep,
}

/// A worker's hold on one inbox row and on its whole lane. Ends with [`Store::finish`] or [`Store::release`].
#[derive(Debug)]
pub struct Inbound {
    /// The lane that is held.
    pub lane: Lane,
    /// The row's place in the inbox.
    pub seq: i64,
    /// What the member did.
    pub event: Event,
    /// When it was accepted.
    pub received_at: Timestamp,
    /// How often a worker has taken it, this time included. Above 1, the time before ended in a crash.
    pub claims: u32,
    /// Another number whenever another process, such as `qimate member erase`, has changed the database: what was
    /// remembered of it before is to be read again.
    pub epoch: i64,
    /// The open rows behind it, oldest first, at most [`MOST_WAITING`].
    pub waiting: Vec<Waiting>,
    lease: i64,
}

/// A message that waits behind a claimed one.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// The row's place in the inbox.
    pub seq: i64,
    /// What the member did.
    pub event: Event,
    /// When it was accepted.
    pub received_at: Timestamp,
}

/// How many of the rows behind a claimed one are looked at.
pub const MOST_WAITING: usize = 20;

/// What could be claimed, and when to ask again.
#[derive(Debug)]
pub struct Claimed<T> {
    /// The claims, at most as many as asked for.
    pub claims: Vec<T>,
    /// When the next free lane becomes ready; `None` when there is none. Not after `now` only where `limit` was reached.
    pub next_at: Option<Timestamp>,
}

impl Inbound {
    pub(super) const fn lease(&self) -> i64 {
        self.lease
    }
}

impl Store {
    /// Saves an event, once, and wakes a worker for it. When this returns, it is on the disk; when the caller goes away
    /// before, it may be on the disk all the same, and then `accepted` has run and the worker is awake.
    ///
    /// From `backlog` open rows before it on, the member is to be told, once until the lane is empty; 0: never.
    /// `accepted` runs right after the commit, before any worker can see the row, and must not block.
    ///
    /// # Errors
    /// [`Error`]: it is not saved, and WeCom must be told to send it again.
    pub async fn accept(
        &self,
        event: Arc<Event>,
        disposition: Disposition,
        backlog: u32,
        now: Timestamp,
        accepted: impl FnOnce(&Accepted) + Send + 'static,
    ) -> Result<Accepted, Error> {
        let json = serde_json::to_string(&*event).map_err(|error| Error::Corrupt(error.to_string()))?;
        let (lane, of) = (event.lane(), event.lane());
        // Its member may have been erased since it came the first time.
        let erased = tombstone(event.dedup.as_str());
        let (signals, mode) = (Arc::clone(&self.signals), self.modes.of(&lane));
        let wrote = !matches!(event.kind, EventKind::Subscribe | EventKind::EnterAgent);
        let work = move |conn: &Connection| {
            let state = if disposition == Disposition::Keep { "done" } else { "open" };
            let stops = disposition == Disposition::HandleAndStop;
            let (dedup, kind) = (event.dedup.as_str(), event.kind.name());
            let is_known = conn.prepare_cached("SELECT 1 FROM inbox WHERE dedup = ?1")?.exists([&erased])?;
            if is_known {
                return Ok(Accepted::Duplicate);
            }
            let fresh = conn
                .prepare_cached(
                    "INSERT INTO inbox (dedup, lane, kind, event, stops, state, received_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (dedup) DO NOTHING",
                )?
                .execute(params![dedup, lane.as_str(), kind, json, stops, state, now.as_millis()])?;
            if fresh == 0 {
                return Ok(Accepted::Duplicate);
            }
            let seq = conn.last_insert_rowid();
            people::directory::heard(conn, &event, now)?;
            if disposition == Disposition::Keep {
                privacy::ended(conn, mode, &lane, seq..=seq, now)?;
                return Ok(Accepted::Fresh { seq, backlog: None });
            }
            if wrote {
                people::wrote(conn, &event, now)?;
            }
            Ok(Accepted::Fresh { seq, backlog: put_behind(conn, &lane, seq, backlog, now)? })
        };
        let then = move |outcome: &Accepted| {
            accepted(outcome);
            if matches!(outcome, Accepted::Fresh { .. }) && disposition != Disposition::Keep {
                signals.of(of.app()).inbox.notify_one();
            }
        };
        self.db.write_then(work, then).await
    }

    /// Takes the oldest row of each of up to `limit` free lanes of an application, those first that have waited longest.
    /// A row that this version cannot read (a newer one wrote it) is set aside, so that it holds nobody up.
    ///
    /// # Errors
    /// [`Error`]: nothing was taken.
    pub async fn claim_inbound(&self, app: &AppKey, limit: usize, now: Timestamp) -> Result<Claimed<Inbound>, Error> {
        self.claim_inbound_then(app, limit, now, |_| {}).await
    }

    /// The same, and `claimed` for each right after the commit, before any row can come that the claims do not have. It
    /// must not block.
    ///
    /// # Errors
    /// As [`Store::claim_inbound`].
    pub async fn claim_inbound_then(
        &self,
        app: &AppKey,
        limit: usize,
        now: Timestamp,
        claimed: impl Fn(&Lane) + Send + 'static,
    ) -> Result<Claimed<Inbound>, Error> {
        let (lease, app, modes) = (next_lease(), app.clone(), self.modes.clone());
        let work = move |conn: &Connection| {
            let mut claims = Vec::new();
            let epoch = conn.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))?;
            for (lane, depth) in lease_lanes(conn, Queue::Inbox, &app, lease, limit, now)? {
                let claim = claim_first(conn, Lane::from_stored(lane), lease, epoch, &modes, now)?;
                claims.extend(match claim {
                    Some(claim) if depth > 1 => {
                        Some(Inbound { waiting: waiting(conn, &claim.lane, claim.seq)?, ..claim })
                    }
                    claim => claim,
                });
            }
            Ok(Claimed { claims, next_at: next_ready(conn, Queue::Inbox, &app)? })
        };
        let then = move |all: &Claimed<Inbound>| all.claims.iter().for_each(|claim| claimed(&claim.lane));
        self.db.write_then(work, then).await
    }

    /// The open rows of a lane behind row `after`, oldest first, at most [`MOST_WAITING`]; up to the first that this
    /// version cannot read.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn waiting(&self, lane: &Lane, after: i64) -> Result<Vec<Waiting>, Error> {
        let lane = lane.clone();
        self.db.read(move |conn| waiting(conn, &lane, after)).await
    }

    /// Ends a row: the turn, its cost, what is to be said and the row's own end, in one transaction. The lane is free
    /// for its next row.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written; the claim stands and may be ended later.
    pub async fn finish(
        &self,
        claim: &Inbound,
        ending: Ending,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, seq) = (claim.lane.clone(), claim.lease, claim.seq);
        let (to, mode, shelf) = (outbox::Recipient::of(&claim.event), self.modes.of(&claim.lane), self.shelf.clone());
        let ending = if mode.keeps_texts() { ending } else { ending.without_texts() };
        let work = move |conn: &Connection| {
            let through = if let Ending::Turn { turn, .. } = &ending { turn.through.max(seq) } else { seq };
            if !end_rows(conn, &lane, lease, seq..=through, "done", mode, now)? {
                return Ok(Err(LeaseLost));
            }
            let (first_part, parts) = match &ending {
                Ending::Silent => return privacy::tidy(conn, mode, &shelf, &lane).map(Ok),
                Ending::Says(parts) => (0, parts),
                Ending::Welcomes(parts) => {
                    conn.prepare_cached(
                        "INSERT INTO welcome (lane, welcomed_at) VALUES (?1, ?2)
                         ON CONFLICT (lane) DO UPDATE SET welcomed_at = excluded.welcomed_at",
                    )?
                    .execute(params![lane.as_str(), now.as_millis()])?;
                    (0, parts)
                }
                Ending::Turn { turn, first_part, parts } => {
                    turn.write(conn, seq, now)?;
                    (*first_part, parts)
                }
            };
            outbox::insert(conn, &lane, &to, seq, first_part, parts, now)?;
            privacy::tidy(conn, mode, &shelf, &lane).map(Ok)
        };
        self.db.write_then(work, self.wake_both(&claim.lane)).await
    }

    /// Gives a row back, to be taken again at `at`: for when this process cannot end it.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be written; the row then comes back with the next start of the process.
    pub async fn release(&self, claim: &Inbound, at: Timestamp) -> Result<(), Error> {
        let (lane, lease) = (claim.lane.clone(), claim.lease);
        let signals = Arc::clone(&self.signals);
        let work = move |conn: &Connection| {
            conn.prepare_cached("UPDATE inbox_lane SET lease = NULL, ready_at = ?3 WHERE lane = ?1 AND lease = ?2")?
                .execute(params![lane.as_str(), lease, at.as_millis()])
        };
        let of = claim.lane.clone();
        self.db.write_then(work, move |_| signals.of(of.app()).inbox.notify_one()).await?;
        Ok(())
    }

    /// The open rows that ask to stop the answer before them: lane and place. For the start of the process.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn open_stops(&self) -> Result<Vec<(Lane, i64)>, Error> {
        self.db
            .read(|conn| {
                conn.prepare_cached("SELECT lane, seq FROM inbox WHERE state = 'open' AND stops = 1")?
                    .query_map([], |row| Ok((Lane::from_stored(row.get(0)?), row.get(1)?)))?
                    .collect()
            })
            .await
    }

    /// Questions to an application that have waited unclaimed since before `since`, with nobody told: the first of each
    /// free lane.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn overdue(&self, app: &AppKey, since: Timestamp, limit: usize) -> Result<Vec<(i64, Event)>, Error> {
        let app = app.clone();
        let rows: Vec<(i64, String)> = self
            .db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT i.seq, i.event FROM inbox_lane l
                     JOIN inbox i ON i.seq = (SELECT MIN(seq) FROM inbox WHERE lane = l.lane AND state = 'open')
                     WHERE l.lease IS NULL AND l.app = ?3 AND l.ready_at <= ?1 AND i.kind NOT IN ('enter_agent', 'subscribe')
                       AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.cause = i.seq AND o.part < 0)
                     ORDER BY l.ready_at LIMIT ?2",
                )?
                .query_map(params![since.as_millis(), limit, app.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
            })
            .await?;
        rows.into_iter()
            .map(|(seq, event)| {
                let event = serde_json::from_str(&event).map_err(|error| Error::Corrupt(error.to_string()))?;
                Ok((seq, event))
            })
            .collect()
    }

    /// Whether the member of this lane was welcomed within `window`.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn was_welcomed(&self, lane: &Lane, window: Duration, now: Timestamp) -> Result<bool, Error> {
        let (lane, since) = (lane.clone(), now - window);
        self.db
            .read(move |conn| {
                conn.prepare_cached("SELECT 1 FROM welcome WHERE lane = ?1 AND welcomed_at > ?2")?
                    .exists(params![lane.as_str(), since.as_millis()])
            })
            .await
    }
}

/// Puts row `seq` behind those of its lane. How many are before it, where the member is to be told.
fn put_behind(
    conn: &Connection,
    lane: &Lane,
    seq: i64,
    backlog: u32,
    now: Timestamp,
) -> Result<Option<u32>, rusqlite::Error> {
    let is_first = conn
        .prepare_cached(
            "INSERT INTO inbox_lane (lane, depth, ready_at) VALUES (?1, 1, ?2) ON CONFLICT (lane) DO NOTHING",
        )?
        .execute(params![lane.as_str(), now.as_millis()])?;
    if is_first == 1 {
        return Ok(None);
    }
    let tell_at = if backlog == 0 { i64::MAX } else { i64::from(backlog) };
    // A lane keeps its place in the queue, and does not wait for a clock that was set back.
    let (depth, told): (u32, i64) = conn
        .prepare_cached(
            "UPDATE inbox_lane SET depth = depth + 1, ready_at = MIN(ready_at, ?2),
                 told = CASE WHEN told = 0 AND depth >= ?3 THEN ?4 ELSE told END
             WHERE lane = ?1 RETURNING depth, told",
        )?
        .query_row(params![lane.as_str(), now.as_millis(), tell_at, seq], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok((told == seq).then(|| depth - 1))
}

/// Takes the first open row of a leased lane; `None` when it had to be set aside.
fn claim_first(
    conn: &Connection,
    lane: Lane,
    lease: i64,
    epoch: i64,
    modes: &Modes,
    now: Timestamp,
) -> Result<Option<Inbound>, rusqlite::Error> {
    let (seq, event, before, received_at) = conn
        .prepare_cached(
            "SELECT seq, event, claims, received_at FROM inbox WHERE lane = ?1 AND state = 'open' ORDER BY seq LIMIT 1",
        )?
        .query_row([lane.as_str()], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, row.get::<_, u32>(2)?, row.get(3)?))
        })?;
    let claims = before + 1;
    conn.prepare_cached("UPDATE inbox SET claims = ?2 WHERE seq = ?1")?.execute(params![seq, claims])?;
    match serde_json::from_str(&event) {
        Ok(event) => {
            let received_at = Timestamp::from_millis(received_at);
            Ok(Some(Inbound { lane, seq, event, received_at, claims, epoch, waiting: Vec::new(), lease }))
        }
        Err(error) => {
            error!(inbox.seq = seq, %error, "set aside a message that this version cannot read");
            end_rows(conn, &lane, lease, seq..=seq, "unreadable", modes.of(&lane), now)?;
            Ok(None)
        }
    }
}

fn waiting(conn: &Connection, lane: &Lane, after: i64) -> Result<Vec<Waiting>, rusqlite::Error> {
    let mut behind = conn.prepare_cached(
        "SELECT seq, event, received_at FROM inbox WHERE lane = ?1 AND state = 'open' AND seq > ?2 ORDER BY seq LIMIT ?3",
    )?;
    let mut rows = behind.query(params![lane.as_str(), after, MOST_WAITING])?;
    let mut waiting = Vec::new();
    while let Some(row) = rows.next()? {
        let Ok(event) = serde_json::from_str(row.get_ref(1)?.as_str()?) else { break };
        waiting.push(Waiting { seq: row.get(0)?, event, received_at: Timestamp::from_millis(row.get(2)?) });
    }
    Ok(waiting)
}
