//! The callback's envelope: nothing unsigned is opened, and what was put in comes out.

use proptest::{prop_assert, prop_assert_eq};
use qimate::{
    model::id::CorpId,
    wecom::{
        callback::{CallbackQuery, Payload, Rejection, SignedCallback},
        crypto::{self, CallbackToken, EncodingAesKey},
    },
};

use crate::run::run;

pub const CORP: &str = "ww1436e0e65a779aee";
const TOKEN: &str = "hJqcu3uJ9Tn2gXPmxx2w9kkCkCE2EPYo";
const KEY: &str = "6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt";

fn keys() -> (CallbackToken, EncodingAesKey, CorpId) {
    (CallbackToken::parse(TOKEN).unwrap(), EncodingAesKey::parse(KEY).unwrap(), CorpId::parse(CORP).unwrap())
}

fn query(signature: String) -> CallbackQuery {
    let some = |text: &str| Some(text.to_owned());
    CallbackQuery { msg_signature: Some(signature), timestamp: some("1790000000"), nonce: some("nonce"), echostr: None }
}

fn signed(encrypt: &str) -> CallbackQuery {
    query(crypto::signature(&keys().0, "1790000000", "nonce", encrypt))
}

fn body(encrypt: &str) -> String {
    format!("<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{encrypt}]]></Encrypt></xml>")
}

/// As WeCom sends `message` to this application, and as it is received.
pub fn received(message: &[u8]) -> Result<Payload, Rejection> {
    let encrypt = crypto::encrypt(&keys().1, CORP, message, [7; 16]);
    open(signed(&encrypt), body(&encrypt).as_bytes())
}

fn open(query: CallbackQuery, body: &[u8]) -> Result<Payload, Rejection> {
    let (token, key, corp) = keys();
    SignedCallback::message(query, body)?.verify(&token)?.decrypt(&key, &corp)
}

const WORDS: &[&str] = &["<Encrypt>", "</Encrypt>", "<![CDATA[", "]]>", "<!DOCTYPE", "&#x41;", "<xml>", "=", "+", "\0"];

#[test]
fn envelope() {
    run("envelope", WORDS, |input| {
        // As somebody's body: without the signature of just this ciphertext it is not opened.
        let forged = query("0".repeat(40));
        prop_assert!(open(forged, input).is_err());
        // As a message of WeCom's.
        let payload = received(input).map_err(|why| proptest::test_runner::TestCaseError::fail(why.to_string()))?;
        prop_assert_eq!(payload.bytes(), input);
        // As a ciphertext that somebody signed who knows the Token and not the key.
        let text = String::from_utf8_lossy(input);
        let word: String = text.chars().filter(|c| !matches!(c, '<' | '&' | ']') && !c.is_control()).collect();
        if let Ok(payload) = open(signed(&word), body(&word).as_bytes()) {
            // It may be one: then it can be made again.
            let again = received(payload.bytes()).unwrap();
            prop_assert_eq!(again.bytes(), payload.bytes());
        }
        // A ciphertext with one bit changed does not pass for the signed one.
        let encrypt = crypto::encrypt(&keys().1, CORP, input, [7; 16]);
        let mut changed = encrypt.clone().into_bytes();
        let at = input.len() % changed.len();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        prop_assert!(matches!(open(signed(&encrypt), body(&changed).as_bytes()), Err(Rejection::WrongSignature)));
        Ok(())
    });
}
