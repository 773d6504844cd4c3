//! What is spoken, written down: `POST /audio/transcriptions`.
//!
//! One call of one upstream, once: a recording is short, and who waits for it is told when it fails. Knows nothing of
//! what the recording came as.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use super::{
    client::{ProbeFault, beginning},
    endpoint::host_of,
    error::Error,
    redact::Redactor,
};
use crate::{clock::Clock, config, net::link::Way, secret::Secret};

/// Writes down what is spoken. Clones share its connections.
#[derive(Clone)]
pub struct Transcriber {
    http: reqwest::Client,
    url: String,
    way: Way,
    connect_timeout: Duration,
    api_key: Option<Secret<String>>,
    model: String,
    language: Option<String>,
    timeout: Duration,
    clock: Clock,
    redactor: Redactor,
}

/// More than anybody says in ten minutes.
const MAX_ANSWER_BYTES: usize = 256 * 1024;
/// What a site or console answers.
const A_PAGE: &str = "a web page instead of a transcript";

#[derive(Deserialize)]
struct Transcript {
    text: String,
}

impl Transcriber {
    /// For the model in `voice`, at its own address or that of `llm`; `None` where no model is set.
    pub fn new(http: reqwest::Client, voice: &config::Voice, llm: &config::Llm, clock: Clock) -> Option<Self> {
        let model = voice.transcription_model.clone()?;
        let base_url = voice.transcription_url.as_ref().unwrap_or(&llm.base_url);
        // The model's key goes to the model's address and nowhere else.
        let of_llm = llm.api_key.as_ref().filter(|_| *base_url == llm.base_url);
        let api_key = voice.transcription_key.as_ref().or(of_llm).cloned();
        Some(Self {
            http,
            url: format!("{base_url}/audio/transcriptions"),
            way: Way::new(base_url, llm.proxy.as_ref()),
            connect_timeout: llm.connect_timeout,
            redactor: Redactor::new(&api_key),
            api_key,
            model,
            language: voice.language.clone(),
            timeout: voice.timeout,
            clock,
        })
    }

    /// What is said in a WAV file. Empty when nobody speaks.
    ///
    /// # Errors
    /// [`Error`].
    pub async fn transcribe(&self, wav: Bytes) -> Result<String, Error> {
        self.clock.timeout(self.timeout, self.ask(wav)).await.unwrap_or(Err(Error::AnswerTimeout))
    }

    /// The way there, to be shown.
    pub const fn way(&self) -> &Way {
        &self.way
    }

    /// The model, and the host that it is asked at.
    pub fn place(&self) -> (&str, &str) {
        (&self.model, host_of(&self.url))
    }

    /// The model, as it is called there.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The longest that writing down may take.
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// How long `wav` takes to be written down, whatever is said in it.
    ///
    /// # Errors
    /// [`ProbeFault`].
    pub async fn probe(&self, wav: Bytes) -> Result<Duration, ProbeFault> {
        self.way.try_first_hop(&self.clock, self.connect_timeout).await.map_err(ProbeFault::Link)?;
        let asked_at = self.clock.now();
        match self.transcribe(wav).await {
            Ok(_) => Ok(self.clock.now().since(asked_at)),
            Err(Error::Garbage { what: A_PAGE }) => Err(ProbeFault::Page),
            Err(error) => Err(ProbeFault::of(error, 0, &self.way)),
        }
    }

    async fn ask(&self, wav: Bytes) -> Result<String, Error> {
        let length = wav.len() as u64;
        let file = Part::stream_with_length(wav, length).file_name("voice.wav").mime_str("audio/wav");
        let file = file.map_err(|_| Error::Garbage { what: "a media type that is none" })?;
        let mut form = Form::new().part("file", file).text("model", self.model.clone()).text("response_format", "json");
        if let Some(language) = &self.language {
            form = form.text("language", language.clone());
        }
        let mut request = self.http.post(&self.url).multipart(form);
        if let Some(key) = &self.api_key {
            request = request.bearer_auth(key.expose());
        }
        let response = request.send().await.map_err(|error| Error::Unreachable(error.without_url()))?;
        let status = response.status();
        let body = beginning(response, MAX_ANSWER_BYTES).await;
        if !status.is_success() {
            return Err(Error::refused(status, None, &body, &self.redactor));
        }
        match serde_json::from_slice::<Transcript>(&body) {
            Ok(transcript) => Ok(transcript.text.trim().to_owned()),
            Err(_) if body.trim_ascii_start().starts_with(b"<") => Err(Error::Garbage { what: A_PAGE }),
            Err(_) => Err(Error::Garbage { what: "a transcript without text" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        llm::fake::{config, endpoint},
        net,
    };

    fn transcriber(more: &[(&str, &str)]) -> Transcriber {
        let needed = [("QIMATE_LLM__API_KEY", "sk-of-the-model"), ("QIMATE_VOICE__TRANSCRIPTION_MODEL", "whisper-1")];
        let config = config(&[&needed, more].concat());
        let http = net::http_client(None, Duration::from_secs(5)).expect("a client");
        Transcriber::new(http, &config.voice, &config.llm, Clock::System).expect("a model is set")
    }

    #[tokio::test]
    async fn a_recording_is_sent_as_a_file_and_its_text_comes_back() {
        let (url, asked) = endpoint(200, r#"{"text":" 明天开会吗？\n","usage":{"type":"duration"}}"#).await;
        let transcriber = transcriber(&[("QIMATE_LLM__BASE_URL", &url), ("QIMATE_VOICE__LANGUAGE", "zh")]);
        let text = transcriber.transcribe(Bytes::from_static(b"RIFFsound")).await.expect("a text");
        assert_eq!(text, "明天开会吗？");
        let (path, key, body) = asked.lock().unwrap().remove(0);
        assert_eq!((path.as_str(), key.as_str()), ("/v1/audio/transcriptions", "Bearer sk-of-the-model"));
        let body = String::from_utf8_lossy(&body);
        for part in ["name=\"file\"; filename=\"voice.wav\"", "audio/wav", "RIFFsound", "whisper-1", "\r\n\r\nzh\r\n"] {
            assert!(body.contains(part), "{part} in {body}");
        }
    }

    #[tokio::test]
    async fn the_models_key_goes_to_the_models_address_only() {
        let (url, asked) = endpoint(200, r#"{"text":""}"#).await;
        let text = transcriber(&[("QIMATE_VOICE__TRANSCRIPTION_URL", &url)]).transcribe(Bytes::new()).await;
        assert_eq!(text.expect("a text"), "");
        assert_eq!(asked.lock().unwrap()[0].1, "");
    }

    #[tokio::test]
    async fn what_the_upstream_refuses_is_named() {
        for (status, body, expected) in [
            (401, "{}", "the upstream refuses the API key: {}"),
            (200, "<html>", "the upstream does not speak the protocol: a web page instead of a transcript"),
            (200, "{}", "the upstream does not speak the protocol: a transcript without text"),
            (413, "", "the conversation is too long for the model"),
        ] {
            let (url, _) = endpoint(status, body).await;
            let error = transcriber(&[("QIMATE_LLM__BASE_URL", &url)]).transcribe(Bytes::new()).await;
            assert_eq!(error.expect_err("refused").to_string(), expected);
        }
    }
}
