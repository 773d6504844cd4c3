//! An HTTP request from WeCom, up to its decrypted body: signed, then verified, then opened. Each step consumes the
//! one before, so that nothing unverified is decrypted and nothing meant for another enterprise is read.
//!
//! Does not know what the body means (that is [`super::event`]) and keeps nothing: whether a callback was here before
//! is for whoever stores it. A new reason to turn a callback away is a variant of [`Rejection`].

use std::fmt;

use serde::Deserialize;

use super::{
    crypto::{self, CallbackToken, DecryptError, EncodingAesKey},
    xml::{Fields, XmlFault},
};
use crate::{
    clock::Timestamp,
    model::id::{AgentId, CorpId},
};

/// Why a callback was turned away: what is wrong and what would be right, for the administrator who sets WeCom up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A query parameter is not there: this is not WeCom calling, or a proxy drops the query.
    #[error(
        "the request has no `{0}`; WeCom sends it with each callback, so let no proxy drop the query, and check the \
         URL from WeCom's console instead of a browser"
    )]
    MissingParameter(&'static str),
    /// The envelope lacks the element that everything is in.
    #[error("the body's XML has no `Encrypt`; WeCom sends it with each callback of a self-built application")]
    MissingEncrypt,
    /// The signature is not ours.
    #[error(
        "the signature does not match; wecom.callback_token must be the Token in the application's 接收消息 settings"
    )]
    WrongSignature,
    /// The signature is right, the key is not.
    #[error(
        "the signature matches but the content does not decrypt ({0}); wecom.encoding_aes_key must be the \
         EncodingAESKey in the application's 接收消息 settings"
    )]
    Undecryptable(DecryptError),
    /// The signature is by the Token of before, and no key that we know opens the content.
    #[error(
        "the signature is by wecom.previous_callback_token but the content does not decrypt ({0}); \
         wecom.previous_encoding_aes_key must be the EncodingAESKey that is beside this Token in the application's \
         接收消息 settings"
    )]
    PreviousUndecryptable(DecryptError),
    /// Signature and key are right, the enterprise is not.
    #[error(
        "the content is for `{found}`; wecom.corp_id must be the 企业ID at the foot of 我的企业 in WeCom's console"
    )]
    OtherReceiver {
        /// Whom it is for, made printable and cut to 32 characters.
        found: String,
    },
    /// All is right but the application.
    #[error(
        "the content is for the application with the AgentId {found}; agent_id must be the AgentId of the application \
         whose callback URL leads here, and each application needs a path of its own"
    )]
    OtherAgent {
        /// Whom it is for.
        found: AgentId,
    },
    /// The XML cannot be read.
    #[error("the XML cannot be read: {0}; WeCom sends one well-formed UTF-8 document")]
    MalformedXml(&'static str),
    /// The XML brings a document type, which WeCom never does.
    #[error("the XML has a DOCTYPE; WeCom never sends one, and it is not read")]
    DtdPresent,
}

impl Rejection {
    /// A word that never changes, for logs and for counting.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::MissingParameter(_) => "missing_parameter",
            Self::MissingEncrypt => "missing_encrypt",
            Self::WrongSignature => "wrong_signature",
            Self::Undecryptable(_) | Self::PreviousUndecryptable(_) => "undecryptable",
            Self::OtherReceiver { .. } | Self::OtherAgent { .. } => "other_receiver",
            Self::MalformedXml(_) => "malformed_xml",
            Self::DtdPresent => "dtd_present",
        }
    }
}

impl From<XmlFault> for Rejection {
    fn from(fault: XmlFault) -> Self {
        match fault {
            XmlFault::Dtd => Self::DtdPresent,
            XmlFault::Malformed(why) => Self::MalformedXml(why),
        }
    }
}

/// The query of a callback, percent-decoded once. Anybody may send anything, so everything may be missing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CallbackQuery {
    /// The signature over the rest.
    pub msg_signature: Option<String>,
    /// When WeCom signed, in seconds since the epoch.
    pub timestamp: Option<String>,
    /// Random.
    pub nonce: Option<String>,
    /// What a URL verification wants to read back, encrypted. Only on GET.
    pub echostr: Option<String>,
}

/// A request that has all the parts of a callback. Nothing is known of them yet.
#[derive(Clone, Debug)]
pub struct SignedCallback {
    msg_signature: String,
    timestamp: String,
    nonce: String,
    encrypt: String,
}

impl SignedCallback {
    /// The GET by which WeCom's console verifies the URL. Its [`Payload`] is the body to answer with.
    ///
    /// # Errors
    /// [`Rejection::MissingParameter`].
    pub fn verification(query: CallbackQuery) -> Result<Self, Rejection> {
        // A form decoder makes a space of a literal plus; base64 holds none, so the space was one.
        let encrypt = present(query.echostr.clone(), "echostr")?.replace(' ', "+");
        Self::new(query, encrypt)
    }

    /// The POST of a message or an event. `body` is XML that names its `Encrypt`; the rest of it is not needed.
    ///
    /// # Errors
    /// [`Rejection::MissingParameter`], [`Rejection::MissingEncrypt`], or that the XML is refused.
    pub fn message(query: CallbackQuery, body: &[u8]) -> Result<Self, Rejection> {
        let envelope = Fields::read(utf8(body)?)?;
        let encrypt = envelope.word("Encrypt").ok_or(Rejection::MissingEncrypt)?.to_owned();
        Self::new(query, encrypt)
    }

    fn new(query: CallbackQuery, encrypt: String) -> Result<Self, Rejection> {
        Ok(Self {
            msg_signature: present(query.msg_signature, "msg_signature")?,
            timestamp: present(query.timestamp, "timestamp")?,
            nonce: present(query.nonce, "nonce")?,
            encrypt,
        })
    }

    /// Proves that WeCom sent it, or someone else who knows the Token.
    ///
    /// # Errors
    /// [`Rejection::WrongSignature`].
    pub fn verify(self, token: &CallbackToken) -> Result<VerifiedEnvelope, Rejection> {
        self.verify_any([token]).map(|(envelope, _)| envelope)
    }

    /// The same where several Tokens are good. Says which it was, counted from 0; the first that fits ends the search.
    ///
    /// # Errors
    /// [`Rejection::WrongSignature`] when none fits.
    pub(super) fn verify_any<'a>(
        self,
        tokens: impl IntoIterator<Item = &'a CallbackToken>,
    ) -> Result<(VerifiedEnvelope, usize), Rejection> {
        let Self { msg_signature, timestamp, nonce, encrypt } = self;
        let which = tokens
            .into_iter()
            .position(|token| crypto::signature_matches(token, &timestamp, &nonce, &encrypt, &msg_signature))
            .ok_or(Rejection::WrongSignature)?;
        let signed_at = Timestamp::from_secs(timestamp.parse().unwrap_or_default());
        Ok((VerifiedEnvelope { encrypt, signed_at }, which))
    }
}

/// A callback that is WeCom's.
#[derive(Clone, Debug)]
pub struct VerifiedEnvelope {
    encrypt: String,
    signed_at: Timestamp,
}

impl VerifiedEnvelope {
    /// Opens it, and proves that it is meant for the enterprise `receive_id`.
    ///
    /// # Errors
    /// [`Rejection::Undecryptable`], [`Rejection::OtherReceiver`].
    pub fn decrypt(self, key: &EncodingAesKey, receive_id: &CorpId) -> Result<Payload, Rejection> {
        self.open_with(key, receive_id)
    }

    /// The same, where another key may be tried after it.
    pub(super) fn open_with(&self, key: &EncodingAesKey, receive_id: &CorpId) -> Result<Payload, Rejection> {
        let decrypted = crypto::decrypt(key, &self.encrypt).map_err(Rejection::Undecryptable)?;
        if decrypted.receive_id != receive_id.as_str().as_bytes() {
            return Err(Rejection::OtherReceiver { found: printable(&decrypted.receive_id) });
        }
        Ok(Payload { message: decrypted.message, signed_at: self.signed_at })
    }
}

/// What WeCom said to us. Shows its length only: it is what an employee wrote.
#[derive(Clone)]
pub struct Payload {
    message: Vec<u8>,
    signed_at: Timestamp,
}

impl Payload {
    /// The decrypted bytes. For a URL verification they are the answer, unchanged: no quotes, no line end (page 90930).
    /// They look like a number and are none: one of 23 digits was seen.
    pub fn bytes(&self) -> &[u8] {
        &self.message
    }

    /// When WeCom signed the callback (whole seconds); the epoch where it did not write a number.
    pub const fn signed_at(&self) -> Timestamp {
        self.signed_at
    }
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Payload({} bytes)", self.message.len())
    }
}

/// `bytes` as the text that XML must be.
pub(super) fn utf8(bytes: &[u8]) -> Result<&str, Rejection> {
    str::from_utf8(bytes).map_err(|_| Rejection::MalformedXml("not UTF-8"))
}

fn present(value: Option<String>, name: &'static str) -> Result<String, Rejection> {
    value.filter(|value| !value.is_empty()).ok_or(Rejection::MissingParameter(name))
}

/// A foreign id as it may stand in a log: what a corp id is made of, and `?` for the rest.
fn printable(id: &[u8]) -> String {
    let shown =
        |byte: &u8| if byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') { char::from(*byte) } else { '?' };
    id.iter().take(32).map(shown).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wecom::crypto::tests::{Vector, vector, vectors};

    fn query(vector: &Vector) -> CallbackQuery {
        CallbackQuery {
            msg_signature: Some(vector.msg_signature.clone()),
            timestamp: Some(vector.timestamp.clone()),
            nonce: Some(vector.nonce.clone()),
            echostr: Some(vector.encrypt.clone()),
        }
    }

    fn open(vector: &Vector, callback: Result<SignedCallback, Rejection>) -> Result<Payload, Rejection> {
        let token = CallbackToken::parse(&vector.token).expect("token");
        let key = EncodingAesKey::parse(&vector.encoding_aes_key).expect("key");
        let corp = CorpId::parse(&vector.receive_id).expect("corp id");
        callback?.verify(&token)?.decrypt(&key, &corp)
    }

    #[test]
    fn the_published_callbacks_open_as_get_and_as_post() {
        for vector in vectors().iter().filter(|vector| !vector.receive_id.is_empty()) {
            let get = open(vector, SignedCallback::verification(query(vector))).expect(&vector.id);
            assert_eq!(get.bytes(), vector.plaintext.as_bytes(), "{}", vector.id);
            let body = format!("<xml><Encrypt><![CDATA[{}]]></Encrypt></xml>", vector.encrypt);
            let post = open(vector, SignedCallback::message(query(vector), body.as_bytes())).expect(&vector.id);
            assert_eq!(post.bytes(), vector.plaintext.as_bytes(), "{}", vector.id);
            assert_eq!(post.signed_at().as_secs().to_string(), vector.timestamp);
        }
    }

    #[test]
    fn an_envelope_may_be_written_in_any_way_that_names_its_encrypt() {
        let vector = vector("B");
        let e = &vector.encrypt;
        let bodies = [
            format!("<xml><ToUserName>wx</ToUserName><Encrypt><![CDATA[{e}]]></Encrypt><AgentID>7</AgentID></xml>"),
            format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<xml>\n<AgentID/><Encrypt>\n{e}\n</Encrypt></xml>\n"),
        ];
        for body in bodies {
            assert!(open(&vector, SignedCallback::message(query(&vector), body.as_bytes())).is_ok(), "{body}");
        }
    }

    #[test]
    fn an_echo_whose_plus_became_a_space_still_opens() {
        let vector = vector("A");
        let mut query = query(&vector);
        query.echostr = query.echostr.map(|echo| echo.replace('+', " "));
        assert!(query.echostr.as_ref().is_some_and(|echo| echo.contains(' ')));
        let echo = open(&vector, SignedCallback::verification(query)).expect("opens");
        assert_eq!(echo.bytes(), b"1616140317555161061");
    }

    #[test]
    fn each_rejection_names_its_cause_and_its_cure() {
        let vector = vector("A");
        let signed = || SignedCallback::verification(query(&vector)).expect("callback");
        let token = CallbackToken::parse(&vector.token).expect("token");
        let verified = || signed().verify(&token).expect("verified");
        let key = |text: &str| EncodingAesKey::parse(text).expect("key");
        let ours = CorpId::parse(&vector.receive_id).expect("corp id");

        let other_token = CallbackToken::parse("QDG6eL").expect("token");
        let other_key = key("6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt");
        let other_corp = CorpId::parse("ww1").expect("corp id");
        let cases = [
            (SignedCallback::verification(CallbackQuery::default()).map(drop), "missing_parameter", "echostr"),
            (signed().verify(&other_token).map(drop), "wrong_signature", "wecom.callback_token"),
            (verified().decrypt(&other_key, &ours).map(drop), "undecryptable", "wecom.encoding_aes_key"),
            (
                verified().decrypt(&key(&vector.encoding_aes_key), &other_corp).map(drop),
                "other_receiver",
                "`wx5823bf96d3bd56c7`",
            ),
            (SignedCallback::message(query(&vector), b"<xml/>").map(drop), "missing_encrypt", "Encrypt"),
            (SignedCallback::message(query(&vector), b"{\"encrypt\":\"\"}").map(drop), "malformed_xml", "XML"),
            (SignedCallback::message(query(&vector), b"<xml>\xFF</xml>").map(drop), "malformed_xml", "not UTF-8"),
            (SignedCallback::message(query(&vector), b"<!DOCTYPE xml><xml/>").map(drop), "dtd_present", "DOCTYPE"),
        ];
        for (outcome, reason, telling) in cases {
            let rejection = outcome.expect_err(reason);
            assert_eq!(rejection.reason(), reason);
            let told = rejection.to_string();
            assert!(told.contains(telling) && !told.contains('\n'), "{told}");
        }
    }

    #[test]
    fn a_query_without_any_one_part_is_turned_away() {
        let vector = vector("A");
        let whole = query(&vector);
        let empty = || Some(String::new());
        let cases = [
            ("msg_signature", CallbackQuery { msg_signature: None, ..whole.clone() }),
            ("timestamp", CallbackQuery { timestamp: empty(), ..whole.clone() }),
            ("nonce", CallbackQuery { nonce: None, ..whole.clone() }),
            ("echostr", CallbackQuery { echostr: empty(), ..whole }),
        ];
        for (name, query) in cases {
            let rejection = SignedCallback::verification(query).expect_err(name);
            assert_eq!(rejection, Rejection::MissingParameter(name));
        }
    }

    #[test]
    fn a_foreign_receive_id_is_fit_for_a_log() {
        assert_eq!(printable(b"ww1\n\x1b[31m\xFF"), "ww1???31m?");
        assert_eq!(printable(&[b'a'; 100]).len(), 32);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn no_body_makes_it_panic(body in proptest::collection::vec(any::<u8>(), 0..120)) {
            let _ = SignedCallback::message(query(&vector("A")), &body);
        }

        #[test]
        fn a_callback_changed_at_any_byte_is_turned_away(at in 0_usize..88, to in "[A-Za-z0-9+/]") {
            let vector = vector("A");
            let mut changed = query(&vector);
            let mut echo = vector.encrypt.clone();
            echo.replace_range(at..=at, &to);
            prop_assume!(echo != vector.encrypt);
            changed.echostr = Some(echo);
            let rejection = open(&vector, SignedCallback::verification(changed)).err();
            prop_assert_eq!(rejection, Some(Rejection::WrongSignature));
        }
    }
}
