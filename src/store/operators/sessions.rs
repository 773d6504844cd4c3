//! Sessions of operators' browsers, and from where operators logged in.

use rusqlite::{Connection, Row, params};

use super::{Changed, by, name_of, time, wrong};
use crate::{
    clock::Timestamp,
    model::{
        audit::Entry,
        key::{KeyHash, KeyId},
        operator::{PasswordHash, SESSION_LIFE, Session, SessionText},
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
}

impl Store {
    /// Begins a session. `None`: the operator was disabled, or has another password, since it was looked at.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn open_session(&self, login: Login, now: Timestamp) -> Result<Option<SessionText>, Error> {
        let text: SessionText = draw(None)?;
        let (id, hash) = (text.id.clone(), text.hash());
        let is_open = self
            .db
            .write(move |conn| {
                let still = conn.execute(
                    "UPDATE operator SET last_login_at = ?3 WHERE number = ?1 AND password = ?2 AND disabled_at IS NULL",
                    params![login.operator, login.password.expose(), now.as_millis()],
                )?;
                if still == 0 {
                    return Ok(false);
                }
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
                audit::record(conn, &by(&name_of(conn, login.operator)?, "password"), entry, now)?;
                Ok(true)
            })
            .await?;
        Ok(is_open.then_some(text))
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
