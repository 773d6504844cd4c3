//! Lanes: what a worker leases. The inbox and the outbox have a table of them each, of one shape.

use std::ops::RangeInclusive;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::conversation::holds;
use crate::{clock::Timestamp, model::id::Lane};

/// Ends the open rows of `seqs`, of which the first is claimed, and frees their lane for the next. `false`: the lease is
/// not ours, and nothing was changed.
pub(super) fn end_rows(
    conn: &Connection,
    lane: &Lane,
    lease: i64,
    seqs: RangeInclusive<i64>,
    state: &str,
    now: Timestamp,
) -> Result<bool, rusqlite::Error> {
    let (first, last) = seqs.into_inner();
    let joined = if last > first && holds(conn, lane, lease)? {
        conn.prepare_cached(
            "UPDATE inbox SET state = ?4 WHERE lane = ?1 AND state = 'open' AND seq > ?2 AND seq <= ?3",
        )?
        .execute(params![lane.as_str(), first, last, state])?
    } else {
        0
    };
    let depth = conn
        .prepare_cached(
            "UPDATE inbox_lane SET lease = NULL, depth = depth - 1 - ?4, ready_at = ?3
             WHERE lane = ?1 AND lease = ?2 RETURNING depth",
        )?
        .query_row(params![lane.as_str(), lease, now.as_millis(), joined], |row| row.get::<_, i64>(0))
        .optional()?;
    let Some(depth) = depth else { return Ok(false) };
    if depth == 0 {
        conn.prepare_cached("DELETE FROM inbox_lane WHERE lane = ?1")?.execute([lane.as_str()])?;
    }
    conn.prepare_cached("UPDATE inbox SET state = ?2 WHERE seq = ?1")?.execute(params![first, state])?;
    Ok(true)
}

/// The two queues have lanes of one shape.
#[derive(Clone, Copy)]
pub(super) enum Queue {
    Inbox,
    Outbox,
}

/// Leases up to `limit` free lanes whose time has come. Each with how many rows are open in it, as far as that is counted.
pub(super) fn lease_lanes(
    conn: &Connection,
    queue: Queue,
    lease: i64,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(String, i64)>, rusqlite::Error> {
    let sql = match queue {
        Queue::Inbox => {
            "UPDATE inbox_lane SET lease = ?1 WHERE lane IN
             (SELECT lane FROM inbox_lane WHERE lease IS NULL AND ready_at <= ?2 ORDER BY ready_at LIMIT ?3)
             RETURNING lane, depth"
        }
        Queue::Outbox => {
            "UPDATE outbox_lane SET lease = ?1 WHERE lane IN
             (SELECT lane FROM outbox_lane WHERE lease IS NULL AND ready_at <= ?2 ORDER BY ready_at LIMIT ?3)
             RETURNING lane, 1"
        }
    };
    let leased = |row: &Row<'_>| Ok((row.get(0)?, row.get(1)?));
    conn.prepare_cached(sql)?.query_map(params![lease, now.as_millis(), limit], leased)?.collect()
}

/// When the first of the free lanes becomes ready.
pub(super) fn next_ready(conn: &Connection, queue: Queue) -> Result<Option<Timestamp>, rusqlite::Error> {
    let sql = match queue {
        Queue::Inbox => "SELECT MIN(ready_at) FROM inbox_lane WHERE lease IS NULL",
        Queue::Outbox => "SELECT MIN(ready_at) FROM outbox_lane WHERE lease IS NULL",
    };
    let at: Option<i64> = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}
