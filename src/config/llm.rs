//! `[llm]`: the model.

use std::{collections::BTreeMap, time::Duration};

use crate::secret::Secret;

/// The section's values.
#[derive(Clone, Debug)]
pub struct Llm {
    /// Where the OpenAI-compatible API is, with its version, without a trailing slash: `https://api.openai.com/v1`.
    pub base_url: String,
    /// The key; `None` for an upstream that asks for none.
    pub api_key: Option<Secret<String>>,
    /// The model's name as the upstream knows it.
    pub model: String,
    /// What the model is told before every conversation. Empty: nothing.
    pub system_prompt: String,
    /// Sampling temperature; `None` leaves it to the upstream.
    pub temperature: Option<f64>,
    /// `reasoning_effort`, where the model takes one.
    pub reasoning_effort: Option<String>,
    /// The longest answer in model tokens; `None` leaves it to the upstream.
    pub max_output_tokens: Option<u32>,
    /// Headers sent with every request.
    pub extra_headers: BTreeMap<String, Secret<String>>,
    /// The proxy for every call. May hold a password.
    pub proxy: Option<Secret<String>>,
    /// The longest a connection may take to be made.
    pub connect_timeout: Duration,
    /// The longest until the first piece of the answer.
    pub first_delta_timeout: Duration,
    /// The longest between two pieces.
    pub gap_timeout: Duration,
    /// The longest a whole answer may take.
    pub answer_timeout: Duration,
    /// How often a request is tried again before its first piece came. 0: never.
    pub max_retries: u32,
}
