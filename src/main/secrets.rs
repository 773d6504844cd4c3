//! The flags of the commands for secrets in the database.

use std::path::PathBuf;

use clap::Subcommand;
use qimate::{
    config::{Faults, Gathered},
    server::commands::secrets,
};

/// Of `qimate secrets`.
#[derive(Debug, Subcommand)]
pub(crate) enum Secrets {
    /// Store a value, encrypted, in the place of the one before. It is read from the standard input, or typed without
    /// showing.
    Set {
        /// The setting, such as wecom.secret, apps.hr.secret, llm.api_key or llm.upstreams.NAME.api_keys.
        name: String,
        /// Read the value from this file.
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show which secrets are stored, since when, by whom and with which key; never a value (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take a value away, or all. It needs no master key.
    Remove {
        /// The setting.
        #[arg(required_unless_present = "all")]
        name: Option<String>,
        /// Take all away.
        #[arg(long, conflicts_with = "name")]
        all: bool,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Encrypt everything anew, with a new key and the current master key. Then the master key of before is not needed.
    Rotate {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Print a new master key, for secrets.master_key.
    NewMasterKey,
}

impl Secrets {
    /// Does it.
    pub(crate) async fn run(self, gathered: &Gathered) -> Result<anyhow::Result<()>, Faults> {
        // It may be what is needed to put the configuration right.
        if let Self::NewMasterKey = self {
            return Ok(secrets::new_master_key(gathered.language()));
        }
        let basics = &gathered.basics_alone()?;
        Ok(match self {
            Self::Set { name, file, json } => secrets::set(basics, gathered, &name, file.as_deref(), json).await,
            Self::List { json } => secrets::list(basics, gathered, json).await,
            Self::Remove { name, all: _, json } => secrets::remove(basics, name.as_deref(), json).await,
            Self::Rotate { json } => secrets::rotate(basics, json).await,
            Self::NewMasterKey => Ok(()),
        })
    }
}
