//! Secrets that administrators put in, and the seeds of operators' second factors (`model/second_factor`), sealed
//! (`vault`). What is sealed here is opened in memory alone.
//!
//! Whatever changes more than one row does it in one transaction, so a crash leaves everything readable: as it was, or as
//! it is to be. A data key that no value uses any more goes with the change that left it so; without a value there is no
//! ring, and no master key is needed.

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params};

use super::{
    Error, Store, audit, copy,
    db::{self, FILE},
};
use crate::{
    clock::Timestamp,
    config::{self, SecretName},
    model::{
        audit::{Actor, Entry, Shown},
        second_factor,
    },
    secret::Secret,
    vault::{KeyRing, MasterKeyId, MasterKeys, NoRandomBytes, Sealed, SealedValue, Unreadable, WrappedKey},
};

/// What may be known of a secret that is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    /// The setting.
    pub name: String,
    /// The number of the data key that seals it.
    pub key: i64,
    /// By which master key that is wrapped; `None` where the ring has no such key.
    pub master: Option<MasterKeyId>,
    /// When it was set.
    pub set_at: Timestamp,
    /// Who set it, as the audit log names them.
    pub set_by: String,
    /// Another each time that it is sealed anew; tells nothing of the value.
    pub mark: String,
}

/// What came of storing a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// Whether there was none of this name before.
    pub is_new: bool,
    /// The secret as it is now.
    pub secret: StoredSecret,
}

/// Of a secret, without its value. The mark is the nonce: what stands between the version and the value.
const KNOWN: &str = "SELECT name, key, master, set_at, set_by, hex(substr(secret.sealed, 2, 12)) FROM secret
                     LEFT JOIN secret_key ON secret_key.number = secret.key";

/// How many were taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// Values of settings.
    pub values: usize,
    /// Second factors of operators.
    pub seeds: usize,
}

/// What a rotation did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotated {
    /// How many values are sealed anew, the seeds of second factors among them.
    pub values: usize,
    /// The number of the data key that seals them now; `None` where there was nothing to seal.
    pub key: Option<i64>,
}

/// All that is stored, before anything is opened: for whoever needs it to know how to serve. Where there is no database,
/// or one of before there were secrets, nothing is. Changes nothing, also beside a daemon.
///
/// # Errors
/// [`Error`] when the database cannot be read.
pub fn read(settings: &config::Storage) -> Result<Sealed, Error> {
    let path = settings.data_dir.join(FILE);
    if !path.exists() {
        return Ok(Sealed::default());
    }
    let mut log = path.clone().into_os_string();
    log.push("-wal");
    // Whoever has it open has a log beside it. Otherwise it is read without leaving one there.
    let conn = if std::path::Path::new(&log).exists() {
        db::connect(settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    } else {
        copy::open(&path)?
    };
    super::migrate::check(&conn, super::migrate::ALL)?;
    Ok(sealed(&conn)?)
}

fn sealed(conn: &Connection) -> Result<Sealed, rusqlite::Error> {
    if !conn.table_exists(None, "secret")? {
        return Ok(Sealed::default());
    }
    let keys = conn
        .prepare_cached("SELECT number, master, sealed FROM secret_key ORDER BY number")?
        .query_map([], |row| Ok(WrappedKey { number: row.get(0)?, master: master(row, 1)?, sealed: row.get(2)? }))?
        .collect::<Result<_, _>>()?;
    let values = conn
        .prepare_cached("SELECT name, key, sealed FROM secret ORDER BY name")?
        .query_map([], |row| Ok(SealedValue { name: row.get(0)?, key: row.get(1)?, sealed: row.get(2)? }))?
        .collect::<Result<_, _>>()?;
    Ok(Sealed { keys, values })
}

impl Store {
    /// What is stored for settings, by name.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn secrets(&self) -> Result<Vec<StoredSecret>, Error> {
        let sql = format!("{KNOWN} ORDER BY name");
        let all = self.db.read(move |conn| conn.prepare_cached(&sql)?.query_map([], stored)?.collect::<Result<_, _>>());
        let mut all: Vec<StoredSecret> = all.await?;
        all.retain(|secret| second_factor::whose(&secret.name).is_none());
        Ok(all)
    }

    /// What is stored under this name.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn secret(&self, name: &SecretName) -> Result<Option<StoredSecret>, Error> {
        let name = name.to_string();
        self.db.read(move |conn| find(conn, &name)).await
    }

    /// Stores a value, in the place of the one before.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed. The same where what is stored already cannot be read with these keys: two rings
    /// that no one master key opens would stand beside each other.
    pub async fn set_secret(
        &self,
        actor: &Actor,
        keys: &MasterKeys,
        name: &SecretName,
        value: &Secret<String>,
        now: Timestamp,
    ) -> Result<Result<Set, Unreadable>, Error> {
        let (actor, keys, name, value) = (actor.clone(), keys.clone(), name.to_string(), value.clone());
        self.db
            .write(move |conn| {
                let before = find(conn, &name)?.map(|secret| secret.key);
                let number = match put(conn, &actor, &keys, &name, &value, now)? {
                    Ok(number) => number,
                    Err(unreadable) => return Ok(Err(unreadable)),
                };
                let entry = Entry::named("secret.set", format!("secret/{name}")).changed("key", before, number);
                audit::record(conn, &actor, entry, now)?;
                let secret = find(conn, &name)?.ok_or(rusqlite::Error::QueryReturnedNoRows)?;
                Ok(Ok(Set { is_new: before.is_none(), secret }))
            })
            .await
    }

    /// Takes the value of a setting away, or all that is stored, second factors of operators too. It needs no master key, so
    /// that one that was lost can be done without.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn remove_secret(&self, actor: &Actor, name: Option<&str>, now: Timestamp) -> Result<Removed, Error> {
        if name.is_some_and(|name| second_factor::whose(name).is_some()) {
            return Ok(Removed { values: 0, seeds: 0 });
        }
        let (actor, name) = (actor.clone(), name.map(str::to_owned));
        self.db
            .write(move |conn| {
                let removed: Vec<(String, i64)> = conn
                    .prepare_cached("DELETE FROM secret WHERE ?1 IS NULL OR name = ?1 RETURNING name, key")?
                    .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
                    .collect::<Result<_, _>>()?;
                drop_unused_keys(conn)?;
                for (name, key) in &removed {
                    let entry = Entry::named("secret.remove", format!("secret/{name}"));
                    audit::record(conn, &actor, entry.changed("key", *key, Shown::NOTHING), now)?;
                }
                let seeds = removed.iter().filter(|(name, _)| second_factor::whose(name).is_some()).count();
                Ok(Removed { values: removed.len() - seeds, seeds })
            })
            .await
    }

    /// Seals every value anew, by a new data key that the current master key wraps. Nothing needs the one of before, nor
    /// the data keys of before, from then on.
    ///
    /// # Errors
    /// [`Error`], or everything that cannot be read: nothing was changed.
    pub async fn rotate_secrets(
        &self,
        actor: &Actor,
        keys: &MasterKeys,
        now: Timestamp,
    ) -> Result<Result<Rotated, Vec<Unreadable>>, Error> {
        let (actor, keys) = (actor.clone(), keys.clone());
        self.db
            .write(move |conn| {
                let there = sealed(conn)?;
                if there.values.is_empty() {
                    return Ok(Ok(Rotated { values: 0, key: None }));
                }
                // All of it, before anything is written.
                let (ring, values) = (KeyRing::open(&there.keys, Some(&keys)), there.open(Some(&keys)));
                let (mut ring, values) = match (ring, values) {
                    (Ok(ring), Ok(values)) => (ring, values),
                    (Err(unreadable), _) => return Ok(Err(vec![unreadable])),
                    (_, Err(unreadable)) => return Ok(Err(unreadable)),
                };
                let number = add_key(conn, &mut ring, &keys, now)?;
                for (name, value) in &values {
                    let new = seal(&ring, number, name, value)?;
                    conn.prepare_cached("UPDATE secret SET key = ?2, sealed = ?3 WHERE name = ?1")?
                        .execute(params![name, number, new.sealed])?;
                }
                drop_unused_keys(conn)?;
                let before = there.keys.last().map(|key| key.number);
                let entry = Entry::named("secret.rotate", "secrets").with("values", values.len());
                let entry = entry.changed("key", before, number);
                let master = |key: &WrappedKey| key.master.to_string();
                let entry = entry.changed("master_key", there.keys.last().map(master), keys.current.id().to_string());
                audit::record(conn, &actor, entry, now)?;
                Ok(Ok(Rotated { values: values.len(), key: Some(number) }))
            })
            .await
    }
}

/// The seeds of second factors, with the ring.
pub(super) fn seeds(conn: &Connection) -> Result<Sealed, rusqlite::Error> {
    Ok(sealed(conn)?.only(|name| second_factor::whose(name).is_some()))
}

/// Seals a value and puts it in the place of the one before. Gives the number of its data key, or why nothing was done.
pub(super) fn put(
    conn: &Connection,
    actor: &Actor,
    keys: &MasterKeys,
    name: &str,
    value: &Secret<String>,
    now: Timestamp,
) -> Result<Result<i64, Unreadable>, rusqlite::Error> {
    let mut ring = match KeyRing::open(&sealed(conn)?.keys, Some(keys)) {
        Ok(ring) => ring,
        Err(unreadable) => return Ok(Err(unreadable)),
    };
    let number = match ring.newest(keys) {
        Some(number) => number,
        None => add_key(conn, &mut ring, keys, now)?,
    };
    let sealed = seal(&ring, number, name, value)?;
    let by = audit::named(conn, actor)?;
    conn.execute(
        "INSERT OR REPLACE INTO secret (name, key, sealed, set_at, set_by) VALUES (?1, ?2, ?3, ?4, ?5)",
        params![name, number, sealed.sealed, now.as_millis(), by],
    )?;
    drop_unused_keys(conn)?;
    Ok(Ok(number))
}

/// Takes a value away; whether there was one.
pub(super) fn take(conn: &Connection, name: &str) -> Result<bool, rusqlite::Error> {
    let taken = conn.execute("DELETE FROM secret WHERE name = ?1", [name])?;
    drop_unused_keys(conn)?;
    Ok(taken > 0)
}

pub(super) fn find(conn: &Connection, name: &str) -> Result<Option<StoredSecret>, rusqlite::Error> {
    conn.prepare_cached(&format!("{KNOWN} WHERE name = ?1"))?.query_row([name], stored).optional()
}

fn add_key(conn: &Connection, ring: &mut KeyRing, keys: &MasterKeys, now: Timestamp) -> Result<i64, rusqlite::Error> {
    let WrappedKey { number, master, sealed } = ring.add(keys).map_err(no_random_bytes)?;
    conn.prepare_cached("INSERT INTO secret_key (number, master, sealed, made_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![number, master.to_string(), sealed, now.as_millis()])?;
    Ok(number)
}

fn seal(ring: &KeyRing, number: i64, name: &str, value: &Secret<String>) -> Result<SealedValue, rusqlite::Error> {
    ring.seal(number, name, value).map_err(no_random_bytes)?.ok_or(rusqlite::Error::QueryReturnedNoRows)
}

fn drop_unused_keys(conn: &Connection) -> Result<(), rusqlite::Error> {
    conn.prepare_cached("DELETE FROM secret_key WHERE number NOT IN (SELECT key FROM secret)")?.execute([]).map(drop)
}

fn no_random_bytes(error: NoRandomBytes) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

fn stored(row: &Row<'_>) -> rusqlite::Result<StoredSecret> {
    Ok(StoredSecret {
        name: row.get(0)?,
        key: row.get(1)?,
        master: row.get::<_, Option<String>>(2)?.as_deref().and_then(MasterKeyId::parse),
        set_at: Timestamp::from_millis(row.get(3)?),
        set_by: row.get(4)?,
        mark: row.get(5)?,
    })
}

fn master(row: &Row<'_>, column: usize) -> rusqlite::Result<MasterKeyId> {
    MasterKeyId::parse(row.get_ref(column)?.as_str()?).ok_or_else(|| {
        let wrong = "secret_key.master".into();
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, wrong)
    })
}
