//! Pseudonyms: what the log says instead of what goes with a member.

use rusqlite::{Connection, OptionalExtension, params};
use sha2::{Digest, Sha256};

use crate::model::id::MemberId;

/// Bytes of a pseudonym that are kept of the hash; written in hexadecimal digits.
const LENGTH: usize = 16;

/// The pseudonym of a member, as it is written: `#` and hexadecimal digits.
pub(super) fn of_member(conn: &Connection, member: &MemberId) -> Result<String, rusqlite::Error> {
    Ok(format!("#{}", pseudonym(conn, &member.key(), &member.key())?))
}

/// The pseudonym of a text that goes with `member`, a userid in lower case. The same text of theirs has the same.
pub(super) fn pseudonym(conn: &Connection, member: &str, text: &str) -> Result<String, rusqlite::Error> {
    let known = conn
        .prepare_cached("SELECT pseudonym FROM audit_name WHERE member = ?1 AND text = ?2 LIMIT 1")?
        .query_row([member, text], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        return Ok(known);
    }
    let mut salt = [0; 16];
    getrandom::fill(&mut salt).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    let pseudonym = of(&salt, text);
    conn.prepare_cached("INSERT INTO audit_name (pseudonym, member, text, salt) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![pseudonym, member, text, salt])?;
    Ok(pseudonym)
}

/// What a salt and a text come to.
pub(super) fn of(salt: &[u8], text: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(salt);
    hash.update(text);
    hex::encode(&hash.finalize()[..LENGTH])
}

/// All that the log calls by a pseudonym and that goes with a member: a userid of before too.
pub(in crate::store) fn all_of(conn: &Connection, member: &MemberId) -> Result<Vec<String>, rusqlite::Error> {
    let sql = "SELECT pseudonym FROM audit_name WHERE member = ?1 ORDER BY pseudonym";
    conn.prepare_cached(sql)?.query_map([member.key()], |row| row.get(0))?.collect()
}

/// Forgets what the pseudonyms of an erased member stand for.
pub(in crate::store) fn forget(conn: &Connection, member: &MemberId) -> Result<(), rusqlite::Error> {
    conn.execute("DELETE FROM audit_name WHERE member = ?1", [member.key()]).map(drop)
}
