//! How much waits and since when, what was given up and how large it is: for the metrics, the status and the alerts.
//! Every question costs by what waits, not by what is finished.

use rusqlite::{Connection, Params, params};

use super::{
    Error, Store,
    audit::{self, Head},
    people::directory::{Unread, unread},
};
use crate::{clock::Timestamp, model::id::AppKey};

/// What waits in a queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// How many rows, those under way included.
    pub rows: u64,
    /// Since when the oldest waits; `None` when nothing does.
    pub oldest: Option<Timestamp>,
}

/// What the store knows of the work that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Figures {
    /// Messages that are not handled yet.
    pub inbox: Queued,
    /// Parts that are not delivered yet.
    pub outbox: Queued,
    /// Dead letters.
    pub dead_letters: u64,
    /// When the last callback was accepted that is still kept.
    pub last_accepted: Option<Timestamp>,
    /// What waits, application by application; only those of which something does.
    pub by_app: Vec<OfApp>,
    /// Address books that could not be read the last time.
    pub unread: Vec<Unread>,
    /// Where the audit log ends.
    pub audit: Head,
}

/// How long an application's queues have waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WaitingSince {
    /// Since when the lane waits that has waited longest for a worker. A member's questions behind their own first one
    /// do not count: that one is being answered.
    pub inbox: Option<Timestamp>,
    /// When the oldest message was saved that is not sent.
    pub outbox: Option<Timestamp>,
}

/// How the queues and the file are doing. Messages about alerts do not count: they must not cause alerts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vitals {
    /// What waits of each of the applications that were asked for, in their order. Of others, which are served no more,
    /// nothing is told: they wait for ever.
    pub waiting: Vec<WaitingSince>,
    /// How many messages were given up after the time that was asked for, and are still there.
    pub dead_letters: u64,
    /// When the last of them was given up.
    pub dead_letter_at: Option<Timestamp>,
    /// Bytes of the file that hold something. Below the file's size where rows were deleted.
    pub used: u64,
}

/// What waits of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfApp {
    /// Which.
    pub app: AppKey,
    /// Messages that are not handled yet.
    pub inbox: u64,
    /// Members for whom something waits to be sent.
    pub outbox: u64,
}

const BY_APP: &str = "SELECT app, SUM(inbox), SUM(outbox) FROM
     (SELECT app, depth AS inbox, 0 AS outbox FROM inbox_lane UNION ALL SELECT app, 0, 1 FROM outbox_lane)
     GROUP BY app ORDER BY app";
/// The lanes have their depth, one row for each member who waits.
const INBOX_ROWS: &str = "SELECT COALESCE(SUM(depth), 0) FROM inbox_lane";
/// The first open row of each lane: a member's ten thousand messages cost as much as one.
const INBOX_OLDEST: &str = "SELECT MIN((SELECT received_at FROM inbox WHERE lane = l.lane AND state = 'open'
                                        ORDER BY seq LIMIT 1)) FROM inbox_lane l";
const LANES_WAIT_SINCE: &str = "SELECT MIN(ready_at) FROM inbox_lane WHERE lease IS NULL AND app = ?1";
const OUTBOX_ROWS: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'";
/// Of the messages whose cause is above the parameter: messages to operators have causes below zero.
const OUTBOX_OLDEST: &str = "SELECT MIN((SELECT created_at FROM outbox WHERE lane = l.lane AND state = 'waiting'
                                         AND cause > ?1 ORDER BY seq LIMIT 1)) FROM outbox_lane l";
const OUTBOX_OLDEST_OF: &str = "SELECT MIN((SELECT created_at FROM outbox WHERE lane = l.lane AND state = 'waiting'
                                            AND cause > ?1 ORDER BY seq LIMIT 1)) FROM outbox_lane l WHERE app = ?2";
const TO_ANYBODY: i64 = i64::MIN;
const TO_MEMBERS: i64 = 0;
const DEAD_LETTERS: &str = "SELECT COUNT(*) FROM outbox WHERE state = 'dead'";
const DEAD_SINCE: &str =
    "SELECT COUNT(*), MAX(ended_at) FROM outbox WHERE state = 'dead' AND ended_at > ?1 AND cause > ?2";
const LAST_ACCEPTED: &str = "SELECT (SELECT received_at FROM inbox ORDER BY seq DESC LIMIT 1)";

impl Store {
    /// What is left to do.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn figures(&self) -> Result<Figures, Error> {
        self.db
            .read(|conn| {
                let inbox = Queued { rows: count(conn, INBOX_ROWS)?, oldest: time(conn, INBOX_OLDEST, [])? };
                let oldest = time(conn, OUTBOX_OLDEST, [TO_ANYBODY])?;
                Ok(Figures {
                    inbox,
                    outbox: Queued { rows: count(conn, OUTBOX_ROWS)?, oldest },
                    dead_letters: count(conn, DEAD_LETTERS)?,
                    last_accepted: time(conn, LAST_ACCEPTED, [])?,
                    by_app: by_app(conn)?,
                    unread: unread(conn)?,
                    audit: audit::head(conn)?,
                })
            })
            .await
    }

    /// What waits of applications other than `apps`: they are served no more, and nobody works their lanes.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn left_alone(&self, apps: &[AppKey]) -> Result<Vec<OfApp>, Error> {
        let all = self.db.read(by_app).await?;
        Ok(all.into_iter().filter(|one| !apps.contains(&one.app)).collect())
    }

    /// How the queues of `apps` and the file are doing, with what was given up after `given_up_after`.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn vitals(&self, apps: &[AppKey], given_up_after: Timestamp) -> Result<Vitals, Error> {
        let apps = apps.to_vec();
        self.db
            .read(move |conn| {
                let (dead_letters, dead_letter_at): (_, Option<i64>) = conn
                    .prepare_cached(DEAD_SINCE)?
                    .query_row(params![given_up_after.as_millis(), TO_MEMBERS], |row| Ok((row.get(0)?, row.get(1)?)))?;
                let pages = count(conn, "PRAGMA page_count")?.saturating_sub(count(conn, "PRAGMA freelist_count")?);
                let waiting = apps.iter().map(|app| {
                    Ok(WaitingSince {
                        inbox: time(conn, LANES_WAIT_SINCE, [app.as_str()])?,
                        outbox: time(conn, OUTBOX_OLDEST_OF, params![TO_MEMBERS, app.as_str()])?,
                    })
                });
                Ok(Vitals {
                    waiting: waiting.collect::<Result<_, rusqlite::Error>>()?,
                    dead_letters,
                    dead_letter_at: dead_letter_at.map(Timestamp::from_millis),
                    used: pages.saturating_mul(count(conn, "PRAGMA page_size")?),
                })
            })
            .await
    }
}

fn by_app(conn: &Connection) -> Result<Vec<OfApp>, rusqlite::Error> {
    let row = |row: &rusqlite::Row<'_>| {
        let app = AppKey::from_stored(row.get_ref(0)?.as_str()?);
        Ok(OfApp { app, inbox: row.get(1)?, outbox: row.get(2)? })
    };
    conn.prepare_cached(BY_APP)?.query_map([], row)?.collect()
}

fn count(conn: &Connection, sql: &str) -> Result<u64, rusqlite::Error> {
    conn.prepare_cached(sql)?.query_row([], |row| row.get(0))
}

/// The time that `sql` answers with, if there is one.
pub(super) fn time(conn: &Connection, sql: &str, params: impl Params) -> Result<Option<Timestamp>, rusqlite::Error> {
    let at: Option<i64> = conn.prepare_cached(sql)?.query_row(params, |row| row.get(0))?;
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
        let inbox = [INBOX_ROWS, INBOX_OLDEST, LANES_WAIT_SINCE, LAST_ACCEPTED];
        for sql in
            [&inbox[..], &[OUTBOX_ROWS, OUTBOX_OLDEST, OUTBOX_OLDEST_OF, BY_APP, DEAD_LETTERS, DEAD_SINCE]].concat()
        {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("explained");
            let params = rusqlite::params_from_iter(vec![0; explain.parameter_count()]);
            let steps: Vec<String> =
                explain.query_map(params, |row| row.get(3)).expect("plan").map(|step| step.expect("step")).collect();
            for step in &steps {
                // `l` is a table of lanes; the other indexes hold only what is not finished.
                let few = [
                    " l",
                    "inbox_lane",
                    "outbox_lane",
                    "inbox_open",
                    "outbox_waiting",
                    "outbox_dead",
                    "SUBQUERY",
                    "CONSTANT",
                ];
                // Of lanes, which are few.
                let few = [
                    &few[..],
                    &["COMPOUND", "UNION ALL", "LEFT-MOST", "TEMP B-TREE FOR GROUP BY", "CO-ROUTINE", "(subquery"],
                ]
                .concat();
                // One row, the last by its key, though SQLite calls it a scan.
                let last = sql == LAST_ACCEPTED && sql.contains("ORDER BY seq DESC LIMIT 1");
                assert!(last || few.iter().any(|words| step.contains(words)), "{step} in {sql}: {steps:#?}");
            }
        }
    }
}
