//! Dead letters: what could not be delivered, and why.

use rusqlite::params;

use super::{Error, Store};
use crate::clock::Timestamp;

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
    /// waits for their member now. Returns how many.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn retry_dead_letters(&self, id: Option<i64>, now: Timestamp) -> Result<usize, Error> {
        let revived = self
            .db
            .write(move |conn| {
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
            })
            .await?;
        self.signals.outbox.notify_one();
        Ok(revived)
    }

    /// Deletes dead letters: the given one, or all. Returns how many.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn drop_dead_letters(&self, id: Option<i64>) -> Result<usize, Error> {
        self.db
            .write(move |conn| {
                conn.prepare_cached("DELETE FROM outbox WHERE state = 'dead' AND (?1 IS NULL OR seq = ?1)")?
                    .execute([id])
            })
            .await
    }
}
