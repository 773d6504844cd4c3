//! What the store promises to those who work with it, whoever else works with it at the same time.

use std::{path::Path, sync::Arc, time::Duration};

use qimate::{
    clock::Timestamp,
    config::{self, storage::Synchronous},
    model::{
        conversation::{Exchange, TurnState, Usage},
        event::{DedupKey, Event, EventKind},
        fact::{self, Fact, Refused},
        id::{AgentId, AppKey, CorpId, MemberId, TurnId},
        outbound::Said,
        reply::{Format, ReplyPart},
    },
    store::{
        Store,
        conversation::TurnRecord,
        inbox::{Accepted, Disposition, Ending, Inbound},
        outbox::{Attempt, OutboundClaim},
    },
};
use rusqlite::Connection;
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);
const T0: Timestamp = Timestamp::from_secs(1_790_000_000);

fn after(seconds: u64) -> Timestamp {
    T0 + Duration::from_secs(seconds)
}

fn open(dir: &Path) -> Store {
    let settings =
        config::Storage { data_dir: dir.to_owned(), synchronous: Synchronous::Normal, max_size_mib: None, keep: DAY };
    Store::open(&settings, T0).unwrap()
}

fn fresh() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (open(dir.path()), dir)
}

/// The application of all events here.
fn app() -> AppKey {
    AppKey::from_stored("ww1/1")
}

fn event(member: &str, n: u32) -> Arc<Event> {
    let (corp, agent, from) = (CorpId::parse("ww1").unwrap(), AgentId::new(1), MemberId::parse(member).unwrap());
    let dedup = DedupKey::of_message(&corp, agent, &from, T0, &n.to_string());
    Arc::new(Event { corp, agent, from, at: T0, dedup, kind: EventKind::Text { content: "问".to_owned() } })
}

async fn accept(store: &Store, event: Arc<Event>, now: Timestamp) -> Accepted {
    store.accept(event, Disposition::Handle, 5, now, |_| {}).await.unwrap()
}

async fn claim(store: &Store, now: Timestamp) -> Inbound {
    store.claim_inbound(&app(), 1, now).await.unwrap().claims.pop().unwrap()
}

fn turn(conversation: i64, question: &str, answer: &str) -> Ending {
    let turn = TurnRecord {
        id: TurnId::generate(),
        conversation,
        exchange: Exchange { question: question.to_owned(), pictures: Vec::new(), answer: answer.to_owned() },
        through: 0,
        parts: 0,
        state: TurnState::Answered { usage: Usage::default() },
        used: None,
    };
    Ending::Turn { turn, first_part: 0, parts: Vec::new() }
}

fn content(claim: &OutboundClaim) -> String {
    match claim.message.said() {
        Said::Words { content, .. } => content,
        other => panic!("words, not {other:?}"),
    }
}

fn part(text: &str) -> ReplyPart {
    ReplyPart::new(Format::Text, text).unwrap()
}

#[tokio::test]
async fn two_workers_never_hold_one_member() {
    let (store, _dir) = fresh();
    for n in 0..3 {
        accept(&store, event("a", n), T0).await;
    }
    accept(&store, event("b", 3), T0).await;
    let claims = store.claim_inbound(&app(), 8, T0).await.unwrap().claims;
    assert_eq!(claims.len(), 2, "one of each member");
    assert!(store.claim_inbound(&app(), 8, T0).await.unwrap().claims.is_empty());
    let a = claims.into_iter().find(|claim| claim.seq == 1).unwrap();
    store.finish(&a, Ending::Silent, T0).await.unwrap().unwrap();
    assert_eq!(claim(&store, T0).await.seq, 2, "the next in order");
    assert!(store.finish(&a, Ending::Silent, T0).await.unwrap().is_err(), "an ended claim ends nothing again");
}

#[tokio::test]
async fn a_key_does_not_come_again_after_its_row_was_pruned() {
    let (store, dir) = fresh();
    // A's answer takes five minutes. Meanwhile B is answered and begins anew.
    accept(&store, event("a", 1), T0).await;
    let a = claim(&store, T0).await;
    let of_a = store.open_conversation(&a.lane, T0).await.unwrap();
    accept(&store, event("b", 2), after(1)).await;
    let b = claim(&store, after(1)).await;
    let of_b = store.open_conversation(&b.lane, after(1)).await.unwrap();
    store.finish(&b, turn(of_b.id, "我的工资", "三万"), after(2)).await.unwrap().unwrap();
    store.close_conversation(&b.lane, after(3)).await.unwrap();
    store.finish(&a, turn(of_a.id, "长问题", "长回答"), after(300)).await.unwrap().unwrap();
    // A day later the pruning falls between the two.
    store.prune(after(60) + DAY, DAY).await.unwrap();
    let c = event("c", 3);
    let of_c = store.open_conversation(&c.lane(), after(300) + DAY).await.unwrap();
    assert!(of_c.id > of_b.id);
    let seen = store.find_conversation(&c.lane(), 10_000).await.unwrap().unwrap();
    assert!(seen.exchanges.is_empty(), "another member's words: {:?}", seen.exchanges);
    // And when everything is gone, the inbox goes on counting.
    store.prune(after(600) + DAY, DAY).await.unwrap();
    let conn = Connection::open(dir.path().join("qimate.db")).unwrap();
    assert_eq!(conn.query_row("SELECT COUNT(*) FROM inbox", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    assert!(matches!(accept(&store, event("d", 4), after(600) + DAY).await, Accepted::Fresh { seq: 3, .. }));
}

#[tokio::test]
async fn a_clock_that_was_set_back_keeps_nobody_waiting() {
    let (store, dir) = fresh();
    accept(&store, event("a", 1), after(7200)).await;
    accept(&store, event("a", 2), T0).await;
    assert_eq!(claim(&store, T0).await.seq, 1);
    accept(&store, event("b", 3), after(7200)).await;
    drop(store);
    // The writer ends with the last handle; until then the directory is its own.
    let store = loop {
        let settings = config::Storage {
            data_dir: dir.path().to_owned(),
            synchronous: Synchronous::Normal,
            max_size_mib: None,
            keep: DAY,
        };
        match Store::open(&settings, T0) {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(store.claim_inbound(&app(), 8, T0).await.unwrap().claims.len(), 2);
}

#[tokio::test]
async fn a_member_is_told_of_their_backlog_once_until_it_is_gone() {
    let (store, _dir) = fresh();
    let mut told = Vec::new();
    let mut n = 0;
    let mut say = async || {
        n += 1;
        match accept(&store, event("a", n), T0).await {
            Accepted::Fresh { backlog, .. } => told.extend(backlog),
            Accepted::Duplicate => unreachable!("each is new"),
        }
    };
    for _ in 0..7 {
        say().await;
    }
    for _ in 0..4 {
        let first = claim(&store, T0).await;
        store.finish(&first, Ending::Silent, T0).await.unwrap().unwrap();
        say().await;
    }
    while let Some(first) = store.claim_inbound(&app(), 1, T0).await.unwrap().claims.pop() {
        store.finish(&first, Ending::Silent, T0).await.unwrap().unwrap();
    }
    for _ in 0..6 {
        say().await;
    }
    assert_eq!(told, [5, 5], "once, and once more after it was gone");
}

#[tokio::test]
async fn a_notice_that_comes_too_late_is_not_said() {
    let (store, dir) = fresh();
    accept(&store, event("a", 1), T0).await;
    let overdue = store.overdue(&app(), after(10), 8).await.unwrap();
    assert_eq!(overdue.len(), 1);
    let answered = claim(&store, after(10)).await;
    store.finish(&answered, Ending::Says(vec![part("回答")]), after(11)).await.unwrap().unwrap();
    store.notify(overdue[0].0, &overdue[0].1, part("请稍等"), after(12)).await.unwrap();
    let conn = Connection::open(dir.path().join("qimate.db")).unwrap();
    assert_eq!(conn.query_row("SELECT COUNT(*) FROM outbox", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
}

#[tokio::test]
async fn what_a_newer_version_wrote_is_set_aside_and_holds_nobody_up() {
    let (store, dir) = fresh();
    let conn = Connection::open(dir.path().join("qimate.db")).unwrap();
    conn.execute_batch(
        r#"INSERT INTO inbox (dedup, lane, kind, event, stops, state, received_at)
           VALUES ('x', 'ww1/1/x', 'text', '{"of": "a newer version"}', 0, 'open', 0);
           INSERT INTO inbox_lane (lane, depth, ready_at) VALUES ('ww1/1/x', 1, 0);
           INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at)
           VALUES ('ww1/1/x', 99, 0, 'ww1', 1, 'x', 'hologram', '早', 'waiting', 0);
           INSERT INTO outbox_lane VALUES ('ww1/1/x', 0, NULL);"#,
    )
    .unwrap();
    accept(&store, event("a", 1), T0).await;
    let claims = store.claim_inbound(&app(), 8, T0).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    store.finish(&claims[0], Ending::Says(vec![part("回答")]), T0).await.unwrap().unwrap();
    let claims = store.claim_outbound(&app(), 8, T0).await.unwrap().claims;
    assert_eq!(claims.len(), 1);
    assert!(store.claim_outbound(&app(), 8, T0).await.unwrap().claims.is_empty());
    assert_eq!(store.dead_letters().await.unwrap()[0].reason, "unreadable");
}

#[tokio::test]
async fn what_follows_a_commit_follows_it_although_the_caller_has_gone() {
    let (store, dir) = fresh();
    let other = Connection::open(dir.path().join("qimate.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let (told, hears) = tokio::sync::oneshot::channel();
    {
        let accepting = store.accept(event("a", 1), Disposition::Handle, 5, T0, move |accepted| {
            let _ = told.send(*accepted);
        });
        tokio::pin!(accepting);
        // Begun, and given up while the writer waits for the other process.
        assert!(futures_util::poll!(&mut accepting).is_pending());
    }
    other.execute_batch("COMMIT").unwrap();
    assert!(matches!(hears.await.unwrap(), Accepted::Fresh { seq: 1, .. }));
    // The dispatcher is awake, and there is something to claim.
    store.inbox_ready(&app()).await;
    assert_eq!(claim(&store, T0).await.seq, 1);
}

#[tokio::test]
async fn what_may_have_arrived_counts_from_its_first_attempt() {
    let (store, _dir) = fresh();
    accept(&store, event("a", 1), T0).await;
    let inbound = claim(&store, T0).await;
    store.finish(&inbound, Ending::Says(vec![part("回答")]), T0).await.unwrap().unwrap();
    let sent = store.claim_outbound(&app(), 1, after(5)).await.unwrap().claims.pop().unwrap();
    // The disk was full for five hours: only now can it be written that nobody knows.
    store.retry(&sent, "lost", Attempt::Unsure, after(18_000)).await.unwrap().unwrap();
    let again = store.claim_outbound(&app(), 1, after(18_000)).await.unwrap().claims.pop().unwrap();
    assert_eq!(again.unsure_since, Some(after(5)));
    assert_eq!(again.message, sent.message, "and says the same");
}

#[tokio::test]
async fn dead_letters_that_come_back_do_not_hide_a_message_under_way() {
    let (store, _dir) = fresh();
    for n in 0..20 {
        accept(&store, event("a", n), T0).await;
        let inbound = claim(&store, T0).await;
        store.finish(&inbound, Ending::Says(vec![part(&format!("回答{n}"))]), T0).await.unwrap().unwrap();
    }
    for n in 0..19 {
        let dead = store.claim_outbound(&app(), 1, after(10 * n)).await.unwrap().claims.pop().unwrap();
        store.give_up(&dead, "no", after(10 * n)).await.unwrap().unwrap();
    }
    let last = store.claim_outbound(&app(), 1, after(300)).await.unwrap().claims.pop().unwrap();
    assert_eq!(store.retry_dead_letters(&qimate::model::audit::Actor::Daemon, None, after(300)).await.unwrap(), 19);
    store.delivered(&last, "m", after(300)).await.unwrap().unwrap();
    let mut contents = Vec::new();
    let mut now = after(400);
    while let Some(next) = store.claim_outbound(&app(), 1, now).await.unwrap().claims.pop() {
        contents.push(content(&next));
        store.delivered(&next, "m", now).await.unwrap().unwrap();
        now = now + Duration::from_secs(10);
    }
    let again = contents.join(" ").matches(&content(&last)).count();
    assert_eq!(again, 0, "it had been delivered: {contents:?}");
}

#[tokio::test]
async fn any_number_of_unreadable_answers_holds_nobody_up() {
    let (store, dir) = fresh();
    let conn = Connection::open(dir.path().join("qimate.db")).unwrap();
    for n in 0..40 {
        let format = if n == 39 { "text" } else { "hologram" };
        conn.execute(
            "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at)
             VALUES ('ww1/1/x', ?1, 0, 'ww1', 1, 'x', ?2, '早', 'waiting', 0)",
            rusqlite::params![n, format],
        )
        .unwrap();
    }
    conn.execute("INSERT INTO outbox_lane VALUES ('ww1/1/x', 0, NULL)", []).unwrap();
    let mut claims = Vec::new();
    for _ in 0..4 {
        claims.extend(store.claim_outbound(&app(), 8, T0).await.unwrap().claims);
    }
    assert_eq!(claims.len(), 1);
    assert_eq!(store.dead_letters().await.unwrap().len(), 39);
}

#[tokio::test]
async fn a_fact_is_remembered_with_the_end_of_its_command_or_not_at_all() {
    let (store, dir) = fresh();
    let texts = |facts: &[Fact]| facts.iter().map(|fact| fact.text.clone()).collect::<Vec<_>>();
    for (n, text) in (0..).zip(["住在上海", "爱喝茶", "叫我小王"]) {
        accept(&store, event("a", n), T0).await;
        let command = claim(&store, T0).await;
        let change = fact::remember(&store.facts(&command.lane).await.unwrap(), text).unwrap();
        store.change_facts(&command, change, vec![part("记住了")], T0).await.unwrap().unwrap();
    }
    accept(&store, event("a", 3), T0).await;
    let command = claim(&store, T0).await;
    let facts = store.facts(&command.lane).await.unwrap();
    assert_eq!(texts(&facts), ["住在上海", "爱喝茶", "叫我小王"]);
    assert_eq!(fact::remember(&facts, "爱喝茶"), Err(Refused::Known { number: 2 }));
    let forget = fact::forget(&facts, "2").unwrap();
    // The process is killed before the command has ended, and does it again: it means the same fact.
    drop(store);
    let store = open(dir.path());
    assert_eq!(store.facts(&command.lane).await.unwrap(), facts);
    let again = claim(&store, T0).await;
    assert_eq!((again.seq, again.claims), (command.seq, 2));
    store.change_facts(&again, forget.clone(), vec![part("忘了")], T0).await.unwrap().unwrap();
    assert_eq!(texts(&store.facts(&again.lane).await.unwrap()), ["住在上海", "叫我小王"]);
    // Nobody else's are touched, and whoever has lost the lane changes nothing.
    accept(&store, event("b", 4), T0).await;
    let other = claim(&store, T0).await;
    assert_eq!(store.facts(&other.lane).await.unwrap(), []);
    let everything = fact::forget(&store.facts(&again.lane).await.unwrap(), "all").unwrap();
    store.change_facts(&again, everything.clone(), Vec::new(), T0).await.unwrap().unwrap_err();
    store.change_facts(&other, everything, Vec::new(), T0).await.unwrap().unwrap();
    assert_eq!(texts(&store.facts(&again.lane).await.unwrap()), ["住在上海", "叫我小王"]);
}

/// What stands in `.cargo/config.toml` reaches the compiler, and the last word is ours.
#[test]
fn sqlite_is_compiled_without_what_nobody_asks_of_it() {
    let conn = Connection::open_in_memory().unwrap();
    let mut options = conn.prepare("PRAGMA compile_options").unwrap();
    let options: Vec<String> = options.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap();
    let has = |wanted: &str| options.iter().any(|option| option == wanted);
    for wanted in ["DEFAULT_MEMSTATUS=0", "DEFAULT_PCACHE_INITSZ=0", "OMIT_LOAD_EXTENSION", "OMIT_SHARED_CACHE"] {
        assert!(has(wanted), "{wanted}: {options:?}");
    }
    for left_out in ["ENABLE_API_ARMOR", "ENABLE_FTS3", "ENABLE_FTS5", "ENABLE_RTREE", "ENABLE_LOAD_EXTENSION"] {
        assert!(!has(left_out), "{left_out}: {options:?}");
    }
}
