//! Where programs have something made that is not words: the places at which the chat has it made, with their keys.

use std::{sync::Arc, time::Duration};

use super::{Relayed, call::Call, cleared::ClearedBody};
use crate::{
    clock::Clock,
    config::{self, Upstream},
    llm::{client::Client, endpoint::host_of, error::Error, router::RelayAnswer},
    metrics::Metrics,
    net,
    secret::Secret,
};

/// The places that are set.
#[derive(Clone, Default)]
pub struct Places {
    images: Option<Place>,
    speech: Option<Place>,
    transcription: Option<Place>,
}

#[derive(Clone)]
struct Place {
    client: Client,
    model: Arc<str>,
    host: Arc<str>,
    timeout: Duration,
    clock: Clock,
}

impl Places {
    /// What `images` and `voice` set; what they leave open is that of `llm`.
    ///
    /// # Errors
    /// The proxy is unusable.
    pub fn new(
        (images, voice, llm): (&config::Images, &config::Voice, &config::Llm),
        clock: &Clock,
        metrics: &Arc<Metrics>,
    ) -> Result<Self, net::Error> {
        let http = net::http_client(llm.proxy.as_ref(), llm.connect_timeout)?;
        let place = |model: &Option<String>, base_url: &Option<String>, key: &Option<Secret<String>>, timeout| {
            let model: Arc<str> = model.as_deref()?.into();
            let base_url = base_url.as_ref().unwrap_or(&llm.base_url);
            // The model's key goes to the model's address and nowhere else.
            let key = key.as_ref().or(llm.api_key.as_ref().filter(|_| *base_url == llm.base_url));
            let host: Arc<str> = host_of(base_url).into();
            let upstream = Upstream {
                name: Arc::clone(&host),
                base_url: base_url.clone(),
                api_keys: key.into_iter().cloned().collect(),
                models: Vec::new(),
                weight: 1,
                max_concurrent: None,
                requests_per_minute: None,
                tokens_per_minute: None,
                proxy: llm.proxy.clone(),
                extra_headers: std::collections::BTreeMap::new(),
                dialect: None,
                extra_body: serde_json::Map::new(),
            };
            let client = Client::new(http.clone(), llm, &upstream, key, clock.clone(), Arc::clone(metrics));
            Some(Place { client, model, host, timeout, clock: clock.clone() })
        };
        Ok(Self {
            images: place(&images.model, &images.base_url, &images.api_key, images.timeout),
            speech: place(&voice.speech_model, &voice.speech_url, &voice.speech_key, voice.timeout),
            transcription: place(
                &voice.transcription_model,
                &voice.transcription_url,
                &voice.transcription_key,
                voice.timeout,
            ),
        })
    }

    /// The model for a call; `None`: none is set, or it is asked of the router.
    pub fn model(&self, call: Call) -> Option<&Arc<str>> {
        self.place(call).map(|place| &place.model)
    }

    /// Asks, once, and waits until the answer begins.
    ///
    /// # Errors
    /// [`Error`]: nothing of the answer has come.
    pub async fn relay(&self, request: &ClearedBody<'_>) -> Result<RelayAnswer, Error> {
        let not_set = || Error::Misconfigured { key: "llm".to_owned(), problem: "no model is set for it" };
        let Place { client, model, host, timeout, clock } = self.place(request.body().call).ok_or_else(not_set)?;
        let deadline = clock.uptime().saturating_add(*timeout);
        let relayed: Relayed = client.relay(model, request, None, deadline).await?;
        Ok(RelayAnswer::of_a_place(relayed, Arc::clone(host)))
    }

    const fn place(&self, call: Call) -> Option<&Place> {
        match call {
            Call::Images => self.images.as_ref(),
            Call::Speech => self.speech.as_ref(),
            Call::Transcription => self.transcription.as_ref(),
            Call::Chat | Call::Responses | Call::Embeddings => None,
        }
    }
}
