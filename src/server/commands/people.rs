//! `qimate member` and `qimate department`: who may ask, what, and when. A running daemon feels a change within a second.

mod shown;
mod sync;

pub use self::sync::sync;

use std::{
    collections::BTreeSet,
    fs,
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, anyhow, bail, ensure};
use serde_json::json;

use self::shown::{described, in_json, print_json, print_table, row};
use super::{actor, print, say, tell};
use crate::{
    clock::Clock,
    config::{Config, chat::Language},
    model::{
        id::{CorpId, MemberId},
        json::member::{self, WantedMember, WrongMember},
        person::table::{self, read_hours},
        quota::subject::Subject,
    },
    store::{Store, backup, people::change::Department},
};

/// The largest table that is read, in bytes.
const MOST_BYTES: u64 = 32 * 1024 * 1024;

/// Prints everybody who is known.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn list(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let mut people = Vec::new();
    for corp in corps(config) {
        people.extend(store.people(&corp).await?);
    }
    if as_json {
        return print_json(&people.iter().map(|person| in_json(config, person)).collect::<Vec<_>>().into());
    }
    if people.is_empty() {
        println!(
            "{}",
            say(
                config,
                "还没有成员；员工发来第一条消息后会出现在这里。",
                "nobody yet; members appear with their first message"
            )
        );
        return Ok(());
    }
    let head = match config.chat.language {
        Language::Chinese => ["账号", "姓名", "角色", "状态", "到期", "高级模型", "服务时间", "备注"],
        Language::English => ["USERID", "NAME", "ROLE", "STATE", "LAST DAY", "PREMIUM", "HOURS", "NOTE"],
    };
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(people.iter().map(|person| row(config, person)));
    print_table(&rows);
    Ok(())
}

/// Prints one member.
///
/// # Errors
/// They are not known, there is no database, or it cannot be read.
pub async fn show(config: &Config, member: &MemberId, as_json: bool) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let mut found = false;
    for corp in corps(config) {
        let Some(person) = store.find_person(&corp, member).await? else { continue };
        found = true;
        if as_json {
            print_json(&in_json(config, &person))?;
        } else {
            let departments = store.departments(&corp).await?;
            for (name, value) in described(config, &person, &departments) {
                println!("{name}{value}");
            }
        }
    }
    ensure!(found, unknown(config, member));
    Ok(())
}

/// Changes one member, in each enterprise in which they are known, or in all where in none.
///
/// # Errors
/// Something is not what it should be, or the database cannot be written. Nothing was changed.
pub async fn set(config: &Config, member: &MemberId, wanted: &WantedMember, as_json: bool) -> anyhow::Result<()> {
    let edit = wanted.parse(member.clone(), &config.chat.time_zone).map_err(|WrongMember { field, right }| {
        let flag = if field == "blocked_reason" { "reason" } else { field };
        wrong(config, &format!("--{flag}"), right)
    })?;
    let store = Store::open_beside(&config.storage)?;
    let corps = corps(config);
    let mut known = Vec::new();
    for corp in &corps {
        if store.find_person(corp, member).await?.is_some() {
            known.push(corp.clone());
        }
    }
    for corp in if known.is_empty() { corps } else { known } {
        store.change_people(&actor(), &corp, vec![edit.clone()], Clock::System.now()).await?;
    }
    show(config, member, as_json).await
}

/// Writes everybody as CSV, to `out` or to the standard output.
///
/// # Errors
/// There is no database, or `out` is there already or cannot be written.
pub async fn export_csv(config: &Config, out: Option<&Path>) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let people = store.people(&only_corp(config)?).await?;
    let file = table::export(&people, &config.chat.time_zone);
    let Some(out) = out else {
        return stdout().write_all(file.as_bytes()).context("cannot write to the standard output");
    };
    backup::write_private(out, file.as_bytes())?;
    let (out, count) = (out.display(), people.len());
    println!("{}", tell(config, || format!("已写入 {out}：{count} 人"), || format!("wrote {out}: {count} members")));
    Ok(())
}

/// Changes members by a CSV file.
///
/// # Errors
/// The file cannot be read, or something in it is wrong: nothing was changed.
pub async fn import_csv(config: &Config, file: &Path, dry_run: bool, as_json: bool) -> anyhow::Result<()> {
    let shown = file.display();
    let bytes = fs::metadata(file).with_context(|| shown.to_string())?.len();
    ensure!(bytes <= MOST_BYTES, "{shown}: more than {} MiB", MOST_BYTES / (1024 * 1024));
    let text = String::from_utf8(fs::read(file).with_context(|| shown.to_string())?).map_err(|_| {
        anyhow!(
            "{shown}: {}",
            say(config, "不是 UTF-8；请在表格软件里另存为“CSV UTF-8”", "is not UTF-8; save it as \"CSV UTF-8\"")
        )
    })?;
    let edits = table::import(&text, &config.chat.time_zone).map_err(|mistakes| {
        let lines = mistakes.iter().map(|mistake| {
            let (row, column, [zh, en]) = (mistake.row, &mistake.column, mistake.right);
            tell(config, || format!("第 {row} 行 {column}：{zh}"), || format!("row {row} {column}: {en}"))
        });
        anyhow!("{shown}:\n{}", lines.collect::<Vec<_>>().join("\n"))
    })?;
    let (store, corp) = (Store::open_beside(&config.storage)?, only_corp(config)?);
    let outcome = store.import_people(&actor(), &corp, edits, dry_run, Clock::System.now()).await?;
    let (new, changed, same) = (outcome.new, outcome.changed, outcome.unchanged);
    if as_json {
        return print_json(&json!({ "new": new, "changed": changed, "unchanged": same, "dry_run": dry_run }));
    }
    println!(
        "{}",
        tell(
            config,
            || format!(
                "{}新增 {new} 人，修改 {changed} 人，{same} 人没有变化",
                if dry_run { "（试运行，没有写入）" } else { "" }
            ),
            || format!(
                "{}{new} new, {changed} changed, {same} unchanged",
                if dry_run { "nothing written; would be: " } else { "" }
            ),
        )
    );
    Ok(())
}

/// Prints the departments and everybody's hours.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn list_departments(config: &Config, as_json: bool) -> anyhow::Result<()> {
    let store = Store::open_beside(&config.storage)?;
    let mut all = Vec::new();
    for corp in corps(config) {
        let (departments, hours) = (store.departments(&corp).await?, store.company_hours(&corp).await?);
        if !as_json {
            let hours = hours.map_or_else(|| "always".to_owned(), |hours| hours.to_string());
            println!("{}{hours}", say(config, "所有人的服务时间：", "everybody's hours: "));
            let head = match config.chat.language {
                Language::Chinese => ["编号", "上级", "名称", "人数", "服务时间"],
                Language::English => ["NUMBER", "ABOVE", "NAME", "MEMBERS", "HOURS"],
            };
            let mut rows = vec![head.map(str::to_owned)];
            rows.extend(departments.iter().map(|department| {
                let Department { id, parent, name, members, hours, .. } = department;
                let hours = hours.as_ref().map_or_else(String::new, ToString::to_string);
                [id.to_string(), parent.to_string(), name.clone().unwrap_or_default(), members.to_string(), hours]
            }));
            print_table(&rows);
            continue;
        }
        let departments = departments.into_iter().map(|department| member::Department {
            id: department.id,
            parent: department.parent,
            name: department.name,
            members: department.members,
            hours: department.hours.map(|hours| hours.to_string()),
        });
        all.push(json!({
            "corp": corp, "hours": hours.map(|hours| hours.to_string()), "departments": departments.collect::<Vec<_>>(),
        }));
    }
    if as_json { print_json(&all.into()) } else { Ok(()) }
}

/// Sets the hours of a department, or of everybody.
///
/// # Errors
/// They are none, or the database cannot be written.
pub async fn set_hours(config: &Config, department: Option<u64>, hours: &str, as_json: bool) -> anyhow::Result<()> {
    let hours = read_hours(hours).map_err(|right| wrong(config, "hours", right))?;
    let store = Store::open_beside(&config.storage)?;
    let mut done = false;
    for corp in corps(config) {
        let subject = match department {
            None => Subject::company(&corp),
            Some(id) => {
                let there = store.departments(&corp).await?.iter().any(|department| department.id == id);
                if !there {
                    continue;
                }
                Subject::department(&corp, id)
            }
        };
        store.set_hours(&actor(), &subject, hours.as_ref(), Clock::System.now()).await?;
        done = true;
    }
    ensure!(
        done,
        "{}",
        say(
            config,
            "没有这个部门；qimate department 会列出全部",
            "there is no such department; `qimate department` shows them"
        )
    );
    let hours = hours.map_or_else(|| "inherit".to_owned(), |hours| hours.to_string());
    print(
        as_json,
        || format!("{}{hours}", say(config, "服务时间：", "hours: ")),
        &json!({ "department": department, "hours": hours }),
    )
}

fn wrong(config: &Config, what: &str, [zh, en]: [&'static str; 2]) -> anyhow::Error {
    anyhow!("{what}: {}", say(config, zh, en))
}

fn unknown(config: &Config, member: &MemberId) -> String {
    tell(
        config,
        || format!("不认识 {member}；这是此人的 userid 吗（通讯录 → 成员 → 账号）？"),
        || format!("{member} is not known; is it their userid (通讯录 → 成员 → 账号)?"),
    )
}

/// The enterprises that are served.
pub(super) fn corps(config: &Config) -> Vec<CorpId> {
    let corps: BTreeSet<&str> = config.apps.iter().map(|app| app.wecom.corp_id.as_str()).collect();
    corps.into_iter().filter_map(|corp| CorpId::parse(corp).ok()).collect()
}

/// The one, for a table: a userid means somebody else in another enterprise.
fn only_corp(config: &Config) -> anyhow::Result<CorpId> {
    let mut corps = corps(config);
    match (corps.pop(), corps.is_empty()) {
        (Some(corp), true) => Ok(corp),
        _ => bail!(say(
            config,
            "配置里有几个企业；名单只能用于一个企业，请用只含一个企业的配置",
            "several enterprises are configured; a table is for one, so use a configuration with one"
        )),
    }
}
