//! What must not leave the house, and what must not be said: at the sockets.

use qimate::{
    config::Config,
    safety::personal::Kind,
    sandbox::model::{Gate, ModelReply},
};

use crate::harness::{App, get, within};

const PHONE: &str = "13812345678";
const ID_CARD: &str = "11010519491231002X";

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

fn masks_everything(config: &mut Config) {
    config.safety.mask = Kind::ALL.into_iter().collect();
}

/// Everything that the model was sent.
fn sent(app: &App) -> String {
    app.model.requests().iter().map(|request| request.body.to_string()).collect()
}

async fn hits(app: &App) -> Vec<String> {
    let (_, metrics) = get(app.operations_url("/metrics"), None).await;
    let lines = metrics.lines().filter(|line| line.starts_with("qimate_safety_hits_total") && !line.ends_with(" 0"));
    let mut hits: Vec<_> = lines.map(|line| line.trim_start_matches("qimate_safety_hits_total").to_owned()).collect();
    hits.sort();
    hits
}

#[tokio::test]
async fn the_model_sees_no_number_and_the_member_reads_the_original() {
    let app = App::start_with(masks_everything).await;
    app.model.push(answer("已记下 ⟦手机1⟧（张三）和 ⟦ 身份证 1 ⟧。"));
    app.say("zhangsan", &format!("张三的手机是 {PHONE}，身份证 {ID_CARD}")).await;
    assert_eq!(app.texts("zhangsan", 1).await, [format!("已记下 {PHONE}（张三）和 {ID_CARD}。")]);
    app.settled().await;
    // The history holds the originals, and is masked again with what comes new.
    app.model.push(answer("是 ⟦手机1⟧，另一个是 ⟦手机2⟧。"));
    app.say("zhangsan", "刚才的号码是多少？我的是 139-8765-4321").await;
    assert_eq!(app.texts("zhangsan", 2).await[1], format!("是 {PHONE}，另一个是 139-8765-4321。"));
    app.settled().await;
    let sent = sent(&app);
    for secret in [PHONE, ID_CARD, "8765"] {
        assert!(!sent.contains(secret), "{sent}");
    }
    assert_eq!(
        app.model.requests().pop().unwrap().contents("user"),
        ["张三的手机是 ⟦手机1⟧，身份证 ⟦身份证1⟧", "刚才的号码是多少？我的是 ⟦手机2⟧"]
    );
    // Each was counted when it came, and not again with the history.
    let hits = hits(&app).await;
    assert_eq!(
        hits,
        [r#"{rule="id_card",direction="in",action="mask"} 1"#, r#"{rule="phone",direction="in",action="mask"} 2"#,]
    );
}

#[tokio::test]
async fn by_default_only_what_is_sensitive_is_masked_and_the_model_is_told_only_then() {
    let app = App::start().await;
    app.model.push(answer("好"));
    app.say("zhangsan", &format!("打 {PHONE}，或写信给 a@b.cn")).await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    app.model.push(answer("好"));
    app.say("zhangsan", &format!("身份证 {ID_CARD}，卡号 4111 1111 1111 1111，密钥 sk-abcdefgh12345678")).await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    let requests = app.model.requests();
    let [first, second] = requests.as_slice() else { panic!("{requests:?}") };
    assert_eq!(first.contents("user"), [format!("打 {PHONE}，或写信给 a@b.cn")]);
    assert_eq!(second.contents("user")[1], "身份证 ⟦身份证1⟧，卡号 ⟦银行卡1⟧，密钥 ⟦密钥1⟧");
    let told = |system: Vec<&str>| system.concat().contains("⟦手机1⟧");
    assert!(!told(first.contents("system")) && told(second.contents("system")));
}

#[tokio::test]
async fn a_placeholder_that_comes_in_pieces_is_restored_also_behind_a_crash() {
    let mut app = App::start_with(masks_everything).await;
    let before = "您的号码是 ⟦手机1⟧，请核对一下。\n\n另外，⟦手".to_owned();
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: String::new() });
    app.say("zhangsan", &format!("我的号码是 {PHONE}")).await;
    let first = format!("您的号码是 {PHONE}，请核对一下。");
    assert_eq!(app.texts("zhangsan", 1).await, std::slice::from_ref(&first));
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.drop_everything().await;

    app.model.push(answer("⟦手机1⟧ 已登记。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await, [first, format!("{PHONE} 已登记。")]);
    app.settled().await;
    assert!(!sent(&app).contains(PHONE), "what was said already is masked too");
    let last = app.model.requests().pop().unwrap();
    assert!(last.contents("assistant")[0].starts_with("您的号码是 ⟦手机1⟧"), "{last:?}");
}
