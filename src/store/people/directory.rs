//! What WeCom says of its address book, kept: by whole lists, and change by change.
//!
//! Only two things take somebody's access away: an event that says that they left, and a complete list without them.

use std::borrow::Cow;

use rusqlite::{Connection, OptionalExtension, params};

use super::change::{appears, set_departments};
use crate::{
    clock::Timestamp,
    model::{
        directory::{ContactChange, ListedMember, Listing, Reading},
        event::{Event, EventKind},
        id::{AppKey, CorpId, MemberId},
    },
    store::{Error, Store},
};

/// Members of a list in one transaction.
const BATCH: usize = 200;

/// When the address book was last read for an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastSync {
    /// When.
    pub at: Timestamp,
    /// What came of it.
    pub reading: Reading,
    /// Members in it.
    pub listed: u64,
}

/// An address book that could not be read the last time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unread {
    /// For which application.
    pub app: AppKey,
    /// When it was tried.
    pub at: Timestamp,
    /// What came of it: [`Reading::Refused`] or [`Reading::Failed`].
    pub reading: Reading,
}

/// How the table has a list that is not everybody, and one that WeCom refuses, before its errcode.
const NOT_EVERYBODY: &str = "the list is not everybody: the visible range has tags, or nobody";
const REFUSED: &str = "WeCom refused: errcode ";
/// Those of which nothing was read.
const UNREAD: &str = "SELECT app, at, failure FROM directory WHERE failure IS NOT NULL ORDER BY app";

fn stored(reading: &Reading) -> Option<Cow<'_, str>> {
    match reading {
        Reading::Whole => None,
        Reading::Partly => Some(NOT_EVERYBODY.into()),
        Reading::Refused(errcode) => Some(format!("{REFUSED}{errcode}").into()),
        Reading::Failed(why) => Some(why.into()),
    }
}

fn from_stored(failure: Option<String>) -> Reading {
    let Some(failure) = failure else { return Reading::Whole };
    match failure.strip_prefix(REFUSED).map(str::parse) {
        Some(Ok(errcode)) => Reading::Refused(errcode),
        _ if failure == NOT_EVERYBODY => Reading::Partly,
        _ => Reading::Failed(failure),
    }
}

/// The address books that could not be read the last time.
pub(in crate::store) fn unread(conn: &Connection) -> Result<Vec<Unread>, rusqlite::Error> {
    let row = |row: &rusqlite::Row<'_>| {
        let app = AppKey::from_stored(row.get_ref(0)?.as_str()?);
        Ok(Unread { app, at: Timestamp::from_millis(row.get(1)?), reading: from_stored(row.get(2)?) })
    };
    let all: Vec<_> = conn.prepare_cached(UNREAD)?.query_map([], row)?.collect::<Result<_, _>>()?;
    Ok(all.into_iter().filter(|one| one.reading != Reading::Partly).collect())
}

impl Store {
    /// Keeps a list that was read from `began` on, some members at a time, so that no callback waits for it. Who is not in
    /// it is out of the application's range only where it is complete, and nothing newer says that they are in; that is
    /// decided last, and at once.
    ///
    /// # Errors
    /// [`Error`]: nobody lost access. What was kept of names until then is.
    pub async fn keep_listing(
        &self,
        app: &AppKey,
        corp: &CorpId,
        listing: Listing,
        began: Timestamp,
    ) -> Result<(), Error> {
        let Listing { members, departments, is_complete } = listing;
        let keys: Vec<String> = members.iter().map(|listed| listed.member.key()).collect();
        let (app, corp) = (app.as_str().to_owned(), corp.as_str().to_owned());
        let of = corp.clone();
        self.db
            .write(move |conn| {
                departments.iter().try_for_each(|department| {
                    let (parent, name) = (Some(department.parent), department.name.as_deref());
                    save_department(conn, &of, department.id, parent, name, began)
                })
            })
            .await?;
        for some in members.chunks(BATCH) {
            let (app, corp, some) = (app.clone(), corp.clone(), some.to_vec());
            self.db
                .write(move |conn| some.iter().try_for_each(|listed| keep_listed(conn, &app, &corp, listed, began)))
                .await?;
        }
        self.db.write(move |conn| end_listing(conn, &app, &corp, &keys, is_complete, began)).await
    }

    /// Keeps that the address book could not be read: what came of it instead. Nobody's access changes.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn keep_failed_listing(&self, app: &AppKey, reading: Reading, now: Timestamp) -> Result<(), Error> {
        let app = app.as_str().to_owned();
        self.db.write(move |conn| remember(conn, &app, &reading, 0, now)).await
    }

    /// When the address book was last read for an application; `None`: never.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn last_sync(&self, app: &AppKey) -> Result<Option<LastSync>, Error> {
        let app = app.as_str().to_owned();
        self.db
            .read(move |conn| {
                conn.prepare_cached("SELECT at, failure, listed FROM directory WHERE app = ?1")?
                    .query_row([app], |row| {
                        let at = Timestamp::from_millis(row.get(0)?);
                        Ok(LastSync { at, reading: from_stored(row.get(1)?), listed: row.get(2)? })
                    })
                    .optional()
            })
            .await
    }
}

fn keep_listed(
    conn: &Connection,
    app: &str,
    corp: &str,
    listed: &ListedMember,
    began: Timestamp,
) -> Result<(), rusqlite::Error> {
    let key = listed.member.key();
    appears(conn, corp, &listed.member, began)?;
    if let Some(name) = &listed.name {
        set_name(conn, corp, &key, name)?;
    }
    if let Some(departments) = &listed.departments {
        set_departments(conn, corp, &key, departments)?;
    }
    if set_visible(conn, app, &key, true, began)? {
        back_in_corp(conn, corp, &key, began)?;
    }
    Ok(())
}

fn end_listing(
    conn: &Connection,
    app: &str,
    corp: &str,
    keys: &[String],
    is_complete: bool,
    began: Timestamp,
) -> Result<(), rusqlite::Error> {
    if is_complete {
        let keys = serde_json::to_string(keys).unwrap_or_default();
        // Who wrote for the first time meanwhile came into the range meanwhile.
        conn.prepare_cached(
            "INSERT INTO visible (app, member, is_in, at)
             SELECT ?1, member, 0, ?4 FROM member
             WHERE corp = ?2 AND COALESCE(first_at, 0) < ?4
               AND member NOT IN (SELECT value FROM json_each(?3))
             ON CONFLICT (app, member) DO UPDATE SET is_in = 0, at = excluded.at
             WHERE visible.at <= excluded.at",
        )?
        .execute(params![app, corp, keys, began.as_millis()])?;
    }
    let reading = if is_complete { Reading::Whole } else { Reading::Partly };
    remember(conn, app, &reading, keys.len(), began)
}

fn remember(
    conn: &Connection,
    app: &str,
    reading: &Reading,
    listed: usize,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO directory (app, at, failure, listed) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (app) DO UPDATE SET at = excluded.at, failure = excluded.failure,
             listed = CASE WHEN excluded.failure IS NULL OR excluded.listed > 0 THEN excluded.listed ELSE listed END",
    )?
    .execute(params![app, now.as_millis(), stored(reading), listed])?;
    Ok(())
}

/// Whether an event changes who may ask.
pub const fn concerns_people(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Subscribe | EventKind::Unsubscribe | EventKind::ContactChange(_))
}

/// Takes up what an event says of people, in the transaction that saves it.
pub(in crate::store) fn heard(conn: &Connection, event: &Event, now: Timestamp) -> Result<(), rusqlite::Error> {
    let corp = event.corp.as_str();
    let app = AppKey::new(&event.corp, event.agent);
    match &event.kind {
        EventKind::Subscribe => {
            appears(conn, corp, &event.from, now)?;
            set_visible(conn, app.as_str(), &event.from.key(), true, event.at)?;
            back_in_corp(conn, corp, &event.from.key(), event.at)
        }
        EventKind::Unsubscribe => {
            appears(conn, corp, &event.from, now)?;
            set_visible(conn, app.as_str(), &event.from.key(), false, event.at).map(drop)
        }
        EventKind::ContactChange(change) => changed(conn, &event.corp, change, event.at, now),
        _ => Ok(()),
    }
}

fn changed(
    conn: &Connection,
    corp: &CorpId,
    change: &ContactChange,
    at: Timestamp,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    let of = corp.as_str();
    match change {
        ContactChange::Member { member, renamed, is_new, name, departments, is_active } => {
            if let Some(renamed) = renamed.as_ref().filter(|renamed| *renamed != member) {
                rename(conn, of, member, renamed, now)?;
            }
            let member = renamed.as_ref().unwrap_or(member);
            appears(conn, of, member, now)?;
            if let Some(name) = name {
                set_name(conn, of, &member.key(), name)?;
            }
            if let Some(departments) = departments {
                set_departments(conn, of, &member.key(), departments)?;
            }
            match is_active {
                Some(false) => set_visible(conn, of, &member.key(), false, at).map(drop),
                Some(true) => back_in_corp(conn, of, &member.key(), at),
                None if *is_new => back_in_corp(conn, of, &member.key(), at),
                None => Ok(()),
            }
        }
        ContactChange::MemberGone { member } => {
            appears(conn, of, member, now)?;
            set_departments(conn, of, &member.key(), &[])?;
            set_visible(conn, of, &member.key(), false, at).map(drop)
        }
        ContactChange::Department { id, parent, name } => save_department(conn, of, *id, *parent, name.as_deref(), now),
        ContactChange::DepartmentGone { id } => {
            conn.prepare_cached("DELETE FROM member_of WHERE corp = ?1 AND department = ?2")?
                .execute(params![of, id])?;
            conn.prepare_cached("DELETE FROM department WHERE corp = ?1 AND id = ?2")?.execute(params![of, id])?;
            Ok(())
        }
    }
}

fn set_name(conn: &Connection, corp: &str, member: &str, name: &str) -> Result<(), rusqlite::Error> {
    conn.prepare_cached("UPDATE member SET name = ?3 WHERE corp = ?1 AND member = ?2 AND name IS NOT ?3")?
        .execute([corp, member, name])?;
    Ok(())
}

fn save_department(
    conn: &Connection,
    corp: &str,
    id: u64,
    parent: Option<u64>,
    name: Option<&str>,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO department (corp, id, parent, name, changed_at) VALUES (?1, ?2, COALESCE(?3, 0), ?4, ?5)
         ON CONFLICT (corp, id) DO UPDATE SET parent = COALESCE(?3, parent), name = COALESCE(?4, name),
             changed_at = excluded.changed_at",
    )?
    .execute(params![corp, id, parent, name, now.as_millis()])?;
    Ok(())
}

/// Whether somebody is in the range of an application; of the enterprise's name, in any. False where something newer is
/// known.
fn set_visible(
    conn: &Connection,
    app: &str,
    member: &str,
    is_in: bool,
    at: Timestamp,
) -> Result<bool, rusqlite::Error> {
    let changed = conn
        .prepare_cached(
            "INSERT INTO visible (app, member, is_in, at) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (app, member) DO UPDATE SET is_in = excluded.is_in, at = excluded.at
             WHERE visible.at <= excluded.at",
        )?
        .execute(params![app, member, is_in, at.as_millis()])?;
    Ok(changed > 0)
}

/// Somebody is in the enterprise, as is said of this time.
fn back_in_corp(conn: &Connection, corp: &str, member: &str, at: Timestamp) -> Result<(), rusqlite::Error> {
    conn.prepare_cached("DELETE FROM visible WHERE app = ?1 AND member = ?2 AND at <= ?3")?.execute(params![
        corp,
        member,
        at.as_millis()
    ])?;
    Ok(())
}

/// A member has another userid from now on. What they may, and may not, goes with them.
fn rename(
    conn: &Connection,
    corp: &str,
    from: &MemberId,
    to: &MemberId,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    let (old, new) = (from.key(), to.key());
    if old == new {
        return Ok(());
    }
    conn.prepare_cached("UPDATE OR REPLACE member SET member = ?3, userid = ?4 WHERE corp = ?1 AND member = ?2")?
        .execute([corp, &old, &new, to.as_str()])?;
    conn.prepare_cached(
        "UPDATE OR REPLACE blocked_member SET member = ?3, userid = ?4 WHERE corp = ?1 AND member = ?2",
    )?
    .execute([corp, &old, &new, to.as_str()])?;
    conn.prepare_cached("UPDATE api_key SET member = ?3, userid = ?4 WHERE corp = ?1 AND member = ?2")?.execute([
        corp,
        &old,
        &new,
        to.as_str(),
    ])?;
    conn.prepare_cached("UPDATE key_link SET member = ?3, userid = ?4 WHERE corp = ?1 AND member = ?2")?.execute([
        corp,
        &old,
        &new,
        to.as_str(),
    ])?;
    conn.prepare_cached(
        "UPDATE OR REPLACE quota_request SET member = ?3, userid = ?4 WHERE corp = ?1 AND member = ?2",
    )?
    .execute([corp, &old, &new, to.as_str()])?;
    // What the audit log calls by the userid of before goes with the one of now.
    conn.prepare_cached("UPDATE audit_name SET member = ?2 WHERE member = ?1")?.execute([&old, &new])?;
    conn.prepare_cached("INSERT INTO renamed (corp, old, new, at) VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        corp,
        &old,
        &new,
        now.as_millis()
    ])?;
    conn.prepare_cached("UPDATE OR REPLACE member_of SET member = ?3 WHERE corp = ?1 AND member = ?2")?
        .execute([corp, &old, &new])?;
    conn.prepare_cached(
        "UPDATE OR REPLACE visible SET member = ?3
         WHERE (app = ?1 OR (app > ?1 || '/' AND app < ?1 || '0')) AND member = ?2",
    )?
    .execute([corp, &old, &new])?;
    for table in ["service_hours", "plan_of", "allowance"] {
        conn.prepare_cached(&format!(
            "UPDATE OR REPLACE {table} SET subject = 'member/' || ?1 || '/' || ?3
             WHERE subject = 'member/' || ?1 || '/' || ?2"
        ))?
        .execute([corp, &old, &new])?;
    }
    let (from, to) = (format!("member/{corp}/{old}"), format!("member/{corp}/{new}"));
    conn.prepare_cached(
        "INSERT INTO used (subject, quarter, requests, tokens, money, last_at)
         SELECT ?2, quarter, requests, tokens, money, last_at FROM used WHERE subject = ?1
         ON CONFLICT (subject, quarter) DO UPDATE SET
             requests = requests + excluded.requests, tokens = tokens + excluded.tokens,
             money = money + excluded.money, last_at = MAX(last_at, excluded.last_at)",
    )?
    .execute([&from, &to])?;
    conn.prepare_cached("DELETE FROM used WHERE subject = ?1")?.execute([&from])?;
    Ok(())
}
