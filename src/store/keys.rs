//! Keys by which programs ask. A secret is drawn here, given out once, and kept as a hash alone.

mod external;
mod pages;

use std::{collections::BTreeSet, time::Duration};

use rusqlite::{Connection, OptionalExtension, Row, params, types::Type};
use serde::{Deserialize, Serialize};

use super::{Error, Store, audit};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Shown},
        id::{CorpId, MemberId},
        key::{
            ApiKey, Endpoint, ID_BYTES, KeyHash, KeyId, KeyText, Owner, Purpose, SECRET_BYTES, Scope, SecretText,
            Standing,
        },
        network::Network,
        quota::subject::Subject,
    },
    secret::Secret,
};

const COLUMNS: &str = "number, id, corp, userid, name, scope, external_id, hash, previous, previous_until, created_at,
     expires_at, revoked_at, last_used_at, self_made";

/// What a key is to be.
#[derive(Clone, Debug)]
pub struct NewKey {
    /// The enterprise.
    pub corp: CorpId,
    /// Who asks by it.
    pub owner: Owner,
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// What another system calls it.
    pub external_id: Option<String>,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
}

/// What came of making a key.
#[derive(Debug)]
pub enum Made {
    /// It is there, and this is all of it: nobody can show it again.
    New(Box<ApiKey>, Secret<String>),
    /// The key of this external id is there already, and is now as it was wished for. Its secret is as before.
    Updated(Box<ApiKey>),
    /// The external id is that of somebody else's key, which was left as it is.
    OfAnother(Box<ApiKey>),
}

/// What came of drawing a new secret.
#[derive(Debug)]
pub enum Rotated {
    /// This is all of the key: nobody can show it again.
    Yes(Box<ApiKey>, Secret<String>),
    /// A key that is no longer good gets none.
    NoLongerGood(Standing),
    /// There is no such key.
    NotThere,
}

/// What came of taking a key back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revoked {
    /// It is refused from now on.
    Yes,
    /// It was before.
    Already,
    /// There is no such key.
    NotThere,
}

/// A scope as it is stored.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredScope {
    models: Option<BTreeSet<String>>,
    endpoints: Option<BTreeSet<Endpoint>>,
    networks: Vec<String>,
}

impl Store {
    /// Makes a key, or brings the one of the same external id to what is wished for.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn make_key(&self, actor: &Actor, wanted: NewKey, now: Timestamp) -> Result<Made, Error> {
        let (actor, key, scope): (_, KeyText, _) = (actor.clone(), draw(None)?, scope_text(&wanted.scope)?);
        let (id, hash, text) = (key.id.clone(), key.hash(), key.text());
        let there = self
            .db
            .write(move |conn| {
                let named = wanted.external_id.as_deref().map(|id| of_external_id(conn, &wanted.corp, id));
                if let Some(there) = named.transpose()?.flatten() {
                    if there.owner == wanted.owner {
                        conn.execute(
                            "UPDATE api_key SET name = ?2, scope = ?3, expires_at = ?4 WHERE number = ?1",
                            params![there.number, wanted.name, scope, wanted.expires_at.map(Timestamp::as_millis)],
                        )?;
                    }
                    let is = find(conn, &there.id)?;
                    if let Some(is) = is.as_ref().filter(|is| is.owner == wanted.owner) {
                        audit::record(conn, &actor, entry("key.change", Some(&there), is), now)?;
                    }
                    return Ok((is, there.owner == wanted.owner));
                }
                Ok((insert(conn, &actor, (&id, &hash), &wanted, &scope, now)?, true))
            })
            .await?;
        let (Some(kept), is_theirs) = there else { return Err(Error::Corrupt("api_key".to_owned())) };
        let kept = Box::new(kept);
        Ok(match is_theirs {
            false => Made::OfAnother(kept),
            true if kept.id == key.id => Made::New(kept, text),
            true => Made::Updated(kept),
        })
    }

    /// Draws a new secret for a key; the one of now stays good for `grace` beside it.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn rotate_key(
        &self,
        actor: &Actor,
        id: &KeyId,
        grace: Duration,
        now: Timestamp,
    ) -> Result<Rotated, Error> {
        let (actor, key): (_, KeyText) = (actor.clone(), draw(Some(id.clone()))?);
        let (id, hash, text) = (id.clone(), key.hash(), key.text());
        let found = self
            .db
            .write(move |conn| {
                let Some(there) = find(conn, &id)? else { return Ok(None) };
                if there.standing(now) == Standing::Good {
                    renew(conn, &actor, &there, &hash, grace, now)?;
                }
                find(conn, &id)
            })
            .await?;
        Ok(match found {
            None => Rotated::NotThere,
            Some(found) => match found.standing(now) {
                Standing::Good => Rotated::Yes(Box::new(found), text),
                standing => Rotated::NoLongerGood(standing),
            },
        })
    }

    /// Takes a key back, for good. A plan that is attached to it goes too.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn revoke_key(&self, actor: &Actor, id: &KeyId, now: Timestamp) -> Result<Revoked, Error> {
        let (actor, id) = (actor.clone(), id.clone());
        self.db
            .write(move |conn| {
                let Some(there) = find(conn, &id)? else { return Ok(Revoked::NotThere) };
                take_back(conn, &actor, &there, now)
            })
            .await
    }

    /// Every key, those that are no longer good too, oldest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn keys(&self) -> Result<Vec<ApiKey>, Error> {
        let sql = format!("SELECT {COLUMNS} FROM api_key ORDER BY number");
        self.db.read(move |conn| conn.prepare_cached(&sql)?.query_map([], key)?.collect()).await
    }

    /// Those of a member that are not revoked, newest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn keys_of(&self, corp: &CorpId, member: &MemberId) -> Result<Vec<ApiKey>, Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM api_key WHERE corp = ?1 AND member = ?2 AND revoked_at IS NULL ORDER BY number DESC"
        );
        let of = (corp.as_str().to_owned(), member.key());
        self.db.read(move |conn| conn.prepare_cached(&sql)?.query_map([&of.0, &of.1], key)?.collect()).await
    }

    /// One key; `None`: there is no such key.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn key(&self, id: &KeyId) -> Result<Option<ApiKey>, Error> {
        let id = id.clone();
        self.db.read(move |conn| find(conn, &id)).await
    }

    /// Remembers when keys were used last.
    ///
    /// # Errors
    /// [`Error`]: nothing was remembered.
    pub async fn keys_used(&self, used: Vec<(i64, Timestamp)>) -> Result<(), Error> {
        self.db
            .write(move |conn| {
                let mut update = conn.prepare_cached(
                    "UPDATE api_key SET last_used_at = MAX(COALESCE(last_used_at, 0), ?2) WHERE number = ?1",
                )?;
                for (number, at) in &used {
                    update.execute(params![number, at.as_millis()])?;
                }
                Ok(())
            })
            .await
    }
}

/// Makes a key, under this id and with this hash of its secret.
pub(super) fn insert(
    conn: &Connection,
    actor: &Actor,
    (id, hash): (&KeyId, &KeyHash),
    wanted: &NewKey,
    scope: &str,
    now: Timestamp,
) -> Result<Option<ApiKey>, rusqlite::Error> {
    let member = wanted.owner.member();
    conn.execute(
        "INSERT INTO api_key (id, corp, member, userid, name, scope, external_id, hash, created_at, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            id.as_str(),
            wanted.corp.as_str(),
            member.map(MemberId::key),
            member.map(MemberId::as_str),
            wanted.name,
            scope,
            wanted.external_id,
            hash.bytes(),
            now.as_millis(),
            wanted.expires_at.map(Timestamp::as_millis)
        ],
    )?;
    let made = find(conn, id)?;
    if let Some(made) = &made {
        audit::record(conn, actor, entry("key.create", None, made), now)?;
    }
    Ok(made)
}

/// Gives a good key another secret, of which this is the hash.
pub(super) fn renew(
    conn: &Connection,
    actor: &Actor,
    there: &ApiKey,
    hash: &KeyHash,
    grace: Duration,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    let until = (now + grace).as_millis();
    conn.execute(
        "UPDATE api_key SET previous = hash, previous_until = ?2, hash = ?3 WHERE number = ?1",
        params![there.number, until, hash.bytes()],
    )?;
    let entry = entry("key.rotate", Some(there), there).with("previous_until_ms", until);
    audit::record(conn, actor, entry, now)
}

/// Revokes a key.
pub(super) fn take_back(
    conn: &Connection,
    actor: &Actor,
    there: &ApiKey,
    now: Timestamp,
) -> Result<Revoked, rusqlite::Error> {
    if there.revoked_at.is_some() {
        return Ok(Revoked::Already);
    }
    conn.execute(
        "UPDATE api_key SET revoked_at = ?2, previous = NULL, previous_until = NULL WHERE number = ?1",
        params![there.number, now.as_millis()],
    )?;
    let subject = Subject::key(&there.corp, &there.id).to_string();
    let plan = conn
        .query_row("DELETE FROM plan_of WHERE subject = ?1 RETURNING plan", [subject], |row| row.get::<_, String>(0));
    let revoked = ApiKey { revoked_at: Some(now), ..there.clone() };
    let mut entry = entry("key.revoke", Some(there), &revoked);
    if let Some(plan) = plan.optional()? {
        entry = entry.changed("plan", plan, Shown::NOTHING);
    }
    audit::record(conn, actor, entry, now)?;
    Ok(Revoked::Yes)
}

/// What the audit log says of a key: nothing that opens anything. What the key of a member is called goes with them.
fn entry(action: &'static str, before: Option<&ApiKey>, after: &ApiKey) -> Entry {
    let of = |key: &ApiKey, text: &str| match key.owner.member() {
        Some(member) => Shown::Of(member.clone(), text.to_owned()),
        None => text.into(),
    };
    let fields = |key: &ApiKey| -> [(&'static str, Shown); 6] {
        let Scope { models, endpoints, networks } = &key.scope;
        let networks: Vec<String> = networks.iter().map(Network::to_string).collect();
        let scope = serde_json::json!({ "models": models, "endpoints": endpoints, "networks": networks });
        [
            ("name", of(key, &key.name)),
            ("owner", key.owner.member().map_or_else(|| "service".into(), |member| of(key, member.as_str()))),
            ("external_id", key.external_id.as_deref().map_or(Shown::NOTHING, |id| of(key, id))),
            ("scope", Shown::Plain(scope)),
            ("expires_ms", key.expires_at.map(Timestamp::as_millis).into()),
            ("revoked_ms", key.revoked_at.map(Timestamp::as_millis).into()),
        ]
    };
    let named = Entry::named(action, Subject::key(&after.corp, &after.id).to_string());
    let was = before.map(fields);
    fields(after).into_iter().enumerate().fold(named, |entry, (place, (field, is))| {
        let was = was.as_ref().map_or(Shown::NOTHING, |was| was[place].1.clone());
        if was == is { entry } else { entry.changed(field, was, is) }
    })
}

/// A secret nobody has, for this id or a new one.
pub(super) fn draw<P: Purpose>(id: Option<KeyId>) -> Result<SecretText<P>, Error> {
    let (mut public, mut secret) = ([0; ID_BYTES], [0; SECRET_BYTES]);
    for bytes in [&mut public[..], &mut secret[..]] {
        getrandom::fill(bytes).map_err(|_| Error::NoRandomBytes)?;
    }
    Ok(SecretText::of(id.unwrap_or_else(|| KeyId::of(public)), secret))
}

pub(super) fn find(conn: &Connection, id: &KeyId) -> Result<Option<ApiKey>, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM api_key WHERE id = ?1");
    conn.prepare_cached(&sql)?.query_row([id.as_str()], key).optional()
}

/// The key that another system calls so, unless it is revoked.
pub(super) fn of_external_id(
    conn: &Connection,
    corp: &CorpId,
    external_id: &str,
) -> Result<Option<ApiKey>, rusqlite::Error> {
    let sql = format!("SELECT {COLUMNS} FROM api_key WHERE corp = ?1 AND external_id = ?2 AND revoked_at IS NULL");
    conn.prepare_cached(&sql)?.query_row([corp.as_str(), external_id], key).optional()
}

pub(super) fn scope_text(scope: &Scope) -> Result<String, Error> {
    let Scope { models, endpoints, networks } = scope.clone();
    let stored = StoredScope { models, endpoints, networks: networks.iter().map(Network::to_string).collect() };
    serde_json::to_string(&stored).map_err(|error| Error::Corrupt(error.to_string()))
}

/// What a row holds. What cannot be read is an error and never a key that may do more.
fn key(row: &Row<'_>) -> Result<ApiKey, rusqlite::Error> {
    let wrong = |column: usize, what: &'static str| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, format!("api_key.{what}").into())
    };
    let time = |column: usize| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis));
    let scope: StoredScope = serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(|_| wrong(5, "scope"))?;
    let networks = scope.networks.iter().map(|text| Network::parse(text)).collect::<Result<_, _>>();
    let owner = match row.get::<_, Option<String>>(3)? {
        Some(userid) => Owner::Member(MemberId::parse(&userid).map_err(|_| wrong(3, "userid"))?),
        None => Owner::Service,
    };
    let previous = row.get::<_, Option<[u8; 32]>>(8)?.map(KeyHash::from_stored);
    Ok(ApiKey {
        number: row.get(0)?,
        id: KeyId::parse(row.get_ref(1)?.as_str()?).map_err(|_| wrong(1, "id"))?,
        corp: CorpId::parse(row.get_ref(2)?.as_str()?).map_err(|_| wrong(2, "corp"))?,
        owner,
        name: row.get(4)?,
        scope: Scope {
            models: scope.models,
            endpoints: scope.endpoints,
            networks: networks.map_err(|_| wrong(5, "scope"))?,
        },
        external_id: row.get(6)?,
        hash: KeyHash::from_stored(row.get(7)?),
        previous: previous.zip(time(9)?),
        created_at: time(10)?.unwrap_or_default(),
        expires_at: time(11)?,
        revoked_at: time(12)?,
        last_used_at: time(13)?,
        self_made: row.get(14)?,
    })
}
