//! Master keys: what opens the ring, and comes from outside.

use std::fmt;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use ring::hmac;
use zeroize::Zeroizing;

use super::{
    NoRandomBytes,
    seal::{KEY_BYTES, Key, random_key},
};
use crate::secret::Secret;

/// For the check value of a master key.
const NAMING: &[u8] = b"qimate master key: its id, 1";
/// For the key by which it wraps.
const WRAPPING: &[u8] = b"qimate master key: wraps, 1";

/// As `openssl rand -base64 32` writes it; people lose the `=` at the end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The text is no master key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Not Base64.
    NotBase64,
    /// Of another length; so many bytes.
    Bytes(usize),
}

/// Tells one master key from another, and nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MasterKeyId([u8; 8]);

impl MasterKeyId {
    /// Reads what [`fmt::Display`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        hex::decode(text).ok()?.try_into().ok().map(Self)
    }

    /// What it is bound by.
    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for MasterKeyId {
    /// 16 hexadecimal digits.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// 256 bits that wrap data keys. Shows its id and nothing else.
#[derive(Clone)]
pub struct MasterKey {
    id: MasterKeyId,
    wrapping: Key,
}

impl MasterKey {
    /// Reads 32 bytes in Base64, with or without `=` at the end.
    ///
    /// # Errors
    /// [`Malformed`]; it does not quote the text.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let bytes = Zeroizing::new(BASE64.decode(text.trim()).map_err(|_| Malformed::NotBase64)?);
        let key = <[u8; KEY_BYTES]>::try_from(bytes.as_slice()).map_err(|_| Malformed::Bytes(bytes.len()))?;
        Ok(Self::of(&Zeroizing::new(key)))
    }

    /// A new one, as it is written into the configuration.
    ///
    /// # Errors
    /// [`NoRandomBytes`]
    pub fn draw() -> Result<(Self, Secret<String>), NoRandomBytes> {
        let key = random_key()?;
        Ok((Self::of(&key), Secret::new(STANDARD.encode(*key))))
    }

    /// Each purpose has a key of its own: HMAC-SHA-256 is a pseudorandom function of what stands behind it.
    fn of(key: &Key) -> Self {
        let derive = hmac::Key::new(hmac::HMAC_SHA256, &**key);
        let (mut id, mut wrapping) = ([0; 8], Key::default());
        id.copy_from_slice(&hmac::sign(&derive, NAMING).as_ref()[..8]);
        wrapping.copy_from_slice(hmac::sign(&derive, WRAPPING).as_ref());
        Self { id: MasterKeyId(id), wrapping }
    }

    /// Which one it is.
    pub const fn id(&self) -> MasterKeyId {
        self.id
    }

    pub(super) const fn wrapping(&self) -> &Key {
        &self.wrapping
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Stars, and which one it is.
impl fmt::Display for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "*** (id {})", self.id)
    }
}

/// The master keys that are set.
#[derive(Clone, Debug)]
pub struct MasterKeys {
    /// By which is sealed.
    pub current: MasterKey,
    /// By which is read too, while one takes the place of the other.
    pub previous: Option<MasterKey>,
}

impl MasterKeys {
    /// The one of this id.
    pub fn find(&self, id: MasterKeyId) -> Option<&MasterKey> {
        self.all().find(|key| key.id() == id)
    }

    /// All of them, the current one first.
    pub fn all(&self) -> impl Iterator<Item = &MasterKey> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_key_is_32_bytes_in_base64() {
        let (key, text) = MasterKey::draw().unwrap();
        for written in [text.expose().clone(), format!(" {}\n", text.expose()), text.expose().replace('=', "")] {
            assert_eq!(MasterKey::parse(&written).unwrap().id(), key.id());
        }
        assert_eq!(MasterKeyId::parse(&key.id().to_string()), Some(key.id()));
        for (wrong, why) in
            [("令牌", Malformed::NotBase64), ("", Malformed::Bytes(0)), ("aHVudGVyMg==", Malformed::Bytes(7))]
        {
            assert_eq!(MasterKey::parse(wrong).unwrap_err(), why);
        }
    }

    #[test]
    fn a_master_key_shows_its_id_alone() {
        let (key, text) = MasterKey::draw().unwrap();
        let shown = format!("{key} {key:?} {:?}", MasterKeys { current: key.clone(), previous: Some(key.clone()) });
        assert!(shown.contains(&key.id().to_string()) && !shown.contains(&text.expose()[..8]), "{shown}");
        assert!(!shown.contains(&hex::encode(**key.wrapping())[..8]), "{shown}");
    }
}
