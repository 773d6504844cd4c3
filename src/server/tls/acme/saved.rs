//! What is kept on the disk: the account with the authority and the certificate, each in a file of its own that only we
//! can read, because both hold a key.
//!
//! A file says for which authority and domains it is; one that is for others, or cannot be read, is as good as none.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::Context;
use instant_acme::AccountCredentials;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tracing::warn;

use crate::{
    config,
    server::tls::certificate::{Certificate, Fault},
};

/// The directory with the two files.
pub(super) struct Saved {
    dir: PathBuf,
    directory: String,
    domains: Vec<String>,
    email: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct SavedAccount {
    directory: String,
    email: Option<String>,
    credentials: AccountCredentials,
}

/// A certificate as it came, with its key.
#[derive(Serialize, Deserialize)]
pub(super) struct Issued {
    directory: String,
    domains: Vec<String>,
    private_key: String,
    chain: String,
}

impl Issued {
    /// For the domains of `settings`, from its authority. Key and chain are PEM.
    pub(super) fn new(settings: &config::tls::Acme, private_key: String, chain: String) -> Self {
        Self { directory: settings.directory.clone(), domains: settings.domains.clone(), private_key, chain }
    }

    /// What can be served of it.
    ///
    /// # Errors
    /// The authority, or the disk, gave something else than a certificate for the key.
    pub(super) fn parse(&self) -> Result<Certificate, Fault> {
        Certificate::from_pem(self.chain.as_bytes(), self.private_key.as_bytes())
    }
}

impl Saved {
    /// Makes the directory, for nobody else to look into.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) async fn open(dir: PathBuf, settings: &config::tls::Acme) -> anyhow::Result<Self> {
        let mut builder = tokio::fs::DirBuilder::new();
        #[cfg(unix)]
        builder.mode(0o700);
        builder.recursive(true).create(&dir).await.with_context(|| format!("cannot make {}", dir.display()))?;
        Ok(Self {
            dir,
            directory: settings.directory.clone(),
            domains: settings.domains.clone(),
            email: settings.email.clone(),
        })
    }

    /// The certificate for these domains by this authority.
    pub(super) async fn certificate(&self) -> Option<Certificate> {
        let issued: Issued = self.read(Self::certificate_file).await?;
        if issued.directory != self.directory || issued.domains != self.domains {
            return None;
        }
        let file = self.certificate_file();
        issued.parse().inspect_err(|fault| warn!("{} {fault}; a new one is fetched", file.display())).ok()
    }

    /// Keeps the certificate.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(super) async fn keep_certificate(&self, issued: Issued) -> anyhow::Result<()> {
        write(self.certificate_file(), &issued).await
    }

    /// The account with this authority, for this address.
    pub(super) async fn account(&self) -> Option<AccountCredentials> {
        let account: SavedAccount = self.read(Self::account_file).await?;
        (account.directory == self.directory && account.email == self.email).then_some(account.credentials)
    }

    /// Keeps the account.
    ///
    /// # Errors
    /// The disk does not take it.
    pub(super) async fn keep_account(&self, credentials: AccountCredentials) -> anyhow::Result<()> {
        let account = SavedAccount { directory: self.directory.clone(), email: self.email.clone(), credentials };
        write(self.account_file(), &account).await
    }

    /// The authority does not know it any more.
    pub(super) async fn forget_account(&self) {
        let _ = tokio::fs::remove_file(self.account_file()).await;
    }

    fn certificate_file(&self) -> PathBuf {
        self.dir.join("certificate.json")
    }

    fn account_file(&self) -> PathBuf {
        self.dir.join("account.json")
    }

    async fn read<T: DeserializeOwned>(&self, file: impl Fn(&Self) -> PathBuf) -> Option<T> {
        let file = file(self);
        let bytes = match tokio::fs::read(&file).await {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
            Err(error) => {
                warn!(%error, "cannot read {}", file.display());
                return None;
            }
        };
        // The parser's words would show a part of the file.
        serde_json::from_slice(&bytes).inspect_err(|_| warn!("{} is damaged; it is made anew", file.display())).ok()
    }
}

/// Writes the whole file or leaves the one of before. A temporary file is readable by its owner alone.
async fn write<T: Serialize>(file: PathBuf, value: &T) -> anyhow::Result<()> {
    let bytes = serde_json::to_vec_pretty(value)?;
    let written = tokio::task::spawn_blocking(move || {
        let dir = file.parent().unwrap_or(Path::new("."));
        let mut temporary = tempfile::NamedTempFile::new_in(dir)?;
        temporary.write_all(&bytes)?;
        temporary.as_file().sync_all()?;
        temporary.persist(&file).map(drop).map_err(|error| error.error)
    });
    written.await?.context("cannot write to storage.data_dir/acme")
}
