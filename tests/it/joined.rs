//! Several messages in quick succession are one turn, without a wait for the first; a message behind an answer that has
//! begun waits as it always did.

use std::time::Duration;

use qimate::{
    config::Config,
    sandbox::model::{Gate, ModelReply},
};

use crate::harness::{App, within};

const MEMBER: &str = "zhangsan";

fn joins(config: &mut Config) {
    config.chat.join = Duration::from_millis(1500);
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

/// Waits until the model has been asked so often and is at it.
async fn asked(app: &App, times: u64) {
    within(app.model.wait_load(|load| load.taken == times && load.in_flight == 1)).await;
}

/// What the model was asked last.
fn last_questions(app: &App) -> Vec<String> {
    app.model.requests().pop().unwrap().contents("user").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn what_is_written_in_two_goes_is_asked_together_without_a_wait() {
    let app = App::start_with(joins).await;
    app.model.push(ModelReply::Hang);
    app.model.push(answer("都记下了。"));
    app.say(MEMBER, "帮我订会议室").await;
    // By a clock that stands still: the first was asked at once.
    asked(&app, 1).await;
    app.say(MEMBER, "明天下午三点的").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["都记下了。"]);
    app.settled().await;
    assert_eq!(last_questions(&app), ["帮我订会议室\n明天下午三点的"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered'"), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox WHERE state = 'done'"), 2);
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox_lane"), 0, "nothing waits");
    // What was asked together is one exchange.
    app.model.push(answer("三点。"));
    app.say(MEMBER, "几点？").await;
    app.texts(MEMBER, 2).await;
    app.settled().await;
    assert_eq!(last_questions(&app), ["帮我订会议室\n明天下午三点的", "几点？"]);
}

#[tokio::test]
async fn what_comes_behind_an_answer_that_has_begun_waits_and_is_joined_then() {
    let app = App::start_with(joins).await;
    let gate = Gate::new();
    let first = "第一段已经写完，足够长，可以先发出去了。\n\n".to_owned();
    app.model.push(ModelReply::Held { before: first, gate: gate.clone(), after: "第二段。".to_owned() });
    app.model.push(answer("第二个回答。"));
    app.say(MEMBER, "甲").await;
    app.texts(MEMBER, 1).await;
    for question in ["乙", "丙", "丁"] {
        app.say(MEMBER, question).await;
    }
    gate.open();
    let texts = app.texts(MEMBER, 3).await;
    assert_eq!(texts[1..], ["第二段。", "第二个回答。"]);
    app.settled().await;
    assert_eq!(last_questions(&app), ["甲", "乙\n丙\n丁"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 2);
}

#[tokio::test]
async fn what_comes_later_than_that_is_a_turn_of_its_own() {
    let app = App::start_with(joins).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "甲的回答。".to_owned() });
    app.model.push(answer("乙的回答。"));
    app.say(MEMBER, "甲").await;
    asked(&app, 1).await;
    app.clock.advance(Duration::from_secs(2));
    app.say(MEMBER, "乙").await;
    gate.open();
    assert_eq!(app.texts(MEMBER, 2).await, ["甲的回答。", "乙的回答。"]);
    app.settled().await;
    assert_eq!(last_questions(&app), ["甲", "乙"]);
}

#[tokio::test]
async fn nothing_is_joined_where_that_is_not_wanted_and_commands_never_are() {
    let app = App::start_with(|config| config.chat.join = Duration::ZERO).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "甲的回答。".to_owned() });
    app.model.push(answer("乙的回答。"));
    app.say(MEMBER, "甲").await;
    asked(&app, 1).await;
    app.say(MEMBER, "乙").await;
    gate.open();
    assert_eq!(app.texts(MEMBER, 2).await, ["甲的回答。", "乙的回答。"]);
    app.settled().await;

    let app = App::start_with(joins).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "甲的回答。".to_owned() });
    app.model.push(answer("乙的回答。"));
    app.say(MEMBER, "甲").await;
    asked(&app, 1).await;
    // What stands behind a command is not before it.
    for message in ["/help", "乙"] {
        app.say(MEMBER, message).await;
    }
    gate.open();
    let texts = app.texts(MEMBER, 3).await;
    assert_eq!((texts[0].as_str(), texts[2].as_str()), ("甲的回答。", "乙的回答。"));
    assert!(texts[1].contains("/stop"), "the help");
    app.settled().await;
}

#[tokio::test]
async fn stop_stops_what_was_asked_together() {
    let app = App::start_with(joins).await;
    app.model.push(ModelReply::Hang);
    app.model.push(ModelReply::Hang);
    app.say(MEMBER, "写一篇长文").await;
    asked(&app, 1).await;
    app.say(MEMBER, "关于春天").await;
    asked(&app, 2).await;
    app.say(MEMBER, "/stop").await;
    assert_eq!(app.texts(MEMBER, 1).await, ["好的，已停止。"]);
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped'"), 1);
}

#[tokio::test]
async fn after_a_crash_the_same_messages_are_asked_together_and_answered_once() {
    let mut app = App::start_with(joins).await;
    app.model.push(ModelReply::Hang);
    app.model.push(ModelReply::Hang);
    app.say(MEMBER, "甲").await;
    asked(&app, 1).await;
    app.say(MEMBER, "乙").await;
    asked(&app, 2).await;
    app.drop_everything().await;
    app.model.push(answer("两个都答了。"));
    app.launch().await;
    assert_eq!(app.texts(MEMBER, 1).await, ["两个都答了。"]);
    app.settled().await;
    assert_eq!(last_questions(&app), ["甲\n乙"]);

    // Where something was said already, it goes on with the same two, and what came since is a turn of its own.
    let gate = Gate::new();
    let begun = "丙和丁的第一段，足够长，可以先发出去了。\n\n".to_owned();
    app.model.push(ModelReply::Hang);
    app.model.push(ModelReply::Held { before: begun, gate, after: String::new() });
    app.say(MEMBER, "丙").await;
    within(app.model.wait_load(|load| load.taken == 4)).await;
    app.say(MEMBER, "丁").await;
    app.texts(MEMBER, 2).await;
    app.say(MEMBER, "戊").await;
    app.drop_everything().await;
    app.model.push(answer("第二段。"));
    app.model.push(answer("戊的回答。"));
    app.launch().await;
    assert_eq!(app.texts(MEMBER, 4).await[2..], ["第二段。", "戊的回答。"]);
    app.settled().await;
    assert_eq!(last_questions(&app), ["甲\n乙", "丙\n丁", "戊"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn"), 3);
}
