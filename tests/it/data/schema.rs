//! Upgrade and rollback: an old data directory under a new binary, and a newer one under an old.

use std::{fs, path::Path};

use qimate::{
    clock::Clock,
    model::{
        event::{DedupKey, Event, EventKind},
        id::{AgentId, CorpId, MemberId},
    },
};
use rusqlite::{Connection, params};

use crate::company::Company;

const FIRST: &str = include_str!("../../../src/store/migrations/0001_main_path.sql");

/// The database of the first version, with rows in every state, as its daemon left them when it was killed.
fn first_version(path: &Path, agent: AgentId) {
    let conn = Connection::open(path).unwrap();
    conn.execute_batch(&format!("PRAGMA journal_mode = WAL; {FIRST} PRAGMA user_version = 1;")).unwrap();
    let corp = CorpId::parse("ww1436e0e65a779aee").unwrap();
    let now = Clock::System.now();
    let inbox = |seq: i64, member: &str, state: &str| {
        let from = MemberId::parse(member).unwrap();
        let dedup = DedupKey::of_message(&corp, agent, &from, now, &seq.to_string());
        let kind = EventKind::Text { content: format!("问题{seq}") };
        let event = Event { corp: corp.clone(), agent, from, at: now, dedup: dedup.clone(), kind };
        conn.execute(
            "INSERT INTO inbox (seq, dedup, lane, kind, event, stops, state, claims, received_at)
             VALUES (?1, ?2, ?3, 'text', ?4, 0, ?5, 0, ?6)",
            params![
                seq,
                dedup.as_str(),
                event.lane().as_str(),
                serde_json::to_string(&event).unwrap(),
                state,
                now.as_millis()
            ],
        )
        .unwrap();
        event.lane()
    };
    let (done, open, cut) = (inbox(1, "done", "done"), inbox(2, "open", "open"), inbox(3, "cut", "open"));
    inbox(4, "strange", "unreadable");
    let lease = |table: &str, lane: &str, held: Option<i64>| {
        let depth = if table == "inbox_lane" { ", depth" } else { "" };
        let one = if table == "inbox_lane" { ", 1" } else { "" };
        let sql = format!("INSERT INTO {table} (lane, ready_at, lease{depth}) VALUES (?1, ?2, ?3{one})");
        conn.execute(&sql, params![lane, now.as_millis(), held]).unwrap();
    };
    conn.execute("UPDATE inbox SET claims = 1 WHERE seq = 3", []).unwrap();
    lease("inbox_lane", open.as_str(), None);
    lease("inbox_lane", cut.as_str(), Some(7));
    lease("outbox_lane", done.as_str(), Some(8));
    let outbox = |cause: i64, lane: &str, member: &str, content: &str, state: &str| {
        conn.execute(
            "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at, ended_at)
             VALUES (?1, ?2, (SELECT COUNT(*) FROM outbox WHERE cause = ?2), ?3, ?4, ?5, 'text', ?6, ?7, ?8, ?8)",
            params![lane, cause, corp.as_str(), agent.get(), member, content, state, now.as_millis()],
        )
        .unwrap();
    };
    outbox(1, done.as_str(), "done", "早已送达", "sent");
    outbox(1, done.as_str(), "done", "还没送出", "waiting");
    outbox(1, done.as_str(), "done", "送不出去", "dead");
    outbox(3, cut.as_str(), "cut", "前半", "sent");
    let turn = |cause: i64, conversation: i64, answer: &str, state: &str, ended: Option<i64>| {
        conn.execute(
            "INSERT INTO turn (cause, id, conversation, question, answer, parts, state, ended_at)
             VALUES (?1, ?2, ?3, ?4, ?5, 1, ?6, ?7)",
            params![cause, uuid(cause), conversation, format!("问题{cause}"), answer, state, ended],
        )
        .unwrap();
    };
    for (id, lane, closed) in [(1, &done, Some(now)), (2, &done, None), (3, &cut, None)] {
        conn.execute(
            "INSERT INTO conversation VALUES (?1, ?2, ?3, ?3, ?4)",
            params![id, lane.as_str(), now.as_millis(), closed.map(|at| at.as_millis())],
        )
        .unwrap();
    }
    turn(1, 2, "早已送达", "answered", Some(now.as_millis()));
    turn(3, 3, "前半", "running", None);
    conn.execute("INSERT INTO welcome VALUES (?1, 0)", [done.as_str()]).unwrap();
}

fn uuid(n: i64) -> String {
    format!("01890000-0000-7000-8000-{n:012}")
}

async fn exits(company: &Company, arguments: &[&str]) -> (i32, String) {
    let output = company.run(arguments).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code().unwrap(), said)
}

fn version(path: &Path) -> i64 {
    Connection::open(path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_of_the_first_version_is_taken_over_with_all_that_is_open_in_it() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|body| {
        let messages = body["messages"].as_array().unwrap();
        let goes_on = messages.iter().any(|message| message["content"] == "前半");
        qimate::sandbox::model::ModelReply::Answer(if goes_on { "后半" } else { "新的回答" }.to_owned())
    });
    let path = company.dir.path().join("qimate.db");
    first_version(&path, company.wecom.settings().agent_id);
    let (code, said) = exits(&company, &["migrate", "--check"]).await;
    assert!(code == 1 && said.contains("is of version 1") && said.contains("qimate-before-v"), "{code}: {said}");
    assert_eq!(version(&path), 1, "asking changes nothing");

    company.start().await;
    company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'", 0).await;
    let texts = |member: &str| -> Vec<String> {
        company.wecom.messages_for(member).into_iter().map(|message| message.content).collect()
    };
    assert_eq!(texts("done"), ["还没送出"], "what waited, and nothing else");
    assert_eq!(texts("open"), ["新的回答"]);
    assert_eq!(texts("cut"), ["后半"], "it goes on where it was cut off");
    let (_, letters) = exits(&company, &["dead-letters"]).await;
    assert_eq!(letters.lines().count(), 2, "{letters}");
    assert_eq!(exits(&company, &["migrate", "--check"]).await.0, 0);
    let (code, said) = exits(&company, &["migrate"]).await;
    assert!(code == 1 && said.contains("another qimate is running"), "{said}");

    // The way back: the copy is the database of before, for the binary of before.
    assert!(company.terminate().await.success());
    let copy = company.dir.path().join(format!("qimate-before-v{}.db", version(&path)));
    assert_eq!(version(&copy), 1);
    let conn = Connection::open(&copy).unwrap();
    let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT COUNT(*) FROM inbox WHERE state = 'open'"), 2);
    assert_eq!(count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'"), 1);
    assert_eq!(count("SELECT COUNT(*) FROM sqlite_schema WHERE name = 'moment'"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_brought_up_by_command_without_a_start() {
    let company = Company::open(&[]).await;
    let path = company.dir.path().join("qimate.db");
    assert_eq!(exits(&company, &["migrate", "--check"]).await.0, 0, "nothing to lose yet");
    assert!(exits(&company, &["migrate"]).await.1.contains("no database there"));
    first_version(&path, company.wecom.settings().agent_id);
    let (code, said) = exits(&company, &["migrate"]).await;
    assert!(code == 0 && said.contains("from version 1"), "{said}");
    assert!(version(&path) > 1);
    let (code, said) = exits(&company, &["migrate"]).await;
    assert!(code == 0 && said.contains("already"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_a_newer_version_is_refused_and_stays_as_it_is() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    assert!(company.terminate().await.success());
    let path = company.dir.path().join("qimate.db");
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    let before = fs::read(&path).unwrap();
    for (arguments, wanted) in [
        (&["serve"][..], 1),
        (&["migrate"], 1),
        (&["migrate", "--check"], 2),
        (&["backup", "copy.db"], 1),
        (&["dead-letters"], 1),
    ] {
        let (code, said) = exits(&company, arguments).await;
        assert_eq!(code, wanted, "{arguments:?}: {said}");
        assert!(said.contains("of version 99") && said.contains("use a newer qimate"), "{arguments:?}: {said}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    let names: Vec<_> = fs::read_dir(company.dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("before")), "{names:?}");
}
