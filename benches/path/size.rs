//! What a daemon takes: memory in each situation, time to start, disk for the binary.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::{
    company::Company,
    daemon::{BINARY, Daemon},
    figure::Figure,
    model::Manner,
    statistics::median,
    wecom::Sealer,
};

const STARTS: usize = 5;
/// Members who ask at once where their number is what matters.
const WAVE: usize = 500;
const IN_FLIGHT: usize = 5000;
/// Open files that the turns in flight need in each process, and some.
const FILES: u64 = 6000;
/// How long what was freed may take to be given back.
const REST: Duration = Duration::from_millis(1500);

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let binary = fs::metadata(BINARY)?.len() as f64 / (1024.0 * 1024.0);
    let mut figures = vec![
        Figure::new("binary", binary, "MiB").floor_at_most(25.0),
        Figure::new(format!("start to first accepted callback, median of {STARTS}"), median(&starts().await?), "ms")
            .floor_at_most(200.0),
    ];
    figures.extend(members().await?);
    figures.extend(in_flight().await?);
    Ok(figures)
}

async fn starts() -> anyhow::Result<Vec<f64>> {
    let mut sealer = Sealer::new()?;
    let mut times = Vec::with_capacity(STARTS);
    for n in 0..STARTS {
        let request = sealer.opened(&format!("left{n}"));
        let begun = Instant::now();
        let mut daemon = Daemon::spawn("http://127.0.0.1:9", "http://127.0.0.1:9/v1", &[])?;
        let status = daemon.listening().await?.call(&request).await?;
        times.push(begun.elapsed().as_secs_f64() * 1e3);
        ensure!(status == 200, "the first callback was answered with {status}");
        daemon.kill().await?;
    }
    Ok(times)
}

/// Idle, after some members, and after many.
async fn members() -> anyhow::Result<Vec<Figure>> {
    let mut company = Company::open(Manner::After(Duration::ZERO), Duration::ZERO, &[]).await?;
    tokio::time::sleep(REST).await;
    let idle = company.daemon.rss_mib()?;
    let mut after = Vec::new();
    let mut known = 0;
    for members in [300, 10_000, 30_000] {
        while known < members {
            // In waves: what they leave behind is measured, not what a backlog of thousands takes.
            let wave = (members - known).min(WAVE);
            company.ask(&format!("after{known}m"), wave, 1).answered().await?;
            known += wave;
        }
        tokio::time::sleep(REST).await;
        after.push(company.daemon.rss_mib()?);
    }
    company.daemon.kill().await?;
    Ok(vec![
        Figure::new("memory, idle", idle, "MiB").floor_at_most(20.0),
        Figure::new("memory after 300 members", after[0], "MiB").floor_at_most(60.0),
        Figure::new("memory after 10,000 members", after[1], "MiB"),
        Figure::new("memory after 30,000 members", after[2], "MiB"),
        // By ten thousand the caches are full; what grows after that would grow for ever.
        Figure::new("30,000 to 10,000 members", after[2] / after[1], "").goal_at_most(1.25),
    ])
}

/// While the model holds its answers.
async fn in_flight() -> anyhow::Result<Vec<Figure>> {
    if open_files_limit().is_some_and(|limit| limit < FILES) {
        println!("  memory with {IN_FLIGHT} turns in flight: not measured; it needs `ulimit -n {FILES}`");
        return Ok(Vec::new());
    }
    let settings = [("QIMATE_CHAT__MAX_CONCURRENT_TURNS", "6000")];
    let mut company = Company::open(Manner::Hold, Duration::ZERO, &settings).await?;
    let asking = company.ask("m", IN_FLIGHT, 1);
    while company.model.in_flight() < IN_FLIGHT {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    tokio::time::sleep(REST).await;
    let held = company.daemon.rss_mib()?;
    company.model.set_manner(Manner::After(Duration::ZERO));
    asking.answered().await?;
    company.daemon.kill().await?;
    Ok(vec![Figure::new(format!("memory with {IN_FLIGHT} turns in flight"), held, "MiB").floor_at_most(200.0)])
}

/// How many files a process may have open, where that can be read; children inherit it.
fn open_files_limit() -> Option<u64> {
    let limits = fs::read_to_string("/proc/self/limits").ok()?;
    limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok())
}
