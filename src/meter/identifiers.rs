//! Who a member is to an upstream: always the same, and nothing that says who.

use std::{fmt, sync::Arc};

use hmac::{Hmac, KeyInit, Mac, digest::Key};
use sha2::Sha256;

use super::{Meter, Payer};
use crate::secret::Secret;

/// Makes identifiers. Clones make the same.
#[derive(Clone)]
pub struct Identifiers(Arc<Hmac<Sha256>>);

impl Identifiers {
    /// With this key, which must stay the same and be known to nobody.
    pub fn new(key: &Secret<[u8; 32]>) -> Self {
        // A key as short as this is filled up to the block of SHA-256, which is half of the work for an identifier.
        let mut block = Key::<Hmac<Sha256>>::default();
        block[..key.expose().len()].copy_from_slice(key.expose());
        Self(Arc::new(Hmac::new(&block)))
    }

    /// The member's: HMAC-SHA256 of `corp/userid`, the userid in lower case, as 64 hexadecimal digits, which is the most
    /// that OpenAI takes.
    fn of(&self, payer: Payer<'_>) -> Arc<str> {
        let mut mac = Hmac::clone(&self.0);
        mac.update(payer.corp.as_str().as_bytes());
        mac.update(b"/");
        mac.update(payer.member.key().as_bytes());
        hex::encode(mac.finalize().into_bytes()).into()
    }
}

impl Meter {
    /// Lets upstreams know members by `identifiers`, where they are to be told.
    pub fn with_identifiers(self, identifiers: Identifiers) -> Self {
        Self { identifiers: Some(identifiers), ..self }
    }

    /// What an upstream may be told of the payer.
    pub(super) fn identifier_of(&self, payer: Payer<'_>) -> Option<Arc<str>> {
        self.identifiers.as_ref().map(|identifiers| identifiers.of(payer))
    }
}

impl fmt::Debug for Identifiers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identifiers")
    }
}
