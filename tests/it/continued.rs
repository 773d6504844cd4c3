//! An answer that reaches the limit of its length: it goes on by itself, and is one.

use qimate::sandbox::model::{Gate, ModelReply};

use crate::harness::{App, within};

fn cut(text: &str) -> ModelReply {
    ModelReply::Ended { text: text.to_owned(), reason: "length".to_owned() }
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

#[tokio::test]
async fn a_sentence_that_was_cut_is_written_to_its_end_and_costs_what_both_calls_cost() {
    let app = App::start().await;
    app.model.push(cut("第一点：先把网线插"));
    app.model.push(cut("好，再打开电源，"));
    // The last words again, as some models do.
    app.model.push(answer("再打开电源，等绿灯亮起。"));
    app.say("zhangsan", "怎么装？").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["第一点：先把网线插好，再打开电源，等绿灯亮起。"]);
    app.settled().await;
    let requests = app.model.requests();
    let asked: Vec<_> = requests.iter().map(|request| request.contents("assistant")).collect();
    assert_eq!(asked, [vec![], vec!["第一点：先把网线插"], vec!["第一点：先把网线插好，再打开电源，"]]);
    for request in &requests[1..] {
        let users = request.contents("user");
        assert!(users.len() == 2 && users[0] == "怎么装？" && users[1].contains("接着写"), "{users:?}");
    }
    // Two characters a token, as the model counts.
    let of_requests: i64 =
        requests.iter().map(|request| request.body["messages"].to_string().chars().count().div_ceil(2) as i64).sum();
    assert_eq!(app.count("SELECT input_tokens FROM turn WHERE state = 'answered'"), of_requests);
    assert_eq!(app.count("SELECT output_tokens FROM turn"), 5 + 4 + 6);
    assert_eq!(app.count("SELECT estimated FROM turn"), 0);
    // To the next turn it is one answer.
    app.model.push(answer("好"));
    app.say("zhangsan", "谢谢").await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("assistant"), ["第一点：先把网线插好，再打开电源，等绿灯亮起。"]);
}

#[tokio::test]
async fn a_code_block_that_was_cut_is_not_opened_again_and_leaves_as_one() {
    let app = App::start().await;
    app.model.push(cut("看这段代码，它很短：\n\n```python\ndef area(r):\n    pi = 3.14\n    ret"));
    app.model.push(answer("```python\n    return pi * r * r\n```\n\n就是这样，运行一下看看。"));
    app.say("zhangsan", "写代码").await;
    app.settled().await;
    let all = app.texts("zhangsan", 1).await.join("\n");
    assert_eq!(all.matches("def area").count(), 1, "{all}");
    assert!(all.contains("    return pi * r * r"), "{all}");
    let stored: String = app.database().query_row("SELECT answer FROM turn", [], |row| row.get(0)).unwrap();
    assert_eq!(stored.matches("```").count(), 2, "{stored}");
    assert!(stored.contains("    pi = 3.14\n    return pi * r * r\n```\n"), "{stored}");
}

#[tokio::test]
async fn at_the_limit_the_member_is_told_as_before() {
    let app = App::start_with(|config| config.llm.max_continuations = 2).await;
    for part in ["一，", "二，", "三，"] {
        app.model.push(cut(part));
    }
    app.say("zhangsan", "数数").await;
    let texts = app.texts("zhangsan", 2).await;
    assert_eq!(texts[0], "一，二，三，");
    assert!(texts[1].contains("长度上限") && texts[1].contains("继续"), "{texts:?}");
    app.settled().await;
    assert_eq!(app.model.requests().len(), 3);
}

#[tokio::test]
async fn a_model_that_reaches_its_limit_without_a_word_is_not_asked_again() {
    let app = App::start().await;
    app.model.push(cut("<think>想了很久"));
    app.say("zhangsan", "想想").await;
    assert!(app.texts("zhangsan", 1).await[0].contains("长度上限"));
    app.settled().await;
    assert_eq!(app.model.requests().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_continued_ends_in_the_sentence_about_the_limit() {
    let app = App::start_with(|config| config.llm.max_retries = 0).await;
    app.model.push(cut("写到一半"));
    app.model.push(ModelReply::status(500, "{}"));
    app.say("zhangsan", "写").await;
    let texts = app.texts("zhangsan", 2).await;
    assert!(texts[0] == "写到一半" && texts[1].contains("长度上限"), "{texts:?}");
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND output_tokens = 2"), 1);
}

#[tokio::test]
async fn stop_stops_a_continuation_too() {
    let app = App::start().await;
    app.model.push(cut("这是第一段，已经完整地写好了。\n\n第二段写"));
    app.model.push(ModelReply::Hang);
    app.say("zhangsan", "讲讲").await;
    app.texts("zhangsan", 1).await;
    within(app.model.wait_load(|load| load.taken == 2)).await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 3).await[1..], ["第二段写", "好的，已停止。"]);
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped' AND output_tokens > 0"), 1);
}

#[tokio::test]
async fn a_crash_in_a_continuation_goes_on_behind_what_was_said() {
    let mut app = App::start().await;
    app.model.push(cut("这是第一段，已经完整地写好了。\n\n第二段写"));
    app.model.push(ModelReply::Held { before: "到".to_owned(), gate: Gate::new(), after: String::new() });
    app.say("zhangsan", "讲讲").await;
    app.texts("zhangsan", 1).await;
    within(app.model.wait_load(|load| load.taken == 2)).await;
    app.drop_everything().await;
    // What was said is said again at the seam, and shown once.
    app.model.push(answer("这是第一段，已经完整地写好了。\n\n第二段从头写完了。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await, ["这是第一段，已经完整地写好了。", "第二段从头写完了。"]);
    app.settled().await;
}
