//! What `qimate usage` asks of `usage.db` when that has ten million calls: the last 30 days by member, department and
//! model. `QIMATE_BENCH_USAGE_ROWS` makes it another number of calls.
//!
//! The file is the real one: a ledger makes it and writes the first calls, which give it all its names; the others are
//! those again, at other times and with other figures, and the store makes its sums of them.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use qimate::{
    clock::{Clock, Timestamp, zone::Zone},
    config::{self, storage::Synchronous},
    model::{
        call::{Call, Ended, Kind},
        conversation::Usage,
        id::{AgentId, CorpId, MemberId},
    },
    store::{
        Store,
        ledger::{
            Books, Ledger, Span, rebuild,
            totals::{Dimension, Grain},
        },
    },
};
use rusqlite::{Connection, params};

use crate::{figure::Figure, statistics::median};

/// Calls, unless the environment says how many.
const ROWS: u32 = 10_000_000;
const ROWS_FROM: &str = "QIMATE_BENCH_USAGE_ROWS";
const MEMBERS: usize = 2000;
const DEPARTMENTS: u64 = 40;
const MODELS: [&str; 4] = ["fast", "deep", "long", "local"];
/// Days that the calls are spread over, evenly.
const DAYS: u64 = 90;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Times that each question is asked.
const QUERIES: usize = 15;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let rows = match std::env::var(ROWS_FROM) {
        Ok(text) => text.parse().with_context(|| format!("{ROWS_FROM}={text}: expected a number of calls"))?,
        Err(_) => ROWS,
    };
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let settings = config::Storage {
        data_dir: dir.path().to_owned(),
        synchronous: Synchronous::Normal,
        max_size_mib: None,
        keep: DAYS as u32 * DAY,
    };
    let (zone, now) = (Zone::parse("Asia/Shanghai").context("no such zone")?, Clock::System.now());
    let begun = Instant::now();
    begin(&settings, &zone, now).await?;
    multiply(&settings, rows, now)?;
    let summed = Instant::now();
    let calls = rebuild(&settings, &qimate::model::audit::Actor::Daemon, &zone, now - settings.keep, now)?;
    ensure!(calls == u64::from(rows), "{calls} of {rows} calls were summed up");
    let size = fs::metadata(dir.path().join("usage.db"))?.len() as f64 / (1024.0 * 1024.0);
    let mut figures = vec![
        Figure::new(format!("{rows} calls of {MEMBERS} members in {DAYS} days, built in"), seconds(begun), "s"),
        Figure::new("of which their sums, made again from the calls", seconds(summed), "s"),
        Figure::new("usage.db", size, "MiB"),
    ];
    let (span, grain) = Span::last("30d", &zone, now)?;
    let books = Books::of(&settings)?;
    for (dimension, name, lines) in [
        (Dimension::Department, "department", DEPARTMENTS as usize),
        (Dimension::Model, "model", MODELS.len()),
        (Dimension::Member, "member", MEMBERS),
    ] {
        let time = ask(&books, dimension, grain, span, lines).await?;
        let name = format!("the last 30 days by {name}, {lines} lines, median of {QUERIES}");
        figures.push(Figure::new(name, time, "ms").floor_at_most(50.0));
    }
    are_true(&settings, &books, grain, span).await?;
    Ok(figures)
}

fn seconds(since: Instant) -> f64 {
    since.elapsed().as_secs_f64()
}

/// One call of each member with each model, before all others.
async fn begin(settings: &config::Storage, zone: &Zone, now: Timestamp) -> anyhow::Result<()> {
    drop(Store::open(settings, now)?);
    let ledger = Ledger::start(settings, zone.clone(), Clock::System)?;
    for member in 0..MEMBERS {
        for model in MODELS {
            ledger.record(Call {
                // So long before the others that no sum of theirs can be of these too.
                at: now - DAY * (DAYS as u32 + 3),
                corp: CorpId::parse("ww0000000000000001")?,
                member: Some(MemberId::parse(&format!("member{member}"))?),
                department: Some(1 + member as u64 % DEPARTMENTS),
                agent: Some(AgentId::new(1_000_002)),
                api_key: None,
                model: model.into(),
                upstream: Some("main".into()),
                kind: Kind::Chat,
                ended: Ended::Ok,
                usage: Usage { input: 900, cached: 300, output: 250, estimated: false },
                money: 2100,
                first_ms: Some(420),
                total_ms: 6800,
            });
        }
    }
    ledger.flush().await?;
    drop(ledger);
    // Its thread closes the file, which takes the log away; until then it is locked.
    while settings.data_dir.join("usage.db-wal").exists() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}

/// `rows` more calls, the last one `now`.
fn multiply(settings: &config::Storage, rows: u32, now: Timestamp) -> anyhow::Result<()> {
    let conn = Connection::open(settings.data_dir.join("usage.db"))?;
    // A copy to read from, since rows are not read from the table that they are written to.
    conn.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -65536;
         CREATE TEMP TABLE first AS SELECT * FROM call;",
    )?;
    let first: i64 = conn.query_row("SELECT COUNT(*) FROM first", [], |row| row.get(0))?;
    ensure!(first == (MEMBERS * MODELS.len()) as i64, "only {first} of the first calls were written");
    let span = DAY * DAYS as u32;
    // Multiplied with a large prime, numbers in order jump about as those of a die.
    conn.execute(
        "WITH RECURSIVE number (n, die) AS (
             SELECT 1, 2654435761 UNION ALL SELECT n + 1, (n + 1) * 2654435761 FROM number WHERE n < ?1)
         INSERT INTO call (at, corp, member, department, app, api_key, model, upstream, kind, result, reason, input,
                           cached, output, estimated, money, first_ms, total_ms)
         SELECT ?2 + n * ?3 / ?1, corp, member, department, app, api_key, model, upstream, kind, (die >> 9) % 50 = 0,
                reason, input + (die >> 10) % 3000, cached + (die >> 11) % 500, output + (die >> 12) % 900,
                (die >> 13) % 20 = 0, money + (die >> 14) % 9000, first_ms + (die >> 15) % 1500,
                total_ms + (die >> 16) % 20000
         FROM number JOIN first ON first.id = 1 + (die >> 8) % ?4",
        params![rows, (now - span).as_millis(), span.as_millis() as i64, first],
    )?;
    conn.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    Ok(())
}

/// How long the sums of one dimension take.
async fn ask(books: &Books, dimension: Dimension, grain: Grain, span: Span, lines: usize) -> anyhow::Result<f64> {
    let mut times = Vec::with_capacity(QUERIES);
    for _ in 0..QUERIES {
        let begun = Instant::now();
        let found = books.by(dimension, grain, span).await?.len();
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(found == lines, "{found} lines, and not {lines}");
    }
    Ok(median(&times))
}

/// Whether the sums are those of the calls.
async fn are_true(settings: &config::Storage, books: &Books, grain: Grain, span: Span) -> anyhow::Result<()> {
    let conn = Connection::open(settings.data_dir.join("usage.db"))?;
    let of_calls: (i64, i64) = conn.query_row(
        "SELECT COUNT(*), SUM(money) FROM call WHERE at >= ?1 AND at < ?2",
        [span.from.as_millis(), span.until.as_millis()],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    for dimension in [Dimension::Department, Dimension::Model, Dimension::Member] {
        let lines = books.by(dimension, grain, span).await?;
        let sum = lines
            .iter()
            .fold((0, 0), |(calls, money), line| (calls + line.totals.calls as i64, money + line.totals.money as i64));
        ensure!(sum == of_calls, "by {dimension:?} there are {sum:?} calls and micro-units, and not {of_calls:?}");
    }
    Ok(())
}
