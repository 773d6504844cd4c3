//! A certificate in two PEM files, which somebody else renews.
//!
//! The files are read again and again and compared by their contents: a time stamp says nothing where a volume is
//! switched from one directory to another, as Kubernetes does it.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, anyhow};
use tokio::io::AsyncReadExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Certified, certificate::Certificate, date, resolver::Served};
use crate::clock::Clock;

/// How often the files are read. A change counts after one such time, and a broken one is told after two: whoever
/// renews writes two files, and between the two they do not fit each other.
const EVERY: Duration = Duration::from_secs(25);
/// From here on its end is near: renewed certificates come a month before, or at the latest by a third of the time.
const SOON: Duration = Duration::from_secs(14 * 24 * 3600);
/// Larger than any chain; whoever names a log file by mistake is told.
const LARGEST: u64 = 1024 * 1024;

/// The two files, and what was made of them.
pub(in crate::server) struct Files {
    certificate: PathBuf,
    private_key: PathBuf,
    clock: Clock,
    served: Arc<Served>,
    certified: Certified,
    current: Certificate,
    /// What was in the files when they were last looked at.
    seen: Contents,
    told: Validity,
}

/// Tells one state of the two files from another, without keeping a copy of the key.
type Contents = u64;

/// How much time a certificate has left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Validity {
    Good,
    EndsSoon,
    NotYet,
    Expired,
}

impl Files {
    /// Reads the files.
    ///
    /// # Errors
    /// What is wrong with which file. An expired certificate is no error: to some who ask, it is better than none.
    pub(super) async fn open(certificate: PathBuf, private_key: PathBuf, clock: Clock) -> anyhow::Result<Self> {
        let (seen, read) = look(&certificate, &private_key).await;
        let current = read?;
        let served = Arc::new(Served::default());
        served.replace(Arc::clone(&current.key));
        info!(names = %current.names, until = %date(current.not_after), "serving the certificate of tls.certificate");
        let certified = Certified::new(false);
        certified.now(&current);
        let mut files =
            Self { certificate, private_key, clock, served, certified, current, seen, told: Validity::Good };
        files.tell_validity();
        Ok(files)
    }

    /// What the next handshake gets.
    pub(super) fn served(&self) -> Arc<Served> {
        Arc::clone(&self.served)
    }

    /// For who watches its end.
    pub(super) fn certified(&self) -> Certified {
        self.certified.clone()
    }

    /// Reads the files again when they change. Files that cannot be used change nothing, and are told once.
    pub(super) async fn watch(mut self, stop: CancellationToken) {
        // Contents that cannot be used, seen once.
        let mut broken = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(EVERY) => {}
            }
            let (contents, read) = look(&self.certificate, &self.private_key).await;
            if contents != self.seen {
                match read {
                    Ok(certificate) => {
                        self.seen = contents;
                        self.replace(certificate);
                    }
                    Err(error) if broken == Some(contents) => {
                        self.seen = contents;
                        warn!(
                            "the certificate was not renewed: {error:#}; the one of before is served on, until {}",
                            date(self.current.not_after)
                        );
                    }
                    Err(_) => broken = Some(contents),
                }
            }
            self.tell_validity();
        }
    }

    fn replace(&mut self, certificate: Certificate) {
        self.served.replace(Arc::clone(&certificate.key));
        info!(names = %certificate.names, until = %date(certificate.not_after), "serving a new certificate");
        self.certified.now(&certificate);
        self.current = certificate;
        self.told = Validity::Good;
    }

    /// Says that the certificate ends, or has ended, once each.
    fn tell_validity(&mut self) {
        let validity = self.current.validity(&self.clock);
        if validity == self.told {
            return;
        }
        self.told = validity;
        let file = self.certificate.display();
        match validity {
            Validity::Good => {}
            Validity::EndsSoon => {
                warn!("the certificate in {file} ends soon, {}; renew it", date(self.current.not_after));
            }
            Validity::NotYet => {
                warn!(
                    "the certificate in {file} is not good before {}; look at this machine's clock",
                    date(self.current.not_before)
                );
            }
            Validity::Expired => {
                warn!(
                    "the certificate in {file} expired, {}; WeCom and browsers refuse it: renew it",
                    date(self.current.not_after)
                );
            }
        }
    }
}

impl Certificate {
    fn validity(&self, clock: &Clock) -> Validity {
        let now = clock.now();
        if now >= self.not_after {
            Validity::Expired
        } else if now < self.not_before {
            Validity::NotYet
        } else if self.not_after.since(now) < SOON {
            Validity::EndsSoon
        } else {
            Validity::Good
        }
    }
}

/// Reads both files, and says what they hold in any case, so that a change is seen also between two broken states.
async fn look(certificate: &Path, private_key: &Path) -> (Contents, anyhow::Result<Certificate>) {
    let (chain, key) = (read(certificate).await, read(private_key).await);
    let mut contents = DefaultHasher::new();
    for bytes in [&chain, &key] {
        bytes.as_ref().map_err(ToString::to_string).hash(&mut contents);
    }
    (contents.finish(), parse(certificate, private_key, chain, key))
}

fn parse(
    certificate: &Path,
    private_key: &Path,
    chain: anyhow::Result<Vec<u8>>,
    key: anyhow::Result<Vec<u8>>,
) -> anyhow::Result<Certificate> {
    let of_certificate = || format!("tls.certificate: {}", certificate.display());
    let of_key = || format!("tls.private_key: {}", private_key.display());
    let chain = chain.with_context(of_certificate)?;
    let key = key.with_context(of_key)?;
    Certificate::from_pem(&chain, &key).map_err(|fault| {
        let file = if fault.is_about_the_key() { of_key() } else { of_certificate() };
        anyhow!("{file} {fault}")
    })
}

async fn read(file: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = tokio::fs::File::open(file).await?.take(LARGEST + 1);
    file.read_to_end(&mut bytes).await?;
    anyhow::ensure!(bytes.len() as u64 <= LARGEST, "is no certificate and no key: it is over {LARGEST} bytes");
    Ok(bytes)
}
