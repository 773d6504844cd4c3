//! `qimate member`: what a data-protection request asks for.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    path::Path,
};

use anyhow::{Context, ensure};

use crate::{
    clock::Clock,
    config::Config,
    model::id::MemberId,
    store::{backup, member},
};

/// Writes all that is stored of a member as JSON, to `out` or to the standard output.
///
/// # Errors
/// `userid` is none, nothing is stored of it, there is no database, or `out` is there already or cannot be written.
pub fn export(config: &Config, userid: &str, out: Option<&Path>) -> anyhow::Result<()> {
    let member = MemberId::parse(userid)?;
    let export = member::export(&config.storage, &member, Clock::System.now())?;
    ensure!(
        export["applications"].as_array().is_some_and(|applications| !applications.is_empty()),
        "nothing is stored of {member}; is it their userid (通讯录 → 成员 → 账号)?"
    );
    let text = serde_json::to_string_pretty(&export).context("cannot be written as JSON")? + "\n";
    match out {
        None => stdout().write_all(text.as_bytes()).context("cannot write to the standard output")?,
        Some(out) => {
            backup::write_private(out, text.as_bytes())?;
            println!("wrote {}, which only you can read", out.display());
        }
    }
    Ok(())
}

/// Erases all that is stored of a member, after asking.
///
/// # Errors
/// `userid` is none, nobody confirmed, there is no database, or it cannot be written.
pub fn erase(config: &Config, userid: &str, confirmed: bool) -> anyhow::Result<()> {
    let member = MemberId::parse(userid)?;
    if !confirmed {
        ensure!(stdin().is_terminal(), "this cannot be taken back; --yes says that you mean it");
        print!("Erase everything that is stored of {member}? This cannot be taken back. Type the userid: ");
        stdout().flush()?;
        let mut typed = String::new();
        stdin().read_line(&mut typed)?;
        ensure!(typed.trim() == userid, "nothing was erased");
    }
    let erased = member::erase(&config.storage, &member, Clock::System.now())?;
    match erased.rows {
        0 => println!("nothing is stored of {member}"),
        rows => println!("erased {member}: {rows} rows"),
    }
    if !erased.rewritten {
        println!(
            "The database is larger than {} MiB and was not written anew while the daemon serves. What was erased is \
             overwritten, but older traces may be left in gaps of the file: stop the daemon and erase once more.",
            member::REWRITTEN_BESIDE / (1024 * 1024)
        );
    }
    if !erased.log_emptied {
        println!("The log beside the database could not be emptied: erase once more, or restart the daemon.");
    }
    println!("Not covered: backups and exports that you made, what the daemon logged (userids, and texts if");
    println!("log.message_text was on), WeCom's own records, and those of the model's provider.");
    for copy in erased.copies {
        println!("Not covered: {}", copy.display());
    }
    println!("A backup from before brings the member back: after a restore, erase again.");
    Ok(())
}
