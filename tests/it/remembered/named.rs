//! Prompts that name the member: as WeCom says it, as long as it holds, and never in anybody's way.

use std::time::Duration;

use qimate::config::Config;

use super::{ask, told, until};
use crate::harness::{App, Logs, within};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn named(config: &mut Config) {
    config.llm.system_prompt = "你在和{department}的{name}说话。".to_owned();
    // The days of these stories pass within one conversation.
    config.chat.idle = None;
}

#[tokio::test]
async fn the_model_is_told_who_asks_and_wecom_is_asked_once_a_day() {
    let mut app = App::start_with(named).await;
    app.wecom.enter_contact("zhangsan", "张三", "财务部");
    for _ in 0..2 {
        ask(&app, "zhangsan", "我是谁？").await;
        assert_eq!(told(&app), "你在和财务部的张三说话。");
    }
    assert_eq!(app.wecom.contacts_asked(), 1);
    // It outlives the process.
    app.stop().await;
    app.wecom.enter_contact("zhangsan", "张三丰", "武当");
    app.launch().await;
    ask(&app, "zhangsan", "我是谁？").await;
    assert_eq!((told(&app).as_str(), app.wecom.contacts_asked()), ("你在和财务部的张三说话。", 1));
    // A day later the turn goes on with what is known, and the next one knows better.
    app.clock.advance(DAY + Duration::from_secs(1));
    ask(&app, "zhangsan", "我是谁？").await;
    assert_eq!(told(&app), "你在和财务部的张三说话。");
    until(&app, "SELECT COUNT(*) FROM profile WHERE name = '张三丰'", 1).await;
    ask(&app, "zhangsan", "我是谁？").await;
    within(async {
        while told(&app) != "你在和武当的张三丰说话。" {
            ask(&app, "zhangsan", "我是谁？").await;
        }
    })
    .await;
    assert_eq!(app.wecom.contacts_asked(), 2);
}

#[tokio::test]
async fn a_refusal_is_told_once_and_holds_for_a_day() {
    let logs = Logs::capture();
    let app = App::start_with(named).await;
    app.wecom.refuse_contacts(Some(60011));
    for member in ["zhangsan", "zhangsan", "lisi"] {
        ask(&app, member, "我是谁？").await;
        assert_eq!(told(&app), "你在和未知的同事说话。");
    }
    assert_eq!(app.wecom.contacts_asked(), 2, "once for each member");
    assert_eq!(logs.with(&["WARN", "60011", "可见范围"]).len(), 1);
    app.wecom.refuse_contacts(None);
    app.wecom.enter_contact("zhangsan", "张三", "财务部");
    app.clock.advance(DAY - Duration::from_secs(3600));
    ask(&app, "zhangsan", "我是谁？").await;
    assert_eq!(app.wecom.contacts_asked(), 2);
    app.clock.advance(Duration::from_secs(3601));
    ask(&app, "zhangsan", "我是谁？").await;
    until(&app, "SELECT COUNT(*) FROM profile WHERE name = '张三' AND refused IS NULL", 1).await;
}

#[tokio::test]
async fn the_first_words_wait_no_longer_than_a_moment_for_a_name() {
    let app = App::start_with(named).await;
    app.wecom.hang_contacts(true);
    app.model.push(super::answer("好的。"));
    app.say("zhangsan", "我是谁？").await;
    app.advance_to_sleeper(0.1..=0.3).await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    assert_eq!(told(&app), "你在和未知的同事说话。");
    // While the question hangs, nobody waits for it again.
    ask(&app, "zhangsan", "还在吗？").await;
    assert_eq!(app.wecom.contacts_asked(), 1);
}

#[tokio::test]
async fn wecom_is_not_asked_where_nobody_is_named_or_that_is_switched_off() {
    let app = App::start_with(|config| {
        named(config);
        config.chat.member_profile = false;
    })
    .await;
    app.wecom.enter_contact("zhangsan", "张三", "财务部");
    ask(&app, "zhangsan", "我是谁？").await;
    assert_eq!((told(&app).as_str(), app.wecom.contacts_asked()), ("你在和未知的同事说话。", 0));
    let app = App::start().await;
    ask(&app, "zhangsan", "我是谁？").await;
    assert_eq!((app.wecom.contacts_asked(), app.count("SELECT COUNT(*) FROM profile")), (0, 0));
}
