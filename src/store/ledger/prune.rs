//! Deletes by age, a few rows at a time, so that what is written meanwhile never waits long.

use std::time::Duration;

use rusqlite::{Connection, params};

use crate::{clock::Timestamp, store::member::TOMBSTONE_KEPT};

/// Rows in one transaction: overwriting 500 of them took 2 to 5 ms on a busy machine of two cores.
const BATCH: usize = 500;
/// How much longer a name stays than the last sum of it.
const NAME_KEPT: Duration = Duration::from_secs(2 * 24 * 60 * 60);

/// How long what is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// Calls, and their sums by the hour.
    pub calls: Duration,
    /// Their sums by the day, at least as long.
    pub totals: Duration,
}

/// One step: deletes what is older than that and returns how many rows went; fewer than a whole step's where nothing is
/// left.
type Step = (&'static str, Timestamp);

/// What there is to do at `now`.
pub(super) fn steps(keep: Keep, now: Timestamp) -> [Step; 5] {
    let (calls, totals) = (now - keep.calls, now - keep.totals.max(keep.calls));
    [
        ("DELETE FROM call WHERE id IN (SELECT id FROM call WHERE at < ?1 ORDER BY at LIMIT ?2)", calls),
        (
            // In the order of its key: by dimension, and then by age.
            "DELETE FROM total WHERE (grain, dimension, period, name) IN
             (SELECT grain, dimension, period, name FROM total
              WHERE grain = 0 AND dimension IN (0, 1, 2, 3, 4, 5, 6) AND period < ?1 LIMIT ?2)",
            calls,
        ),
        (
            "DELETE FROM total WHERE (grain, dimension, period, name) IN
             (SELECT grain, dimension, period, name FROM total
              WHERE grain = 1 AND dimension IN (0, 1, 2, 3, 4, 5, 6) AND period < ?1 LIMIT ?2)",
            totals,
        ),
        ("DELETE FROM name WHERE id IN (SELECT id FROM name WHERE last_at < ?1 LIMIT ?2)", totals - NAME_KEPT),
        ("DELETE FROM erased WHERE hash IN (SELECT hash FROM erased WHERE at < ?1 LIMIT ?2)", now - TOMBSTONE_KEPT),
    ]
}

/// Does one step once. Whether there is more to delete, and how many rows went.
pub(super) fn step(conn: &Connection, (sql, before): Step) -> Result<(bool, usize), rusqlite::Error> {
    let deleted = conn.prepare_cached(sql)?.execute(params![before.as_millis(), BATCH])?;
    Ok((deleted >= BATCH, deleted))
}
