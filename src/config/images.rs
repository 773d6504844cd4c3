//! `[images]`: pictures that a model makes.

use std::time::Duration;

use super::{
    llm::base_url,
    reader::{Reader, Reported, any, credential},
};
use crate::secret::Secret;

/// The section's values.
#[derive(Clone, Debug)]
pub struct Images {
    /// The model that makes pictures; `None`: nobody does, and a wish for one is a question like any other.
    pub model: Option<String>,
    /// Where it is; `None`: where the model is.
    pub base_url: Option<String>,
    /// Its key; `None`: the model's key, where the address is the model's too.
    pub api_key: Option<Secret<String>>,
    /// The size, as the model knows it, such as `1024x1024`; `None` leaves it to the model.
    pub size: Option<String>,
    /// The quality, as the model knows it; `None` leaves it to the model.
    pub quality: Option<String>,
    /// What one costs, in micro-units of `team.currency`.
    pub price: u64,
    /// The longest that making one may take.
    pub timeout: Duration,
}

impl Images {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let model = reader.optional_text("images.model", any);
        let base_url = reader.optional_text("images.base_url", base_url);
        let api_key = reader.optional_text("images.api_key", credential);
        let size = reader.optional_text("images.size", any);
        let quality = reader.optional_text("images.quality", any);
        let price = reader.price("images.price");
        let timeout = reader.whole("images.timeout_seconds", 1..=600);
        Ok(Self {
            model: model?,
            base_url: base_url?,
            api_key: api_key?,
            size: size?,
            quality: quality?,
            price: price?,
            timeout: Duration::from_secs(timeout?),
        })
    }
}
