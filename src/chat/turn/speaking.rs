//! An answer that is also spoken, for who asked by voice. The text is in the outbox before anything is spoken, so
//! whatever becomes of the voice, the answer is there.

use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use tracing::{debug, warn};

use super::Turns;
use crate::{
    chat::{
        cause::chain,
        persist::persist,
        speakable::{pieces, speakable},
        stops::Running,
        texts::Text,
    },
    config::{self, voice::SpeechFormat},
    llm,
    media::{
        cut,
        resample::to_rate,
        voice::{Recording, Unusable},
        wav,
    },
    meter::{Charge, Medium, allowances::Refusal},
    model::{
        conversation::TurnState,
        file_name::FileName,
        language::Language,
        preferences::Preferences,
        quota::plan::Right,
        reply::{Attachment, AttachmentKind, ReplyPart},
    },
    store::{LeaseLost, conversation::TurnRecord, inbox::Inbound},
};

/// The longest voice message that is sent: WeCom takes 60 s (page 90253), and a rounding more is too long.
const LONGEST: Duration = Duration::from_secs(58);
/// Samples in a second of AMR narrow-band.
const AMR_RATE: u32 = 8000;
/// Samples in a second where the sound comes without a head: what OpenAI documents for `pcm`.
const BARE_RATE: u32 = 24_000;
/// As many answers are spoken at once: a minute of sound has three megabytes until it is AMR.
const AT_ONCE: usize = 8;
/// As many sounds are encoded at once: each takes a processor.
const ENCODED_AT_ONCE: usize = 2;

/// What speaking needs beside the meter.
pub struct Speaking {
    /// Whether members who chose nothing are answered by voice.
    answers: bool,
    /// The most that is spoken, in characters of a script without blanks.
    most: usize,
    format: SpeechFormat,
    seats: Semaphore,
    encoders: Semaphore,
}

/// Why an answer was not spoken.
#[derive(Debug, thiserror::Error)]
enum Unspoken {
    #[error("quota exceeded: {0}")]
    Quota(Refusal),
    #[error("the model did not speak")]
    Model(#[source] llm::error::Error),
    #[error("what the model spoke cannot be used")]
    Unusable(#[source] Unusable),
    #[error("nobody waits for it any more")]
    Lost(#[source] LeaseLost),
    #[error("the encoder broke")]
    Broken,
}

/// What is still to be said of a turn.
pub(super) struct Rest {
    /// The number of the first of `parts` in the answer.
    pub(super) first_part: u32,
    pub(super) parts: Vec<ReplyPart>,
    /// The member has seen nothing of the turn yet.
    pub(super) begins_here: bool,
}

impl Speaking {
    /// As it is set.
    pub fn new(settings: &config::Voice) -> Self {
        Self {
            answers: settings.answers,
            most: settings.answer_chars,
            format: settings.speech_format,
            seats: Semaphore::new(AT_ONCE),
            encoders: Semaphore::new(ENCODED_AT_ONCE),
        }
    }
}

impl Turns {
    /// Whether members who chose nothing are answered by voice.
    pub(in crate::chat) fn speaks_unasked(&self) -> bool {
        self.speaking.as_ref().is_some_and(|speaking| speaking.answers)
    }

    /// Puts the words of a whole answer into the outbox and has them spoken; what was spoken is then the rest. Where
    /// nothing is spoken, by wish or because it fails, the words are all.
    pub(super) async fn speak(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        rest: &mut Rest,
        preferences: &Preferences,
        mut charge: Charge,
        running: &Running,
    ) -> Charge {
        let Some(speaking) = self.speaking.as_ref().filter(|_| self.answerer.speaks()) else { return charge };
        if !preferences.voice_answers.unwrap_or(speaking.answers) {
            return charge;
        }
        if self.answerer.permit(claim, Right::Speech).await.is_err() {
            return charge;
        }
        let language = preferences.language(self.settings.language);
        let spoken = to_be_spoken(&turn.exchange.answer, speaking.most, language);
        if spoken.is_empty() {
            return charge;
        }
        turn.state = TurnState::Sealed { usage: charge.usage(), made: None };
        let used = charge.take_used();
        let append = || {
            let now = self.clock.now();
            self.store.append(claim, turn.clone(), rest.first_part, rest.parts.clone(), used.clone(), now)
        };
        if persist(&self.clock, append).await.is_err() {
            // The end of the turn finds that too, and says so.
            return charge;
        }
        rest.parts.clear();
        rest.first_part = turn.parts;
        if std::mem::take(&mut rest.begins_here) {
            self.lately.first_part(claim.received_at);
        }
        let began = self.clock.now();
        let voiced = tokio::select! {
            biased;
            () = running.stopped() => return charge,
            voiced = self.voice(claim, speaking, &spoken) => voiced,
        };
        let ms = self.clock.now().since(began).as_millis();
        match voiced {
            Ok((parts, cost)) => {
                debug!(inbox.seq = claim.seq, turn.id = %turn.id, parts = parts.len(), speech.chars = cost.units().spoken,
                    "spoke an answer in {ms} ms");
                turn.parts += u32::try_from(parts.len()).unwrap_or(0);
                rest.parts = parts;
                charge.and(cost)
            }
            Err(unspoken) => {
                warn!(inbox.seq = claim.seq, turn.id = %turn.id, turn.reference = %turn.id.reference(),
                    reason = %chain(&unspoken), "an answer stays without its voice, after {ms} ms");
                charge
            }
        }
    }

    async fn voice(
        &self,
        claim: &Inbound,
        speaking: &Speaking,
        spoken: &[String],
    ) -> Result<(Vec<ReplyPart>, Charge), Unspoken> {
        // It is never closed.
        let _seat = speaking.seats.acquire().await.map_err(|_| Unspoken::Broken)?;
        let (mut parts, mut charge) = (Vec::new(), Charge::NOTHING);
        for text in spoken {
            let reserved = self.answerer.reserve_media(claim, Medium::Speech(text.chars().count())).await;
            let (sound, cost) = reserved.map_err(Unspoken::Quota)?.speak(text).await.map_err(Unspoken::Model)?;
            charge = charge.and(cost);
            let encoder = speaking.encoders.acquire().await.map_err(|_| Unspoken::Broken)?;
            let format = speaking.format;
            let messages = tokio::task::spawn_blocking(move || messages(&sound, format)).await;
            drop(encoder);
            for amr in messages.map_err(|_| Unspoken::Broken)?.map_err(Unspoken::Unusable)? {
                let keep = || self.store.keep_media(claim, "audio/amr", amr.clone(), self.clock.now());
                let media = persist(&self.clock, keep).await.map_err(Unspoken::Lost)?;
                let name = FileName::make("voice", "amr");
                parts.push(ReplyPart::Attachment(Attachment { kind: AttachmentKind::Voice, media, name }));
            }
        }
        Ok((parts, charge))
    }
}

/// What is said of an answer, in pieces; where that is not all, it ends with a hint.
fn to_be_spoken(answer: &str, most: usize, language: Language) -> Vec<String> {
    let (mut spoken, is_all) = pieces(&speakable(answer, language), most);
    if let (false, Some(last)) = (is_all, spoken.last_mut()) {
        last.push_str(&Text::RestInWriting.render(language));
    }
    spoken
}

/// A sound as voice messages.
fn messages(sound: &[u8], format: SpeechFormat) -> Result<Vec<Bytes>, Unusable> {
    // Some upstreams send a WAV whatever was asked for.
    let recording: Recording = match format {
        SpeechFormat::Pcm if !sound.starts_with(b"RIFF") => wav::read_bare(sound, BARE_RATE)?,
        SpeechFormat::Wav | SpeechFormat::Pcm => wav::read(sound)?,
    };
    let pieces = cut::into_pieces(to_rate(recording, AMR_RATE), LONGEST);
    pieces.iter().map(|piece| piece.to_amr().map(Bytes::from)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::voice;

    /// Seconds of a tone, as a speech model sends it.
    fn tone(rate: u32, seconds: u32, hertz: f64) -> Vec<u8> {
        let sample = |n: u32| ((f64::from(n) / f64::from(rate) * hertz * std::f64::consts::TAU).sin() * 8000.0) as i16;
        Recording { sample_rate: rate, samples: (0..rate * seconds).map(sample).collect() }.to_wav()
    }

    #[test]
    fn what_is_spoken_is_heard_again_as_loud_and_as_high() {
        for (sound, format) in [
            (tone(24_000, 1, 440.0), SpeechFormat::Wav),
            (tone(24_000, 1, 440.0)[44..].to_vec(), SpeechFormat::Pcm),
            (tone(44_100, 1, 440.0), SpeechFormat::Pcm),
            (tone(8000, 1, 440.0), SpeechFormat::Wav),
        ] {
            let messages = messages(&sound, format).expect("messages");
            assert_eq!(messages.len(), 1);
            let heard = voice::decode(&messages[0]).expect("AMR");
            assert_eq!((heard.sample_rate, heard.samples.len()), (8000, 8000));
            let middle = &heard.samples[2000..6000];
            let loud = (middle.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / 4000.0).sqrt();
            assert!((0.75..1.25).contains(&(loud / 5657.0)), "{loud}");
            let swings = middle.windows(2).filter(|pair| pair[0] < 0 && pair[1] >= 0).count();
            assert!((215..=225).contains(&swings), "half a second of 440 Hz has 220: {swings}");
        }
    }

    #[test]
    fn a_long_sound_is_several_messages_that_wecom_takes() {
        let messages = messages(&tone(8000, 70, 300.0), SpeechFormat::Wav).expect("messages");
        assert_eq!(messages.len(), 2);
        for amr in &messages {
            assert!(crate::media::amr::duration(amr).expect("AMR") <= Duration::from_secs(60) && amr.len() < 200_000);
        }
    }

    #[test]
    fn what_is_not_spoken_is_said_to_be_in_writing() {
        let answer = "这是一句话，说明一件事情。".repeat(20);
        let spoken = to_be_spoken(&answer, 50, Language::Chinese);
        assert_eq!(spoken.len(), 1);
        assert!(spoken[0].ends_with("事情。其余内容请看文字。") && spoken[0].chars().count() < 70, "{spoken:?}");
        assert_eq!(to_be_spoken("好的。", 50, Language::Chinese), ["好的。"]);
        assert!(to_be_spoken("![x](y.png)", 50, Language::Chinese).is_empty());
    }
}
