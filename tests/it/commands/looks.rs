//! What members look at: usage, history, the whole conversation, what is remembered.

use qimate::sandbox::model::ModelReply;

use super::{app, ask};

#[tokio::test]
async fn usage_is_counted_for_the_conversation_the_day_and_the_month() {
    let app = app(|_| {}).await;
    assert!(ask(&app, "zhangsan", "/usage").await.contains("今天：0 个问题，输入 0 token，输出 0 token"));
    for _ in 0..2 {
        ask(&app, "zhangsan", "喂").await;
    }
    ask(&app, "zhangsan", "/new").await;
    ask(&app, "zhangsan", "喂").await;
    ask(&app, "lisi", "喂").await;
    let (input, output): (i64, i64) = app
        .database()
        .query_row(
            "SELECT SUM(input_tokens), SUM(output_tokens) FROM turn t JOIN conversation c ON c.id = t.conversation
             WHERE c.lane LIKE '%/zhangsan'",
            [],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .unwrap();
    let usage = ask(&app, "zhangsan", "/用量").await;
    let lines: Vec<_> = usage.lines().collect();
    assert!(lines[1].starts_with("本次对话：1 个问题，"), "{usage}");
    assert_eq!(lines[2], format!("今天：3 个问题，输入 {input} token，输出 {output} token"));
    assert_eq!(lines[3], format!("本月：3 个问题，输入 {input} token，输出 {output} token"));

    // It is 22:13 in Beijing; two hours later it is another day, of the same month.
    app.clock.advance(std::time::Duration::from_secs(2 * 3600));
    let usage = ask(&app, "zhangsan", "/usage").await;
    assert!(usage.contains("今天：0 个问题") && usage.contains("本月：3 个问题"), "{usage}");
}

#[tokio::test]
async fn the_history_shows_the_last_questions_short_and_as_they_were_written() {
    let app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhangsan", "/history").await, "还没有问过问题。");
    ask(&app, "zhangsan", "*第一个*\n问题").await;
    ask(&app, "zhangsan", "/new").await;
    ask(&app, "zhangsan", &"长".repeat(60)).await;
    let history = ask(&app, "zhangsan", "/历史").await;
    let long = format!("2026-09-21 22:13 {}…", "长".repeat(40));
    assert_eq!(history, format!("最近问过：\n{long}\n2026-09-21 22:13 *第一个* 问题"));
    for number in 0..12 {
        ask(&app, "zhangsan", &format!("问{number}")).await;
    }
    let history = ask(&app, "zhangsan", "/history").await;
    assert_eq!(history.lines().count(), 11);
    assert!(history.ends_with("问2"), "{history}");
}

#[tokio::test]
async fn what_is_remembered_is_listed_used_and_forgotten() {
    let app = app(|_| {}).await;
    assert!(ask(&app, "zhangsan", "/memory").await.starts_with("我还没有记住什么。"));
    assert!(ask(&app, "zhangsan", "/remember").await.contains("/remember 内容"));
    assert!(ask(&app, "zhangsan", "/remember 我在_上海_办公").await.starts_with("好的，我记住了。"));
    assert!(ask(&app, "zhangsan", "/记住 我在_上海_办公").await.contains("是第 1 件"));
    ask(&app, "zhangsan", "/remember 我叫小王").await;
    let list = ask(&app, "zhangsan", "/memory").await;
    assert!(list.starts_with("我记住的事：\n1. 我在_上海_办公\n2. 我叫小王\n"), "{list}");
    assert_eq!(ask(&app, "zhangsan", "/forget 3").await, "没有这一件。发 /memory 查看我记住的事。");
    assert_eq!(ask(&app, "zhangsan", "/forget 1").await, "好的，已忘掉 1 件事。");
    assert!(ask(&app, "zhangsan", "/memory").await.starts_with("我记住的事：\n1. 我叫小王\n"));
    ask(&app, "zhangsan", "/remember 二").await;
    assert_eq!(ask(&app, "zhangsan", "/forget 全部").await, "好的，已忘掉 2 件事。");
    assert!(app.model.requests().is_empty(), "no model is asked for any of it");
}

#[tokio::test]
async fn the_conversation_is_exported_with_its_markdown() {
    let app = app(|_| {}).await;
    assert_eq!(ask(&app, "zhangsan", "/export").await, "这次对话里还没有内容可以导出。");
    app.model.push(ModelReply::Answer("**九点**。".to_owned()));
    ask(&app, "zhangsan", "几点开会？").await;
    app.say("zhangsan", "/导出").await;
    let texts = app.texts("zhangsan", 4).await;
    app.settled().await;
    assert_eq!(texts[2], "这是本次对话的全部内容，在下面的文件里。");
    let sent = app.wecom.messages_for("zhangsan").pop().unwrap();
    assert_eq!(sent.msgtype, "file");
    let file = app.wecom.uploaded(&sent.content).unwrap();
    assert_eq!(file.name, "对话 2026-09-21.md");
    let text = String::from_utf8(file.bytes.to_vec()).unwrap();
    assert!(text.contains("几点开会？\n") && text.contains("**九点**。"), "{text}");
}
