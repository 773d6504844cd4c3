//! A database that comes into the place of another takes its audit log over.

use std::path::Path;

use rusqlite::Connection;

use super::head;

/// Takes over what the log of the database `present` has beyond this one's: a restored backup must not be a way to cut
/// the log off. Only where it goes on from where this one ends; a log of another database, or one that cannot be read,
/// stays where it is. Returns how many entries were taken over.
pub(in crate::store) fn carry(conn: &Connection, present: &Path) -> usize {
    if conn.execute("ATTACH ?1 AS present", [present.to_string_lossy()]).is_err() {
        return 0;
    }
    let carried = carry_attached(conn);
    // Where this fails it is closed with the connection.
    let _ = conn.execute("DETACH present", []);
    carried.unwrap_or(0)
}

fn carry_attached(conn: &Connection) -> Result<usize, rusqlite::Error> {
    let head = head(conn)?;
    let goes_on = head.seq == 0
        || conn.prepare("SELECT 1 FROM present.audit WHERE seq = ?1 AND hash = ?2")?.exists((head.seq, head.hash))?;
    if !goes_on {
        return Ok(0);
    }
    let tx = conn.unchecked_transaction()?;
    tx.execute("INSERT OR IGNORE INTO main.audit_name SELECT * FROM present.audit_name", [])?;
    let carried =
        tx.execute("INSERT INTO main.audit SELECT * FROM present.audit WHERE seq > ?1 ORDER BY seq", [head.seq])?;
    tx.commit()?;
    Ok(carried)
}
