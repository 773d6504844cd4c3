//! What a member used and asked: sums and lists over their turns, as far as they are kept (`storage.keep_days`,
//! `chat.keep_days`).

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, Store,
    conversation::{holds, pictures_of},
    inbox::Inbound,
};
use crate::{
    clock::Timestamp,
    model::{conversation::Exchange, id::Lane, media::MediaId},
};

/// What was used in a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// Questions that ended, however they did.
    pub questions: u64,
    /// Model tokens of the prompts.
    pub input: u64,
    /// Model tokens of the answers.
    pub output: u64,
    /// Whether some of it is our estimate.
    pub estimated: bool,
}

/// What a member used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// In the open conversation.
    pub conversation: Used,
    /// Since the beginning of the day.
    pub day: Used,
    /// Since the beginning of the month, as far as it is kept.
    pub month: Used,
}

/// A turn that is asked again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replaced {
    /// What was asked, in words.
    pub text: String,
    /// The pictures that belong to it.
    pub pictures: Vec<MediaId>,
    /// Whether it had an answer that is part of the conversation.
    pub answered: bool,
}

impl Store {
    /// What the member of a lane used, with the beginnings of their day and month.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn usage(&self, lane: &Lane, day: Timestamp, month: Timestamp) -> Result<Usage, Error> {
        let lane = lane.clone();
        self.db
            .read(move |conn| {
                let open: Option<i64> = conn
                    .prepare_cached("SELECT id FROM conversation WHERE lane = ?1 AND closed_at IS NULL")?
                    .query_row([lane.as_str()], |row| row.get(0))
                    .optional()?;
                Ok(Usage {
                    conversation: used(conn, &lane, open.unwrap_or(-1), Timestamp::default())?,
                    day: used(conn, &lane, 0, day)?,
                    month: used(conn, &lane, 0, month)?,
                })
            })
            .await
    }

    /// The last questions of a lane's member, the newest first, with the time at which their turns ended.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn last_questions(&self, lane: &Lane, limit: usize) -> Result<Vec<(Timestamp, String)>, Error> {
        let lane = lane.clone();
        self.db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT t.ended_at, t.question FROM conversation c JOIN turn t ON t.conversation = c.id
                     WHERE c.lane = ?1 AND t.ended_at IS NOT NULL AND t.question <> ''
                     ORDER BY t.cause DESC LIMIT ?2",
                )?
                .query_map(params![lane.as_str(), limit], |row| Ok((Timestamp::from_millis(row.get(0)?), row.get(1)?)))?
                .collect()
            })
            .await
    }

    /// What was said in the open conversation of a lane, oldest first: as much of the newest as stays within `bytes`.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn transcript(&self, lane: &Lane, bytes: usize) -> Result<Vec<(Timestamp, Exchange)>, Error> {
        let lane = lane.clone();
        self.db
            .read(move |conn| {
                let mut newest = conn.prepare_cached(
                    "SELECT t.ended_at, t.question, t.answer, t.pictures FROM conversation c JOIN turn t ON t.conversation = c.id
                     WHERE c.lane = ?1 AND c.closed_at IS NULL AND t.ended_at IS NOT NULL AND t.answer <> ''
                     ORDER BY t.cause DESC",
                )?;
                let mut rows = newest.query([lane.as_str()])?;
                let (mut said, mut used) = (Vec::new(), 0_usize);
                while let Some(row) = rows.next()? {
                    let exchange = Exchange {
                        question: row.get(1)?,
                        answer: row.get(2)?,
                        pictures: pictures_of(row.get_ref(3)?.as_str()?),
                    };
                    used = used.saturating_add(exchange.question.len() + exchange.answer.len());
                    if used > bytes {
                        break;
                    }
                    said.push((Timestamp::from_millis(row.get(0)?), exchange));
                }
                said.reverse();
                Ok(said)
            })
            .await
    }

    /// Lets the turn of a claim take the place of the last one of the open conversation: as soon as it has an answer,
    /// that of before is no longer part of the conversation. Asked again after a crash, it is the same turn. `None`: there
    /// is none, or the claim was lost.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn replace_last_turn(&self, claim: &Inbound) -> Result<Option<Replaced>, Error> {
        let (lane, lease, seq) = (claim.lane.clone(), claim.lease(), claim.seq);
        self.db
            .write(move |conn| {
                if !holds(conn, &lane, lease)? {
                    return Ok(None);
                }
                let last: Option<(i64, i64, String, String)> = conn
                    .prepare_cached(
                        "SELECT t.cause, c.id, t.question, t.pictures FROM conversation c JOIN turn t ON t.conversation = c.id
                         WHERE c.lane = ?1 AND c.closed_at IS NULL AND t.state NOT IN ('running', 'sealed') AND t.cause < ?2
                           AND (t.question <> '' OR t.pictures <> '') ORDER BY t.cause DESC LIMIT 1",
                    )?
                    .query_row(params![lane.as_str(), seq], |row| {
                        Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
                    })
                    .optional()?;
                let Some((cause, conversation, text, pictures)) = last else { return Ok(None) };
                // Where that one was to replace another and got no answer, the other goes with it.
                conn.prepare_cached(
                    "UPDATE turn SET replaced_by = ?2 WHERE conversation = ?3 AND (cause = ?1 OR replaced_by = ?1)",
                )?
                .execute([cause, seq, conversation])?;
                let answered = conn
                    .prepare_cached("SELECT 1 FROM turn WHERE conversation = ?1 AND replaced_by = ?2 AND answer <> ''")?
                    .exists([conversation, seq])?;
                Ok(Some(Replaced { text, pictures: pictures_of(&pictures), answered }))
            })
            .await
    }
}

/// The sum over the turns of a lane that ended since then; of one conversation, where it is not 0.
fn used(conn: &Connection, lane: &Lane, conversation: i64, since: Timestamp) -> Result<Used, rusqlite::Error> {
    conn.prepare_cached(
        "SELECT COUNT(*), COALESCE(SUM(t.input_tokens), 0), COALESCE(SUM(t.output_tokens), 0),
                COALESCE(MAX(t.estimated), 0)
         FROM conversation c JOIN turn t ON t.conversation = c.id
         WHERE c.lane = ?1 AND t.ended_at >= ?2 AND (?3 = 0 OR c.id = ?3)",
    )?
    .query_row(params![lane.as_str(), since.as_millis(), conversation], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::unsigned_abs);
        Ok(Used { questions: number(0)?, input: number(1)?, output: number(2)?, estimated: row.get(3)? })
    })
}
