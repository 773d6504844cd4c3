//! Dead letters: what could not be delivered, and why; and questions that a restored backup left open, which wait for
//! somebody to decide whether they are answered.

use rusqlite::{Connection, params};

use super::{Error, Store, audit};
use crate::{
    clock::Timestamp,
    model::audit::{Actor, Entry},
};

/// The format of a dead letter that stands for a question: its inbox row is `held`, and the text is there.
pub(super) const QUESTION: &str = "question";

/// A message that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadLetter {
    /// Names it.
    pub id: i64,
    /// For whom it was.
    pub member: String,
    /// When it was given up.
    pub ended_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// Why it was given up.
    pub reason: String,
    /// How long its text is, in bytes. The text itself is the member's business.
    pub bytes: usize,
}

impl Store {
    /// All dead letters, oldest first.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Error> {
        self.db
            .read(|conn| {
                conn.prepare_cached(
                    "SELECT o.seq, o.member, o.ended_at, h.attempts, COALESCE(o.reason, ''),
                            LENGTH(CAST(o.content AS BLOB))
                     FROM outbox o LEFT JOIN outbox h ON h.seq = o.batch WHERE o.state = 'dead' ORDER BY o.seq",
                )?
                .query_map([], |row| {
                    Ok(DeadLetter {
                        id: row.get(0)?,
                        member: row.get(1)?,
                        ended_at: Timestamp::from_millis(row.get::<_, Option<i64>>(2)?.unwrap_or_default()),
                        attempts: row.get::<_, Option<u32>>(3)?.unwrap_or_default(),
                        reason: row.get(4)?,
                        bytes: row.get(5)?,
                    })
                })?
                .collect()
            })
            .await
    }

    /// Puts dead letters back into the outbox: the given one, or all. They keep their place: they are sent before what
    /// waits for their member now. A held question is answered. Returns how many.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn retry_dead_letters(&self, actor: &Actor, id: Option<i64>, now: Timestamp) -> Result<usize, Error> {
        let actor = actor.clone();
        let revived = self
            .db
            .write(move |conn| {
                audit::record(conn, &actor, entry(conn, "dead_letter.retry", id)?, now)?;
                let questions = reopen_questions(conn, id, now)?;
                conn.prepare_cached(
                    "INSERT INTO outbox_lane (lane, ready_at)
                     SELECT DISTINCT lane, ?2 FROM outbox WHERE state = 'dead' AND (?1 IS NULL OR seq = ?1)
                     ON CONFLICT (lane) DO NOTHING",
                )?
                .execute(params![id, now.as_millis()])?;
                conn.prepare_cached(
                    "UPDATE outbox SET state = 'waiting', batch = NULL, attempts = 0, unsure_since = NULL,
                                       created_at = ?2, ended_at = NULL, reason = NULL
                     WHERE state = 'dead' AND (?1 IS NULL OR seq = ?1)",
                )?
                .execute(params![id, now.as_millis()])
                .map(|answers| questions + answers)
            })
            .await?;
        self.signals.wake_all();
        Ok(revived)
    }

    /// Deletes dead letters: the given one, or all. Returns how many.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn drop_dead_letters(&self, actor: &Actor, id: Option<i64>, now: Timestamp) -> Result<usize, Error> {
        let actor = actor.clone();
        self.db
            .write(move |conn| {
                audit::record(conn, &actor, entry(conn, "dead_letter.drop", id)?, now)?;
                conn.prepare_cached(
                    "UPDATE inbox SET state = 'done' WHERE state = 'held' AND seq IN
                         (SELECT cause FROM outbox WHERE state = 'dead' AND format = ?2 AND (?1 IS NULL OR seq = ?1))",
                )?
                .execute(params![id, QUESTION])?;
                conn.prepare_cached("DELETE FROM outbox WHERE state = 'dead' AND (?1 IS NULL OR seq = ?1)")?
                    .execute([id])
            })
            .await
    }
}

/// What the audit log says of a decision about the given one, or all: which they are.
fn entry(conn: &Connection, action: &'static str, id: Option<i64>) -> Result<Entry, rusqlite::Error> {
    let ids: Vec<i64> = conn
        .prepare_cached("SELECT seq FROM outbox WHERE state = 'dead' AND (?1 IS NULL OR seq = ?1) ORDER BY seq")?
        .query_map([id], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let (count, first, last) = (ids.len(), ids.first().copied(), ids.last().copied());
    let which = id.map_or_else(|| "all".to_owned(), |id| id.to_string());
    let entry = Entry::named(action, format!("dead_letter/{which}")).with("letters", count);
    Ok(if id.is_some() { entry } else { entry.with("first", first).with("last", last) })
}

/// Opens held questions again: the given one, or all. Returns how many.
fn reopen_questions(conn: &Connection, id: Option<i64>, now: Timestamp) -> Result<usize, rusqlite::Error> {
    let chosen = conn
        .prepare_cached(
            "DELETE FROM outbox WHERE state = 'dead' AND format = ?2 AND (?1 IS NULL OR seq = ?1) RETURNING cause, lane",
        )?
        .query_map(params![id, QUESTION], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)))?
        .collect::<Result<Vec<_>, _>>()?;
    for (seq, lane) in &chosen {
        let opened =
            conn.prepare_cached("UPDATE inbox SET state = 'open' WHERE seq = ?1 AND state = 'held'")?.execute([seq])?;
        if opened > 0 {
            conn.prepare_cached(
                "INSERT INTO inbox_lane (lane, depth, ready_at) VALUES (?1, 1, ?2)
                 ON CONFLICT (lane) DO UPDATE SET depth = depth + 1",
            )?
            .execute(params![lane, now.as_millis()])?;
        }
    }
    Ok(chosen.len())
}
