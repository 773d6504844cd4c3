//! Members choose, by name or by number, and their choice stays across a restart.

use qimate::config::chat::Language;

use super::{app, ask};
use crate::harness::App;

fn asked_model(app: &App) -> String {
    app.model.requests().pop().unwrap().body["model"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_model_is_chosen_by_number_or_name_and_stays() {
    let mut app = app(|_| {}).await;
    let list = ask(&app, "zhangsan", "/model").await;
    assert!(list.starts_with("可以选的模型：\n1. qimate-demo（当前）\n2. smart\n"), "{list}");
    assert_eq!(ask(&app, "zhangsan", "/模型 2").await, "好的，以后由 smart 回答你。");
    ask(&app, "zhangsan", "喂").await;
    assert_eq!(asked_model(&app), "smart-at-home");
    assert!(ask(&app, "zhangsan", "/model").await.contains("\n2. smart（当前）"));
    assert!(ask(&app, "zhangsan", "/model gpt-9").await.starts_with("没有叫“gpt-9”的模型。可以选的模型："));

    app.stop().await;
    app.launch().await;
    ask(&app, "zhangsan", "喂").await;
    assert_eq!(asked_model(&app), "smart-at-home");
    ask(&app, "lisi", "喂").await;
    assert_eq!(asked_model(&app), "qimate-demo-at-home", "it is their own choice");
    assert_eq!(ask(&app, "zhangsan", "/model 默认").await, "好的，以后由 qimate-demo 回答你。");
    ask(&app, "zhangsan", "喂").await;
    assert_eq!(asked_model(&app), "qimate-demo-at-home");
    assert_eq!(app.count("SELECT COUNT(*) FROM member_preference"), 0);
}

#[tokio::test]
async fn a_persona_is_chosen_and_given_up() {
    let app = app(|config| config.chat.language = Language::English).await;
    let list = ask(&app, "zhangsan", "/persona").await;
    assert!(list.starts_with("You can choose among:\n1. 夫子 – 说文言\n2. 译者\n"), "{list}");
    assert_eq!(ask(&app, "zhangsan", "/persona 译者").await, "I now play: 译者.");
    ask(&app, "zhangsan", "喂").await;
    let system = || app.model.requests().pop().unwrap().contents("system").join("");
    assert!(system().ends_with("\n\n只给译文。"));
    assert_eq!(ask(&app, "zhangsan", "/persona none").await, "I no longer play a part.");
    ask(&app, "zhangsan", "喂").await;
    assert!(!system().contains("译文"));

    let app = super::app(|config| config.chat.personas.clear()).await;
    assert_eq!(ask(&app, "zhangsan", "/persona 1").await, "管理员还没有设置可选的角色。");
}

#[tokio::test]
async fn language_and_form_are_each_members_own() {
    let app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhangsan", "/lang english").await, "All right, I speak English to you from now on.");
    assert_eq!(ask(&app, "zhangsan", "/stop").await, "No answer is being written at the moment.");
    assert_eq!(ask(&app, "lisi", "/stop").await, "现在没有正在写的回答。");
    assert!(ask(&app, "zhangsan", "/lang").await.starts_with("Send “/lang zh”"));
    assert_eq!(ask(&app, "zhangsan", "/语言 中文").await, "好的，以后用中文提示你。");

    assert_eq!(ask(&app, "zhangsan", "喂").await, "好");
    assert!(ask(&app, "zhangsan", "/markdown").await.starts_with("目前：自动。"));
    assert!(ask(&app, "zhangsan", "/markdown on").await.starts_with("好的，回答会带格式。"));
    assert_eq!(ask(&app, "zhangsan", "喂").await, "**好**");
    assert_eq!(ask(&app, "lisi", "喂").await, "好");
    assert!(ask(&app, "zhangsan", "/格式 自动").await.starts_with("好的，在企业微信里带格式"));
    assert_eq!(ask(&app, "zhangsan", "喂").await, "好", "nothing has told with what they read");
    let formats: Vec<_> = app.wecom.messages_for("zhangsan").into_iter().map(|one| one.msgtype).collect();
    assert_eq!(formats.iter().filter(|format| *format == "markdown").count(), 1);
}

#[tokio::test]
async fn voice_is_noted_and_said_to_be_off_where_the_bot_cannot_speak() {
    let app = app(|_| {}).await;
    assert!(ask(&app, "zhangsan", "/voice").await.starts_with("管理员还没有开启语音回答。"));
    assert!(ask(&app, "zhangsan", "/voice on").await.contains("管理员还没有开启语音回答"));
    assert_eq!(ask(&app, "zhangsan", "/语音 关").await, "好的，一律用文字回答。");
    assert_eq!(app.count("SELECT COUNT(*) FROM member_preference WHERE voice_answers = 0"), 1);
}

#[tokio::test]
async fn what_was_chosen_is_erased_with_the_member() {
    let mut app = app(|_| {}).await;
    ask(&app, "zhangsan", "/model smart").await;
    ask(&app, "zhangsan", "/lang en").await;
    let member = qimate::model::id::MemberId::parse("ZhangSan").unwrap();
    let now = qimate::clock::Timestamp::from_secs(1_790_000_000);
    let export =
        qimate::store::member::export(&app.config.storage, &qimate::store::member::Reading::WithoutTexts, &member, now)
            .unwrap();
    let chosen = &export["applications"][0]["preferences"];
    assert_eq!((chosen["model"].as_str(), chosen["language"].as_str()), (Some("smart"), Some("en")), "{export}");
    qimate::store::member::erase(&app.config.storage, &qimate::model::audit::Actor::Daemon, &member, now).unwrap();
    assert_eq!(app.count("SELECT COUNT(*) FROM member_preference"), 0);
    // The daemon that remembered it has forgotten it too.
    assert_eq!(ask(&app, "zhangsan", "/stop").await, "现在没有正在写的回答。");
    app.stop().await;
}
