//! What the model is told beside the conversation: the day, and what the member asked to be remembered.

mod named;
mod summed_up;

use std::time::Duration;

use qimate::{clock::zone::Zone, config::chat::Language, sandbox::model::ModelReply};

use crate::harness::{App, within};

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

/// What the model was told first, in the newest request.
fn told(app: &App) -> String {
    app.model.requests().pop().unwrap().contents("system").concat()
}

/// Waits until a number in the database is as wanted.
async fn until(app: &App, sql: &str, wanted: i64) {
    let conn = app.database();
    within(async {
        while conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() != wanted {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
}

/// Asks, and waits until all is said and done.
async fn ask(app: &App, member: &str, question: &str) {
    let before = app.wecom.messages_for(member).len();
    app.model.push(answer("好的。"));
    app.say(member, question).await;
    app.texts(member, before + 1).await;
    app.settled().await;
}

#[tokio::test]
async fn the_model_is_told_the_day_of_the_time_zone_across_a_change_of_the_clocks() {
    let app = App::start_with(|config| {
        config.chat.time_zone = Zone::parse("America/New_York").unwrap();
        config.chat.language = Language::English;
        config.llm.system_prompt = "{date}, {weekday}, {time} in {time_zone}; {\"literal\": {braces}}".to_owned();
    })
    .await;
    ask(&app, "zhangsan", "What day is it?").await;
    assert_eq!(told(&app), "2026-09-21, Monday, 10:13 in America/New_York; {\"literal\": {braces}}");
    // Just before midnight of the night in which summer time ends, and 25 hours later, which is still that day.
    app.clock.advance(Duration::from_secs(1_793_505_599 - 1_790_000_000));
    ask(&app, "zhangsan", "And now?").await;
    assert!(told(&app).starts_with("2026-10-31, Saturday, 23:59"), "{}", told(&app));
    app.clock.advance(Duration::from_secs(25 * 3600));
    ask(&app, "zhangsan", "And now?").await;
    assert!(told(&app).starts_with("2026-11-01, Sunday, 23:59"), "{}", told(&app));
    app.clock.advance(Duration::from_secs(1));
    ask(&app, "zhangsan", "And now?").await;
    assert!(told(&app).starts_with("2026-11-02, Monday, 00:00"), "{}", told(&app));
}

#[tokio::test]
async fn what_a_member_asked_to_be_remembered_is_told_in_every_conversation_and_to_nobody_else() {
    let mut app = App::start().await;
    app.stop().await;
    let sql = "INSERT INTO fact (lane, text, at) VALUES ('ww1436e0e65a779aee/1000002/zhangsan', ?1, 0)";
    for fact in ["住在上海", "叫我小王"] {
        app.database().execute(sql, [fact]).unwrap();
    }
    app.launch().await;
    for question in ["第一个问题", "第二个问题"] {
        ask(&app, "zhangsan", question).await;
        let told = told(&app);
        let instructions = told.find("AI 同事").unwrap();
        assert!(told.find("用户请你记住的事").unwrap() > instructions, "{told}");
        assert!(told.ends_with("- 住在上海\n- 叫我小王"), "{told}");
    }
    app.say("zhangsan", "/new").await;
    app.settled().await;
    ask(&app, "zhangsan", "新的问题").await;
    assert!(told(&app).contains("叫我小王"), "facts outlive conversations");
    ask(&app, "lisi", "我是谁").await;
    assert!(!told(&app).contains("记住"), "{}", told(&app));
}
