//! Erases a member beside a daemon that goes on serving everybody else.
//!
//! First, in one transaction, whatever is open: the member's lanes go, so that a worker who holds one finds its claim
//! lost and writes nothing more. Then what has ended, a bounded number of rows at a time. Then the file itself: pages
//! that are free, and gaps in others, may still hold what was once there, so it is written anew where that is bearable.

use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use sha1::{Digest, Sha1};

use super::{OF_MEMBER, OF_THEIR_KEYS, lanes, open};
use crate::{
    clock::Timestamp,
    config,
    model::{
        audit::{Actor, Entry, Object},
        id::MemberId,
    },
    store::{
        Error, audit, copy,
        db::{FILE, io},
        ledger, lock, media, quota_requests, restore,
    },
};

/// How large a database may be, in bytes, to be written anew beside a daemon: no commit gets through meanwhile, and at
/// the pace of a slow disk this is within the two seconds that a callback can wait for one.
pub const REWRITTEN_BESIDE: u64 = 64 * 1024 * 1024;
/// For how long an erased message that is delivered once more is recognised. WeCom repeats a callback within seconds.
pub(in crate::store) const TOMBSTONE_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Rows in one transaction.
const BATCH: usize = 200;
/// How often, and how far apart, the log is tried to be emptied while readers of the daemon look at it.
const CHECKPOINTS: (u32, Duration) = (100, Duration::from_millis(50));

/// What was erased, and what not.
#[derive(Clone, Debug)]
pub struct Erased {
    /// Rows that are gone or hold nothing of the member any more.
    pub rows: usize,
    /// Whether the file was written anew, so that nothing is left between its rows.
    pub rewritten: bool,
    /// Whether the log beside it is empty.
    pub log_emptied: bool,
    /// Copies in the data directory that may still hold the member.
    pub copies: Vec<PathBuf>,
}

/// What is kept of an erased message instead of its key: enough to know it again, and nothing to read in it.
pub(in crate::store) fn tombstone(dedup: &str) -> String {
    format!("x:{}", hex::encode(Sha1::digest(dedup.as_bytes())))
}

/// Erases all that is stored of a member until now. What they write while it runs or after it is theirs anew.
///
/// # Errors
/// [`Error::Missing`], or that the database cannot be written. What was erased until then is; erase again.
pub fn erase(settings: &config::Storage, actor: &Actor, member: &MemberId, now: Timestamp) -> Result<Erased, Error> {
    let mut conn = open(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // First: where it cannot be written down, nothing is erased. From here on nobody can tell whose the entry is.
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let gone = audit::all_of(&tx, member)?;
    let entry = Entry::new("member.erase", Object::Anywhere(member.clone())).with("pseudonyms", gone);
    audit::record(&tx, actor, entry, now)?;
    audit::forget(&tx, member)?;
    tx.commit()?;
    let mut rows = 0;
    // What was used in a name of before is theirs too, and the database says whose that was.
    let followed = ledger::follow_beside(settings, &conn);
    if followed.is_ok() {
        rows += conn.execute("DELETE FROM renamed WHERE old = ?1 OR new = ?1", [member.key()])?;
    }
    for lane in lanes(&conn, member)? {
        rows += erase_lane(&mut conn, &settings.data_dir, &lane, now)?;
    }
    // What operators were told of what the member asked for, and by whom it was decided where that was the member.
    rows += conn.execute(quota_requests::MESSAGES_ERASED, [member.key()])?;
    rows += conn.execute(quota_requests::DECIDER_ERASED, [member.key()])?;
    for table in ["used", "allowance", "plan_of", "service_hours"] {
        rows += conn.execute(&format!("DELETE FROM {table} WHERE {OF_THEIR_KEYS}"), [member.key()])?;
        rows += conn.execute(&format!("DELETE FROM {table} WHERE {OF_MEMBER}"), [member.key()])?;
    }
    for table in ["member", "member_of", "visible", "blocked_member", "api_key", "key_link", "quota_request"] {
        rows += conn.execute(&format!("DELETE FROM {table} WHERE member = ?1"), [member.key()])?;
    }
    // What operators were answered may name the member. That it was done stays known, so it is not done twice.
    rows += conn.execute("UPDATE idempotency SET answer = NULL WHERE answer IS NOT NULL", [])?;
    let (rewritten, log_emptied) = rewrite(settings, conn)?;
    // Last: where that file is broken, all else is done.
    followed?;
    rows += ledger::erase(settings, member, now)?;
    Ok(Erased { rows, rewritten, log_emptied, copies: copies(&settings.data_dir)? })
}

fn erase_lane(conn: &mut Connection, data_dir: &Path, lane: &str, now: Timestamp) -> Result<usize, Error> {
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // What comes after this moment is not to be erased.
    let (last_in, last_out, last_conversation): (i64, i64, i64) = tx.query_row(
        "SELECT (SELECT COALESCE(MAX(seq), 0) FROM inbox), (SELECT COALESCE(MAX(seq), 0) FROM outbox),
                (SELECT COALESCE(MAX(id), 0) FROM conversation)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let open = ids(&tx, "SELECT seq FROM inbox WHERE lane = ?1 AND state = 'open' AND seq <= ?2", lane, last_in)?;
    let mut rows = delete(&tx, "DELETE FROM turn WHERE cause = ?1", &open)?;
    rows += bury(&tx, &open, now)?;
    // Names of files tell what was asked. Those that somebody else was sent too are uploaded again for them.
    rows += tx.execute(
        "DELETE FROM upload WHERE hash IN
             (SELECT json_extract(CASE WHEN json_valid(content) THEN content END, '$.media') FROM outbox
              WHERE lane = ?1 AND format IN ('image', 'voice', 'file'))",
        [lane],
    )?;
    for sql in [
        "DELETE FROM turn WHERE conversation IN (SELECT id FROM conversation WHERE lane = ?1 AND closed_at IS NULL)",
        "DELETE FROM summary WHERE conversation IN (SELECT id FROM conversation WHERE lane = ?1 AND closed_at IS NULL)",
        "DELETE FROM conversation WHERE lane = ?1 AND closed_at IS NULL",
        "DELETE FROM outbox WHERE lane = ?1 AND state = 'waiting'",
        "DELETE FROM inbox_lane WHERE lane = ?1",
        "DELETE FROM outbox_lane WHERE lane = ?1",
        "DELETE FROM welcome WHERE lane = ?1",
        "DELETE FROM fact WHERE lane = ?1",
        "DELETE FROM profile WHERE lane = ?1",
        "DELETE FROM member_preference WHERE lane = ?1",
        "DELETE FROM known_member WHERE lane = ?1",
        "DELETE FROM announcement WHERE lane = ?1",
    ] {
        rows += tx.execute(sql, [lane])?;
    }
    rows += media::erase(&tx, data_dir, lane)?;
    tx.commit()?;

    let received = ids(conn, "SELECT seq FROM inbox WHERE lane = ?1 AND seq <= ?2", lane, last_in)?;
    let said = ids(conn, "SELECT seq FROM outbox WHERE lane = ?1 AND seq <= ?2", lane, last_out)?;
    let held = ids(conn, "SELECT id FROM conversation WHERE lane = ?1 AND id <= ?2", lane, last_conversation)?;
    for batch in received.chunks(BATCH) {
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        rows += delete(&tx, "DELETE FROM turn WHERE cause = ?1", batch)?;
        rows += bury(&tx, batch, now)?;
        tx.commit()?;
    }
    for (sql, all) in [
        ("DELETE FROM outbox WHERE seq = ?1", said),
        ("DELETE FROM turn WHERE conversation = ?1", held.clone()),
        ("DELETE FROM conversation WHERE id = ?1", held.clone()),
        // After its conversation: nothing is summed up of one that is gone.
        ("DELETE FROM summary WHERE conversation = ?1", held),
    ] {
        for batch in all.chunks(BATCH) {
            let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
            rows += delete(&tx, sql, batch)?;
            tx.commit()?;
        }
    }
    Ok(rows)
}

fn ids(conn: &Connection, sql: &str, lane: &str, last: i64) -> Result<Vec<i64>, rusqlite::Error> {
    conn.prepare(sql)?.query_map(params![lane, last], |row| row.get(0))?.collect()
}

fn delete(conn: &Connection, sql: &str, ids: &[i64]) -> Result<usize, rusqlite::Error> {
    let mut delete = conn.prepare_cached(sql)?;
    ids.iter().map(|id| delete.execute([id])).sum()
}

/// Leaves of an inbox row what tells a repetition of it, and of an old one nothing.
pub(in crate::store) fn bury(conn: &Connection, seqs: &[i64], now: Timestamp) -> Result<usize, rusqlite::Error> {
    let old = (now - TOMBSTONE_KEPT).as_millis();
    for seq in seqs {
        conn.prepare_cached("DELETE FROM inbox WHERE seq = ?1 AND received_at < ?2")?.execute([*seq, old])?;
        let dedup: Vec<String> = conn
            .prepare_cached("SELECT dedup FROM inbox WHERE seq = ?1")?
            .query_map([seq], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        for dedup in dedup {
            conn.prepare_cached(
                "UPDATE inbox SET dedup = ?2, lane = '', kind = 'erased', event = '', stops = 0, state = 'done'
                 WHERE seq = ?1",
            )?
            .execute(params![seq, tombstone(&dedup)])?;
        }
    }
    Ok(seqs.len())
}

/// Writes the file anew where that keeps no callback waiting, and empties the log. Says whether each was done.
fn rewrite(settings: &config::Storage, conn: Connection) -> Result<(bool, bool), Error> {
    let present = settings.data_dir.join(FILE);
    match lock::take(&settings.data_dir) {
        Ok(_lock) => {
            let copied = copy::make(&conn, &settings.data_dir)?;
            conn.close().map_err(|(_, error)| error)?;
            restore::install(copied, &present, None)?;
            return Ok((true, true));
        }
        Err(Error::InUse(_)) => {}
        Err(error) => return Err(error),
    }
    let bytes = fs::metadata(&present).map_err(|source| io(&present, source))?.len();
    let rewritten = bytes <= REWRITTEN_BESIDE;
    if rewritten {
        conn.execute_batch("VACUUM")?;
    }
    for _ in 0..CHECKPOINTS.0 {
        let busy: i64 = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy == 0 {
            return Ok((rewritten, true));
        }
        thread::sleep(CHECKPOINTS.1);
    }
    Ok((rewritten, false))
}

/// Other databases in the data directory, and what was to become one, by name.
fn copies(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    let mut copies = Vec::new();
    for entry in fs::read_dir(dir).map_err(|source| io(dir, source))? {
        let path = entry.map_err(|source| io(dir, source))?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // An unfinished one is what a command that was killed leaves; it may hold just as much.
        if name.ends_with(".db") && name != FILE && name != ledger::USAGE || copy::is_unfinished(&name) {
            copies.push(path);
        }
    }
    copies.sort();
    Ok(copies)
}
