//! How much waits, and since when: for those who watch. Every question costs by what waits, not by what is finished.

use rusqlite::Connection;

use super::{Error, Store};
use crate::clock::Timestamp;

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// How many rows, those under way included.
    pub rows: u64,
    /// Since when the oldest waits; `None` when nothing does.
    pub oldest: Option<Timestamp>,
}

/// What the store knows of the work that is left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Messages that are not handled yet.
    pub inbox: Queued,
    /// Parts that are not delivered yet.
    pub outbox: Queued,
    /// Dead letters.
    pub dead_letters: u64,
    /// When the last callback was accepted that is still kept.
    pub last_accepted: Option<Timestamp>,
}

/// The lanes have their depth, one row for each member who waits.
const INBOX_ROWS: &str = "SELECT COALESCE(SUM(depth), 0) FROM inbox_lane";
/// The first open row of each lane: a member's ten thousand messages cost as much as one.
const INBOX_OLDEST: &str = "SELECT MIN((SELECT received_at FROM inbox WHERE lane = l.lane AND state = 'open'
                                        ORDER BY seq LIMIT 1)) FROM inbox_lane l";
const OUTBOX_ROWS: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'";
const OUTBOX_OLDEST: &str = "SELECT MIN((SELECT created_at FROM outbox WHERE lane = l.lane AND state = 'waiting'
                                         ORDER BY seq LIMIT 1)) FROM outbox_lane l";
const DEAD_LETTERS: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'dead'";
const LAST_ACCEPTED: &str = "SELECT (SELECT received_at FROM inbox ORDER BY seq DESC LIMIT 1)";

impl Store {
    /// What is left to do.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn figures(&self) -> Result<Figures, Error> {
        self.db
            .read(|conn| {
                let count = |sql| conn.prepare_cached(sql)?.query_row([], |row| row.get::<_, u64>(0));
                Ok(Figures {
                    inbox: Queued { rows: count(INBOX_ROWS)?, oldest: time(conn, INBOX_OLDEST)? },
                    outbox: Queued { rows: count(OUTBOX_ROWS)?, oldest: time(conn, OUTBOX_OLDEST)? },
                    dead_letters: count(DEAD_LETTERS)?,
                    last_accepted: time(conn, LAST_ACCEPTED)?,
                })
            })
            .await
    }
}

fn time(conn: &Connection, sql: &str) -> Result<Option<Timestamp>, rusqlite::Error> {
    let at: Option<i64> = conn.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
    Ok(at.map(Timestamp::from_millis))
}

#[cfg(test)]
mod tests {
    use rusqlite::Connection;

    use super::*;
    use crate::store::migrate;

    /// Finished rows are millions, and no question may read them.
    #[test]
    fn no_question_reads_what_is_finished() {
        let dir = tempfile::tempdir().expect("directory");
        let mut conn = Connection::open(dir.path().join("test.db")).expect("database");
        migrate::migrate(&mut conn, dir.path(), migrate::ALL).expect("migrated");
        for sql in [INBOX_ROWS, INBOX_OLDEST, OUTBOX_ROWS, OUTBOX_OLDEST, DEAD_LETTERS, LAST_ACCEPTED] {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("explained");
            let steps: Vec<String> =
                explain.query_map([], |row| row.get(3)).expect("plan").map(|step| step.expect("step")).collect();
            for step in &steps {
                // `l` is a table of lanes; the other indexes hold only what is not finished.
                let few = [" l", "inbox_lane", "inbox_open", "outbox_waiting", "outbox_dead", "SUBQUERY", "CONSTANT"];
                // One row, the last by its key, though SQLite calls it a scan.
                let last = sql == LAST_ACCEPTED && sql.contains("ORDER BY seq DESC LIMIT 1");
                assert!(last || few.iter().any(|words| step.contains(words)), "{step} in {sql}: {steps:#?}");
            }
        }
    }
}
