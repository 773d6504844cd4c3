//! Alerts that are shown what would take a full disk or a broken database to see; a daemon brings them to the phone.

use std::time::Duration;

use qimate::{
    alert::{
        alerts::{Alerts, Audience},
        condition::Condition,
        observation::{Answer, Block, Certificate, Database, DeadLetters, End, Observation, SafetyHits, Size, Wecom},
        webhook::webhook,
    },
    clock::{Clock, Timestamp},
    config::{self, chat::Language},
    model::id::MemberId,
    net,
    store::{Store, alerts::Operators},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    harness::{App, Logs, configuration},
    hook::Hook,
};

const MINUTE: Duration = Duration::from_secs(60);
const MIB: u64 = 1024 * 1024;

/// Alerts with a webhook, beside a daemon that sends what they have to say.
struct Desk {
    app: App,
    hook: Hook,
    alerts: Alerts,
    posting: JoinHandle<()>,
    settings: config::Alerts,
    language: Language,
}

impl Desk {
    async fn open(max_per_hour: u32, language: Language) -> Self {
        let (app, hook) = (App::start().await, Hook::start().await);
        let mut settings = configuration(&app.wecom, &app.model, app.dir.path(), &[]).alerts;
        settings.operators = vec![MemberId::parse("boss").unwrap()];
        settings.webhook_url = Some(hook.url());
        settings.webhook_secret = Some(hook.secret());
        settings.max_per_hour = max_per_hour;
        let (alerts, posting) = alerts(&app, &settings, language).await;
        Self { app, hook, alerts, posting, settings, language }
    }

    /// Forgets everything but what is in the store.
    async fn restart(&mut self) {
        self.posting.abort();
        (self.alerts, self.posting) = alerts(&self.app, &self.settings, self.language).await;
    }

    fn now(&self) -> Timestamp {
        Clock::Manual(self.app.clock.clone()).now()
    }

    /// A day like any other, until now.
    fn quiet(&self) -> Observation {
        let now = self.now();
        let before = now - Duration::from_secs(86_400);
        Observation {
            app: None,
            others: Vec::new(),
            now,
            started_at: before,
            crashed: false,
            wecom: Wecom::Works { since: before },
            answers: vec![Answer { at: now - 10 * MINUTE, end: End::Answered }],
            set_aside: Vec::new(),
            inbox_waiting_since: None,
            outbox_waiting_since: None,
            disk_free: Some(100_000 * MIB),
            size: None,
            database: Database::Writable { since: before },
            dead_letters: None,
            certificate: None,
            safety: None,
        }
    }

    /// What is seen when `condition` is wrong for long.
    fn wrong(&self, condition: Condition) -> Observation {
        let quiet = self.quiet();
        let (now, long_ago) = (quiet.now, quiet.now - 20 * MINUTE);
        let blocked = |reason| Wecom::Blocked { since: long_ago, reason };
        let failed = |end: End, times: i64| {
            (0..times)
                .map(move |n| Answer { at: now - Duration::from_secs(60) + Duration::from_secs(n.unsigned_abs()), end })
        };
        match condition {
            Condition::WecomRefused => Observation {
                wecom: blocked(Block::Refused { errcode: 40001, remedy: Some("copy it again") }),
                ..quiet
            },
            Condition::WecomAddress => {
                Observation { wecom: blocked(Block::Address(Some("203.0.113.7".to_owned()))), ..quiet }
            }
            Condition::WecomUnreachable => Observation { wecom: blocked(Block::Unreachable), ..quiet },
            Condition::WecomSlowDown => Observation { wecom: blocked(Block::SlowDown), ..quiet },
            Condition::ModelKey => Observation { answers: failed(End::KeyRefused, 1).collect(), ..quiet },
            Condition::ModelCredit => Observation { answers: failed(End::NoCredit, 1).collect(), ..quiet },
            Condition::ModelSettings => Observation { answers: failed(End::Misconfigured, 1).collect(), ..quiet },
            Condition::ModelFailing => Observation { answers: failed(End::ModelFailed, 3).collect(), ..quiet },
            Condition::AnswersFailing => Observation { answers: failed(End::OtherwiseFailed, 10).collect(), ..quiet },
            Condition::InboxWaiting => Observation { inbox_waiting_since: Some(long_ago), ..quiet },
            Condition::OutboxWaiting => Observation { outbox_waiting_since: Some(long_ago), ..quiet },
            Condition::DiskSpace => Observation { disk_free: Some(100 * MIB), ..quiet },
            Condition::DatabaseSize => Observation { size: Some(Size { used: 95 * MIB, limit: 100 * MIB }), ..quiet },
            Condition::DatabaseUnwritable => {
                Observation { database: Database::Failing { since: long_ago, error: "disk full".to_owned() }, ..quiet }
            }
            Condition::DeadLetters => {
                Observation { dead_letters: Some(DeadLetters { count: 2, newest_at: now }), ..quiet }
            }
            Condition::CertificateEnding => {
                let (begins_at, ends_at) = (now - 80 * 24 * 60 * MINUTE, now + 10 * 24 * 60 * MINUTE);
                let certificate = Certificate { begins_at, ends_at, renews_itself: false };
                Observation { certificate: Some(certificate), ..quiet }
            }
            Condition::SafetyRules => Observation { safety: Some(SafetyHits { count: 3, newest_at: now }), ..quiet },
            Condition::Crashed => Observation { crashed: true, started_at: now, ..quiet },
        }
    }

    /// Shows them what is seen, and lets the daemon send what came of it.
    async fn show(&mut self, seen: &Observation) {
        self.alerts.look(seen).await;
        // The daemon looks for what others wrote every second; it may be at it, and too early, as the time moves.
        for _ in 0..3 {
            self.app.clock.advance(Duration::from_secs(2));
            if tokio::time::timeout(Duration::from_secs(5), self.app.settled()).await.is_ok() {
                return;
            }
        }
        self.app.settled().await;
    }

    /// What the operator has got.
    fn texts(&self) -> Vec<String> {
        self.app.wecom.messages_for("boss").into_iter().map(|message| message.content).collect()
    }
}

async fn alerts(app: &App, settings: &config::Alerts, language: Language) -> (Alerts, JoinHandle<()>) {
    let config = configuration(&app.wecom, &app.model, app.dir.path(), &[]);
    let clock = Clock::Manual(app.clock.clone());
    let store = Store::open_beside(&config.storage).unwrap();
    let (hook, webhook) =
        webhook(net::http_client(None, MINUTE).unwrap(), settings, "here".to_owned(), clock.clone()).unwrap();
    let members = settings.operators.clone();
    let operators =
        Operators { corp: config.apps.first.wecom.corp_id, agent: config.apps.first.wecom.agent_id, members };
    let audience = Audience { operators, hook: Some(hook), language };
    let alerts = Alerts::open(store, settings.clone(), audience, clock.now()).await.unwrap();
    (alerts, tokio::spawn(webhook.run(CancellationToken::new())))
}

#[tokio::test]
async fn each_condition_is_raised_once_and_ends_once_over_a_restart() {
    for language in [Language::Chinese, Language::English] {
        let logs = Logs::capture();
        let mut desk = Desk::open(1000, language).await;
        let (mut posts, mut texts) = (0, 0);
        for condition in Condition::ALL {
            let wrong = desk.wrong(condition);
            desk.show(&wrong).await;
            desk.show(&wrong).await;
            posts += 1;
            let post = desk.hook.posts(posts).await.pop().unwrap();
            assert_eq!((&post["condition"], &post["state"]), (&condition.name().into(), &"raised".into()));
            let (detail, remedy) = (post["detail"].as_str().unwrap(), post["remedy"].as_str().unwrap());
            assert!(!detail.is_empty() && !remedy.is_empty() && post["instance"] == "here", "{post}");
            // Neither about WeCom nor where the outbox cannot be written.
            let now = usize::from(!condition.is_told_afterwards());
            texts += now;
            assert_eq!(desk.texts().len(), texts, "{condition:?}: {:?}", desk.texts().last());
            if now == 1 {
                let text = desk.texts().pop().unwrap();
                assert!(text.contains(detail.trim_end_matches(['.', '。'])) && text.contains(remedy), "{text}");
                assert!((2..=3).contains(&text.lines().count()), "{text}");
            }
            assert_eq!(logs.with(&["ERROR", "alert: ", condition.name()]).len(), 1, "{condition:?}");

            if condition != Condition::DatabaseUnwritable {
                desk.restart().await;
            }
            desk.show(&wrong).await;
            assert_eq!((desk.hook.seen().len(), desk.texts().len()), (posts, texts), "{condition:?} came again");

            desk.app.clock.advance(10 * MINUTE);
            let quiet = desk.quiet();
            desk.show(&quiet).await;
            desk.show(&quiet).await;
            (posts, texts) = (posts + 1, texts + 1);
            let post = desk.hook.posts(posts).await.pop().unwrap();
            assert_eq!((&post["condition"], &post["state"]), (&condition.name().into(), &"resolved".into()));
            assert_eq!(desk.texts().len(), texts, "{condition:?}: {:?}", desk.texts().last());
            let (text, begins) =
                (desk.texts().pop().unwrap(), if language == Language::Chinese { "【恢复】" } else { "[Resolved] " });
            assert!(text.starts_with(begins) && text.contains(detail), "{text}");
            assert_eq!(logs.with(&["INFO", "alert is over: ", condition.name()]).len(), 1, "{condition:?}");
        }
        desk.restart().await;
        let quiet = desk.quiet();
        desk.show(&quiet).await;
        assert_eq!((desk.hook.seen().len(), desk.texts().len()), (posts, texts), "nothing is left to say");
    }
}

#[tokio::test]
async fn beyond_the_number_of_an_hour_alerts_are_only_logged_and_summed_up() {
    let logs = Logs::capture();
    let mut desk = Desk::open(2, Language::English).await;
    for condition in [Condition::DiskSpace, Condition::ModelKey, Condition::Crashed, Condition::DeadLetters] {
        let wrong = desk.wrong(condition);
        desk.show(&wrong).await;
        desk.app.clock.advance(10 * MINUTE);
        let quiet = desk.quiet();
        desk.show(&quiet).await;
    }
    // Two of them were told, with their ends.
    desk.hook.posts(4).await;
    assert_eq!((desk.hook.seen().len(), desk.texts().len()), (4, 4));
    assert_eq!(logs.with(&["ERROR", "alert: ", "withheld=true"]).len(), 2);

    // The hour slides, also for another process.
    desk.app.clock.advance(25 * MINUTE);
    desk.restart().await;
    let wrong = desk.wrong(Condition::DatabaseSize);
    desk.show(&wrong).await;
    let text = desk.texts().pop().unwrap();
    assert!(text.starts_with("[Alert] The database has 95") && text.contains("… and 2 more"), "{text}");
    desk.hook.posts(5).await;
    // And they are not summed up again.
    desk.app.clock.advance(61 * MINUTE);
    desk.restart().await;
    let wrong = Observation { disk_free: Some(0), ..desk.wrong(Condition::DatabaseSize) };
    desk.show(&wrong).await;
    assert_eq!(desk.texts().len(), 6);
    assert!(!desk.texts()[5].contains("more"), "{:?}", desk.texts());
}

/// A virtual machine that wakes with its clock a day ahead is set right by a day.
#[tokio::test]
async fn a_clock_that_is_set_back_does_not_silence_alerts() {
    let logs = Logs::capture();
    let mut desk = Desk::open(1, Language::English).await;
    let wrong = desk.wrong(Condition::DiskSpace);
    desk.show(&wrong).await;
    desk.hook.posts(1).await;
    desk.app.clock.set_back(Duration::from_secs(86_400));
    desk.app.clock.advance(61 * MINUTE);
    let wrong = Observation { disk_free: Some(0), ..desk.wrong(Condition::DatabaseSize) };
    desk.show(&wrong).await;
    assert_eq!(logs.with(&["ERROR", "alert: ", "database_size", "withheld=false"]).len(), 1);
    // Nor what the store has of it, for the next process.
    desk.restart().await;
    let wrong = Observation { disk_free: Some(0), size: wrong.size, ..desk.wrong(Condition::ModelKey) };
    desk.app.clock.advance(61 * MINUTE);
    desk.show(&Observation { now: desk.now(), ..wrong }).await;
    assert_eq!(logs.with(&["ERROR", "alert: ", "model_key", "withheld=false"]).len(), 1);
}

#[tokio::test]
async fn what_happens_while_wecom_fails_is_told_when_it_works() {
    let mut desk = Desk::open(12, Language::Chinese).await;
    let blocked = desk.wrong(Condition::WecomUnreachable).wecom;
    let full = Observation { wecom: blocked.clone(), ..desk.wrong(Condition::DiskSpace) };
    desk.show(&full).await;
    desk.hook.posts(2).await;
    let still = Observation { wecom: blocked, ..desk.wrong(Condition::DatabaseSize) };
    desk.show(&still).await;
    desk.hook.posts(4).await;
    assert!(desk.texts().is_empty(), "{:?}", desk.texts());

    // The way is open, but not for long: no word yet.
    let now = desk.now();
    let open = Observation { wecom: Wecom::Works { since: now }, ..desk.wrong(Condition::DatabaseSize) };
    desk.show(&open).await;
    assert!(desk.texts().is_empty(), "{:?}", desk.texts());
    let calm = desk.wrong(Condition::DatabaseSize);
    desk.show(&calm).await;
    let texts = desk.texts();
    assert_eq!(texts.len(), 3, "{texts:?}");
    assert!(texts[0].starts_with("【恢复】企业微信") && texts[1].starts_with("【恢复】磁盘"), "{texts:?}");
    assert!(texts[2].starts_with("【告警】数据库已用"), "{texts:?}");
}

#[tokio::test]
async fn an_address_that_changes_is_named_each_time_and_none_twice() {
    let mut desk = Desk::open(12, Language::Chinese).await;
    let last = |posts: &[serde_json::Value]| posts.last().unwrap()["remedy"].as_str().unwrap().to_owned();
    for (address, posts, named) in [
        ("203.0.113.7", 1, "203.0.113.7"),
        ("203.0.113.8", 2, "203.0.113.8"),
        ("203.0.113.7", 2, "203.0.113.8"),
        ("203.0.113.9", 3, "203.0.113.9"),
        ("after a restart", 3, "203.0.113.9"),
        ("203.0.113.9", 3, "203.0.113.9"),
    ] {
        if address == "after a restart" {
            desk.restart().await;
            continue;
        }
        let wecom = Wecom::Blocked { since: desk.now(), reason: Block::Address(Some(address.to_owned())) };
        let seen = Observation { wecom, ..desk.quiet() };
        desk.show(&seen).await;
        let all = desk.hook.posts(posts).await;
        assert!(all.len() == posts && last(&all).contains(named), "{all:?}");
    }
}

/// Whoever was told of the second address only, as the first was beyond the number of an hour.
#[tokio::test]
async fn what_was_told_after_all_is_also_told_to_be_over() {
    let mut desk = Desk::open(1, Language::English).await;
    let address = |desk: &Desk, address: &str| {
        let wecom = Wecom::Blocked { since: desk.now(), reason: Block::Address(Some(address.to_owned())) };
        Observation { wecom, ..desk.wrong(Condition::DiskSpace) }
    };
    let disk = desk.wrong(Condition::DiskSpace);
    desk.show(&disk).await;
    let first = address(&desk, "203.0.113.7");
    desk.show(&first).await;
    desk.hook.posts(1).await;
    desk.app.clock.advance(61 * MINUTE);
    let second = address(&desk, "203.0.113.8");
    desk.show(&second).await;
    desk.hook.posts(2).await;
    // Also by the next process.
    desk.restart().await;
    let quiet = Observation { disk_free: Some(100 * MIB), ..desk.quiet() };
    desk.show(&quiet).await;
    let posts = desk.hook.posts(3).await;
    let over: Vec<_> = posts.iter().filter(|post| post["state"] == "resolved").map(|post| &post["condition"]).collect();
    assert!(over.contains(&&"wecom_address".into()), "{posts:?}");
    assert!(desk.texts().iter().any(|text| text.contains("203.0.113.8")), "{:?}", desk.texts());
}
