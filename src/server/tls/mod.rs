//! HTTPS on the main address, without a proxy in front: TLS 1.2 and 1.3 by rustls, and a certificate that is either
//! kept in files or fetched and renewed by ACME.
//!
//! [`prepare`] makes two things of the configuration: an [`Acceptor`], which turns a TCP connection into a TLS one, and
//! a [`Keeper`], which runs beside the server and looks after the certificate. They share what is served
//! ([`resolver::Served`]); a new certificate counts from the next handshake on, and no connection is broken for it.
//!
//! Knows no HTTP. To take certificates from somewhere else, add a variant to `config::tls::Tls` and follow the compiler.

#[cfg(feature = "acme")]
mod acme;
mod certificate;
mod files;
mod resolver;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use anyhow::Context;
use rustls::{ServerConfig, server::ResolvesServerCert, version};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use self::{certificate::Certificate, files::Files};
use crate::{
    alert::observation,
    clock::{Clock, Timestamp},
    config::{Config, tls::Tls},
};

/// How long a handshake may take: some round trips, over the slowest of networks.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// The only protocol that is spoken inside.
const HTTP: &[u8] = b"http/1.1";
/// The protocol of an ACME authority that checks who answers for a domain (RFC 8737). Nothing is said in it.
const ACME_CHALLENGE: &[u8] = b"acme-tls/1";

/// Makes what the configuration asks for; `None` where it asks for plain HTTP.
///
/// # Errors
/// A file cannot be read or used (the message names it and what is wrong), or the build has no ACME.
pub(super) async fn prepare(config: &Config, clock: &Clock) -> anyhow::Result<Option<(Acceptor, Keeper)>> {
    match &config.tls {
        Tls::Off => Ok(None),
        Tls::Files { certificate, private_key } => {
            let files = Files::open(certificate.clone(), private_key.clone(), clock.clone()).await?;
            let acceptor = Acceptor::new(files.served(), &[HTTP], clock.clone())?;
            Ok(Some((acceptor, Keeper::Files(files))))
        }
        #[cfg(feature = "acme")]
        Tls::Acme(settings) => {
            let acme = acme::Acme::open(settings.clone(), &config.storage.data_dir, clock.clone()).await?;
            let acceptor = Acceptor::new(acme.served(), &[HTTP, ACME_CHALLENGE], clock.clone())?;
            Ok(Some((acceptor, Keeper::Acme(Box::new(acme)))))
        }
        #[cfg(not(feature = "acme"))]
        Tls::Acme(_) => anyhow::bail!(
            "tls.acme_domains: this qimate was built without ACME; use tls.certificate and tls.private_key, or a build \
             with the cargo feature `acme`, which releases have"
        ),
    }
}

/// Turns TCP connections into TLS connections.
#[derive(Clone)]
pub(super) struct Acceptor {
    inner: TlsAcceptor,
    clock: Clock,
}

impl Acceptor {
    fn new(certificates: Arc<dyn ResolvesServerCert>, protocols: &[&[u8]], clock: Clock) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])
            .context("cannot set TLS up")?
            .with_no_client_auth()
            .with_cert_resolver(certificates);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Ok(Self { inner: TlsAcceptor::from(Arc::new(config)), clock })
    }

    /// Makes the handshake. `None` when there is nobody to speak HTTP with: the client does not speak TLS, is too slow,
    /// does not trust the certificate, or was an ACME authority that has seen what it wanted.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let handshake = self.clock.timeout(HANDSHAKE_TIMEOUT, self.inner.accept(stream)).await;
        let stream = match handshake {
            Ok(Ok(stream)) => stream,
            // Anybody on the internet causes these at any time.
            Ok(Err(error)) => {
                debug!(%error, "a TLS handshake failed");
                return None;
            }
            Err(_) => {
                debug!("a TLS handshake took over {HANDSHAKE_TIMEOUT:?}");
                return None;
            }
        };
        let protocol = stream.get_ref().1.alpn_protocol();
        if protocol == Some(ACME_CHALLENGE) { None } else { Some(stream) }
    }
}

/// Looks after the certificate while the server runs.
pub(super) enum Keeper {
    /// Reads files again when they change.
    Files(Files),
    /// Fetches certificates and renews them.
    #[cfg(feature = "acme")]
    Acme(Box<acme::Acme>),
}

/// The certificate that is served now, for who watches it. Clones look at the same.
#[derive(Clone, Debug)]
pub(super) struct Certified {
    span: Arc<Mutex<Option<(Timestamp, Timestamp)>>>,
    renews_itself: bool,
}

impl Certified {
    fn new(renews_itself: bool) -> Self {
        Self { span: Arc::default(), renews_itself }
    }

    fn now(&self, certificate: &Certificate) {
        *self.span.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((certificate.not_before, certificate.not_after));
    }

    /// From when until when it is good; `None` before there is one.
    pub(super) fn look(&self) -> Option<observation::Certificate> {
        let (begins_at, ends_at) = (*self.span.lock().unwrap_or_else(PoisonError::into_inner))?;
        Some(observation::Certificate { begins_at, ends_at, renews_itself: self.renews_itself })
    }
}

impl Keeper {
    /// What is served.
    pub(super) fn certified(&self) -> Certified {
        match self {
            Self::Files(files) => files.certified(),
            #[cfg(feature = "acme")]
            Self::Acme(acme) => acme.certified(),
        }
    }

    /// Runs until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        match self {
            Self::Files(files) => files.watch(stop).await,
            #[cfg(feature = "acme")]
            Self::Acme(acme) => acme.keep(stop).await,
        }
    }
}

/// A time as people read it.
fn date(at: Timestamp) -> String {
    let since_epoch = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since_epoch)
}

#[cfg(test)]
mod tests {
    /// What [`super::Acceptor`] and `net::install_crypto` offer.
    #[test]
    fn only_suites_with_forward_secrecy_and_authentication_are_spoken() {
        let suites = rustls::crypto::ring::default_provider().cipher_suites;
        let names: Vec<String> = suites.iter().map(|suite| format!("{:?}", suite.suite())).collect();
        assert!(names[0].starts_with("TLS13_"), "the newest is preferred: {names:?}");
        for name in &names {
            let is_fresh = name.starts_with("TLS13_") || name.starts_with("TLS_ECDHE_");
            assert!(is_fresh && (name.contains("GCM") || name.contains("CHACHA20_POLY1305")), "{name}");
        }
    }
}
