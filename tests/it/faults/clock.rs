//! The machine's clock is set, by an hour, while something waits. WeCom's clock and the model's go on as before.

use std::time::Duration;

use qimate::sandbox::{
    model::{Gate, ModelReply},
    trouble::Breakage,
};

use super::{
    Job,
    scene::{Scene, answer_to},
    table::Row,
};
use crate::harness::within;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Copy)]
enum To {
    Forward,
    Back,
}

impl To {
    const BOTH: [(Self, &'static str); 2] = [(Self::Forward, "set forward"), (Self::Back, "set back")];

    fn set(self, scene: &Scene) {
        match self {
            Self::Forward => scene.app.clock.set_forward(HOUR),
            Self::Back => scene.app.clock.set_back(HOUR),
        }
    }
}

pub fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for (to, name) in To::BOTH {
        let job = |what: &str| format!("clock: {name} an hour {what}");
        jobs.push(Job::new(job("in the middle of an answer"), move |fault| in_an_answer(fault, to)));
        jobs.push(Job::new(job("while members wait for a free worker"), move |fault| in_the_queue(fault, to)));
        jobs.push(Job::new(job("while the model is asked again"), move |fault| between_attempts(fault, to)));
        jobs.push(Job::new(job("while a message is sent again"), move |fault| between_sends(fault, to)));
        jobs.push(Job::new(job("while nothing gets through to WeCom"), move |fault| at_a_closed_gate(fault, to)));
        jobs.push(Job::new(job("while one member is written to at WeCom's pace"), move |fault| in_a_flood(fault, to)));
        jobs.push(Job::new(job("in the life of an access token"), move |fault| in_a_tokens_life(fault, to)));
        jobs.push(Job::new(job("between two equal answers"), move |fault| between_equal_answers(fault, to)));
        jobs.push(Job::new(job("while a message may have arrived"), move |fault| in_doubt(fault, to)));
    }
    jobs
}

fn unchanged(scene: Scene, fault: String) -> impl Future<Output = Row> {
    scene.ends(fault, "what waits is measured by time that passes, not by what the clock shows")
}

async fn in_an_answer(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    let gate = Gate::new();
    let after = answer_to("〔ann.0〕");
    scene.app.model.push(ModelReply::Held { before: "Well. ".to_owned(), gate: gate.clone(), after });
    scene.ask("ann").await;
    within(scene.app.model.wait_load(|load| load.in_flight == 1)).await;
    to.set(&scene);
    // It is still waited for.
    within(scene.app.clock.sleeper_within(Duration::from_secs(1)..=Duration::from_secs(30))).await;
    gate.open();
    unchanged(scene, fault).await
}

async fn in_the_queue(fault: String, to: To) -> Row {
    let mut scene = Scene::open_with(|config| config.chat.max_concurrent_turns = 1).await;
    let gate = Gate::new();
    let after = answer_to("〔ann0.0〕");
    scene.app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after });
    for n in 0..5 {
        scene.ask(&format!("ann{n}")).await;
    }
    within(scene.app.model.wait_load(|load| load.in_flight == 1)).await;
    to.set(&scene);
    gate.open();
    // No time passes, and everybody has their turn.
    scene.wait_until(|| scene.app.wecom.delivered().len() == 5).await;
    unchanged(scene, fault).await
}

async fn between_attempts(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    scene.app.model.push(ModelReply::status(503, "{}"));
    scene.ask("ann").await;
    within(scene.app.clock.sleeper_within(Duration::from_millis(450)..=Duration::from_millis(999))).await;
    to.set(&scene);
    scene.app.clock.advance(Duration::from_secs(1));
    scene.wait_until(|| scene.app.wecom.delivered().len() == 1).await;
    unchanged(scene, fault).await
}

async fn between_sends(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| trouble.fail_next_sends(1, -1));
    scene.ask("ann").await;
    within(scene.app.clock.sleeper_within(Duration::from_millis(1001)..=Duration::from_millis(2500))).await;
    to.set(&scene);
    scene.app.clock.advance(Duration::from_secs(3));
    scene.wait_until(|| scene.app.wecom.delivered().len() == 1).await;
    unchanged(scene, fault).await
}

async fn at_a_closed_gate(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    scene.ask("ann").await;
    scene.until_logged(&["60020"]).await;
    to.set(&scene);
    scene.app.wecom.trouble(|trouble| trouble.refuse_ip(false));
    scene.app.clock.advance(Duration::from_secs(30));
    scene.wait_until(|| scene.app.wecom.delivered().len() == 1).await;
    unchanged(scene, fault).await
}

/// More than WeCom shows in a minute: what is beyond it would vanish silently.
async fn in_a_flood(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    for _ in 0..60 {
        scene.ask("ann").await;
    }
    scene.wait_until(|| scene.app.wecom.messages_for("ann").len() >= 28).await;
    scene.wait_until(|| scene.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") == 0).await;
    to.set(&scene);
    scene.app.clock.advance(Duration::from_secs(1));
    // A message of this moment wakes the sender.
    scene.ask("bob").await;
    scene.wait_until(|| !scene.app.wecom.messages_for("bob").is_empty()).await;
    assert_eq!(scene.app.wecom.messages_for("ann").len(), 28, "the minute is not over");
    scene.app.clock.advance(Duration::from_secs(60));
    scene.pass_until_settled().await;
    unchanged(scene, fault).await
}

async fn in_a_tokens_life(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    scene.ask("ann").await;
    scene.pass_until_settled().await;
    to.set(&scene);
    // An hour before its end, and after it.
    for wait in [HOUR, HOUR * 2] {
        scene.app.clock.advance(wait);
        scene.ask("ann").await;
        scene.pass_until_settled().await;
    }
    assert!(scene.app.wecom.counters().gettoken <= 3, "{:?}", scene.app.wecom.counters());
    scene.ends(fault, "a token that ended is fetched anew, whatever the clock shows").await
}

/// Three and a half hours apart, so that WeCom still knows the first.
async fn between_equal_answers(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    for _ in 0..2 {
        scene.app.model.push(ModelReply::Answer("Yes.".to_owned()));
    }
    assert!(within(scene.app.wecom.say("ann", "Is it?")).await.accepted());
    scene.pass_until_settled().await;
    to.set(&scene);
    scene.app.clock.advance(HOUR * 7 / 2);
    assert!(within(scene.app.wecom.say("ann", "Is it?")).await.accepted());
    scene.pass_until_settled().await;
    assert_eq!(scene.app.wecom.messages_for("ann").len(), 2, "the second was taken for a repetition");
    scene.ask("bob").await;
    unchanged(scene, fault).await
}

/// WeCom took a message and could not say so, and then nothing gets through until it has forgotten it.
async fn in_doubt(fault: String, to: To) -> Row {
    let mut scene = Scene::open().await;
    scene.app.wecom.trouble(|trouble| trouble.lose_answers(1));
    scene.ask("ann").await;
    within(scene.app.clock.sleeper_within(Duration::from_millis(1001)..=Duration::from_millis(2500))).await;
    to.set(&scene);
    scene.app.wecom.trouble(|trouble| trouble.break_calls(Some(Breakage::Page(503))));
    scene.app.clock.advance(Duration::from_secs(3));
    scene.wait_until(|| scene.app.wecom.counters().sends == 2).await;
    scene.nothing_under_way().await;
    scene.app.wecom.trouble(|trouble| trouble.break_calls(None));
    scene.app.clock.advance(HOUR * 4 + Duration::from_secs(60));
    scene.pass_until_settled().await;
    // Whether it arrived only a person can find out.
    assert_eq!(
        scene.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND reason LIKE 'it may have arrived%'"),
        1
    );
    scene.app.database().execute("DELETE FROM outbox WHERE state = 'dead'", []).unwrap();
    scene.ends(fault, "not sent again after WeCom has forgotten it; a dead letter says so").await
}
