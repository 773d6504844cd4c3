//! The flags of the commands for who may ask.

use std::path::PathBuf;

use clap::{ArgGroup, Subcommand};
use qimate::{
    config::Config,
    model::{id::MemberId, json::member::WantedMember},
    server::commands::{member, people},
};

/// Of `qimate member`. A userid is what the address book shows as 账号 (通讯录 → 成员).
#[derive(Debug, Subcommand)]
pub(crate) enum Member {
    /// Show everybody who is known (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Show one member.
    Show {
        /// The member's userid.
        #[arg(value_parser = super::member)]
        userid: MemberId,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Change what a member may. Who is not known yet comes to be known.
    #[command(group(ArgGroup::new("change").required(true).multiple(true)))]
    Set {
        /// The member's userid.
        #[arg(value_parser = super::member)]
        userid: MemberId,
        /// owner and operator: /status, /block, /announce in the chat; auditor: only looks; manager: blocks members of the
        /// own departments; member: asks.
        #[arg(long, group = "change")]
        role: Option<String>,
        /// The last day of their access, such as 2026-12-31; never.
        #[arg(long, group = "change", value_name = "DATE")]
        expires: Option<String>,
        /// The last day of the premium models; off: none of them; inherit: as long as the others.
        #[arg(long, group = "change", value_name = "DATE")]
        premium: Option<String>,
        /// When they are answered: "Mon-Fri 08:00-20:00; Sat 09:00-12:00", by chat.time_zone; always; inherit: as their
        /// departments, or everybody.
        #[arg(long, group = "change")]
        hours: Option<String>,
        /// A note for administrators.
        #[arg(long, group = "change", value_name = "TEXT")]
        note: Option<String>,
        /// Let them in again although WeCom said that they left the visible range.
        #[arg(long, group = "change")]
        readmit: bool,
        /// Print the member as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Listen to a member no more, in every application.
    Block {
        /// The member's userid.
        #[arg(value_parser = super::member)]
        userid: MemberId,
        /// Why; only administrators see it.
        #[arg(long, default_value = "", value_name = "TEXT")]
        reason: String,
        /// Print the member as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Listen to a member again.
    Unblock {
        /// The member's userid.
        #[arg(value_parser = super::member)]
        userid: MemberId,
        /// Print the member as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read the visible range, names and departments from WeCom now.
    Sync {
        /// The outcome as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write everybody to a CSV file for a spreadsheet.
    ExportCsv {
        /// The file to write; the standard output without one.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Change members by such a file, all or nothing. A column that is not there changes nothing; an empty cell sets back.
    ImportCsv {
        /// The file, in UTF-8.
        file: PathBuf,
        /// Only say what would be changed.
        #[arg(long)]
        dry_run: bool,
        /// The outcome as JSON.
        #[arg(long)]
        json: bool,
    },
    /// Write all that is stored of one member as JSON, for a data-protection request.
    Export {
        /// The member's userid (通讯录 → 成员 → 账号).
        userid: String,
        /// The file to write; the standard output without one.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Erase all that is stored of one member, also while the daemon serves. What is being answered to them is stopped.
    Erase {
        /// The member's userid (通讯录 → 成员 → 账号).
        userid: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Of `qimate department`.
#[derive(Debug, Subcommand)]
pub(crate) enum Department {
    /// Show the departments that are known, and everybody's hours (the default).
    List {
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
    /// Set when questions of a department's members are answered, or everybody's.
    #[command(group(ArgGroup::new("whom").required(true)))]
    Hours {
        /// "Mon-Fri 08:00-20:00; Sat 09:00-12:00", by chat.time_zone; always; inherit: as the one above, or everybody.
        hours: String,
        /// The department, by WeCom's number in `qimate department`; holds for those below it.
        #[arg(long, group = "whom", value_name = "NUMBER")]
        department: Option<u64>,
        /// Everybody for whom nothing else is set.
        #[arg(long, group = "whom")]
        everyone: bool,
        /// As JSON, for programs.
        #[arg(long)]
        json: bool,
    },
}

impl Member {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::List { json } => people::list(config, json).await,
            Self::Show { userid, json } => people::show(config, &userid, json).await,
            Self::Set { userid, role, expires, premium, hours, note, readmit, json } => {
                let wanted = WantedMember { role, expires, premium, hours, note, readmit, ..WantedMember::default() };
                people::set(config, &userid, &wanted, json).await
            }
            Self::Block { userid, reason, json } => {
                let wanted =
                    WantedMember { blocked: Some(true), blocked_reason: Some(reason), ..WantedMember::default() };
                people::set(config, &userid, &wanted, json).await
            }
            Self::Unblock { userid, json } => {
                let wanted = WantedMember { blocked: Some(false), ..WantedMember::default() };
                people::set(config, &userid, &wanted, json).await
            }
            Self::Sync { json } => people::sync(config, json).await,
            Self::ExportCsv { out } => people::export_csv(config, out.as_deref()).await,
            Self::ImportCsv { file, dry_run, json } => people::import_csv(config, &file, dry_run, json).await,
            Self::Export { userid, out } => member::export(config, &userid, out.as_deref()),
            Self::Erase { userid, yes } => member::erase(config, &userid, yes),
        }
    }
}

impl Department {
    /// Does it.
    pub(crate) async fn run(self, config: &Config) -> anyhow::Result<()> {
        match self {
            Self::List { json } => people::list_departments(config, json).await,
            Self::Hours { hours, department, everyone: _, json } => {
                people::set_hours(config, department, &hours, json).await
            }
        }
    }
}
