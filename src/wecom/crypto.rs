//! The callback's signature and cipher (page 90968), in both directions: what we verify and decrypt, the sandbox signs
//! and encrypts.
//!
//! Knows no XML and no HTTP. Not ours to extend: the scheme is WeCom's, and the golden vectors below hold it.

use aes::Aes256;
use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit, block_padding::NoPadding};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::secret::Secret;

/// Base64 as WeCom writes it. The 43 characters of an EncodingAESKey carry two bits more than 32 bytes need, and
/// WeCom does not zero them: a strict decoder refuses three keys of four, the official sample's among them.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Bytes of the AES block, of the initialisation vector, and of the random bytes before each message.
const BLOCK: usize = 16;
/// What WeCom pads to: PKCS#7, but to 32 bytes instead of AES's 16, so a library's padding refuses half of it.
const PAD_TO: usize = 32;
/// Bytes of the random prefix and of the length that stand before the message.
const HEADER: usize = BLOCK + 4;

/// A callback secret is not one. Never shows what was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// The Token.
    #[error("expected 1 to 32 letters and digits, as WeCom's console shows them beside Token")]
    Token,
    /// The EncodingAESKey.
    #[error("expected exactly 43 letters and digits, as WeCom's console shows them beside EncodingAESKey")]
    AesKey,
}

/// The callback's Token: proves that a callback is WeCom's.
#[derive(Clone, Debug)]
pub struct CallbackToken(Secret<String>);

impl CallbackToken {
    /// Takes 1 to 32 ASCII letters and digits, which is what the console offers (page 90930).
    ///
    /// # Errors
    /// [`InvalidKey::Token`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let fits = (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if fits { Ok(Self(Secret::new(text.to_owned()))) } else { Err(InvalidKey::Token) }
    }
}

/// The callback's EncodingAESKey: opens what WeCom sends.
#[derive(Clone, Debug)]
pub struct EncodingAesKey(Secret<[u8; 32]>);

impl EncodingAesKey {
    /// Takes exactly 43 ASCII letters and digits.
    ///
    /// # Errors
    /// [`InvalidKey::AesKey`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        if text.len() != 43 || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidKey::AesKey);
        }
        let bytes = BASE64.decode(text).map_err(|_| InvalidKey::AesKey)?;
        let key = <[u8; 32]>::try_from(bytes).map_err(|_| InvalidKey::AesKey)?;
        Ok(Self(Secret::new(key)))
    }

    /// The AES key, and the initialisation vector, which WeCom takes from the key's first half.
    fn key_and_iv(&self) -> (&[u8; 32], [u8; BLOCK]) {
        let key = self.0.expose();
        let mut iv = [0; BLOCK];
        iv.copy_from_slice(&key[..BLOCK]);
        (key, iv)
    }
}

/// The signature of a callback, in lower-case hex. `encrypt` is the base64 text as it travels.
pub fn signature(token: &CallbackToken, timestamp: &str, nonce: &str, encrypt: &str) -> String {
    let mut parts = [token.0.expose().as_str(), timestamp, nonce, encrypt];
    parts.sort_unstable();
    let mut hash = Sha1::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// Whether `given` is the [`signature`] of the rest. Takes the same time for every wrong one, so that the right one
/// cannot be felt for byte by byte.
pub fn signature_matches(token: &CallbackToken, timestamp: &str, nonce: &str, encrypt: &str, given: &str) -> bool {
    signature(token, timestamp, nonce, encrypt).as_bytes().ct_eq(given.as_bytes()).into()
}

/// What a ciphertext held.
#[derive(Clone, PartialEq, Eq)]
pub struct Decrypted {
    /// The message, any bytes.
    pub message: Vec<u8>,
    /// Whom it was encrypted for: the corp id for a self-built application's callback.
    pub receive_id: Vec<u8>,
}

/// A ciphertext did not open. With the right key none of this happens to what WeCom sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It is not base64.
    #[error("not base64")]
    Encoding,
    /// Its length is not that of whole AES blocks.
    #[error("not whole blocks")]
    Blocks,
    /// What it decrypts to does not end in a padding.
    #[error("no padding at the end")]
    Padding,
    /// What it decrypts to is shorter than it says.
    #[error("the message is longer than its frame")]
    Frame,
}

/// Opens `encrypt` (base64).
///
/// # Errors
/// [`DecryptError`] when the key is not the one it was encrypted with, or it was not encrypted at all.
pub fn decrypt(key: &EncodingAesKey, encrypt: &str) -> Result<Decrypted, DecryptError> {
    let ciphertext = BASE64.decode(encrypt).map_err(|_| DecryptError::Encoding)?;
    let (key, iv) = key.key_and_iv();
    let mut plain = cbc::Decryptor::<Aes256>::new(key.into(), &iv.into())
        .decrypt_padded_vec::<NoPadding>(&ciphertext)
        .map_err(|_| DecryptError::Blocks)?;
    unpad(&mut plain)?;

    let (header, rest) = plain.split_at_checked(HEADER).ok_or(DecryptError::Frame)?;
    let length = header[BLOCK..].iter().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let (message, receive_id) = rest.split_at_checked(length).ok_or(DecryptError::Frame)?;
    Ok(Decrypted { message: message.to_vec(), receive_id: receive_id.to_vec() })
}

/// Encrypts `message` for `receive_id`, as base64. `random` must be unpredictable outside tests: the initialisation
/// vector never changes, so these bytes alone make equal messages look different.
pub fn encrypt(key: &EncodingAesKey, receive_id: &str, message: &[u8], random: [u8; BLOCK]) -> String {
    // A longer message would need 4 GiB of memory first; its receiver would refuse the frame.
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    let mut plain = Vec::with_capacity(HEADER + message.len() + receive_id.len() + PAD_TO);
    plain.extend_from_slice(&random);
    plain.extend_from_slice(&length.to_be_bytes());
    plain.extend_from_slice(message);
    plain.extend_from_slice(receive_id.as_bytes());
    pad(&mut plain);

    let (key, iv) = key.key_and_iv();
    let ciphertext = cbc::Encryptor::<Aes256>::new(key.into(), &iv.into()).encrypt_padded_vec::<NoPadding>(&plain);
    BASE64.encode(ciphertext)
}

/// Adds 1 to 32 bytes, each of which is their number.
fn pad(plain: &mut Vec<u8>) {
    let missing = PAD_TO - plain.len() % PAD_TO;
    plain.resize(plain.len() + missing, missing as u8);
}

/// Takes away what [`pad`] added.
fn unpad(plain: &mut Vec<u8>) -> Result<(), DecryptError> {
    let count = plain.last().copied().map_or(0, usize::from);
    let start = plain.len().checked_sub(count).ok_or(DecryptError::Padding)?;
    let is_padding = (1..=PAD_TO).contains(&count) && plain[start..].iter().all(|byte| usize::from(*byte) == count);
    if !is_padding {
        return Err(DecryptError::Padding);
    }
    plain.truncate(start);
    Ok(())
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde::Deserialize;

    use super::*;

    /// A published callback, or one that an independent implementation made.
    #[derive(Deserialize)]
    pub(in crate::wecom) struct Vector {
        pub(in crate::wecom) id: String,
        pub(in crate::wecom) token: String,
        pub(in crate::wecom) encoding_aes_key: String,
        pub(in crate::wecom) receive_id: String,
        pub(in crate::wecom) msg_signature: String,
        pub(in crate::wecom) timestamp: String,
        pub(in crate::wecom) nonce: String,
        random: String,
        pub(in crate::wecom) encrypt: String,
        pub(in crate::wecom) plaintext: String,
    }

    pub(in crate::wecom) fn vectors() -> Vec<Vector> {
        serde_json::from_str(include_str!("../../tests/fixtures/vectors.json")).expect("vectors")
    }

    pub(in crate::wecom) fn vector(id: &str) -> Vector {
        vectors().into_iter().find(|vector| vector.id == id).expect("a vector of this id")
    }

    fn key() -> EncodingAesKey {
        EncodingAesKey::parse("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C").expect("key")
    }

    #[test]
    fn every_golden_vector_is_signed_encrypted_and_decrypted_alike() {
        for vector in vectors() {
            let id = &vector.id;
            let token = CallbackToken::parse(&vector.token).expect(id);
            let key = EncodingAesKey::parse(&vector.encoding_aes_key).expect(id);
            let random = vector.random.as_bytes().try_into().expect("16 bytes");
            let signed = signature(&token, &vector.timestamp, &vector.nonce, &vector.encrypt);
            assert_eq!(signed, vector.msg_signature, "{id}");
            assert_eq!(encrypt(&key, &vector.receive_id, vector.plaintext.as_bytes(), random), vector.encrypt, "{id}");
            let decrypted = decrypt(&key, &vector.encrypt).expect(id);
            assert_eq!(decrypted.message, vector.plaintext.as_bytes(), "{id}");
            assert_eq!(decrypted.receive_id, vector.receive_id.as_bytes(), "{id}");
        }
    }

    #[test]
    fn a_signature_matches_only_itself() {
        let vector = vector("B");
        let token = CallbackToken::parse(&vector.token).expect("token");
        let matches = |given: &str| signature_matches(&token, &vector.timestamp, &vector.nonce, &vector.encrypt, given);
        assert!(matches(&vector.msg_signature));
        for wrong in ["", "4", &vector.msg_signature[..39], &vector.msg_signature.replace('7', "8")] {
            assert!(!matches(wrong), "{wrong}");
        }
    }

    #[test]
    fn secrets_are_what_the_console_offers_and_do_not_show_themselves() {
        let good = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
        for bad in ["", &good[..42], &format!("{good}A"), &format!("{}=", &good[..42]), &format!("{}$", &good[..42])] {
            assert_eq!(EncodingAesKey::parse(bad).err(), Some(InvalidKey::AesKey), "{bad}");
        }
        for bad in ["", "a b", "toké", &"a".repeat(33)] {
            assert_eq!(CallbackToken::parse(bad).err(), Some(InvalidKey::Token), "{bad}");
        }
        let token = CallbackToken::parse("QDG6eK").expect("token");
        assert_eq!(format!("{token:?} {:?}", key()), "CallbackToken(***) EncodingAesKey(***)");
    }

    #[test]
    fn a_broken_ciphertext_says_where_it_broke() {
        let raw = |plain: &[u8]| {
            let key = key();
            let (key, iv) = key.key_and_iv();
            BASE64.encode(cbc::Encryptor::<Aes256>::new(key.into(), &iv.into()).encrypt_padded_vec::<NoPadding>(plain))
        };
        let framed = |length: u32| {
            let mut plain = [&[b'r'; BLOCK][..], &length.to_be_bytes()].concat();
            pad(&mut plain);
            raw(&plain)
        };
        let cases = [
            ("%%%".to_owned(), DecryptError::Encoding),
            (BASE64.encode([0; 17]), DecryptError::Blocks),
            (String::new(), DecryptError::Padding),
            (raw(&[0; 32]), DecryptError::Padding),
            (raw(&[33; 64]), DecryptError::Padding),
            (raw(&[32; 16]), DecryptError::Padding),
            (raw(&[&[0; 31][..], &[2]].concat()), DecryptError::Padding),
            (raw(&[16; 32]), DecryptError::Frame),
            (framed(1), DecryptError::Frame),
            (framed(u32::MAX), DecryptError::Frame),
        ];
        for (encrypt, expected) in cases {
            assert_eq!(decrypt(&key(), &encrypt).err(), Some(expected), "{encrypt}");
        }
        assert!(decrypt(&key(), &framed(0)).is_ok());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        #[test]
        fn what_was_encrypted_is_decrypted(
            message in proptest::collection::vec(any::<u8>(), 0..200),
            receive_id in "[a-z0-9]{0,40}",
            random: [u8; 16],
        ) {
            let decrypted = decrypt(&key(), &encrypt(&key(), &receive_id, &message, random)).expect("decrypts");
            prop_assert_eq!(decrypted.message, message);
            prop_assert_eq!(decrypted.receive_id, receive_id.into_bytes());
        }

        #[test]
        fn hostile_bytes_are_refused_without_a_panic(
            blocks in proptest::collection::vec(any::<[u8; 16]>(), 0..8),
            text in ".{0,80}",
        ) {
            let _ = decrypt(&key(), &BASE64.encode(blocks.concat()));
            let _ = decrypt(&key(), &text);
        }
    }
}
