//! A long time with everything going wrong now and then, by dice whose seed is printed.
//!
//! `QIMATE_SOAK_MESSAGES=100000 QIMATE_SOAK_MEMBERS=2000` is the long run; `QIMATE_SOAK_SEED` repeats one.

use std::{sync::Mutex, time::Duration};

use qimate::sandbox::{
    emulator::Emulator,
    model::ModelReply,
    trouble::{Breakage, Trouble},
};
use tokio::task::JoinSet;

use super::{
    Job,
    company::Firm,
    scene::{BEGINNING, Scene, answers},
    table::Row,
};
use crate::process::Dice;

/// How much more memory the process may hold at the end than after its warm-up, in KiB. What may still grow then is
/// bounded: conversations at hand (8 MiB), SQLite's pages (8 MiB), and what the allocator keeps of buffers for as many
/// answers as ever were under way at once (16 MiB is ample). A leak grows with the messages: over the 67,000 after the
/// warm-up of the long run, half a kilobyte for each is seen.
const GROWTH_KIB: u64 = 32 * 1024;
/// The hours that are compressed, and how long rows are kept meanwhile.
const HOURS: u32 = 48;
const KEEP_HOURS: u32 = 24;
const PER_HOUR: u32 = 8;

pub fn jobs() -> Vec<Job> {
    vec![
        Job::new("soak: mixed faults in everything, the real binary, its memory watched", memory).long(),
        Job::new(format!("soak: {HOURS} hours on a fast clock, mixed faults, rows kept for {KEEP_HOURS} hours"), hours)
            .long(),
    ]
}

const HEARS: &str = "the answer, or what came of it and a sentence with a reference";

fn set(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|value| value.parse().ok())
}

fn seed() -> u64 {
    set("QIMATE_SOAK_SEED").unwrap_or_else(|| u64::from(std::process::id()))
}

/// A model that fails in some way once in seven times.
fn moody(seed: u64) -> impl Fn(&serde_json::Value) -> ModelReply + Send + Sync {
    let dice = Mutex::new(Dice(seed));
    move |body| match dice.lock().unwrap().below(56) {
        0 => ModelReply::status(500, "{}"),
        1 => ModelReply::status(429, "{}"),
        2 => ModelReply::status(400, "{}"),
        3 => ModelReply::Reset,
        4 => ModelReply::CutAfter(BEGINNING.to_owned()),
        5 => ModelReply::Garbage,
        6 => ModelReply::Answer(String::new()),
        7 => ModelReply::After(Duration::from_millis(50), Box::new(answers(body))),
        _ => answers(body),
    }
}

/// One of the things that WeCom does now and then.
fn trouble(dice: &mut Dice, trouble: &mut Trouble) {
    match dice.below(8) {
        0 => trouble.expire_access_token(),
        1 => trouble.forget_access_token(),
        2 => trouble.lose_answers(1),
        3 => trouble.lose_answers_by(1, Breakage::Page(502)),
        4 => trouble.fail_next_sends(1, -1),
        5 => trouble.fail_next_sends(1, 45033),
        6 => trouble.repeat_callbacks(true),
        _ => trouble.repeat_callbacks(false),
    }
}

async fn memory(fault: String) -> Row {
    let (messages, members) = (set("QIMATE_SOAK_MESSAGES").unwrap_or(1500), set("QIMATE_SOAK_MEMBERS").unwrap_or(150));
    let seed = seed();
    println!("QIMATE_SOAK_SEED={seed} QIMATE_SOAK_MESSAGES={messages} QIMATE_SOAK_MEMBERS={members}");
    let mut firm = Firm::open(&[]).await;
    firm.company.model.set_script(moody(seed));
    firm.company.start().await;
    let pid = firm.company.pid();

    let mut dice = Dice(seed);
    let (warm_up, mut warm) = (messages / 3, 0);
    for from in (0..messages).step_by(64) {
        firm.company.wecom.trouble(|at| trouble(&mut dice, at));
        let mut saying = JoinSet::new();
        for n in from..messages.min(from + 64) {
            let (wecom, member): (Emulator, _) = (firm.company.wecom.clone(), format!("m{}", n % members));
            let question = format!("〔{member}.{n}〕");
            saying.spawn(async move {
                let receipt = wecom.say(&member, &question).await;
                assert!(receipt.accepted(), "{receipt:?}");
                (member, question)
            });
        }
        for (member, question) in saying.join_all().await {
            firm.books.note(member, question);
        }
        if warm == 0 && from >= warm_up {
            firm.settled_within(600).await;
            warm = resident_kib(pid);
        }
    }
    firm.company.wecom.trouble(Trouble::clear);
    firm.settled_within(600).await;
    let end = resident_kib(pid);
    let slope = end.saturating_sub(warm) * 1024 / (messages - warm_up);
    println!("memory: {warm} KiB after {warm_up} messages, {end} KiB after {messages}: {slope} bytes a message");
    assert!(end <= warm + GROWTH_KIB, "seed {seed}: from {warm} KiB to {end} KiB");
    firm.company.model.set_script(answers);
    let row = firm.ends(fault, "each fault as above; the memory stays within its bound").await;
    Row { hears: HEARS.to_owned(), ..row }
}

/// What the process holds of the machine's memory.
fn resident_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn hours(fault: String) -> Row {
    let seed = seed();
    println!("QIMATE_SOAK_SEED={seed}");
    let keep = Duration::from_secs(u64::from(KEEP_HOURS) * 3600);
    let mut scene = Scene::open_with(|config| config.storage.keep = keep).await;
    scene.app.model.set_script(moody(seed));
    let mut dice = Dice(seed);
    let rows = |scene: &Scene| {
        scene.count("SELECT (SELECT COUNT(*) FROM inbox) + (SELECT COUNT(*) FROM outbox) + (SELECT COUNT(*) FROM turn)")
    };
    let mut after_a_day = 0;
    for hour in 0..HOURS {
        for n in 0..PER_HOUR {
            scene.app.wecom.trouble(|at| trouble(&mut dice, at));
            scene.ask(&format!("m{}", n % 7)).await;
        }
        scene.pass_until_settled().await;
        if hour == KEEP_HOURS {
            after_a_day = rows(&scene);
        }
        scene.app.clock.advance(Duration::from_secs(3600));
    }
    // A day and the hour until the next look at what is old, and a little for what differs from hour to hour.
    scene.wait_until(|| rows(&scene) <= after_a_day * 5 / 4).await;
    println!("rows: {after_a_day} after {KEEP_HOURS} hours, {} after {HOURS}", rows(&scene));
    scene.app.wecom.trouble(Trouble::clear);
    scene.app.model.set_script(answers);
    let row = scene.ends(fault, "each fault as above; what is old is deleted").await;
    Row { hears: HEARS.to_owned(), ..row }
}
