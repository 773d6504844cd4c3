//! What a model thinks before it answers: hidden, or shown once as a quote.

use std::time::Duration;

use qimate::{
    config::{Config, chat::Reasoning},
    model::preferences::Output,
    sandbox::model::{Gate, ModelReply},
};

use crate::harness::{App, within};

fn quotes(config: &mut Config) {
    config.chat.reasoning = Reasoning::Quote;
}

fn thinks(think: &str, text: &str) -> ModelReply {
    ModelReply::Reasoning { think: think.to_owned(), text: text.to_owned() }
}

#[tokio::test]
async fn what_was_thought_is_a_quote_before_the_answer_and_not_in_the_conversation() {
    let app = App::start_with(quotes).await;
    app.model.push(thinks("用户在打招呼。\n我也打招呼。", "你好！"));
    app.say("zhangsan", "你好").await;
    assert_eq!(app.texts("zhangsan", 2).await, ["│ 「思考」\n│ 用户在打招呼。\n│ 我也打招呼。", "你好！"]);
    app.settled().await;
    // In tags, as open models write it.
    app.model.push(ModelReply::Answer("<think>\n要走了\n</think>\n\n再见！".to_owned()));
    app.say("zhangsan", "再见").await;
    assert_eq!(app.texts("zhangsan", 4).await[2..], ["│ 「思考」\n│ 要走了", "再见！"]);
    app.settled().await;
    assert_eq!(app.model.requests()[1].contents("assistant"), ["你好！"]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE answer LIKE '%打招呼%'"), 0);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE parts = 2 AND state = 'answered'"), 2);
}

#[tokio::test]
async fn a_model_that_does_not_think_aloud_has_no_quote() {
    let app = App::start_with(quotes).await;
    app.model.push(ModelReply::Answer("你好！".to_owned()));
    app.say("zhangsan", "你好").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["你好！"]);
    app.settled().await;
}

#[tokio::test]
async fn a_thought_without_an_answer_is_an_empty_answer() {
    let app = App::start_with(quotes).await;
    app.model.push(thinks("嗯", ""));
    app.say("zhangsan", "你好").await;
    assert!(app.texts("zhangsan", 1).await[0].contains("没有给出回答"));
    app.settled().await;
}

#[tokio::test]
async fn a_long_thought_is_one_message_with_its_beginning_and_its_end() {
    let app = App::start_with(|config| {
        quotes(config);
        config.chat.output = Output::Markdown;
    })
    .await;
    app.model.push(thinks(&format!("开头。{}结尾。", "想了又想，还在想。\n".repeat(2000)), "想好了。"));
    app.say("zhangsan", "想想").await;
    let texts = app.texts("zhangsan", 2).await;
    assert!(texts[0].starts_with("> 「思考」\n> 开头。") && texts[0].ends_with("结尾。"), "{}", texts[0]);
    assert!(texts[0].contains("> ……\n") && texts[0].len() <= 2000, "{}", texts[0]);
    assert_eq!(texts[1], "想好了。");
    app.settled().await;
}

#[tokio::test]
async fn with_the_quote_said_nobody_is_told_that_it_takes_a_while() {
    let app = App::start_with(quotes).await;
    let gate = Gate::new();
    let held =
        ModelReply::Held { before: "<think>想</think>第".to_owned(), gate: gate.clone(), after: "一".to_owned() };
    app.model.push(held);
    app.say("zhangsan", "想一想").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["│ 「思考」\n│ 想"]);
    app.clock.advance(Duration::from_secs(25));
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "第一");
    app.settled().await;
    assert_eq!(app.texts("zhangsan", 2).await.len(), 2);
}

#[tokio::test]
async fn after_a_crash_it_is_not_shown_again() {
    let mut app = App::start_with(quotes).await;
    app.model.push(ModelReply::Stall("<think>想</think>第一".to_owned()));
    app.say("zhangsan", "想一想").await;
    app.texts("zhangsan", 1).await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.drop_everything().await;
    app.model.push(thinks("又想", "想好了。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await, ["│ 「思考」\n│ 想", "想好了。"]);
    app.settled().await;
}
