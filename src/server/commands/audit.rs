//! `qimate audit`: what administrators changed, and whether the log of it is whole.

use std::{
    io::{Write, stdout},
    path::Path,
};

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value, json};

use super::{say, tell};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    model::csv,
    store::{
        Store,
        audit::{self, Broken, Head, Line, Lines},
        backup,
        ledger::Span,
    },
};

/// Which entries are shown, as it was written.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// From then on: a date, or the last days or hours as `7d` or `24h`.
    pub since: Option<String>,
    /// Part of the actor.
    pub actor: Option<String>,
    /// Part of the object.
    pub object: Option<String>,
}

/// Prints entries, oldest first.
///
/// # Errors
/// `since` is no time, there is no database, or it cannot be read.
pub async fn list(config: &Config, wanted: Wanted, as_json: bool) -> anyhow::Result<()> {
    let lines = lines(config, wanted).await?;
    if as_json {
        println!("{:#}", lines.iter().map(in_json).collect::<Value>());
        return Ok(());
    }
    if lines.is_empty() {
        println!("{}", say(config, "没有记录。", "no entries"));
    }
    for line in lines {
        let at = config.chat.time_zone.local(line.at);
        let result = if line.result == "done" { String::new() } else { format!(" [{}]", line.result) };
        println!("{:>6}  {at}  {}  {}  {}{result}", line.seq, line.actor, line.action, line.object);
        for (field, change) in &line.changes {
            println!("        {field}: {}", told(change));
        }
    }
    Ok(())
}

/// Writes entries as CSV, to a new file or to the standard output.
///
/// # Errors
/// As of [`list`], or the file is there already or cannot be written.
pub async fn export(config: &Config, wanted: Wanted, out: Option<&Path>) -> anyhow::Result<()> {
    let lines = lines(config, wanted).await?;
    let head =
        ["seq", "at_ms", "time", "actor", "action", "object", "changes", "result", "hash"].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(lines.iter().map(|line| row(config, line))).collect();
    let file = csv::write(&rows);
    let Some(out) = out else {
        return stdout().write_all(file.as_bytes()).context("cannot write to the standard output");
    };
    backup::write_private(out, file.as_bytes())?;
    let (out, count) = (out.display(), lines.len());
    println!("{}", tell(config, || format!("已写入 {out}：{count} 条"), || format!("wrote {out}: {count} entries")));
    Ok(())
}

/// Prints where the log ends, to be kept elsewhere.
///
/// # Errors
/// There is no database, or it cannot be read.
pub async fn head(config: &Config) -> anyhow::Result<()> {
    println!("{}", Store::open_beside(&config.storage)?.audit_head().await?);
    Ok(())
}

/// Reads the log from end to end, and says where it ends.
///
/// # Errors
/// An entry is not as it was written, and which; `kept` is no head; there is no database, or it cannot be read.
pub fn verify(config: &Config, kept: Option<&str>) -> anyhow::Result<()> {
    let kept = match kept {
        None => None,
        Some(text) => Some(Head::parse(text).ok_or_else(|| {
            let right = say(
                config,
                "应为 qimate audit head 打印的内容，例如 12:9f86…",
                "expected what `qimate audit head` printed, such as 12:9f86…",
            );
            anyhow!("--head: {right}")
        })?),
    };
    match audit::verify(&config.storage, kept)? {
        Ok(verified) => {
            let (entries, head) = (verified.head.seq, verified.head);
            println!(
                "{}",
                tell(
                    config,
                    || format!("审计记录完整：{entries} 条，末尾 {head}"),
                    || format!("the audit log is whole: {entries} entries, which end with {head}"),
                )
            );
            Ok(())
        }
        Err(broken) => bail!(described(config, &broken)),
    }
}

async fn lines(config: &Config, wanted: Wanted) -> anyhow::Result<Vec<Line>> {
    let Wanted { since, actor, object } = wanted;
    let since = since.map(|text| moment(config, &text)).transpose()?;
    Ok(Store::open_beside(&config.storage)?.audit_lines(Lines { since, actor, object }).await?)
}

fn moment(config: &Config, text: &str) -> anyhow::Result<Timestamp> {
    let (zone, now) = (&config.chat.time_zone, Clock::System.now());
    let first = Span::last(text, zone, now).map(|(span, _)| span.from);
    let first = first.ok().or_else(|| zone.date(text).map(|(from, _)| from));
    first.ok_or_else(|| {
        let right = say(
            config,
            "应为日期（2026-11-21），或最近若干天、小时（7d、24h）",
            "expected a date such as 2026-11-21, or days or hours such as 7d or 24h",
        );
        anyhow!("--since {text}: {right}")
    })
}

fn described(config: &Config, broken: &Broken) -> String {
    match broken {
        Broken::Missing(seq) => tell(
            config,
            || format!("第 {seq} 条记录不见了：审计记录被改动过"),
            || format!("entry {seq} is not there: the audit log was tampered with"),
        ),
        Broken::Changed(seq) => tell(
            config,
            || format!("第 {seq} 条记录与写入时不同：审计记录被改动过"),
            || format!("entry {seq} is not as it was written: the audit log was tampered with"),
        ),
        Broken::Name(seq) => tell(
            config,
            || format!("第 {seq} 条记录中的姓名与写入时不同，或被删除：审计记录被改动过"),
            || {
                format!(
                    "a name in entry {seq} is not as it was written, or was taken out: the audit log was tampered with"
                )
            },
        ),
        Broken::CutOff { last, kept } => tell(
            config,
            || format!("审计记录在第 {last} 条结束，而保存的末尾是第 {kept} 条：后面的被删除了"),
            || {
                format!(
                    "the audit log ends with entry {last}, but the head that was kept is entry {kept}: the end is cut off"
                )
            },
        ),
        Broken::OtherHead(seq) => tell(
            config,
            || format!("第 {seq} 条记录与保存的末尾不同：审计记录被重写过，或这个末尾属于别的数据库"),
            || {
                format!(
                    "entry {seq} is not the one of the head that was kept: the log was made anew, or the head is of another database"
                )
            },
        ),
    }
}

fn row(config: &Config, line: &Line) -> Vec<String> {
    let changes = Value::Object(line.changes.clone()).to_string();
    let (at, time) = (line.at.as_millis().to_string(), config.chat.time_zone.local(line.at).to_string());
    [line.seq.to_string(), at, time, line.actor.clone(), line.action.clone(), line.object.clone()]
        .into_iter()
        .chain([changes, line.result.clone(), line.hash.clone()])
        .collect()
}

fn in_json(line: &Line) -> Value {
    let side = |change: &Value, place: usize| change.get(place).cloned().unwrap_or_default();
    let changes: Map<String, Value> = line
        .changes
        .iter()
        .map(|(field, change)| (field.clone(), json!({ "before": side(change, 0), "after": side(change, 1) })))
        .collect();
    json!({
        "seq": line.seq, "at_ms": line.at.as_millis(), "actor": line.actor, "action": line.action,
        "object": line.object, "changes": changes, "result": line.result, "hash": line.hash,
    })
}

/// `before → after`, or what is there alone.
fn told(change: &Value) -> String {
    let side = |place: usize| match change.get(place) {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(other) => Some(other.to_string()),
    };
    match (side(0), side(1)) {
        (None, None) => "-".to_owned(),
        (None, Some(after)) => after,
        (before, after) => {
            format!("{} → {}", before.unwrap_or_else(|| "-".to_owned()), after.unwrap_or_else(|| "-".to_owned()))
        }
    }
}
