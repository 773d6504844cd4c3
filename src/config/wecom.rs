//! `[wecom]`: the application in WeCom's console.

use std::time::Duration;

use crate::{
    model::id::{AgentId, CorpId},
    secret::Secret,
};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Wecom {
    /// The enterprise (我的企业 → 企业信息 → 企业ID).
    pub corp_id: CorpId,
    /// The application (应用管理 → the app → AgentId).
    pub agent_id: AgentId,
    /// The application's secret.
    pub secret: Secret<String>,
    /// The callback's Token.
    pub callback_token: Secret<String>,
    /// The callback's EncodingAESKey: 43 letters and digits.
    pub encoding_aes_key: Secret<String>,
    /// Where the API is, without `/cgi-bin` and without a trailing slash.
    pub api_base: String,
    /// The proxy for every call to the API. May hold a password.
    pub proxy: Option<Secret<String>>,
    /// The longest a call to the API may take.
    pub timeout: Duration,
    /// How many `message/send` calls may be under way at once.
    pub max_concurrent_sends: usize,
}
