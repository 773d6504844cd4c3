//! `[wecom]`: the application in WeCom's console.

use std::time::Duration;

use super::{
    fault::Wrong,
    reader::{Reader, Reported, credential},
    setting::Value,
    url,
};
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
    /// The Token of before, while it is being changed.
    pub previous_callback_token: Option<Secret<String>>,
    /// The EncodingAESKey of before, while it is being changed.
    pub previous_encoding_aes_key: Option<Secret<String>>,
    /// Where the API is, without `/cgi-bin` and without a trailing slash.
    pub api_base: String,
    /// The proxy for every call to the API. May hold a password.
    pub proxy: Option<Secret<String>>,
    /// The longest a call to the API may take.
    pub timeout: Duration,
    /// How many `message/send` calls may be under way at once.
    pub max_concurrent_sends: usize,
}

impl Wecom {
    /// Looks at what the section says for all applications where it has none of its own.
    pub(super) fn read_for_all(reader: &mut Reader<'_>) -> Result<(), Reported> {
        let corp_id = reader.optional_text("wecom.corp_id", corp_id);
        let api_base = reader.text("wecom.api_base", api_base);
        let proxy = reader.proxy("wecom.proxy");
        let timeout = reader.whole("wecom.timeout_seconds", 1..=3600_u64);
        let max_concurrent_sends = reader.whole("wecom.max_concurrent_sends", 1..=1000);
        let _: usize = max_concurrent_sends?;
        corp_id.and(api_base).and(proxy).and(timeout).map(|_| ())
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let previous_callback_token = reader.optional_text("wecom.previous_callback_token", callback_token);
        let previous_encoding_aes_key = reader.optional_text("wecom.previous_encoding_aes_key", encoding_aes_key);
        let corp_id = reader.required(
            "wecom.corp_id",
            ["企业ID（我的企业 → 企业信息 → 企业ID）", "your enterprise's id (我的企业 → 企业信息 → 企业ID)"],
            |value| corp_id(value.text()?),
        );
        let agent_id = reader.required(
            "wecom.agent_id",
            ["AgentId（应用管理 → 自建 → 应用）", "the app's AgentId (应用管理 → 自建 → 应用)"],
            agent_id,
        );
        let secret = reader.required(
            "wecom.secret",
            ["Secret（应用管理 → 自建 → 应用）", "the app's Secret (应用管理 → 自建 → 应用)"],
            |value| credential(value.text()?),
        );
        let callback_token = reader.required(
            "wecom.callback_token",
            ["Token（应用 → 接收消息）", "the callback's Token (应用 → 接收消息)"],
            |value| callback_token(value.text()?),
        );
        let encoding_aes_key = reader.required(
            "wecom.encoding_aes_key",
            ["EncodingAESKey（应用 → 接收消息）", "the callback's EncodingAESKey (应用 → 接收消息)"],
            |value| encoding_aes_key(value.text()?),
        );
        let api_base = reader.text("wecom.api_base", api_base);
        let proxy = reader.proxy("wecom.proxy");
        let timeout = reader.whole("wecom.timeout_seconds", 1..=3600);
        let max_concurrent_sends = reader.whole("wecom.max_concurrent_sends", 1..=1000);
        Ok(Self {
            corp_id: corp_id?,
            agent_id: agent_id?,
            secret: secret?,
            callback_token: callback_token?,
            encoding_aes_key: encoding_aes_key?,
            previous_callback_token: previous_callback_token?,
            previous_encoding_aes_key: previous_encoding_aes_key?,
            api_base: api_base?,
            proxy: proxy?,
            timeout: Duration::from_secs(timeout?),
            max_concurrent_sends: max_concurrent_sends?,
        })
    }
}

fn corp_id(text: &str) -> Result<CorpId, Wrong> {
    CorpId::parse(text).map_err(|error| {
        Wrong::new(
            ["不是企业ID", "is not a corp id"].map(str::to_owned),
            ["应为 ww1436e0e65a779aee 这样的字母和数字".to_owned(), error.to_string()],
        )
    })
}

/// The console shows a number; many write it in quotes.
fn agent_id(value: &Value) -> Result<AgentId, Wrong> {
    let number = match value {
        Value::Whole(number) => u64::try_from(*number).ok(),
        Value::Text(text) | Value::Untyped(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.map(AgentId::new).ok_or_else(|| {
        Wrong::new(
            ["不是整数", "is not a whole number"],
            ["应只有数字，例如 1000002", "expected digits only, such as 1000002"],
        )
    })
}

fn callback_token(text: &str) -> Result<Secret<String>, Wrong> {
    letters_and_digits(
        text,
        1,
        32,
        [
            "应为与管理后台相同的 1 到 32 个字母或数字",
            "expected 1 to 32 letters and digits, the same as in WeCom's console",
        ],
    )
}

fn encoding_aes_key(text: &str) -> Result<Secret<String>, Wrong> {
    letters_and_digits(
        text,
        43,
        43,
        [
            "应为与管理后台相同的 43 个字母或数字",
            "expected exactly 43 letters and digits, the same as in WeCom's console",
        ],
    )
}

fn letters_and_digits(
    text: &str,
    least: usize,
    most: usize,
    right: [&'static str; 2],
) -> Result<Secret<String>, Wrong> {
    let length = text.chars().count();
    if !(least..=most).contains(&length) {
        return Err(Wrong::new([format!("有 {length} 个字符"), format!("has {length} characters")], right));
    }
    if !text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(Wrong::new(["含有字母和数字以外的字符", "holds something else than letters and digits"], right));
    }
    Ok(Secret::new(text.to_owned()))
}

/// Every path that we call begins with `/cgi-bin`; people copy the address with it and without.
fn api_base(text: &str) -> Result<String, Wrong> {
    let base = url::api(text)?;
    Ok(base.strip_suffix("/cgi-bin").unwrap_or(&base).trim_end_matches('/').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_api_base_is_taken_with_and_without_cgi_bin() {
        for end in ["", "/", "/cgi-bin", "/cgi-bin/", "//cgi-bin//"] {
            for base in ["https://qyapi.weixin.qq.com", "http://10.0.0.7:9000/wecom"] {
                assert_eq!(api_base(&format!("{base}{end}")).ok().as_deref(), Some(base), "{base}{end}");
            }
        }
        assert!(api_base("qyapi.weixin.qq.com").is_err());
    }

    #[test]
    fn the_callbacks_secrets_have_their_lengths() {
        let told = |text: &str| encoding_aes_key(text).err().map(|wrong| format!("{wrong:?}")).unwrap_or_default();
        assert!(encoding_aes_key(&"a".repeat(43)).is_ok());
        assert!(told(&"a".repeat(42)).contains("has 42 characters"));
        assert!(told(&format!("{}=", "a".repeat(42))).contains("something else"));
        for (good, text) in
            [(true, "a"), (true, &*"9".repeat(32)), (false, &*"9".repeat(33)), (false, "a-b"), (false, "令牌")]
        {
            assert_eq!(callback_token(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn an_agent_id_is_a_number_in_quotes_or_without() {
        let id = |value: Value| agent_id(&value).ok();
        assert_eq!(id(Value::Whole(1_000_002)), Some(AgentId::new(1_000_002)));
        assert_eq!(id(Value::Text("1000002".to_owned())), Some(AgentId::new(1_000_002)));
        for bad in [Value::Whole(-1), Value::Text("ww1".to_owned()), Value::Flag(true), Value::Fraction(1.0)] {
            assert_eq!(id(bad), None);
        }
    }
}
