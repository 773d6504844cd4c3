//! Days of an application's own: what was said in it goes earlier than what was said in the others, and nothing else does.

use std::time::Duration;

use qimate::{
    clock::Clock,
    model::{
        audit::Actor,
        conversation::Usage,
        id::{AgentId, AppKey, CorpId},
    },
    sandbox::model::ModelReply,
    store::{
        Store,
        backup::backup,
        restore::{WhatIsOpen, restore},
        summaries::Summary,
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

use super::retention::{self, NOW};
use crate::{
    apps::Two,
    disk::holding,
    harness::{ask, within},
};

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Two applications that answer everything, the second of which keeps it for two days. Conversations do not end.
async fn two() -> Two {
    let own = [("KEEP_DAYS", "2"), ("IDLE_MINUTES", "0")];
    let two = Two::start_with("ww1436e0e65a779aee", &own, |config| config.chat.idle = None).await;
    two.app.model.set_script(|body| {
        let question = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        if question.contains("代码") {
            let line = format!("# {question}的一行\n");
            return ModelReply::Answer(format!("```python\n{}```\n", line.repeat(80)));
        }
        ModelReply::Answer(format!("答：{question}"))
    });
    two
}

async fn ask_hr(two: &Two, member: &str, text: &str) -> String {
    let before = two.hr.messages_for(member).len();
    two.say_to_hr(member, text).await;
    let texts = two.texts_of_hr(member, before + 1).await;
    two.app.settled().await;
    texts[before..].join("\n")
}

/// Waits until the words of the second application are nowhere on the disk.
async fn is_gone(two: &Two) {
    within(async {
        while !holding(two.app.dir.path(), "人事秘密").is_empty() {
            two.app.clock.advance(Duration::from_secs(1));
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

/// What was used, as far as it decides and as far as it is shown.
fn used(two: &Two) -> (i64, i64) {
    let calls = Connection::open(two.app.dir.path().join("usage.db")).unwrap();
    let calls = calls.query_row("SELECT COUNT(*) FROM call", [], |row| row.get(0)).unwrap();
    (two.app.count("SELECT SUM(requests) + SUM(tokens) FROM used"), calls)
}

#[tokio::test]
async fn what_was_said_in_one_application_goes_and_the_other_goes_on() {
    let mut two = two().await;
    for (text, of_hr) in [("人事秘密问题", true), ("财务机密问题", false)] {
        if of_hr {
            ask_hr(&two, "zhangsan", text).await;
            ask_hr(&two, "zhangsan", "给我人事秘密代码").await;
        } else {
            ask(&two.app, "zhangsan", text).await;
            ask(&two.app, "zhangsan", "给我财务机密代码").await;
        }
    }
    ask_hr(&two, "zhangsan", "/remember 爱喝乌龙茶").await;
    two.hr.trouble(|trouble| trouble.unknown_member("lisi", true));
    two.say_to_hr("lisi", "没送到的话").await;
    let dead = "SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND content LIKE '%没送到的话%'";
    two.app.comes_to(dead, 1).await;
    two.app.settled().await;
    let of_finance = |sql: &str| two.app.count(&format!("SELECT COUNT(*) FROM {sql}"));
    let lane = "lane LIKE '%/1000002/%'";
    let rows = ["inbox WHERE", "outbox WHERE state = 'sent' AND", "media_use WHERE", "conversation WHERE"]
        .map(|from| format!("{from} {lane}"));
    let before = rows.clone().map(|sql| of_finance(&sql));
    assert_eq!(before[2..], [1, 1]);
    within(async {
        while used(&two).1 < 5 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    let was_used = used(&two);
    let (elsewhere, storage) = (tempfile::tempdir().unwrap(), two.app.config.storage.clone());
    let copy = elsewhere.path().join("copy.db");
    backup(&storage, &copy, false, NOW).unwrap();

    two.app.clock.advance(DAY);
    assert!(holding(two.app.dir.path(), "人事秘密").len() > 1, "in the database, and in a file");
    two.app.clock.advance(2 * DAY);
    is_gone(&two).await;
    assert_eq!(rows.clone().map(|sql| of_finance(&sql)), before);
    assert!(
        holding(two.app.dir.path(), "财务机密代码")
            .iter()
            .any(|path| path.starts_with(two.app.dir.path().join("media")))
    );
    assert_eq!(two.app.count(dead), 1, "until somebody decides");
    assert_eq!(two.app.count("SELECT COUNT(*) FROM fact WHERE text = '爱喝乌龙茶'"), 1);
    assert_eq!(used(&two), was_used);

    // What each of them knows.
    ask(&two.app, "zhangsan", "接着说").await;
    ask_hr(&two, "zhangsan", "接着说").await;
    let requests = two.app.model.requests();
    let [of_finance, of_hr] = [&requests[requests.len() - 2], &requests[requests.len() - 1]];
    assert_eq!(of_finance.contents("user"), ["财务机密问题", "给我财务机密代码", "接着说"]);
    assert_eq!(of_hr.contents("user"), ["接着说"]);
    assert!(of_hr.contents("system").concat().contains("爱喝乌龙茶"));
    // Members are told.
    assert!(ask_hr(&two, "zhangsan", "/help").await.contains("聊天内容保存 2 天"));
    assert!(ask_hr(&two, "zhangsan", "/usage").await.contains("只统计最近 2 天"));
    assert!(!ask(&two.app, "zhangsan", "/help").await.contains("保存"));
    assert!(!ask(&two.app, "zhangsan", "/usage").await.contains("最近"));

    // A backup brings it back, and the daemon that starts with it takes it away.
    two.app.stop().await;
    restore(&storage, &Actor::Daemon, &copy, WhatIsOpen::Answer, Clock::Manual(two.app.clock.clone()).now()).unwrap();
    assert!(!holding(two.app.dir.path(), "人事秘密").is_empty());
    two.app.launch().await;
    two.lead();
    is_gone(&two).await;
    assert!(!holding(two.app.dir.path(), "财务机密").is_empty());
}

/// A database of which `ww1/1` keeps two days, and the rest thirty.
fn fresh() -> (Store, TempDir, Connection) {
    let (store, dir, conn) = retention::fresh();
    let app = AppKey::new(&CorpId::parse("ww1").unwrap(), AgentId::new(1));
    (store.with_days([(app, 2 * DAY)]), dir, conn)
}

/// Rows of `hours` ago, numbered from `first`, one after the other of `ww1/1` (odd) and of `ww1/2`.
fn insert(conn: &Connection, first: i64, count: i64, hours: u64) {
    let at = (NOW - Duration::from_secs(hours * 3600)).as_millis();
    let last = first + count - 1;
    conn.execute_batch(&format!(
        "BEGIN;
         CREATE TEMP TABLE n AS WITH RECURSIVE r (n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM r WHERE n < {last})
             SELECT n, 'ww1/' || (2 - n % 2) || '/m' || n AS lane FROM r;
         INSERT INTO inbox (seq, dedup, lane, kind, event, stops, state, received_at)
             SELECT n, n || ':m', lane, 'text', 'words', 0, 'done', {at} FROM n;
         INSERT INTO conversation (id, lane, opened_at, last_at, closed_at)
             SELECT n, lane, {at}, {at}, CASE n % 3 WHEN 0 THEN {at} END FROM n;
         INSERT INTO turn (cause, id, conversation, question, answer, parts, state, ended_at)
             SELECT n, n, n, 'words', 'words', 1, 'answered', {at} FROM n;
         INSERT INTO outbox (seq, lane, cause, part, corp, agent, member, format, content, state, created_at, ended_at)
             SELECT n, lane, n, 0, 'ww1', 1, 'm' || n, 'text', 'words', 'sent', {at}, {at} FROM n;
         INSERT INTO media (hash, media_type, bytes, created_at) SELECT printf('%064x', n), 'x', 1, {at} FROM n;
         INSERT INTO media_use (hash, lane, at) SELECT printf('%064x', n), lane, {at} FROM n;
         INSERT INTO upload (corp, hash, kind, name, repetition, sent_as, media_id, uploaded_at)
             SELECT 'ww1', printf('%064x', n), 'file', 'words.md', 0, 'file', n, {at} FROM n;
         DROP TABLE temp.n;
         COMMIT;"
    ))
    .unwrap();
}

fn numbers(conn: &Connection, sql: &str) -> Vec<i64> {
    conn.prepare(sql).unwrap().query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// What is left of `ww1/1`: inbox, turns, conversations, outbox, files, uploads.
fn left(conn: &Connection) -> [Vec<i64>; 6] {
    [
        "SELECT seq FROM inbox WHERE lane LIKE 'ww1/1/%' ORDER BY 1",
        "SELECT cause FROM turn WHERE cause % 2 = 1 ORDER BY 1",
        "SELECT id FROM conversation WHERE lane LIKE 'ww1/1/%' ORDER BY 1",
        "SELECT seq FROM outbox WHERE lane LIKE 'ww1/1/%' ORDER BY 1",
        "SELECT substr(lane, 8) + 0 FROM media_use WHERE lane LIKE 'ww1/1/%' ORDER BY 1",
        "SELECT media_id + 0 FROM upload WHERE media_id % 2 = 1 ORDER BY 1",
    ]
    .map(|sql| numbers(conn, sql))
}

/// How much there is of `ww1/2`.
fn others(conn: &Connection) -> i64 {
    numbers(
        conn,
        "SELECT (SELECT COUNT(*) FROM inbox WHERE seq % 2 = 0) + (SELECT COUNT(*) FROM turn WHERE cause % 2 = 0)
              + (SELECT COUNT(*) FROM conversation WHERE id % 2 = 0) + (SELECT COUNT(*) FROM outbox WHERE seq % 2 = 0)
              + (SELECT COUNT(*) FROM media_use WHERE lane LIKE 'ww1/2/%')",
    )[0]
}

#[tokio::test]
async fn many_rows_go_in_batches_and_what_is_open_stays_until_it_is_not() {
    let (store, _dir, conn) = fresh();
    // More than are looked at, and deleted, at once.
    insert(&conn, 1, 5000, 72);
    insert(&conn, 5001, 20, 24);
    conn.execute_batch(
        "UPDATE inbox SET state = 'open' WHERE seq = 11;
         INSERT INTO inbox_lane (lane, depth, ready_at) VALUES ('ww1/1/m11', 1, 0);
         UPDATE turn SET state = 'running', ended_at = NULL WHERE cause IN (11, 13);
         UPDATE inbox SET state = 'held' WHERE seq = 21;
         UPDATE turn SET state = 'running', ended_at = NULL WHERE cause = 21;
         UPDATE outbox SET state = 'dead', format = 'file',
             content = '{\"media\":\"' || printf('%064x', seq) || '\",\"name\":\"a.md\"}' WHERE seq = 31;
         UPDATE outbox SET state = 'waiting', ended_at = NULL, format = 'file',
             content = '{\"media\":\"' || printf('%064x', seq) || '\",\"name\":\"a.md\"}' WHERE seq = 41;
         UPDATE outbox SET ended_at = ended_at + 3 * 3600000 WHERE seq = 51;
         UPDATE turn SET ended_at = ended_at + 30 * 3600000 WHERE cause = 61;",
    )
    .unwrap();
    let young: Vec<i64> = (5001..5020).step_by(2).collect();
    let with_young = |old: &[i64]| [old, &young].concat();
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(
        left(&conn),
        [
            with_young(&[11, 21]),
            // What was answered late is as young as its answer; what is of no open question any more is old.
            with_young(&[11, 21, 61]),
            with_young(&[11, 21, 61]),
            with_young(&[31, 41]),
            with_young(&[11, 31, 41]),
            with_young(&[11, 31, 41]),
        ]
    );
    assert_eq!(others(&conn), 2510 * 5, "nobody else's");
    assert_eq!(store.prune(NOW, 30 * DAY).await.unwrap(), 0, "what is left is looked at, and stays");

    // What ended meanwhile goes, although its place was passed; and what has become old.
    conn.execute_batch(
        "UPDATE inbox SET state = 'done' WHERE seq IN (11, 21);
         DELETE FROM inbox_lane;
         UPDATE turn SET state = 'answered', ended_at = 0 WHERE cause IN (11, 21);
         UPDATE outbox SET state = 'sent', ended_at = 0 WHERE seq IN (31, 41);",
    )
    .unwrap();
    store.prune(NOW + 2 * DAY, 30 * DAY).await.unwrap();
    assert_eq!(left(&conn), [const { Vec::<i64>::new() }; 6]);
    assert_eq!(others(&conn), 2510 * 5);
}

/// A summary holds the words of all its turns, so it goes with the first of them.
#[tokio::test]
async fn a_summary_goes_with_the_first_turn_that_is_in_it() {
    let (store, _dir, conn) = fresh();
    insert(&conn, 1, 8, 72);
    insert(&conn, 9, 8, 24);
    // Turn 1, old, and turns 9 and 11, young, are of one conversation of `ww1/1`; 2, 10 and 12 of one of `ww1/2`.
    conn.execute_batch(
        "UPDATE turn SET conversation = 2 - cause % 2 WHERE cause IN (9, 10, 11, 12);
         UPDATE conversation SET closed_at = NULL, last_at = (SELECT last_at FROM conversation WHERE id = 9)
             WHERE id IN (1, 2);",
    )
    .unwrap();
    let cost = Usage { input: 1, output: 1, ..Usage::default() };
    let save = async |conversation, before, up_to| {
        let summary = Summary { up_to, text: "words".to_owned() };
        store.save_summary(conversation, before, summary, cost, NOW).await.unwrap()
    };
    assert!(save(1, None, 9).await && save(2, None, 10).await);
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(numbers(&conn, "SELECT conversation FROM summary"), [2]);
    assert_eq!(numbers(&conn, "SELECT cause FROM turn WHERE conversation = 1"), [9, 11], "the conversation goes on");
    // The next version, which was made of it meanwhile, does not bring it back.
    assert!(!save(1, Some(9), 11).await && save(2, Some(10), 12).await);
    // Made of what is left, it stays as long as that.
    let left = store.unsummarised(1, 0, 1000).await.unwrap().unwrap();
    assert_eq!((left.before, left.exchanges.len()), (None, 2));
    assert!(save(1, None, 11).await);
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(numbers(&conn, "SELECT conversation FROM summary ORDER BY 1"), [1, 2]);
    // One of whose turns nothing is there: by the days of before, or from another version.
    conn.execute("UPDATE summary SET up_to = 5 WHERE conversation = 1", []).unwrap();
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(numbers(&conn, "SELECT conversation FROM summary"), [2]);
}

/// Who writes again after a long time goes on in the conversation of before, of which nothing may be left.
#[tokio::test]
async fn a_conversation_of_which_something_is_open_stays() {
    let (store, _dir, conn) = fresh();
    insert(&conn, 1, 2, 40 * 24);
    conn.execute_batch(
        "UPDATE conversation SET closed_at = NULL;
         INSERT INTO inbox_lane (lane, depth, ready_at) SELECT lane, 1, 0 FROM conversation;",
    )
    .unwrap();
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(numbers(&conn, "SELECT COUNT(*) FROM turn"), [0]);
    assert_eq!(numbers(&conn, "SELECT id FROM conversation"), [1, 2]);
    conn.execute("DELETE FROM inbox_lane", []).unwrap();
    store.prune(NOW, 30 * DAY).await.unwrap();
    assert_eq!(numbers(&conn, "SELECT COUNT(*) FROM conversation"), [0]);
}
