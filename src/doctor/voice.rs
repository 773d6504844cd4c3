//! Whether voice messages can be written down: asked with a second of a tone, in which nobody speaks.

use bytes::Bytes;

use super::{
    cause::{Cause, voice::Voice},
    finding::Outcome,
    wecom::link,
};
use crate::{
    llm::{client::ProbeFault, transcribe::Transcriber},
    media::voice::Recording,
};

/// Samples a second that every upstream takes.
const SAMPLE_RATE: u32 = 16_000;

/// What the endpoint makes of it.
pub(super) async fn asked(transcriber: &Transcriber) -> Outcome {
    let (way, limit) = (transcriber.way(), transcriber.timeout());
    let ill = |cause, about: &str| Outcome::ill(Cause::Voice(cause), about);
    match transcriber.probe(tone()).await {
        Ok(took) => {
            let millis = took.as_millis();
            let (model, seconds) = (transcriber.model(), format!("{}.{} s", millis / 1000, millis % 1000 / 100));
            Outcome::well(format!("{model}，{seconds} 应答"), format!("{model}, answers within {seconds}"))
        }
        Err(ProbeFault::Link(fault)) => link(fault, way),
        Err(ProbeFault::Page) => ill(Voice::Page, &way.server),
        Err(ProbeFault::PathNotFound) => ill(Voice::PathNotFound, &way.server),
        Err(ProbeFault::KeyRefused(message) | ProbeFault::Forbidden(message)) => ill(Voice::KeyRefused, &message),
        Err(ProbeFault::ModelNotFound(message)) => ill(Voice::ModelNotFound, &message),
        Err(ProbeFault::QuotaExhausted(message)) => ill(Voice::QuotaExhausted, &message),
        Err(ProbeFault::RateLimited) => ill(Voice::RateLimited, ""),
        Err(ProbeFault::Rejected(message)) => ill(Voice::Rejected, &message),
        Err(ProbeFault::Upstream(message)) => ill(Voice::Upstream, &message),
        Err(ProbeFault::TooSlow) => ill(Voice::TooSlow, &format!("{} s", limit.as_secs())),
        Err(ProbeFault::NoStream) => ill(Voice::NoTranscript, &way.server),
    }
}

/// A second of a quiet tone: silence is what some refuse.
fn tone() -> Bytes {
    let sample = |n: u32| {
        let turns = f64::from(n) * 440.0 / f64::from(SAMPLE_RATE);
        ((turns * std::f64::consts::TAU).sin() * 3000.0) as i16
    };
    let samples = (0..SAMPLE_RATE).map(sample).collect();
    Bytes::from(Recording { sample_rate: SAMPLE_RATE, samples }.to_wav())
}
