//! A callback as WeCom sends it: the inner XML, encrypted and signed.
//!
//! Writes XML and query strings; the cipher and the signature are `wecom::crypto`'s, which golden vectors hold.

use crate::model::id::{AgentId, CorpId};

use self::shim::{CallbackToken, EncodingAesKey, encrypt, signature};

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

/// Stands in for `crate::wecom::crypto` until that lands; its functions have these names and signatures.
mod shim {
    use aes::Aes256;
    use base64::{
        Engine, alphabet,
        engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
    };
    use cbc::cipher::{BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
    use sha1::{Digest, Sha1};

    use crate::secret::Secret;

    const BASE64: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new()
            .with_decode_allow_trailing_bits(true)
            .with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );

    #[derive(Debug)]
    pub(super) struct CallbackToken(Secret<String>);

    impl CallbackToken {
        pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
            let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
            fits.then(|| Self(Secret::new(text.to_owned()))).ok_or("a Token is 1 to 32 letters and digits")
        }
    }

    #[derive(Debug)]
    pub(super) struct EncodingAesKey(Secret<[u8; 32]>);

    impl EncodingAesKey {
        pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
            let bytes = BASE64.decode(text).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            bytes.map(|key| Self(Secret::new(key))).ok_or("an EncodingAESKey is 43 letters and digits")
        }
    }

    pub(super) fn signature(token: &CallbackToken, timestamp: &str, nonce: &str, encrypt: &str) -> String {
        let mut parts = [token.0.expose().as_str(), timestamp, nonce, encrypt];
        parts.sort_unstable();
        hex::encode(Sha1::digest(parts.concat()))
    }

    pub(super) fn encrypt(key: &EncodingAesKey, receive_id: &str, message: &[u8], random: [u8; 16]) -> String {
        let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
        let mut plain = [&random[..], &length.to_be_bytes(), message, receive_id.as_bytes()].concat();
        let missing = 32 - plain.len() % 32;
        plain.resize(plain.len() + missing, missing as u8);
        let key = key.0.expose();
        let mut iv = [0; 16];
        iv.copy_from_slice(&key[..16]);
        BASE64.encode(cbc::Encryptor::<Aes256>::new(key.into(), &iv.into()).encrypt_padded_vec::<NoPadding>(&plain))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_stays_one_value_whatever_it_holds() {
        assert_eq!(cdata("a<b>&"), "<![CDATA[a<b>&]]>");
        assert_eq!(cdata("x]]>y"), "<![CDATA[x]]]]><![CDATA[>y]]>");
    }

    #[test]
    fn a_golden_vector_comes_out_as_published() {
        let token = CallbackToken::parse("QDG6eK").expect("token");
        let key = EncodingAesKey::parse("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C").expect("key");
        let encrypt = encrypt(&key, "wx5823bf96d3bd56c7", b"1616140317555161061", *b"c41b64491c2468d0");
        assert_eq!(encrypt, "P9nAzCzyDtyTWESHep1vC5X9xho/qYX3Zpb4yKa9SKld1DsH3Iyt3tP3zNdtp+4RPcs8TgAE7OaBO+FZXvnaqQ==");
        let signed = signature(&token, "1409659589", "263014780", &encrypt);
        assert_eq!(signed, "5c45ff5e21c57e6ad56bac8758b79b1d9ac89fd3");
    }
}
