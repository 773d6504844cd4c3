//! What no longer fits is summed up: beside the turns, in versions, and without being in anybody's way.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

use qimate::{
    config::Config,
    safety::personal::Kind,
    sandbox::model::{Gate, ModelReply, ModelRequest},
};

use super::{answer, until};
use crate::harness::{App, Logs, within};

const SUMMARIES: &str = "SELECT COUNT(*) FROM summary";
const MARK: &str = "此前对话的摘要（可能遗漏细节";

/// Room for four exchanges of four hundred characters, about.
fn small(config: &mut Config) {
    config.chat.context_tokens = 2000;
    config.chat.progressive = false;
    config.llm.system_prompt = "你是同事。".to_owned();
    config.llm.max_retries = 0;
}

/// Whether a request asks for a summary.
fn is_summary(request: &ModelRequest) -> bool {
    request.contents("system").concat().contains("对话记忆")
}

fn summaries(app: &App) -> Vec<ModelRequest> {
    app.model.requests().into_iter().filter(is_summary).collect()
}

/// The newest request of a turn.
fn of_turn(app: &App) -> ModelRequest {
    app.model.requests().into_iter().rfind(|request| !is_summary(request)).unwrap()
}

/// The model answers each question at some length, and the summaries one after the other as given; then none.
fn script(app: &App, replies: Vec<ModelReply>) {
    let replies = Arc::new(Mutex::new(VecDeque::from(replies)));
    app.model.set_script(move |body| {
        let messages = body["messages"].as_array().unwrap();
        if messages[0]["content"].as_str().unwrap().contains("对话记忆") {
            return replies.lock().unwrap().pop_front().unwrap_or_else(|| ModelReply::status(500, "no more"));
        }
        answer(&format!("{}。", "答".repeat(400)))
    });
}

/// Asks these, one after the other, each answered before the next.
async fn ask(app: &App, numbers: std::ops::Range<usize>) {
    for n in numbers {
        let before = app.wecom.messages_for("zhangsan").len();
        app.say("zhangsan", &format!("问题{n:02}")).await;
        app.texts("zhangsan", before + 1).await;
        app.settled().await;
    }
}

#[tokio::test]
async fn what_no_longer_fits_is_summed_up_and_told_and_summed_up_again() {
    let app = App::start_with(small).await;
    script(&app, vec![answer("摘要一：住在上海"), answer("摘要二：住在上海，爱喝茶")]);
    ask(&app, 0..4).await;
    assert_eq!((summaries(&app).len(), app.count(SUMMARIES)), (0, 0), "all of it fits");
    ask(&app, 4..5).await;
    until(&app, SUMMARIES, 1).await;
    let request = summaries(&app).pop().unwrap().contents("user").concat();
    assert!(request.contains("问题00") && request.contains("问题02") && !request.contains("问题03"), "{request}");
    assert!(app.count("SELECT input_tokens * output_tokens FROM summary") > 0, "what it cost is saved");

    ask(&app, 5..6).await;
    let turn = of_turn(&app);
    let told = turn.contents("system").concat();
    assert!(told.starts_with("你是同事。") && told.contains(MARK) && told.ends_with("摘要一：住在上海"), "{told}");
    assert_eq!(turn.contents("user"), ["问题03", "问题04", "问题05"], "nothing is missing and nothing is told twice");

    ask(&app, 6..8).await;
    until(&app, "SELECT COUNT(*) FROM summary WHERE text LIKE '摘要二%'", 1).await;
    let again = summaries(&app);
    let request = again[1].contents("user").concat();
    assert!(request.contains("摘要一：住在上海") && request.contains("问题05"), "{request}");
    assert!(!request.contains("问题02"), "it is in the old one: {request}");
    assert_eq!(again.len(), 2);
    ask(&app, 8..9).await;
    assert!(of_turn(&app).contents("system").concat().ends_with("摘要二：住在上海，爱喝茶"));

    // It belongs to its conversation.
    app.say("zhangsan", "/new").await;
    app.settled().await;
    ask(&app, 9..10).await;
    let turn = of_turn(&app);
    assert_eq!((turn.contents("system"), turn.contents("user")), (vec!["你是同事。"], vec!["问题09"]));
}

#[tokio::test]
async fn a_summary_that_hangs_is_in_nobodys_way_and_is_asked_for_once() {
    let app = App::start_with(small).await;
    let gate = Gate::new();
    script(
        &app,
        vec![ModelReply::Held { before: String::new(), gate: gate.clone(), after: "摘要：住在上海".to_owned() }],
    );
    ask(&app, 0..9).await;
    assert_eq!((summaries(&app).len(), app.count(SUMMARIES)), (1, 0));
    let turn = of_turn(&app);
    assert!(!turn.contents("system").concat().contains(MARK));
    assert_eq!(turn.contents("user").last(), Some(&"问题08"));
    gate.open();
    until(&app, SUMMARIES, 1).await;
    ask(&app, 9..10).await;
    assert!(of_turn(&app).contents("system").concat().ends_with("摘要：住在上海"));
}

#[tokio::test]
async fn a_crash_leaves_the_old_summary_and_the_next_turn_asks_for_the_new_one() {
    let mut app = App::start_with(small).await;
    let gate = Gate::new();
    let held = ModelReply::Held { before: "摘要二".to_owned(), gate: gate.clone(), after: String::new() };
    script(&app, vec![answer("摘要一"), held, answer("摘要三")]);
    ask(&app, 0..6).await;
    until(&app, SUMMARIES, 1).await;
    ask(&app, 6..10).await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.drop_everything().await;
    app.launch().await;
    ask(&app, 10..11).await;
    let told = of_turn(&app).contents("system").concat();
    assert!(told.ends_with("摘要一"), "{told}");
    until(&app, "SELECT COUNT(*) FROM summary WHERE text = '摘要三'", 1).await;
    gate.open();
    // A stop does not wait for one either.
    let never = ModelReply::Held { before: String::new(), gate: Gate::new(), after: String::new() };
    script(&app, vec![never]);
    ask(&app, 11..16).await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.stop().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM summary WHERE text = '摘要三'"), 1);
}

#[tokio::test]
async fn a_summary_that_fails_is_logged_once_and_tried_again_after_the_next_turn() {
    let logs = Logs::capture();
    let app = App::start_with(small).await;
    script(&app, vec![ModelReply::status(500, "broken"), answer(""), answer("摘要：住在上海")]);
    ask(&app, 0..5).await;
    within(async {
        while logs.with(&["could not sum up", "zhangsan"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(app.count(SUMMARIES), 0);
    ask(&app, 5..6).await;
    within(async {
        while logs.with(&["could not sum up", "wrote nothing"]).is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    ask(&app, 6..7).await;
    until(&app, SUMMARIES, 1).await;
    assert_eq!(logs.with(&["could not sum up"]).len(), 2);
    assert!(logs.with(&["WARN", "问题"]).is_empty() && logs.with(&["WARN", "上海"]).is_empty(), "no text in the log");
}

#[tokio::test]
async fn the_cheap_model_sums_up_and_is_offered_to_nobody() {
    let app = App::start_with(|config| {
        small(config);
        config.chat.summary_model = Some("cheap".to_owned());
        config.llm.summary_model = Some("cheap".to_owned());
        config.safety.mask = Kind::ALL.into_iter().collect();
    })
    .await;
    script(&app, vec![answer("摘要：住在上海")]);
    app.say("zhangsan", "我的手机号是13800138000").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    ask(&app, 1..6).await;
    until(&app, SUMMARIES, 1).await;
    let summary = summaries(&app).pop().unwrap();
    assert_eq!((&summary.body["model"], &of_turn(&app).body["model"]), (&"cheap".into(), &"qimate-demo".into()));
    let asked = summary.contents("user").concat();
    assert!(asked.contains("我的手机号是") && !asked.contains("13800138000"), "{asked}");
}

#[tokio::test]
async fn nothing_is_summed_up_where_that_is_switched_off() {
    let app = App::start_with(|config| {
        small(config);
        config.chat.summary = false;
    })
    .await;
    script(&app, vec![]);
    ask(&app, 0..9).await;
    assert_eq!(summaries(&app).len(), 0);
    assert_eq!(of_turn(&app).contents("user").last(), Some(&"问题08"));
}
