//! Members who have another userid now: what they used before stays theirs.
//!
//! The database says who (`renamed`, written with the event that tells it); this file has what was already carried over,
//! so that each is carried over once, whatever crashed in between: somebody else may be given the old userid.

use std::{collections::BTreeSet, time::Duration};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};

use super::{
    file,
    totals::{Dimension, NAMES},
};
use crate::{config, store::Error};

/// The table of this file. It is made where it is missing: files of before have none.
pub(super) const TABLE: &str = "CREATE TABLE IF NOT EXISTS renamed (
     old TEXT   NOT NULL,                     -- CORP/USERID, as the next
     new TEXT   NOT NULL,
     at  BIGINT NOT NULL,
     PRIMARY KEY (old, at, new)
 ) WITHOUT ROWID;";
/// The next userid of a member after a moment.
pub(super) const NEXT: &str = "SELECT new, at FROM renamed WHERE old = ?1 AND at > ?2 ORDER BY at LIMIT 1";
/// For so long after the change a call may still come in the old name: keys are read again within a second.
const LATE: Duration = Duration::from_secs(10);

/// A new userid; both as `CORP/USERID`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Renamed {
    at: i64,
    old: String,
    new: String,
}

fn rows(conn: &Connection, sql: &str) -> Result<BTreeSet<Renamed>, rusqlite::Error> {
    let row = |row: &rusqlite::Row<'_>| Ok(Renamed { old: row.get(0)?, new: row.get(1)?, at: row.get(2)? });
    conn.prepare_cached(sql)?.query_map([], row)?.collect()
}

/// What the database says.
pub(super) fn told(database: &Connection) -> Result<BTreeSet<Renamed>, rusqlite::Error> {
    rows(database, "SELECT corp || '/' || old, corp || '/' || new, at FROM renamed")
}

/// Carries over what is `told` and was not yet carried over. All of it or nothing.
pub(super) fn follow(conn: &Connection, told: &BTreeSet<Renamed>) -> Result<(), rusqlite::Error> {
    let done = rows(conn, "SELECT old, new, at FROM renamed")?;
    if done == *told {
        return Ok(());
    }
    let tx = conn.unchecked_transaction()?;
    for renamed in told.difference(&done) {
        carry_over(&tx, renamed)?;
        tx.execute(
            "INSERT INTO renamed (old, new, at) VALUES (?1, ?2, ?3)",
            params![renamed.old, renamed.new, renamed.at],
        )?;
    }
    // What the database has forgotten cannot come again.
    for renamed in done.difference(told) {
        tx.execute(
            "DELETE FROM renamed WHERE old = ?1 AND new = ?2 AND at = ?3",
            params![renamed.old, renamed.new, renamed.at],
        )?;
    }
    tx.commit()
}

fn carry_over(conn: &Connection, Renamed { old, new, .. }: &Renamed) -> Result<(), rusqlite::Error> {
    let member = Dimension::Member.stored();
    let id = |text: &str| -> Result<Option<i64>, rusqlite::Error> {
        conn.query_row("SELECT id FROM name WHERE kind = ?1 AND text = ?2", params![member, text], |row| row.get(0))
            .optional()
    };
    let Some(from) = id(old)? else { return Ok(()) };
    let Some(to) = id(new)? else {
        conn.execute("UPDATE name SET text = ?2 WHERE id = ?1", params![from, new])?;
        return Ok(());
    };
    // Both are known: the calls of one are added to the other's. Nothing orders calls by member, so all are looked at.
    conn.execute("UPDATE call SET member = ?2 WHERE member = ?1", [from, to])?;
    let columns = NAMES.join(", ");
    let added: Vec<_> = NAMES.iter().map(|name| format!("{name} = {name} + excluded.{name}")).collect();
    conn.execute(
        &format!(
            "INSERT INTO total (grain, dimension, period, name, {columns})
             SELECT grain, dimension, period, ?2, {columns} FROM total WHERE dimension = ?3 AND name = ?1
             ON CONFLICT (grain, dimension, period, name) DO UPDATE SET {}",
            added.join(", ")
        ),
        [from, to, member],
    )?;
    conn.execute("DELETE FROM total WHERE dimension = ?2 AND name = ?1", [from, member])?;
    conn.execute(
        "UPDATE name SET last_at = MAX(last_at, (SELECT last_at FROM name WHERE id = ?1)) WHERE id = ?2",
        [from, to],
    )?;
    conn.execute("DELETE FROM name WHERE id = ?1", [from])?;
    Ok(())
}

/// Whose a call is that began at `began` in the name of `member`, `CORP/USERID`.
pub(super) fn now_called(conn: &Connection, member: String, began: i64) -> Result<String, rusqlite::Error> {
    let late = i64::try_from(LATE.as_millis()).unwrap_or_default();
    let mut next = conn.prepare_cached(NEXT)?;
    // Each change is later than the one before: a userid may come back.
    let (mut member, mut after) = (member, began.saturating_sub(late));
    while let Some(found) = next.query_row(params![member, after], |row| Ok((row.get(0)?, row.get(1)?))).optional()? {
        (member, after) = found;
    }
    Ok(member)
}

/// The userids of before of a member, whose calls are theirs.
pub(super) fn before(conn: &Connection, member: &str) -> Result<Vec<String>, rusqlite::Error> {
    conn.prepare("SELECT substr(old, instr(old, '/') + 1) FROM renamed WHERE substr(new, instr(new, '/') + 1) = ?1")?
        .query_map([member], |row| row.get(0))?
        .collect()
}

/// Carries over, beside a daemon, what `database` says.
///
/// # Errors
/// [`Error`]: it was not.
pub(in crate::store) fn follow_beside(settings: &config::Storage, database: &Connection) -> Result<(), Error> {
    let Some(conn) = file::beside(&settings.data_dir, OpenFlags::SQLITE_OPEN_READ_WRITE)? else { return Ok(()) };
    conn.execute_batch(TABLE)?;
    Ok(follow(&conn, &told(database)?)?)
}
