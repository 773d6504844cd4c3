//! Encryption at rest: secrets that administrators put into the database lie there sealed.
//!
//! A *master key* comes from the configuration and is never stored. It wraps the *data keys* of the ring, and a data key
//! seals values, so that two master keys can stand beside each other while one takes the place of the other: each data
//! key says by which it is wrapped. Everything is ChaCha20-Poly1305 with a random nonce of 96 bits, bound to what it is
//! and whose it is, so that no row can be put in the place of another. A data key seals some tens of values in its life;
//! random nonces are good for 2^32.
//!
//! Knows no table, no setting and no sentence for people. It is `ring` that encrypts: it is in the program for TLS
//! already, so it costs nothing, and it is constant in time on machines without AES instructions too.

pub mod keyring;
pub mod master;
mod seal;

pub use self::{
    keyring::{KeyRing, Sealed, SealedValue, WrappedKey},
    master::{Malformed, MasterKey, MasterKeyId, MasterKeys},
};

/// The system gives no random bytes, so nothing can be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random bytes")]
pub struct NoRandomBytes;

/// Why what is stored cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// No master key is set.
    NoMasterKey {
        /// The one that is needed.
        needed: MasterKeyId,
    },
    /// None of the master keys that are set is the one that is needed.
    OtherMasterKey {
        /// The one that is needed.
        needed: MasterKeyId,
        /// Those that are set.
        set: Vec<MasterKeyId>,
    },
    /// The master key is the right one, and the data key is not as it was stored.
    DamagedKey {
        /// Its number.
        number: i64,
    },
    /// The value is not as it was stored, or is that of another name.
    DamagedValue {
        /// Its name.
        name: String,
    },
}
