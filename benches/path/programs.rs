//! What `/v1` adds to a call: the same requests go straight to a model and through the daemon, in turns.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
};

use crate::{
    daemon::Daemon,
    figure::Figure,
    http::{Caller, Incoming, find},
    statistics::quantile,
};

/// Calls of each way, one after the other, in turns.
const PAIRS: usize = 2000;
/// The same for the first words of a stream.
const STREAM_PAIRS: usize = 500;
/// Before anything is measured: connections are made, and what is read once is read.
const WARM_UP: usize = 200;
const CONNECTIONS: usize = 64;
const ROUND: Duration = Duration::from_secs(3);
const STREAMS: usize = 512;
/// Pieces of a paced stream, and the time between two.
const PIECES: usize = 40;
const PACE: Duration = Duration::from_millis(50);

const EVENT: &str = "data: ";

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let model = Upstream::start().await?;
    let more = [("QIMATE_V1__ENABLED", "true"), ("QIMATE_LLM__API_KEY", "sk-benchmarks")];
    let daemon = Daemon::start("http://127.0.0.1:9", &format!("http://{}/v1", model.address), &more).await?;
    let key = key(&daemon).await?;

    let mut figures = one_connection(&model, &daemon, &key).await?;
    figures.extend(first_words(&model, &daemon, &key).await?);
    figures.push(
        Figure::new(format!("whole answers, {CONNECTIONS} connections"), throughput(&daemon, &key).await?, "/s")
            .floor_at_least(5000.0)
            .goal_at_least(10_000.0),
    );
    figures.extend(paced(&daemon, &key).await?);
    daemon.kill().await?;
    Ok(figures)
}

/// A key of a member, under limits of the member and of the company.
async fn key(daemon: &Daemon) -> anyhow::Result<String> {
    let limits = ["--limit", "requests=100000000/month", "--limit", "tokens=1000000000000/day"];
    daemon.command(&[&["plan", "set", "everything"], &limits[..]].concat()).await?;
    daemon.command(&["plan", "attach", "--everyone", "everything"]).await?;
    daemon.command(&["plan", "attach", "--company", "everything"]).await?;
    let made = daemon.command(&["key", "create", "--member", "programmer", "--json", "benchmarks"]).await?;
    let made: Value = serde_json::from_slice(&made)?;
    let key = made["key"].as_str().context("a key is made")?.to_owned();
    // A running daemon feels it at once, which is within a second.
    let mut caller = Caller::connect(daemon.address).await?;
    let request = request(&key, false);
    while caller.call(&request).await? != 200 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(key)
}

fn request(key: &str, stream: bool) -> Vec<u8> {
    let stream = if stream { r#","stream":true,"stream_options":{"include_usage":true}"# } else { "" };
    let body = format!(
        r#"{{"model":"bench","messages":[{{"role":"system","content":"Answer in one sentence."}},{{"role":"user","content":"怎样报销出差的费用？"}}]{stream}}}"#
    );
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: qimate.example\r\nauthorization: Bearer {key}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// What each call through the daemon took longer than the one before it, straight to the model.
async fn one_connection(model: &Upstream, daemon: &Daemon, key: &str) -> anyhow::Result<Vec<Figure>> {
    let (mut straight, mut through) = (Caller::connect(model.address).await?, Caller::connect(daemon.address).await?);
    let request = request(key, false);
    let mut added = Vec::with_capacity(PAIRS);
    for n in 0..WARM_UP + PAIRS {
        let direct = timed(&mut straight, &request).await?;
        let taken = timed(&mut through, &request).await?;
        if n >= WARM_UP {
            added.push(taken.saturating_sub(direct));
        }
    }
    Ok(vec![
        Figure::ms(format!("added to a whole answer, one connection, p50 of {PAIRS}"), quantile(&added, 0.5))
            .floor_at_most(0.25)
            .goal_at_most(0.1),
        Figure::ms("p99", quantile(&added, 0.99)).floor_at_most(1.0).goal_at_most(0.2),
    ])
}

async fn timed(caller: &mut Caller, request: &[u8]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let status = caller.call(request).await?;
    ensure!(status == 200, "a call was answered with {status}");
    Ok(begun.elapsed())
}

/// The same for the first words of a stream.
async fn first_words(model: &Upstream, daemon: &Daemon, key: &str) -> anyhow::Result<Vec<Figure>> {
    let (mut straight, mut through) = (Caller::connect(model.address).await?, Caller::connect(daemon.address).await?);
    let request = request(key, true);
    model.pace(Duration::ZERO);
    let mut added = Vec::with_capacity(STREAM_PAIRS);
    for n in 0..WARM_UP / 2 + STREAM_PAIRS {
        let direct = first_word(&mut straight, &request).await?;
        let taken = first_word(&mut through, &request).await?;
        if n >= WARM_UP / 2 {
            added.push(taken.saturating_sub(direct));
        }
    }
    model.pace(PACE);
    Ok(vec![
        Figure::ms(format!("added to the first words of a stream, p50 of {STREAM_PAIRS}"), quantile(&added, 0.5)),
        Figure::ms("p99", quantile(&added, 0.99)).floor_at_most(1.0),
    ])
}

async fn first_word(caller: &mut Caller, request: &[u8]) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let mut answer = caller.begin(request, EVENT.as_bytes()).await?;
    let took = begun.elapsed();
    while !answer.is_over() {
        answer.more().await?;
    }
    Ok(took)
}

async fn throughput(daemon: &Daemon, key: &str) -> anyhow::Result<f64> {
    let request = Arc::new(request(key, false));
    let begun = Instant::now();
    let mut calling = JoinSet::new();
    for _ in 0..CONNECTIONS {
        let (mut caller, request) = (Caller::connect(daemon.address).await?, Arc::clone(&request));
        calling.spawn(async move {
            let mut calls = 0_usize;
            while begun.elapsed() < ROUND {
                let status = caller.call(&request).await?;
                ensure!(status == 200, "a call was answered with {status}");
                calls += 1;
            }
            Ok(calls)
        });
    }
    let mut calls = 0;
    while let Some(one) = calling.join_next().await {
        calls += one??;
    }
    Ok(calls as f64 / begun.elapsed().as_secs_f64())
}

/// Many streams at once, each piece of which is to come as it was written.
async fn paced(daemon: &Daemon, key: &str) -> anyhow::Result<Vec<Figure>> {
    let request = Arc::new(request(key, true));
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (mut caller, request) = (Caller::connect(daemon.address).await?, Arc::clone(&request));
        streams.spawn(async move {
            let mut answer = caller.begin(&request, EVENT.as_bytes()).await?;
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !answer.is_over() {
                answer.more().await?;
                longest = longest.max(last.elapsed());
                last = Instant::now();
            }
            let pieces = answer.bytes().windows(EVENT.len()).filter(|window| *window == EVENT.as_bytes()).count();
            anyhow::Ok((pieces, longest))
        });
    }
    // Its pieces, its end, its usage and `[DONE]`.
    let (mut whole, mut pauses) = (0, Vec::with_capacity(STREAMS));
    while let Some(one) = streams.join_next().await {
        let (pieces, longest) = one??;
        whole += usize::from(pieces == PIECES + 3);
        pauses.push(longest);
    }
    Ok(vec![
        Figure::new(format!("paced streams that came whole, of {STREAMS} at once"), whole as f64, "")
            .floor_at_least(STREAMS as f64),
        Figure::ms(
            format!("longest pause of any, where the model pauses {} ms", PACE.as_millis()),
            quantile(&pauses, 1.0),
        )
        .goal_at_most(150.0),
    ])
}

/// A model for programs: a whole answer at once, or a stream at a pace.
#[derive(Debug)]
struct Upstream {
    address: SocketAddr,
    pace: Arc<AtomicU64>,
}

impl Upstream {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let model = Self { address: listener.local_addr()?, pace: Arc::default() };
        let pace = Arc::clone(&model.pace);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&pace)));
            }
        });
        Ok(model)
    }

    /// How long streams pause from now on.
    fn pace(&self, pause: Duration) {
        self.pace.store(pause.as_millis() as u64, Ordering::Relaxed);
    }
}

async fn converse(stream: TcpStream, pace: Arc<AtomicU64>) -> io::Result<()> {
    const WHOLE: &str = r#"{"id":"chatcmpl-bench","object":"chat.completion","created":1790000000,"model":"bench","choices":[{"index":0,"message":{"role":"assistant","content":"请在企业微信的工作台里打开报销应用，按提示填写后提交。"},"finish_reason":"stop"}],"usage":{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50}}"#;
    let whole =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{WHOLE}", WHOLE.len());
    let piece = chunk(
        r#"data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1790000000,"model":"bench","choices":[{"index":0,"delta":{"content":"请在工作台里"},"finish_reason":null}]}"#,
    );
    let end = [
        chunk(r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#),
        chunk(r#"data: {"choices":[],"usage":{"prompt_tokens":30,"completion_tokens":20,"total_tokens":50}}"#),
        chunk("data: [DONE]"),
        "0\r\n\r\n".to_owned(),
    ]
    .concat();
    let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
    let mut incoming = Incoming::new(stream)?;
    while let Some(request) = incoming.next().await? {
        if find(request, b"\"stream\":true").is_none() {
            incoming.answer(whole.as_bytes()).await?;
            continue;
        }
        incoming.answer(format!("{head}{piece}").as_bytes()).await?;
        let pause = Duration::from_millis(pace.load(Ordering::Relaxed));
        for _ in 1..PIECES {
            if !pause.is_zero() {
                tokio::time::sleep(pause).await;
            }
            incoming.answer(piece.as_bytes()).await?;
        }
        incoming.answer(end.as_bytes()).await?;
    }
    Ok(())
}

fn chunk(event: &str) -> String {
    format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2)
}
