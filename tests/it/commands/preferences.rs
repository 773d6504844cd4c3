//! What members chose holds for them alone, from the next message on, also when it was changed beside the daemon.

use qimate::model::preferences::Output;

use super::{app, lane, prefer, said};

#[tokio::test]
async fn a_choice_made_beside_the_daemon_holds_from_the_next_message_on_for_that_member_alone() {
    let app = app(|config| config.chat.output = Output::Auto).await;
    app.say("zhangsan", "喂").await;
    assert_eq!(said(&app, "zhangsan", 1).await, "好");
    assert_eq!(app.model.requests().pop().unwrap().body["model"], "qimate-demo-at-home");

    prefer(&app, "zhangsan", "model = 'smart', persona = '夫子', language = 'en', client = 'wecom'");
    app.say("zhangsan", "喂").await;
    assert_eq!(said(&app, "zhangsan", 2).await, "**好**", "Markdown for those who are seen to use WeCom");
    let request = app.model.requests().pop().unwrap();
    assert_eq!(request.body["model"], "smart-at-home");
    let system = request.contents("system").join("");
    assert!(system.contains("企业微信") && system.ends_with("\n\n只用文言回答。"), "{system}");
    app.say("zhangsan", "/new").await;
    assert!(said(&app, "zhangsan", 3).await.starts_with("A new conversation"));

    app.say("lisi", "喂").await;
    assert_eq!(said(&app, "lisi", 1).await, "好");
    let request = app.model.requests().pop().unwrap();
    assert_eq!(request.body["model"], "qimate-demo-at-home");
    assert!(!request.contents("system").join("").contains("文言"));
}

#[tokio::test]
async fn what_is_no_longer_offered_is_taken_back_and_said_once() {
    let app = app(|config| config.chat.output = Output::Auto).await;
    prefer(&app, "zhangsan", "model = 'gone', client = 'wecom'");
    for (number, expected) in ["**好**", "**好**"].into_iter().enumerate() {
        app.say("zhangsan", "喂").await;
        assert_eq!(said(&app, "zhangsan", number + 2).await, expected);
    }
    assert!(app.texts("zhangsan", 3).await[0].contains("你选的模型“gone”已经下线"));
    prefer(&app, "lisi", "persona = 'gone'");
    app.say("lisi", "喂").await;
    assert_eq!(said(&app, "lisi", 2).await, "好");
    assert!(app.texts("lisi", 2).await[0].contains("你选的角色“gone”已经取消"));
    let kept =
        |member: &str| app.count(&format!("SELECT COUNT(*) FROM member_preference WHERE lane = '{}'", lane(member)));
    assert_eq!((kept("zhangsan"), kept("lisi")), (1, 0), "the client is still known; of the other nothing is left");
}
