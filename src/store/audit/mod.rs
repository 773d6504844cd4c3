//! The audit log: what administrators changed, each entry bound to the one before it by a hash.
//!
//! An entry is written in the transaction of its change, so there is neither without the other: every changing function
//! of this room that an administrator causes takes an [`Actor`], or the claim of an operator's command, which says who it
//! is. The log is only added to. Whoever changes a row is found by [`verify()`]; whoever cuts off the end, or makes all
//! hashes anew, by a [`Head`] that was kept elsewhere. It is never pruned: an entry takes some 300 bytes.
//!
//! Userids, and what administrators wrote about members, stand in it by a pseudonym. What it stands for goes when the
//! member is erased; the entry stays, and so do the hashes.
//!
//! To have another change in it, give its function an [`Actor`] and call `record` where it writes.

mod carry;
mod names;
mod read;
mod verify;

use std::fmt;

use rusqlite::{Connection, OptionalExtension, params};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

pub(super) use self::{
    carry::carry,
    names::{all_of, forget},
};
pub use self::{
    read::{Line, Lines},
    verify::{Broken, Verified, verify},
};
use super::{Error, Store, inbox::Inbound};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Change, Entry, Object, Shown},
        event::Event,
    },
};

/// What the hash of the first entry is made with.
const BEGINNING: [u8; 32] = [0; 32];
/// Before all that is hashed, so that no other hash of ours can be one of these.
const DOMAIN: &[u8] = b"qimate audit 1";

/// Where the log ends: who keeps it sees later that nothing before it was changed or cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// The number of the last entry; 0: there is none.
    pub seq: i64,
    /// Its hash.
    pub hash: [u8; 32],
}

impl Head {
    /// Of a log without entries.
    const EMPTY: Self = Self { seq: 0, hash: BEGINNING };

    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        let (seq, hash) = text.trim().split_once(':')?;
        let hash = hex::decode(hash).ok()?.try_into().ok()?;
        Some(Self { seq: seq.parse().ok().filter(|seq| *seq >= 0)?, hash })
    }
}

impl fmt::Display for Head {
    /// `12:9f86d0…`, the whole hash.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.seq, hex::encode(self.hash))
    }
}

/// An entry as it is stored, without its hash.
struct Row<'a> {
    seq: i64,
    at: i64,
    actor: &'a str,
    action: &'a str,
    object: &'a str,
    changes: &'a str,
    result: &'a str,
}

impl Row<'_> {
    /// Over the hash of the row before and every column, each with its length before it, so that no two rows are written
    /// alike.
    fn hash(&self, before: [u8; 32]) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(DOMAIN);
        hash.update(before);
        hash.update(self.seq.to_be_bytes());
        hash.update(self.at.to_be_bytes());
        for text in [self.actor, self.action, self.object, self.changes, self.result] {
            hash.update((text.len() as u64).to_be_bytes());
            hash.update(text);
        }
        hash.finalize().into()
    }
}

/// Adds an entry to the log, in the transaction of the change that it tells of.
///
/// # Errors
/// The log cannot be written: the transaction must not be committed.
pub(super) fn record(conn: &Connection, actor: &Actor, entry: Entry, now: Timestamp) -> Result<(), rusqlite::Error> {
    let before = head(conn)?;
    let actor = named(conn, actor)?;
    let object = match entry.object {
        Object::Member(corp, member) => format!("member/{corp}/{}", names::of_member(conn, &member)?),
        Object::Anywhere(member) => format!("member/*/{}", names::of_member(conn, &member)?),
        Object::Named(name) => name,
    };
    let mut changes = Map::new();
    for Change { field, before, after } in entry.changes {
        changes.insert(field, json!([stored(conn, before)?, stored(conn, after)?]));
    }
    let changes = Value::Object(changes).to_string();
    let (action, result) = (entry.action, entry.result);
    let (seq, at) = (before.seq + 1, now.as_millis());
    let row = Row { seq, at, actor: &actor, action, object: &object, changes: &changes, result };
    let hash = row.hash(before.hash);
    conn.prepare_cached(
        "INSERT INTO audit (seq, at, actor, action, object, changes, result, hash)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
    )?
    .execute(params![seq, at, actor, action, object, changes, result, hash])?;
    Ok(())
}

/// An actor as the log has it: `command/root`. A member is there by their pseudonym.
pub(super) fn named(conn: &Connection, actor: &Actor) -> Result<String, rusqlite::Error> {
    Ok(match actor {
        Actor::Command { user } => format!("command/{user}"),
        Actor::Operator { name, by } => format!("operator/{name}/{by}"),
        Actor::Member(corp, member) => format!("member/{corp}/{}", names::of_member(conn, member)?),
        Actor::Daemon => "daemon".to_owned(),
    })
}

fn stored(conn: &Connection, shown: Shown) -> Result<Value, rusqlite::Error> {
    Ok(match shown {
        Shown::Plain(value) => value,
        Shown::Of(member, text) => json!({ "#": names::pseudonym(conn, &member.key(), &text)? }),
    })
}

/// The operator who sent this.
pub(super) fn sender(event: &Event) -> Actor {
    Actor::Member(event.corp.clone(), event.from.clone())
}

/// Where the log ends.
pub(super) fn head(conn: &Connection) -> Result<Head, rusqlite::Error> {
    let last = conn
        .prepare_cached("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")?
        .query_row([], |row| Ok(Head { seq: row.get(0)?, hash: row.get(1)? }))
        .optional()?;
    Ok(last.unwrap_or(Head::EMPTY))
}

impl Store {
    /// Where the audit log ends.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn audit_head(&self) -> Result<Head, Error> {
        self.db.read(head).await
    }

    /// Writes down something that changes nothing in the database: before it is done.
    ///
    /// # Errors
    /// [`Error`]: it was not written, so it must not be done.
    pub async fn audit(&self, actor: &Actor, entry: Entry, now: Timestamp) -> Result<(), Error> {
        let actor = actor.clone();
        self.db.write(move |conn| record(conn, &actor, entry.clone(), now)).await
    }

    /// The same for an operator's command in the chat.
    ///
    /// # Errors
    /// As [`Store::audit`].
    pub async fn audit_command(&self, claim: &Inbound, entry: Entry, now: Timestamp) -> Result<(), Error> {
        self.audit(&sender(&claim.event), entry, now).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_is_written() {
        let head = Head { seq: 12, hash: [7; 32] };
        assert_eq!(Head::parse(&format!(" {head}\n")), Some(head));
        for wrong in ["", "12", "12:07", "-1:", "x:0707", &format!("-1:{}", "07".repeat(32))] {
            assert_eq!(Head::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn no_two_rows_are_hashed_alike() {
        let row = Row { seq: 1, at: 2, actor: "a", action: "b", object: "c", changes: "d", result: "e" };
        let moved = Row { actor: "ab", action: "", ..row };
        assert_ne!(row.hash(BEGINNING), moved.hash(BEGINNING));
        assert_ne!(row.hash(BEGINNING), row.hash([1; 32]));
    }
}
