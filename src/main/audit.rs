//! The flags of the commands for the audit log.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use qimate::{
    config::Config,
    server::commands::audit::{self, Wanted},
};

/// Of `qimate audit`.
#[derive(Debug, Subcommand)]
pub(crate) enum Audit {
    /// Show what was changed, oldest first (the default).
    List {
        #[command(flatten)]
        wanted: WantedFlags,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Find out whether the log is as it was written; names the first entry that is not, and exits 1.
    Verify {
        /// A head that was kept: what `qimate audit head` printed then, or the daemon's log or `qimate status` said.
        #[arg(long, value_name = "NUMBER:HASH")]
        head: Option<String>,
    },
    /// Print where the log ends. Kept elsewhere, it shows later whether the end was cut off.
    Head,
    /// Write the entries for a spreadsheet.
    Export {
        #[command(flatten)]
        wanted: WantedFlags,
        /// As CSV, which is the only form.
        #[arg(long)]
        csv: bool,
        /// The file to write; the standard output without one.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Which entries.
#[derive(Debug, Default, Args)]
pub(crate) struct WantedFlags {
    /// From then on: a date such as 2026-11-21, or the last days or hours such as 7d or 24h.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Whose actor holds this, such as command/root or a userid.
    #[arg(long, value_name = "TEXT")]
    actor: Option<String>,
    /// Whose object holds this, such as plan/standard or a userid.
    #[arg(long, value_name = "TEXT")]
    object: Option<String>,
}

impl WantedFlags {
    fn wanted(self) -> Wanted {
        let Self { since, actor, object } = self;
        Wanted { since, actor, object }
    }
}

impl Audit {
    /// What it does where nothing is said.
    pub(crate) fn usual() -> Self {
        Self::List { wanted: WantedFlags::default(), json: false }
    }

    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::List { wanted, json } => audit::list(config, wanted.wanted(), json).await,
            Self::Verify { head } => audit::verify(config, head.as_deref()),
            Self::Head => audit::head(config).await,
            Self::Export { wanted, csv: _, out } => audit::export(config, wanted.wanted(), out.as_deref()).await,
        }
    }
}
