//! Sessions of operators' browsers, and from where operators logged in.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{COLUMNS as OPERATOR, Changed, account, by, name_of, time, wrong};
use crate::{
    clock::Timestamp,
    model::{
        audit::Entry,
        key::{KeyHash, KeyId},
        operator::{Account, PasswordHash, SESSION_LIFE, Session, SessionText},
    },
    store::{Error, Store, audit, keys::draw},
};

const COLUMNS: &str = "id, operator, hash, created_at, used_at, address, agent";

/// Sessions that an operator may have at once; the oldest ends for one more.
pub const MOST_SESSIONS: usize = 20;
/// Places that are remembered of an operator; the oldest is forgotten for one more.
pub const MOST_PLACES: usize = 50;

/// Who logs in, and from where.
#[derive(Clone, Debug)]
pub struct Login {
    /// The operator's number.
    pub operator: i64,
    /// The password that was right.
    pub password: PasswordHash,
    /// The whole address.
    pub address: String,
    /// The address as places are compared.
    pub place: String,
    /// What the browser calls itself, shortened.
    pub agent: String,
    /// The step of the code of the second factor that was right; `None`: none was asked for.
    pub step: Option<i64>,
}

/// What came of a login.
#[derive(Debug)]
pub enum Opened {
    /// The session is open.
    Yes(SessionText),
    /// The code, or a later one, opened a session before.
    CodeUsed,
    /// The operator was disabled, has another password, or no second factor any more, since it was looked at.
    Changed,
}

impl Store {
    /// Begins a session, and remembers by which code: of two at once with the same, one is first.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn open_session(&self, login: Login, now: Timestamp) -> Result<Opened, Error> {
        let text: SessionText = draw(None)?;
        let (id, hash) = (text.id.clone(), text.hash());
        let refused = self
            .db
            .write(move |conn| {
                if let Some(refused) = refused(conn, &login)? {
                    return Ok(Some(refused));
                }
                conn.execute(
                    "UPDATE operator SET last_login_at = ?2, second_factor_step = COALESCE(?3, second_factor_step)
                     WHERE number = ?1",
                    params![login.operator, now.as_millis(), login.step],
                )?;
                conn.execute(
                    "INSERT INTO operator_session (id, operator, hash, created_at, used_at, address, agent)
                     VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?6)",
                    params![id.as_str(), login.operator, hash.bytes(), now.as_millis(), login.address, login.agent],
                )?;
                conn.execute(
                    "DELETE FROM operator_session WHERE created_at <= ?3 OR operator = ?1 AND number NOT IN
                     (SELECT number FROM operator_session WHERE operator = ?1 ORDER BY number DESC LIMIT ?2)",
                    params![login.operator, MOST_SESSIONS, (now - SESSION_LIFE).as_millis()],
                )?;
                remember_place(conn, login.operator, &login.place, now)?;
                let entry = Entry::named("session.open", format!("session/{}", id.as_str()));
                let entry = entry.with("address", login.address.as_str());
                let entry = entry.with("second_factor", login.step.is_some());
                audit::record(conn, &by(&name_of(conn, login.operator)?, "password"), entry, now)?;
                Ok(None)
            })
            .await?;
        Ok(refused.unwrap_or(Opened::Yes(text)))
    }

    /// Ends a session of an operator.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn end_session(&self, operator: i64, id: &KeyId, now: Timestamp) -> Result<Changed, Error> {
        let id = id.clone();
        self.db
            .write(move |conn| {
                let ended = conn.execute(
                    "DELETE FROM operator_session WHERE operator = ?1 AND id = ?2",
                    params![operator, id.as_str()],
                )?;
                if ended == 0 {
                    return Ok(Changed::NotThere);
                }
                let entry = Entry::named("session.end", format!("session/{}", id.as_str()));
                audit::record(conn, &by(&name_of(conn, operator)?, "session"), entry, now)?;
                Ok(Changed::Yes)
            })
            .await
    }

    /// Remembers when sessions were used last.
    ///
    /// # Errors
    /// [`Error`]: nothing was remembered.
    pub async fn sessions_used(&self, used: Vec<(KeyId, Timestamp)>) -> Result<(), Error> {
        self.db
            .write(move |conn| {
                let mut update =
                    conn.prepare_cached("UPDATE operator_session SET used_at = MAX(used_at, ?2) WHERE id = ?1")?;
                for (id, at) in &used {
                    update.execute(params![id.as_str(), at.as_millis()])?;
                }
                Ok(())
            })
            .await
    }
}

/// Why a session is not opened; `None`: nothing is in the way.
fn refused(conn: &Connection, login: &Login) -> rusqlite::Result<Option<Opened>> {
    let sql = format!("SELECT {OPERATOR} FROM operator WHERE number = ?1 AND disabled_at IS NULL");
    let there = conn.prepare_cached(&sql)?.query_row([login.operator], account).optional()?;
    let is_as_it_was = |there: &Account| {
        there.password.as_ref() == Some(&login.password) && (login.step.is_none() || there.second_factor)
    };
    if !there.is_some_and(|there| is_as_it_was(&there)) {
        return Ok(Some(Opened::Changed));
    }
    let sql = "SELECT second_factor_step FROM operator WHERE number = ?1";
    let used: Option<i64> = conn.query_row(sql, [login.operator], |row| row.get(0))?;
    let is_used = login.step.zip(used).is_some_and(|(step, used)| step <= used);
    Ok(is_used.then_some(Opened::CodeUsed))
}

/// Ends every session of an operator.
pub(super) fn end_all(conn: &Connection, operator: i64) -> rusqlite::Result<()> {
    conn.execute("DELETE FROM operator_session WHERE operator = ?1", [operator])?;
    Ok(())
}

/// From here the operator is known.
pub(super) fn remember_place(conn: &Connection, operator: i64, place: &str, now: Timestamp) -> rusqlite::Result<()> {
    conn.execute(
        "INSERT INTO operator_place (operator, address, last_at) VALUES (?1, ?2, ?3)
         ON CONFLICT (operator, address) DO UPDATE SET last_at = excluded.last_at",
        params![operator, place, now.as_millis()],
    )?;
    conn.execute(
        "DELETE FROM operator_place WHERE operator = ?1 AND address NOT IN
         (SELECT address FROM operator_place WHERE operator = ?1 ORDER BY last_at DESC LIMIT ?2)",
        params![operator, MOST_PLACES],
    )?;
    Ok(())
}

pub(super) fn all(conn: &Connection) -> rusqlite::Result<Vec<Session>> {
    let sql = format!("SELECT {COLUMNS} FROM operator_session ORDER BY number");
    conn.prepare_cached(&sql)?.query_map([], session)?.collect()
}

pub(super) fn places(conn: &Connection) -> rusqlite::Result<Vec<(i64, String)>> {
    conn.prepare_cached("SELECT operator, address FROM operator_place")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

fn session(row: &Row<'_>) -> rusqlite::Result<Session> {
    Ok(Session {
        id: KeyId::parse(row.get_ref(0)?.as_str()?).map_err(|_| wrong(0, "operator_session.id"))?,
        operator: row.get(1)?,
        hash: KeyHash::from_stored(row.get(2)?),
        created_at: time(row, 3)?.unwrap_or_default(),
        used_at: time(row, 4)?.unwrap_or_default(),
        address: row.get(5)?,
        agent: row.get(6)?,
    })
}
