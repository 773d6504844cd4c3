use std::error::Error as StdError;

use futures_util::StreamExt;
use serde_json::json;

use super::{
    answer::{self, answer},
    *,
};
use crate::net;

type Result<T = ()> = std::result::Result<T, Box<dyn StdError>>;

async fn model() -> Result<(DemoModel, reqwest::Client)> {
    net::install_crypto();
    Ok((DemoModel::start(Clock::System).await?, net::http_client(None, Duration::from_secs(5))?))
}

/// The JSON of every `data:` line, and whether the stream ended with `[DONE]` and without an error.
async fn stream(model: &DemoModel, http: &reqwest::Client, body: Value) -> Result<(Vec<Value>, bool)> {
    let response = http.post(format!("{}/chat/completions", model.base_url())).json(&body).send().await?;
    let (mut text, mut whole, mut pieces) = (String::new(), true, response.bytes_stream());
    while let Some(piece) = pieces.next().await {
        match piece {
            Ok(piece) => text.push_str(std::str::from_utf8(&piece)?),
            Err(_) => whole = false,
        }
    }
    let done = whole && text.ends_with("data: [DONE]\n\n");
    let chunks = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    Ok((chunks.map(serde_json::from_str).collect::<std::result::Result<_, _>>()?, done))
}

fn written(chunks: &[Value]) -> String {
    chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect()
}

fn asking(messages: &Value) -> Value {
    json!({"model": "m", "stream": true, "stream_options": {"include_usage": true}, "messages": messages})
}

#[tokio::test]
async fn a_stream_has_the_shape_that_clients_know() -> Result {
    let (model, http) = model().await?;
    let body = asking(&json!([{"role": "user", "content": "Hi there"}]));
    let (chunks, done) = stream(&model, &http, body.clone()).await?;
    assert!(done);
    assert_eq!(chunks[0]["choices"][0]["delta"], json!({"role": "assistant", "content": ""}));
    assert_eq!(written(&chunks), answer(&body));
    let [.., finish, usage] = chunks.as_slice() else { return Err("too few chunks".into()) };
    assert_eq!(finish["choices"][0], json!({"index": 0, "delta": {}, "finish_reason": "stop"}));
    assert_eq!(usage["choices"], json!([]));
    assert!(usage["usage"]["completion_tokens"].as_u64() > Some(0));
    assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk" && chunk["id"] == chunks[0]["id"]));

    let url = format!("{}/chat/completions", model.base_url());
    let plain = json!({"model": "m", "messages": [{"role": "user", "content": "Hi there"}]});
    let whole: Value = http.post(url).json(&plain).send().await?.json().await?;
    assert_eq!(whole["choices"][0]["message"]["content"], answer(&body));
    assert_eq!(model.load(), Load { in_flight: 0, most_in_flight: 1, taken: 2, abandoned: 0 });
    Ok(())
}

#[test]
fn an_answer_is_in_the_questions_language_and_remembers() {
    let first = answer(&asking(&json!([{"role": "user", "content": "Where am I?"}])));
    assert!(first.contains("no real AI") && first.contains("11 characters") && first.contains("turn 1"), "{first}");
    let second = answer(&asking(&json!([
        {"role": "user", "content": "Where am I?"}, {"role": "assistant", "content": first},
        {"role": "user", "content": "你好吗"},
    ])));
    assert!(
        second.contains("不是真正的人工智能") && second.contains("第 2 轮") && second.contains("Where am I?"),
        "{second}"
    );
}

#[test]
fn a_smile_is_answered_in_the_language_of_what_was_said_before() {
    let asked = |texts: &[&str]| {
        let messages: Vec<_> = texts.iter().map(|text| json!({"role": "user", "content": text})).collect();
        answer(&asking(&json!(messages)))
    };
    assert!(asked(&["👍"]).contains("演示模型"));
    assert!(asked(&["你好", "👍"]).contains("演示模型"));
    let english = asked(&["Hello", "!"]);
    assert!(english.contains("demo model") && english.contains("1 character."), "{english}");
}

#[test]
fn a_picture_without_words_is_not_quoted() {
    let url = format!("data:image/png;base64,{}", "A".repeat(40));
    let shown = |text: &str| json!([{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": url}}]);
    let alone = json!({"role": "user", "content": shown("（用户只发来了图片，没有附文字。）")});
    let first = answer(&asking(&json!([alone])));
    assert!(first.contains("1 张图片") && !first.contains("用户只发来"), "{first}");
    let asked = json!({"role": "user", "content": shown("左边是什么")});
    assert!(answer(&asking(&json!([asked]))).contains("和您的话“左边是什么”在同一轮里"));
    let blank = json!([{"role": "user", "content": "先说的"}, {"role": "user", "content": ""}, {"role": "user", "content": "再说的"}]);
    assert!(answer(&asking(&blank)).contains("上一轮您说的是“先说的”"));
}

#[test]
fn a_picture_counts_for_what_it_is_and_not_for_how_it_is_sent() {
    let url = format!("data:image/png;base64,{}", "A".repeat(400_000));
    let shown = json!([{"role": "user", "content": [{"type": "text", "text": "?"}, {"type": "image_url", "image_url": {"url": url}}]}]);
    let size = answer::size_of_prompt(&shown);
    assert!((1000..3000).contains(&size), "{size}");
}

#[tokio::test]
async fn it_fails_in_each_way_as_long_as_it_is_told_to() -> Result {
    let (model, http) = model().await?;
    let base = model.base_url();
    let calls = [
        ("chat/completions", asking(&json!([{"role": "user", "content": "x"}]))),
        ("images/generations", json!({"prompt": "x"})),
        ("audio/speech", json!({"input": "x"})),
        ("audio/transcriptions", json!({})),
    ];
    for (failure, status) in [(Failure::Error, 500), (Failure::Busy, 429), (Failure::WrongKey, 401)] {
        model.set_failure(failure, true);
        for (path, body) in &calls {
            assert_eq!(http.post(format!("{base}/{path}")).json(body).send().await?.status(), status, "{path}");
        }
    }
    model.set_failure(Failure::Error, false);
    assert_eq!(model.trouble(), (false, Some(Failure::WrongKey)), "another switch changes nothing");
    model.set_failure(Failure::WrongKey, false);
    for (path, body) in &calls {
        assert_eq!(http.post(format!("{base}/{path}")).json(body).send().await?.status(), 200, "{path}");
    }
    Ok(())
}

#[test]
fn every_answer_ends_in_known_words() {
    for question in ["你好", "写一首长诗", "一张长表格", "一段长代码", "hello", "a long poem", "a table", "code"]
    {
        let answer = answer(&asking(&json!([{"role": "user", "content": question}])));
        let (_, last) = answer.rsplit_once("\n\n").expect("paragraphs");
        assert_eq!(answer::ENDINGS.iter().map(|ending| last.matches(ending).count()).sum::<usize>(), 1, "{last}");
    }
}

#[test]
fn asked_to_go_on_it_writes_only_the_rest() {
    let question = json!({"role": "user", "content": "写一首长诗"});
    let whole = answer(&asking(&json!([question])));
    let begun = &whole[..whole.floor_char_boundary(whole.len() / 2)];
    let go_on = |begun: &str, words: &str| {
        let begun = json!({"role": "assistant", "content": begun});
        answer(&asking(&json!([question, begun, {"role": "user", "content": words}])))
    };
    assert_eq!(format!("{begun}{}", go_on(begun, "Continue exactly where you stopped.")), whole);
    assert_eq!(format!("{begun}{}", go_on(begun, "请从中断处继续")), whole);
    assert!(go_on(begun, "谢谢").contains("第 2 轮"), "a new question after a stopped answer");
    assert!(go_on(&whole, "继续").contains("第 2 轮"), "nothing is missing");
    assert!(go_on("something else", "继续").contains("第 2 轮"), "not its answer");
}

#[tokio::test]
async fn scripted_replies_come_in_order_and_misbehave_as_told() -> Result {
    let (model, http) = model().await?;
    let body = asking(&json!([{"role": "user", "content": "x"}]));
    model.set_script(|_| ModelReply::NoUsage("from the script".to_owned()));
    model.push(ModelReply::CutAfter("half an".to_owned()));
    model.push(ModelReply::Reasoning { think: "hm".to_owned(), text: "yes".to_owned() });

    let (chunks, done) = stream(&model, &http, body.clone()).await?;
    assert_eq!((written(&chunks).as_str(), done), ("half an", false));
    let (chunks, done) = stream(&model, &http, body.clone()).await?;
    assert!(chunks.iter().any(|chunk| chunk["choices"][0]["delta"]["reasoning_content"] == "hm"));
    assert_eq!((written(&chunks).as_str(), done), ("yes", true));
    let (chunks, _) = stream(&model, &http, body.clone()).await?;
    assert_eq!(written(&chunks), "from the script");
    assert!(chunks.iter().all(|chunk| chunk["usage"].is_null()));
    assert_eq!(model.requests()[2].contents("user"), ["x"]);

    model.push(ModelReply::status(429, "slow down"));
    let url = format!("{}/chat/completions", model.base_url());
    assert_eq!(http.post(&url).json(&body).send().await?.status(), 429);
    model.push(ModelReply::Garbage);
    assert!(stream(&model, &http, body).await.is_err());
    Ok(())
}

#[tokio::test]
async fn held_replies_wait_together_and_readers_may_go_away() -> Result {
    let (model, http) = model().await?;
    let gate = Gate::new();
    let (held, at) = (gate.clone(), format!("{}/chat/completions", model.base_url()));
    model.set_script(move |_| ModelReply::Held { before: "a ".to_owned(), gate: held.clone(), after: "b".to_owned() });
    let ask = || http.post(&at).json(&asking(&json!([{"role": "user", "content": "x"}]))).send();
    let (first, second) = (ask().await?, ask().await?);
    assert_eq!(model.load().in_flight, 2);
    drop(first);
    assert_eq!(model.wait_load(|load| load.in_flight == 1).await.abandoned, 1);
    gate.open();
    assert!(second.text().await?.contains("\"b\""));
    assert_eq!(model.wait_load(|load| load.in_flight == 0).await.most_in_flight, 2);
    Ok(())
}
