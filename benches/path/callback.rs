//! Callbacks that need no answer, each committed, beside a handler that does nothing but read the body.

use std::{
    io,
    net::SocketAddr,
    process::Stdio,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use axum::{
    Router,
    body::Bytes,
    http::StatusCode,
    routing::post,
    serve::{ListenerExt, serve},
};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::{Child, Command},
    task::JoinSet,
};

use crate::{
    company::CONNECTIONS,
    daemon::Daemon,
    figure::Figure,
    http::Caller,
    statistics::median,
    wecom::{CALLBACK_PATH, Sealer},
};

/// The argument with which this program is the other handler.
pub(crate) const BARE_HANDLER: &str = "--bare-handler";
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_millis(2000);
const WARM_UP: Duration = Duration::from_millis(300);
/// As many as no daemon takes in a round; should one, its round ends early.
const CALLBACKS: usize = 120_000;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let bare = BareHandler::start().await?;
    // Nobody needs an answer, so nobody is called.
    let daemon = Daemon::start("http://127.0.0.1:9", "http://127.0.0.1:9/v1", &[]).await?;
    let mut sealer = Sealer::new()?;
    let mut openings = |round: usize| -> Arc<Vec<Vec<u8>>> {
        Arc::new((0..CALLBACKS).map(|n| sealer.opened(&format!("m{round}-{n}"))).collect())
    };

    let mut requests = openings(0);
    throughput(daemon.address, &requests, false, WARM_UP).await?;
    throughput(bare.address, &requests, true, WARM_UP).await?;
    let (mut durable, mut only_read, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 1..=ROUNDS {
        requests = openings(round);
        durable.push(throughput(daemon.address, &requests, false, ROUND).await?);
        only_read.push(throughput(bare.address, &requests, true, ROUND).await?);
        ratios.push(durable[round - 1] / only_read[round - 1]);
    }
    daemon.kill().await?;
    Ok(vec![
        Figure::new("callbacks committed", median(&durable), "/s"),
        Figure::new("the same requests, read by a bare axum handler", median(&only_read), "/s"),
        Figure::new(format!("ratio, median of {ROUNDS} rounds"), median(&ratios), "")
            .floor_at_least(0.25)
            .goal_at_least(0.4),
    ])
}

/// Requests answered with 200 per second, on all connections at once. They are made once, or `again` and again.
async fn throughput(
    address: SocketAddr,
    requests: &Arc<Vec<Vec<u8>>>,
    again: bool,
    limit: Duration,
) -> anyhow::Result<f64> {
    let mut callers = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        callers.push(Caller::connect(address).await?);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut calling = JoinSet::new();
    for mut caller in callers {
        let (requests, next) = (Arc::clone(requests), Arc::clone(&next));
        calling.spawn(async move {
            let mut answered = 0_u32;
            while begun.elapsed() < limit {
                let n = next.fetch_add(1, Ordering::Relaxed);
                let Some(request) = requests.get(if again { n % requests.len() } else { n }) else { break };
                let status = caller.call(request).await?;
                ensure!(status == 200, "a callback was answered with {status}");
                answered += 1;
            }
            anyhow::Ok(answered)
        });
    }
    let mut answered = 0;
    while let Some(one) = calling.join_next().await {
        answered += one??;
    }
    Ok(f64::from(answered) / begun.elapsed().as_secs_f64())
}

/// The other handler, in a process of its own.
struct BareHandler {
    address: SocketAddr,
    /// Ends when it is dropped.
    _child: Child,
}

impl BareHandler {
    async fn start() -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(BARE_HANDLER)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let stdout = child.stdout.take().context("it has an output")?;
        let line = BufReader::new(stdout).lines().next_line().await?.context("it says where it listens")?;
        Ok(Self { address: line.parse()?, _child: child })
    }
}

/// Serves until standard input ends, on a runtime like the daemon's.
pub(crate) fn serve_bare_handler() -> anyhow::Result<()> {
    thread::spawn(|| {
        // Whoever measures holds the other end, and may be killed without a chance to kill us.
        let _ = io::copy(&mut io::stdin(), &mut io::sink());
        std::process::exit(0);
    });
    tokio::runtime::Runtime::new()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        let router = Router::new().route(CALLBACK_PATH, post(async |_: Bytes| StatusCode::OK));
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        Ok(serve(listener, router).await?)
    })
}
