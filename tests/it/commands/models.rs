//! Members are offered the models that they may use, and read why not where they ask for another.

use qimate::{
    clock::Clock,
    model::{
        id::{CorpId, MemberId},
        person::{Edit, Premium},
        quota::plan::Plan,
    },
    store::{Store, plans::Holder},
};
use serde_json::Value;

use super::{app, ask, prefer};
use crate::harness::{App, within};

async fn change(app: &App, member: &str, premium: Premium) {
    let now = Clock::Manual(app.clock.clone()).now();
    let edit = Edit { premium: Some(premium), ..Edit::of(MemberId::parse(member).unwrap()) };
    let store = Store::open_beside(&app.config.storage).unwrap();
    store
        .change_people(
            &qimate::model::audit::Actor::Daemon,
            &CorpId::parse("ww1436e0e65a779aee").unwrap(),
            vec![edit],
            now,
        )
        .await
        .unwrap();
}

/// Two models, of which `smart` is a premium one.
async fn with_premium() -> App {
    app(|config| config.llm.upstreams[0].models[1].premium = true).await
}

const NOT_YET: &str = "你还不能使用高级模型，smart 是其中之一。发送 /model 换一个，或联系管理员。";

#[tokio::test]
async fn premium_models_are_offered_to_whom_they_are_for() {
    let app = with_premium().await;
    change(&app, "li", Premium::Off).await;
    let list = ask(&app, "li", "/model").await;
    assert!(list.starts_with("可以选的模型：\n1. qimate-demo（当前）\n\n"), "{list}");
    assert!(ask(&app, "wang", "/model").await.contains("\n2. smart\n"));
    assert_eq!(ask(&app, "li", "/model smart").await, NOT_YET);
    let unknown = ask(&app, "li", "/model 2").await;
    assert!(unknown.starts_with("没有叫“2”的模型。可以选的模型：\n1. qimate-demo（当前）\n\n"), "{unknown}");
    // Of when it was theirs, it says until when.
    let until = app.config.chat.time_zone.after_date("2026-09-20").unwrap();
    change(&app, "li", Premium::Until(until)).await;
    assert!(ask(&app, "li", "/model SMART").await.starts_with("你使用高级模型的期限已到（2026-09-20 为最后一天）"));
    assert_eq!(app.count("SELECT COUNT(*) FROM member_preference WHERE model IS NOT NULL"), 0, "nothing was chosen");
    change(&app, "li", Premium::Inherit).await;
    assert_eq!(ask(&app, "li", "/model 2").await, "好的，以后由 smart 回答你。");
    // What was chosen and is no longer theirs is not in the list, and is not the current one of it.
    change(&app, "li", Premium::Off).await;
    let list = ask(&app, "li", "/model").await;
    assert!(list.starts_with("可以选的模型：\n1. qimate-demo\n\n"), "{list}");
}

#[tokio::test]
async fn an_older_card_chooses_nothing_that_is_no_longer_theirs() {
    let app = with_premium().await;
    prefer(&app, "li", "client = 'wecom'");
    ask(&app, "li", "/model").await;
    let card: Value = serde_json::from_str(&app.wecom.messages_for("li").pop().unwrap().content).unwrap();
    assert_eq!(card["button_list"].as_array().unwrap().len(), 2);
    change(&app, "li", Premium::Off).await;
    let before = app.wecom.messages_for("li").len();
    let (receipt, _) = within(app.wecom.press("li", card["task_id"].as_str().unwrap(), "smart", &[])).await;
    assert!(receipt.accepted());
    assert_eq!(app.texts("li", before + 1).await.pop().unwrap(), NOT_YET);
    app.settled().await;
}

#[tokio::test]
async fn a_plan_without_a_model_hides_it_and_says_so() {
    let mut app = app(|_| {}).await;
    app.stop().await;
    let now = Clock::Manual(app.clock.clone()).now();
    let store = Store::open(&app.config.storage, now).unwrap();
    let small = Plan { models: Some(["qimate-demo".to_owned()].into()), ..Plan::default() };
    store.save_plan(&qimate::model::audit::Actor::Daemon, "small", &small, now).await.unwrap();
    assert!(store.attach_plan(&qimate::model::audit::Actor::Daemon, &Holder::EveryMember, "small", now).await.unwrap());
    drop(store);
    app.launch().await;
    assert!(ask(&app, "li", "/model").await.starts_with("可以选的模型：\n1. qimate-demo（当前）\n\n"));
    let why = "你的方案里没有模型 smart。发送 /model 换一个，或联系管理员。";
    assert_eq!(ask(&app, "li", "/model smart").await, why);
    assert_eq!(ask(&app, "li", "/model 默认").await, "好的，以后由 qimate-demo 回答你。");
}

#[tokio::test]
async fn with_no_model_left_it_is_said_why() {
    let mut app = app(|config| config.llm.upstreams[0].models.iter_mut().for_each(|model| model.premium = true)).await;
    change(&app, "li", Premium::Off).await;
    for asked in ["/model", "/model 默认"] {
        assert!(ask(&app, "li", asked).await.starts_with("你还不能使用高级模型，qimate-demo 是其中之一。"), "{asked}");
    }
    app.stop().await;
}
