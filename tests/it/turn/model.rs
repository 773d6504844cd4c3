//! What a member sees of a model that thinks, waits or fails.

use std::time::Duration;

use qimate::sandbox::model::{Gate, ModelReply};

use super::answer;
use crate::harness::{App, Logs, within};

#[tokio::test]
async fn a_member_is_told_when_words_come_and_nothing_of_them_can_be_said_yet() {
    let app = App::start_with(|config| config.chat.progressive = false).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: "第一".to_owned(), gate: gate.clone(), after: "段。".to_owned() });
    app.say("zhangsan", "想一想").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(19.5..=20.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "第一段。");
    app.settled().await;
}

#[tokio::test]
async fn reasoning_is_not_shown() {
    let app = App::start().await;
    app.model.push(ModelReply::Reasoning { think: "用户在打招呼".to_owned(), text: "你好！".to_owned() });
    app.model.push(answer("<think>\n嗯……\n</think>\n\n再见！"));
    app.say("zhangsan", "你好").await;
    app.say("zhangsan", "再见").await;
    assert_eq!(app.texts("zhangsan", 2).await, ["你好！", "再见！"]);
    app.settled().await;
}

#[tokio::test]
async fn a_slow_model_is_announced_once() {
    let app = App::start().await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "久等了。".to_owned() });
    app.say("zhangsan", "想一想").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(19.0..=20.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "久等了。");
    app.settled().await;
}

/// Every way in which a model fails ends in a true sentence with a reference that the log has too.
#[tokio::test]
async fn every_failure_of_the_model_ends_in_an_honest_sentence() {
    let cases = [
        ("empty", ModelReply::Answer(String::new()), "模型这次没有给出回答"),
        ("only thinking", answer("<think>hm</think>"), "模型这次没有给出回答"),
        ("bad key", ModelReply::status(401, r#"{"error":{"message":"Incorrect API key provided"}}"#), "管理员"),
        ("bad request", ModelReply::status(400, r#"{"error":{"message":"nope"}}"#), "编号"),
        ("cut", ModelReply::CutAfter("开头写到这里，然后".to_owned()), "中断"),
        ("garbage", ModelReply::Garbage, "编号"),
        ("filtered", ModelReply::Ended { text: String::new(), reason: "content_filter".to_owned() }, "审核"),
        ("too long", ModelReply::Ended { text: "写了很多。".to_owned(), reason: "length".to_owned() }, "长度上限"),
    ];
    for (name, reply, sentence) in cases {
        let logs = Logs::capture();
        let app = App::start_with(|config| {
            config.llm.max_retries = 0;
            config.llm.max_continuations = 0;
        })
        .await;
        app.model.push(reply);
        app.say("zhangsan", "问题").await;
        app.settled().await;
        let texts = app.texts("zhangsan", 1).await;
        let last = texts.last().unwrap();
        assert!(last.contains(sentence), "{name}: {last}");
        let reference = last.rsplit(' ').next().unwrap().trim_end_matches(['）', '。']);
        assert_eq!(reference.len(), 8, "{name}: {last}");
        assert!(!logs.with(&[reference]).is_empty(), "{name}: {reference} is not in the log");
        if name == "cut" {
            assert!(texts[0].starts_with("开头写到这里"), "what came is shown: {texts:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_hangs_is_given_up_in_time() {
    let app = App::start_with(|config| {
        config.llm.max_retries = 0;
        config.chat.slow_notice = None;
    })
    .await;
    app.model.push(ModelReply::Hang);
    app.say("zhangsan", "喂").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(60.0..=60.0).await;
    assert!(app.texts("zhangsan", 1).await[0].contains("编号"));
    app.settled().await;
}

#[tokio::test]
async fn a_busy_model_is_asked_again_and_the_member_notices_nothing() {
    let app = App::start().await;
    let headers = [("retry-after".to_owned(), "7".to_owned())].into();
    app.model.push(ModelReply::Status { code: 429, headers, body: "{}".to_owned() });
    app.model.push(answer("现在有空了。"));
    app.say("zhangsan", "喂").await;
    assert_eq!(app.advance_to_sleeper(6.5..=7.0).await, Duration::from_secs(7));
    assert_eq!(app.texts("zhangsan", 1).await, ["现在有空了。"]);
    app.settled().await;
}
