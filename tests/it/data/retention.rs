//! What is old goes, from every table; what is young, open, or a promise that was not kept stays.

use std::{fs, path::Path, time::Duration};

use qimate::{
    clock::Timestamp,
    config::{self, storage::Synchronous},
    store::Store,
};
use rusqlite::Connection;
use tempfile::TempDir;

const DAY: u64 = 24 * 3600;
pub(super) const NOW: Timestamp = Timestamp::from_secs(1_790_000_000);

/// A database that is pruned with thirty days, and a connection to it of one's own.
pub(super) fn fresh() -> (Store, TempDir, Connection) {
    let dir = tempfile::tempdir().unwrap();
    let settings = config::Storage {
        data_dir: dir.path().to_owned(),
        synchronous: Synchronous::Normal,
        max_size_mib: None,
        keep: Duration::from_secs(30 * DAY),
    };
    let store = Store::open(&settings, NOW).unwrap();
    let conn = Connection::open(dir.path().join("qimate.db")).unwrap();
    conn.busy_timeout(Duration::from_secs(30)).unwrap();
    (store, dir, conn)
}

/// `count` members' rows of `days` ago in every table, numbered from `first`.
fn insert(conn: &Connection, first: u64, count: u64, days: u64, bytes: u32) {
    let at = (NOW - Duration::from_secs(days * DAY)).as_millis();
    let last = first + count - 1;
    conn.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE r (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM r WHERE n < {last})
             SELECT n, 'ww1/1/m' || n AS lane, hex(zeroblob({bytes})) AS text FROM r;
         INSERT INTO inbox (seq, dedup, lane, kind, event, stops, state, received_at)
             SELECT n, n || ':m', lane, 'text', text, 0, CASE n % 3 WHEN 0 THEN 'unreadable' ELSE 'done' END, {at} FROM n;
         INSERT INTO conversation (id, lane, opened_at, last_at, closed_at)
             SELECT n, lane, {at}, {at}, CASE n % 2 WHEN 0 THEN {at} END FROM n;
         INSERT INTO turn (cause, id, conversation, question, answer, parts, state, ended_at)
             SELECT n, n, n, text, text, 1, CASE n % 5 WHEN 0 THEN 'running' ELSE 'answered' END,
                 CASE n % 5 WHEN 0 THEN NULL ELSE {at} END FROM n;
         INSERT INTO outbox (seq, lane, cause, part, corp, agent, member, format, content, state, created_at, ended_at)
             SELECT n, lane, n, 0, 'ww1', 1, 'm' || n, 'text', text, 'sent', {at}, {at} FROM n;
         INSERT INTO welcome (lane, welcomed_at) SELECT lane, {at} FROM n;
         DROP TABLE temp.n;
         COMMIT;"
    ))
    .unwrap();
}

const TABLES: [&str; 5] = ["inbox", "conversation", "turn", "outbox", "welcome"];

fn counts(conn: &Connection) -> [i64; 5] {
    TABLES.map(|table| conn.query_row(&format!("SELECT COUNT(*) FROM {table}"), [], |row| row.get(0)).unwrap())
}

fn size(dir: &Path) -> u64 {
    fs::metadata(dir.join("qimate.db")).unwrap().len()
}

#[tokio::test]
async fn every_table_forgets_what_is_old_and_keeps_the_rest() {
    let (store, _dir, conn) = fresh();
    insert(&conn, 1, 1200, 40, 100);
    insert(&conn, 2001, 100, 5, 100);
    // Old all the same, and not to be forgotten: what is open, what waits for a decision, and a dead letter.
    conn.execute_batch(
        "UPDATE inbox SET state = 'open' WHERE seq = 10;
         UPDATE inbox SET state = 'held' WHERE seq = 20;
         UPDATE outbox SET state = 'dead' WHERE seq = 30;
         UPDATE outbox SET state = 'waiting', ended_at = NULL WHERE seq = 40;
         INSERT INTO inbox (dedup, lane, kind, event, stops, state, received_at)
             VALUES ('x:1', '', 'erased', '', 0, 'done', 1790000000000 - 86400000 - 1),
                    ('x:2', '', 'erased', '', 0, 'done', 1790000000000 - 86400000 + 1);",
    )
    .unwrap();
    store.prune(NOW, Duration::from_secs(30 * DAY)).await.unwrap();
    let kept = |sql: &str| -> Vec<i64> {
        conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
    };
    assert_eq!(kept("SELECT seq FROM inbox WHERE seq < 2001"), [10, 20]);
    assert_eq!(kept("SELECT seq FROM outbox WHERE seq < 2001"), [30, 40]);
    // The turns that may go on (every fifth is running), and the conversations they are of.
    assert_eq!(kept("SELECT cause FROM turn WHERE cause < 2001"), [10, 20]);
    assert_eq!(kept("SELECT id FROM conversation WHERE id < 2001"), [10, 20]);
    assert_eq!(kept("SELECT COUNT(*) FROM inbox WHERE kind = 'erased'"), [1], "a day, whatever keep_days says");
    assert_eq!(counts(&conn), [103, 102, 102, 102, 100]);
    assert_eq!(store.dead_letters().await.unwrap().len(), 1);
    assert_eq!(store.prune(NOW, Duration::from_secs(30 * DAY)).await.unwrap(), 0);
}

/// A database that is full of a month does not grow by the next: what was freed is used again.
#[tokio::test]
async fn room_that_was_freed_is_used_again() {
    let (store, dir, conn) = fresh();
    let checkpoint = || conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    insert(&conn, 1, 3000, 40, 1000);
    checkpoint();
    let full = size(dir.path());
    for month in 1..4 {
        store.prune(NOW, Duration::from_secs(30 * DAY)).await.unwrap();
        assert_eq!(counts(&conn), [0; 5]);
        insert(&conn, month * 10_000, 3000, 40, 1000);
        checkpoint();
    }
    let after = size(dir.path());
    assert!(after <= full + full / 20, "{full} bytes grew to {after}");
    // What is deleted is not merely out of sight.
    conn.execute("UPDATE turn SET question = 'recognisable' || question", []).unwrap();
    store.prune(NOW, Duration::from_secs(30 * DAY)).await.unwrap();
    checkpoint();
    let bytes = fs::read(dir.path().join("qimate.db")).unwrap();
    let left = bytes.windows(12).filter(|window| window == b"recognisable").count();
    assert!(left < 30, "{left} of 3000 deleted questions are still in the file");
}
