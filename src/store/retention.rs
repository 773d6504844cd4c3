//! What an application keeps for fewer days than the instance does (`chat.keep_days`): everything that was said in it and
//! is finished goes by its own days, and what `prune` does for all goes on beside it.
//!
//! The big tables have no index by application and age, which every message would pay for. So they are looked through
//! in the order of their keys, a slice at a time and beside the writer: once after a start what is old already, and then
//! only what has become old since. What is deleted is deleted by key, in batches.
//!
//! What stays, as in every mode of privacy: facts, which a member asked to be remembered until they take them back;
//! announcements, requests for more, profiles and choices; and everything that is open or a dead letter, with the files
//! that it names.

use std::{ops::ControlFlow, sync::Arc, time::Duration};

use rusqlite::{Connection, params};
use tokio::sync::Mutex;

use super::{
    Error, Store,
    db::Db,
    media::{self, Shelf},
};
use crate::{clock::Timestamp, model::id::AppKey};

/// Rows that are looked at in one read.
const SLICE: usize = 2000;
/// Rows in one transaction, as in `prune`.
const BATCH: usize = 200;
/// Conversations whose turns are looked at in one read.
const CONVERSATIONS: usize = 100;

/// The applications with days of their own.
#[derive(Clone, Debug, Default)]
pub(super) struct Shorter(Arc<[Short]>);

#[derive(Debug)]
struct Short {
    /// Its lanes are from the first of these to before the second.
    lanes: (String, String),
    keep: Duration,
    looked: Mutex<Looked>,
}

/// How far an application's rows were looked through. Lost with the process, and then looked for again.
#[derive(Debug, Default)]
struct Looked {
    inbox: Place,
    outbox: Place,
}

/// A place in a table whose rows age in the order of their key.
#[derive(Debug, Default)]
struct Place {
    /// The first key that was not looked at, or was too young.
    next: i64,
    /// Rows of the application before that which could not go yet.
    left: Vec<i64>,
}

/// A table whose rows age in the order of their key.
struct Ordered {
    /// From a key on: key, whether it is between the lanes, whether it is young.
    look: &'static str,
    /// One row, where it may go.
    delete: &'static str,
    is_there: &'static str,
}

const INBOX: Ordered = Ordered {
    look: "SELECT seq, lane >= ?2 AND lane < ?3, received_at >= ?4 FROM inbox WHERE seq >= ?1 ORDER BY seq LIMIT ?5",
    delete: "DELETE FROM inbox WHERE seq = ?1 AND state NOT IN ('open', 'held') AND received_at < ?2",
    is_there: "SELECT 1 FROM inbox WHERE seq = ?1",
};
const OUTBOX: Ordered = Ordered {
    look: "SELECT seq, lane >= ?2 AND lane < ?3, created_at >= ?4 FROM outbox WHERE seq >= ?1 ORDER BY seq LIMIT ?5",
    delete: "DELETE FROM outbox WHERE seq = ?1 AND state = 'sent' AND ended_at < ?2",
    is_there: "SELECT 1 FROM outbox WHERE seq = ?1",
};

/// The conversations of the application, whichever they are: all that is left is within its days, or goes on.
const CONVERSATIONS_OF: &str = "SELECT id FROM conversation WHERE lane >= ?1 AND lane < ?2";
/// Those of one conversation that may go, of questions before a key.
const TURNS_OF: &str =
    "SELECT cause FROM turn WHERE conversation = ?1 AND cause < ?2 AND (ended_at < ?3 OR ended_at IS NULL)";
const DELETE_TURN: &str = "DELETE FROM turn WHERE cause = ?1 AND (ended_at < ?2 OR ended_at IS NULL
     AND NOT EXISTS (SELECT 1 FROM inbox WHERE seq = cause AND state IN ('open', 'held')))";
/// A summary goes with the first of its turns, and is made again of those that are left.
const DELETE_SUMMARY_OF: &str = "DELETE FROM summary WHERE conversation = ?1 AND up_to >= ?2";
/// Summaries of turns that went before, by the days of the instance.
const SUMMARIES: Named = Named {
    find: "SELECT s.conversation FROM conversation c JOIN summary s ON s.conversation = c.id
           WHERE c.lane >= ?1 AND c.lane < ?2 AND (s.at < ?3 OR NOT EXISTS
               (SELECT 1 FROM turn t WHERE t.conversation = s.conversation AND t.cause <= s.up_to))",
    delete: "DELETE FROM summary WHERE conversation = ?1 AND (at < ?2 OR NOT EXISTS
               (SELECT 1 FROM turn t WHERE t.conversation = summary.conversation AND t.cause <= up_to))",
};
/// Conversations of which nothing is left. Not while something is open in their lane: it may be about to be part of one.
const EMPTY: Named = Named {
    find: "SELECT id FROM conversation WHERE lane >= ?1 AND lane < ?2 AND COALESCE(closed_at, last_at) < ?3
           AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.conversation = conversation.id)",
    delete: "DELETE FROM conversation WHERE id = ?1 AND COALESCE(closed_at, last_at) < ?2
             AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.conversation = conversation.id)
             AND NOT EXISTS (SELECT 1 FROM inbox_lane WHERE inbox_lane.lane = conversation.lane)",
};

/// Rows that are found by the lanes of their application and a time, and deleted by key and that time.
struct Named {
    find: &'static str,
    delete: &'static str,
}

impl Shorter {
    pub(super) fn any(&self) -> bool {
        !self.0.is_empty()
    }
}

impl Store {
    /// Keeps conversations of these applications no longer than this; of the others, as long as [`Store::prune`] says.
    #[must_use]
    pub fn with_days(self, days: impl IntoIterator<Item = (AppKey, Duration)>) -> Self {
        let short = |(app, keep): (AppKey, _)| Short {
            lanes: (format!("{app}/"), format!("{app}0")),
            keep,
            looked: Mutex::default(),
        };
        Self { shorter: Shorter(days.into_iter().map(short).collect()), ..self }
    }
}

/// Deletes what is too old for its application. Returns how many rows and files went.
pub(super) async fn prune(db: &Db, shelf: &Shelf, shorter: &Shorter, now: Timestamp) -> Result<usize, Error> {
    let mut total = 0;
    for short in &*shorter.0 {
        let before = now - short.keep;
        let mut looked = short.looked.lock().await;
        let (gone, young) = in_order(db, &INBOX, &mut looked.inbox, &short.lanes, before).await?;
        total += gone + in_order(db, &OUTBOX, &mut looked.outbox, &short.lanes, before).await?.0;
        total += turns(db, &short.lanes, young, before).await?;
        for named in [&SUMMARIES, &EMPTY] {
            total += in_lanes(db, named, &short.lanes, before).await?;
        }
        total += media::prune_lanes(db, shelf, &short.lanes, before).await?;
    }
    Ok(total)
}

/// What a read found from a key on.
struct Slice {
    ours: Vec<i64>,
    next: i64,
    /// Breaks at the end: with the first young row, where there is one.
    end: ControlFlow<Option<i64>>,
}

/// Deletes from one of the big tables what is old. Returns how many rows went, and the first young one.
async fn in_order(
    db: &Db,
    table: &'static Ordered,
    place: &mut Place,
    lanes: &(String, String),
    before: Timestamp,
) -> Result<(usize, Option<i64>), Error> {
    let waited = place.left.len();
    let still = delete(db, table, place.left.clone(), before).await?;
    let mut total = waited - still.len();
    place.left = still;
    loop {
        let (lanes, from) = (lanes.clone(), place.next);
        let slice = db.read(move |conn| look(conn, table, from, &lanes, before)).await?;
        let ours = slice.ours.len();
        let still = delete(db, table, slice.ours, before).await?;
        total += ours - still.len();
        place.left.extend(still);
        place.next = slice.next;
        if let ControlFlow::Break(young) = slice.end {
            return Ok((total, young));
        }
    }
}

fn look(
    conn: &Connection,
    table: &Ordered,
    from: i64,
    (first, end): &(String, String),
    before: Timestamp,
) -> Result<Slice, rusqlite::Error> {
    let mut slice = Slice { ours: Vec::new(), next: from, end: ControlFlow::Break(None) };
    let mut rows = conn.prepare_cached(table.look)?;
    let mut rows = rows.query(params![from, first, end, before.as_millis(), SLICE])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (seq, is_ours, is_young): (i64, bool, bool) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if is_young {
            return Ok(Slice { next: seq, end: ControlFlow::Break(Some(seq)), ..slice });
        }
        slice.ours.extend(is_ours.then_some(seq));
        slice.next = seq + 1;
        count += 1;
    }
    if count == SLICE {
        slice.end = ControlFlow::Continue(());
    }
    Ok(slice)
}

/// Deletes those of the rows that may go. Returns the others that are there.
async fn delete(db: &Db, table: &'static Ordered, seqs: Vec<i64>, before: Timestamp) -> Result<Vec<i64>, Error> {
    let mut left = Vec::new();
    for batch in seqs.chunks(BATCH) {
        let batch = batch.to_vec();
        let work = move |conn: &Connection| {
            let mut left = Vec::new();
            let mut delete = conn.prepare_cached(table.delete)?;
            let mut is_there = conn.prepare_cached(table.is_there)?;
            for seq in &batch {
                if delete.execute(params![seq, before.as_millis()])? == 0 && is_there.exists([seq])? {
                    left.push(*seq);
                }
            }
            Ok(left)
        };
        left.extend(db.write(work).await?);
    }
    Ok(left)
}

/// Deletes turns of questions before `young`, each with the summary that it is in.
async fn turns(db: &Db, lanes: &(String, String), young: Option<i64>, before: Timestamp) -> Result<usize, Error> {
    let (first, end) = lanes.clone();
    let conversations: Vec<i64> = db
        .read(move |conn| conn.prepare_cached(CONVERSATIONS_OF)?.query_map([first, end], |row| row.get(0))?.collect())
        .await?;
    let mut total = 0;
    for some in conversations.chunks(CONVERSATIONS) {
        let some = some.to_vec();
        let old = db.read(move |conn| {
            let mut turns_of = conn.prepare_cached(TURNS_OF)?;
            let mut old: Vec<(i64, i64)> = Vec::new();
            for conversation in some {
                let of = params![conversation, young.unwrap_or(i64::MAX), before.as_millis()];
                for cause in turns_of.query_map(of, |row| row.get(0))? {
                    old.push((conversation, cause?));
                }
            }
            Ok(old)
        });
        for batch in old.await?.chunks(BATCH) {
            let batch = batch.to_vec();
            let work = move |conn: &Connection| {
                let mut gone = 0;
                for (conversation, cause) in &batch {
                    let went = conn.prepare_cached(DELETE_TURN)?.execute(params![cause, before.as_millis()])?;
                    if went > 0 {
                        gone += went;
                        gone += conn.prepare_cached(DELETE_SUMMARY_OF)?.execute([conversation, cause])?;
                    }
                }
                Ok(gone)
            };
            total += db.write(work).await?;
        }
    }
    Ok(total)
}

async fn in_lanes(
    db: &Db,
    Named { find, delete }: &'static Named,
    lanes: &(String, String),
    before: Timestamp,
) -> Result<usize, Error> {
    let (first, end) = lanes.clone();
    let found: Vec<i64> = db
        .read(move |conn| {
            let of = params![first, end, before.as_millis()];
            conn.prepare_cached(find)?.query_map(of, |row| row.get(0))?.collect()
        })
        .await?;
    let mut total = 0;
    for batch in found.chunks(BATCH) {
        let batch = batch.to_vec();
        let work = move |conn: &Connection| {
            let mut delete = conn.prepare_cached(delete)?;
            batch.iter().try_fold(0, |gone, id| Ok(gone + delete.execute(params![id, before.as_millis()])?))
        };
        total += db.write(work).await?;
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    /// Whatever the other applications have: nothing but the two slices goes through rows of theirs, and those by key.
    #[test]
    fn nothing_is_looked_for_in_whole_tables() {
        let dir = tempfile::tempdir().expect("directory");
        let mut conn = Connection::open(dir.path().join("test.db")).expect("database");
        migrate::migrate(&mut conn, dir.path(), migrate::ALL).expect("migrated");
        let all = [
            (INBOX.look, "INTEGER PRIMARY KEY (rowid>?)"),
            (INBOX.delete, "INTEGER PRIMARY KEY (rowid=?)"),
            (INBOX.is_there, "INTEGER PRIMARY KEY (rowid=?)"),
            (OUTBOX.look, "INTEGER PRIMARY KEY (rowid>?)"),
            (OUTBOX.delete, "INTEGER PRIMARY KEY (rowid=?)"),
            (OUTBOX.is_there, "INTEGER PRIMARY KEY (rowid=?)"),
            (CONVERSATIONS_OF, "conversation_of_lane (lane>? AND lane<?)"),
            (TURNS_OF, "turn_of_conversation (conversation=? AND cause<?)"),
            (DELETE_TURN, "INTEGER PRIMARY KEY (rowid=?)"),
            (DELETE_SUMMARY_OF, "INTEGER PRIMARY KEY (rowid=?)"),
            (SUMMARIES.find, "conversation_of_lane (lane>? AND lane<?)"),
            (SUMMARIES.delete, "INTEGER PRIMARY KEY (rowid=?)"),
            (EMPTY.find, "conversation_of_lane (lane>? AND lane<?)"),
            (EMPTY.delete, "INTEGER PRIMARY KEY (rowid=?)"),
            (media::USES_OF_LANES, "media_use_lane (lane>? AND lane<?)"),
            (media::DELETE_USE, "PRIMARY KEY (hash=? AND lane=?)"),
            (media::DELETE_UPLOADS, "PRIMARY KEY (corp=? AND hash=?)"),
        ];
        for (sql, found_by) in all {
            let mut explain = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).expect("explained");
            let params = rusqlite::params_from_iter(vec![0; explain.parameter_count()]);
            let steps: Vec<String> =
                explain.query_map(params, |row| row.get(3)).expect("plan").map(|step| step.expect("step")).collect();
            assert!(steps.iter().any(|step| step.contains(found_by)), "{sql}\n{steps:#?}");
            assert!(
                !steps.iter().any(|step| step.contains("SCAN") || step.contains("TEMP B-TREE")),
                "{sql}\n{steps:#?}"
            );
        }
    }
}
