//! Too much at once, and too slowly.

use std::{sync::Arc, time::Duration};

use qimate::sandbox::emulator::Emulator;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};

use super::{Job, company::Firm, scene::Scene, table::Row};
use crate::harness::{within, within_seconds};

/// Callbacks in the burst, each of another member.
const BURST: usize = 10_000;
/// How many WeCom has under way at once.
const AT_ONCE: usize = 256;

pub fn jobs() -> Vec<Job> {
    vec![
        Job::new(format!("burst: {BURST} callbacks, {AT_ONCE} at once"), burst).long(),
        Job::new("slow loris: 256 callbacks that are sent by halves and never end", slow_loris),
    ]
}

/// Every callback is either acknowledged, then it is answered, or refused so that WeCom repeats it.
async fn burst(fault: String) -> Row {
    let mut firm = Firm::open(&[]).await;
    firm.company.start().await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut saying = JoinSet::new();
    for n in 0..BURST {
        let (wecom, places): (Emulator, _) = (firm.company.wecom.clone(), Arc::clone(&places));
        let member = format!("burst{n}");
        let question = firm.books.next_question(&member);
        saying.spawn(async move {
            let _place = places.acquire_owned().await;
            let receipt = wecom.say(&member, &question).await;
            (member, question, receipt)
        });
    }
    let started = std::time::Instant::now();
    let mut repeated = 0;
    for (member, question, receipt) in within_seconds(300, saying.join_all()).await {
        assert!(receipt.accepted(), "given up by WeCom: {receipt:?}");
        repeated += receipt.attempts.len() - 1;
        firm.books.note(member, question);
    }
    let acknowledged = started.elapsed();
    firm.settled_within(300).await;
    println!("burst: acknowledged in {acknowledged:.1?}, answered in {:.1?}", started.elapsed());
    println!("burst: {BURST} acknowledged, {repeated} of them after they were repeated");
    firm.ends(fault, "all acknowledged; they wait in the inbox and are answered in turn").await
}

async fn slow_loris(fault: String) -> Row {
    let mut scene = Scene::open().await;
    let mut slow = Vec::new();
    for n in 0..256 {
        let mut stream = TcpStream::connect(scene.app.address()).await.unwrap();
        let half = match n % 2 {
            0 => "POST /wxcomapp?msg_signature=a HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n<xml>",
            _ => "POST /wxcomapp HTTP/1.1\r\nHost:",
        };
        stream.write_all(half.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    for n in 0..10 {
        scene.ask(&format!("ann{n}")).await;
    }
    scene.wait_until(|| scene.app.wecom.delivered().len() == 10).await;
    within(scene.app.clock.sleeper_within(Duration::from_secs(10)..=Duration::from_secs(10))).await;
    scene.app.clock.advance(Duration::from_secs(10));
    let mut answer = [0; 12];
    within(slow[0].read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 408");
    scene.ends(fault, "the others are served beside them; a half request is ended after 10 s").await
}
