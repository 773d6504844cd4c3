//! What was said earlier in conversations, summed up. A summary is written over by its next version only, so that after
//! a crash the one before is there.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store};
use crate::{
    clock::Timestamp,
    model::conversation::{Exchange, Usage},
};

/// A conversation up to one of its turns, summed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// The inbox row of the last turn that is in it; names the version.
    pub up_to: i64,
    /// What was said.
    pub text: String,
}

/// What is to be summed up next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsummarised {
    /// What is summed up already.
    pub before: Option<Summary>,
    /// What was said after that, oldest first, and the inbox row of each turn. Not empty.
    pub exchanges: Vec<(i64, Exchange)>,
}

impl Store {
    /// The oldest exchanges of a conversation that are in no summary, without the newest `keep`: as many as stay within
    /// `bytes` of text, and at least one. `None`: there are none.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn unsummarised(
        &self,
        conversation: i64,
        keep: usize,
        bytes: usize,
    ) -> Result<Option<Unsummarised>, Error> {
        self.db
            .read(move |conn| {
                let before = find(conn, conversation)?;
                let up_to = before.as_ref().map_or(0, |before| before.up_to);
                let mut oldest = conn.prepare_cached(
                    "WITH said AS
                         (SELECT cause, question, answer FROM turn
                          WHERE conversation = ?1 AND cause > ?2 AND state <> 'running' AND answer <> '' AND NOT EXISTS
                              (SELECT 1 FROM turn later WHERE later.cause = turn.replaced_by AND later.answer <> ''))
                     SELECT cause, question, answer FROM said
                     WHERE cause <= (SELECT cause FROM said ORDER BY cause DESC LIMIT 1 OFFSET ?3) ORDER BY cause",
                )?;
                let mut rows = oldest.query(params![conversation, up_to, keep])?;
                let (mut exchanges, mut used) = (Vec::new(), 0_usize);
                while let Some(row) = rows.next()? {
                    let exchange = Exchange { question: row.get(1)?, answer: row.get(2)?, ..Exchange::default() };
                    used = used.saturating_add(exchange.question.len() + exchange.answer.len());
                    if used > bytes && !exchanges.is_empty() {
                        break;
                    }
                    exchanges.push((row.get(0)?, exchange));
                }
                Ok((!exchanges.is_empty()).then_some(Unsummarised { before, exchanges }))
            })
            .await
    }

    /// Saves the next version of a summary with what it cost, where `before` is still the version that it was made from.
    /// `false`: it is not, or it went by its age, or the conversation is gone, as that of a member who was erased.
    ///
    /// # Errors
    /// [`Error`]: the version of before stays.
    pub async fn save_summary(
        &self,
        conversation: i64,
        before: Option<i64>,
        summary: Summary,
        cost: Usage,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let tokens = |tokens: u64| i64::try_from(tokens).unwrap_or(i64::MAX);
        self.db
            .write(move |conn| {
                let written = conn
                    .prepare_cached(
                        "INSERT INTO summary (conversation, up_to, text, at, input_tokens, output_tokens, estimated)
                         SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE EXISTS (SELECT 1 FROM conversation WHERE id = ?1)
                             AND (?8 = 0 OR EXISTS (SELECT 1 FROM summary WHERE conversation = ?1))
                         ON CONFLICT (conversation) DO UPDATE SET
                             up_to = excluded.up_to, text = excluded.text, at = excluded.at,
                             input_tokens = input_tokens + excluded.input_tokens,
                             output_tokens = output_tokens + excluded.output_tokens,
                             estimated = MAX(estimated, excluded.estimated)
                         WHERE up_to = ?8",
                    )?
                    .execute(params![
                        conversation,
                        summary.up_to,
                        summary.text,
                        now.as_millis(),
                        tokens(cost.input),
                        tokens(cost.output),
                        cost.estimated,
                        before.unwrap_or(0),
                    ])?;
                Ok(written > 0)
            })
            .await
    }
}

pub(super) fn find(conn: &Connection, conversation: i64) -> Result<Option<Summary>, rusqlite::Error> {
    conn.prepare_cached("SELECT up_to, text FROM summary WHERE conversation = ?1")?
        .query_row([conversation], |row| Ok(Summary { up_to: row.get(0)?, text: row.get(1)? }))
        .optional()
}
