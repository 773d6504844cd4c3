//! `qimate member`: what a data-protection request asks for.

use std::{
    io::{IsTerminal, Write, stdin, stdout},
    path::Path,
};

use anyhow::{Context, ensure};

use super::{actor, say, tell};
use crate::{
    clock::Clock,
    config::Config,
    model::id::MemberId,
    store::{
        backup,
        member::{self, Reading},
    },
};

/// Writes all that is stored of a member as JSON, to `out` or to the standard output.
///
/// # Errors
/// `userid` is none, nothing is stored of it, there is no database, or `out` is there already or cannot be written.
pub fn export(config: &Config, userid: &str, out: Option<&Path>) -> anyhow::Result<()> {
    let member = MemberId::parse(userid)?;
    let reading = if config.team.read_conversations { Reading::Texts(actor()) } else { Reading::WithoutTexts };
    let export = member::export(&config.storage, &reading, &member, Clock::System.now())?;
    ensure!(
        ["applications", "person", "blocked"]
            .iter()
            .any(|part| export[*part].as_array().is_some_and(|all| !all.is_empty())),
        "{}",
        tell(
            config,
            || format!("没有存储 {member} 的任何内容；这是此人的 userid 吗（通讯录 → 成员 → 账号）？"),
            || format!("nothing is stored of {member}; is it their userid (通讯录 → 成员 → 账号)?"),
        )
    );
    if reading == Reading::WithoutTexts {
        eprintln!(
            "{}",
            say(
                config,
                "不含聊天内容：team.read_conversations 是 false。员工可以在聊天里发 /export 得到自己的内容。",
                "without texts of conversations: team.read_conversations is false. The member gets theirs by /export in \
                 the chat."
            )
        );
    }
    let text = serde_json::to_string_pretty(&export).context("cannot be written as JSON")? + "\n";
    match out {
        None => stdout().write_all(text.as_bytes()).context("cannot write to the standard output")?,
        Some(out) => {
            backup::write_private(out, text.as_bytes())?;
            let out = out.display();
            println!(
                "{}",
                tell(
                    config,
                    || format!("已写入 {out}（只有您的账户可以读取）"),
                    || format!("wrote {out}, which only you can read")
                )
            );
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
        ensure!(
            stdin().is_terminal(),
            "{}",
            say(
                config,
                "删除后无法恢复；确定要删除请加上 --yes",
                "this cannot be taken back; --yes says that you mean it"
            )
        );
        print!(
            "{}",
            tell(
                config,
                || format!("删除存储的 {member} 的全部内容？删除后无法恢复。请输入此人的 userid 确认："),
                || format!("Erase everything that is stored of {member}? This cannot be taken back. Type the userid: "),
            )
        );
        stdout().flush()?;
        let mut typed = String::new();
        stdin().read_line(&mut typed)?;
        ensure!(typed.trim() == userid, "{}", say(config, "没有删除任何内容", "nothing was erased"));
    }
    let erased = member::erase(&config.storage, &actor(), &member, Clock::System.now())?;
    match erased.rows {
        0 => {
            println!(
                "{}",
                tell(config, || format!("没有存储 {member} 的任何内容。"), || format!("nothing is stored of {member}"))
            );
        }
        rows => {
            println!(
                "{}",
                tell(config, || format!("已删除 {member}：{rows} 行。"), || format!("erased {member}: {rows} rows"))
            );
        }
    }
    if !erased.rewritten {
        let limit = member::REWRITTEN_BESIDE / (1024 * 1024);
        println!(
            "{}",
            tell(
                config,
                || format!(
                    "数据库大于 {limit} MiB，企伴运行时没有整理。删除的内容已被覆盖，但文件空隙里可能还有更早的痕迹：\
                     请停止企伴后再删除一次。"
                ),
                || format!(
                    "The database is larger than {limit} MiB and was not written anew while the daemon serves. What \
                     was erased is overwritten, but older traces may be left in gaps of the file: stop the daemon and \
                     erase once more."
                ),
            )
        );
    }
    if !erased.log_emptied {
        println!(
            "{}",
            say(
                config,
                "数据库旁边的日志文件没能清空：请再删除一次，或重启企伴。",
                "The log beside the database could not be emptied: erase once more, or restart the daemon."
            )
        );
    }
    println!(
        "{}",
        say(
            config,
            "没有包括：您做的备份和导出、日志（有 userid；打开过 log.message_text 的还有聊天内容）、企业微信和模型服务商的记录。",
            "Not covered: backups and exports that you made, what the daemon logged (userids, and texts if\n\
             log.message_text was on), WeCom's own records, and those of the model's provider."
        )
    );
    for copy in erased.copies {
        println!("{} {}", say(config, "没有包括：", "Not covered:"), copy.display());
    }
    println!(
        "{}",
        say(
            config,
            "恢复以前的备份会把这些内容带回来：恢复之后请再删除一次。",
            "A backup from before brings the member back: after a restore, erase again."
        )
    );
    Ok(())
}
