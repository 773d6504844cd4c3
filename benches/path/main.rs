//! How fast the path from callback to delivery is, and what it costs: `cargo bench`, or `cargo bench -- burst` for one.
//!
//! The daemon is the real binary in a process of its own. WeCom, the model and the members are played in this process,
//! on one thread, by fakes that do no more than they must (the sandbox checks everything, and would be what is
//! measured). Each figure stands beside its floor, which must not be missed, and its goal. Exits with failure when a
//! floor is missed, unless `--no-fail` is given. Absolute figures are those of the machine; two cores are what the
//! floors were set for.
//!
//! To add a benchmark, give it a file with a `run`, and a line in [`BENCHMARKS`].
#![forbid(unsafe_code)]

mod burst;
mod callback;
mod company;
mod daemon;
mod figure;
mod first_part;
mod hostile;
mod http;
mod instant;
mod media;
mod model;
mod programs;
mod size;
mod statistics;
mod usage;
mod waiting;
mod wecom;

use std::{pin::Pin, process::ExitCode, time::Duration};

use anyhow::{Context, bail};

use crate::figure::Figure;

type Run = fn() -> Pin<Box<dyn Future<Output = anyhow::Result<Vec<Figure>>>>>;

/// Name, what it does, and the function.
const BENCHMARKS: &[(&str, &str, Run)] = &[
    ("callback", "events that need no answer, 64 connections, beside a handler that only reads the body", || {
        Box::pin(callback::run())
    }),
    ("instant", "800 members and a model that answers at once, each member asking again when answered", || {
        Box::pin(instant::run())
    }),
    (
        "media",
        "questions in words where pictures, voice, links and tools are switched on, and where they are not",
        || Box::pin(media::run()),
    ),
    ("waiting", "1000 members and a model that takes 1 s, max_concurrent_turns = 1000", || Box::pin(waiting::run())),
    ("burst", "300 members in the same instant, the model takes 0.5 s, WeCom's API 20 ms", || Box::pin(burst::run())),
    ("first-part", "from the blank line behind the model's first paragraph to the request to WeCom", || {
        Box::pin(first_part::run())
    }),
    ("size", "memory, start, binary", || Box::pin(size::run())),
    ("hostile", "8 hung model calls, 64 half-sent requests and 32 MiB bodies beside 100 ordinary questions", || {
        Box::pin(hostile::run())
    }),
    ("programs", "calls at /v1 by a member's key under a plan, beside the same calls without Qimate", || {
        Box::pin(programs::run())
    }),
    ("usage", "what `qimate usage` asks of ten million calls", || Box::pin(usage::run())),
];
/// No benchmark takes half of this on a machine that has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    match benchmarks() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what the command line asks for; whether no floor was missed, or nobody minds.
fn benchmarks() -> anyhow::Result<bool> {
    let (mut wanted, mut may_miss) = (Vec::new(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            // What `cargo bench` adds.
            "--bench" => {}
            "--no-fail" => may_miss = true,
            callback::BARE_HANDLER => return callback::serve_bare_handler().map(|()| true),
            name if BENCHMARKS.iter().any(|(known, ..)| *known == name) => wanted.push(name.to_owned()),
            other => {
                let known: Vec<_> = BENCHMARKS.iter().map(|(name, ..)| *name).collect();
                bail!("{other}: expected --no-fail, or some of: {}", known.join(", "));
            }
        }
    }
    // One thread: two cores hold everything, and the daemon should have what it can of them.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut good = true;
    for (name, what, run) in BENCHMARKS {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        println!("\n{name}: {what}");
        let figures = runtime
            .block_on(async { tokio::time::timeout(PATIENCE, run()).await })
            .context("it took too long")
            .and_then(|outcome| outcome);
        match figures {
            Ok(figures) => {
                for figure in figures {
                    println!("  {figure}");
                    good &= figure.is_within_floor();
                }
            }
            Err(error) => {
                println!("  ✗ {error:#}");
                good = false;
            }
        }
    }
    println!("\n{}", if good { "no floor was missed" } else { "a floor was missed" });
    Ok(good || may_miss)
}
