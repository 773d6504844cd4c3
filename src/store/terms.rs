//! Under which terms a change is made: that what it changes is as somebody saw it, and that it was not made before. Both
//! are looked at in the transaction of the change, so that of two writers one wins, and nothing is done twice.
//!
//! [`Store::under`] gives a store whose next change is made under terms, whichever function makes it: that function need
//! not know. To let another thing be compared, add a variant of [`Thing`], and what its version is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use super::{
    Error, Store, keys, people,
    plans::{self, Holder},
    secrets::{self, StoredSecret},
};
use crate::{
    clock::Timestamp,
    config::SecretName,
    model::{
        id::{CorpId, MemberId},
        key::{ApiKey, KeyId},
        person::Person,
        quota::plan::Plan,
    },
};

/// For how long a request is known again.
pub const KNOWN_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// What a thing is, in 16 hexadecimal digits: another after every change of an administrator, and after nothing else. That
/// a key was used is no change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(String);

impl Version {
    fn of(what: &str) -> Self {
        Self(hex::encode(&Sha256::digest(what)[..8]))
    }

    /// Of a plan, whoever has it.
    pub fn of_plan(plan: &Plan) -> Self {
        Self::of(&format!("{plan:?}"))
    }

    /// Of a key.
    pub fn of_key(key: &ApiKey) -> Self {
        let ApiKey { id, owner, name, scope, external_id, expires_at, revoked_at, hash, previous, .. } = key;
        Self::of(&format!("{:?}", (id, owner, name, scope, external_id, expires_at, revoked_at, hash, previous)))
    }

    /// Of a secret: it is another each time that it is sealed, also by a rotation.
    pub fn of_secret(secret: &StoredSecret) -> Self {
        Self::of(&format!("{secret:?}"))
    }

    /// Of a member; what WeCom tells of them counts too.
    pub fn of_person(person: &Person) -> Self {
        Self::of(&format!("{:?}", Person { first_at: None, ..person.clone() }))
    }

    /// Of what is told by its name alone: which plan somebody has.
    pub fn of_name(name: &str) -> Self {
        Self::of(name)
    }

    /// Reads what [`Version::as_str`] writes; `None`: it is none of ours.
    pub fn parse(text: &str) -> Option<Self> {
        let is_one = text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_one.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is changed.
#[derive(Clone, Debug)]
pub enum Thing {
    /// A plan, by its name.
    Plan(String),
    /// Which plan is attached there.
    Attached(Holder),
    /// A key.
    Key(KeyId),
    /// The key of an enterprise that another system calls so, unless it is revoked.
    ExternalKey(CorpId, String),
    /// A secret.
    Secret(SecretName),
    /// A member.
    Member(CorpId, MemberId),
}

impl Thing {
    /// What it is at this moment; `None`: there is no such thing.
    fn version(&self, conn: &Connection) -> Result<Option<Version>, rusqlite::Error> {
        Ok(match self {
            Self::Plan(name) => plans::parsed(conn, name)?.map(|plan| Version::of_plan(&plan)),
            Self::Attached(holder) => plans::attached(conn, &holder.key())?.map(|plan| Version::of_name(&plan)),
            Self::Key(id) => keys::find(conn, id)?.map(|key| Version::of_key(&key)),
            Self::ExternalKey(corp, external_id) => {
                keys::of_external_id(conn, corp, external_id)?.map(|key| Version::of_key(&key))
            }
            Self::Secret(name) => secrets::find(conn, &name.to_string())?.map(|secret| Version::of_secret(&secret)),
            Self::Member(corp, member) => {
                people::change::find(conn, corp, member)?.map(|person| Version::of_person(&person))
            }
        })
    }
}

/// What somebody expects a thing to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// That there is none.
    Nothing,
    /// They did not say, so nothing that is there may be changed.
    Unsaid,
    /// That there is one.
    Something,
    /// One of these.
    OneOf(Vec<Version>),
}

/// A change that is asked for once, however often the request comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Once {
    /// Tells who asks, and by which key.
    id: [u8; 32],
    /// Tells the request.
    request: [u8; 32],
    at: Timestamp,
}

impl Once {
    /// What an operator asks for by this key. The key is in both hashes and is kept nowhere, so a short secret in the
    /// request cannot be found by trying.
    pub fn new(operator: i64, key: &str, request: &[&[u8]], at: Timestamp) -> Self {
        let id = hash(&[b"idempotency id", &operator.to_be_bytes(), key.as_bytes()]);
        let mut parts: Vec<&[u8]> = vec![b"idempotency request", key.as_bytes()];
        parts.extend(request);
        Self { id, request: hash(&parts), at }
    }

    /// Tells who asks, and by which key.
    pub const fn id(&self) -> &[u8; 32] {
        &self.id
    }
}

/// Each with its length before it, so that no two lists are hashed alike.
fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hash.finalize().into()
}

/// What is known of a request that came before.
#[derive(Clone, Debug)]
pub enum Before {
    /// Nothing: it is new.
    Nothing,
    /// Its key was used for another request.
    Another,
    /// It was done, and this was answered; `None`: the answer was not kept.
    Done(Option<String>),
}

/// Why a change was not made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unmet {
    /// The thing is not what was expected.
    #[error("it is not what was expected: somebody changed it meanwhile")]
    Changed,
    /// There is such a thing, and it was not said what is expected of it.
    #[error("it is there already, and it was not said which one is to be changed")]
    Unsaid,
    /// It was made before.
    #[error("it was done before")]
    DoneBefore,
}

/// Terms for one change.
#[derive(Debug, Default)]
pub struct Terms {
    conditions: Vec<(Thing, Expected)>,
    once: Option<Once>,
    made: Arc<AtomicBool>,
}

impl Terms {
    /// That these things are so, and that it is the first time. When the change is on the disk, `made` is set.
    pub const fn new(conditions: Vec<(Thing, Expected)>, once: Option<Once>, made: Arc<AtomicBool>) -> Self {
        Self { conditions, once, made }
    }

    /// Whether the change may be made, in its transaction; once it was made, what follows it may be too.
    pub(super) fn look(&self, conn: &Connection) -> Result<Option<Unmet>, rusqlite::Error> {
        if self.made.load(Ordering::Acquire) {
            return Ok(None);
        }
        if let Some(once) = &self.once
            && row_of(conn, once, once.at)?.is_some()
        {
            return Ok(Some(Unmet::DoneBefore));
        }
        for (thing, expected) in &self.conditions {
            let there = thing.version(conn)?;
            match (expected, &there) {
                (Expected::Nothing | Expected::Unsaid, None) | (Expected::Something, Some(_)) => {}
                (Expected::OneOf(versions), Some(there)) if versions.contains(there) => {}
                (Expected::Unsaid, Some(_)) => return Ok(Some(Unmet::Unsaid)),
                _ => return Ok(Some(Unmet::Changed)),
            }
        }
        if let Some(Once { id, request, at }) = &self.once {
            conn.prepare_cached("INSERT OR REPLACE INTO idempotency (id, request, at) VALUES (?1, ?2, ?3)")?
                .execute(params![id, request, at.as_millis()])?;
        }
        Ok(None)
    }

    /// It is on the disk.
    pub(super) fn settle(&self) {
        self.made.store(true, Ordering::Release);
    }
}

type Row = ([u8; 32], Option<String>);

/// The request and the answer of before, where they are not too old.
fn row_of(conn: &Connection, once: &Once, now: Timestamp) -> Result<Option<Row>, rusqlite::Error> {
    conn.prepare_cached("SELECT request, answer FROM idempotency WHERE id = ?1 AND at > ?2")?
        .query_row(params![once.id, (now - KNOWN_FOR).as_millis()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
}

impl Store {
    /// This store, for one change under these terms. Where they do not hold, the function that makes the change gives
    /// [`Error::Unmet`], and nothing was changed.
    #[must_use]
    pub fn under(&self, terms: Terms) -> Self {
        Self { db: self.db.under(Arc::new(terms)), ..self.clone() }
    }

    /// Whether this was asked for before.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn asked_before(&self, once: &Once) -> Result<Before, Error> {
        let asked = once.clone();
        let found = self.db.read(move |conn| row_of(conn, &asked, asked.at)).await?;
        Ok(match found {
            None => Before::Nothing,
            Some((request, _)) if request != once.request => Before::Another,
            Some((_, answer)) => Before::Done(answer),
        })
    }

    /// Keeps what was answered, in which there is no secret.
    ///
    /// # Errors
    /// [`Error`]: it was not kept.
    pub async fn keep_answer(&self, once: &Once, answer: String) -> Result<(), Error> {
        let id = once.id;
        self.db
            .write(move |conn| {
                conn.prepare_cached("UPDATE idempotency SET answer = ?2 WHERE id = ?1")?
                    .execute(params![id, answer])?;
                Ok(())
            })
            .await
    }
}
