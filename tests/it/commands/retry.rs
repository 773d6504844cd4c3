//! The last question asked again: its new answer takes the place of the one before.

use qimate::sandbox::model::{Gate, ModelReply};

use super::{app, ask, said};

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

#[tokio::test]
async fn the_new_answer_takes_the_place_of_the_one_before() {
    let mut app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhangsan", "/retry").await, "这次对话里还没有可以重问的问题。");
    for (question, reply) in [("一", "甲"), ("二", "乙"), ("/retry", "丙"), ("/重试", "丁")] {
        app.model.push(answer(reply));
        assert_eq!(ask(&app, "zhangsan", question).await, reply);
    }
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["一", "二"]);
    assert_eq!(last.contents("assistant"), ["甲"]);
    // What is read from the disk is the same.
    app.stop().await;
    app.launch().await;
    ask(&app, "zhangsan", "三").await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["一", "二", "三"]);
    assert_eq!(last.contents("assistant"), ["甲", "丁"]);
}

#[tokio::test]
async fn what_was_said_stays_where_the_second_try_fails_and_goes_with_the_third() {
    let app = app(|config| config.llm.max_retries = 0).await;
    app.model.push(answer("甲"));
    ask(&app, "zhangsan", "一").await;
    app.model.push(ModelReply::status(400, "{}"));
    assert!(ask(&app, "zhangsan", "/retry").await.contains("编号"));
    app.model.push(answer("乙"));
    ask(&app, "zhangsan", "二").await;
    assert_eq!(app.model.requests().pop().unwrap().contents("assistant"), ["甲"]);

    app.model.push(ModelReply::status(400, "{}"));
    ask(&app, "zhangsan", "/retry").await;
    app.model.push(answer("丙"));
    ask(&app, "zhangsan", "/retry").await;
    ask(&app, "zhangsan", "三").await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!((last.contents("user"), last.contents("assistant")), (vec!["一", "二", "三"], vec!["甲", "丙"]));
}

#[tokio::test]
async fn a_crash_in_the_middle_asks_the_same_question_again() {
    let mut app = app(|_| {}).await;
    app.model.push(answer("甲"));
    ask(&app, "zhangsan", "一").await;
    let before = "这是第一段，已经完整地写好了。\n\n第二段写到".to_owned();
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: String::new() });
    app.say("zhangsan", "/retry").await;
    app.texts("zhangsan", 2).await;
    app.drop_everything().await;
    app.model.push(answer("第二段写完了。"));
    app.launch().await;
    assert_eq!(said(&app, "zhangsan", 3).await, "第二段写完了。");
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user")[0], "一");
    assert!(!last.contents("assistant").contains(&"甲"), "{:?}", last.contents("assistant"));
    ask(&app, "zhangsan", "二").await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["一", "二"]);
}
