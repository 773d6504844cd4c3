//! Whether the others notice when some of those around the daemon misbehave.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    company::Company,
    figure::Figure,
    model::{HANG, Manner},
    statistics::quantile,
    wecom,
};

/// Asking one after the other, without trouble and with it.
const MEMBERS: usize = 100;
const HUNG: usize = 8;
const HALF_SENT: usize = 64;
const LARGE_BODY: usize = 32 * 1024 * 1024;

pub(crate) async fn run() -> anyhow::Result<Vec<Figure>> {
    let mut company = Company::open(Manner::After(Duration::ZERO), Duration::ZERO, &[]).await?;
    ask_calmly(&mut company, "early").await?;
    let without = ask_calmly(&mut company, "calm").await?;
    let rss_before = company.daemon.rss_mib()?;

    for n in 0..HUNG {
        let member = format!("hung{n}");
        let request = company.sealer.question(&member, &format!("{HANG}{n}"));
        company.callers.call(&request).await?;
    }
    let mut half_sent = Vec::with_capacity(HALF_SENT);
    for n in 0..HALF_SENT {
        let request = company.sealer.opened(&format!("half{n}"));
        let mut stream = TcpStream::connect(company.daemon.address).await?;
        // Half of the head, or the head and half of the body.
        let end = if n % 2 == 0 { 60 } else { request.len() - 200 };
        stream.write_all(&request[..end]).await?;
        half_sent.push(stream);
    }
    let large = [
        tokio::spawn(send_large(company.daemon.address, true)),
        tokio::spawn(send_large(company.daemon.address, false)),
    ];
    let beside = ask_calmly(&mut company, "beside").await?;
    let rss_after = company.daemon.rss_mib()?;
    ensure!(company.model.in_flight() == HUNG, "the hung calls did not hang until the end");
    for body in large {
        body.await?;
    }
    drop(half_sent);
    company.daemon.kill().await?;

    let ratio = |of: fn(&Calm) -> &[Duration]| {
        quantile(of(&beside), 0.5).as_secs_f64() / quantile(of(&without), 0.5).as_secs_f64()
    };
    Ok(vec![
        Figure::ms("ack p50 without", quantile(&without.acks, 0.5)),
        Figure::ms("ack p50 beside", quantile(&beside.acks, 0.5)),
        Figure::ms("ack p99 beside", quantile(&beside.acks, 0.99)),
        Figure::new("ack p50, ratio", ratio(|calm| &calm.acks), "").goal_at_most(1.5),
        Figure::ms("answer p50 without", quantile(&without.answers, 0.5)),
        Figure::ms("answer p50 beside", quantile(&beside.answers, 0.5)),
        Figure::new("answer p50, ratio", ratio(|calm| &calm.answers), "").goal_at_most(1.5),
        Figure::new("memory grown by", rss_after - rss_before, "MiB").goal_at_most(8.0),
    ])
}

/// How long acks and answers took.
struct Calm {
    acks: Vec<Duration>,
    answers: Vec<Duration>,
}

async fn ask_calmly(company: &mut Company, prefix: &str) -> anyhow::Result<Calm> {
    let mut calm = Calm { acks: Vec::with_capacity(MEMBERS), answers: Vec::with_capacity(MEMBERS) };
    for n in 0..MEMBERS {
        let member = format!("{prefix}{n}");
        let mut chat = company.wecom.chat(&member);
        let request = company.sealer.question(&member, &format!("{member}：怎样报销出差的费用？"));
        let begun = Instant::now();
        calm.acks.push(company.callers.call(&request).await?);
        calm.answers.push(wecom::next(&mut chat).await?.at - begun);
    }
    Ok(calm)
}

/// Sends a large body, as far as it is taken. Its length is announced, or it is not.
async fn send_large(address: SocketAddr, announced: bool) {
    const PIECE: usize = 64 * 1024;
    let Ok(mut stream) = TcpStream::connect(address).await else { return };
    let path = wecom::CALLBACK_PATH;
    let how = if announced { format!("content-length: {LARGE_BODY}") } else { "transfer-encoding: chunked".to_owned() };
    let head = format!("POST {path}?msg_signature=x&timestamp=1&nonce=1 HTTP/1.1\r\nhost: x\r\n{how}\r\n\r\n");
    let mut piece = vec![b'x'; PIECE];
    if !announced {
        piece.splice(..0, format!("{PIECE:x}\r\n").into_bytes());
        piece.extend_from_slice(b"\r\n");
    }
    // It may be refused in the middle: then the connection breaks, and that is well.
    let _ = stream.write_all(head.as_bytes()).await;
    for _ in 0..LARGE_BODY / PIECE {
        if stream.write_all(&piece).await.is_err() {
            return;
        }
    }
    if !announced {
        let _ = stream.write_all(b"0\r\n\r\n").await;
    }
}
