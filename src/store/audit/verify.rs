//! Whether the log is as it was written.

use std::collections::{HashMap, HashSet};

use rusqlite::{Connection, OpenFlags};
use serde_json::{Map, Value};

use super::{BEGINNING, Head, Row, names};
use crate::{
    config,
    store::{
        Error,
        db::{self, FILE},
        migrate,
    },
};

/// What is wrong, and where first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// This entry is not there, although a later one is.
    Missing(i64),
    /// This entry is not as it was written.
    Changed(i64),
    /// A name in this entry is not what was written there, or is gone although nobody was erased.
    Name(i64),
    /// The log ends before the entry of the head that was kept.
    CutOff {
        /// The number of the last entry.
        last: i64,
        /// That of the head.
        kept: i64,
    },
    /// The entry of the head that was kept is another: the log was made anew, or the head is of another database.
    OtherHead(i64),
}

/// A log that is as it was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Where it ends; its number is how many entries there are.
    pub head: Head,
}

/// Reads the log from end to end, and looks whether it goes back to the head that was kept.
///
/// # Errors
/// [`Error`] when it cannot be read.
pub fn verify(settings: &config::Storage, kept: Option<Head>) -> Result<Result<Verified, Broken>, Error> {
    if !settings.data_dir.join(FILE).exists() {
        return Err(Error::Missing(settings.data_dir.clone()));
    }
    let conn = db::connect(settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    migrate::check(&conn, migrate::ALL)?;
    Ok(look(&conn, kept)?)
}

fn look(conn: &Connection, kept: Option<Head>) -> Result<Result<Verified, Broken>, rusqlite::Error> {
    let moment = conn.unchecked_transaction()?;
    let names = Names::read(&moment)?;
    let mut head = Head { seq: 0, hash: BEGINNING };
    let mut statement =
        moment.prepare("SELECT seq, at, actor, action, object, changes, result, hash FROM audit ORDER BY seq")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        if seq != head.seq + 1 {
            return Ok(Err(Broken::Missing(head.seq + 1)));
        }
        // Whatever is there, also what we would never write, is no reason to stop before it is named.
        let text = |column: usize| row.get_ref(column).ok().and_then(|value| value.as_str().ok()).unwrap_or("\0");
        let row_of = Row {
            seq,
            at: row.get(1).unwrap_or(i64::MIN),
            actor: text(2),
            action: text(3),
            object: text(4),
            changes: text(5),
            result: text(6),
        };
        let hash = row_of.hash(head.hash);
        if row.get::<_, [u8; 32]>(7).ok() != Some(hash) {
            return Ok(Err(Broken::Changed(seq)));
        }
        if !names.fit(&row_of) {
            return Ok(Err(Broken::Name(seq)));
        }
        head = Head { seq, hash };
        if kept.is_some_and(|kept| kept.seq == seq && kept.hash != hash) {
            return Ok(Err(Broken::OtherHead(seq)));
        }
    }
    Ok(match kept {
        Some(kept) if kept.seq > head.seq => Err(Broken::CutOff { last: head.seq, kept: kept.seq }),
        _ => Ok(Verified { head }),
    })
}

/// What pseudonyms stand for, and which were let go.
struct Names {
    known: HashMap<String, bool>,
    erased: HashSet<String>,
}

impl Names {
    fn read(conn: &Connection) -> Result<Self, rusqlite::Error> {
        let known = conn
            .prepare("SELECT pseudonym, salt, text FROM audit_name")?
            .query_map([], |row| {
                let pseudonym: String = row.get(0)?;
                let is_right = names::of(row.get_ref(1)?.as_blob()?, row.get_ref(2)?.as_str()?) == pseudonym;
                Ok((pseudonym, is_right))
            })?
            .collect::<Result<_, _>>()?;
        let erased = conn
            .prepare(
                "SELECT object, changes FROM audit WHERE action = 'member.erase' AND typeof(object) = 'text'
                   AND json_valid(changes)",
            )?
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?
            .collect::<Result<Vec<_>, _>>()?;
        let erased = erased.iter().flat_map(|(object, changes)| {
            let changes: Map<String, Value> = serde_json::from_str(changes).unwrap_or_default();
            let more = changes.get("pseudonyms").and_then(|change| change.get(1)?.as_array().cloned());
            let more = more.unwrap_or_default().into_iter().filter_map(|one| Some(one.as_str()?.to_owned()));
            member(object).map(str::to_owned).into_iter().chain(more).collect::<Vec<_>>()
        });
        let erased = erased.collect();
        Ok(Self { known, erased })
    }

    /// Whether the names of a row are what was written: those that are there fit their pseudonyms, and where one is gone,
    /// an entry says that it went with a member.
    fn fit(&self, row: &Row<'_>) -> bool {
        let members = [row.actor, row.object].into_iter().filter_map(member);
        let changes: Map<String, Value> = serde_json::from_str(row.changes).unwrap_or_default();
        let sides = changes.values().filter_map(Value::as_array).flatten();
        let texts = sides.filter_map(|side| side.get("#")?.as_str());
        members
            .chain(texts)
            .all(|pseudonym| self.known.get(pseudonym).copied().unwrap_or_else(|| self.erased.contains(pseudonym)))
    }
}

/// The pseudonym of the member that an actor or object is.
fn member(text: &str) -> Option<&str> {
    text.strip_prefix("member/")?.split_once("/#").map(|(_, pseudonym)| pseudonym)
}
