//! From a member's message to what they are told.

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
    while app.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' OR state = 'open'") > 0
        || app.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'") > 0
    {
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
async fn other_kinds_of_messages_get_a_kind_sentence() {
    let app = App::start().await;
    for (n, (kind, fields)) in [
        ("image", "<PicUrl>http://x</PicUrl><MediaId>m</MediaId>"),
        ("voice", "<MediaId>m</MediaId><Format>amr</Format>"),
        ("location", "<Location_X>1</Location_X><Location_Y>2</Location_Y><Scale>1</Scale><Label>家</Label>"),
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
        texts[0].starts_with("图片我还看不懂") && texts[1].starts_with("语音") && texts[2].starts_with("位置"),
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
async fn a_member_is_told_when_words_come_and_nothing_of_them_can_be_said_yet() {
    let app = App::start_with(|config| config.chat.progressive = false).await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: "第一".to_owned(), gate: gate.clone(), after: "段。".to_owned() });
    app.say("zhangsan", "想一想").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(19.5..=20.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "第一段。");
    app.settled().await;
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
async fn reasoning_is_not_shown() {
    let app = App::start().await;
    app.model.push(ModelReply::Reasoning { think: "用户在打招呼".to_owned(), text: "你好！".to_owned() });
    app.model.push(answer("<think>\n嗯……\n</think>\n\n再见！"));
    app.say("zhangsan", "你好").await;
    app.say("zhangsan", "再见").await;
    assert_eq!(app.texts("zhangsan", 2).await, ["你好！", "再见！"]);
    app.settled().await;
}

#[tokio::test]
async fn a_slow_model_is_announced_once() {
    let app = App::start().await;
    let gate = Gate::new();
    app.model.push(ModelReply::Held { before: String::new(), gate: gate.clone(), after: "久等了。".to_owned() });
    app.say("zhangsan", "想一想").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(19.0..=20.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    gate.open();
    assert_eq!(app.texts("zhangsan", 2).await[1], "久等了。");
    app.settled().await;
}

/// Every way in which a model fails ends in a true sentence with a reference that the log has too.
#[tokio::test]
async fn every_failure_of_the_model_ends_in_an_honest_sentence() {
    let cases = [
        ("empty", ModelReply::Answer(String::new()), "模型这次没有给出回答"),
        ("only thinking", answer("<think>hm</think>"), "模型这次没有给出回答"),
        ("bad key", ModelReply::status(401, r#"{"error":{"message":"Incorrect API key provided"}}"#), "管理员"),
        ("bad request", ModelReply::status(400, r#"{"error":{"message":"nope"}}"#), "编号"),
        ("cut", ModelReply::CutAfter("开头写到这里，然后".to_owned()), "中断"),
        ("garbage", ModelReply::Garbage, "编号"),
        ("filtered", ModelReply::Ended { text: String::new(), reason: "content_filter".to_owned() }, "审核"),
        ("too long", ModelReply::Ended { text: "写了很多。".to_owned(), reason: "length".to_owned() }, "长度上限"),
    ];
    for (name, reply, sentence) in cases {
        let logs = Logs::capture();
        let app = App::start_with(|config| config.llm.max_retries = 0).await;
        app.model.push(reply);
        app.say("zhangsan", "问题").await;
        app.settled().await;
        let texts = app.texts("zhangsan", 1).await;
        let last = texts.last().unwrap();
        assert!(last.contains(sentence), "{name}: {last}");
        let reference = last.rsplit(' ').next().unwrap().trim_end_matches(['）', '。']);
        assert_eq!(reference.len(), 8, "{name}: {last}");
        assert!(!logs.with(&[reference]).is_empty(), "{name}: {reference} is not in the log");
        if name == "cut" {
            assert!(texts[0].starts_with("开头写到这里"), "what came is shown: {texts:?}");
        }
    }
}

#[tokio::test]
async fn a_model_that_hangs_is_given_up_in_time() {
    let app = App::start_with(|config| {
        config.llm.max_retries = 0;
        config.chat.slow_notice = None;
    })
    .await;
    app.model.push(ModelReply::Hang);
    app.say("zhangsan", "喂").await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.advance_to_sleeper(60.0..=60.0).await;
    assert!(app.texts("zhangsan", 1).await[0].contains("编号"));
    app.settled().await;
}

#[tokio::test]
async fn a_busy_model_is_asked_again_and_the_member_notices_nothing() {
    let app = App::start().await;
    let headers = [("retry-after".to_owned(), "7".to_owned())].into();
    app.model.push(ModelReply::Status { code: 429, headers, body: "{}".to_owned() });
    app.model.push(answer("现在有空了。"));
    app.say("zhangsan", "喂").await;
    assert_eq!(app.advance_to_sleeper(6.5..=7.0).await, Duration::from_secs(7));
    assert_eq!(app.texts("zhangsan", 1).await, ["现在有空了。"]);
    app.settled().await;
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
