//! `qimate usage`: what model calls took, as a table, as JSON or as CSV. May be asked beside a daemon, which writes a
//! call down within a second.

use std::{
    collections::BTreeSet,
    fs::File,
    io::{self, BufWriter, Write, stdout},
    path::Path,
};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::{actor, print, right_aligned, say, tell};
use crate::{
    clock::{Clock, Timestamp},
    config::Config,
    model::quota::amounts::show_money,
    store::{
        backup,
        ledger::{
            self, Books, Line, Span, csv_field,
            totals::{Dimension, Grain, Totals},
        },
    },
};

/// What is summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The time: days or, of some hours, hours.
    Time,
    /// A name.
    Name(Dimension),
}

/// How it is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// About when.
#[derive(Clone, Debug)]
pub enum When {
    /// The last so many, as `30d`.
    Last(String),
    /// From one date to another.
    Dates(Option<String>, Option<String>),
}

/// The columns of figures: their names in files, and in tables of both languages.
const FIGURES: [(&str, &str, &str); 8] = [
    ("calls", "调用", "CALLS"),
    ("not_ok", "未完成", "NOT OK"),
    ("input_tokens", "输入", "IN"),
    ("cached_tokens", "缓存", "CACHED"),
    ("output_tokens", "输出", "OUT"),
    ("estimated", "估算", "ESTIMATED"),
    ("money", "费用", "COST"),
    ("average_first_ms", "首字毫秒", "FIRST MS"),
];
/// Columns of a terminal that a figure takes.
const WIDTH: usize = 12;

/// Prints sums of what was used.
///
/// # Errors
/// There is no database, it cannot be read, or `when` is none.
pub async fn usage(config: &Config, by: By, when: &When, form: Form) -> anyhow::Result<()> {
    let (span, grain) = span(config, when)?;
    let books = Books::of(&config.storage)?;
    let rows: Vec<(String, Totals)> = match by {
        By::Time => {
            books.over_time(grain, span).await?.into_iter().map(|(at, sum)| (moment(config, at, grain), sum)).collect()
        }
        By::Name(dimension) => named(config, books.by(dimension, grain, span).await?),
    };
    let all = rows.iter().fold(Totals::default(), |all, (_, sum)| all.plus(*sum));
    let mut out = stdout().lock();
    let printed = match form {
        Form::Json => {
            let json = json!({
                "from_ms": span.from.as_millis(), "until_ms": span.until.as_millis(), "currency": config.team.currency,
                "lines": rows.iter().map(|(name, sum)| in_json(name, sum)).collect::<Vec<_>>(),
                "total": all,
            });
            writeln!(out, "{}", serde_json::to_string_pretty(&json)?)
        }
        Form::Csv => csv(&mut out, &rows),
        Form::Table => table(config, &mut out, &rows, &all),
    };
    unless_nobody_reads(printed)
}

/// Writes the calls one by one as CSV, to a new file or to the standard output.
///
/// # Errors
/// As of [`usage`], or the file is there already or cannot be written.
pub async fn export(config: &Config, when: &When, to: Option<&Path>) -> anyhow::Result<()> {
    let (span, _) = span(config, when)?;
    let books = Books::of(&config.storage)?;
    let Some(path) = to else {
        return match books.export(span, BufWriter::new(stdout())).await {
            Err(crate::store::ledger::ExportError::Io(error)) => unless_nobody_reads(Err(error)),
            exported => Ok(exported.map(|_| ())?),
        };
    };
    // Made with nothing in it, which only this account can read, and then filled.
    backup::write_private(path, b"")?;
    let file = File::options().write(true).open(path).with_context(|| format!("cannot write {}", path.display()))?;
    let calls = books.export(span, BufWriter::new(file)).await?;
    let path = path.display();
    println!(
        "{}",
        tell(config, || format!("已写入 {path}：{calls} 次调用"), || format!("wrote {path}: {calls} calls"))
    );
    Ok(())
}

/// Makes the sums again from the calls that are kept.
///
/// # Errors
/// There is no database, or the file of usage cannot be written.
pub async fn rebuild(config: &Config, as_json: bool) -> anyhow::Result<()> {
    Books::of(&config.storage)?;
    let (storage, zone) = (config.storage.clone(), config.chat.time_zone.clone());
    let now = Clock::System.now();
    let kept_from = now - config.team.keep_calls;
    let calls =
        tokio::task::spawn_blocking(move || ledger::rebuild(&storage, &actor(), &zone, kept_from, now)).await??;
    let words = || tell(config, || format!("已按 {calls} 次调用重新合计"), || format!("summed up {calls} calls again"));
    print(as_json, words, &json!({ "calls": calls }))
}

fn span(config: &Config, when: &When) -> anyhow::Result<(Span, Grain)> {
    let (zone, now) = (&config.chat.time_zone, Clock::System.now());
    Ok(match when {
        When::Last(text) => Span::last(text, zone, now).with_context(|| format!("--last {text}"))?,
        When::Dates(first, last) => {
            let span = Span::dates(first.as_deref(), last.as_deref(), zone, now).with_context(|| {
                let given = [("--from", first), ("--to", last)];
                let given = given.iter().filter_map(|(flag, date)| Some(format!("{flag} {}", date.as_ref()?)));
                given.collect::<Vec<_>>().join(" ")
            })?;
            (span, Grain::Day)
        }
    })
}

/// A day as `2026-11-21`, an hour as `2026-11-21 09:00`.
fn moment(config: &Config, at: Timestamp, grain: Grain) -> String {
    let shown = config.chat.time_zone.local(at).to_string();
    match grain {
        Grain::Hour => shown,
        Grain::Day => shown.split(' ').next().unwrap_or_default().to_owned(),
    }
}

/// Names as people read them: without the enterprise where there is only one.
fn named(config: &Config, lines: Vec<Line>) -> Vec<(String, Totals)> {
    let corp = |line: &Line| line.name.as_deref().and_then(|name| Some(name.split_once('/')?.0.to_owned()));
    let is_alone = lines.iter().filter_map(corp).collect::<BTreeSet<_>>().len() <= 1;
    let shown = |name: Option<String>| {
        let Some(name) = name else { return say(config, "（无）", "(none)").to_owned() };
        match name.split_once('/') {
            Some((_, rest)) if rest.is_empty() || rest.starts_with('#') => {
                format!("{}{rest}", say(config, "（已删除）", "(erased)"))
            }
            Some((_, rest)) if is_alone => rest.to_owned(),
            _ => name,
        }
    };
    lines.into_iter().map(|line| (shown(line.name), line.totals)).collect()
}

fn figures(sum: &Totals) -> [String; 8] {
    let first = sum.average_first_ms().map_or(String::new(), |ms| ms.to_string());
    [
        sum.calls.to_string(),
        (sum.calls - sum.ok()).to_string(),
        sum.input.to_string(),
        sum.cached.to_string(),
        sum.output.to_string(),
        sum.estimated.to_string(),
        show_money(sum.money),
        first,
    ]
}

fn table(config: &Config, out: &mut impl Write, rows: &[(String, Totals)], all: &Totals) -> io::Result<()> {
    if rows.is_empty() {
        return writeln!(out, "{}", say(config, "这段时间没有用量。", "nothing was used in this time"));
    }
    let total = say(config, "合计", "total");
    let width = |text: &str| text.chars().map(|c| if c.is_ascii() { 1 } else { 2 }).sum::<usize>();
    let widest = rows.iter().map(|(name, _)| width(name)).chain([width(total)]).max().unwrap_or(0);
    let mut line = |name: &str, figures: &[String]| {
        let figures: String = figures.iter().map(|figure| right_aligned(figure, WIDTH)).collect();
        writeln!(out, "{name}{}{figures}", " ".repeat(widest - width(name)))
    };
    line("", &FIGURES.map(|(_, chinese, english)| say(config, chinese, english).to_owned()))?;
    for (name, sum) in rows {
        line(name, &figures(sum))?;
    }
    line(total, &figures(all))?;
    writeln!(
        out,
        "{}",
        tell(
            config,
            || format!(
                "费用单位：{}；未完成 = 停止、拒绝、失败或中断；估算 = 上游没有给出用量的调用",
                config.team.currency
            ),
            || format!(
                "cost in {}; not ok: stopped, refused, failed or cut; estimated: calls whose upstream told no usage",
                config.team.currency
            ),
        )
    )
}

fn csv(out: &mut impl Write, rows: &[(String, Totals)]) -> io::Result<()> {
    writeln!(out, "name,{}\r", FIGURES.map(|(name, ..)| name).join(","))?;
    for (name, sum) in rows {
        writeln!(out, "{},{}\r", csv_field(name), figures(sum).join(","))?;
    }
    Ok(())
}

fn in_json(name: &str, sum: &Totals) -> Value {
    let mut line = json!(sum);
    line["name"] = name.into();
    line["ok"] = sum.ok().into();
    line
}

/// Whoever reads may have seen enough, as `head` does.
fn unless_nobody_reads(printed: io::Result<()>) -> anyhow::Result<()> {
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            bail!("cannot write to the standard output: {error}")
        }
        _ => Ok(()),
    }
}
