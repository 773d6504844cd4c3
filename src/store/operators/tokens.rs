//! Tokens by which operators' programs ask.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Changed, find, time, wrong};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry},
        key::{KeyHash, KeyId},
        operator::{OperatorName, Scope, Scopes, Token, TokenText},
    },
    secret::Secret,
    store::{Error, Store, audit, keys::draw},
};

const COLUMNS: &str = "number, id, operator, label, scopes, hash, created_at, expires_at, revoked_at, last_used_at";

/// What a token is to be.
#[derive(Clone, Debug)]
pub struct NewToken {
    /// Whose it is.
    pub operator: OperatorName,
    /// What people call it.
    pub label: String,
    /// What it may.
    pub scopes: Scopes,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// What came of making a token.
#[derive(Debug)]
pub enum MadeToken {
    /// It is there, and this is all of it: nobody can show it again.
    New(Box<Token>, Secret<String>),
    /// The operator's role does not have this.
    Beyond(Scope),
    /// Nothing of the operator's is good.
    Disabled,
    /// There is no such operator.
    NotThere,
}

impl Store {
    /// Makes a token.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn make_token(&self, actor: &Actor, wanted: NewToken, now: Timestamp) -> Result<MadeToken, Error> {
        let text: TokenText = draw(None)?;
        let (actor, id, hash) = (actor.clone(), text.id.clone(), text.hash());
        let made = self
            .db
            .write(move |conn| {
                let Some(operator) = find(conn, &wanted.operator)? else { return Ok(Err(MadeToken::NotThere)) };
                if operator.disabled_at.is_some() {
                    return Ok(Err(MadeToken::Disabled));
                }
                if let Some(beyond) = wanted.scopes.difference(&operator.role.scopes()).next() {
                    return Ok(Err(MadeToken::Beyond(*beyond)));
                }
                conn.execute(
                    "INSERT INTO operator_token (id, operator, label, scopes, hash, created_at, expires_at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        id.as_str(),
                        operator.number,
                        wanted.label,
                        scopes_text(&wanted.scopes),
                        hash.bytes(),
                        now.as_millis(),
                        wanted.expires_at.map(Timestamp::as_millis)
                    ],
                )?;
                let entry = Entry::named("token.create", format!("token/{}", id.as_str()))
                    .with("operator", wanted.operator.as_str())
                    .with("label", wanted.label.as_str())
                    .with("scopes", scopes_text(&wanted.scopes))
                    .with("expires_ms", wanted.expires_at.map(Timestamp::as_millis));
                audit::record(conn, &actor, entry, now)?;
                Ok(Ok(find_token(conn, &id)?))
            })
            .await?;
        match made {
            Ok(Some(token)) => Ok(MadeToken::New(Box::new(token), text.text())),
            Ok(None) => Err(Error::Corrupt("operator_token".to_owned())),
            Err(otherwise) => Ok(otherwise),
        }
    }

    /// Takes a token back, for good.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn revoke_token(&self, actor: &Actor, id: &KeyId, now: Timestamp) -> Result<Changed, Error> {
        let (actor, id) = (actor.clone(), id.clone());
        self.db
            .write(move |conn| {
                let Some(there) = find_token(conn, &id)? else { return Ok(Changed::NotThere) };
                if there.revoked_at.is_some() {
                    return Ok(Changed::Already);
                }
                conn.execute(
                    "UPDATE operator_token SET revoked_at = ?2 WHERE number = ?1",
                    params![there.number, now.as_millis()],
                )?;
                audit::record(conn, &actor, Entry::named("token.revoke", format!("token/{}", id.as_str())), now)?;
                Ok(Changed::Yes)
            })
            .await
    }

    /// An operator's tokens, those that are no longer good too, oldest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn tokens_of(&self, operator: i64) -> Result<Vec<Token>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM operator_token WHERE operator = ?1 ORDER BY number");
        self.db.read(move |conn| conn.prepare_cached(&sql)?.query_map([operator], token)?.collect()).await
    }

    /// Remembers when tokens were used last.
    ///
    /// # Errors
    /// [`Error`]: nothing was remembered.
    pub async fn tokens_used(&self, used: Vec<(i64, Timestamp)>) -> Result<(), Error> {
        self.db
            .write(move |conn| {
                let mut update = conn.prepare_cached(
                    "UPDATE operator_token SET last_used_at = MAX(COALESCE(last_used_at, 0), ?2) WHERE number = ?1",
                )?;
                for (number, at) in &used {
                    update.execute(params![number, at.as_millis()])?;
                }
                Ok(())
            })
            .await
    }
}

pub(super) fn not_revoked(conn: &Connection) -> rusqlite::Result<Vec<Token>> {
    let sql = format!("SELECT {COLUMNS} FROM operator_token WHERE revoked_at IS NULL ORDER BY number");
    conn.prepare_cached(&sql)?.query_map([], token)?.collect()
}

fn find_token(conn: &Connection, id: &KeyId) -> rusqlite::Result<Option<Token>> {
    let sql = format!("SELECT {COLUMNS} FROM operator_token WHERE id = ?1");
    conn.prepare_cached(&sql)?.query_row([id.as_str()], token).optional()
}

fn scopes_text(scopes: &Scopes) -> String {
    scopes.iter().map(|scope| scope.as_str()).collect::<Vec<_>>().join(" ")
}

/// What a row holds. What cannot be read is an error and never a token that may do more.
fn token(row: &Row<'_>) -> rusqlite::Result<Token> {
    let scopes = row.get_ref(4)?.as_str()?.split_whitespace().map(Scope::parse).collect::<Option<Scopes>>();
    Ok(Token {
        number: row.get(0)?,
        id: KeyId::parse(row.get_ref(1)?.as_str()?).map_err(|_| wrong(1, "operator_token.id"))?,
        operator: row.get(2)?,
        label: row.get(3)?,
        scopes: scopes.ok_or_else(|| wrong(4, "operator_token.scopes"))?,
        hash: KeyHash::from_stored(row.get(5)?),
        created_at: time(row, 6)?.unwrap_or_default(),
        expires_at: time(row, 7)?,
        revoked_at: time(row, 8)?,
        last_used_at: time(row, 9)?,
    })
}
