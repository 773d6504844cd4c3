//! Members as they are listed, and as an administrator changes them.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, params, types::Type};

use super::{audited::changed, standing::premium};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Object},
        id::{CorpId, MemberId},
        person::{Edit, Person, Premium, Role, hours::ServiceHours},
        quota::subject::Subject,
    },
    store::{Error, Store, audit, blocks},
};

/// A department as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Department {
    /// The enterprise.
    pub corp: CorpId,
    /// WeCom's number.
    pub id: u64,
    /// That of the one above; 0: none.
    pub parent: u64,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// How many members are directly in it, as far as they are known.
    pub members: u64,
    /// Its own service hours; `None`: those of the one above, or of everybody.
    pub hours: Option<ServiceHours>,
}

/// What a list of members comes to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Members who were not there.
    pub new: usize,
    /// Members of whom something is another.
    pub changed: usize,
    /// Members who stay as they are.
    pub unchanged: usize,
}

impl Store {
    /// Every member of an enterprise that is known, by userid.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn people(&self, corp: &CorpId) -> Result<Vec<Person>, Error> {
        self.read_people(corp, None).await
    }

    /// One of them.
    ///
    /// # Errors
    /// As [`Store::people`].
    pub async fn find_person(&self, corp: &CorpId, member: &MemberId) -> Result<Option<Person>, Error> {
        Ok(self.read_people(corp, Some(member.key())).await?.pop())
    }

    /// Changes members: all that is asked for, or nothing where one cannot be changed. Who is not there yet comes to be.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn change_people(
        &self,
        actor: &Actor,
        corp: &CorpId,
        edits: Vec<Edit>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let (actor, corp) = (actor.clone(), corp.clone());
        self.db
            .write(move |conn| {
                edits.iter().try_for_each(|edit| {
                    changed(conn, &actor, (&corp, &edit.member), now, || change(conn, &corp, edit, now))
                })
            })
            .await
    }

    /// The same by a list, and says how many it was new for and how many it changed; with `dry_run`, only says.
    ///
    /// # Errors
    /// As [`Store::change_people`].
    pub async fn import_people(
        &self,
        actor: &Actor,
        corp: &CorpId,
        edits: Vec<Edit>,
        dry_run: bool,
        now: Timestamp,
    ) -> Result<Imported, Error> {
        let known = self.people(corp).await?;
        let known: HashMap<String, &Person> = known.iter().map(|person| (person.member.key(), person)).collect();
        let (mut imported, mut needed) = (Imported::default(), Vec::new());
        for edit in edits {
            match known.get(&edit.member.key()) {
                Some(person) if !edit.changes(person) => {
                    imported.unchanged += 1;
                    continue;
                }
                Some(_) => imported.changed += 1,
                None => imported.new += 1,
            }
            needed.push(edit);
        }
        if !dry_run {
            self.change_people(actor, corp, needed, now).await?;
        }
        Ok(imported)
    }

    /// Sets when questions are answered, or takes that back. False where nothing was to be taken back.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn set_hours(
        &self,
        actor: &Actor,
        subject: &Subject,
        hours: Option<&ServiceHours>,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let (actor, object, key) = (actor.clone(), Object::of(subject), subject.to_string());
        let hours = hours.map(ToString::to_string);
        self.db
            .write(move |conn| {
                let before = find_hours(conn, &key)?;
                let is_changed = set_hours(conn, &key, hours.as_deref(), now)?;
                let entry = Entry::new("hours.set", object.clone()).changed("hours", before, hours.clone());
                audit::record(conn, &actor, entry, now)?;
                Ok(is_changed)
            })
            .await
    }

    /// The hours of everybody of an enterprise who has no others.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn company_hours(&self, corp: &CorpId) -> Result<Option<ServiceHours>, Error> {
        let subject = Subject::company(corp).to_string();
        let text: Option<String> = self.db.read(move |conn| find_hours(conn, &subject)).await?;
        read_hours(text)
    }

    /// The departments of an enterprise that are known, by number.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn departments(&self, corp: &CorpId) -> Result<Vec<Department>, Error> {
        let of = corp.as_str().to_owned();
        let rows: Vec<DepartmentRow> = self
            .db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT id, parent, name,
                            (SELECT COUNT(*) FROM member_of m WHERE m.corp = d.corp AND m.department = d.id),
                            (SELECT hours FROM service_hours WHERE subject = 'department/' || d.corp || '/' || d.id)
                     FROM department d WHERE corp = ?1 ORDER BY id",
                )?
                .query_map([of], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))?
                .collect()
            })
            .await?;
        let department = |(id, parent, name, members, hours)| {
            Ok(Department { corp: corp.clone(), id, parent, name, members, hours: read_hours(hours)? })
        };
        rows.into_iter().map(department).collect()
    }

    async fn read_people(&self, corp: &CorpId, only: Option<String>) -> Result<Vec<Person>, Error> {
        let of = corp.as_str().to_owned();
        let rows = self.db.read(move |conn| read(conn, &of, only.as_deref())).await?;
        rows.into_iter().map(|row| row.person(corp)).collect()
    }
}

/// Number, that of the one above, name, members, hours.
type DepartmentRow = (u64, u64, Option<String>, u64, Option<String>);

/// A member as the row has them.
struct Row {
    userid: String,
    name: Option<String>,
    role: String,
    expires_at: Option<i64>,
    premium_until: Option<i64>,
    note: String,
    first_at: Option<i64>,
    blocked: Option<String>,
    hours: Option<String>,
    departments: Option<String>,
    outside: Option<String>,
}

impl Row {
    fn person(self, corp: &CorpId) -> Result<Person, Error> {
        let numbers = |list: Option<String>| {
            list.unwrap_or_default().split(' ').filter_map(|number| number.parse().ok()).collect::<Vec<u64>>()
        };
        let (mut departments, mut outside) = (numbers(self.departments), numbers(self.outside));
        departments.sort_unstable();
        outside.sort_unstable();
        Ok(Person {
            corp: corp.clone(),
            member: MemberId::parse(&self.userid).map_err(|error| Error::Corrupt(error.to_string()))?,
            name: self.name,
            role: Role::parse(&self.role).unwrap_or_default(),
            expires_at: self.expires_at.map(Timestamp::from_millis),
            premium: premium(self.premium_until),
            hours: read_hours(self.hours)?,
            blocked: self.blocked,
            note: self.note,
            departments,
            outside,
            first_at: self.first_at.map(Timestamp::from_millis),
        })
    }
}

/// A member as they are at this moment.
pub(in crate::store) fn find(
    conn: &Connection,
    corp: &CorpId,
    member: &MemberId,
) -> Result<Option<Person>, rusqlite::Error> {
    let unreadable = |error: Error| rusqlite::Error::FromSqlConversionFailure(0, Type::Text, error.into());
    let row = read(conn, corp.as_str(), Some(&member.key()))?.pop();
    row.map(|row| row.person(corp).map_err(unreadable)).transpose()
}

fn read(conn: &Connection, corp: &str, only: Option<&str>) -> Result<Vec<Row>, rusqlite::Error> {
    conn.prepare_cached(
        "SELECT userid, name, role, expires_at, premium_until, note, first_at,
                (SELECT reason FROM blocked_member b WHERE b.corp = m.corp AND b.member = m.member),
                (SELECT hours FROM service_hours WHERE subject = 'member/' || m.corp || '/' || m.member),
                (SELECT group_concat(department, ' ') FROM member_of o WHERE o.corp = m.corp AND o.member = m.member),
                (SELECT group_concat(iif(app = m.corp, '0', substr(app, instr(app, '/') + 1)), ' ') FROM visible v
                 WHERE (v.app = m.corp OR (v.app > m.corp || '/' AND v.app < m.corp || '0'))
                   AND v.member = m.member AND v.is_in = 0)
         FROM member m WHERE corp = ?1 AND (?2 IS NULL OR member = ?2) ORDER BY member",
    )?
    .query_map(params![corp, only], |row| {
        Ok(Row {
            userid: row.get(0)?,
            name: row.get(1)?,
            role: row.get(2)?,
            expires_at: row.get(3)?,
            premium_until: row.get(4)?,
            note: row.get(5)?,
            first_at: row.get(6)?,
            blocked: row.get(7)?,
            hours: row.get(8)?,
            departments: row.get(9)?,
            outside: row.get(10)?,
        })
    })?
    .collect()
}

fn change(conn: &Connection, corp: &CorpId, edit: &Edit, now: Timestamp) -> Result<(), rusqlite::Error> {
    let (of, key, at) = (corp.as_str(), edit.member.key(), now.as_millis());
    appears(conn, of, &edit.member, now)?;
    let set = |column: &str, value: &dyn rusqlite::ToSql| {
        conn.prepare_cached(&format!(
            "UPDATE member SET {column} = ?3, changed_at = ?4 WHERE corp = ?1 AND member = ?2"
        ))?
        .execute(params![of, key, value, at])
    };
    if let Some(name) = &edit.name {
        set("name", name)?;
    }
    if let Some(role) = edit.role {
        set("role", &role.as_str())?;
    }
    if let Some(expires_at) = edit.expires_at {
        set("expires_at", &expires_at.map(Timestamp::as_millis))?;
    }
    if let Some(premium) = edit.premium {
        let stored = match premium {
            Premium::Inherit => None,
            Premium::Off => Some(0),
            Premium::Until(at) => Some(at.as_millis()),
        };
        set("premium_until", &stored)?;
    }
    if let Some(note) = &edit.note {
        set("note", note)?;
    }
    if let Some(hours) = &edit.hours {
        let subject = Subject::member(corp, &edit.member).to_string();
        set_hours(conn, &subject, hours.as_ref().map(ToString::to_string).as_deref(), now)?;
    }
    match &edit.blocked {
        Some(Some(reason)) => blocks::block(conn, corp, &edit.member, reason, now)?,
        Some(None) => {
            blocks::unblock(conn, of, &key)?;
        }
        None => {}
    }
    if let Some(departments) = &edit.departments {
        set_departments(conn, of, &key, departments)?;
    }
    if edit.readmit {
        conn.prepare_cached(
            "DELETE FROM visible WHERE (app = ?1 OR (app > ?1 || '/' AND app < ?1 || '0')) AND member = ?2",
        )?
        .execute([of, &key])?;
    }
    Ok(())
}

/// A member comes to be, where they are not there yet.
pub(super) fn appears(conn: &Connection, corp: &str, member: &MemberId, now: Timestamp) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO member (corp, member, userid, changed_at) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (corp, member) DO NOTHING",
    )?
    .execute(params![corp, member.key(), member.as_str(), now.as_millis()])?;
    Ok(())
}

/// The departments that a member is directly in.
pub(super) fn set_departments(
    conn: &Connection,
    corp: &str,
    member: &str,
    departments: &[u64],
) -> Result<(), rusqlite::Error> {
    let mut wanted = departments.to_vec();
    wanted.sort_unstable();
    wanted.dedup();
    let is: Vec<u64> = conn
        .prepare_cached("SELECT department FROM member_of WHERE corp = ?1 AND member = ?2 ORDER BY department")?
        .query_map([corp, member], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    if is == wanted {
        return Ok(());
    }
    conn.prepare_cached("DELETE FROM member_of WHERE corp = ?1 AND member = ?2")?.execute([corp, member])?;
    let mut insert = conn.prepare_cached(
        "INSERT INTO member_of (corp, member, department) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?;
    departments.iter().try_for_each(|id| insert.execute(params![corp, member, id]).map(drop))
}

fn set_hours(conn: &Connection, subject: &str, hours: Option<&str>, now: Timestamp) -> Result<bool, rusqlite::Error> {
    let Some(hours) = hours else {
        return Ok(conn.prepare_cached("DELETE FROM service_hours WHERE subject = ?1")?.execute([subject])? > 0);
    };
    conn.prepare_cached(
        "INSERT INTO service_hours (subject, hours, changed_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (subject) DO UPDATE SET hours = excluded.hours, changed_at = excluded.changed_at",
    )?
    .execute(params![subject, hours, now.as_millis()])?;
    Ok(true)
}

fn find_hours(conn: &Connection, subject: &str) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached("SELECT hours FROM service_hours WHERE subject = ?1")?
        .query_row([subject], |row| row.get(0))
        .optional()
}

fn read_hours(text: Option<String>) -> Result<Option<ServiceHours>, Error> {
    let hours = text.map(|text| ServiceHours::parse(&text).map_err(|error| Error::Corrupt(format!("{text}: {error}"))));
    hours.transpose()
}
