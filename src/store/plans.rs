//! Plans, and to whom they are attached.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension, params, types::Type};
use serde_json::{Map, Value};

use super::{
    Error, Store, audit,
    grants::{self, Grant},
};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Object, Shown},
        quota::{amounts::Amounts, plan::Plan, subject::Subject},
    },
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
    /// As [`Rules::attachments`] names it.
    pub fn key(&self) -> String {
        match self {
            Self::EveryMember => EVERY_MEMBER.to_owned(),
            Self::One(subject) => subject.to_string(),
        }
    }

    /// As the audit log names it.
    fn object(&self) -> Object {
        match self {
            Self::EveryMember => Object::Named("everyone".to_owned()),
            Self::One(subject) => Object::of(subject),
        }
    }
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
        if self.attached.is_empty() {
            return None;
        }
        let own = self.attached.get(&subject.to_string());
        let name = match subject {
            Subject::Member(..) => own.or_else(|| self.attached.get(EVERY_MEMBER)),
            Subject::Company(_) | Subject::Department(..) | Subject::Key(..) => own,
        };
        self.plans.get(name?)
    }

    /// What was granted to somebody and is not over.
    pub fn extra(&self, subject: &Subject, now: Timestamp) -> Amounts {
        if self.grants.is_empty() {
            return Amounts::ZERO;
        }
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
    /// Saves a plan, new or changed; it acts on the next call. Whether it is new.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn save_plan(&self, actor: &Actor, name: &str, plan: &Plan, now: Timestamp) -> Result<bool, Error> {
        let json = serde_json::to_string(plan).map_err(|error| Error::Corrupt(error.to_string()))?;
        let (actor, name) = (actor.clone(), name.to_owned());
        self.db
            .write(move |conn| {
                let before = find_plan(conn, &name)?;
                let (is_new, before) = (before.is_none(), fields(before));
                let entry = Entry::named("plan.set", format!("plan/{name}"));
                audit::record(conn, &actor, entry.between(&before, &fields(Some(json.clone())), None), now)?;
                conn.execute(
                    "INSERT INTO plan (name, plan, changed_at) VALUES (?1, ?2, ?3)
                     ON CONFLICT (name) DO UPDATE SET plan = excluded.plan, changed_at = excluded.changed_at",
                    params![name, json, now.as_millis()],
                )?;
                Ok(is_new)
            })
            .await
    }

    /// Removes a plan that is attached to nobody.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn remove_plan(&self, actor: &Actor, name: &str, now: Timestamp) -> Result<Removed, Error> {
        let (actor, name) = (actor.clone(), name.to_owned());
        self.db
            .write(move |conn| {
                let holders: usize =
                    conn.query_row("SELECT COUNT(*) FROM plan_of WHERE plan = ?1", [&name], |row| row.get(0))?;
                if holders > 0 {
                    return Ok(Removed::Attached(holders));
                }
                let Some(before) = find_plan(conn, &name)? else { return Ok(Removed::NotThere) };
                let entry = Entry::named("plan.remove", format!("plan/{name}"));
                audit::record(conn, &actor, entry.between(&fields(Some(before)), &Map::new(), None), now)?;
                conn.execute("DELETE FROM plan WHERE name = ?1", [&name])?;
                Ok(Removed::Yes)
            })
            .await
    }

    /// Attaches a plan, instead of the one that was attached there. False when there is no such plan.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn attach_plan(&self, actor: &Actor, holder: &Holder, name: &str, now: Timestamp) -> Result<bool, Error> {
        let (actor, object, holder, name) = (actor.clone(), holder.object(), holder.key(), name.to_owned());
        self.db
            .write(move |conn| {
                let there = find_plan(conn, &name)?;
                if there.is_some() {
                    let before = attached(conn, &holder)?;
                    let entry = Entry::new("plan.attach", object.clone()).changed("plan", before, name.clone());
                    audit::record(conn, &actor, entry, now)?;
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
    pub async fn detach_plan(&self, actor: &Actor, holder: &Holder, now: Timestamp) -> Result<bool, Error> {
        let (actor, object, holder) = (actor.clone(), holder.object(), holder.key());
        self.db
            .write(move |conn| {
                let Some(before) = attached(conn, &holder)? else { return Ok(false) };
                let entry = Entry::new("plan.detach", object.clone()).changed("plan", before, Shown::NOTHING);
                audit::record(conn, &actor, entry, now)?;
                Ok(conn.execute("DELETE FROM plan_of WHERE subject = ?1", [&holder])? > 0)
            })
            .await
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
                    grants::valid(&moment, now)?,
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

/// A plan as it is stored.
fn find_plan(conn: &Connection, name: &str) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached("SELECT plan FROM plan WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

/// A plan as it is.
pub(super) fn parsed(conn: &Connection, name: &str) -> Result<Option<Plan>, rusqlite::Error> {
    let unreadable = |error: serde_json::Error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into());
    find_plan(conn, name)?.map(|json| serde_json::from_str(&json).map_err(unreadable)).transpose()
}

/// The name of the plan that is attached there.
pub(super) fn attached(conn: &Connection, holder: &str) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached("SELECT plan FROM plan_of WHERE subject = ?1")?.query_row([holder], |row| row.get(0)).optional()
}

/// What a plan says, for the audit log.
fn fields(plan: Option<String>) -> Map<String, Value> {
    plan.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default()
}

/// SQLite's integers end at half of ours, which is more than anybody uses.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
