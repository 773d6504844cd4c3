//! Answers while they are written: in parts, stopped, and cut off by a crash.

use qimate::sandbox::model::{Gate, ModelReply};

use super::answer;
use crate::harness::{App, Logs, within};

#[tokio::test]
async fn stop_stops_the_answer_that_is_being_written() {
    let app = App::start().await;
    let gate = Gate::new();
    let before = "第一段已经写完了，内容足够长。\n\n第二段写到一".to_owned();
    app.model.push(ModelReply::Held { before, gate: gate.clone(), after: "半就不写了。".to_owned() });
    app.say("zhangsan", "写一篇长文").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["第一段已经写完了，内容足够长。"]);
    app.say("zhangsan", "/stop").await;
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts[1..], ["第二段写到一", "好的，已停止。"]);
    within(app.model.wait_load(|load| load.abandoned == 1)).await;
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped'"), 1);
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 4).await[3], "现在没有正在写的回答。");
    gate.open();
    app.settled().await;
}

#[tokio::test]
async fn a_stop_that_was_saved_before_a_crash_still_stops() {
    let mut app = App::start().await;
    app.model.push(ModelReply::Hang);
    app.say("zhangsan", "写一篇长文").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.drop_everything().await;
    // The stop came in while nobody was at work.
    app.launch().await;
    app.model.push(ModelReply::Hang);
    within(app.model.wait_load(|load| load.taken == 2)).await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["好的，已停止。"]);
    app.settled().await;
}

#[tokio::test]
async fn the_first_paragraph_arrives_while_the_model_still_writes() {
    let app = App::start().await;
    let gate = Gate::new();
    let before = "这是第一段，已经完整地写好了。\n\n第二段".to_owned();
    app.model.push(ModelReply::Held { before, gate: gate.clone(), after: "在后面。".to_owned() });
    app.say("zhangsan", "讲讲").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["这是第一段，已经完整地写好了。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "第二段在后面。");
    app.settled().await;
}

#[tokio::test]
async fn an_answer_that_a_crash_cut_off_goes_on_where_it_stopped() {
    let mut app = App::start().await;
    let before = "这是第一段，已经完整地写好了。\n\n第二段写到".to_owned();
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: String::new() });
    app.say("zhangsan", "讲讲").await;
    app.texts("zhangsan", 1).await;
    app.drop_everything().await;

    app.model.push(answer("第二段从头写完了。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await, ["这是第一段，已经完整地写好了。", "第二段从头写完了。"]);
    app.settled().await;
    let requests = app.model.requests();
    let again = requests.last().unwrap();
    assert_eq!(again.contents("assistant"), ["这是第一段，已经完整地写好了。\n\n"], "what the member has, and no more");
    assert_eq!(again.contents("user")[0], "讲讲");
    // To the member and to the next turn it is one answer.
    app.model.push(answer("好"));
    app.say("zhangsan", "继续").await;
    app.texts("zhangsan", 3).await;
    app.settled().await;
    let requests = app.model.requests();
    let next = requests.last().unwrap();
    assert_eq!(next.contents("assistant"), ["这是第一段，已经完整地写好了。\n\n第二段从头写完了。"]);
}

#[tokio::test]
async fn a_message_that_breaks_every_worker_ends_in_an_honest_sentence_behind_what_was_said() {
    let logs = Logs::capture();
    let mut app = App::start().await;
    let before = "这是第一段，已经完整地写好了。\n\n第二段写到".to_owned();
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: String::new() });
    app.say("zhangsan", "讲讲").await;
    app.texts("zhangsan", 1).await;
    app.drop_everything().await;
    // As if the process had died of it fifty times.
    app.database().execute("UPDATE inbox SET claims = 50", []).unwrap();
    app.launch().await;
    let texts = app.texts("zhangsan", 2).await;
    assert!(texts[1].contains("没能回答"), "{texts:?}");
    let reference = texts[1].rsplit(' ').next().unwrap();
    assert_eq!(
        logs.with(&["gave up a message after 50 attempts", reference]).len(),
        1,
        "{reference}: {:?}",
        logs.with(&["gave up"])
    );
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'failed'"), 1);
}

#[tokio::test]
async fn an_answer_that_a_crash_cut_off_before_its_first_part_is_written_anew() {
    let mut app = App::start().await;
    app.model.push(ModelReply::Stall("还没写完第一段".to_owned()));
    app.say("zhangsan", "讲讲").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.drop_everything().await;
    app.model.push(answer("重新写好了。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 1).await, ["重新写好了。"]);
    app.settled().await;
}

#[tokio::test]
async fn progressive_sending_can_be_switched_off() {
    let app = App::start_with(|config| config.chat.progressive = false).await;
    app.model.push(answer("这是第一段，已经完整地写好了。\n\n第二段在后面。"));
    app.say("zhangsan", "讲讲").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["这是第一段，已经完整地写好了。\n\n第二段在后面。"]);
    app.settled().await;
}
