//! What members sent and the bot made, beside texts: named by what it is.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

/// Bytes of a name.
const NAME_BYTES: usize = 32;

/// Names a file by its content (SHA-256), so that the same picture sent twice is one file, and a file that was changed
/// is known to be another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaId([u8; NAME_BYTES]);

/// A text is no [`MediaId`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected 64 hexadecimal digits")]
pub struct InvalidMediaId;

impl MediaId {
    /// The name of a file with this content.
    pub fn of(content: &[u8]) -> Self {
        Self(Sha256::digest(content).into())
    }

    /// Reads the form that [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`InvalidMediaId`] when it is not that.
    pub fn parse(text: &str) -> Result<Self, InvalidMediaId> {
        let mut name = [0; NAME_BYTES];
        hex::decode_to_slice(text, &mut name).map_err(|_| InvalidMediaId)?;
        Ok(Self(name))
    }
}

impl fmt::Display for MediaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl Serialize for MediaId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MediaId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_survives_its_text_and_is_that_of_the_content() {
        let id = MediaId::of(b"abc");
        assert_eq!(id.to_string(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_eq!(MediaId::parse(&id.to_string()), Ok(id));
        for no_id in ["", "ba78", "../../etc/passwd", &"g".repeat(64)] {
            assert_eq!(MediaId::parse(no_id), Err(InvalidMediaId), "{no_id}");
        }
    }
}
