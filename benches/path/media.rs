//! What text costs where pictures, voice, links and tools are switched on and nobody uses them: the same questions to a
//! daemon with all of it and to one with none, in turns.

use std::time::Duration;

use crate::{company::Company, figure::Figure, model::Manner, statistics::median};

const ROUNDS: usize = 5;
const MEMBERS: usize = 400;
/// As in `instant`.
const QUESTIONS: usize = 12;

const EVERYTHING: &[(&str, &str)] = &[
    ("QIMATE_LLM__VISION", "true"),
    ("QIMATE_VOICE__TRANSCRIPTION_MODEL", "listener"),
    ("QIMATE_VOICE__SPEECH_MODEL", "speaker"),
    ("QIMATE_IMAGES__MODEL", "painter"),
    ("QIMATE_WEB__READ_LINKS", "true"),
    ("QIMATE_TOOLS__WEB", "true"),
];

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let mut without = Company::open(Manner::After(Duration::ZERO), Duration::ZERO, &[]).await?;
    let mut with = Company::open(Manner::After(Duration::ZERO), Duration::ZERO, EVERYTHING).await?;
    let (mut plain, mut all, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for company in [&mut without, &mut with] {
        company.ask("early", 50, 2).answered().await?;
    }
    for round in 0..ROUNDS {
        let prefix = format!("m{round}-");
        plain.push(without.ask(&prefix, MEMBERS, QUESTIONS).answered().await?.per_second());
        all.push(with.ask(&prefix, MEMBERS, QUESTIONS).answered().await?.per_second());
        ratios.push(all[round] / plain[round]);
    }
    without.daemon.kill().await?;
    with.daemon.kill().await?;
    Ok(vec![
        Figure::new("questions answered, with none of it", median(&plain), "/s"),
        Figure::new("with pictures, voice, drawing, speech, links and tools", median(&all), "/s"),
        Figure::new(format!("ratio, median of {ROUNDS} rounds"), median(&ratios), "")
            .floor_at_least(0.8)
            .goal_at_least(0.95),
    ])
}
