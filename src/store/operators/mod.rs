//! Operators: accounts, the codes by which they set their passwords, their tokens and their sessions. What is secret is
//! drawn here, given out once, and kept as a hash alone.
//!
//! Every function is one transaction, and is what commands and HTTP use alike.

pub mod passwords;
pub mod sessions;
pub mod tokens;

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};

use super::{Error, Store, audit, keys::draw, secrets};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry},
        key::{KeyHash, KeyId},
        operator::{
            Account, INVITATION_LIFE, Invitation, InvitationText, OperatorName, PasswordHash, Role, Session, Token,
        },
        second_factor,
    },
    secret::Secret,
    vault::Sealed,
};

const COLUMNS: &str = "number, name, role, password, password_set_at, invitation_id, invitation_hash, invitation_until,
     created_at, disabled_at, last_login_at,
     EXISTS (SELECT 1 FROM secret WHERE secret.name = 'operator/' || operator.name)";

/// What came of making an operator.
#[derive(Debug)]
pub enum Created {
    /// They are there, and this is the code by which they set their password: nobody can show it again.
    New(Box<Account>, Secret<String>),
    /// There is one of this name, who was left as they are.
    There(Box<Account>),
}

/// What came of giving an operator a new code.
#[derive(Debug)]
pub enum Reset {
    /// Their password, second factor and sessions are gone, and this is the code: nobody can show it again.
    Yes(Box<Account>, Secret<String>),
    /// Nothing of theirs is good, so a code would not be either.
    Disabled,
    /// There is no such operator.
    NotThere,
}

/// What came of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Changed {
    /// It is so from now on.
    Yes,
    /// It was before.
    Already,
    /// There is no such operator, token or session.
    NotThere,
}

/// Everything by which somebody can prove who they are.
#[derive(Clone, Debug, Default)]
pub struct Roll {
    /// Every operator.
    pub accounts: Vec<Account>,
    /// Every token that was not revoked.
    pub tokens: Vec<Token>,
    /// Every session that has a row; some may be over.
    pub sessions: Vec<Session>,
    /// From where operators logged in before: their numbers, and addresses.
    pub places: Vec<(i64, String)>,
    /// The seeds of their second factors, and the keys that seal them.
    pub seeds: Sealed,
}

impl Store {
    /// Makes an operator.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn create_operator(
        &self,
        actor: &Actor,
        name: &OperatorName,
        role: Role,
        now: Timestamp,
    ) -> Result<Created, Error> {
        let code: InvitationText = draw(None)?;
        let (actor, name, id, hash) = (actor.clone(), name.clone(), code.id.clone(), code.hash());
        let (account, is_new) = self
            .db
            .write(move |conn| {
                if let Some(there) = find(conn, &name)? {
                    return Ok((Some(there), false));
                }
                conn.execute(
                    "INSERT INTO operator (name, role, invitation_id, invitation_hash, invitation_until, created_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        name.as_str(),
                        role.as_str(),
                        id.as_str(),
                        hash.bytes(),
                        (now + INVITATION_LIFE).as_millis(),
                        now.as_millis()
                    ],
                )?;
                audit::record(conn, &actor, entry("operator.create", &name).with("role", role.as_str()), now)?;
                Ok((find(conn, &name)?, true))
            })
            .await?;
        let account = Box::new(account.ok_or_else(|| Error::Corrupt("operator".to_owned()))?);
        Ok(if is_new { Created::New(account, code.text()) } else { Created::There(account) })
    }

    /// Takes an operator's password, second factor and sessions away, and gives them a code by which they set another. Codes
    /// of before are no longer good. Their tokens stay.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn reset_operator(&self, actor: &Actor, name: &OperatorName, now: Timestamp) -> Result<Reset, Error> {
        let code: InvitationText = draw(None)?;
        let (actor, name, id, hash) = (actor.clone(), name.clone(), code.id.clone(), code.hash());
        let found = self
            .db
            .write(move |conn| {
                let Some(there) = find(conn, &name)?.filter(|there| there.disabled_at.is_none()) else {
                    return find(conn, &name);
                };
                conn.execute(
                    "UPDATE operator SET password = NULL, password_set_at = NULL, invitation_id = ?2,
                         invitation_hash = ?3, invitation_until = ?4 WHERE number = ?1",
                    params![there.number, id.as_str(), hash.bytes(), (now + INVITATION_LIFE).as_millis()],
                )?;
                sessions::end_all(conn, there.number)?;
                let mut entry = entry("operator.reset", &name);
                if secrets::take(conn, &second_factor::stored_name(&name))? {
                    entry = entry.changed("second_factor", true, false);
                }
                audit::record(conn, &actor, entry, now)?;
                find(conn, &name)
            })
            .await?;
        Ok(match found {
            None => Reset::NotThere,
            Some(account) if account.disabled_at.is_some() => Reset::Disabled,
            Some(account) => Reset::Yes(Box::new(account), code.text()),
        })
    }

    /// Lets nothing of an operator's be good any more: sessions end, tokens are revoked, and a code that was given out
    /// is forgotten.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn disable_operator(&self, actor: &Actor, name: &OperatorName, now: Timestamp) -> Result<Changed, Error> {
        let (actor, name) = (actor.clone(), name.clone());
        self.db
            .write(move |conn| {
                let Some(there) = find(conn, &name)? else { return Ok(Changed::NotThere) };
                if there.disabled_at.is_some() {
                    return Ok(Changed::Already);
                }
                conn.execute(
                    "UPDATE operator SET disabled_at = ?2, invitation_id = NULL, invitation_hash = NULL,
                         invitation_until = NULL WHERE number = ?1",
                    params![there.number, now.as_millis()],
                )?;
                sessions::end_all(conn, there.number)?;
                conn.execute(
                    "UPDATE operator_token SET revoked_at = ?2 WHERE operator = ?1 AND revoked_at IS NULL",
                    params![there.number, now.as_millis()],
                )?;
                audit::record(conn, &actor, entry("operator.disable", &name), now)?;
                Ok(Changed::Yes)
            })
            .await
    }

    /// Lets an operator log in again, with the password and the second factor of before. Tokens that were revoked stay so.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn enable_operator(&self, actor: &Actor, name: &OperatorName, now: Timestamp) -> Result<Changed, Error> {
        let (actor, name) = (actor.clone(), name.clone());
        self.db
            .write(move |conn| {
                let Some(there) = find(conn, &name)? else { return Ok(Changed::NotThere) };
                if there.disabled_at.is_none() {
                    return Ok(Changed::Already);
                }
                conn.execute("UPDATE operator SET disabled_at = NULL WHERE number = ?1", [there.number])?;
                audit::record(conn, &actor, entry("operator.enable", &name), now)?;
                Ok(Changed::Yes)
            })
            .await
    }

    /// Every operator, oldest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn operators(&self) -> Result<Vec<Account>, Error> {
        self.db.read(accounts).await
    }

    /// One operator; `None`: there is none of this name.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn operator(&self, name: &OperatorName) -> Result<Option<Account>, Error> {
        let name = name.clone();
        self.db.read(move |conn| find(conn, &name)).await
    }

    /// Everything by which somebody can prove who they are, of one moment.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn roll(&self) -> Result<Roll, Error> {
        self.db
            .read(|conn| {
                // One snapshot: a token is never seen without its operator.
                let tx = conn.unchecked_transaction()?;
                Ok(Roll {
                    accounts: accounts(&tx)?,
                    tokens: tokens::not_revoked(&tx)?,
                    sessions: sessions::all(&tx)?,
                    places: sessions::places(&tx)?,
                    seeds: secrets::seeds(&tx)?,
                })
            })
            .await
    }
}

/// What the audit log says of an operator.
fn entry(action: &'static str, name: &OperatorName) -> Entry {
    Entry::named(action, format!("operator/{name}"))
}

/// An operator who proved who they are by something.
fn by(name: &OperatorName, what: &str) -> Actor {
    Actor::Operator { name: name.to_string(), by: what.to_owned() }
}

/// The operator of this number.
fn name_of(conn: &Connection, operator: i64) -> rusqlite::Result<OperatorName> {
    let name: String = conn.query_row("SELECT name FROM operator WHERE number = ?1", [operator], |row| row.get(0))?;
    OperatorName::parse(&name).map_err(|_| wrong(0, "operator.name"))
}

fn accounts(conn: &Connection) -> rusqlite::Result<Vec<Account>> {
    conn.prepare_cached(&format!("SELECT {COLUMNS} FROM operator ORDER BY number"))?.query_map([], account)?.collect()
}

fn find(conn: &Connection, name: &OperatorName) -> rusqlite::Result<Option<Account>> {
    let sql = format!("SELECT {COLUMNS} FROM operator WHERE name = ?1");
    conn.prepare_cached(&sql)?.query_row([name.as_str()], account).optional()
}

/// What a row holds. What cannot be read is an error and never somebody who may do more.
fn account(row: &Row<'_>) -> rusqlite::Result<Account> {
    let name = OperatorName::parse(row.get_ref(1)?.as_str()?).map_err(|_| wrong(1, "operator.name"))?;
    let code = row.get::<_, Option<String>>(5)?;
    let id = code.map(|id| KeyId::parse(&id).map_err(|_| wrong(5, "operator.invitation_id"))).transpose()?;
    let hash = row.get::<_, Option<[u8; 32]>>(6)?.map(KeyHash::from_stored);
    let invitation = id.zip(hash).zip(time(row, 7)?);
    Ok(Account {
        number: row.get(0)?,
        name,
        role: Role::parse(row.get_ref(2)?.as_str()?).ok_or_else(|| wrong(2, "operator.role"))?,
        password: row.get::<_, Option<String>>(3)?.map(PasswordHash::new),
        password_set_at: time(row, 4)?,
        invitation: invitation.map(|((id, hash), until)| Invitation { id, hash, until }),
        created_at: time(row, 8)?.unwrap_or_default(),
        disabled_at: time(row, 9)?,
        last_login_at: time(row, 10)?,
        second_factor: row.get(11)?,
    })
}

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

fn wrong(column: usize, what: &'static str) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, what.into())
}
