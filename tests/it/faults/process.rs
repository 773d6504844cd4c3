//! The process ends: at any instant, or because it is asked to.

use std::time::Duration;

use qimate::sandbox::model::ModelReply;

use super::{
    Job,
    company::Firm,
    scene::{answer_to, question},
    table::Row,
};
use crate::process::{Dice, killed_at_random};

/// How often it is killed where nobody says so: enough for every kind of moment to have its turn in a week of runs.
const KILLS: u64 = 8;

pub fn jobs() -> Vec<Job> {
    vec![
        Job::new("process: `kill -9` at random instants, under load", killed).long(),
        Job::new("process: SIGTERM under load, again and again", terminated).long(),
    ]
}

/// Everything is asserted there: each answer is whole, in order and shown once.
async fn killed(fault: String) -> Row {
    let story = killed_at_random(KILLS).await;
    println!("{} kills, {} acknowledged, {} shown", story.rounds, story.acknowledged, story.shown);
    Row {
        fault,
        hears: "the answer".to_owned(),
        lost: 0,
        twice: 0,
        recovered: "the next start goes on where it stopped, in the middle of an answer too".to_owned(),
    }
}

async fn terminated(fault: String) -> Row {
    let mut dice = Dice(u64::from(std::process::id()));
    let mut firm = Firm::open(&[]).await;
    firm.company.model.set_script(|body| {
        ModelReply::After(Duration::from_millis(30), Box::new(ModelReply::Answer(answer_to(question(body)))))
    });
    for _ in 0..3 {
        firm.company.start().await;
        let mut saying = tokio::task::JoinSet::new();
        for n in 0..24 {
            let (wecom, pause) = (firm.company.wecom.clone(), Duration::from_millis(dice.below(100)));
            let member = format!("ann{}", n % 6);
            let question = format!("〔{member}.{}.{n}〕", firm.books.len());
            saying.spawn(async move {
                tokio::time::sleep(pause).await;
                let accepted = wecom.say(&member, &question).await.accepted();
                (member, question, accepted)
            });
        }
        tokio::time::sleep(Duration::from_millis(dice.below(120))).await;
        assert!(firm.company.terminate().await.success());
        for (member, question, _) in saying.join_all().await.into_iter().filter(|(.., accepted)| *accepted) {
            firm.books.note(member, question);
        }
    }
    firm.company.start().await;
    firm.ends(fault, "open answers may end; what was not begun is done after the next start").await
}
