//! A wish for a picture: made, kept, shown once, and known to the conversation.

use std::time::Duration;

use qimate::{
    config::Config,
    sandbox::model::{ModelReply, made::Made, made::picture},
};
use serde_json::json;

use crate::harness::{App, within};

fn draws(config: &mut Config) {
    config.images.model = Some("gpt-image-1".to_owned());
}

fn refused(status: u16, body: &str) -> Made {
    Made::Status(status, body.to_owned())
}

/// What WeCom has of the pictures that the member got.
async fn pictures(app: &App, member: &str, count: usize) -> Vec<Vec<u8>> {
    let ids = app.texts(member, count).await;
    let file = |id: &String| app.wecom.uploaded(id).unwrap_or_else(|| panic!("no picture: {id}"));
    ids.iter().map(|id| file(id).bytes.to_vec()).collect()
}

async fn asked(app: &App, times: usize) {
    within(async {
        while app.model.painted().len() < times {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn a_wish_becomes_a_picture_and_the_conversation_knows_it() {
    let app = App::start_with(|config| {
        draws(config);
        config.images.size = Some("1024x1024".to_owned());
    })
    .await;
    app.say("zhangsan", "画一只戴帽子的猫").await;
    assert!(pictures(&app, "zhangsan", 1).await == [picture("画一只戴帽子的猫")]);
    assert_eq!(app.wecom.messages_for("zhangsan")[0].msgtype, "image");
    app.settled().await;
    app.say("zhangsan", "／画 一只狗").await;
    assert!(pictures(&app, "zhangsan", 2).await[1] == picture("一只狗"));
    app.settled().await;
    assert!(app.model.requests().is_empty(), "no words were asked for");
    let body = &app.model.painted()[0];
    assert_eq!(*body, json!({"model": "gpt-image-1", "prompt": "画一只戴帽子的猫", "n": 1, "size": "1024x1024"}));
    app.model.push(ModelReply::Answer("一只猫和一只狗。".to_owned()));
    app.say("zhangsan", "画了什么？").await;
    app.texts("zhangsan", 3).await;
    app.settled().await;
    let request = app.model.requests().pop().unwrap();
    assert_eq!(request.contents("user"), ["画一只戴帽子的猫", "／画 一只狗", "画了什么？"]);
    assert_eq!(request.contents("assistant"), ["（画了一张图）", "（画了一张图）"]);
    let paid = "SELECT COUNT(*) FROM turn WHERE state = 'answered' AND output_tokens = 1000 AND estimated = 0";
    assert_eq!(app.count(paid), 2);
}

#[tokio::test]
async fn without_a_model_for_it_and_for_questions_about_pictures_there_are_words() {
    let app = App::start().await;
    app.model.push(ModelReply::Answer("我不会画。".to_owned()));
    app.say("zhangsan", "画一只猫").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["我不会画。"]);
    app.settled().await;
    let app = App::start_with(draws).await;
    app.model.push(ModelReply::Answer("多此一举。".to_owned()));
    app.say("zhangsan", "画蛇添足是什么意思").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["多此一举。"]);
    app.settled().await;
    assert!(app.model.painted().is_empty());
}

#[tokio::test]
async fn what_cannot_be_drawn_gets_a_sentence_that_says_why_with_its_reference() {
    let app = App::start_with(draws).await;
    let policy = r#"{"error":{"message":"no","code":"moderation_blocked"}}"#;
    let elsewhere = br#"{"data":[{"url":"http://127.0.0.1:1/secret.png"}]}"#;
    let stories = [
        (refused(400, policy), "内容审核"),
        (refused(401, "{}"), "管理员"),
        (refused(404, r#"{"error":{"code":"model_not_found"}}"#), "管理员"),
        (refused(500, "{}"), "没有画成"),
        (refused(429, "{}"), "画图的人太多"),
        (Made::Body(b"{}".to_vec()), "没有画成"),
        (Made::Body(br#"{"data":[{"b64_json":"bm8gcGljdHVyZQ=="}]}"#.to_vec()), "没有画成"),
        (Made::Body(elsewhere.to_vec()), "不允许访问"),
    ];
    for (number, (made, words)) in stories.into_iter().enumerate() {
        app.model.push_picture(made);
        app.say("zhangsan", "画一只猫").await;
        let said = app.texts("zhangsan", number + 1).await.pop().unwrap();
        app.settled().await;
        assert!(said.contains(words) && said.contains("\n编号 "), "{words}: {said}");
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'failed'"), 8);
}

#[tokio::test]
async fn a_slow_picture_is_announced_and_given_up_in_time_and_stop_stops_it() {
    let app = App::start_with(|config| {
        draws(config);
        config.chat.slow_notice = Some(Duration::from_secs(7));
    })
    .await;
    app.model.push_picture(Made::Hang);
    app.say("zhangsan", "画一只猫").await;
    app.advance_to_sleeper(7.0..=7.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    app.advance_to_sleeper(160.0..=180.0).await;
    assert!(app.texts("zhangsan", 2).await[1].contains("没有画成"));
    app.settled().await;
    app.model.push_picture(Made::Hang);
    app.say("zhangsan", "画一只狗").await;
    asked(&app, 2).await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 3).await[2], "好的，已停止。");
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped'"), 1);
}

#[tokio::test]
async fn a_crash_while_it_is_made_costs_nothing_but_the_wait() {
    let mut app = App::start_with(draws).await;
    app.model.push_picture(Made::Hang);
    app.say("zhangsan", "画一只猫").await;
    asked(&app, 1).await;
    app.drop_everything().await;
    app.launch().await;
    assert_eq!(pictures(&app, "zhangsan", 1).await.len(), 1);
    app.settled().await;
    assert_eq!((app.model.painted().len(), app.texts("zhangsan", 1).await.len()), (2, 1));
}

#[tokio::test]
async fn a_picture_that_was_kept_before_a_crash_is_shown_and_not_made_again() {
    let mut app = App::start_with(draws).await;
    app.wecom.trouble(|trouble| trouble.fail_next_sends(50, -1));
    app.say("zhangsan", "画一只猫").await;
    asked(&app, 1).await;
    within(async {
        while app.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") > 0 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.drop_everything().await;
    // As the process leaves it that dies between keeping the picture and saying so: no part of it is in the outbox.
    app.database()
        .execute_batch(
            "UPDATE turn SET state = 'sealed', answer = '', parts = 0, ended_at = NULL,
                    reason = (SELECT hash FROM media_use);
             DELETE FROM outbox; DELETE FROM outbox_lane;
             UPDATE inbox SET state = 'open', claims = 1;
             INSERT INTO inbox_lane (lane, depth, ready_at) SELECT lane, 1, 0 FROM inbox;",
        )
        .unwrap();
    app.wecom.trouble(|trouble| trouble.fail_next_sends(0, -1));
    app.launch().await;
    assert!(pictures(&app, "zhangsan", 1).await == [picture("画一只猫")]);
    app.settled().await;
    assert_eq!(app.model.painted().len(), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND output_tokens = 1000"), 1);
}
