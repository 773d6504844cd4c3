//! What somebody may use beyond a plan, until a date.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Error, Store, audit, plans::stored};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Object, Shown},
        quota::{amounts::Amounts, subject::Subject},
    },
};

/// What somebody may use beyond the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Names it.
    pub id: i64,
    /// Whose, as [`Subject`] is written.
    pub subject: String,
    /// How much more.
    pub amounts: Amounts,
    /// Until when.
    pub until: Timestamp,
    /// Why.
    pub reason: String,
}

impl Grant {
    /// What the audit log says of it: as it is, or as it was.
    fn entry(&self, action: &'static str, is_gone: bool) -> Entry {
        let object = Object::of_key(&self.subject);
        let Amounts { requests, tokens, money } = self.amounts;
        let reason = match object.member() {
            Some(member) => Shown::Of(member.clone(), self.reason.clone()),
            None => self.reason.clone().into(),
        };
        let fields: [(&str, Shown); 6] = [
            ("grant", self.id.into()),
            ("requests", requests.into()),
            ("tokens", tokens.into()),
            ("money_micros", money.into()),
            ("until_ms", self.until.as_millis().into()),
            ("reason", reason),
        ];
        fields.into_iter().fold(Entry::new(action, object), |entry, (field, shown)| match is_gone {
            true => entry.changed(field, shown, Shown::NOTHING),
            false => entry.with(field, shown),
        })
    }
}

impl Store {
    /// Lets somebody use more until a date. Returns the grant's number.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn grant(
        &self,
        actor: &Actor,
        subject: &Subject,
        amounts: Amounts,
        until: Timestamp,
        reason: &str,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (actor, subject, reason) = (actor.clone(), subject.clone(), reason.to_owned());
        self.db
            .write(move |conn| {
                let id = add_grant(conn, &subject, amounts, until, &reason, now)?;
                record(conn, &actor, "grant.add", id, now)?;
                Ok(id)
            })
            .await
    }

    /// Takes a grant back. False when there is none of this number.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn revoke_grant(&self, actor: &Actor, id: i64, now: Timestamp) -> Result<bool, Error> {
        let actor = actor.clone();
        self.db
            .write(move |conn| {
                let Some(grant) = find(conn, id)? else { return Ok(false) };
                audit::record(conn, &actor, grant.entry("grant.revoke", true), now)?;
                Ok(conn.execute("DELETE FROM allowance WHERE id = ?1", [id])? > 0)
            })
            .await
    }
}

/// Writes down that somebody may use more.
pub(super) fn record(
    conn: &Connection,
    actor: &Actor,
    action: &'static str,
    id: i64,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    match find(conn, id)? {
        Some(grant) => audit::record(conn, actor, grant.entry(action, false), now),
        None => Ok(()),
    }
}

/// Those that are not over.
pub(super) fn valid(conn: &Connection, now: Timestamp) -> Result<Vec<Grant>, rusqlite::Error> {
    conn.prepare_cached("SELECT id, subject, requests, tokens, money, until, reason FROM allowance WHERE until > ?1")?
        .query_map([now.as_millis()], grant)?
        .collect()
}

fn find(conn: &Connection, id: i64) -> Result<Option<Grant>, rusqlite::Error> {
    conn.prepare_cached("SELECT id, subject, requests, tokens, money, until, reason FROM allowance WHERE id = ?1")?
        .query_row([id], grant)
        .optional()
}

fn grant(row: &Row<'_>) -> Result<Grant, rusqlite::Error> {
    Ok(Grant {
        id: row.get(0)?,
        subject: row.get(1)?,
        amounts: Amounts { requests: row.get(2)?, tokens: row.get(3)?, money: row.get(4)? },
        until: Timestamp::from_millis(row.get(5)?),
        reason: row.get(6)?,
    })
}

/// Lets somebody use more until a date. Returns the grant's number.
pub(super) fn add_grant(
    conn: &Connection,
    subject: &Subject,
    amounts: Amounts,
    until: Timestamp,
    reason: &str,
    now: Timestamp,
) -> Result<i64, rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO allowance (subject, requests, tokens, money, until, reason, granted_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?
    .execute(params![
        subject.to_string(),
        stored(amounts.requests),
        stored(amounts.tokens),
        stored(amounts.money),
        until.as_millis(),
        reason,
        now.as_millis()
    ])?;
    Ok(conn.last_insert_rowid())
}
