//! What operators are told of several applications: each by its name.

use std::time::Duration;

use qimate::model::id::MemberId;
use serde_json::Value;

use super::{SAME_CORP, Two, answer};
use crate::{
    harness::{get, within},
    hook::Hook,
};

/// How often the daemon looks for what is wrong.
const LOOK: Duration = Duration::from_secs(15);

async fn json(url: String) -> Value {
    serde_json::from_str(&get(url, None).await.1).unwrap()
}

#[tokio::test]
async fn the_doctor_examines_each_application_under_its_name() {
    let two = Two::start(&[("SECRET", "wrong")]).await;
    // The first asks for an examination, the others see it.
    let url = two.app.operations_url("/readyz?verbose");
    let text = within(async {
        loop {
            let (_, text) = get(url.clone(), None).await;
            if text.contains("checked ") {
                return text;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    let line = |words: &[&str]| text.lines().any(|line| words.iter().all(|word| line.contains(word)));
    assert!(line(&["企业ID和Secret", "hr：", "40001"]), "{text}");
    assert!(line(&["企业ID和Secret", "ww1436e0e65a779aee/1000002：", "Secret 有效"]), "{text}");
    assert!(line(&["企业可信IP", "ww1436e0e65a779aee/1000002：", "接受"]), "{text}");
    assert!(text.contains("apps.hr.secret"), "the remedy names the setting: {text}");
    assert_eq!(text.matches("模型应答").count(), 1, "what is shared is examined once: {text}");
}

#[tokio::test]
async fn what_is_wrong_with_another_application_is_told_at_once_through_the_one_that_works() {
    let hook = Hook::start().await;
    let two = Two::start_with(SAME_CORP, &[], |config| {
        config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
        config.alerts.webhook_url = Some(hook.url());
        config.alerts.webhook_secret = Some(hook.secret());
    })
    .await;
    two.app.model.set_script(|_| answer("好"));
    two.hr.trouble(|trouble| trouble.refuse_ip(true));
    within(two.app.clock.sleeper_within(LOOK..=LOOK)).await;
    two.say_to_hr("zhangsan", "喂").await;
    within(two.app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    two.app.clock.advance(LOOK);

    let told = two.app.texts("boss", 1).await;
    assert!(told[0].contains("应用 hr：") && told[0].contains("203.0.113.7"), "{told:?}");
    let post = &hook.posts(1).await[0];
    assert_eq!((&post["condition"], &post["app"]), (&"wecom_address".into(), &"hr".into()), "{post}");
    assert!(two.hr.delivered().is_empty());

    // Its own trouble is another alert, and nobody can be told of it by message.
    two.app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    two.app.say("zhangsan", "喂").await;
    within(async {
        while json(two.app.operations_url("/status")).await["apps"][0]["wecom"]["paused"].is_null() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    within(two.app.clock.sleeper_within(LOOK..=LOOK)).await;
    two.app.clock.advance(LOOK);
    let post = &hook.posts(2).await[1];
    assert_eq!((&post["condition"], &post["app"]), (&"wecom_address".into(), &"ww1436e0e65a779aee/1000002".into()));
}

#[tokio::test]
async fn status_and_figures_tell_the_applications_apart() {
    let two = Two::start(&[]).await;
    two.app.model.set_script(|_| answer("好"));
    two.hr.trouble(|trouble| trouble.refuse_ip(true));
    two.say_to_hr("zhangsan", "喂").await;
    two.app.say("zhangsan", "喂").await;
    two.app.texts("zhangsan", 1).await;
    within(two.app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;

    // The phone has it before the outbox knows.
    within(async {
        while two.app.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND agent = 1000002") > 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;

    let status = json(two.app.operations_url("/status")).await;
    let [first, hr] = [&status["apps"][0], &status["apps"][1]];
    assert_eq!((&first["name"], &hr["name"]), (&"ww1436e0e65a779aee/1000002".into(), &"hr".into()));
    assert_eq!((&first["wecom"]["paused"], &hr["wecom"]["paused"]["reason"]), (&Value::Null, &"ip_refused".into()));
    assert_eq!((&first["outbox"], &hr["outbox"]), (&0.into(), &1.into()), "{status}");
    assert!(
        first["wecom"]["access_token_age_seconds"].is_number() && hr["wecom"]["access_token_age_seconds"].is_number()
    );

    let (_, figures) = get(two.app.operations_url("/metrics"), None).await;
    for line in [
        "qimate_sending_paused{reason=\"ip_refused\",app=\"hr\"} 1",
        "qimate_sending_paused{reason=\"ip_refused\"} 0",
        "qimate_access_token_fetched_timestamp_seconds{app=\"hr\"} 1790000000",
    ] {
        assert!(figures.lines().any(|one| one == line), "{line} in {figures}");
    }
}
