//! What WeCom's API, or what stands before it, can do wrong.

use std::time::Duration;

use qimate::{
    sandbox::{
        model::{Gate, ModelReply},
        trouble::{Breakage, Trouble},
    },
    secret::Secret,
    store::Store,
};

use super::{
    Job,
    scene::{Scene, answer_to, question},
    table::Row,
};
use crate::harness::within;

/// One errcode of each class of `wecom/errcode.rs` that the application can be given for a message, and those that are
/// not like the others of their class.
const TRANSIENT: [(i64, &str); 4] = [
    (-1, "sent again after a second or two"),
    (6000, "sent again after a second or two"),
    (45033, "sent again after a second or two"),
    (99999, "not known to this version: sent again, six times at most"),
];
const EVERYBODY_WAITS: [(i64, &str); 3] = [
    (45009, "everybody waits for a minute"),
    (48002, "everybody waits; the log says what to mend, once"),
    (50003, "everybody waits; the log says what to mend, once"),
];
const DEAD: [(i64, &str); 6] = [
    (60111, "recipient"),
    (81013, "recipient"),
    (44004, "content"),
    (85002, "content"),
    (40007, "file"),
    (42012, "interface"),
];

pub fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (errcode, recovered) in TRANSIENT {
        jobs.push(Job::new(format!("WeCom: errcode {errcode} once"), move |fault| async move {
            Box::pin(troubled(fault, move |trouble| trouble.fail_next_sends(1, errcode), recovered)).await
        }));
    }
    for (errcode, recovered) in EVERYBODY_WAITS {
        jobs.push(Job::new(format!("WeCom: errcode {errcode}, ten members write"), move |fault| async move {
            let to = move |trouble: &mut Trouble, on: bool| trouble.fail_sends(on.then_some(errcode));
            Box::pin(everybody_waits(fault, to, recovered)).await
        }));
    }
    jobs.push(Job::new("WeCom: errcode 60020 (address not trusted), ten members write", |fault| {
        everybody_waits(fault, Trouble::refuse_ip, "everybody waits; the log names the address, once")
    }));
    jobs.push(Job::new("WeCom: the secret is wrong (errcode 40001)", wrong_secret));
    for (errcode, class) in DEAD {
        let fault = format!("WeCom: errcode {errcode} (refuses the {class})");
        jobs.push(Job::new(fault, move |fault| dead_letter(fault, errcode)));
    }
    jobs.push(Job::new("WeCom: errcode 42001, access token expired in the middle of 500 sends", |fault| {
        token(fault, Trouble::expire_access_token)
    }));
    jobs.push(Job::new("WeCom: errcode 40014, access token gone in the middle of 500 sends", |fault| {
        token(fault, Trouble::forget_access_token)
    }));
    let before = [
        ("hangs before the message is taken", Breakage::Hang),
        ("connection reset before the message is taken", Breakage::Cut),
        ("an HTML page with status 200 instead of the answer", Breakage::Page(200)),
        ("HTTP 500", Breakage::Page(500)),
        ("HTTP 502 with an HTML page", Breakage::Page(502)),
        ("HTTP 503", Breakage::Page(503)),
    ];
    for (name, breakage) in before {
        jobs.push(Job::new(format!("WeCom: {name}"), move |fault| broken_for_a_while(fault, breakage)));
    }
    let after = [
        ("hangs after the message was taken", Breakage::Hang),
        ("connection reset after the message was taken", Breakage::Cut),
        ("HTTP 502 after the message was taken", Breakage::Page(502)),
    ];
    for (name, breakage) in after {
        jobs.push(Job::new(format!("WeCom: {name}"), move |fault| taken_and_not_said(fault, breakage)));
    }
    jobs
}

/// The next send meets trouble that passes.
async fn troubled(fault: String, trouble: impl FnOnce(&mut Trouble), recovered: &str) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(trouble);
    scene.ask("ann").await;
    scene.pass_until_settled().await;
    assert_eq!(scene.app.wecom.counters().sends, 2);
    scene.ends(fault, recovered).await
}

/// Nothing of the application gets through for a while, and nobody hammers at the door.
async fn everybody_waits(fault: String, to: impl Fn(&mut Trouble, bool), recovered: &str) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| to(trouble, true));
    for n in 0..10 {
        scene.ask(&format!("ann{n}")).await;
    }
    scene.wait_until(|| scene.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") == 0).await;
    scene.until_logged(&["ERROR", "chat::delivery"]).await;
    // All ten may have been on their way when the first was refused; from then on one knocks at a time, and no pause is
    // longer than an hour.
    for _ in 0..3 {
        // Time may pass when nobody waits for an answer of WeCom's.
        scene.nothing_under_way().await;
        let before = scene.app.wecom.counters().sends;
        assert!(before <= 10 + 2);
        scene.app.clock.advance(Duration::from_secs(3600));
        scene.pass_until(|| scene.app.wecom.counters().sends > before).await;
        assert_eq!(scene.app.wecom.counters().sends, before + 1, "one knocks");
    }
    scene.nothing_under_way().await;
    assert_eq!(scene.logged(&["ERROR", "chat::delivery"]), 1, "said once");
    scene.app.wecom.trouble(|trouble| to(trouble, false));
    scene.app.clock.advance(Duration::from_secs(3600));
    scene.ends(fault, recovered).await
}

async fn wrong_secret(fault: String) -> Row {
    let mut scene = Scene::open_with(|config| config.apps.first.wecom.secret = Secret::new("wrong".to_owned())).await;
    scene.ask("ann").await;
    scene.until_logged(&["nothing can be sent", "40001"]).await;
    assert_eq!(scene.app.wecom.counters().gettoken, 1);
    // The administrator mends the configuration and starts again.
    scene.app.stop().await;
    scene.app.config.apps.first.wecom.secret = scene.app.wecom.settings().secret.clone();
    scene.app.launch().await;
    scene.ends(fault, "the message waits until the secret is right and the daemon is started again").await
}

/// A message that WeCom will not take becomes a dead letter, which an administrator sends again.
async fn dead_letter(fault: String, errcode: i64) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| trouble.fail_next_sends(1, errcode));
    scene.ask("ann").await;
    let dead = format!("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND reason LIKE '%{errcode}%'");
    scene.pass_until(|| scene.count(&dead) == 1).await;
    assert_eq!(scene.logged(&["gave up a message to ann"]), 1);
    scene.pass_until_settled().await;
    let hears = scene.books.hears(&scene.app.wecom.delivered());
    // As `qimate dead-letters retry` does, beside the running daemon.
    let store = Store::open_beside(&scene.app.config.storage).unwrap();
    let clock = qimate::clock::Clock::Manual(scene.app.clock.clone());
    assert_eq!(store.retry_dead_letters(&qimate::model::audit::Actor::Daemon, None, clock.now()).await.unwrap(), 1);
    let row = scene.ends(fault, "kept as a dead letter; `qimate dead-letters retry` sends it").await;
    Row { hears: format!("{hears}; the answer when it is sent again"), ..row }
}

async fn token(fault: String, end: impl Fn(&mut Trouble)) -> Row {
    let mut scene = Scene::open().await;
    // The second half is written, and held back until the token has ended.
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.set_script(move |body| {
        let after = answer_to(question(body));
        match question(body).contains("late") {
            true => ModelReply::Held { before: String::new(), gate: held.clone(), after },
            false => ModelReply::Answer(after),
        }
    });
    for n in 0..250 {
        scene.ask(&format!("early{n}")).await;
        scene.ask(&format!("late{n}")).await;
    }
    within(scene.app.wecom.wait_delivered(|all| all.len() == 250)).await;
    within(scene.app.model.wait_load(|load| load.in_flight == 250)).await;
    assert_eq!(scene.app.wecom.counters().gettoken, 1);
    scene.app.wecom.trouble(|trouble| end(trouble));
    gate.open();
    within(scene.app.wecom.wait_delivered(|all| all.len() == 500)).await;
    assert_eq!(scene.app.wecom.counters().gettoken, 2, "one for all");
    scene.ends(fault, "exactly one new token is fetched, for all").await
}

/// Every call is broken until the daemon has met it three times.
async fn broken_for_a_while(fault: String, breakage: Breakage) -> Row {
    let mut scene = Scene::open().await;
    // With a token in hand, so that it is the message that meets it.
    scene.ask("before").await;
    scene.pass_until_settled().await;
    let before = scene.app.wecom.counters().sends;
    scene.app.wecom.trouble(|trouble| trouble.break_calls(Some(breakage)));
    scene.ask("ann").await;
    for attempt in 1..=3 {
        scene.pass_until(|| scene.app.wecom.counters().sends == before + attempt).await;
    }
    scene.app.wecom.trouble(|trouble| trouble.break_calls(None));
    scene.ends(fault, "sent again, at growing pauses").await
}

async fn taken_and_not_said(fault: String, breakage: Breakage) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| trouble.lose_answers_by(1, breakage));
    scene.ask("ann").await;
    scene.pass_until_settled().await;
    assert_eq!(scene.app.wecom.counters().duplicates, 1, "the second attempt was swallowed");
    scene.ends(fault, "sent again unchanged; WeCom's duplicate check swallows it").await
}
