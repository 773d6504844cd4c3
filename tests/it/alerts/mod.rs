//! Who is told when something is wrong, when it is well again, and what nobody is told twice.

mod machine;

use std::time::Duration;

use futures_util::FutureExt;
use qimate::{
    clock::Clock,
    config::Config,
    model::id::MemberId,
    sandbox::model::{Gate, ModelReply},
    secret::Secret,
};

use crate::{
    harness::{App, Logs, within},
    hook::Hook,
};

/// How often the daemon looks.
const PAUSE: Duration = Duration::from_secs(15);

fn member(id: &str) -> MemberId {
    MemberId::parse(id).unwrap()
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

/// A daemon with an operator and a webhook.
async fn watched(hook: &Hook, change: impl FnOnce(&mut Config)) -> App {
    let app = App::start_with(|config| {
        config.alerts.operators = vec![member("boss")];
        config.alerts.webhook_url = Some(hook.url());
        config.alerts.webhook_secret = Some(hook.secret());
        config.llm.max_retries = 0;
        // The time is moved on while calls are under way.
        config.apps.first.wecom.timeout = Duration::from_secs(24 * 3600);
        change(config);
    })
    .await;
    looked(&app).await;
    app
}

/// Waits until the daemon has looked and rests, and has posted what it has to post.
async fn looked(app: &App) {
    within(app.clock.sleeper_within(PAUSE..=PAUSE)).await;
    const POST: Duration = Duration::from_secs(10);
    within(async {
        while app.clock.sleeper_within(POST..=POST).now_or_never().is_some() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

/// Moves the time to the next look, and waits for its end. The daemon looks at multiples of [`PAUSE`] from the start
/// of a test, as long as the time is moved by whole ones.
async fn look(app: &App) {
    let since = Clock::Manual(app.clock.clone()).now().as_millis() - 1_790_000_000_000;
    let done = Duration::from_millis(u64::try_from(since).unwrap()).as_millis() % PAUSE.as_millis();
    app.clock.advance(PAUSE - Duration::from_millis(u64::try_from(done).unwrap()));
    looked(app).await;
}

async fn look_for(app: &App, seconds: u64) {
    for _ in 0..seconds.div_ceil(PAUSE.as_secs()) {
        look(app).await;
    }
}

/// Looks until nothing waits any more. When somebody may try again counts from when the try before was heard of, and that
/// one may have been on its way while the time was moved.
async fn look_until_settled(app: &App) {
    within(async {
        loop {
            look(app).await;
            if app.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'") == 0 {
                break;
            }
        }
    })
    .await;
    app.settled().await;
}

/// Looks until so much was posted. A try that was on its way while the time was moved is heard of later.
async fn look_until_posted(app: &App, hook: &Hook, count: usize) {
    within(async {
        while hook.seen().len() < count {
            look(app).await;
        }
    })
    .await;
}

/// One question and its end, whatever it is.
async fn ask(app: &App, reply: ModelReply) {
    app.model.push(reply);
    app.say("zhangsan", "喂").await;
    app.settled().await;
}

fn states(seen: &[(&str, &str)]) -> Vec<(String, String)> {
    seen.iter().map(|(condition, state)| ((*condition).to_owned(), (*state).to_owned())).collect()
}

#[tokio::test]
async fn a_refused_address_is_posted_at_once_and_at_the_phone_it_is_told_when_it_is_mended() {
    let (hook, logs) = (Hook::start().await, Logs::capture());
    let app = watched(&hook, |_| {}).await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    app.say("zhangsan", "喂").await;
    within(app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    look(&app).await;
    let post = &hook.posts(1).await[0];
    assert_eq!((&post["condition"], &post["state"]), (&"wecom_address".into(), &"raised".into()));
    assert!(post["detail"].as_str().unwrap().contains("203.0.113.7"), "{post}");
    assert!(post["remedy"].as_str().unwrap().contains("企业可信IP"), "{post}");
    assert_eq!(post["instance"], "ww1436e0e65a779aee/1000002");
    assert_eq!(post["at"], 1_790_000_015);
    assert_eq!(logs.with(&["ERROR", "alert: ", "203.0.113.7"]).len(), 1);

    // It goes on for long: no second alert about it, and none about what waits because of it.
    look_for(&app, 900).await;
    assert_eq!(hook.seen(), states(&[("wecom_address", "raised")]));
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE member = 'boss'"), 0, "it would arrive when it is over");

    app.wecom.trouble(|trouble| trouble.refuse_ip(false));
    look_until_settled(&app).await;
    look_for(&app, 75).await;
    let texts = app.texts("boss", 1).await;
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert!(
        texts[0].starts_with("【恢复】企业微信的消息发送已恢复") && texts[0].contains("203.0.113.7"),
        "{}",
        texts[0]
    );
    let (_, lasted) = texts[0].split_once("历时 ").unwrap();
    let (minutes, _) = lasted.split_once(" 分钟").unwrap();
    assert!(minutes.parse::<u32>().unwrap() >= 15, "{}", texts[0]);
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("wecom_address", "raised"), ("wecom_address", "resolved")]));
    assert_eq!(logs.with(&["INFO", "alert is over: "]).len(), 1);
}

#[tokio::test]
async fn whatever_keeps_wecom_from_taking_messages_is_posted_with_its_name() {
    for (errcode, condition) in
        [(Some(40056), "wecom_refused"), (Some(45009), "wecom_slow_down"), (None, "wecom_unreachable")]
    {
        let hook = Hook::start().await;
        let app = watched(&hook, |_| {}).await;
        app.wecom.trouble(|trouble| match errcode {
            Some(errcode) => trouble.fail_sends(Some(errcode)),
            None => trouble.bad_gateway(true),
        });
        app.model.push(answer("好"));
        app.say("zhangsan", "喂").await;
        app.comes_to("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND reason <> ''", 1).await;
        look_until_posted(&app, &hook, 1).await;
        app.wecom.trouble(|trouble| trouble.clear());
        look_until_settled(&app).await;
        look_until_posted(&app, &hook, 2).await;
        assert_eq!(hook.seen(), states(&[(condition, "raised"), (condition, "resolved")]));
        assert!(app.texts("boss", 1).await[0].starts_with("【恢复】"), "{condition}");
        app.settled().await;
    }
}

#[tokio::test]
async fn a_wrong_secret_is_posted_although_no_access_token_was_ever_had() {
    let hook = Hook::start().await;
    let mut app = watched(&hook, |config| config.apps.first.wecom.secret = Secret::new("wrong".to_owned())).await;
    app.model.push(answer("好"));
    app.say("zhangsan", "喂").await;
    within(app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    look(&app).await;
    let post = &hook.posts(1).await[0];
    assert!(post["detail"].as_str().unwrap().contains("40001") && post["condition"] == "wecom_refused", "{post}");
    app.stop().await;
}

#[tokio::test]
async fn a_restart_neither_repeats_an_alert_nor_forgets_its_end() {
    let hook = Hook::start().await;
    let mut app = watched(&hook, |_| {}).await;
    ask(&app, ModelReply::status(401, "{}")).await;
    look(&app).await;
    let text = &app.texts("boss", 1).await[0];
    assert!(text.starts_with("【告警】模型服务商拒绝了 API Key") && text.contains("llm.api_key"), "{text}");
    hook.posts(1).await;
    app.settled().await;

    app.stop().await;
    app.launch().await;
    looked(&app).await;
    ask(&app, ModelReply::status(401, "{}")).await;
    look_for(&app, 60).await;
    assert_eq!(hook.seen(), states(&[("model_key", "raised")]));

    app.stop().await;
    app.launch().await;
    looked(&app).await;
    ask(&app, answer("好")).await;
    look(&app).await;
    let texts = app.texts("boss", 2).await;
    assert!(texts[1].starts_with("【恢复】模型已恢复"), "{}", texts[1]);
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("model_key", "raised"), ("model_key", "resolved")]));
    app.settled().await;
}

#[tokio::test]
async fn failures_of_the_model_are_told_by_what_mends_them() {
    let nothing_left = r#"{"error":{"code":"insufficient_quota","message":"pay"}}"#;
    for (condition, reply, times) in [
        ("model_credit", ModelReply::status(429, nothing_left), 1),
        ("model_settings", ModelReply::status(404, r#"{"error":{"message":"model 'x' not found"}}"#), 1),
        ("model_failing", ModelReply::status(503, "{}"), 3),
    ] {
        let hook = Hook::start().await;
        let app = watched(&hook, |_| {}).await;
        for n in 1..=times {
            assert!(hook.seen().is_empty(), "{condition} after {n}");
            ask(&app, reply.clone()).await;
            look(&app).await;
        }
        hook.posts(1).await;
        ask(&app, answer("好")).await;
        look_for(&app, 300).await;
        hook.posts(2).await;
        assert_eq!(hook.seen(), states(&[(condition, "raised"), (condition, "resolved")]));
        assert_eq!(app.texts("boss", 2).await.len(), 2, "{condition}");
        app.settled().await;
    }
}

#[tokio::test]
async fn many_failed_answers_are_an_alert_and_one_is_not() {
    let hook = Hook::start().await;
    let app = watched(&hook, |_| {}).await;
    ask(&app, answer("")).await;
    look(&app).await;
    for n in 0..9 {
        ask(&app, answer(if n % 2 == 0 { "好" } else { "" })).await;
    }
    assert!(hook.seen().is_empty(), "one failure of one is none");
    look(&app).await;
    assert_eq!(hook.posts(1).await[0]["condition"], "answers_failing");
    assert!(app.texts("boss", 1).await[0].contains("10 个问题中有 5 个"));
    for _ in 0..14 {
        ask(&app, answer("好")).await;
    }
    look(&app).await;
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("answers_failing", "raised"), ("answers_failing", "resolved")]));
    app.texts("boss", 2).await;
    app.settled().await;
}

#[tokio::test]
async fn questions_that_wait_too_long_are_an_alert() {
    let hook = Hook::start().await;
    let app = watched(&hook, |config| {
        config.chat.max_concurrent_turns = 1;
        config.chat.slow_notice = None;
        config.llm.first_delta_timeout = Duration::from_secs(3600);
        config.llm.answer_timeout = Duration::from_secs(3600);
        config.llm.gap_timeout = Duration::from_secs(3600);
    })
    .await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "好".to_owned() });
    app.say("zhangsan", "一").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    // What the same member asks meanwhile waits by right; what another asks waits for a worker.
    app.say("zhangsan", "二").await;
    look_for(&app, 900).await;
    assert!(hook.seen().is_empty());
    app.say("lisi", "三").await;
    look_for(&app, 330).await;
    assert_eq!(hook.posts(1).await[0]["condition"], "inbox_waiting");
    app.model.set_script(|_| answer("好"));
    gate.open();
    app.texts("lisi", 1).await;
    app.settled().await;
    look(&app).await;
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("inbox_waiting", "raised"), ("inbox_waiting", "resolved")]));
    app.texts("boss", 2).await;
    app.settled().await;
}

#[tokio::test]
async fn an_operator_who_cannot_be_reached_causes_no_alert_and_hinders_nobody() {
    let hook = Hook::start().await;
    let app = watched(&hook, |config| config.alerts.operators = vec![member("ghost"), member("boss")]).await;
    app.wecom.trouble(|trouble| trouble.unknown_member("ghost", true));
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, 85002));
    ask(&app, answer("好")).await;
    look(&app).await;
    let text = &app.texts("boss", 1).await[0];
    assert!(text.contains("1 条消息无法送达") && text.contains("qimate dead-letters list"), "{text}");
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND member = 'ghost'"), 1);
    // An hour later it is no news any more, although the end of the alert could not be delivered either.
    look_for(&app, 3600).await;
    app.texts("boss", 2).await;
    app.settled().await;
    look_for(&app, 300).await;
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("dead_letters", "raised"), ("dead_letters", "resolved")]));
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND member = 'ghost'"), 2);
    assert_eq!(app.texts("boss", 2).await.len(), 2);
}

#[tokio::test]
async fn answers_that_wait_too_long_are_an_alert() {
    let hook = Hook::start().await;
    let app = watched(&hook, |_| {}).await;
    // WeCom answers, so it is no outage; it only takes nothing.
    app.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    app.model.push(answer("好"));
    app.say("zhangsan", "喂").await;
    app.tried().await;
    look_for(&app, 345).await;
    assert_eq!(hook.posts(1).await[0]["condition"], "outbox_waiting");
    app.wecom.trouble(|trouble| trouble.fail_sends(None));
    look_until_settled(&app).await;
    look(&app).await;
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("outbox_waiting", "raised"), ("outbox_waiting", "resolved")]));
    app.texts("boss", 2).await;
    app.settled().await;
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_again_and_its_address_is_in_no_log() {
    let (hook, logs) = (Hook::start().await, Logs::capture());
    hook.fail_next(5);
    let app = watched(&hook, |config| config.alerts.disk_free_mib = u64::MAX).await;
    for (refused, pause) in [(1, 2), (2, 15), (3, 60)] {
        hook.refused(refused).await;
        let pause = Duration::from_secs(pause);
        within(app.clock.sleeper_within(pause..=pause)).await;
        app.clock.advance(pause);
    }
    hook.refused(4).await;
    within(async {
        while logs.with(&["WARN", "alerts.webhook_url", "status 502"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // The next one, and its second try.
    ask(&app, ModelReply::status(401, "{}")).await;
    app.clock.advance(PAUSE);
    hook.refused(5).await;
    within(app.clock.sleeper_within(Duration::from_secs(2)..=Duration::from_secs(2))).await;
    app.clock.advance(Duration::from_secs(2));
    hook.posts(1).await;
    assert_eq!(hook.seen(), states(&[("model_key", "raised")]));
    assert!(logs.with(&["token-of-the-hook"]).is_empty() && logs.with(&[crate::hook::SECRET]).is_empty());
    app.texts("boss", 2).await;
    app.settled().await;
}
