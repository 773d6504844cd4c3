//! Names that people have already: OpenAI's own, and those of a chatgpt-on-wechat deployment for WeCom. They count
//! where neither a file nor one of our variables sets the key; in capitals or in small letters.
//!
//! To add one: a line in [`NAMES`], and its name in the head of `config.example.toml`.

use super::fault::Wrong;

/// One such name.
pub(super) struct Legacy {
    /// In capitals.
    pub(super) variable: &'static str,
    /// The key that it sets.
    pub(super) key: &'static str,
    /// From its meaning there to ours.
    pub(super) adapt: fn(&str) -> Result<String, Wrong>,
}

/// The port on which a chatgpt-on-wechat deployment listens; it has no address beside it.
pub(super) const PORT: &str = "WECHATCOMAPP_PORT";

/// Where two set one key, the first counts.
pub(super) const NAMES: &[Legacy] = &[
    same("OPENAI_API_KEY", "llm.api_key"),
    same("OPENAI_BASE_URL", "llm.base_url"),
    same("OPENAI_MODEL", "llm.model"),
    same("WECHATCOM_CORP_ID", "wecom.corp_id"),
    same("WECHATCOMAPP_TOKEN", "wecom.callback_token"),
    same("WECHATCOMAPP_SECRET", "wecom.secret"),
    same("WECHATCOMAPP_AGENT_ID", "wecom.agent_id"),
    same("WECHATCOMAPP_AES_KEY", "wecom.encoding_aes_key"),
    same("OPEN_AI_API_KEY", "llm.api_key"),
    same("OPEN_AI_API_BASE", "llm.base_url"),
    same("MODEL", "llm.model"),
    same("CHARACTER_DESC", "llm.system_prompt"),
    same("CONVERSATION_MAX_TOKENS", "chat.context_tokens"),
    Legacy { variable: "PROXY", key: "llm.proxy", adapt: with_scheme },
    Legacy { variable: "EXPIRES_IN_SECONDS", key: "chat.idle_minutes", adapt: minutes },
];

const fn same(variable: &'static str, key: &'static str) -> Legacy {
    Legacy { variable, key, adapt: |value| Ok(value.to_owned()) }
}

/// There, a proxy is often `host:port`.
fn with_scheme(proxy: &str) -> Result<String, Wrong> {
    Ok(if proxy.contains("://") { proxy.to_owned() } else { format!("http://{proxy}") })
}

/// Rounded up: a conversation lasts no shorter than it did there. 0 means never, there and here.
fn minutes(seconds: &str) -> Result<String, Wrong> {
    match seconds.parse::<u64>() {
        Ok(seconds) => Ok(seconds.div_ceil(60).to_string()),
        Err(_) => Err(Wrong::new(
            ["不是整数", "is not a whole number"],
            ["应为秒数，0 表示永不", "expected seconds, or 0 for never"],
        )),
    }
}
