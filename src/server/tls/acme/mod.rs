//! Certificates that are fetched and renewed by themselves, from an authority that speaks ACME (RFC 8555).
//!
//! The authority checks the domains on the same port that we serve (TLS-ALPN-01, RFC 8737), so nothing else has to be
//! reachable. Account and certificate are kept in `storage.data_dir`/acme, so that a restart asks for nothing: authorities
//! count orders, and refuse those who ask too often.
//!
//! `instant-acme` speaks the protocol and `rcgen` makes keys and requests; ours is when to ask, what to keep and what to
//! tell. Why not `tokio-rustls-acme`, which does all of it: its requests have no time limit, its failures reach the log
//! as `Debug`, its waits run on a clock of their own, and it brings `chrono`, `x509-parser` and what these need.

mod challenges;
mod failure;
mod http;
mod order;
mod saved;

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::Context;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use self::{challenges::Challenges, failure::Failure, saved::Saved};
use super::{Certified, certificate::Certificate, date};
use crate::{clock::Clock, config};

/// How long an order may take, from the first request to the certificate.
const ORDER_TIMEOUT: Duration = Duration::from_secs(180);
/// The pause after the first failure, doubled after each further one up to [`LONGEST_PAUSE`]: at 0, 2, 6, 14 and 30
/// minutes, so that within an hour no more attempts fail than Let's Encrypt allows for a domain, five.
const FIRST_PAUSE: Duration = Duration::from_secs(120);
/// The longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(4 * 3600);
/// The least time between a certificate and the next order: one that is due as it comes, by the machine's clock, must
/// not be ordered without end.
const AFTER_SUCCESS: Duration = Duration::from_secs(45 * 60);
/// How long to sleep at most before looking at the date again: a machine's clock may be set, or the machine sleep.
const LOOK_AGAIN: Duration = Duration::from_secs(6 * 3600);

/// Fetches the certificate of the configured domains, and keeps it fresh.
pub(in crate::server) struct Acme {
    settings: config::tls::Acme,
    client: reqwest::Client,
    saved: Saved,
    challenges: Arc<Challenges>,
    clock: Clock,
    certified: Certified,
    current: Option<Certificate>,
}

impl Acme {
    /// Serves what was kept, if it is for the same domains and from the same authority. Asks nobody for anything.
    ///
    /// # Errors
    /// `tls.acme_root` cannot be used, or the directory for what is kept cannot be made.
    pub(super) async fn open(settings: config::tls::Acme, data_dir: &Path, clock: Clock) -> anyhow::Result<Self> {
        let client = http::client(settings.root.as_deref()).await?;
        let saved = Saved::open(data_dir.join("acme"), &settings).await?;
        let challenges = Arc::new(Challenges::new().context("cannot make a key")?);
        let mut acme =
            Self { settings, client, saved, challenges, clock, certified: Certified::new(true), current: None };
        if let Some(certificate) = acme.saved.certificate().await {
            info!(names = %certificate.names, until = %date(certificate.not_after), "serving the certificate that was kept");
            acme.deploy(certificate);
        } else {
            info!(
                domains = %acme.settings.domains.join(", "), authority = %acme.settings.directory,
                "there is no certificate yet; it is fetched now, and until then nobody can connect"
            );
        }
        Ok(acme)
    }

    /// What the next handshake gets.
    pub(super) fn served(&self) -> Arc<Challenges> {
        Arc::clone(&self.challenges)
    }

    /// For who watches its end.
    pub(super) fn certified(&self) -> Certified {
        self.certified.clone()
    }

    /// Fetches a certificate when there is none, and a new one when two thirds of its time are over.
    pub(super) async fn keep(mut self, stop: CancellationToken) {
        let mut failures = 0_u32;
        let mut told = None;
        let mut pause = Duration::ZERO;
        loop {
            let wait = pause.max(self.until_renewal());
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(wait.min(LOOK_AGAIN)) => {}
            }
            if wait > LOOK_AGAIN {
                pause = pause.saturating_sub(LOOK_AGAIN);
                continue;
            }
            let obtained = tokio::select! {
                () = stop.cancelled() => return,
                obtained = self.clock.timeout(ORDER_TIMEOUT, self.obtain()) => obtained,
            };
            self.challenges.clear();
            match obtained.unwrap_or_else(|_| Err(Failure::too_slow(&self.settings, ORDER_TIMEOUT))) {
                Ok(certificate) => {
                    info!(names = %certificate.names, until = %date(certificate.not_after), "got a certificate");
                    self.deploy(certificate);
                    (failures, told, pause) = (0, None, AFTER_SUCCESS);
                }
                Err(failure) => {
                    pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
                    failures += 1;
                    let expired = self.is_expired();
                    if told.as_ref() == Some(&(expired, failure.clone())) {
                        debug!(%failure, failures, "again no certificate; next attempt in {} min", pause.as_secs() / 60);
                    } else {
                        self.tell(&failure, pause);
                        told = Some((expired, failure));
                    }
                }
            }
        }
    }

    /// Asks the authority, and keeps what it gives.
    async fn obtain(&self) -> Result<Certificate, Failure> {
        let issued = order::order(&self.settings, &self.client, &self.saved, &self.challenges).await?;
        let certificate = issued.parse().map_err(|fault| Failure::unusable(&fault))?;
        if let Err(error) = self.saved.keep_certificate(issued).await {
            // It is good all the same, and served.
            warn!("the certificate cannot be kept: {error:#}; after a restart it is fetched again");
        }
        Ok(certificate)
    }

    fn deploy(&mut self, certificate: Certificate) {
        self.challenges.serve(Arc::clone(&certificate.key));
        self.certified.now(&certificate);
        self.current = Some(certificate);
    }

    fn tell(&self, failure: &Failure, pause: Duration) {
        let minutes = pause.as_secs() / 60;
        match &self.current {
            None => error!(
                "no certificate for {}: {failure}; until there is one nobody can connect; next attempt in {minutes} min",
                self.settings.domains.join(", ")
            ),
            Some(current) if self.is_expired() => {
                error!(
                    "the certificate expired, {}, and was not renewed: {failure}; next attempt in {minutes} min",
                    date(current.not_after)
                );
            }
            Some(current) => warn!(
                "the certificate was not renewed: {failure}; the one of before is good until {}; next attempt in \
                 {minutes} min",
                date(current.not_after)
            ),
        }
    }

    fn is_expired(&self) -> bool {
        self.current.as_ref().is_some_and(|current| self.clock.now() >= current.not_after)
    }

    fn until_renewal(&self) -> Duration {
        let Some(current) = &self.current else { return Duration::ZERO };
        let lifetime = current.not_after.since(current.not_before);
        (current.not_before + lifetime / 3 * 2).since(self.clock.now())
    }
}
