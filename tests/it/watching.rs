//! What is counted, measured and said about a running instance.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use qimate::sandbox::model::{Gate, ModelReply};
use serde_json::Value;

use crate::{
    company::Company,
    harness::{App, free_port, within},
};

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

pub async fn scrape(app: &App) -> Scrape {
    let answer = within(reqwest::get(app.operations_url("/metrics"))).await.unwrap();
    assert_eq!(answer.status(), 200);
    Scrape::parse(&answer.text().await.unwrap())
}

async fn status(app: &App) -> Value {
    within(reqwest::get(app.operations_url("/status"))).await.unwrap().json().await.unwrap()
}

/// What was scraped: each series with its value, labels in their order.
pub struct Scrape(BTreeMap<String, f64>);

impl Scrape {
    fn parse(text: &str) -> Self {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let series = lines.map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            (series.to_owned(), value.parse().unwrap())
        });
        Self(series.collect())
    }

    #[track_caller]
    fn value(&self, series: &str) -> f64 {
        *self.0.get(series).unwrap_or_else(|| panic!("{series} among {:#?}", self.0.keys()))
    }

    /// The names of all metrics, as they are asked for.
    pub fn names(&self) -> BTreeSet<String> {
        self.0.keys().map(|series| series.split('{').next().unwrap().to_owned()).collect()
    }
}

/// Asserts values of several series.
#[track_caller]
fn expect(scrape: &Scrape, expected: &[(&str, f64)]) {
    for (series, value) in expected {
        assert_eq!(scrape.value(series), *value, "{series}");
    }
}

#[tokio::test]
async fn a_turn_is_counted_and_measured() {
    let app = App::start().await;
    assert!(app.wecom.verify_url().await);
    let headers = BTreeMap::from([("retry-after".to_owned(), "7".to_owned())]);
    app.model.push(ModelReply::Status { code: 500, headers, body: "{}".to_owned() });
    app.model.push(ModelReply::Answer("这是第一段，够长了，可以先发出去。\n\n这是第二段，也够长了。".to_owned()));
    app.say("zhangsan", "你好").await;
    let pause = app.advance_to_sleeper(7.0..=7.0).await;
    app.settled().await;
    let scrape = scrape(&app).await;
    expect(
        &scrape,
        &[
            ("qimate_callbacks_total{result=\"accepted\",reason=\"\"}", 1.0),
            ("qimate_callbacks_total{result=\"verified\",reason=\"\"}", 1.0),
            ("qimate_callback_ack_seconds_count", 1.0),
            ("qimate_turns_total{result=\"answered\"}", 1.0),
            ("qimate_turns_total{result=\"model\"}", 0.0),
            ("qimate_running_turns", 0.0),
            ("qimate_turn_seconds_sum", pause.as_secs_f64()),
            ("qimate_first_delta_seconds_sum", pause.as_secs_f64()),
            ("qimate_first_part_seconds_sum", pause.as_secs_f64()),
            ("qimate_first_part_seconds_count", 1.0),
            ("qimate_model_calls_total", 2.0),
            ("qimate_model_errors_total{kind=\"upstream\"}", 1.0),
            ("qimate_sends_total{errcode=\"0\"}", app.wecom.counters().sends as f64),
            ("qimate_deliveries_total{result=\"delivered\"}", app.wecom.counters().sends as f64),
            ("qimate_access_token_refreshes_total{result=\"fetched\",errcode=\"0\"}", 1.0),
            ("qimate_inbox_messages", 0.0),
            ("qimate_outbox_messages", 0.0),
        ],
    );
    for series in [
        "qimate_tokens_total{direction=\"input\",estimated=\"false\"}",
        "qimate_tokens_total{direction=\"output\",estimated=\"false\"}",
        "qimate_disk_free_bytes",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
    ] {
        assert!(scrape.value(series) > 0.0, "{series}");
    }
}

#[tokio::test]
async fn a_failure_is_counted_by_its_kind_and_shown_as_the_models_last() {
    let app = App::start().await;
    assert_eq!(status(&app).await["model"]["last_error"], Value::Null);
    app.model.push(ModelReply::CutAfter("写到一半，然后".to_owned()));
    app.say("zhangsan", "一").await;
    app.settled().await;
    app.model.push(ModelReply::status(401, r#"{"error":{"message":"Incorrect API key provided"}}"#));
    app.say("zhangsan", "二").await;
    app.settled().await;
    app.model.push(ModelReply::Answer(String::new()));
    app.say("zhangsan", "三").await;
    app.settled().await;
    expect(
        &scrape(&app).await,
        &[
            ("qimate_turns_total{result=\"model\"}", 2.0),
            ("qimate_turns_total{result=\"empty\"}", 1.0),
            ("qimate_model_errors_total{kind=\"cut\"}", 1.0),
            ("qimate_model_errors_total{kind=\"unauthorized\"}", 1.0),
            // Half a sentence was written, nothing was said of the rest, and nothing of a refusal.
            ("qimate_first_part_seconds_count", 1.0),
        ],
    );
    let status = status(&app).await;
    let error = &status["model"]["last_error"];
    assert_eq!(error["kind"], "unauthorized");
    assert!(error["message"].as_str().unwrap().contains("Incorrect API key"), "{error}");
    assert_eq!(status["turns"]["by_result"], serde_json::json!({"model": 2, "empty": 1}));
    assert_eq!(status["model"]["last_answer_seconds_ago"], Value::Null);
}

#[tokio::test]
async fn what_waits_is_counted_with_its_age() {
    let app = App::start_with(|config| {
        config.chat.slow_notice = None;
        config.chat.max_concurrent_turns = 1;
    })
    .await;
    let gate = Gate::new();
    let held = ModelReply::Held { before: String::new(), gate: gate.clone(), after: "一".to_owned() };
    app.model.push(held);
    app.say("zhangsan", "一").await;
    app.model.wait_load(|load| load.in_flight == 1).await;
    for text in ["二", "三"] {
        app.say("lisi", text).await;
    }
    app.clock.advance(Duration::from_secs(12));
    let scraped = scrape(&app).await;
    expect(
        &scraped,
        &[
            ("qimate_running_turns", 1.0),
            ("qimate_inbox_messages", 3.0),
            ("qimate_inbox_oldest_age_seconds", 12.0),
            ("qimate_outbox_messages", 0.0),
            ("qimate_outbox_oldest_age_seconds", 0.0),
        ],
    );
    let now = status(&app).await;
    assert_eq!(now["inbox"], serde_json::json!({"messages": 3, "oldest_seconds": 12.0}));
    assert_eq!((&now["turns"]["running"], &now["not_ready"]), (&Value::from(1), &Value::Null));
    assert_eq!(now["callbacks"]["last_accepted_seconds_ago"], 12.0);

    gate.open();
    app.settled().await;
    // An answer stands for a second.
    app.clock.advance(Duration::from_secs(1));
    expect(&scrape(&app).await, &[("qimate_running_turns", 0.0), ("qimate_inbox_messages", 0.0)]);
    let first_part = &status(&app).await["turns"]["first_part"];
    assert_eq!(*first_part, serde_json::json!({"answers": 3, "p50_seconds": 12.0, "p95_seconds": 12.0}));
}

#[tokio::test]
async fn a_pause_of_sending_has_its_reason_until_it_is_over() {
    let app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    app.say("zhangsan", "一").await;
    app.clock.sleeper_within(Duration::from_secs(2)..=Duration::from_secs(2)).await;
    let scraped = scrape(&app).await;
    expect(
        &scraped,
        &[
            ("qimate_sending_paused{reason=\"ip_refused\"}", 1.0),
            ("qimate_sending_paused{reason=\"unreachable\"}", 0.0),
            ("qimate_sends_total{errcode=\"60020\"}", 1.0),
            ("qimate_deliveries_total{result=\"again\"}", 1.0),
            ("qimate_outbox_messages", 1.0),
        ],
    );
    let paused = &status(&app).await["wecom"]["paused"];
    assert_eq!((&paused["reason"], &paused["again_in_seconds"]), (&Value::from("ip_refused"), &Value::from(2.0)));
    assert!(paused["message"].as_str().unwrap().contains("企业可信IP"), "{paused}");

    app.wecom.trouble(|trouble| trouble.refuse_ip(false));
    app.advance_to_sleeper(2.0..=2.0).await;
    app.settled().await;
    expect(&scrape(&app).await, &[("qimate_sending_paused{reason=\"ip_refused\"}", 0.0)]);
    assert_eq!(status(&app).await["wecom"]["paused"], Value::Null);
}

#[tokio::test]
async fn refusals_and_dead_letters_are_counted() {
    let app = App::start().await;
    let refused = within(reqwest::Client::new().post(app.url("/wxcomapp")).body("<xml/>").send()).await.unwrap();
    assert_eq!(refused.status(), 400);
    app.model.push(ModelReply::Answer("好".to_owned()));
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, 60111));
    app.say("zhangsan", "一").await;
    app.settled().await;
    expect(
        &scrape(&app).await,
        &[
            ("qimate_callbacks_total{result=\"refused\",reason=\"missing_encrypt\"}", 1.0),
            ("qimate_sends_total{errcode=\"60111\"}", 1.0),
            ("qimate_deliveries_total{result=\"given_up\"}", 1.0),
            ("qimate_dead_letters", 1.0),
        ],
    );
    let status = status(&app).await;
    assert_eq!(status["callbacks"]["refused"], serde_json::json!({"missing_encrypt": 1}));
    assert_eq!(status["dead_letters"], 1);
}

/// Collectors that ask all at once hold up no member.
#[tokio::test(flavor = "multi_thread")]
async fn many_scrapes_at_once_hold_nobody_up() {
    let app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let http = reqwest::Client::new();
    let mut scrapes = tokio::task::JoinSet::new();
    for n in 0..200 {
        let request = http.get(app.operations_url(if n % 2 == 0 { "/metrics" } else { "/status" }));
        scrapes.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    for n in 0..20 {
        app.say(&format!("m{n}"), "喂").await;
    }
    let statuses = within(scrapes.join_all()).await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?}");
    app.settled().await;
}

#[tokio::test]
async fn figures_that_cannot_be_had_are_left_out() {
    let app = App::start().await;
    app.database().execute_batch("ALTER TABLE inbox_lane RENAME TO gone").unwrap();
    let scraped = scrape(&app).await;
    assert!(!scraped.names().contains("qimate_inbox_messages") && scraped.names().contains("qimate_turns_total"));
    assert_eq!(status(&app).await["inbox"], Value::Null);
    app.database().execute_batch("ALTER TABLE gone RENAME TO inbox_lane").unwrap();
    app.clock.advance(HALF_A_MINUTE);
    expect(&scrape(&app).await, &[("qimate_inbox_messages", 0.0)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_sees_in_the_terminal_how_it_is() {
    let operations = format!("127.0.0.1:{}", free_port());
    let mut company = Company::open(&[("QIMATE_SERVER__OPERATIONS_LISTEN", &operations)]).await;
    company.model.set_script(|_| ModelReply::Answer("好的，知道了。".to_owned()));
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();

    let nobody = company.run_with(&["status"], &[]).await;
    assert_eq!(nobody.status.code(), Some(1));
    let said = text(nobody.stderr);
    assert!(said.contains("没有正在运行的 Qimate 回应") && said.contains(&operations), "{said}");

    company.start().await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
    let shown = text(company.run_with(&["status"], &[]).await.stdout);
    for words in ["企伴 Qimate", "就绪", "可以发送", "启动后收到 1", "回答完 1", "MiB"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let json: Value = serde_json::from_slice(&company.run(&["status", "--json"]).await.stdout).unwrap();
    assert_eq!((&json["callbacks"]["accepted"], &json["turns"]["by_result"]["answered"]), (&1.into(), &1.into()));
    assert!(json["wecom"]["access_token_age_seconds"].is_f64(), "{json}");

    company.wecom.trouble(|trouble| trouble.fail_sends(Some(60020)));
    assert!(company.wecom.say("lisi", "喂").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE reason IS NOT NULL", 1).await;
    let shown = text(company.run_with(&["status"], &[]).await.stdout);
    assert!(shown.contains("企业微信不信任出口 IP") && !shown.contains("does not trust"), "{shown}");
    let english = company.run_with(&["status"], &[("QIMATE_CHAT__LANGUAGE", "en")]).await;
    let shown = text(english.stdout);
    for words in ["ready", "PAUSED (ip_refused)", "企业可信IP", "2 accepted"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    company.wecom.trouble(|trouble| trouble.fail_sends(None));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_key_the_main_address_tells_too() {
    let key = ("QIMATE_SERVER__OPERATOR_KEY", "a-key-that-nobody-finds-by-trying");
    // On the operators' address it takes a free port, which nobody knows who was not told.
    let mut company = Company::open(&[key]).await;
    company.start().await;
    let shown = company.run_with(&["status"], &[]).await;
    assert!(shown.status.success() && String::from_utf8_lossy(&shown.stdout).contains("就绪"));
    let without = company.run_with(&["status"], &[("QIMATE_SERVER__OPERATOR_KEY", "")]).await;
    assert!(String::from_utf8_lossy(&without.stderr).contains("server.operations_listen"));
}
