//! Plans, to whom they are attached, what was granted beside them.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, Store};
use crate::{
    clock::Timestamp,
    model::quota::{amounts::Amounts, plan::Plan, subject::Subject},
};

/// To whom a plan is attached that everybody has who has none of their own.
const EVERY_MEMBER: &str = "member";

/// Whom a plan is attached to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Holder {
    /// Every member without a plan of their own.
    EveryMember,
    /// One.
    One(Subject),
}

impl Holder {
    fn key(&self) -> String {
        match self {
            Self::EveryMember => EVERY_MEMBER.to_owned(),
            Self::One(subject) => subject.to_string(),
        }
    }
}

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

/// All that is to be known to decide about a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The plans by name.
    pub plans: BTreeMap<String, Plan>,
    /// Which plan is attached to whom, by the holder's key.
    attached: HashMap<String, String>,
    /// What was granted, and is not over.
    grants: HashMap<String, Vec<Grant>>,
}

/// What came of removing a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Removed {
    /// It is gone.
    Yes,
    /// There is none of this name.
    NotThere,
    /// It is attached to so many.
    Attached(usize),
}

impl Rules {
    /// The plan of somebody: their own or, for a member, that of every member.
    pub fn plan_of(&self, subject: &Subject) -> Option<&Plan> {
        let own = self.attached.get(&subject.to_string());
        let name = match subject {
            Subject::Member(..) => own.or_else(|| self.attached.get(EVERY_MEMBER)),
            Subject::Company(_) | Subject::Department(..) | Subject::Key(..) => own,
        };
        self.plans.get(name?)
    }

    /// What was granted to somebody and is not over.
    pub fn extra(&self, subject: &Subject, now: Timestamp) -> Amounts {
        let grants = self.grants.get(&subject.to_string()).map_or(&[][..], Vec::as_slice);
        let valid = grants.iter().filter(|grant| grant.until > now);
        valid.fold(Amounts::ZERO, |sum, grant| sum.plus(grant.amounts))
    }

    /// Who has which plan: the holder's key and the plan's name, in order.
    pub fn attachments(&self) -> Vec<(&str, &str)> {
        let mut all: Vec<_> = self.attached.iter().map(|(holder, plan)| (holder.as_str(), plan.as_str())).collect();
        all.sort_unstable();
        all
    }

    /// What was granted and was not over when the rules were read, in the order in which it ends.
    pub fn grants(&self) -> Vec<&Grant> {
        let mut all: Vec<_> = self.grants.values().flatten().collect();
        all.sort_unstable_by_key(|grant| (grant.until, grant.id));
        all
    }

    /// Whether nothing is limited at all.
    pub fn is_empty(&self) -> bool {
        self.attached.is_empty()
    }
}

impl Store {
    /// Saves a plan, new or changed; it acts on the next call.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn save_plan(&self, name: &str, plan: &Plan, now: Timestamp) -> Result<(), Error> {
        let json = serde_json::to_string(plan).map_err(|error| Error::Corrupt(error.to_string()))?;
        let name = name.to_owned();
        self.db
            .write(move |conn| {
                conn.execute(
                    "INSERT INTO plan (name, plan, changed_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET plan = excluded.plan, changed_at = excluded.changed_at",
                    params![name, json, now.as_millis()],
                )?;
                Ok(())
            })
            .await
    }

    /// Removes a plan that is attached to nobody.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn remove_plan(&self, name: &str) -> Result<Removed, Error> {
        let name = name.to_owned();
        self.db
            .write(move |conn| {
                let holders: usize =
                    conn.query_row("SELECT COUNT(*) FROM plan_of WHERE plan = ?1", [&name], |row| row.get(0))?;
                if holders > 0 {
                    return Ok(Removed::Attached(holders));
                }
                let gone = conn.execute("DELETE FROM plan WHERE name = ?1", [&name])?;
                Ok(if gone == 0 { Removed::NotThere } else { Removed::Yes })
            })
            .await
    }

    /// Attaches a plan, instead of the one that was attached there. False when there is no such plan.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn attach_plan(&self, holder: &Holder, name: &str, now: Timestamp) -> Result<bool, Error> {
        let (holder, name) = (holder.key(), name.to_owned());
        self.db
            .write(move |conn| {
                let there = conn.query_row("SELECT 1 FROM plan WHERE name = ?1", [&name], |_| Ok(())).optional()?;
                if there.is_some() {
                    conn.execute(
                        "INSERT INTO plan_of (subject, plan, since) VALUES (?1, ?2, ?3)
                         ON CONFLICT (subject) DO UPDATE SET plan = excluded.plan, since = excluded.since",
                        params![holder, name, now.as_millis()],
                    )?;
                }
                Ok(there.is_some())
            })
            .await
    }

    /// Takes away the plan that is attached there. False when there is none.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn detach_plan(&self, holder: &Holder) -> Result<bool, Error> {
        let holder = holder.key();
        self.db.write(move |conn| Ok(conn.execute("DELETE FROM plan_of WHERE subject = ?1", [&holder])? > 0)).await
    }

    /// Lets somebody use more until a date. Returns the grant's number.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn grant(
        &self,
        subject: &Subject,
        amounts: Amounts,
        until: Timestamp,
        reason: &str,
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (subject, reason) = (subject.clone(), reason.to_owned());
        self.db.write(move |conn| add_grant(conn, &subject, amounts, until, &reason, now)).await
    }

    /// Takes a grant back. False when there is none of this number.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn revoke_grant(&self, id: i64) -> Result<bool, Error> {
        self.db.write(move |conn| Ok(conn.execute("DELETE FROM allowance WHERE id = ?1", [id])? > 0)).await
    }

    /// Reads the rules as they are.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read; [`Error::Corrupt`] when a plan is not what this version writes.
    pub async fn rules(&self, now: Timestamp) -> Result<Rules, Error> {
        let (plans, attached, grants) = self
            .db
            .read(move |conn| {
                let moment = conn.unchecked_transaction()?;
                Ok((
                    pairs(&moment, "SELECT name, plan FROM plan")?,
                    pairs(&moment, "SELECT subject, plan FROM plan_of")?,
                    grants(&moment, now)?,
                ))
            })
            .await?;
        let mut rules = Rules { attached: attached.into_iter().collect(), ..Rules::default() };
        for (name, json) in plans {
            let plan = serde_json::from_str(&json).map_err(|error| Error::Corrupt(format!("plan {name}: {error}")))?;
            rules.plans.insert(name, plan);
        }
        for grant in grants {
            rules.grants.entry(grant.subject.clone()).or_default().push(grant);
        }
        Ok(rules)
    }
}

fn pairs(conn: &Connection, sql: &str) -> Result<Vec<(String, String)>, rusqlite::Error> {
    conn.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn grants(conn: &Connection, now: Timestamp) -> Result<Vec<Grant>, rusqlite::Error> {
    conn.prepare_cached("SELECT id, subject, requests, tokens, money, until, reason FROM allowance WHERE until > ?1")?
        .query_map([now.as_millis()], |row| {
            Ok(Grant {
                id: row.get(0)?,
                subject: row.get(1)?,
                amounts: Amounts { requests: row.get(2)?, tokens: row.get(3)?, money: row.get(4)? },
                until: Timestamp::from_millis(row.get(5)?),
                reason: row.get(6)?,
            })
        })?
        .collect()
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

/// SQLite's integers end at half of ours, which is more than anybody uses.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
