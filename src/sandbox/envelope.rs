//! A callback as WeCom sends it: the inner XML, encrypted and signed.
//!
//! Writes XML and query strings; the cipher and the signature are `wecom::crypto`'s, which golden vectors hold.

use crate::{
    model::id::{AgentId, CorpId},
    wecom::crypto::{CallbackToken, EncodingAesKey, encrypt, signature},
};

/// What a callback is sealed with.
#[derive(Debug)]
pub(super) struct Seal {
    corp: CorpId,
    agent: AgentId,
    token: CallbackToken,
    key: EncodingAesKey,
}

/// A signed ciphertext with the parameters that the signature covers.
#[derive(Debug)]
pub(super) struct Envelope {
    pub(super) timestamp: String,
    pub(super) nonce: String,
    pub(super) encrypt: String,
    pub(super) msg_signature: String,
}

impl Seal {
    /// Takes the callback's Token and EncodingAESKey; the error says what is wrong with them.
    pub(super) fn new(corp: CorpId, agent: AgentId, token: &str, key: &str) -> Result<Self, String> {
        let token = CallbackToken::parse(token).map_err(|error| error.to_string())?;
        let key = EncodingAesKey::parse(key).map_err(|error| error.to_string())?;
        Ok(Self { corp, agent, token, key })
    }

    /// Encrypts and signs `message`, as at `timestamp` (epoch seconds).
    pub(super) fn seal(&self, message: &str, timestamp: i64) -> Envelope {
        let timestamp = timestamp.to_string();
        let nonce = (u32::from_be_bytes(super::random()) % 1_900_000_000).to_string();
        let encrypt = encrypt(&self.key, self.corp.as_str(), message.as_bytes(), super::random());
        let msg_signature = signature(&self.token, &timestamp, &nonce, &encrypt);
        Envelope { timestamp, nonce, encrypt, msg_signature }
    }

    /// The body that carries `envelope`.
    pub(super) fn body(&self, envelope: &Envelope) -> String {
        let Self { corp, agent, .. } = self;
        format!(
            "<xml><ToUserName><![CDATA[{corp}]]></ToUserName><AgentID><![CDATA[{agent}]]></AgentID>\
             <Encrypt><![CDATA[{}]]></Encrypt></xml>",
            envelope.encrypt
        )
    }
}

/// `text` as a CDATA section, whatever it holds: a `]]>` inside is split over two sections.
pub(super) fn cdata(text: &str) -> String {
    format!("<![CDATA[{}]]>", text.replace("]]>", "]]]]><![CDATA[>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_value_whatever_it_holds() {
        assert_eq!(cdata("a<b>&"), "<![CDATA[a<b>&]]>");
        assert_eq!(cdata("x]]>y"), "<![CDATA[x]]]]><![CDATA[>y]]>");
    }
}
