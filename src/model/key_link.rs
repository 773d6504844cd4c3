//! One-time links by which members get the keys that they make themselves (`/key`).
//!
//! A link is no key: the key is made when the link is used, and a link that nobody uses leaves nothing behind. Of what
//! stands in a link only a hash is kept, as of a key.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::{
    id::{AgentId, CorpId, MemberId},
    key::{KeyHash, KeyId, Malformed, SECRET_BYTES},
    language::Language,
};
use crate::secret::Secret;

/// For how long a link is good: long enough to go to a computer, short enough that one that was overlooked opens nothing.
pub const LINK_VALID: Duration = Duration::from_secs(10 * 60);
/// For how long the secret of before is good beside a new one: the default of `qimate key rotate`.
pub const GRACE: Duration = Duration::from_secs(24 * 60 * 60);

/// What stands in a link: 256 bits drawn at random, as hexadecimal digits. Never shows itself.
#[derive(Clone, Debug)]
pub struct LinkToken(Secret<String>);

impl LinkToken {
    /// From bytes that were drawn.
    pub fn of(bytes: [u8; SECRET_BYTES]) -> Self {
        Self(Secret::new(hex::encode(bytes)))
    }

    /// Reads what [`LinkToken::text`] writes.
    ///
    /// # Errors
    /// [`Malformed`] for anything else: nobody needs to be asked about it.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let is_one =
            text.len() == 2 * SECRET_BYTES && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        if is_one { Ok(Self(Secret::new(text.to_owned()))) } else { Err(Malformed) }
    }

    /// As it stands in the link.
    pub const fn text(&self) -> &Secret<String> {
        &self.0
    }

    /// What is kept of it. As long as what was drawn, so there is nothing to be found by trying.
    pub fn hash(&self) -> KeyHash {
        KeyHash::from_stored(Sha256::digest(self.0.expose()).into())
    }
}

/// What a member wishes for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyWish {
    /// What the key is called.
    pub name: String,
    /// The key that gets a new secret; `None`: a new key.
    pub rotates: Option<KeyId>,
    /// In which language the member is spoken to.
    pub language: Language,
}

/// A link as it is kept.
#[derive(Clone, Debug)]
pub struct KeyLink {
    /// Of its token.
    pub hash: KeyHash,
    /// The enterprise.
    pub corp: CorpId,
    /// The application in which it was asked for.
    pub agent: AgentId,
    /// Whose it is, and will the key be.
    pub member: MemberId,
    /// What for.
    pub wish: KeyWish,
}

/// Why a member of whom all else is well gets no key of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hindrance {
    /// They have as many as they may.
    Full,
    /// The key that was to get a new secret is none that they made and that is good.
    NotTheirs,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_as_it_is_written_and_shows_itself_to_nobody() {
        let token = LinkToken::of([0xab; SECRET_BYTES]);
        let text = token.text().expose().clone();
        assert_eq!(text.len(), 64);
        assert!(LinkToken::parse(&text).expect("a token").hash().is(&token.hash()));
        assert!(!format!("{token:?}").contains("abab"));
        for wrong in [&text[1..], &format!("{text}0"), &text.to_uppercase(), "", &"g".repeat(64), &"é".repeat(32)] {
            assert!(LinkToken::parse(wrong).is_err(), "{wrong}");
        }
    }
}
