//! After the company's time zone is another, the sums are made again by its days and hours.

use std::{collections::BTreeMap, time::Duration};

use qimate::{
    clock::{Timestamp, zone::Zone},
    sandbox::model::ModelReply,
    store::ledger::{Books, Span, rebuild, totals::Grain},
};
use rusqlite::Connection;

use super::until_calls;
use crate::harness::{App, ask};

/// What the sums of everybody say, and what the calls say by the calendar of `zone`.
async fn sums(app: &App, zone: &Zone, grain: Grain) -> [BTreeMap<i64, u64>; 2] {
    let all = Span { from: Timestamp::default(), until: Timestamp::from_secs(4_000_000_000) };
    let said = Books::of(&app.config.storage).unwrap().over_time(grain, all).await.unwrap();
    let said = said.into_iter().map(|(at, totals)| (at.as_secs(), totals.calls)).collect();
    let conn = Connection::open(app.dir.path().join("usage.db")).unwrap();
    let mut calls = conn.prepare("SELECT at FROM call").unwrap();
    let mut counted = BTreeMap::new();
    for at in calls.query_map([], |row| row.get::<_, i64>(0)).unwrap() {
        let at = Timestamp::from_millis(at.unwrap());
        let stretch = if grain == Grain::Day { zone.day(at) } else { zone.hour(at) };
        *counted.entry(stretch.unwrap().0.as_secs()).or_default() += 1;
    }
    [said, counted]
}

#[tokio::test]
async fn sums_follow_a_new_time_zone_and_lose_and_double_nothing() {
    let mut app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    for _ in 0..14 {
        ask(&app, "li", "喂").await;
        app.clock.advance(Duration::from_secs(5 * 3600 + 17 * 60));
    }
    app.stop().await;
    until_calls(app.dir.path(), 14).await;
    let kept_from = Timestamp::from_secs(1_790_000_000);
    for name in ["America/New_York", "Asia/Kolkata", "UTC", "Asia/Shanghai"] {
        let zone = Zone::parse(name).unwrap();
        let [said, counted] = sums(&app, &zone, Grain::Day).await;
        assert_ne!(said, counted, "{name}: earlier days stay as they were");
        assert_eq!(
            rebuild(&app.config.storage, &qimate::model::audit::Actor::Daemon, &zone, kept_from, kept_from).unwrap(),
            14
        );
        for grain in [Grain::Hour, Grain::Day] {
            let [said, counted] = sums(&app, &zone, grain).await;
            assert_eq!(said, counted, "{name} {grain:?}");
        }
    }
}

#[tokio::test]
async fn what_is_left_of_a_day_whose_calls_are_pruned_is_counted_once() {
    let mut app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    for _ in 0..10 {
        ask(&app, "li", "喂").await;
        app.clock.advance(Duration::from_secs(7 * 3600));
    }
    app.stop().await;
    until_calls(app.dir.path(), 10).await;
    // It is 22:13 on Monday in Shanghai when it begins; of the three calls of Tuesday two are gone, and so is Monday's.
    let conn = Connection::open(app.dir.path().join("usage.db")).unwrap();
    assert_eq!(conn.execute("DELETE FROM call WHERE id IN (SELECT id FROM call ORDER BY at LIMIT 3)", []).unwrap(), 3);
    let total = async |app: &App, zone: &Zone| sums(app, zone, Grain::Day).await[0].values().sum::<u64>();
    for name in ["America/New_York", "Asia/Shanghai", "Asia/Kolkata", "Asia/Kolkata"] {
        let zone = Zone::parse(name).unwrap();
        rebuild(
            &app.config.storage,
            &qimate::model::audit::Actor::Daemon,
            &zone,
            Timestamp::default(),
            Timestamp::default(),
        )
        .unwrap();
        assert_eq!(total(&app, &zone).await, 10, "{name}");
    }
    let zone = Zone::parse("Asia/Kolkata").unwrap();
    let [said, counted] = sums(&app, &zone, Grain::Day).await;
    // From the first day on of which nothing is pruned, they are those of the new zone.
    let (last, count) = counted.iter().next_back().unwrap();
    assert_eq!(said.get(last), Some(count), "{said:?} {counted:?}");
}
