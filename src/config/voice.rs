//! `[voice]`: what is spoken becomes text, and the other way round.

use std::time::Duration;

use super::{
    fault::Wrong,
    llm::base_url,
    reader::{Reader, Reported, any, credential},
};
use crate::secret::Secret;

/// The section's values.
#[derive(Clone, Debug)]
pub struct Voice {
    /// The model that writes down what is spoken; `None`: voice messages get a kind sentence.
    pub transcription_model: Option<String>,
    /// Where it is; `None`: where the model is.
    pub transcription_url: Option<String>,
    /// Its key; `None`: the model's key, where the address is the model's too.
    pub transcription_key: Option<Secret<String>>,
    /// What a minute costs, in micro-units of `team.currency`.
    pub transcription_price: u64,
    /// What is spoken most, such as `zh`; `None`: the model finds out.
    pub language: Option<String>,
    /// Whether the employee is shown what was understood, before the answer.
    pub show_transcript: bool,
    /// The longest that writing it down or speaking a piece of an answer may take.
    pub timeout: Duration,
    /// Whether who asked by voice is answered by voice too, unless they choose.
    pub answers: bool,
    /// The model that speaks; `None`: nothing is spoken.
    pub speech_model: Option<String>,
    /// Where it is; `None`: where the model is.
    pub speech_url: Option<String>,
    /// Its key; `None`: the model's key, where the address is the model's too.
    pub speech_key: Option<Secret<String>>,
    /// What a million characters cost, in micro-units of `team.currency`.
    pub speech_price: u64,
    /// Its voice, by the name that the model knows.
    pub speech_voice: String,
    /// What it is asked to send.
    pub speech_format: SpeechFormat,
    /// The most of an answer that is spoken, in characters of Chinese; three letters of another script count as one.
    pub answer_chars: usize,
}

/// What a speech model sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpeechFormat {
    /// A WAV file.
    Wav,
    /// Bare 16-bit samples of one channel at 24 kHz.
    Pcm,
}

impl SpeechFormat {
    /// The word for `response_format`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Pcm => "pcm",
        }
    }
}

impl Voice {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let transcription_model = reader.optional_text("voice.transcription_model", any);
        let transcription_url = reader.optional_text("voice.transcription_url", base_url);
        let transcription_key = reader.optional_text("voice.transcription_key", credential);
        let transcription_price = reader.price("voice.transcription_price");
        let language = reader.optional_text("voice.language", language);
        let show_transcript = reader.flag("voice.show_transcript");
        let timeout = reader.whole("voice.timeout_seconds", 1..=600);
        let answers = reader.flag("voice.answers");
        let mut speech_model = reader.optional_text("voice.speech_model", any);
        if let (Ok(true), Ok(None)) = (&answers, &speech_model) {
            speech_model = Err(reader.missing(
                "voice.speech_model",
                [
                    "语音合成模型，如 gpt-4o-mini-tts；不要语音回答则设 voice.answers = false",
                    "the model that speaks, such as gpt-4o-mini-tts, or set voice.answers to false",
                ],
            ));
        }
        let speech_url = reader.optional_text("voice.speech_url", base_url);
        let speech_key = reader.optional_text("voice.speech_key", credential);
        let speech_price = reader.price("voice.speech_price");
        let speech_voice = reader.text("voice.speech_voice", any);
        let speech_format = reader.choice(
            "voice.speech_format",
            &[SpeechFormat::Wav, SpeechFormat::Pcm].map(|format| (format.as_str(), format)),
        );
        let answer_chars = reader.whole("voice.answer_chars", 20..=3000);
        Ok(Self {
            transcription_model: transcription_model?,
            transcription_url: transcription_url?,
            transcription_key: transcription_key?,
            transcription_price: transcription_price?,
            language: language?,
            show_transcript: show_transcript?,
            timeout: Duration::from_secs(timeout?),
            answers: answers?,
            speech_model: speech_model?,
            speech_url: speech_url?,
            speech_key: speech_key?,
            speech_price: speech_price?,
            speech_voice: speech_voice?,
            speech_format: speech_format?,
            answer_chars: answer_chars?,
        })
    }
}

fn language(text: &str) -> Result<String, Wrong> {
    if (2..=3).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_lowercase()) {
        Ok(text.to_owned())
    } else {
        Err(Wrong::new(
            ["不是语言代码", "is not a language's code"],
            [
                "应为两三个小写字母（ISO 639），如 zh 或 en",
                "expected two or three small letters (ISO 639), such as zh or en",
            ],
        ))
    }
}
