//! What operators do: look how it is, block members, announce.

use std::{collections::BTreeSet, time::Duration};

use qimate::{config::Config, model::id::MemberId};

use super::{ask, said};
use crate::harness::{App, within};

fn boss(config: &mut Config) {
    config.alerts.operators = vec![MemberId::parse("Boss").unwrap()];
}

async fn app() -> App {
    super::app(boss).await
}

#[tokio::test]
async fn who_is_no_operator_is_told_so_and_the_help_shows_each_their_own() {
    let app = app().await;
    for command in ["/status", "/block lisi", "/unblock lisi", "/blocked", "/announce 放假", "/announce send"] {
        assert_eq!(ask(&app, "zhangsan", command).await, "这个命令只有管理员能用。需要的话，请联系管理员。");
    }
    assert!(!ask(&app, "zhangsan", "/help").await.contains("/announce"));
    let help = ask(&app, "boss", "/help").await;
    assert!(
        help.contains("/new（/新对话）")
            && help.ends_with(
                "\n\n管理员命令：\n\
                 /status（/状态）运行状态\n\
                 /block 账号 [原因]（/停用）停用一位成员\n\
                 /unblock 账号（/恢复）恢复一位成员\n\
                 /blocked（/停用名单）已停用的成员\n\
                 /announce 内容|发送|取消（/公告）给所有人发公告，先预览\n\
                 /grant 编号 [天数]（/同意）同意一份额度申请：到本期结束，或若干天\n\
                 /deny 编号（/不同意）不同意一份额度申请"
            ),
        "{help}"
    );
    assert_eq!(app.count("SELECT COUNT(*) FROM blocked_member"), 0);
}

#[tokio::test]
async fn the_status_says_what_waits_and_what_failed() {
    let app = super::app(|config| {
        boss(config);
        config.llm.max_retries = 0;
    })
    .await;
    ask(&app, "zhangsan", "喂").await;
    app.model.push(qimate::sandbox::model::ModelReply::status(401, "{}"));
    ask(&app, "zhangsan", "喂").await;
    app.clock.advance(Duration::from_secs(2 * 3600 + 65 * 60));
    app.say("boss", "/状态").await;
    app.settled().await;
    // An alert about the same may have come before it.
    let texts = app.texts("boss", 1).await;
    let status = texts.iter().find(|text| text.starts_with("已运行")).unwrap();
    let lines: Vec<_> = status.lines().collect();
    assert_eq!(lines[0], "已运行 3 小时 5 分。");
    // The question itself is being handled, and the alert may be on its way.
    let waiting = ["等待处理 1 条，等待发送 0 条，发不出去 0 条。", "等待处理 1 条，等待发送 1 条，发不出去 0 条。"];
    assert!(waiting.contains(&lines[1]), "{status}");
    assert!(lines[3].starts_with("模型最近一次出错：2026-09-21 22:13，"), "{status}");
    assert!(lines[4].starts_with("停用的密钥：default 第 1 个，模型 qimate-demo，"), "{status}");
}

#[tokio::test]
async fn a_blocked_member_gets_one_sentence_on_every_path_until_they_are_taken_back() {
    let mut app = app().await;
    ask(&app, "lisi", "喂").await;
    assert_eq!(ask(&app, "boss", "/block BOSS").await, "不能停用管理员。");
    assert_eq!(ask(&app, "boss", "/block LiSi 刷屏 太多").await, "好的，已停用 LiSi。发“/unblock LiSi”恢复。");
    let asked = app.model.requests().len();
    const AWAY: &str = "抱歉，管理员暂停了你对我的使用。如有疑问，请联系管理员。";
    for message in ["喂", "/help", "/retry", "/model 2", "新对话", "/modle"] {
        assert_eq!(ask(&app, "lisi", message).await, AWAY, "{message}");
    }
    let before = app.wecom.messages_for("lisi").len();
    assert!(within(app.wecom.speak("lisi", None)).await.accepted());
    assert_eq!(said(&app, "lisi", before + 1).await, AWAY);
    assert_eq!(ask(&app, "zhangsan", "喂").await, "好", "others are answered");
    app.stop().await;
    app.launch().await;
    assert_eq!(ask(&app, "lisi", "喂").await, AWAY, "after a restart too");
    assert_eq!(app.model.requests().len(), asked + 1);

    assert_eq!(ask(&app, "boss", "/blocked").await, "已停用：\n2026-09-21 22:13 LiSi：刷屏 太多");
    assert_eq!(ask(&app, "boss", "/unblock lisi").await, "好的，已恢复 lisi。");
    assert_eq!(ask(&app, "boss", "/unblock lisi").await, "lisi 没有被停用。");
    assert_eq!(ask(&app, "boss", "/停用名单").await, "没有停用任何人。");
    assert_eq!(ask(&app, "lisi", "喂").await, "好");
}

#[tokio::test]
async fn a_block_is_exported_and_erased_with_the_member() {
    let app = app().await;
    ask(&app, "boss", "/block lisi 刷屏").await;
    let member = MemberId::parse("lisi").unwrap();
    let now = qimate::clock::Timestamp::from_secs(1_790_000_000);
    let export =
        qimate::store::member::export(&app.config.storage, &qimate::store::member::Reading::WithoutTexts, &member, now)
            .unwrap();
    assert_eq!(export["blocked"][0]["reason"], "刷屏", "{export}");
    qimate::store::member::erase(&app.config.storage, &qimate::model::audit::Actor::Daemon, &member, now).unwrap();
    assert_eq!(ask(&app, "lisi", "喂").await, "好");
}

/// Lets the announcement go on until everybody has it, and says who got how many.
async fn announced(app: &App, members: &[String]) -> BTreeSet<usize> {
    let waiting = "SELECT COUNT(*) FROM announcement WHERE state = 'sending'";
    within(async {
        while app.count(waiting) > 0 {
            app.clock.advance(Duration::from_secs(1));
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.settled().await;
    let got = |member: &String| {
        let all = app.wecom.messages_for(member);
        all.iter().filter(|message| message.content.starts_with("【公告】\n明天放假")).count()
    };
    members.iter().map(got).collect()
}

async fn with_members(app: &App, count: usize) -> Vec<String> {
    let members: Vec<String> = (0..count).map(|number| format!("member{number:02}")).collect();
    for member in &members {
        app.say(member, "喂").await;
    }
    for member in &members {
        app.texts(member, 1).await;
    }
    app.settled().await;
    members
}

#[tokio::test]
async fn an_announcement_is_shown_first_and_then_reaches_everybody_but_the_blocked() {
    let app = app().await;
    let members = with_members(&app, 25).await;
    ask(&app, "boss", "/block member24").await;
    assert!(ask(&app, "boss", "/announce send").await.starts_with("没有 10 分钟内预览过的公告。"));
    let shown = ask(&app, "boss", "/announce 明天放假，_不用_来。").await;
    assert!(shown.starts_with("预览，将发给 24 人：\n\n【公告】\n明天放假，_不用_来。\n\n"), "{shown}");
    app.clock.advance(Duration::from_secs(10 * 60));
    assert!(ask(&app, "boss", "/announce send").await.starts_with("没有 10 分钟内"), "too late");
    ask(&app, "boss", "/announce 明天休息").await;
    ask(&app, "boss", "/公告 明天放假").await;
    assert_eq!(ask(&app, "boss", "/公告 发送").await, "开始发送，共 24 人。发“/announce 取消”可中止。");
    assert_eq!(announced(&app, &members[..24]).await, BTreeSet::from([1]));
    assert_eq!(announced(&app, &members[24..]).await, BTreeSet::from([0]), "the blocked one");
    assert_eq!(app.texts("boss", 1).await.pop().unwrap(), "公告已发给 24 人。");
    assert!(ask(&app, "boss", "/announce send").await.starts_with("没有 10 分钟内"), "once");
}

#[tokio::test]
async fn a_kill_in_the_middle_of_an_announcement_neither_repeats_nor_forgets() {
    let mut app = app().await;
    let members = with_members(&app, 65).await;
    ask(&app, "boss", "/announce 明天放假").await;
    app.say("boss", "/announce send").await;
    // The first twenty are written to at once; the next wait for the clock.
    for reached in [20, 40, 60] {
        within(async {
            while app.count("SELECT COALESCE(MAX(sent), 0) FROM announcement") < reached {
                app.clock.advance(Duration::from_millis(300));
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        })
        .await;
        app.drop_everything().await;
        // Many were at work: each is dropped in its turn, the last with the lock of the data directory.
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        app.launch().await;
    }
    assert_eq!(announced(&app, &members).await, BTreeSet::from([1]));
    let sent: i64 = app.count("SELECT sent FROM announcement WHERE state = 'sent'");
    assert_eq!(sent, 65);
}

#[tokio::test]
async fn a_cancelled_announcement_stops_where_it_is() {
    let app = app().await;
    let members = with_members(&app, 45).await;
    ask(&app, "boss", "/announce 明天放假").await;
    assert_eq!(ask(&app, "boss", "/announce cancel").await, "已取消，没有人收到。");
    assert!(ask(&app, "boss", "/announce send").await.starts_with("没有 10 分钟内"));
    ask(&app, "boss", "/announce 明天放假").await;
    ask(&app, "boss", "/announce send").await;
    within(async {
        while app.count("SELECT MAX(sent) FROM announcement") < 20 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    let cancelled = ask(&app, "boss", "/announce cancel").await;
    assert_eq!(cancelled, "已取消，其余的人不会收到；已有 20 人收到。");
    app.clock.advance(Duration::from_secs(5));
    app.settled().await;
    assert_eq!(announced(&app, &members[..20]).await, BTreeSet::from([1]));
    assert_eq!(announced(&app, &members[20..]).await, BTreeSet::from([0]));
}

/// Presses a button of a card below a preview, and says what the bot says to that.
async fn press(app: &App, member: &str, card: &serde_json::Value, key: &str) -> String {
    let before = app.wecom.messages_for(member).len();
    // Within one second WeCom's events could not be told apart.
    app.clock.advance(Duration::from_secs(1));
    let task = card["task_id"].as_str().unwrap();
    assert!(within(app.wecom.press(member, task, key, &[])).await.0.accepted());
    said(app, member, before + 1).await
}

/// Shows an announcement: the card below it.
async fn preview(app: &App, text: &str) -> serde_json::Value {
    let before = app.wecom.messages_for("boss").len();
    app.say("boss", &format!("/announce {text}")).await;
    assert!(app.texts("boss", before + 2).await[before].starts_with("预览，将发给 3 人："));
    app.settled().await;
    let card = app.wecom.messages_for("boss").pop().unwrap();
    assert_eq!(card.msgtype, "template_card");
    serde_json::from_str(&card.content).unwrap()
}

#[tokio::test]
async fn a_press_confirms_exactly_the_announcement_above_it_once() {
    let mut app = app().await;
    let members = with_members(&app, 3).await;
    super::prefer(&app, "boss", "client = 'wecom'");
    let old = preview(&app, "明天放假，草稿").await;
    let card = preview(&app, "明天放假").await;
    let buttons: Vec<_> = card["button_list"].as_array().unwrap().iter().map(|one| one["key"].clone()).collect();
    assert_eq!(buttons, ["qimate:send", "qimate:cancel"]);
    for key in ["qimate:send", "qimate:cancel"] {
        assert!(press(&app, "boss", &old, key).await.starts_with("这条预览已经失效："), "{key}");
    }
    assert_eq!(press(&app, "lisi", &card, "qimate:send").await, "这个命令只有管理员能用。需要的话，请联系管理员。");
    assert_eq!(app.count("SELECT COUNT(*) FROM announcement WHERE state IN ('sending', 'sent')"), 0);
    app.stop().await;
    app.launch().await;
    let sending = press(&app, "boss", &card, "qimate:send").await;
    // The end of it may be told before this is looked at.
    assert!(sending.starts_with("开始发送，共 3 人。") || sending == "公告已发给 3 人。", "{sending}");
    assert_eq!(announced(&app, &members).await, BTreeSet::from([1]));
    for key in ["qimate:send", "qimate:cancel"] {
        assert!(press(&app, "boss", &card, key).await.starts_with("这条公告已经确认过，不会再发一遍。"), "{key}");
    }
    assert_eq!(announced(&app, &members).await, BTreeSet::from([1]), "not twice");
    let updates = app.wecom.lines_after(0).into_iter().filter(|line| line.msgtype == "card_update");
    assert!(updates.clone().count() >= 3 && updates.clone().all(|line| line.content.contains("已处理")));
}

#[tokio::test]
async fn a_press_takes_an_announcement_back_and_too_late_is_too_late() {
    let app = app().await;
    let members = with_members(&app, 3).await;
    super::prefer(&app, "boss", "client = 'wecom'");
    let card = preview(&app, "明天放假").await;
    assert_eq!(press(&app, "boss", &card, "qimate:cancel").await, "已取消，没有人收到。");
    assert!(press(&app, "boss", &card, "qimate:send").await.starts_with("这条预览已经失效："));
    let card = preview(&app, "明天放假").await;
    app.clock.advance(Duration::from_secs(10 * 60));
    assert!(press(&app, "boss", &card, "qimate:send").await.starts_with("这条预览已经失效："));
    assert_eq!(announced(&app, &members).await, BTreeSet::from([0]));
}
