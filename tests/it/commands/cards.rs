//! Choosing by a template card, for members who read with WeCom's own client.

use qimate::sandbox::emulator::Delivered;
use serde_json::Value;

use super::{app, ask, prefer};
use crate::harness::{App, within};

async fn card(app: &App, member: &str, command: &str) -> Value {
    ask(app, member, command).await;
    let last: Delivered = app.wecom.messages_for(member).pop().unwrap();
    assert_eq!(last.msgtype, "template_card");
    serde_json::from_str(&last.content).unwrap()
}

fn keys(card: &Value) -> Vec<String> {
    card["button_list"].as_array().unwrap().iter().map(|one| one["key"].as_str().unwrap().to_owned()).collect()
}

/// Presses, and waits until that is dealt with.
async fn press(app: &App, member: &str, card: &Value, key: &str) {
    let (receipt, _) = within(app.wecom.press(member, card["task_id"].as_str().unwrap(), key, &[])).await;
    assert!(receipt.accepted(), "{receipt:?}");
    app.settled().await;
}

fn updates(app: &App) -> Vec<Value> {
    let lines = app.wecom.lines_after(0).into_iter().filter(|line| line.msgtype == "card_update");
    lines.map(|line| serde_json::from_str(&line.content).unwrap()).collect()
}

async fn asked_model(app: &App, member: &str) -> String {
    ask(app, member, "喂").await;
    app.model.requests().pop().unwrap().body["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_press_chooses_the_model_and_the_card_says_so_also_after_a_restart() {
    let mut app = app(|_| {}).await;
    assert!(ask(&app, "zhangsan", "/model").await.starts_with("可以选的模型："), "nothing is known of the client");
    prefer(&app, "zhangsan", "client = 'wecom'");
    let shown = card(&app, "zhangsan", "/model").await;
    assert_eq!(keys(&shown), ["qimate-demo", "smart"]);
    app.stop().await;
    app.launch().await;
    press(&app, "zhangsan", &shown, "smart").await;
    assert_eq!(updates(&app)[0]["button"]["replace_name"], "已选 smart");
    assert_eq!(asked_model(&app, "zhangsan").await, "smart-at-home");
    // Pressed twice, it is the same. Within one second WeCom's events could not be told apart.
    app.clock.advance(std::time::Duration::from_secs(1));
    press(&app, "zhangsan", &shown, "smart").await;
    assert_eq!(updates(&app).len(), 2);
    assert_eq!(asked_model(&app, "zhangsan").await, "smart-at-home");
}

#[tokio::test]
async fn a_persona_is_pressed_and_given_up_again() {
    let app = app(|_| {}).await;
    prefer(&app, "zhangsan", "client = 'wecom'");
    let shown = card(&app, "zhangsan", "/persona").await;
    assert_eq!(keys(&shown), ["qimate:none", "夫子", "译者"]);
    press(&app, "zhangsan", &shown, "译者").await;
    ask(&app, "zhangsan", "喂").await;
    assert!(app.model.requests().pop().unwrap().contents("system").join("").contains("只给译文"));
    press(&app, "zhangsan", &card(&app, "zhangsan", "/persona").await, "qimate:none").await;
    ask(&app, "zhangsan", "喂").await;
    assert!(!app.model.requests().pop().unwrap().contents("system").join("").contains("只给译文"));
}

#[tokio::test]
async fn a_card_is_its_members_alone_and_what_is_gone_from_it_is_not_chosen() {
    let mut app = app(|_| {}).await;
    prefer(&app, "zhangsan", "client = 'wecom'");
    let shown = card(&app, "zhangsan", "/model").await;
    press(&app, "lisi", &shown, "smart").await;
    assert_eq!(app.texts("lisi", 1).await, ["这张卡片不是发给你的。发 /model 或 /persona 可以得到自己的。"]);
    assert_eq!(asked_model(&app, "lisi").await, "qimate-demo-at-home");
    // Whoever presses a card reads with WeCom's own client.
    let own = card(&app, "lisi", "/model").await;
    press(&app, "lisi", &own, "smart").await;
    assert_eq!(asked_model(&app, "lisi").await, "smart-at-home");
    app.stop().await;
    app.config.llm.upstreams[0].models.pop();
    app.launch().await;
    press(&app, "zhangsan", &shown, "smart").await;
    assert!(app.texts("zhangsan", 2).await[1].starts_with("这一项已经没有了"));
}

#[tokio::test]
async fn a_card_that_cannot_be_changed_is_answered_in_text() {
    let app = app(|_| {}).await;
    prefer(&app, "zhangsan", "client = 'wecom'");
    let shown = card(&app, "zhangsan", "/model").await;
    let task = shown["task_id"].as_str().unwrap();
    // The code of this press does not exist.
    let xml = format!(
        "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
         <CreateTime>1790000000</CreateTime><MsgType>event</MsgType><Event>template_card_event</Event>\
         <EventKey>smart</EventKey><TaskId>{task}</TaskId><ResponseCode>used</ResponseCode>\
         <AgentID>1000002</AgentID></xml>"
    );
    assert!(within(app.wecom.raw("zhangsan", &xml)).await.accepted());
    assert_eq!(app.texts("zhangsan", 2).await[1], "好的，以后由 smart 回答你。");
    app.settled().await;
    assert_eq!(asked_model(&app, "zhangsan").await, "smart-at-home");
}

/// With so many more models than the two.
async fn with_models(more: usize) -> App {
    app(|config| {
        let model = config.llm.upstreams[0].models[0].clone();
        let named = |number: usize| qimate::config::upstream::OfferedModel {
            alias: format!("model-{number}").as_str().into(),
            ..model.clone()
        };
        config.llm.upstreams[0].models.extend((0..more).map(named));
    })
    .await
}

/// Picks from the list of a card and sends that, and waits until it is dealt with.
async fn pick(app: &App, member: &str, card: &Value, picked: Vec<&str>) {
    let (task, key) = (card["task_id"].as_str().unwrap(), card["submit_button"]["key"].as_str().unwrap());
    let question = card["checkbox"]["question_key"].as_str().unwrap();
    let (receipt, _) = within(app.wecom.press(member, task, key, &[(question, picked)])).await;
    assert!(receipt.accepted(), "{receipt:?}");
    app.settled().await;
}

fn listed(card: &Value) -> Vec<(&str, bool)> {
    let options = card["checkbox"]["option_list"].as_array().unwrap();
    options.iter().map(|one| (one["id"].as_str().unwrap(), one["is_checked"] == true)).collect()
}

#[tokio::test]
async fn more_than_six_are_a_list_on_a_card_and_what_is_picked_there_is_chosen() {
    let mut app = with_models(8).await;
    prefer(&app, "zhangsan", "client = 'wecom'");
    let shown = card(&app, "zhangsan", "/model").await;
    assert_eq!(shown["card_type"], "vote_interaction");
    let options = listed(&shown);
    assert_eq!((options.len(), options[0], options[1]), (10, ("qimate-demo", true), ("smart", false)));
    app.stop().await;
    app.launch().await;
    pick(&app, "zhangsan", &shown, vec!["smart"]).await;
    assert_eq!(updates(&app)[0]["button"]["replace_name"], "已选 smart");
    assert_eq!(asked_model(&app, "zhangsan").await, "smart-at-home");
    assert_eq!(listed(&card(&app, "zhangsan", "/model").await)[1], ("smart", true));
    // Two choices within one second are two.
    let before = updates(&app).len();
    pick(&app, "zhangsan", &shown, vec!["model-3"]).await;
    pick(&app, "zhangsan", &shown, vec!["model-4"]).await;
    assert_eq!(updates(&app).len(), before + 2);
    pick(&app, "zhangsan", &shown, Vec::new()).await;
    let last = app.wecom.messages_for("zhangsan").pop().unwrap();
    assert_eq!(last.content, "你没有选中任何一项。请先在卡片上选一项，再点确定。");
    pick(&app, "zhangsan", &shown, vec!["no-such"]).await;
    let last = app.wecom.messages_for("zhangsan").pop().unwrap();
    assert!(last.content.starts_with("这一项已经没有了"), "{last:?}");
}

#[tokio::test]
async fn too_many_for_a_card_are_a_list_in_text() {
    let app = with_models(9).await;
    prefer(&app, "zhangsan", "client = 'wecom'");
    assert!(ask(&app, "zhangsan", "/model").await.contains("\n11. model-8\n"));
    // And whoever reads with a client that shows no cards gets one for fewer, too.
    assert!(ask(&app, "lisi", "/model").await.contains("\n7. model-4\n"));
}

#[tokio::test]
async fn an_entry_of_the_menu_is_its_command() {
    let app = app(|_| {}).await;
    for (key, said) in
        [("qimate:new", "好的，已开始新对话"), ("qimate:model", "可以选的模型："), ("qimate:usage", "你的用量：")]
    {
        let before = app.wecom.messages_for("zhangsan").len();
        let xml = format!(
            "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
             <CreateTime>1790000000</CreateTime><MsgType>event</MsgType><Event>click</Event>\
             <EventKey>{key}</EventKey><AgentID>1000002</AgentID></xml>"
        );
        assert!(within(app.wecom.raw("zhangsan", &xml)).await.accepted());
        assert!(app.texts("zhangsan", before + 1).await[before].starts_with(said), "{key}");
    }
    app.settled().await;
}
