//! What was used, by whom and when.

use rusqlite::{Connection, params};

use super::{Error, Store, plans::stored};
use crate::{
    clock::Timestamp,
    model::quota::{amounts::Amounts, subject::Subject},
};

/// Every time zone begins its hours at a multiple of it.
const QUARTER_MS: i64 = 15 * 60 * 1000;
/// The row that holds what was used ever.
const EVER: i64 = -1;

/// What a call took, and whom it counts for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// At every level.
    pub subjects: Vec<Subject>,
    /// How much.
    pub amounts: Amounts,
}

impl Store {
    /// What somebody used since `from`, as far as quarters of an hour tell: how much, and when last.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn used_since(&self, subject: &Subject, from: Timestamp) -> Result<Vec<(Timestamp, Amounts)>, Error> {
        let subject = subject.to_string();
        self.db
            .read(move |conn| {
                let ever = from.as_millis() < 0;
                let sql = if ever {
                    "SELECT last_at, requests, tokens, money FROM used WHERE subject = ?1 AND quarter = ?2"
                } else {
                    "SELECT last_at, requests, tokens, money FROM used
                     WHERE subject = ?1 AND quarter >= ?2 ORDER BY quarter"
                };
                let first = if ever { EVER } else { from.as_millis() - from.as_millis().rem_euclid(QUARTER_MS) };
                conn.prepare_cached(sql)?
                    .query_map(params![subject, first], |row| {
                        let amounts = Amounts { requests: row.get(1)?, tokens: row.get(2)?, money: row.get(3)? };
                        Ok((Timestamp::from_millis(row.get(0)?), amounts))
                    })?
                    .collect()
            })
            .await
    }

    /// Adds what a call took, for calls that nothing else is saved with.
    ///
    /// # Errors
    /// [`Error`]: it was not added.
    pub async fn add_use(&self, used: Use, now: Timestamp) -> Result<(), Error> {
        self.db.write(move |conn| add(conn, &used, now)).await
    }
}

/// Adds what a call took, in the transaction that saves what it bought.
pub(super) fn add(conn: &Connection, used: &Use, now: Timestamp) -> Result<(), rusqlite::Error> {
    // Nearly always it is there.
    let mut change = conn.prepare_cached(
        "UPDATE used SET requests = requests + ?3, tokens = tokens + ?4, money = money + ?5, last_at = MAX(last_at, ?6)
         WHERE subject = ?1 AND quarter = ?2",
    )?;
    let mut begin = conn.prepare_cached(
        "INSERT INTO used (subject, quarter, requests, tokens, money, last_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    let Use { subjects, amounts } = used;
    let [requests, tokens, money] = [amounts.requests, amounts.tokens, amounts.money].map(stored);
    let now = now.as_millis();
    for subject in subjects {
        let subject = subject.to_string();
        for quarter in [now - now.rem_euclid(QUARTER_MS), EVER] {
            let values = params![subject, quarter, requests, tokens, money, now];
            if change.execute(values)? == 0 {
                begin.execute(values)?;
            }
        }
    }
    Ok(())
}
