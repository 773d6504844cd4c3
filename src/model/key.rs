//! API keys: how one is written, and what may be done with it.
//!
//! A key is `qm_<id>_<secret><checksum>`: a prefix by which scanners of leaked secrets know it, a public id by which
//! people name it, 256 bits drawn at random, and a checksum of all that, so that a slip of the finger is told without
//! anybody being asked. Of the secret only a hash is kept: it is as long as the hash, so a plain SHA-256 gives nothing
//! away, and there is nothing to be found by trying.

use std::{collections::BTreeSet, fmt, marker::PhantomData, net::IpAddr};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{
    id::{CorpId, MemberId},
    network::Network,
};
use crate::{clock::Timestamp, secret::Secret};

/// What secrets of this form are for, told by how they begin.
pub trait Purpose {
    /// What each begins with.
    const PREFIX: &'static str;
}

/// Programs that ask at `/v1`.
#[derive(Clone, Copy, Debug)]
pub enum Programs {}

impl Purpose for Programs {
    const PREFIX: &'static str = "qm_";
}

/// Bytes of a public id; written in hexadecimal digits.
pub const ID_BYTES: usize = 6;
/// Bytes of a secret.
pub const SECRET_BYTES: usize = 32;
/// Hexadecimal digits of the checksum.
const CHECKSUM: usize = 8;

/// The longest name of a key, in characters.
pub const LONGEST_NAME: usize = 64;

/// Whether a text can name a key: 1 to [`LONGEST_NAME`] characters, none of them a control character.
pub fn is_name(text: &str) -> bool {
    (1..=LONGEST_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// A text that is no key of ours. Says nothing of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a secret as Qimate shows it when it is made")]
pub struct Malformed;

/// The public part of a key: it names the key and opens nothing.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

impl KeyId {
    /// From bytes that were drawn.
    pub fn of(bytes: [u8; ID_BYTES]) -> Self {
        Self(hex::encode(bytes))
    }

    /// Takes twelve small hexadecimal digits.
    ///
    /// # Errors
    /// [`Malformed`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        if text.len() == 2 * ID_BYTES && is_hex(text) { Ok(Self(text.to_owned())) } else { Err(Malformed) }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What is kept of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHash([u8; 32]);

impl KeyHash {
    /// Read back from the store.
    pub const fn from_stored(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// To be stored.
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether both are of the same secret, in the same time wherever they differ.
    pub fn is(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// A whole key, as a program brings it.
pub type KeyText = SecretText<Programs>;

/// A prefix, a public id, a secret and a checksum. Shows its id and never its secret.
#[derive(Clone, Debug)]
pub struct SecretText<P> {
    /// Its public part.
    pub id: KeyId,
    secret: Secret<String>,
    purpose: PhantomData<P>,
}

impl<P: Purpose> SecretText<P> {
    /// From bytes that were drawn.
    pub fn of(id: KeyId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret: Secret::new(hex::encode(secret)), purpose: PhantomData }
    }

    /// Reads what [`SecretText::text`] writes.
    ///
    /// # Errors
    /// [`Malformed`] for anything else: nobody needs to be asked about it.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let (id, rest) = text.strip_prefix(P::PREFIX).and_then(|rest| rest.split_once('_')).ok_or(Malformed)?;
        if rest.len() != 2 * SECRET_BYTES + CHECKSUM || !is_hex(rest) {
            return Err(Malformed);
        }
        let (secret, checksum) = rest.split_at(2 * SECRET_BYTES);
        let key = Self { id: KeyId::parse(id)?, secret: Secret::new(secret.to_owned()), purpose: PhantomData };
        if key.checksum() == checksum { Ok(key) } else { Err(Malformed) }
    }

    /// All of it, for the one moment in which it is shown.
    pub fn text(&self) -> Secret<String> {
        Secret::new(format!("{}{}_{}{}", P::PREFIX, self.id, self.secret.expose(), self.checksum()))
    }

    /// What is kept of its secret.
    pub fn hash(&self) -> KeyHash {
        KeyHash(Sha256::digest(self.secret.expose()).into())
    }

    /// A hash for another use, from which neither the secret nor [`SecretText::hash`] can be told.
    pub fn hash_for(&self, usage: &str) -> KeyHash {
        KeyHash(Sha256::digest(format!("{usage}:{}", self.secret.expose())).into())
    }

    fn checksum(&self) -> String {
        format!("{:08x}", crc32(format!("{}{}_{}", P::PREFIX, self.id, self.secret.expose()).as_bytes()))
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The CRC-32 of Ethernet and zip: it finds every slip of up to four digits in a row.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xEDB8_8320 & (crc & 1).wrapping_neg()))
    })
}

/// Who asks by a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Owner {
    /// A member: what bounds the member bounds the key.
    Member(MemberId),
    /// A program of the company.
    Service,
}

impl Owner {
    /// The member, where it is one.
    pub const fn member(&self) -> Option<&MemberId> {
        match self {
            Self::Member(member) => Some(member),
            Self::Service => None,
        }
    }
}

/// What can be asked by a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Endpoint {
    /// `/v1/chat/completions`
    Chat,
    /// `/v1/responses`
    Responses,
    /// `/v1/embeddings`
    Embeddings,
    /// `/v1/images/generations`
    Images,
    /// `/v1/audio/speech`
    Speech,
    /// `/v1/audio/transcriptions`
    Transcriptions,
    /// `/v1/models`
    Models,
}

impl Endpoint {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Chat, Self::Responses, Self::Embeddings, Self::Images, Self::Speech, Self::Transcriptions, Self::Models];

    /// The word in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Chat => "chat",
            Self::Responses => "responses",
            Self::Embeddings => "embeddings",
            Self::Images => "images",
            Self::Speech => "speech",
            Self::Transcriptions => "transcriptions",
            Self::Models => "models",
        }
    }
}

/// What a key is good for. `None`, and no networks, mean: everything, from everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// The aliases that may be asked for.
    pub models: Option<BTreeSet<String>>,
    /// What may be asked.
    pub endpoints: Option<BTreeSet<Endpoint>>,
    /// From where.
    pub networks: Vec<Network>,
}

impl Scope {
    /// Whether a model of this alias may be asked.
    pub fn has_model(&self, alias: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(alias))
    }

    /// Whether this may be asked.
    pub fn has_endpoint(&self, endpoint: Endpoint) -> bool {
        self.endpoints.as_ref().is_none_or(|endpoints| endpoints.contains(&endpoint))
    }

    /// Whether somebody at this address may ask.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.networks.is_empty() || self.networks.iter().any(|network| network.holds(address))
    }
}

/// A key as it is kept.
#[derive(Clone, Debug)]
pub struct ApiKey {
    /// Its number, by which what it used is kept.
    pub number: i64,
    /// Its public part.
    pub id: KeyId,
    /// The enterprise.
    pub corp: CorpId,
    /// Who asks by it.
    pub owner: Owner,
    /// What people call it.
    pub name: String,
    /// What it is good for.
    pub scope: Scope,
    /// What another system calls it, at most once among the keys of an enterprise that are not revoked.
    pub external_id: Option<String>,
    /// Whether the member whose it is made it (`/key`); otherwise an operator did.
    pub self_made: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// Since when it is refused for good.
    pub revoked_at: Option<Timestamp>,
    /// When it was used last, to a minute.
    pub last_used_at: Option<Timestamp>,
    /// Of its secret.
    pub hash: KeyHash,
    /// Of the secret before, and until when that is good too.
    pub previous: Option<(KeyHash, Timestamp)>,
}

/// Whether a key is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is.
    Good,
    /// Its time is over.
    Expired,
    /// Somebody took it back.
    Revoked,
}

impl Standing {
    /// Of what was taken back then, and ends then.
    pub(super) fn of(revoked_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        match (revoked_at, expires_at) {
            (Some(_), _) => Self::Revoked,
            (None, Some(at)) if at <= now => Self::Expired,
            (None, _) => Self::Good,
        }
    }

    /// The word in tables and answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        }
    }
}

impl ApiKey {
    /// Whether it is good.
    pub fn standing(&self, now: Timestamp) -> Standing {
        Standing::of(self.revoked_at, self.expires_at, now)
    }

    /// Whether that is its secret, or the one before within its grace. Both are always looked at.
    pub fn is_opened_by(&self, hash: &KeyHash, now: Timestamp) -> bool {
        let current = self.hash.is(hash);
        let previous = self.previous.as_ref().is_some_and(|(previous, until)| previous.is(hash) && now < *until);
        current || previous
    }
}

#[cfg(test)]
mod tests;
