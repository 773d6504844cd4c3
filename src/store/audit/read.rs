//! The log as people read it: with names in the place of pseudonyms.

use std::{borrow::Cow, collections::HashMap};

use rusqlite::{Connection, Row, types::Type};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    store::{Error, Store},
};

/// Hexadecimal digits that are shown of a pseudonym whose name is gone.
const SHORT: usize = 8;

/// An entry as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its number.
    pub seq: i64,
    /// When.
    pub at: Timestamp,
    /// Who, such as `command/root` or `member/ww1/li`.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// What is another: the field, and its value before and after.
    pub changes: Map<String, Value>,
    /// What came of it.
    pub result: String,
    /// Its hash in hexadecimal digits.
    pub hash: String,
}

/// Which entries are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lines {
    /// From then on.
    pub since: Option<Timestamp>,
    /// Whose actor, as it is shown, holds this in any case.
    pub actor: Option<String>,
    /// Whose object does.
    pub object: Option<String>,
}

impl Lines {
    fn wants(&self, line: &Line) -> bool {
        let holds = |text: &str, wanted: &Option<String>| {
            wanted.as_ref().is_none_or(|wanted| text.to_lowercase().contains(&wanted.to_lowercase()))
        };
        self.since.is_none_or(|since| line.at >= since)
            && holds(&line.actor, &self.actor)
            && holds(&line.object, &self.object)
    }
}

impl Store {
    /// The entries that are wanted, oldest first.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn audit_lines(&self, wanted: Lines) -> Result<Vec<Line>, Error> {
        self.db.read(move |conn| lines(conn, &wanted)).await
    }
}

fn lines(conn: &Connection, wanted: &Lines) -> Result<Vec<Line>, rusqlite::Error> {
    let moment = conn.unchecked_transaction()?;
    let names: HashMap<String, String> = moment
        .prepare("SELECT pseudonym, text FROM audit_name")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    let mut statement =
        moment.prepare("SELECT seq, at, actor, action, object, changes, result, hash FROM audit ORDER BY seq")?;
    let lines = statement.query_map([], |row| line(row, &names))?;
    lines.filter(|line| line.as_ref().map_or(true, |line| wanted.wants(line))).collect()
}

fn line(row: &Row<'_>, names: &HashMap<String, String>) -> Result<Line, rusqlite::Error> {
    let wrong = |error| rusqlite::Error::FromSqlConversionFailure(5, Type::Text, Box::new(error));
    let mut changes: Map<String, Value> = serde_json::from_str(row.get_ref(5)?.as_str()?).map_err(wrong)?;
    for change in changes.values_mut() {
        for side in change.as_array_mut().into_iter().flatten() {
            if let Some(pseudonym) = side.get("#").and_then(Value::as_str) {
                *side = shown(pseudonym, names).into_owned().into();
            }
        }
    }
    Ok(Line {
        seq: row.get(0)?,
        at: Timestamp::from_millis(row.get(1)?),
        actor: named(row.get(2)?, names),
        action: row.get(3)?,
        object: named(row.get(4)?, names),
        changes,
        result: row.get(6)?,
        hash: hex::encode(row.get::<_, [u8; 32]>(7)?),
    })
}

/// `member/ww1/#PSEUDONYM` with the name in its place.
fn named(text: String, names: &HashMap<String, String>) -> String {
    match text.split_once("/#").filter(|_| text.starts_with("member/")) {
        Some((of, pseudonym)) => format!("{of}/{}", shown(pseudonym, names)),
        None => text,
    }
}

/// What a pseudonym stands for; of an erased member its beginning, by which entries about the same person are known.
fn shown<'a>(pseudonym: &str, names: &'a HashMap<String, String>) -> Cow<'a, str> {
    match names.get(pseudonym) {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("#{}", pseudonym.get(..SHORT).unwrap_or(pseudonym))),
    }
}
