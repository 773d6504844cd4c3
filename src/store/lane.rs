//! Lanes: what a worker leases, and the next one that is free. The two queues have lanes of one shape. Each application
//! works its own, found by an index that begins with it: what another has waiting costs it nothing.

use std::{
    ops::RangeInclusive,
    sync::atomic::{AtomicI64, Ordering},
};

use rusqlite::{Connection, params};

use super::{conversation::holds, privacy};
use crate::{
    clock::Timestamp,
    model::{
        id::{AppKey, Lane},
        privacy::Privacy,
    },
};

/// One of the two queues.
#[derive(Clone, Copy)]
pub(super) enum Queue {
    Inbox,
    Outbox,
}

impl Queue {
    const fn free(self) -> &'static str {
        match self {
            Self::Inbox => {
                "SELECT lane, depth FROM inbox_lane WHERE lease IS NULL AND app = ?1 AND ready_at <= ?2
                 ORDER BY ready_at LIMIT ?3"
            }
            Self::Outbox => {
                "SELECT lane, 1 FROM outbox_lane WHERE lease IS NULL AND app = ?1 AND ready_at <= ?2
                 ORDER BY ready_at LIMIT ?3"
            }
        }
    }

    const fn lease(self) -> &'static str {
        match self {
            Self::Inbox => "UPDATE inbox_lane SET lease = ?2 WHERE lane = ?1",
            Self::Outbox => "UPDATE outbox_lane SET lease = ?2 WHERE lane = ?1",
        }
    }

    const fn next(self) -> &'static str {
        match self {
            Self::Inbox => "SELECT MIN(ready_at) FROM inbox_lane WHERE lease IS NULL AND app = ?1",
            Self::Outbox => "SELECT MIN(ready_at) FROM outbox_lane WHERE lease IS NULL AND app = ?1",
        }
    }
}

/// Leases up to `limit` free lanes of an application whose time has come. Each with how many rows are open in it, as far as
/// that is counted.
pub(super) fn lease_lanes(
    conn: &Connection,
    queue: Queue,
    app: &AppKey,
    lease: i64,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<(String, i64)>, rusqlite::Error> {
    let lanes: Vec<(String, i64)> = conn
        .prepare_cached(queue.free())?
        .query_map(params![app.as_str(), now.as_millis(), limit], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut take = conn.prepare_cached(queue.lease())?;
    lanes.iter().try_for_each(|(lane, _)| take.execute(params![lane, lease]).map(drop))?;
    Ok(lanes)
}

/// When the first of an application's free lanes becomes ready.
pub(super) fn next_ready(conn: &Connection, queue: Queue, app: &AppKey) -> Result<Option<Timestamp>, rusqlite::Error> {
    let at: Option<i64> = conn.prepare_cached(queue.next())?.query_row([app.as_str()], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

/// Ends the open rows of `seqs`, of which the first is claimed, and frees their lane for the next. What was in them goes
/// where `mode` keeps no texts. `false`: the lease is
/// not ours, and nothing was changed.
pub(super) fn end_rows(
    conn: &Connection,
    lane: &Lane,
    lease: i64,
    seqs: RangeInclusive<i64>,
    state: &str,
    mode: Privacy,
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
    // Most lanes have one row: freed first, they would go through the index of free lanes for nothing.
    let was_last = conn
        .prepare_cached("DELETE FROM inbox_lane WHERE lane = ?1 AND lease = ?2 AND depth = 1 + ?3")?
        .execute(params![lane.as_str(), lease, joined])?;
    if was_last == 0 {
        let freed = conn
            .prepare_cached(
                "UPDATE inbox_lane SET lease = NULL, depth = depth - 1 - ?4, ready_at = ?3 WHERE lane = ?1 AND lease = ?2",
            )?
            .execute(params![lane.as_str(), lease, now.as_millis(), joined])?;
        if freed == 0 {
            return Ok(false);
        }
    }
    conn.prepare_cached("UPDATE inbox SET state = ?2 WHERE seq = ?1")?.execute(params![first, state])?;
    privacy::ended(conn, mode, lane, first..=last.max(first), now)?;
    Ok(true)
}

/// Leases differ within a process; between processes the exclusive data directory keeps them apart.
static NEXT_LEASE: AtomicI64 = AtomicI64::new(1);

pub(super) fn next_lease() -> i64 {
    NEXT_LEASE.fetch_add(1, Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    /// Another application may have ten thousand lanes that are ready and that nobody may take.
    #[test]
    fn a_claim_reads_no_lane_of_another_application() {
        let dir = tempfile::tempdir().expect("directory");
        let mut conn = Connection::open(dir.path().join("test.db")).expect("database");
        migrate::migrate(&mut conn, dir.path(), migrate::ALL).expect("migrated");
        for queue in [Queue::Inbox, Queue::Outbox] {
            for (sql, found_by) in [(queue.free(), "app=? AND ready_at<?"), (queue.next(), "app=?")] {
                let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("explained");
                let params = rusqlite::params_from_iter(vec![0; explain.parameter_count()]);
                let steps: Vec<String> = explain
                    .query_map(params, |row| row.get(3))
                    .expect("plan")
                    .map(|step| step.expect("step"))
                    .collect();
                assert!(steps.iter().any(|step| step.contains("_lane_ready") && step.contains(found_by)), "{steps:#?}");
                assert!(!steps.iter().any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")), "{steps:#?}");
            }
        }
    }

    #[test]
    fn the_application_of_a_lane_is_what_the_noun_says() {
        let dir = tempfile::tempdir().expect("directory");
        let mut conn = Connection::open(dir.path().join("test.db")).expect("database");
        migrate::migrate(&mut conn, dir.path(), migrate::ALL).expect("migrated");
        for (lane, app) in [("ww1/1000002/zhangsan", "ww1/1000002"), ("ww1/1/a/b@c", "ww1/1"), ("ww1/1/", "ww1/1")] {
            conn.execute("INSERT INTO inbox_lane (lane, depth, ready_at) VALUES (?1, 1, 0)", [lane]).expect("a lane");
            let stored: String = conn
                .query_row("SELECT app FROM inbox_lane WHERE lane = ?1", [lane], |row| row.get(0))
                .expect("its application");
            assert_eq!((&*stored, Lane::from_stored(lane.to_owned()).app()), (app, app));
        }
    }
}
