//! `qimate backup`, `qimate restore` and `qimate migrate`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail, ensure};

use super::ago;
use crate::{
    clock::Clock,
    config::Config,
    store::{
        self,
        backup::{self, Contents},
        migrate::{self, Plan},
        restore::{self, Restored, SURELY_REMEMBERED, WhatIsOpen},
    },
};

/// Writes a checked copy of the database to `to`, beside a daemon that goes on serving.
///
/// # Errors
/// There is no database, `to` is no name for a file or is there already, or it cannot be written.
pub fn backup(config: &Config, to: &Path, force: bool) -> anyhow::Result<()> {
    ensure!(to != Path::new("-"), "a backup is a file that is checked when it is whole; name one instead of -");
    ensure!(!to.is_dir(), "{} is a directory; name a file in it", to.display());
    let written = backup::backup(&config.storage, to, force, Clock::System.now());
    let contents = match written {
        Err(store::Error::Exists(path)) => bail!("{} is there already; --force replaces it", path.display()),
        other => other.with_context(|| format!("no backup was written to {}", to.display()))?,
    };
    println!("backed up to {}, and checked: {}", to.display(), describe(&contents));
    Ok(())
}

/// Puts a backup in the place of the database, and says what becomes of what was open in it.
///
/// # Errors
/// A daemon is running on the data directory, or `from` is not a sound backup. The database is then as it was.
pub fn restore(config: &Config, from: &Path, what_is_open: WhatIsOpen) -> anyhow::Result<()> {
    let restored = restore::restore(&config.storage, from, what_is_open, Clock::System.now())
        .context("nothing was restored; the database is as it was")?;
    println!("restored {}: {}", from.display(), describe(&restored.contents));
    print_aside(&restored);
    print_open(&restored);
    Ok(())
}

fn print_aside(restored: &Restored) {
    let Some(aside) = &restored.aside else { return };
    println!("The database of before is {}.", aside.path.display());
    match aside.newer {
        Some(0) => {}
        Some(newer) => {
            println!("It has {newer} messages from members that came after the backup: they are only there now.");
        }
        None => println!("It cannot be read: nobody knows what came after the backup."),
    }
}

fn print_open(restored: &Restored) {
    let Restored { known_to_be_done, to_answer, to_send, held, since, .. } = restored;
    let now = Clock::System.now();
    if *known_to_be_done > 0 {
        println!("{known_to_be_done} that were open in the backup had been answered since, and stay so.");
    }
    if to_answer + to_send > 0 {
        println!(
            "WARNING: {to_answer} questions will be answered and {to_send} messages sent after the next start. \
             Whatever a daemon answered after the backup ({}) may be answered again; a message that is merely sent \
             again is hidden by WeCom's duplicate check until {} minutes after the backup.",
            ago(now.since(*since)),
            SURELY_REMEMBERED.as_secs() / 60
        );
    }
    if !held.is_empty() {
        println!(
            "WARNING: {} were open in the backup ({}) and may have been answered since. They are dead letters now: \
             `qimate dead-letters retry [ID]` answers or sends them, `qimate dead-letters drop` forgets them.",
            held.len(),
            ago(now.since(*since))
        );
        for one in held {
            let what = if one.is_question { "question" } else { "answer" };
            println!("{:>8}  {:<8}  {:<20}  {}", one.id, what, one.member, ago(now.since(one.at)));
        }
    }
}

/// Says what a start would do to the database: 0 nothing, 1 it would migrate, 2 it would refuse to start.
pub fn migrate_check(config: &Config) -> ExitCode {
    match migrate::plan(&config.storage) {
        Ok(Plan::New { version }) => {
            println!("there is no database yet; a start makes one of version {version}");
            ExitCode::SUCCESS
        }
        Ok(Plan::UpToDate { version }) => {
            println!("the database is of version {version}, and so is this qimate: nothing to do");
            ExitCode::SUCCESS
        }
        Ok(Plan::Migrates { from, to, copy }) => {
            println!(
                "the database is of version {from}, this qimate's is {to}: a start, or `qimate migrate`, copies it to {} \
                 and brings it to version {to}",
                copy.display()
            );
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("qimate: {error}");
            ExitCode::from(2)
        }
    }
}

/// Does what a start would do to the database, without serving.
///
/// # Errors
/// A daemon is running, there is no database, or it is newer than this binary. Nothing was changed then.
pub fn migrate(config: &Config) -> anyhow::Result<()> {
    match migrate::run(&config.storage)? {
        Plan::New { version } => println!("made a database of version {version}"),
        Plan::UpToDate { version } => println!("the database is of version {version} already"),
        Plan::Migrates { from, to, copy } => {
            println!("brought the database from version {from} to {to}; {} is as it was before", copy.display());
        }
    }
    Ok(())
}

fn describe(contents: &Contents) -> String {
    let Contents { bytes, schema, conversations, turns, open, waiting, dead, .. } = contents;
    format!(
        "{:.1} MiB, version {schema}, {conversations} conversations, {turns} answers, {open} questions open, \
         {waiting} messages waiting, {dead} dead letters",
        *bytes as f64 / (1024.0 * 1024.0)
    )
}
