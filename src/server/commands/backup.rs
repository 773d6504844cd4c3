//! `qimate backup`, `qimate restore` and `qimate migrate`.

use std::{path::Path, process::ExitCode};

use anyhow::{Context, bail, ensure};

use super::{actor, ago, say, tell};
use crate::{
    clock::Clock,
    config::{Basics, Config, chat::Language},
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
    ensure!(
        to != Path::new("-"),
        "{}",
        say(
            config,
            "备份写完后要检查，所以必须是文件，不能是 -",
            "a backup is a file that is checked when it is whole; name one instead of -"
        )
    );
    ensure!(
        !to.is_dir(),
        "{} {}",
        to.display(),
        say(config, "是目录；请写明其中的文件名", "is a directory; name a file in it")
    );
    let written = backup::backup(&config.storage, to, force, Clock::System.now());
    let contents = match written {
        Err(store::Error::Exists(path)) => {
            bail!(
                "{} {}",
                path.display(),
                say(config, "已经存在；加上 --force 会覆盖它", "is there already; --force replaces it")
            )
        }
        other => other.with_context(|| {
            let to = to.display();
            tell(config, || format!("没有写成备份 {to}"), || format!("no backup was written to {to}"))
        })?,
    };
    let (to, contents) = (to.display(), describe(config, &contents));
    println!(
        "{}",
        tell(
            config,
            || format!("已备份到 {to}，并检查过：{contents}"),
            || format!("backed up to {to}, and checked: {contents}")
        )
    );
    Ok(())
}

/// Puts a backup in the place of the database, and says what becomes of what was open in it.
///
/// # Errors
/// A daemon is running on the data directory, or `from` is not a sound backup. The database is then as it was.
pub fn restore(basics: &Basics, from: &Path, what_is_open: WhatIsOpen) -> anyhow::Result<()> {
    let restored = restore::restore(&basics.storage, &actor(), from, what_is_open, Clock::System.now())
        .context(say(basics, "没有恢复，数据库没有改动", "nothing was restored; the database is as it was"))?;
    println!("{} {}: {}", say(basics, "已恢复", "restored"), from.display(), describe(basics, &restored.contents));
    print_aside(basics, &restored);
    print_open(basics, &restored);
    super::secrets::say_whether_readable(basics);
    Ok(())
}

fn print_aside(basics: &Basics, restored: &Restored) {
    let Some(aside) = &restored.aside else { return };
    let path = aside.path.display();
    println!(
        "{}",
        tell(basics, || format!("原来的数据库在 {path}。"), || format!("The database of before is {path}."))
    );
    match aside.newer {
        Some(0) => {}
        Some(newer) => {
            println!(
                "{}",
                tell(
                    basics,
                    || format!("其中有 {newer} 条员工消息是备份之后收到的，现在只在那里。"),
                    || format!(
                        "It has {newer} messages from members that came after the backup: they are only there now."
                    ),
                )
            );
        }
        None => println!(
            "{}",
            say(
                basics,
                "它无法读取，所以不知道备份之后收到过什么。",
                "It cannot be read: nobody knows what came after the backup."
            )
        ),
    }
}

fn print_open(basics: &Basics, restored: &Restored) {
    let Restored { known_to_be_done, to_answer, to_send, held, since, .. } = restored;
    let now = Clock::System.now();
    if *known_to_be_done > 0 {
        println!(
            "{}",
            tell(
                basics,
                || format!("备份时未完成的有 {known_to_be_done} 条后来已经答过，不再处理。"),
                || format!("{known_to_be_done} that were open in the backup had been answered since, and stay so."),
            )
        );
    }
    if to_answer + to_send > 0 {
        let (ago, minutes) = (ago(now.since(*since), basics), SURELY_REMEMBERED.as_secs() / 60);
        println!(
            "{}",
            tell(
                basics,
                || format!(
                    "注意：下次启动后会回答 {to_answer} 个问题、发送 {to_send} 条消息。备份（{ago}）之后答过的可能会再答一次；\
                     仅仅重发的消息，备份后 {minutes} 分钟内企业微信会自动去重。"
                ),
                || format!(
                    "WARNING: {to_answer} questions will be answered and {to_send} messages sent after the next start. \
                     Whatever a daemon answered after the backup ({ago}) may be answered again; a message that is merely \
                     sent again is hidden by WeCom's duplicate check until {minutes} minutes after the backup."
                ),
            )
        );
    }
    if !held.is_empty() {
        let (count, ago_of_backup) = (held.len(), ago(now.since(*since), basics));
        println!(
            "{}",
            tell(
                basics,
                || format!(
                    "注意：备份时（{ago_of_backup}）有 {count} 条未完成，之后可能已经答过，现在都在死信里：\
                     qimate dead-letters retry [编号] 会回答或发送，qimate dead-letters drop 会丢弃。"
                ),
                || format!(
                    "WARNING: {count} were open in the backup ({ago_of_backup}) and may have been answered since. They \
                     are dead letters now: `qimate dead-letters retry [ID]` answers or sends them, `qimate dead-letters \
                     drop` forgets them."
                ),
            )
        );
        for one in held {
            let what = match one.is_question {
                true => say(basics, "问题    ", "question"),
                false => say(basics, "回答    ", "answer  "),
            };
            println!("{:>8}  {what}  {:<20}  {}", one.id, one.member, ago(now.since(one.at), basics));
        }
    }
}

/// Says what a start would do to the database: 0 nothing, 1 it would migrate, 2 it would refuse to start.
pub fn migrate_check(config: &Config) -> ExitCode {
    match migrate::plan(&config.storage) {
        Ok(Plan::New { version }) => {
            println!(
                "{}",
                tell(
                    config,
                    || format!("还没有数据库；启动时会建立版本 {version} 的数据库。"),
                    || format!("there is no database yet; a start makes one of version {version}"),
                )
            );
            ExitCode::SUCCESS
        }
        Ok(Plan::UpToDate { version }) => {
            println!(
                "{}",
                tell(
                    config,
                    || format!("数据库和本程序都是版本 {version}，不需要升级。"),
                    || format!("the database is of version {version}, and so is this qimate: nothing to do"),
                )
            );
            ExitCode::SUCCESS
        }
        Ok(Plan::Migrates { from, to, copy }) => {
            let copy = copy.display();
            println!(
                "{}",
                tell(
                    config,
                    || format!(
                        "数据库是版本 {from}，本程序是版本 {to}：启动时（或运行 qimate migrate）会先复制到 {copy}，再升级到版本 {to}。"
                    ),
                    || format!(
                        "the database is of version {from}, this qimate's is {to}: a start, or `qimate migrate`, copies \
                         it to {copy} and brings it to version {to}"
                    ),
                )
            );
            ExitCode::from(1)
        }
        Err(error) => {
            eprintln!("qimate: {}", super::told(&error.into(), config.chat.language));
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
        Plan::New { version } => println!(
            "{}",
            tell(
                config,
                || format!("已建立版本 {version} 的数据库。"),
                || format!("made a database of version {version}")
            )
        ),
        Plan::UpToDate { version } => println!(
            "{}",
            tell(
                config,
                || format!("数据库已经是版本 {version}。"),
                || format!("the database is of version {version} already")
            )
        ),
        Plan::Migrates { from, to, copy } => {
            let copy = copy.display();
            println!(
                "{}",
                tell(
                    config,
                    || format!("数据库已从版本 {from} 升级到 {to}；升级前的副本在 {copy}。"),
                    || format!("brought the database from version {from} to {to}; {copy} is as it was before"),
                )
            );
        }
    }
    Ok(())
}

fn describe(language: impl Into<Language>, contents: &Contents) -> String {
    let Contents { bytes, schema, conversations, turns, open, waiting, dead, .. } = contents;
    let mib = *bytes as f64 / (1024.0 * 1024.0);
    tell(
        language,
        || {
            format!(
                "{mib:.1} MiB，版本 {schema}，对话 {conversations}，回答 {turns}，待处理 {open}，待发送 {waiting}，死信 {dead}"
            )
        },
        || {
            format!(
                "{mib:.1} MiB, version {schema}, {conversations} conversations, {turns} answers, {open} questions open, \
             {waiting} messages waiting, {dead} dead letters"
            )
        },
    )
}
