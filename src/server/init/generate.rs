//! A Token and an EncodingAESKey, drawn at random.

use anyhow::Context;

use crate::secret::Secret;

/// What both are made of.
const LETTERS: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
/// The longest Token that WeCom takes.
const TOKEN_LENGTH: usize = 32;
/// The length of an EncodingAESKey (page 90930).
const KEY_LENGTH: usize = 43;

/// A new Token: 32 letters and digits, 190 bits.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn token() -> anyhow::Result<Secret<String>> {
    drawn(TOKEN_LENGTH).map(Secret::new)
}

/// A new EncodingAESKey: 43 letters and digits that are base64 of 32 bytes.
///
/// # Errors
/// The system gives no random bytes.
pub(super) fn encoding_aes_key() -> anyhow::Result<Secret<String>> {
    loop {
        let key = drawn(KEY_LENGTH)?;
        // 43 characters carry two bits too many. Where they are zero, strict decoders of other programs agree with us.
        if key.ends_with(|last: char| "AEIMQUYcgkosw048".contains(last)) {
            return Ok(Secret::new(key));
        }
    }
}

fn drawn(length: usize) -> anyhow::Result<String> {
    let mut text = String::new();
    while text.len() < length {
        let mut bytes = [0; 64];
        getrandom::fill(&mut bytes).context("the system gives no random bytes")?;
        // From 248 on the first letters would come up more often than the others.
        let fair = bytes.iter().filter(|byte| **byte < 248).map(|byte| char::from(LETTERS[usize::from(*byte % 62)]));
        text.extend(fair.take(length - text.len()));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::wecom::crypto::{CallbackToken, EncodingAesKey};

    #[test]
    fn what_is_drawn_is_taken_and_differs() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..200 {
            let (token, key) = (token().expect("drawn"), encoding_aes_key().expect("drawn"));
            assert!(CallbackToken::parse(token.expose()).is_ok() && token.expose().len() == 32);
            assert!(EncodingAesKey::parse(key.expose()).is_ok());
            let strict = base64::prelude::BASE64_STANDARD_NO_PAD.decode(key.expose());
            assert_eq!(strict.expect("strict base64").len(), 32);
            assert!(seen.insert(token.expose().clone()) && seen.insert(key.expose().clone()));
        }
        let all: String = seen.into_iter().collect();
        assert!(LETTERS.iter().all(|letter| all.contains(char::from(*letter))), "every letter comes up");
    }
}
