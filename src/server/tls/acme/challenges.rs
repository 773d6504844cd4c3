//! Which certificate a handshake gets: the one that is served, or the answer to the authority's question.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::{
    crypto::ring::sign::any_ecdsa_type,
    pki_types::PrivateKeyDer,
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};

use crate::server::tls::{ACME_CHALLENGE, resolver::Served};

/// The certificate that is served, and the answers to what an authority asks at this moment.
///
/// Until there is a certificate, handshakes that name a domain fail, and those by address get a certificate that nobody
/// trusts: so `qimate healthcheck` and a load balancer can see that the process is well, and is not to be started again
/// and again, each time with a new order.
#[derive(Debug)]
pub(in crate::server) struct Challenges {
    served: Served,
    answers: Mutex<BTreeMap<String, Arc<CertifiedKey>>>,
    by_address: Arc<CertifiedKey>,
}

impl Challenges {
    /// Nothing is served and nothing asked yet.
    ///
    /// # Errors
    /// No key can be made: the system gives no random bytes.
    pub(super) fn new() -> Result<Self, rcgen::Error> {
        let by_address = self_signed(CertificateParams::new(vec!["qimate.invalid".to_owned()])?)?;
        Ok(Self { served: Served::default(), answers: Mutex::default(), by_address })
    }

    /// From now on this certificate.
    pub(super) fn serve(&self, key: Arc<CertifiedKey>) {
        self.served.replace(key);
    }

    /// The authority will ask for `domain`; `digest` is what proves that we are the ones who ordered (32 bytes).
    ///
    /// # Errors
    /// No key can be made.
    pub(super) fn expect(&self, domain: &str, digest: &[u8]) -> Result<(), rcgen::Error> {
        let mut params = CertificateParams::new(vec![domain.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let answer = self_signed(params)?;
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(domain.to_owned(), answer);
        Ok(())
    }

    /// The authority has asked.
    pub(super) fn clear(&self) {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

impl ResolvesServerCert for Challenges {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_authority = client.alpn().is_some_and(|protocols| protocols.eq([ACME_CHALLENGE]));
        match client.server_name() {
            Some(domain) if is_authority => {
                self.answers.lock().unwrap_or_else(PoisonError::into_inner).get(domain).cloned()
            }
            None if !is_authority => self.served.get().or_else(|| Some(Arc::clone(&self.by_address))),
            Some(_) => self.served.get(),
            None => None,
        }
    }
}

fn self_signed(params: CertificateParams) -> Result<Arc<CertifiedKey>, rcgen::Error> {
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let key = any_ecdsa_type(&key).map_err(|_| rcgen::Error::CouldNotParseKeyPair)?;
    Ok(Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key)))
}
