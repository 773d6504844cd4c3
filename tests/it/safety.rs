//! What must not leave the house, and what must not be said: at the sockets.

use std::sync::{Arc, Mutex};

use qimate::{
    config::Config,
    model::id::MemberId,
    safety::{
        personal::Kind,
        rules::{Action, Rules},
    },
    sandbox::model::{Gate, ModelReply},
};

use crate::harness::{App, Logs, get, within};

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

fn bans(config: &mut Config, words: &[(&str, Action)], patterns: &[(&str, Action)]) {
    config.safety.rules = Arc::new(Rules::new(words.iter().copied(), patterns.iter().copied()).unwrap());
}

#[tokio::test]
async fn a_question_that_the_rules_refuse_is_not_sent_and_the_member_is_told() {
    let logs = Logs::capture();
    let app = App::start_with(|config| bans(config, &[("猎鹰计划", Action::Refuse)], &[])).await;
    app.say("zhangsan", "介绍一下猎 鹰\u{200b}计划").await;
    let said = app.texts("zhangsan", 1).await.remove(0);
    assert!(
        said.starts_with("这条消息含有公司规定不能发给模型的内容，没有发送。") && said.contains("\n编号 "),
        "{said}"
    );
    app.settled().await;
    assert!(app.model.requests().is_empty());
    assert_eq!(hits(&app).await, [r#"{rule="word",direction="in",action="refuse"} 1"#]);
    // The next question is asked, and the one before is no part of the conversation.
    app.model.push(answer("在。"));
    app.say("zhangsan", "在吗").await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    assert_eq!(app.model.requests()[0].contents("user"), ["在吗"]);
    assert!(logs.with(&["鹰"]).is_empty() && !logs.with(&["keep the question from the model"]).is_empty());
}

#[tokio::test]
async fn an_answer_ends_before_what_is_refused_and_what_was_shown_stays() {
    let app = App::start_with(|config| bans(config, &[("猎鹰计划", Action::Refuse)], &[])).await;
    let (first, gate) = ("这是第一段，已经完整地写好了。\n\n第二段提到猎鹰", Gate::new());
    app.model.push(ModelReply::Held {
        before: first.to_owned(),
        gate: gate.clone(),
        after: "计划。\n\n第三段。".to_owned(),
    });
    app.say("zhangsan", "讲讲").await;
    // What may become the word waits, and nothing else does.
    assert_eq!(app.texts("zhangsan", 1).await, ["这是第一段，已经完整地写好了。"]);
    gate.open();
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts[1], "第二段提到");
    assert!(texts[2].starts_with("（回答里含有公司规定不能显示的内容，到这里为止。）"), "{texts:?}");
    app.settled().await;
    assert_eq!(hits(&app).await, [r#"{rule="word",direction="out",action="refuse"} 1"#]);
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE answer LIKE '%猎鹰%'"), 0);
}

#[tokio::test]
async fn what_is_masked_is_masked_in_both_directions_and_in_the_history() {
    let words = [("猎鹰", Action::Mask)];
    let app = App::start_with(|config| bans(config, &words, &[(r"代号\s*\d+", Action::Mask)])).await;
    app.model.set_script(|_| answer("猎\u{200b}鹰的代号 42 很好。"));
    app.say("zhangsan", "猎鹰好吗？").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["＊＊的＊＊＊＊ 很好。"]);
    app.settled().await;
    app.say("zhangsan", "再说一遍").await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    let sent = sent(&app);
    assert!(!sent.contains("猎鹰") && !sent.contains("42"), "{sent}");
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["＊＊好吗？", "再说一遍"]);
    assert_eq!(
        hits(&app).await,
        [
            r#"{rule="pattern",direction="out",action="mask"} 2"#,
            r#"{rule="word",direction="in",action="mask"} 1"#,
            r#"{rule="word",direction="out",action="mask"} 2"#,
        ]
    );
}

#[tokio::test]
async fn what_only_alerts_passes_and_operators_hear_how_often() {
    let app = App::start_with(|config| {
        bans(config, &[("猎鹰", Action::Alert)], &[]);
        config.alerts.operators = vec![MemberId::parse("boss").unwrap()];
    })
    .await;
    app.model.set_script(|_| answer("猎鹰很好，猎鹰。"));
    app.say("zhangsan", "猎鹰好吗？").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["猎鹰很好，猎鹰。"]);
    app.settled().await;
    app.advance_to_sleeper(14.0..=15.0).await;
    let told = app.texts("boss", 1).await.remove(0);
    assert!(told.contains("最近一小时有 3 处内容命中") && !told.contains("猎鹰"), "{told}");
    app.settled().await;
}

/// A moderation endpoint that flags what holds the word, or fails, and remembers what it was asked.
async fn moderation(flagged: &'static str, status: u16) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    let answer = move |body: String| async move {
        let input = serde_json::from_str::<serde_json::Value>(&body).unwrap()["input"].as_str().unwrap().to_owned();
        let is_flagged = input.contains(flagged);
        seen.lock().unwrap().push(input);
        let status = axum::http::StatusCode::from_u16(status).unwrap();
        (status, format!(r#"{{"results":[{{"flagged":{is_flagged}}}]}}"#))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    let router = axum::Router::new().route("/v1/moderations", axum::routing::post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, asked)
}

#[tokio::test]
async fn a_moderation_endpoint_is_asked_about_the_question_and_each_piece_of_the_answer() {
    let (url, asked) = moderation("坏", 200).await;
    let app = App::start_with(|config| {
        masks_everything(config);
        config.safety.moderation_url = Some(url);
    })
    .await;
    app.say("zhangsan", &format!("坏问题，打 {PHONE}")).await;
    assert!(app.texts("zhangsan", 1).await[0].contains("没有发送"));
    app.settled().await;
    assert!(app.model.requests().is_empty());
    app.model.push(answer("这是第一段，已经完整地写好了，打 ⟦手机1⟧。\n\n第二段是坏的，也很长很长。\n\n第三段。"));
    app.say("zhangsan", &format!("好问题，打 {PHONE}")).await;
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts[1], format!("这是第一段，已经完整地写好了，打 {PHONE}。"));
    assert!(texts[2].starts_with("（回答里含有公司规定不能显示的内容"), "{texts:?}");
    app.settled().await;
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked[0].trim(), "坏问题，打 ⟦手机1⟧");
    assert_eq!(asked[1].trim(), "好问题，打 ⟦手机1⟧");
    assert!(asked.iter().all(|text| !text.contains(PHONE)), "{asked:?}");
    let hits = hits(&app).await;
    assert!(hits.contains(&r#"{rule="moderation",direction="in",action="refuse"} 1"#.to_owned()), "{hits:?}");
    assert!(hits.contains(&r#"{rule="moderation",direction="out",action="refuse"} 1"#.to_owned()), "{hits:?}");
}

#[tokio::test]
async fn without_an_answer_of_the_moderation_endpoint_it_goes_as_it_is_set() {
    for (passes, expected) in [(true, "好"), (false, "抱歉，模型暂时没有回应。")] {
        let (url, _) = moderation("坏", 503).await;
        let app = App::start_with(|config| {
            config.safety.moderation_url = Some(url);
            config.safety.moderation_passes_unseen = passes;
        })
        .await;
        app.model.set_script(|_| answer("好"));
        app.say("zhangsan", "在吗").await;
        let said = app.texts("zhangsan", 1).await.remove(0);
        assert!(said.starts_with(expected), "{said}");
        app.settled().await;
        assert_eq!(app.model.requests().len(), usize::from(passes));
    }
}
