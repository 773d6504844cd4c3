//! Whom this process believes when it calls somebody over HTTPS.

use std::sync::{Arc, OnceLock};

use reqwest::ClientBuilder;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};

use super::Error;

/// Who vouches for the certificate of whoever is called.
#[derive(Clone, Debug)]
pub enum Trust {
    /// The authorities that the machine trusts and, beside them, Mozilla's, so that it works in an image without any.
    Usual,
    /// These too, of which there is one at least.
    UsualAnd(Vec<CertificateDer<'static>>),
    /// Nobody: any certificate will do.
    Nobody,
}

impl Trust {
    pub(super) fn of(self, builder: ClientBuilder) -> Result<ClientBuilder, Error> {
        Ok(match self {
            Self::Usual => builder.tls_backend_preconfigured(usual()?),
            Self::UsualAnd(more) => {
                let mut roots = usual_roots();
                more.into_iter().try_for_each(|root| roots.add(root)).map_err(Error::Tls)?;
                builder.tls_backend_preconfigured(trusting(roots)?)
            }
            Self::Nobody => builder.tls_danger_accept_invalid_certs(true),
        })
    }
}

/// What clients share: the certificates are read once and are in memory once, and so are the sessions that a later
/// connection goes on with.
fn usual() -> Result<ClientConfig, Error> {
    static USUAL: OnceLock<ClientConfig> = OnceLock::new();
    if let Some(there) = USUAL.get() {
        return Ok(there.clone());
    }
    let config = trusting(usual_roots())?;
    Ok(USUAL.get_or_init(|| config).clone())
}

fn usual_roots() -> RootCertStore {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // What cannot be read there vouches for nobody; Mozilla's are enough for most.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    roots
}

fn trusting(roots: RootCertStore) -> Result<ClientConfig, Error> {
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_certificate_is_refused_and_not_passed_over() {
        let garbage = Trust::UsualAnd(vec![CertificateDer::from(b"no certificate".to_vec())]);
        assert!(matches!(garbage.of(reqwest::Client::builder()), Err(Error::Tls(_))));
        assert!(Trust::Usual.of(reqwest::Client::builder()).is_ok());
    }
}
