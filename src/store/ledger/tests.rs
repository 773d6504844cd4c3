//! The sums are those of the calls, whatever comes in between.

use std::collections::BTreeMap;

use proptest::prelude::*;
use rusqlite::StatementStatus;
use tempfile::TempDir;

use super::{
    totals::{Dimension, Grain, Totals},
    *,
};
use crate::{
    clock::{ManualClock, Timestamp},
    config::storage::Synchronous,
    model::{
        call::{Ended, Kind},
        conversation::Usage,
        id::{AgentId, CorpId, MemberId},
    },
    store::Store,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const T0: Timestamp = Timestamp::from_secs(1_790_000_000);

fn call(member: &str, at: Timestamp) -> Call {
    Call {
        at,
        corp: CorpId::parse("ww1").unwrap(),
        member: MemberId::parse(member).ok(),
        department: None,
        agent: Some(AgentId::new(1)),
        api_key: None,
        model: "m".into(),
        upstream: Some("u".into()),
        kind: Kind::Chat,
        ended: Ended::Ok,
        usage: Usage { input: 10, cached: 4, output: 3, estimated: false },
        money: 7,
        first_ms: Some(100),
        total_ms: 900,
    }
}

fn settings(dir: &TempDir) -> config::Storage {
    let data_dir = dir.path().to_owned();
    config::Storage { data_dir, synchronous: Synchronous::Normal, max_size_mib: None, keep: DAY }
}

/// A ledger beside a database, by a clock that stands at [`T0`].
fn fresh() -> (Ledger, config::Storage, ManualClock, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let settings = settings(&dir);
    drop(Store::open(&settings, T0).unwrap());
    let clock = ManualClock::new(T0);
    let ledger = Ledger::start(&settings, shanghai(), Clock::Manual(clock.clone())).unwrap();
    (ledger, settings, clock, dir)
}

fn shanghai() -> Zone {
    Zone::parse("Asia/Shanghai").unwrap()
}

const EVER: Span = Span { from: Timestamp::from_millis(0), until: Timestamp::from_millis(i64::MAX) };

async fn members(settings: &config::Storage) -> Vec<(Option<String>, u64)> {
    let lines = Books::of(settings).unwrap().by(Dimension::Member, Grain::Day, EVER).await.unwrap();
    lines.into_iter().map(|line| (line.name, line.totals.calls)).collect()
}

/// Ends the ledger and waits until its thread has closed the file, which takes the log away.
fn close(ledger: Ledger, dir: &TempDir) {
    drop(ledger);
    while dir.path().join("usage.db-wal").exists() {
        std::thread::yield_now();
    }
}

fn broken(dir: &TempDir) -> Vec<String> {
    let names = dir.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with("usage-broken-") && name.ends_with(".db")).collect()
}

#[tokio::test]
async fn a_file_that_is_gone_or_broken_is_begun_anew_while_calls_come() {
    let (ledger, settings, clock, dir) = fresh();
    ledger.record(call("li", T0));
    ledger.flush().await.unwrap();
    assert_eq!(members(&settings).await, [(Some("ww1/li".to_owned()), 1)]);

    std::fs::remove_file(dir.path().join(USAGE)).unwrap();
    ledger.record(call("wang", T0));
    ledger.flush().await.unwrap();
    assert_eq!(members(&settings).await, [(Some("ww1/wang".to_owned()), 1)]);
    assert_eq!(broken(&dir).len(), 0);

    // Not while it is open: what a disk does to it is seen at the next start.
    close(ledger, &dir);
    for (number, what) in [vec![0_u8; 5000], b"no database at all".repeat(100)].into_iter().enumerate() {
        clock.advance(Duration::from_secs(5));
        std::fs::write(dir.path().join(USAGE), what).unwrap();
        let ledger = Ledger::start(&settings, shanghai(), Clock::Manual(clock.clone())).unwrap();
        ledger.record(call("zhao", T0));
        ledger.flush().await.unwrap();
        assert_eq!(members(&settings).await, [(Some("ww1/zhao".to_owned()), 1)]);
        assert_eq!(broken(&dir).len(), number + 1);
        close(ledger, &dir);
    }
}

#[tokio::test]
async fn a_file_that_was_cut_short_or_is_of_another_version_is_moved_aside() {
    let (ledger, settings, clock, dir) = fresh();
    for number in 0..3000 {
        ledger.record(call(&format!("m{number}"), T0));
    }
    ledger.flush().await.unwrap();
    close(ledger, &dir);
    let path = dir.path().join(USAGE);
    let start = || Ledger::start(&settings, shanghai(), Clock::Manual(clock.clone())).unwrap();
    let whole = std::fs::metadata(&path).unwrap().len();
    std::fs::File::options().write(true).open(&path).unwrap().set_len(whole / 3 / 4096 * 4096).unwrap();
    let ledger = start();
    ledger.record(call("li", T0));
    ledger.flush().await.unwrap();
    assert_eq!((members(&settings).await.len(), broken(&dir).len()), (1, 1));
    close(ledger, &dir);

    clock.advance(Duration::from_secs(5));
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let ledger = start();
    ledger.record(call("li", T0));
    ledger.flush().await.unwrap();
    assert_eq!(broken(&dir).len(), 2);
}

#[tokio::test]
async fn an_erased_member_is_nobody_also_in_calls_that_were_under_way() {
    let (ledger, settings, _clock, dir) = fresh();
    for member in ["Li", "li", "wang"] {
        ledger.record(call(member, T0));
    }
    ledger.flush().await.unwrap();
    let li = MemberId::parse("LI").unwrap();
    assert_eq!(export(&settings, &li).unwrap()["calls"].as_array().unwrap().len(), 2);
    let rows = erase(&settings, &li, T0).unwrap();
    assert_eq!(rows, 2 + 2, "two calls, and their sums of an hour and of a day");
    // It began before, and ends now; the other begins after.
    ledger.record(call("li", T0 + Duration::from_millis(500)));
    ledger.record(call("zhao", T0));
    ledger.flush().await.unwrap();
    let after = members(&settings).await;
    let calls: u64 = after.iter().map(|(_, calls)| calls).sum();
    assert_eq!(calls, 5, "{after:?}");
    assert!(after.iter().all(|(name, _)| !name.as_deref().unwrap().eq_ignore_ascii_case("ww1/li")), "{after:?}");
    assert_eq!(export(&settings, &li).unwrap(), serde_json::json!({ "calls": [], "days": [] }));
    close(ledger, &dir);
    for entry in dir.path().read_dir().unwrap().map(|entry| entry.unwrap()) {
        let name = entry.file_name().into_string().unwrap();
        let bytes = std::fs::read(entry.path()).unwrap();
        let is_there = name.starts_with("usage") && bytes.windows(6).any(|window| window == b"ww1/li");
        assert!(!is_there, "{name}");
    }
    let (ledger, settings, _clock, _dir) = fresh();
    assert_eq!(erase(&settings, &li, T0).unwrap(), 0, "where there is no file, there is nothing");
    ledger.record(call("li", T0 + Duration::from_secs(5)));
    ledger.flush().await.unwrap();
    assert_eq!(members(&settings).await, [(Some("ww1/li".to_owned()), 1)]);
}

#[tokio::test]
async fn what_does_not_fit_is_lost_and_counted_and_nobody_waits() {
    let (ledger, settings, _clock, _dir) = fresh();
    // The writer is held up, as by a disk that hangs.
    let (go_on, wait) = mpsc::channel::<()>();
    let held = ledger.clone();
    let task = tokio::spawn(async move { held.ask(move |_| Ok(wait.recv().is_ok())).await });
    while !task.is_finished() && ledger.0.tally.lost.load(Ordering::Relaxed) < 10 {
        ledger.record(call("li", T0));
        tokio::task::yield_now().await;
    }
    go_on.send(()).unwrap();
    task.await.unwrap().unwrap();
    ledger.flush().await.unwrap();
    let written = members(&settings).await[0].1;
    assert!((QUEUE as u64..=2 * QUEUE as u64).contains(&written), "{written}");
    assert_eq!(ledger.0.tally.lost.load(Ordering::Relaxed), 0, "it was logged");
}

#[tokio::test]
async fn sums_that_somebody_changed_are_made_again_and_those_without_calls_stay() {
    let (ledger, settings, _clock, dir) = fresh();
    for day in 0..4 {
        for member in ["li", "wang"] {
            ledger.record(call(member, T0 + day * DAY));
        }
    }
    ledger.flush().await.unwrap();
    let conn = Connection::open(dir.path().join(USAGE)).unwrap();
    // One of the two calls of the second day is pruned; what is left of it says less than its sum.
    let pruned = (T0 + DAY).as_millis();
    conn.execute("DELETE FROM call WHERE at < ?1 OR id = (SELECT MIN(id) FROM call WHERE at = ?1)", [pruned]).unwrap();
    let days = || there(&conn, Grain::Day, Timestamp::from_millis(0));
    let before = days();
    conn.execute("UPDATE total SET calls = 99, money = 0 WHERE period > ?1 AND dimension > 1", [pruned]).unwrap();
    conn.execute("DELETE FROM total WHERE period > ?1 AND dimension = 1", [pruned]).unwrap();
    assert_ne!(days(), before);
    assert_eq!(rebuild(&settings, &crate::model::audit::Actor::Daemon, &shanghai(), T0, T0).unwrap(), 4);
    assert_eq!(days(), before);
}

/// What can happen.
#[derive(Clone, Debug)]
enum Event {
    /// So many calls end, of this member, model and department, with this outcome, after so many minutes.
    Calls(u8, u8, Option<u64>, u8, u16, u8),
    /// What has come is written.
    Write,
    /// The sums are made again.
    Rebuild,
    /// One step of pruning, and whether it goes on to the end.
    Prune(bool),
    Erase(u8),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => (0..4_u8, 0..3_u8, proptest::option::of(1..3_u64), 0..5_u8, 0..900_u16, 1..5_u8)
            .prop_map(|(member, model, department, ended, minutes, count)| {
                Event::Calls(member, model, department, ended, minutes, count)
            }),
        3 => Just(Event::Write),
        2 => any::<bool>().prop_map(Event::Prune),
        1 => (0..4_u8).prop_map(Event::Erase),
        1 => Just(Event::Rebuild),
    ]
}

/// Sums by dimension, when it begins, and the name's number, as they should be.
fn expected(conn: &Connection, grain: Grain, zone: &Zone) -> BTreeMap<(i64, i64, i64), [u64; totals::COLUMNS]> {
    let mut sums: BTreeMap<_, [u64; totals::COLUMNS]> = BTreeMap::new();
    let mut statement = conn
        .prepare(
            "SELECT at, member, department, app, model, upstream, api_key, 1, result = 1, result = 2, result = 3,
                    result = 4, estimated, input, cached, output, money, first_ms IS NOT NULL, IFNULL(first_ms, 0), total_ms
             FROM call",
        )
        .unwrap();
    let mut rows = statement.query([]).unwrap();
    while let Some(row) = rows.next().unwrap() {
        let at = Timestamp::from_millis(row.get(0).unwrap());
        let stretch = if grain == Grain::Day { zone.day(at) } else { zone.hour(at) };
        let period = stretch.unwrap().0.as_millis();
        for dimension in 0..=6_i64 {
            let column = usize::try_from(dimension).unwrap();
            let name = if dimension == 0 { 0 } else { row.get::<_, Option<i64>>(column).unwrap().unwrap_or(0) };
            let sum = sums.entry((dimension, period, name)).or_default();
            for (index, value) in sum.iter_mut().enumerate() {
                *value += row.get::<_, i64>(7 + index).unwrap().unsigned_abs();
            }
        }
    }
    sums
}

fn there(conn: &Connection, grain: Grain, from: Timestamp) -> BTreeMap<(i64, i64, i64), [u64; totals::COLUMNS]> {
    let sql = format!(
        "SELECT dimension, period, name, {} FROM total WHERE grain = ?1 AND period >= ?2",
        totals::NAMES.join(", ")
    );
    let mut statement = conn.prepare(&sql).unwrap();
    let rows = statement.query_map([grain as i64, from.as_millis()], |row| {
        let mut sum = [0; totals::COLUMNS];
        for (index, value) in sum.iter_mut().enumerate() {
            *value = row.get::<_, i64>(3 + index)?.unsigned_abs();
        }
        Ok(((row.get(0)?, row.get(1)?, row.get(2)?), sum))
    });
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Calls, in any batches, with pruning and erasing in between: of every hour that is kept whole, and of every day
    /// of which no call was pruned, each sum is that of its calls; and a day's sum outlives its calls unchanged.
    #[test]
    fn sums_are_those_of_the_calls(
        events in proptest::collection::vec(event(), 1..60),
        zone in prop_oneof![Just("Asia/Shanghai"), Just("Asia/Kolkata"), Just("America/New_York")],
    ) {
        let dir = tempfile::tempdir().unwrap();
        let settings = settings(&dir);
        // Whose audit log says that sums were made again.
        drop(Store::open(&settings, T0).unwrap());
        let zone = Zone::parse(zone).unwrap();
        let conn = file::open(dir.path(), T0).unwrap();
        let mut calendar = Calendar::new(zone.clone());
        let keep = Keep { calls: DAY, totals: 3 * DAY };
        // Two days before the clocks go back in New York.
        let mut now = Timestamp::from_secs(1_793_370_000);
        let (mut waiting, mut all_days): (Vec<Call>, _) = (Vec::new(), BTreeMap::new());
        for event in events {
            match event {
                Event::Calls(member, model, department, ended, minutes, count) => {
                    now = now + Duration::from_secs(u64::from(minutes) * 60);
                    let ended = match ended {
                        0 => Ended::Ok,
                        1 => Ended::Stopped,
                        2 => Ended::Refused("quota"),
                        3 => Ended::Failed("upstream"),
                        _ => Ended::Cut("gap_timeout"),
                    };
                    for number in 0..count {
                        let estimated = number % 2 == 1;
                        waiting.push(Call {
                            department,
                            model: format!("m{model}").into(),
                            upstream: (ended != Ended::Refused("quota")).then(|| "u".into()),
                            ended,
                            first_ms: (number > 0).then_some(50),
                            money: u64::from(number),
                            usage: Usage { estimated, ..call("x", now).usage },
                            ..call(&format!("p{member}"), now)
                        });
                    }
                }
                Event::Write => {
                    write::write(&conn, &waiting, &mut calendar).unwrap();
                    for call in waiting.drain(..) {
                        let day = zone.day(call.at).unwrap().0;
                        let sum: &mut Totals = all_days.entry(day).or_default();
                        *sum = sum.plus(Totals::of(&call));
                    }
                }
                Event::Prune(to_the_end) => {
                    for step in prune::steps(keep, now) {
                        while prune::step(&conn, step).unwrap().0 && to_the_end {}
                    }
                }
                Event::Rebuild => {
                    rebuild(&settings, &crate::model::audit::Actor::Daemon, &zone, now - keep.calls, now).unwrap();
                }
                Event::Erase(member) => {
                    let member = MemberId::parse(&format!("p{member}")).unwrap();
                    erase(&settings, &member, now).unwrap();
                }
            }
        }
        let whole = |grain: Grain| {
            let before = now - keep.calls;
            let stretch = if grain == Grain::Day { zone.day(before) } else { zone.hour(before) };
            stretch.unwrap().1
        };
        for grain in Grain::ALL {
            let from = whole(grain);
            let of_calls: BTreeMap<_, _> = expected(&conn, grain, &zone)
                .into_iter().filter(|((_, period, _), _)| *period >= from.as_millis()).collect();
            prop_assert_eq!(there(&conn, grain, from), of_calls, "{:?}", grain);
        }
        let kept_from = now - keep.totals;
        for (day, sum) in all_days.range(kept_from..) {
            let stored: Vec<_> = there(&conn, Grain::Day, *day).into_iter()
                .filter(|((dimension, period, _), _)| (*dimension, *period) == (0, day.as_millis())).collect();
            prop_assert_eq!(stored.len(), 1);
            prop_assert_eq!(Totals::from_columns(stored[0].1), *sum);
        }
    }
}

/// Each of a busy company's calls would pay for another plan.
#[test]
fn a_statement_is_planned_once_whatever_is_asked_of_it() {
    let (_, _, _, dir) = fresh();
    let conn = file::open(dir.path(), T0).unwrap();
    for after in 0..10 {
        assert_eq!(renamed::now_called(&conn, "ww1/a".to_owned(), after).unwrap(), "ww1/a");
    }
    let asked = conn.prepare_cached(renamed::NEXT).unwrap();
    assert_eq!(asked.get_status(StatementStatus::Run), 10, "it is the same statement");
    assert_eq!(asked.get_status(StatementStatus::RePrepare), 0);
}
