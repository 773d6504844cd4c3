//! `[voice]`: what is spoken becomes text.

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
    /// What is spoken most, such as `zh`; `None`: the model finds out.
    pub language: Option<String>,
    /// Whether the employee is shown what was understood, before the answer.
    pub show_transcript: bool,
    /// The longest that writing it down may take.
    pub timeout: Duration,
}

impl Voice {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let transcription_model = reader.optional_text("voice.transcription_model", any);
        let transcription_url = reader.optional_text("voice.transcription_url", base_url);
        let transcription_key = reader.optional_text("voice.transcription_key", credential);
        let language = reader.optional_text("voice.language", language);
        let show_transcript = reader.flag("voice.show_transcript");
        let timeout = reader.whole("voice.timeout_seconds", 1..=600);
        Ok(Self {
            transcription_model: transcription_model?,
            transcription_url: transcription_url?,
            transcription_key: transcription_key?,
            language: language?,
            show_transcript: show_transcript?,
            timeout: Duration::from_secs(timeout?),
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
