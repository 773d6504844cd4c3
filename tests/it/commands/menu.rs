//! The menu below the chat: made where there is none, left alone where somebody made one.

use qimate::{
    config::menu::{MenuAction, MenuEntry, MenuItem},
    model::command::Command,
};
use serde_json::{Value, json};

use super::said;
use crate::harness::{App, Logs, within};

/// A daemon that sees to the menu, beside what `before` did to WeCom.
async fn app_with(before: impl FnOnce(&App)) -> App {
    let mut app = App::start().await;
    app.stop().await;
    assert_eq!(app.wecom.menu_calls(), (0, 0), "nobody looks where it is off");
    before(&app);
    app.config.menu.enabled = true;
    app.launch().await;
    app
}

/// Waits until the daemon said what became of the menu.
async fn told(logs: &Logs, words: &[&str], times: usize) -> Vec<String> {
    within(async {
        loop {
            let lines = logs.with(words);
            if lines.len() >= times {
                return lines;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

fn names(menu: &Value) -> Vec<&str> {
    menu["button"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_menu_is_made_once_and_every_entry_of_it_is_answered() {
    let logs = Logs::capture();
    let mut app = app_with(|_| {}).await;
    told(&logs, &["made the app's menu"], 1).await;
    let menu = app.wecom.menu().unwrap();
    assert_eq!(names(&menu), ["新对话", "帮助", "更多"]);
    app.stop().await;
    app.launch().await;
    told(&logs, &["the menu is as it should be"], 1).await;
    assert_eq!(app.wecom.menu_calls(), (2, 1));

    let buttons = menu["button"].as_array().unwrap();
    let all = buttons.iter().flat_map(|one| one["sub_button"].as_array().cloned().unwrap_or(vec![one.clone()]));
    let keys: Vec<_> = all.map(|one| one["key"].as_str().unwrap().to_owned()).collect();
    assert_eq!(keys.len(), 4);
    for key in keys {
        let before = app.wecom.messages_for("zhangsan").len();
        let receipt = within(app.wecom.click("zhangsan", &key)).await;
        assert!(receipt.accepted(), "{receipt:?}");
        said(&app, "zhangsan", before + 1).await;
    }
    assert_eq!(app.model.requests().len(), 0, "an entry is a command");
}

#[tokio::test]
async fn the_menu_follows_the_language() {
    let logs = Logs::capture();
    let mut app = app_with(|_| {}).await;
    told(&logs, &["made the app's menu"], 1).await;
    app.stop().await;
    app.config.chat.language = qimate::config::chat::Language::English;
    app.launch().await;
    told(&logs, &["made the app's menu"], 2).await;
    assert_eq!(names(&app.wecom.menu().unwrap()), ["New chat", "Help", "More"]);
}

#[tokio::test]
async fn a_menu_that_somebody_made_stays_as_it_is() {
    let logs = Logs::capture();
    // Even one whose keys are commands: its names are somebody's choice.
    let by_hand = json!({"button": [{"type": "click", "name": "重新开始", "key": "qimate:new"}]});
    let mut app = app_with(|app| app.wecom.set_menu(Some(by_hand.clone()))).await;
    let lines = told(&logs, &["a menu that somebody made"], 1).await;
    assert_eq!((lines.len(), app.wecom.menu_calls()), (1, (1, 0)));
    assert_eq!(app.wecom.menu(), Some(by_hand));
    // Once it is deleted, there is room for ours.
    app.stop().await;
    app.wecom.set_menu(None);
    app.launch().await;
    told(&logs, &["made the app's menu"], 1).await;
    assert_eq!(names(&app.wecom.menu().unwrap()).len(), 3);
}

#[tokio::test]
async fn a_refused_menu_delays_nobody_and_is_tried_again_at_the_next_start() {
    let logs = Logs::capture();
    let mut app = app_with(|app| app.wecom.refuse_menu(Some(48002))).await;
    let lines = told(&logs, &["WARN", "again at the next start"], 1).await;
    assert!(lines[0].contains("errcode=48002") && lines[0].contains("应用管理 → 自建"), "{lines:?}");
    app.say("zhangsan", "你好").await;
    said(&app, "zhangsan", 1).await;
    assert_eq!(logs.with(&["again at the next start"]).len(), 1, "told once");
    app.wecom.refuse_menu(None);
    app.stop().await;
    app.launch().await;
    told(&logs, &["made the app's menu"], 1).await;
    assert_eq!(app.wecom.menu_calls(), (1, 1));
}

fn item(name: &str, does: MenuAction) -> MenuItem {
    MenuItem { name: name.to_owned(), does }
}

#[tokio::test]
async fn a_menu_of_the_administrators_own_takes_the_place_of_ours_and_of_no_other() {
    let logs = Logs::capture();
    let mut app = app_with(|_| {}).await;
    told(&logs, &["made the app's menu"], 1).await;
    app.stop().await;
    let page = || item("公司主页", MenuAction::Open("https://example.com/".to_owned()));
    let below = vec![item("我的用量和剩余额度", MenuAction::Command(Command::Usage)), page()];
    app.config.menu.entries = vec![
        MenuEntry::Item(item("重新开始", MenuAction::Command(Command::New))),
        MenuEntry::Item(page()),
        MenuEntry::Group { name: "更多".to_owned(), items: below },
    ];
    app.launch().await;
    told(&logs, &["made the app's menu"], 2).await;
    let menu = app.wecom.menu().unwrap();
    assert_eq!(names(&menu), ["重新开始", "公司主页", "更多"]);
    assert_eq!(menu["button"][1], json!({"type": "view", "name": "公司主页", "url": "https://example.com/"}));
    assert!(menu["button"][2]["sub_button"][0]["key"].as_str().unwrap().starts_with("qimate:usage:"));
    let key = menu["button"][0]["key"].as_str().unwrap().to_owned();
    assert!(within(app.wecom.click("zhangsan", &key)).await.accepted());
    assert!(said(&app, "zhangsan", 1).await.starts_with("好的，已开始新对话"), "{key}");
    // Started again it is as it should be; changed again it is known as ours.
    app.stop().await;
    app.launch().await;
    told(&logs, &["the menu is as it should be"], 1).await;
    app.stop().await;
    app.config.menu.entries.truncate(1);
    app.launch().await;
    told(&logs, &["made the app's menu"], 3).await;
    // Somebody gives an entry of it another name: then it is theirs.
    app.stop().await;
    let mut theirs = app.wecom.menu().unwrap();
    theirs["button"][0]["name"] = json!("新话题");
    app.wecom.set_menu(Some(theirs.clone()));
    app.config.menu.entries.clear();
    app.launch().await;
    told(&logs, &["a menu that somebody made"], 1).await;
    assert_eq!(app.wecom.menu(), Some(theirs));
}
