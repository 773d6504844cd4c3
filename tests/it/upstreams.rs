//! Several upstreams: what operators see and are told when one of their keys fails while others answer.

use std::time::Duration;

use qimate::{
    clock::{Clock, ManualClock, Timestamp},
    config::{Config, Environment, Upstream},
    doctor::{Database, SendTest},
    model::id::MemberId,
    sandbox::model::{DemoModel, ModelReply},
    server::status::status,
};
use serde_json::Value;

use crate::{
    doctor::doctor_with,
    harness::{App, configuration, within},
};

/// Two upstreams, read as the daemon reads them; the first is asked before the second, mostly.
fn two(first: &DemoModel, second: &DemoModel) -> Vec<Upstream> {
    let list = format!(
        r#"[{{"name":"first","base_url":"{}","models":["qimate-demo"],"api_keys":["sk-first-1"],"weight":1000}},
            {{"name":"second","base_url":"{}","models":["qimate-demo","other"],"api_keys":["sk-second-1","sk-second-2"]}}]"#,
        first.base_url(),
        second.base_url()
    );
    let variables = [
        ("QIMATE_WECOM__CORP_ID", "ww1436e0e65a779aee"),
        ("QIMATE_WECOM__AGENT_ID", "1"),
        ("QIMATE_WECOM__SECRET", "s"),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "t"),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"),
        ("QIMATE_LLM__MODEL", "qimate-demo"),
        ("QIMATE_LLM__UPSTREAMS", &list),
    ];
    let loaded = Config::load(None, &Environment::from_pairs(variables)).unwrap_or_else(|faults| panic!("{faults}"));
    loaded.config.llm.upstreams
}

async fn another_model() -> DemoModel {
    DemoModel::start(Clock::Manual(ManualClock::new(Timestamp::from_secs(1_790_000_000)))).await.unwrap()
}

/// A daemon with two upstreams, of which the first refuses its key.
async fn with_a_refused_key(second: &DemoModel) -> App {
    let mut app = App::start_with(|config| {
        config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
        config.llm.max_retries = 0;
    })
    .await;
    app.stop().await;
    app.config.llm.upstreams = two(&app.model, second);
    app.launch().await;
    let refused = r#"{"error":{"message":"no such key sk-first-1"}}"#;
    app.model.set_script(move |_| ModelReply::status(401, refused));
    second.set_script(|_| ModelReply::Answer("好".to_owned()));
    // Members differ in what they like; with this weight nearly each likes the first.
    for (number, member) in ["zhangsan", "lisi", "wangwu"].into_iter().enumerate() {
        app.say(member, "喂").await;
        assert_eq!(app.texts(member, 1).await, ["好"], "{number}");
    }
    app.settled().await;
    app
}

async fn json(app: &App) -> Value {
    within(reqwest::get(app.operations_url("/status"))).await.unwrap().json().await.unwrap()
}

async fn look(app: &App) {
    const PAUSE: Duration = Duration::from_secs(15);
    within(app.clock.sleeper_within(Duration::from_secs(1)..=PAUSE)).await;
    app.clock.advance(PAUSE);
    app.settled().await;
}

#[tokio::test]
async fn a_refused_key_is_alerted_while_another_answers_and_its_end_when_it_is_mended() {
    let second = another_model().await;
    let app = with_a_refused_key(&second).await;
    assert_eq!((app.model.requests().len(), second.requests().len()), (1, 3), "the refused key is asked once");
    let aside = &json(&app).await["model"]["set_aside"];
    assert_eq!(
        (&aside[0]["upstream"], &aside[0]["key"], &aside[0]["model"], &aside[0]["reason"]),
        (&"first".into(), &1.into(), &"qimate-demo".into(), &"key_refused".into()),
        "{aside}"
    );
    look(&app).await;
    let told = &app.texts("boss", 1).await[0];
    assert!(told.contains("first 的第 1 个 key（qimate-demo）") && !told.contains("sk-first"), "{told}");

    // Mended: the operator says so, and it answers.
    app.model.set_script(|_| ModelReply::Answer("我好了".to_owned()));
    let http = reqwest::Client::new();
    let cleared = within(http.post(app.operations_url("/upstreams/clear")).send()).await.unwrap();
    assert_eq!(cleared.json::<Value>().await.unwrap()["cleared"], 1);
    assert_eq!(json(&app).await["model"]["set_aside"], Value::Array(Vec::new()));
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    look(&app).await;
    assert!(app.texts("boss", 2).await[1].starts_with("【恢复】模型已恢复"));
    app.settled().await;
}

#[tokio::test]
async fn only_an_operator_clears_and_never_a_web_page() {
    let second = another_model().await;
    let app = with_a_refused_key(&second).await;
    let http = reqwest::Client::new();
    let path = "/upstreams/clear";
    let got = within(http.get(app.operations_url(path)).send()).await.unwrap();
    assert_eq!(got.status(), 405);
    for origin in ["https://evil.example", "null"] {
        let page = within(http.post(app.operations_url(path)).header("origin", origin).send()).await.unwrap();
        assert_eq!(page.status(), 403, "{origin}");
    }
    let stranger = within(http.post(app.url(path)).send()).await.unwrap();
    assert_eq!(stranger.status(), 404, "not there without the operator key");
    assert_eq!(json(&app).await["model"]["set_aside"].as_array().unwrap().len(), 1, "nothing was cleared");
}

#[tokio::test]
async fn calls_and_failures_are_counted_for_each_attempt() {
    let second = another_model().await;
    let app = with_a_refused_key(&second).await;
    let text = within(reqwest::get(app.operations_url("/metrics"))).await.unwrap().text().await.unwrap();
    assert!(text.contains("\nqimate_model_calls_total 4\n"), "{text}");
    assert!(text.contains("\nqimate_model_errors_total{kind=\"unauthorized\"} 1\n"), "{text}");
}

#[tokio::test]
async fn the_doctor_asks_every_upstream_and_key_and_names_the_one_that_fails() {
    let app = App::start().await;
    let second = another_model().await;
    let mut config = configuration(&app.wecom, &app.model, app.dir.path(), &[]);
    config.llm.upstreams = two(&app.model, &second);
    second.set_script(|body| match body["model"].as_str() {
        Some("other") => ModelReply::status(404, r#"{"error":{"message":"model 'other' not found"}}"#),
        _ => ModelReply::Answer("好".to_owned()),
    });
    let doctor = doctor_with(config, app.address());
    let report = doctor.examine(&Database::Unasked, &SendTest::Never).await;
    let findings: Vec<Value> = serde_json::from_value(serde_json::to_value(&report.findings).unwrap()).unwrap();
    let whose = |id: &str| -> Vec<_> {
        let of_check = findings.iter().filter(|finding| finding["id"] == id);
        of_check.map(|finding| (finding["upstream"].as_str().unwrap(), finding["status"].as_str().unwrap())).collect()
    };
    assert_eq!(
        whose("model.name"),
        [
            ("first 的第 1 个 key（qimate-demo）", "ok"),
            ("second 的第 1 个 key（qimate-demo）", "ok"),
            ("second 的第 1 个 key（other）", "problem"),
            ("second 的第 2 个 key（qimate-demo）", "ok"),
        ]
    );
    let bad = findings.iter().find(|finding| finding["id"] == "model.name" && finding["status"] == "problem").unwrap();
    assert!(bad["remedy"].as_str().unwrap().contains("llm.upstreams models"), "{bad}");
    assert!(bad["found"].as_str().unwrap().starts_with("second 的第 1 个 key（other）："), "{bad}");
    let keys: Vec<_> = second.requests().into_iter().map(|request| request.authorization.unwrap()).collect();
    assert_eq!(keys.iter().filter(|key| *key == "Bearer sk-second-2").count(), 1, "{keys:?}");
}

#[tokio::test]
async fn status_and_clear_are_commands() {
    let second = another_model().await;
    let mut app = with_a_refused_key(&second).await;
    app.config.server.operations_listen = app.operations_url("").trim_start_matches("http://").parse().ok();
    status(&app.config, false).await.unwrap();
    qimate::server::upstreams::clear(&app.config).await.unwrap();
    assert_eq!(json(&app).await["model"]["set_aside"], Value::Array(Vec::new()));
}
