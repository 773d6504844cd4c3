//! A certificate with its key, out of PEM.
//!
//! Knows no files and no authority, only bytes and what can be wrong with them.

use std::sync::Arc;

use rustls::{
    InconsistentKeys,
    crypto::ring,
    pki_types::{
        CertificateDer, PrivateKeyDer,
        pem::{self, PemObject},
    },
    sign::CertifiedKey,
};
use x509_cert::{
    Certificate as X509,
    der::Decode,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

use crate::clock::Timestamp;

/// What is served: a certificate that was read, whose key is its own.
#[derive(Clone, Debug)]
pub(super) struct Certificate {
    /// The chain, the server's own certificate first, with the key.
    pub(super) key: Arc<CertifiedKey>,
    /// The domains it is for, separated by commas.
    pub(super) names: String,
    /// Since when it is good.
    pub(super) not_before: Timestamp,
    /// Until when it is good.
    pub(super) not_after: Timestamp,
}

/// What is wrong with the bytes. Each sentence follows the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// Nothing of the kind is in there.
    #[error("holds no certificate; expected PEM, which begins with -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// PEM that ends too early, or is not base64.
    #[error("is damaged or not complete: its certificate is no whole PEM")]
    BrokenCertificate,
    /// PEM around something else.
    #[error("holds a certificate that cannot be read")]
    UnreadableCertificate,
    /// Nothing of the kind is in there.
    #[error("holds no private key; expected PEM, which begins with -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// PEM that ends too early, or is not base64.
    #[error("is damaged or not complete: its private key is no whole PEM")]
    BrokenKey,
    /// Nobody is there to type the password.
    #[error("is protected by a password; take it off with `openssl pkey -in FILE -out FILE`")]
    EncryptedKey,
    /// An algorithm that TLS does not use.
    #[error("holds a private key of a kind that cannot be used; expected RSA (2048 bits or more), ECDSA or Ed25519")]
    UnusableKey,
    /// The two are not a pair.
    #[error(
        "does not fit the certificate: it is another certificate's key, or the certificate's file does not begin with \
         the server's own certificate"
    )]
    OtherKey,
}

impl Fault {
    /// Whether the private key is what is wrong.
    pub(super) const fn is_about_the_key(&self) -> bool {
        !matches!(self, Self::NoCertificate | Self::BrokenCertificate | Self::UnreadableCertificate)
    }
}

impl Certificate {
    /// Reads the chain from `certificates` and the key from `key`; the same bytes may hold both.
    pub(super) fn from_pem(certificates: &[u8], key: &[u8]) -> Result<Self, Fault> {
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(certificates)
            .collect::<Result<_, _>>()
            .map_err(|_| Fault::BrokenCertificate)?;
        let own = chain.first().ok_or(Fault::NoCertificate)?;
        let own = X509::from_der(own).map_err(|_| Fault::UnreadableCertificate)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound if is_encrypted(key) => Fault::EncryptedKey,
            pem::Error::NoItemsFound => Fault::NoKey,
            _ => Fault::BrokenKey,
        })?;
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider()).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => Fault::OtherKey,
            rustls::Error::InvalidCertificate(_) => Fault::UnreadableCertificate,
            _ => Fault::UnusableKey,
        })?;

        let validity = own.tbs_certificate().validity();
        let at = |time: x509_cert::time::Time| {
            Timestamp::from_secs(i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX))
        };
        Ok(Self {
            key: Arc::new(key),
            names: names(&own),
            not_before: at(validity.not_before),
            not_after: at(validity.not_after),
        })
    }
}

/// Older tools write the password's traces into the section, newer ones into its name.
fn is_encrypted(key: &[u8]) -> bool {
    let holds = |words: &[u8]| key.windows(words.len()).any(|window| window == words);
    holds(b"BEGIN ENCRYPTED PRIVATE KEY")
}

fn names(certificate: &X509) -> String {
    let names = certificate.tbs_certificate().get_extension::<SubjectAltName>();
    let Ok(Some((_, SubjectAltName(names)))) = names else { return String::new() };
    let dns = names.iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.as_str()),
        _ => None,
    });
    dns.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
