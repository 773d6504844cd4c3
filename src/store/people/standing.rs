//! Whose access is not that of everybody: read as a whole, small, and kept at hand by whoever decides.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use crate::{
    clock::Timestamp,
    model::{
        id::{AgentId, AppKey, CorpId, MemberId},
        person::{Access, Premium, Role, hours::ServiceHours},
        quota::subject::Subject,
    },
    store::{Error, Store},
};

/// What differs from the usual, of members and of their hours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standings {
    members: HashMap<(String, String), Standing>,
    blocked: HashSet<(String, String)>,
    /// The application, or the enterprise, in which they are not, and the member.
    outside: HashSet<(String, String)>,
    /// By the subject, as it is written.
    hours: HashMap<String, ServiceHours>,
    /// Somebody is in some department.
    has_departments: bool,
    /// The departments above one that has hours, or below it, matter only where some department has them.
    by_department: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Standing {
    role: Role,
    expires_at: Option<Timestamp>,
    premium: Premium,
}

impl Standings {
    /// What somebody may do beyond asking.
    pub fn role_of(&self, corp: &CorpId, member: &MemberId) -> Role {
        self.standing(corp, member).role
    }

    /// Whether somebody of an enterprise is an operator or above them.
    pub fn has_operators(&self, corp: &CorpId) -> bool {
        let decides = |role: Role| matches!(role, Role::Owner | Role::Operator);
        self.members.iter().any(|((of, _), standing)| of == corp.as_str() && decides(standing.role))
    }

    /// The access of somebody to an application, their departments' hours aside.
    pub fn access_of(&self, corp: &CorpId, agent: AgentId, member: &MemberId) -> Access {
        let Standing { expires_at, premium, .. } = self.standing(corp, member);
        let hours = |subject: Subject| self.hours.get(&subject.to_string()).cloned();
        let own = || hours(Subject::member(corp, member)).or_else(|| hours(Subject::company(corp)));
        Access {
            is_outside: !self.outside.is_empty() && {
                let app = AppKey::new(corp, agent).as_str().to_owned();
                [app, corp.as_str().to_owned()].into_iter().any(|of| self.outside.contains(&(of, member.key())))
            },
            is_blocked: self.blocked.contains(&(corp.as_str().to_owned(), member.key())),
            expires_at,
            premium,
            // Most companies set none.
            hours: if self.hours.is_empty() { Vec::new() } else { own().into_iter().collect() },
        }
    }

    /// Whether it is known of anybody which departments they are in.
    pub const fn has_departments(&self) -> bool {
        self.has_departments
    }

    /// Whether the hours of somebody's departments are to be looked up: they have none of their own, and some department
    /// has.
    pub fn asks_departments(&self, corp: &CorpId, member: &MemberId) -> bool {
        self.by_department && !self.hours.contains_key(&Subject::member(corp, member).to_string())
    }

    /// The hours of a member who has none of their own, by the chains of their departments ([`Store::chains_of`]): in each
    /// those of the nearest that has some, else those of everybody.
    pub fn hours_by(&self, corp: &CorpId, chains: &[Vec<u64>]) -> Vec<ServiceHours> {
        let of = |subject: Subject| self.hours.get(&subject.to_string());
        let mut hours = Vec::new();
        for chain in chains {
            let nearest = chain.iter().find_map(|id| of(Subject::department(corp, *id)));
            match nearest.or_else(|| of(Subject::company(corp))) {
                Some(found) => hours.push(found.clone()),
                // Of this department always.
                None => return Vec::new(),
            }
        }
        if chains.is_empty() {
            hours.extend(of(Subject::company(corp)).cloned());
        }
        hours
    }

    fn standing(&self, corp: &CorpId, member: &MemberId) -> Standing {
        self.members.get(&(corp.as_str().to_owned(), member.key())).copied().unwrap_or_default()
    }
}

impl Store {
    /// Reads them, as one moment of the database.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read; [`Error::Corrupt`] when hours are not what this version writes.
    pub async fn standings(&self) -> Result<Standings, Error> {
        let (mut standings, hours) = self
            .db
            .read(|conn| {
                let moment = conn.unchecked_transaction()?;
                Ok((read(&moment)?, pairs(&moment, "SELECT subject, hours FROM service_hours")?))
            })
            .await?;
        for (subject, text) in hours {
            let hours = ServiceHours::parse(&text).map_err(|error| Error::Corrupt(format!("{subject}: {error}")))?;
            standings.by_department |= subject.starts_with("department/");
            standings.hours.insert(subject, hours);
        }
        Ok(standings)
    }

    /// Each department that a member is directly in, with those above it, the nearest first.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn chains_of(&self, corp: &CorpId, member: &MemberId) -> Result<Vec<Vec<u64>>, Error> {
        let (corp, member) = (corp.as_str().to_owned(), member.key());
        self.db
            .read(move |conn| {
                let own = "SELECT department FROM member_of WHERE corp = ?1 AND member = ?2 ORDER BY department";
                let own: Vec<u64> = conn
                    .prepare_cached(own)?
                    .query_map([&corp, &member], |row| row.get(0))?
                    .collect::<Result<_, _>>()?;
                own.into_iter().map(|id| chain(conn, &corp, id)).collect()
            })
            .await
    }
}

fn chain(conn: &Connection, corp: &str, first: u64) -> Result<Vec<u64>, rusqlite::Error> {
    conn.prepare_cached(
        "WITH RECURSIVE above (id, height) AS (
             VALUES (?2, 0)
             UNION
             SELECT d.parent, above.height + 1 FROM above JOIN department d ON d.corp = ?1 AND d.id = above.id
             WHERE d.parent > 0 AND above.height < 64
         )
         SELECT id FROM above GROUP BY id ORDER BY MIN(height)",
    )?
    .query_map(rusqlite::params![corp, first], |row| row.get(0))?
    .collect()
}

fn read(conn: &Connection) -> Result<Standings, rusqlite::Error> {
    let mut standings = Standings::default();
    let mut members = conn.prepare_cached(
        "SELECT corp, member, role, expires_at, premium_until FROM member
         WHERE role <> 'member' OR expires_at IS NOT NULL OR premium_until IS NOT NULL",
    )?;
    let mut members = members.query([])?;
    while let Some(row) = members.next()? {
        let standing = Standing {
            // A role of a newer version may do nothing here.
            role: Role::parse(&row.get::<_, String>(2)?).unwrap_or_default(),
            expires_at: row.get::<_, Option<i64>>(3)?.map(Timestamp::from_millis),
            premium: premium(row.get(4)?),
        };
        standings.members.insert((row.get(0)?, row.get(1)?), standing);
    }
    standings.has_departments = conn.query_row("SELECT EXISTS (SELECT 1 FROM member_of)", [], |row| row.get(0))?;
    standings.blocked = pairs(conn, "SELECT corp, member FROM blocked_member")?.into_iter().collect();
    standings.outside = pairs(conn, "SELECT app, member FROM visible WHERE is_in = 0")?.into_iter().collect();
    Ok(standings)
}

/// How it is stored.
pub(super) fn premium(stored: Option<i64>) -> Premium {
    match stored {
        None => Premium::Inherit,
        Some(0) => Premium::Off,
        Some(at) => Premium::Until(Timestamp::from_millis(at)),
    }
}

fn pairs(conn: &Connection, sql: &str) -> Result<Vec<(String, String)>, rusqlite::Error> {
    conn.prepare_cached(sql)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}
