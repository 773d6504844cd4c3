//! Many programs at once, slow ones, and what bounds a member felt through the member's keys.

use std::{
    fs,
    io::{Write, stderr},
    process::Command,
    time::Duration,
};

use qimate::{
    model::{
        id::MemberId,
        person::{Edit, Premium, hours::ServiceHours},
        quota::{plan::Right, subject::Subject},
    },
    sandbox::model::{Gate, ModelReply},
    store::plans::Holder,
};
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};

use super::{Plan, Scene, corp, li, new_key, plan, question, refusal};
use crate::harness::{Logs, within, within_seconds};

fn streamed() -> Value {
    let mut body = question("喂");
    body["stream"] = true.into();
    body
}

/// Whether this process may have as many sockets open as a thousand calls need on both sides, and other stories beside
/// them: many systems let a process begin with fewer, and raise that when asked.
fn may_have_thousands_open() -> bool {
    const FILES: u64 = 8192;
    let allowed = || {
        let limits = fs::read_to_string("/proc/self/limits").ok()?;
        let line = limits.lines().find(|line| line.starts_with("Max open files"))?;
        line.split_whitespace().nth(3)?.parse::<u64>().ok()
    };
    let is_enough = || allowed().is_none_or(|allowed| allowed >= FILES);
    if !is_enough() {
        let (pid, limit) = (std::process::id().to_string(), format!("--nofile={FILES}:"));
        let _ = Command::new("prlimit").args(["--pid", &pid, &limit]).status();
    }
    if !is_enough() {
        let _ = stderr().write_all(b"skipped: a thousand calls at once need 8192 open files (ulimit -n)\n");
    }
    is_enough()
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_thousand_and_twenty_four_at_once_none_is_lost_and_the_limit_is_exact() {
    const CALLS: usize = 1024;
    const ALLOWED: usize = 600;
    if !may_have_thousands_open() {
        return;
    }
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=600/day"])).await;
    scene.app.model.set_script(|_| ModelReply::Answer("好的，收到".to_owned()));
    let calls = (0..CALLS).map(|_| {
        let request = scene.post(&streamed()).send();
        async move {
            let response = request.await.unwrap();
            let status = response.status().as_u16();
            (status, response.text().await.unwrap())
        }
    });
    let answers = within_seconds(120, futures_util::future::join_all(calls)).await;
    let whole = answers.iter().filter(|(status, text)| *status == 200 && text.ends_with("data: [DONE]\n\n")).count();
    let refused =
        answers.iter().filter(|(status, text)| *status == 429 && text.contains("rate_limit_exceeded")).count();
    assert_eq!((whole, refused), (ALLOWED, CALLS - ALLOWED));
    assert_eq!(scene.app.model.requests().len(), ALLOWED);
    let used = "SELECT requests FROM used WHERE subject LIKE 'key/%' AND quarter = -1";
    scene.app.comes_to(used, i64::try_from(ALLOWED).unwrap()).await;
    assert_eq!(scene.app.model.load().in_flight, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn where_all_places_are_taken_a_call_is_told_to_come_again_and_costs_nothing() {
    const PLACES: usize = 1024;
    if !may_have_thousands_open() {
        return;
    }
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=5000/day"])).await;
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.set_script(move |_| ModelReply::Held {
        before: "好".to_owned(),
        gate: held.clone(),
        after: "的".to_owned(),
    });
    let calls: Vec<_> = (0..PLACES)
        .map(|_| {
            let request = scene.post(&streamed()).send();
            tokio::spawn(async move { request.await.unwrap().text().await.unwrap() })
        })
        .collect();
    within_seconds(120, scene.app.model.wait_load(|load| load.in_flight == PLACES as u64)).await;
    let response = within(scene.post(&question("喂")).send()).await.unwrap();
    assert_eq!(response.headers()["retry-after"], "1");
    let (status, error) = refusal(response).await;
    assert_eq!((status, &error["code"]), (503, &"overloaded".into()));
    gate.open();
    for call in calls {
        assert!(within_seconds(120, call).await.unwrap().ends_with("data: [DONE]\n\n"));
    }
    assert_eq!(within(scene.post(&question("喂")).send()).await.unwrap().status(), 200);
    assert_eq!(scene.me().await["limits"][0]["used"], PLACES + 1);
}

#[tokio::test]
async fn a_program_that_reads_nothing_is_let_go_and_keeps_no_upstream() {
    let logs = Logs::capture();
    let scene = Scene::open().await;
    scene.attach(&scene.key_holder(), "some", &plan(&["requests=5/day"])).await;
    let event = format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{}\"}}}}]}}\n\n", "x".repeat(64 * 1024));
    scene.app.model.push(ModelReply::Bytes {
        content_type: "text/event-stream".to_owned(),
        // More than every buffer on the way together.
        pieces: vec![event.into_bytes(); 1000],
        pause: Duration::ZERO,
    });
    let body = streamed().to_string();
    let url = scene.app.url("");
    let address = url.trim_start_matches("http://").trim_end_matches('/');
    let mut silent = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        scene.key,
        body.len()
    );
    silent.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    within(scene.app.model.wait_load(|load| load.in_flight == 1)).await;
    let minute = Duration::from_secs(60)..=Duration::from_secs(60);
    within(scene.app.clock.sleeper_within(minute)).await;
    within_seconds(60, async {
        // A minute after the last that it took, and not only when the answer may take no longer.
        let mut seconds = 0..240;
        while logs.with(&["answered a program"]).is_empty() {
            if seconds.next().is_some() {
                scene.app.clock.advance(Duration::from_secs(1));
            }
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    assert_eq!(logs.with(&["answered a program", "ended=\"gone\""]).len(), 1, "what it does not take is not kept");
    within(scene.app.model.wait_load(|load| load.in_flight == 0)).await;
    assert_eq!(scene.me().await["limits"][0]["used"], 1, "and it is paid for");
    drop(silent);
}

#[tokio::test]
async fn premium_models_end_with_their_date_and_hours_hold_for_keys_too() {
    let scene = Scene::open_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let mut other = upstream.models[0].clone();
        (other.alias, other.name, other.premium) = ("smart".into(), "smart".to_owned(), true);
        upstream.models.push(other);
        config.llm.upstreams = vec![upstream];
    })
    .await;
    let zone = scene.app.config.chat.time_zone.clone();
    let edit = async |edit: Edit| {
        scene
            .beside()
            .change_people(&qimate::model::audit::Actor::Daemon, &corp(), vec![edit], scene.now())
            .await
            .unwrap();
        scene.felt().await;
    };
    let of_li = || Edit::of(MemberId::parse("Li").unwrap());
    let mut smart = question("喂");
    smart["model"] = "smart".into();
    // It is Monday, 22:13, in Shanghai.
    let until = zone.after_date("2026-09-21").unwrap();
    edit(Edit { premium: Some(Premium::Until(until)), ..of_li() }).await;
    assert_eq!(scene.ask(&smart).await.status(), 200);
    assert_eq!(scene.me().await["models"], json!(["qimate-demo", "smart"]));
    scene.app.clock.advance(Duration::from_secs(2 * 3600));
    let (status, error) = refusal(scene.ask(&smart).await).await;
    assert_eq!((status, &error["code"]), (404, &"model_not_found".into()));
    assert_eq!(scene.me().await["models"], json!(["qimate-demo"]));
    assert_eq!(scene.ask(&question("喂")).await.status(), 200, "the others go on");

    let office = ServiceHours::parse("Mon-Fri 08:00-20:00").unwrap();
    scene
        .beside()
        .set_hours(&qimate::model::audit::Actor::Daemon, &Subject::company(&corp()), Some(&office), scene.now())
        .await
        .unwrap();
    scene.felt().await;
    let (status, error) = refusal(scene.ask(&question("喂")).await).await;
    assert_eq!((status, &error["code"]), (403, &"owner_not_allowed".into()), "it is night");
    assert_eq!(scene.me().await["models"], json!(["qimate-demo"]), "what it has it may look at");
    scene.app.clock.advance(Duration::from_secs(9 * 3600));
    assert_eq!(scene.ask(&question("喂")).await.status(), 200, "it is morning");
    assert_eq!(scene.app.model.requests().len(), 3);
}

#[tokio::test]
async fn what_bounds_a_member_bounds_all_of_the_members_keys() {
    let mut scene = Scene::open().await;
    let member = Holder::One(Subject::member(&corp(), &li()));
    let alone = Plan { concurrent: Some(1), without: [Right::Pictures].into(), ..plan(&["requests=9/day"]) };
    scene.attach(&member, "alone", &alone).await;
    let mut seen = question("");
    seen["messages"][0]["content"] = json!([{"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}]);
    let (status, error) = refusal(scene.ask(&seen).await).await;
    assert_eq!((status, &error["code"]), (403, &"not_in_plan".into()));
    assert!(error["message"].as_str().unwrap().contains("of the member is without pictures"), "{error}");
    let gate = Gate::new();
    let held = gate.clone();
    scene.app.model.push(ModelReply::Held { before: "前半".to_owned(), gate: held, after: "后半".to_owned() });
    let mut under_way = scene.ask(&streamed()).await;
    assert!(within(under_way.chunk()).await.unwrap().is_some());
    scene.key = scene.make(new_key()).await;
    let response = scene.ask(&question("喂")).await;
    assert!(response.headers().contains_key("retry-after"));
    let (status, error) = refusal(response).await;
    assert_eq!((status, &error["code"]), (429, &"rate_limit_exceeded".into()));
    assert!(error["message"].as_str().unwrap().contains("1 requests of the member at once"), "{error}");
    assert_eq!(scene.metric(&["qimate_v1_in_flight"]).await, 1.0);
    gate.open();
    while within(under_way.chunk()).await.unwrap().is_some() {}
    assert_eq!(scene.ask(&question("喂")).await.status(), 200, "and then the other key has its turn");
    let requests =
        async |status: &str| scene.metric(&["qimate_v1_requests_total", "path=\"/v1/chat/completions\"", status]).await;
    let counted =
        [requests("status=\"200\"").await, requests("status=\"403\"").await, requests("status=\"429\"").await];
    assert_eq!(counted, [2.0, 1.0, 1.0]);
    assert_eq!(scene.metric(&["qimate_v1_first_byte_seconds_count", "chat"]).await, 2.0);
    assert_eq!(scene.metric(&["qimate_v1_in_flight"]).await, 0.0);
}
