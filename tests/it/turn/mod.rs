//! From a member's message to what they are told.

mod model;
mod unfinished;

use std::time::Duration;

use qimate::{
    config::chat::Language,
    sandbox::model::{Gate, ModelReply},
};

use crate::harness::{App, Logs, within};

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

/// A model that answers every question with itself.
fn echo(body: &serde_json::Value) -> ModelReply {
    let question = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    ModelReply::Answer(format!("答：{question}"))
}

#[tokio::test]
async fn a_message_is_answered() {
    let app = App::start().await;
    app.model.push(answer("**你好**，张三！"));
    app.say("zhangsan", "你好").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["你好，张三！"]);
    app.settled().await;
    let row = "SELECT COUNT(*) FROM turn WHERE state = 'answered' AND input_tokens > 0 AND output_tokens > 0";
    assert_eq!(app.count(&format!("{row} AND estimated = 0")), 1);
    let request = &app.model.requests()[0].body;
    assert_eq!(request["stream"], true);
    assert_eq!(request["stream_options"]["include_usage"], true);
}

#[tokio::test]
async fn a_callback_repeated_three_times_is_answered_once_even_across_a_restart() {
    let mut app = App::start().await;
    app.model.set_script(echo);
    let at = qimate::clock::Timestamp::from_secs(1_790_000_000);
    for _ in 0..3 {
        assert!(app.wecom.say_with("zhangsan", "一次", 42, at).await.accepted());
    }
    app.texts("zhangsan", 1).await;
    app.stop().await;
    app.launch().await;
    assert!(app.wecom.say_with("zhangsan", "一次", 42, at).await.accepted());
    // The same id from another member is another message.
    assert!(app.wecom.say_with("lisi", "另一次", 42, at).await.accepted());
    app.texts("lisi", 1).await;
    app.settled().await;
    assert_eq!(app.texts("zhangsan", 1).await, ["答：一次"]);
    assert_eq!(app.model.requests().len(), 2);
}

#[tokio::test]
async fn two_events_of_one_second_are_two_and_a_repeated_one_is_one() {
    let app = App::start().await;
    for _ in 0..2 {
        assert!(app.wecom.event("zhangsan", "enter_agent").await.accepted());
        assert!(app.wecom.event("zhangsan", "unsubscribe").await.accepted());
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox"), 2);
}

#[tokio::test]
async fn one_members_messages_are_answered_in_order_one_at_a_time() {
    let app = App::start().await;
    app.model.set_script(echo);
    for n in 0..12 {
        app.say("zhangsan", &format!("第{n}条")).await;
    }
    app.settled().await;
    let answers: Vec<_> = app.texts("zhangsan", 12).await.into_iter().filter(|text| text.starts_with('答')).collect();
    let expected: Vec<_> = (0..12).map(|n| format!("答：第{n}条")).collect();
    assert_eq!(answers, expected);
    assert_eq!(app.model.load().most_in_flight, 1);
}

#[tokio::test]
async fn a_flood_by_one_member_delays_nobody_and_the_flooder_is_told() {
    let app = App::start_with(|config| config.chat.max_concurrent_turns = 2).await;
    let gate = Gate::new();
    let held = gate.clone();
    app.model.set_script(move |body| {
        let question = body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
        let text = format!("答：{question}");
        if question.starts_with("刷屏") {
            ModelReply::Held { before: String::new(), gate: held.clone(), after: text }
        } else {
            ModelReply::Answer(text)
        }
    });
    for n in 0..30 {
        app.say("flooder", &format!("刷屏{n}")).await;
    }
    for member in ["a", "b", "c"] {
        app.say(member, "有人吗").await;
        assert_eq!(app.texts(member, 1).await, ["答：有人吗"]);
    }
    assert_eq!(app.texts("flooder", 1).await, ["消息都收到了。这一条前面还有 5 条，我会按顺序逐条回答。"]);
    gate.open();
    // Beyond 28 messages a minute the flooder's answers are merged and paced.
    // Asked at once: a turn that ends between two looks moves from the one to the other.
    let owed = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                     + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')";
    while app.count(owed) > 0 {
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        app.clock.advance(Duration::from_millis(100));
    }
    let all = app.texts("flooder", 1).await.join("\n");
    for n in 0..30 {
        assert_eq!(
            all.matches(&format!("答：刷屏{n}\n")).count() + usize::from(all.ends_with(&format!("答：刷屏{n}"))),
            1,
            "{n}"
        );
    }
    assert_eq!(app.wecom.counters().over_rate, 0);
}

#[tokio::test]
async fn members_are_answered_side_by_side_up_to_the_configured_number() {
    let app = App::start_with(|config| config.chat.max_concurrent_turns = 7).await;
    let gate = Gate::new();
    let held = gate.clone();
    app.model.set_script(move |_| ModelReply::Held {
        before: String::new(),
        gate: held.clone(),
        after: "好".to_owned(),
    });
    for n in 0..20 {
        app.say(&format!("member{n}"), "在吗").await;
    }
    within(app.model.wait_load(|load| load.in_flight == 7)).await;
    gate.open();
    for n in 0..20 {
        assert_eq!(app.texts(&format!("member{n}"), 1).await, ["好"]);
    }
    assert_eq!(app.model.load().most_in_flight, 7);
}

#[tokio::test]
async fn members_who_wait_for_a_free_worker_are_told() {
    let app = App::start_with(|config| config.chat.max_concurrent_turns = 1).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "一".to_owned() });
    app.model.push(answer("二"));
    app.say("zhangsan", "慢").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.say("lisi", "我呢").await;
    app.clock.advance(Duration::from_secs(20));
    assert_eq!(app.texts("lisi", 1).await, ["收到，正在处理，请稍等。"]);
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "一");
    assert_eq!(app.texts("lisi", 2).await[1], "二");
    app.settled().await;
}

#[tokio::test]
async fn the_conversation_goes_on_and_is_each_members_own() {
    let mut app = App::start().await;
    app.model.set_script(echo);
    app.say("zhangsan", "我叫张三").await;
    app.texts("zhangsan", 1).await;
    app.say("lisi", "我叫李四").await;
    app.texts("lisi", 1).await;
    app.settled().await;
    // Also across a restart, and whatever the case of the id.
    app.stop().await;
    app.launch().await;
    app.say("ZhangSan", "我叫什么？").await;
    app.texts("zhangsan", 2).await;
    let requests = app.model.requests();
    let last = requests.last().unwrap();
    assert_eq!(last.contents("user"), ["我叫张三", "我叫什么？"]);
    assert_eq!(last.contents("assistant"), ["答：我叫张三"]);
    assert_eq!(last.contents("system").len(), 1);
    app.settled().await;
}

#[tokio::test]
async fn a_new_conversation_begins_by_command_and_after_a_rest() {
    let app = App::start().await;
    app.model.set_script(echo);
    let mut answers = 0;
    for new in ["/new", "#清除记忆", "新对话"] {
        app.say("zhangsan", "秘密").await;
        app.say("zhangsan", new).await;
        app.say("zhangsan", "之前说了什么？").await;
        answers += 3;
        let texts = app.texts("zhangsan", answers).await;
        assert_eq!(texts[answers - 2], "好的，已开始新对话，之前的内容不再参考。");
        assert_eq!(app.model.requests().last().unwrap().contents("user"), ["之前说了什么？"], "{new}");
        app.settled().await;
        app.clock.advance(Duration::from_secs(60));
    }
    app.clock.advance(Duration::from_secs(59 * 60));
    app.say("zhangsan", "还在吗").await;
    app.texts("zhangsan", answers + 1).await;
    app.settled().await;
    assert_eq!(app.model.requests().last().unwrap().contents("user").len(), 1, "an hour's rest ends it");
    app.clock.advance(Duration::from_secs(59 * 60));
    app.say("zhangsan", "继续").await;
    app.texts("zhangsan", answers + 2).await;
    app.settled().await;
    assert_eq!(app.model.requests().last().unwrap().contents("user"), ["还在吗", "继续"]);
}

#[tokio::test]
async fn a_long_conversation_is_shown_to_the_model_as_far_as_it_fits() {
    let app = App::start_with(|config| {
        config.chat.context_tokens = 400;
        config.chat.summary = false;
        config.llm.system_prompt = "简短回答。".to_owned();
    })
    .await;
    app.model.set_script(echo);
    for n in 0..8 {
        app.say("zhangsan", &format!("{n}{}", "问".repeat(50))).await;
        app.texts("zhangsan", n + 1).await;
    }
    app.settled().await;
    let requests = app.model.requests();
    let last = requests.last().unwrap();
    let questions = last.contents("user");
    assert!(questions.len() > 1 && questions.len() < 8, "{} questions", questions.len());
    assert_eq!(questions.len(), last.contents("assistant").len() + 1, "whole exchanges");
    assert!(questions.last().unwrap().starts_with('7') && questions[questions.len() - 2].starts_with('6'));
    assert_eq!(last.contents("system"), ["简短回答。"]);
}

#[tokio::test]
async fn help_helps_and_a_slash_that_is_no_command_is_a_message() {
    let app = App::start().await;
    app.model.set_script(echo);
    app.say("zhangsan", "/help").await;
    app.say("zhangsan", "/etc/passwd 是什么").await;
    let texts = app.texts("zhangsan", 2).await;
    assert!(texts[0].contains("/new") && texts[0].contains("/stop") && texts[0].contains("/help"), "{}", texts[0]);
    assert_eq!(texts[1], "答：/etc/passwd 是什么");
    app.settled().await;
}

#[tokio::test]
async fn other_kinds_of_messages_get_a_kind_sentence() {
    let app = App::start().await;
    for (n, (kind, fields)) in [
        ("image", "<PicUrl>http://x</PicUrl><MediaId>m</MediaId>"),
        ("voice", "<MediaId>m</MediaId><Format>amr</Format>"),
        ("video", "<MediaId>m</MediaId><ThumbMediaId>t</ThumbMediaId>"),
    ]
    .into_iter()
    .enumerate()
    {
        let xml = format!(
            "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
             <CreateTime>1790000000</CreateTime><MsgType>{kind}</MsgType>{fields}<MsgId>{n}</MsgId>\
             <AgentID>1000002</AgentID></xml>"
        );
        assert!(app.wecom.raw("zhangsan", &xml).await.accepted());
    }
    let texts = app.texts("zhangsan", 3).await;
    assert!(
        texts[0].starts_with("现在用的模型看不了图片") && texts[1].starts_with("语音") && texts[2].starts_with("视频"),
        "{texts:?}"
    );
    app.settled().await;
    assert!(app.model.requests().is_empty());
}

#[tokio::test]
async fn a_member_is_welcomed_at_most_once_a_day() {
    let app = App::start_with(|config| config.chat.welcome = Some("欢迎！".to_owned())).await;
    let enter = async |wait: u64| {
        app.clock.advance(Duration::from_secs(wait));
        assert!(app.wecom.event("zhangsan", "enter_agent").await.accepted());
        app.settled().await;
    };
    enter(1).await;
    enter(3600).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["欢迎！"]);
    enter(24 * 3600).await;
    let welcomes = app.texts("zhangsan", 2).await;
    assert_eq!(welcomes.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_flood_of_questions_leaves_no_hole_in_any_conversation() {
    let app = App::start().await;
    app.model.set_script(echo);
    for n in 0..10 {
        for member in 0..30 {
            app.say(&format!("m{member}"), &format!("q{n}")).await;
        }
    }
    while app.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") > 0 {
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
    for request in app.model.requests() {
        let questions = request.contents("user");
        let expected: Vec<_> = (0..questions.len()).map(|n| format!("q{n}")).collect();
        assert_eq!(questions, expected);
    }
    let mut app = app;
    app.drop_everything().await;
}

#[tokio::test]
async fn what_is_old_is_deleted_and_what_is_owed_is_not() {
    let mut app = App::start().await;
    app.model.set_script(echo);
    app.say("zhangsan", "旧的").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, 60111));
    app.say("lisi", "给不到的").await;
    app.settled().await;
    app.stop().await;
    app.clock.advance(Duration::from_secs(31 * 24 * 3600));
    app.launch().await;
    app.say("zhangsan", "新的").await;
    app.settled().await;
    let left = "SELECT (SELECT COUNT(*) FROM inbox) * 100 + (SELECT COUNT(*) FROM outbox) * 10 + COUNT(*) FROM turn";
    within(async {
        // The new message, its answer and its turn; and the dead letter, which only an administrator deletes.
        while app.count(left) != 121 {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    assert_eq!(app.texts("zhangsan", 2).await[1], "答：新的");
}

#[tokio::test]
async fn a_long_answer_is_a_handful_of_whole_messages() {
    let app = App::start().await;
    let paragraph =
        |n| format!("这是第{n}个不长不短的段落，它有几句话。每句话都完整。读起来应当顺畅，不会断在半句上。");
    let text = (0..75).map(paragraph).collect::<Vec<_>>().join("\n\n");
    app.model.push(answer(&text));
    app.say("zhangsan", "写长一点").await;
    app.settled().await;
    let texts = app.texts("zhangsan", 1).await;
    assert!((4..=9).contains(&texts.len()), "{} messages", texts.len());
    assert!(texts.iter().all(|text| text.len() <= 2048 && text.starts_with("这是") && text.ends_with("半句上。")));
    assert_eq!(texts.join("\n\n"), text);
    assert_eq!(app.wecom.counters().cut, 0);
}

#[tokio::test]
async fn the_bot_speaks_english_where_that_is_chosen() {
    let app = App::start_with(|config| config.chat.language = Language::English).await;
    app.say("zhangsan", "/new").await;
    assert!(app.texts("zhangsan", 1).await[0].starts_with("A new conversation has begun"));
    app.settled().await;
}

#[tokio::test]
async fn no_text_of_a_member_or_a_model_is_in_the_log() {
    let logs = Logs::capture();
    let app = App::start().await;
    app.model.push(answer("模型说的机密内容"));
    app.say("zhangsan", "员工说的机密内容").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    let ours: Vec<_> = logs.with(&["机密内容"]).into_iter().filter(|line| line.contains("qimate")).collect();
    assert!(ours.is_empty(), "{ours:?}");
    assert!(!logs.with(&["answered zhangsan"]).is_empty());
    // Whatever a library says at trace: no secret is in it, not even the one that WeCom wants in a URL.
    let secrets = app.wecom.settings();
    for secret in [&secrets.secret, &secrets.callback_token, &secrets.encoding_aes_key] {
        let lines = logs.with(&[secret.expose()]);
        assert!(lines.is_empty(), "{lines:?}");
    }
    let lines = logs.with(&["access_token="]);
    assert!(lines.is_empty(), "{lines:?}");
}
