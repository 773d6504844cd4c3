//! What the daemon itself sees of its set-up: counted callbacks, the examination at start, and `/readyz?verbose`.

use std::time::Duration;

use qimate::secret::Secret;

use crate::harness::{App, Logs, get, within};

const KEY: &str = "a-key-that-nobody-finds-by-trying";

async fn text(url: String, key: Option<&str>) -> String {
    get(url, key).await.1
}

fn refusals(app: &App) -> Vec<(String, i64)> {
    let conn = app.database();
    let mut rows = conn.prepare("SELECT reason, count FROM refusal ORDER BY reason").unwrap();
    rows.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
}

fn moments(app: &App) -> Vec<String> {
    let conn = app.database();
    let mut rows = conn.prepare("SELECT name FROM moment WHERE name LIKE 'callback%' ORDER BY name").unwrap();
    rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

#[tokio::test]
async fn callbacks_are_remembered_in_few_writes() {
    let mut app = App::start().await;
    for _ in 0..20 {
        text(app.url("/wxcomapp"), None).await;
        text(app.url("/wxcomapp?msg_signature=x&timestamp=1&nonce=2&echostr=3"), None).await;
    }
    assert!(within(app.wecom.verify_url()).await);
    assert_eq!(refusals(&app), [], "nothing is written at once");
    app.advance_to_sleeper(4.9..=5.0).await;
    within(async {
        while refusals(&app).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let expected = [("missing_parameter".to_owned(), 20), ("wrong_signature".to_owned(), 20)];
    assert_eq!(refusals(&app), expected);
    assert_eq!(moments(&app), ["callback_verified"]);

    // What is not saved yet is saved at the stop, and what was counted adds up.
    text(app.url("/wxcomapp"), None).await;
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    app.stop().await;
    assert_eq!(refusals(&app)[0], ("missing_parameter".to_owned(), 21));
    assert_eq!(moments(&app), ["callback_accepted", "callback_verified"]);
}

#[tokio::test]
async fn the_set_up_is_examined_at_start_and_each_problem_logged_once() {
    let logs = Logs::capture();
    let app = App::start_with(|config| {
        config.server.check_at_start = true;
        config.apps.first.wecom.secret = Secret::new("of-another-app".to_owned());
    })
    .await;
    within(async {
        while logs.with(&["checked the set-up"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let problems = logs.with(&["ERROR", "wecom.secret_wrong", "应用管理 → 自建 → 您的应用 → Secret"]);
    assert_eq!(problems.len(), 1, "{problems:?}");

    // Asked again a minute later, the same problem is no news.
    app.clock.advance(Duration::from_secs(61));
    text(app.operations_url("/readyz?verbose"), None).await;
    within(async {
        while logs.with(&["checked the set-up"]).len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(logs.with(&["wecom.secret_wrong"]).len(), 1);
    assert!(logs.with(&["of-another-app"]).is_empty());
}

#[tokio::test]
async fn the_last_report_is_shown_to_operators_and_asking_makes_no_storm() {
    let logs = Logs::capture();
    let app = App::start_with(|config| config.server.operator_key = Some(Secret::new(KEY.to_owned()))).await;
    assert_eq!(text(app.url("/readyz?verbose"), None).await, "ready\n", "not for strangers");
    assert_eq!(text(app.url("/readyz?verbose"), Some("another")).await, "ready\n");
    assert_eq!((app.wecom.counters().gettoken, app.model.load().taken), (0, 0), "strangers cause nothing");

    let first = text(app.operations_url("/readyz?verbose"), None).await;
    assert!(first.contains("being checked"), "{first}");
    within(async {
        while logs.with(&["checked the set-up"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    app.clock.advance(Duration::from_secs(12));
    for _ in 0..30 {
        for report in
            [text(app.operations_url("/readyz?verbose"), None).await, text(app.url("/readyz?verbose"), Some(KEY)).await]
        {
            assert!(report.starts_with("ready\n\nchecked 12 s ago\n\n✓ "), "{report}");
            assert!(report.contains("✓ 企业可信IP"), "{report}");
        }
    }
    assert_eq!(text(app.operations_url("/readyz"), None).await, "ready\n");
    // One examination, and the access token of it is the daemon's own.
    assert_eq!((app.wecom.counters().gettoken, app.model.load().taken), (1, 1));
    assert!(app.wecom.delivered().is_empty(), "no test messages");
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    assert_eq!(app.wecom.counters().gettoken, 1);
}

#[tokio::test]
async fn our_own_question_is_not_taken_for_wecoms() {
    let logs = Logs::capture();
    let address = super::strangers::nobody();
    let mut app = App::start_with(|config| {
        config.server.check_at_start = true;
        config.server.listen = address;
        config.server.public_url = Some(format!("http://{address}"));
    })
    .await;
    within(async {
        while logs.with(&["checked the set-up"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let report = text(app.operations_url("/readyz?verbose"), None).await;
    assert!(report.contains(&format!("✓ 回调地址         http://{address}/wxcomapp 应答正确")), "{report}");
    assert!(report.contains("✗ 收到回调"), "{report}");
    app.stop().await;
    assert!(moments(&app).is_empty() && refusals(&app).is_empty());
}
