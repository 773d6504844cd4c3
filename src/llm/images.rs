//! Pictures that a model makes: `POST /images/generations`.
//!
//! Knows the wire; nothing of who wants the picture and where it is shown.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::{Deserialize, Serialize};

use super::{endpoint::Endpoint, error::Error, wire::lenient};
use crate::{clock::Clock, config, model::conversation::Usage, secret::Secret};

/// Bytes that a picture may have: beyond 10 MB WeCom shows none.
pub const MAX_PICTURE_BYTES: usize = 20 * 1024 * 1024;
/// As base64, with what stands around it.
const MAX_ANSWER_BYTES: usize = MAX_PICTURE_BYTES / 3 * 4 + 256 * 1024;

/// Has pictures made. Clones share its connections.
#[derive(Clone)]
pub struct Painter {
    endpoint: Endpoint,
    model: String,
    size: Option<String>,
    quality: Option<String>,
}

/// A picture, as the model gave it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Painted {
    /// The file.
    File(Vec<u8>),
    /// The URL at which the file is, for an hour or so: whoever has it may fetch the file.
    At(Secret<String>),
}

#[derive(Serialize)]
struct Request<'a> {
    model: &'a str,
    prompt: &'a str,
    n: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<&'a str>,
    /// Only the models that know the word: the others refuse it, and give the file anyway or an address anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<&'static str>,
    /// Who asks: the only field for that which pictures have, wherever.
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default, deserialize_with = "lenient")]
    data: Option<Vec<Picture>>,
    /// So SiliconFlow says it, with `data` beside it or without.
    #[serde(default, deserialize_with = "lenient")]
    images: Option<Vec<Picture>>,
    #[serde(default, deserialize_with = "lenient")]
    usage: Option<TokenUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Picture {
    b64_json: Option<String>,
    url: Option<String>,
}

#[derive(Deserialize)]
struct TokenUsage {
    input_tokens: u64,
    output_tokens: u64,
}

impl Painter {
    /// For the model in `images`, at its own address or that of `llm`; `None` where no model is set.
    pub fn new(http: reqwest::Client, images: &config::Images, llm: &config::Llm, clock: Clock) -> Option<Self> {
        let model = images.model.clone()?;
        let place = (images.base_url.as_ref(), "/images/generations");
        let endpoint = Endpoint::new(http, place, images.api_key.as_ref(), llm, images.timeout, clock);
        Some(Self { endpoint, model, size: images.size.clone(), quality: images.quality.clone() })
    }

    /// The model, and the host that it is asked at.
    pub fn place(&self) -> (&str, &str) {
        (&self.model, self.endpoint.host())
    }

    /// Has one picture made for the member whom upstreams may know as `identifier`, and what it cost in model tokens
    /// where the upstream says so.
    ///
    /// # Errors
    /// [`Error`]; [`Error::ContentFiltered`] when the wish is not allowed.
    pub(crate) async fn paint(
        &self,
        prompt: &str,
        identifier: Option<&str>,
    ) -> Result<(Painted, Option<Usage>), Error> {
        let request = Request {
            model: &self.model,
            prompt,
            n: 1,
            size: self.size.as_deref(),
            quality: self.quality.as_deref(),
            response_format: self.model.starts_with("dall-e").then_some("b64_json"),
            user: identifier.filter(|_| self.endpoint.tells_who()),
        };
        let body = self.endpoint.post(|post| post.json(&request), MAX_ANSWER_BYTES).await?;
        let garbage = || Error::Garbage { what: "an answer without a picture" };
        let answer: Answer = serde_json::from_slice(&body).map_err(|_| garbage())?;
        let usage = answer.usage.map(|usage| Usage {
            input: usage.input_tokens,
            output: usage.output_tokens,
            ..Usage::default()
        });
        let pictures = answer.data.into_iter().chain(answer.images).flatten();
        let painted = pictures.filter_map(Picture::painted).next().unwrap_or_else(|| Err(garbage()))?;
        Ok((painted, usage))
    }
}

impl Picture {
    /// The picture; `None` where this says nothing of one.
    fn painted(self) -> Option<Result<Painted, Error>> {
        let file = |base64: &str| {
            let file = STANDARD.decode(base64.trim()).map(Painted::File);
            file.map_err(|_| Error::Garbage { what: "a picture that is no base64" })
        };
        match self {
            Self { b64_json: Some(base64), .. } if !base64.is_empty() => Some(file(&base64)),
            Self { url: Some(url), .. } => Some(match url.split_once(";base64,") {
                Some((scheme, base64)) if scheme.starts_with("data:") => file(base64),
                _ => Ok(Painted::At(Secret::new(url))),
            }),
            _ => None,
        }
    }
}
