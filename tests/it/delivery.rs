//! From the outbox to the member's phone, whatever WeCom does.

use std::time::Duration;

use qimate::sandbox::model::ModelReply;

use crate::harness::{App, Logs, within};

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

#[tokio::test]
async fn an_attempt_whose_answer_was_lost_is_not_shown_twice() {
    let app = App::start().await;
    app.wecom.trouble(|trouble| trouble.lose_answers(1));
    app.model.push(answer("只说一次"));
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    app.advance_to_sleeper(1.001..=2.5).await;
    app.settled().await;
    assert_eq!(app.texts("zhangsan", 1).await, ["只说一次"]);
    let counters = app.wecom.counters();
    assert_eq!((counters.sends, counters.duplicates), (2, 1), "the second attempt was the same and was dropped");
}

#[tokio::test]
async fn equal_answers_to_different_questions_all_arrive() {
    let app = App::start().await;
    for n in 0..6 {
        app.model.push(answer("2"));
        app.say("zhangsan", "1+1=?").await;
        app.texts("zhangsan", n + 1).await;
        // Also hours apart, while the first is long forgotten and the last is not.
        app.settled().await;
        app.clock.advance(Duration::from_secs(50 * 60));
    }
    assert_eq!(app.texts("zhangsan", 6).await, ["2"; 6]);
    assert_eq!(app.wecom.messages_for("zhangsan")[0].content, "2", "the first is as it was written");
    assert_eq!(app.wecom.counters().duplicates, 0);
}

#[tokio::test]
async fn an_attempt_of_a_repetition_whose_answer_was_lost_is_not_shown_twice_either() {
    let app = App::start().await;
    app.model.push(answer("好"));
    app.model.push(answer("好"));
    app.say("zhangsan", "一").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    app.wecom.trouble(|trouble| trouble.lose_answers(1));
    app.say("zhangsan", "二").await;
    app.texts("zhangsan", 2).await;
    app.advance_to_sleeper(1.001..=2.5).await;
    app.settled().await;
    assert_eq!(app.texts("zhangsan", 2).await.len(), 2);
}

#[tokio::test]
async fn a_token_that_died_is_fetched_again_once_and_nothing_is_lost() {
    for forget in [false, true] {
        let app = App::start().await;
        app.model.set_script(|_| answer("好"));
        app.say("m0", "热身").await;
        app.texts("m0", 1).await;
        assert_eq!(app.wecom.counters().gettoken, 1);
        app.wecom.trouble(|trouble| {
            if forget {
                trouble.forget_access_token();
            } else {
                trouble.expire_access_token();
            }
        });
        for n in 1..=20 {
            app.say(&format!("m{n}"), "喂").await;
        }
        for n in 1..=20 {
            assert_eq!(app.texts(&format!("m{n}"), 1).await, ["好"]);
        }
        app.settled().await;
        assert_eq!(app.wecom.counters().gettoken, 2, "one refresh for twenty");
    }
}

#[tokio::test]
async fn a_rate_limit_makes_everybody_wait_and_survives_a_restart() {
    let mut app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, 45009));
    app.say("zhangsan", "一").await;
    // The application waits a minute, as WeCom asks.
    let waits = within(app.clock.sleeper_within(Duration::from_secs(59)..=Duration::from_secs(60))).await;
    assert_eq!(waits, Duration::from_secs(60));
    app.say("lisi", "二").await;
    app.stop().await;
    app.launch().await;
    app.clock.advance(Duration::from_secs(60));
    assert_eq!(app.texts("zhangsan", 1).await, ["好"]);
    assert_eq!(app.texts("lisi", 1).await, ["好"]);
    app.settled().await;
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_becomes_a_dead_letter() {
    // errcode, attempts before it works, or the dead letter's reason.
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    for (errcode, dead) in [(-1, false), (45033, false), (40003, true), (85002, true), (81013, true)] {
        let member = format!("m{}", errcode + 1);
        app.wecom.trouble(|trouble| trouble.fail_next_sends(1, errcode));
        app.say(&member, "喂").await;
        if dead {
            app.settled().await;
            let told = app.wecom.messages_for(&member);
            if errcode == 85002 {
                // The member is there and is told; once, also where that is refused.
                assert!(told.len() == 1 && told[0].content.contains("企业微信拒绝显示"), "{told:?}");
            } else {
                assert!(told.is_empty(), "{told:?}");
            }
            let reasons = format!(
                "SELECT COUNT(*) FROM outbox WHERE member = '{member}' AND state = 'dead' AND reason LIKE '%{errcode}%'"
            );
            assert_eq!(app.count(&reasons), 1, "{errcode}");
        } else {
            app.advance_to_sleeper(1.001..=2.5).await;
            assert_eq!(app.texts(&member, 1).await, ["好"], "{errcode}");
            app.settled().await;
        }
    }
}

#[tokio::test]
async fn a_gateway_that_answers_html_and_a_wecom_that_hangs_are_tried_again() {
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.bad_gateway(true));
    app.say("zhangsan", "喂").await;
    // Without an access token nothing can be sent: everybody waits two seconds.
    within(app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    app.wecom.trouble(|trouble| trouble.bad_gateway(false));
    app.clock.advance(Duration::from_secs(2));
    assert_eq!(app.texts("zhangsan", 1).await, ["好"]);
    app.settled().await;

    app.wecom.trouble(|trouble| trouble.hang(true));
    app.say("lisi", "喂").await;
    app.advance_to_sleeper(9.5..=10.0).await;
    app.wecom.trouble(|trouble| trouble.hang(false));
    app.advance_to_sleeper(1.001..=2.5).await;
    assert_eq!(app.texts("lisi", 1).await, ["好"]);
    app.settled().await;
}

#[tokio::test]
async fn an_invalid_user_in_a_successful_answer_is_seen() {
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.unknown_member("ghost", true));
    app.say("Ghost", "喂").await;
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND member = 'Ghost'"), 1);
}

#[tokio::test]
async fn an_address_that_is_not_trusted_is_named_once_and_everything_arrives_when_it_is() {
    let logs = Logs::capture();
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    for n in 0..10 {
        app.say(&format!("m{n}"), "喂").await;
    }
    // Three tries: each lets one message knock.
    for pause in [2, 4, 8] {
        let wait = Duration::from_secs(pause);
        within(app.clock.sleeper_within(wait - Duration::from_millis(100)..=wait)).await;
        app.clock.advance(wait);
    }
    within(app.clock.sleeper_within(Duration::from_secs(15)..=Duration::from_secs(16))).await;
    let lines = logs.with(&["企业可信IP"]);
    assert_eq!(lines.len(), 1, "once per address: {lines:?}");
    assert!(lines[0].contains("203.0.113.7") && lines[0].contains("60020"), "{}", lines[0]);
    assert!(app.wecom.counters().sends <= 10 + 3, "the others wait: {:?}", app.wecom.counters());

    app.wecom.trouble(|trouble| trouble.refuse_ip(false));
    app.clock.advance(Duration::from_secs(16));
    for n in 0..10 {
        assert_eq!(app.texts(&format!("m{n}"), 1).await, ["好"]);
    }
    app.settled().await;
}

#[tokio::test]
async fn a_wrong_secret_is_reported_and_not_hammered() {
    let logs = Logs::capture();
    let mut app = App::start_with(|config| {
        config.apps.first.wecom.secret = qimate::secret::Secret::new("wrong".to_owned());
    })
    .await;
    app.model.set_script(|_| answer("好"));
    for n in 0..5 {
        app.say(&format!("m{n}"), "喂").await;
    }
    within(app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    assert_eq!(app.wecom.counters().gettoken, 1);
    assert_eq!(logs.with(&["nothing can be sent", "40001"]).len(), 1);
    app.stop().await;
}

#[tokio::test]
async fn parts_of_an_answer_keep_their_order_although_the_first_fails() {
    let app = App::start().await;
    app.model.push(answer("这是第一段，已经完整地写好了。\n\n第二段在后面。"));
    app.wecom.trouble(|trouble| trouble.fail_next_sends(1, -1));
    app.say("zhangsan", "喂").await;
    app.advance_to_sleeper(1.001..=2.5).await;
    assert_eq!(app.texts("zhangsan", 2).await, ["这是第一段，已经完整地写好了。", "第二段在后面。"]);
    app.settled().await;
}

#[tokio::test]
async fn nothing_beyond_wecoms_pace_is_sent_and_nothing_is_lost() {
    let app = App::start().await;
    app.model.set_script(|body| {
        let messages = body["messages"].as_array().unwrap();
        answer(&format!("答{}。", messages.last().unwrap()["content"].as_str().unwrap()))
    });
    for n in 0..80 {
        app.say("zhangsan", &format!("[{n}]")).await;
    }
    // Asked at once: a turn that ends between two looks moves from the one to the other.
    let owed = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                     + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')";
    while app.count(owed) > 0 {
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        app.clock.advance(Duration::from_millis(50));
    }
    let counters = app.wecom.counters();
    assert_eq!((counters.over_rate, counters.cut, counters.duplicates), (0, 0, 0));
    let texts = app.texts("zhangsan", 1).await;
    assert!(texts.len() < 80, "what waited was merged: {} messages", texts.len());
    let all = texts.join("\n");
    let mut from = 0;
    for n in 0..80 {
        from += all[from..].find(&format!("答[{n}]。")).unwrap_or_else(|| panic!("{n} is missing or out of order"));
    }
}

#[tokio::test]
async fn markdown_goes_out_as_markdown_where_that_is_chosen() {
    let app = App::start_with(|config| config.chat.output = qimate::model::preferences::Output::Markdown).await;
    app.model.push(answer("# 标题\n\n**粗体**和*斜体*"));
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    let message = &app.wecom.messages_for("zhangsan")[0];
    assert_eq!(message.msgtype, "markdown");
    assert!(message.content.contains("# 标题") && message.content.contains("**粗体**"), "{}", message.content);
    assert!(!message.content.contains("*斜体*"));
}

#[tokio::test]
async fn a_message_that_cannot_be_sent_for_a_day_is_given_up_and_the_next_is_not() {
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    app.say("zhangsan", "喂").await;
    app.advance_to_sleeper(1.001..=2.5).await;
    within(app.clock.sleeper_within(Duration::from_secs(2)..=Duration::from_secs(5))).await;
    app.clock.advance(Duration::from_secs(24 * 3600));
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead'"), 1);
    app.wecom.trouble(|trouble| trouble.fail_sends(None));
    app.say("zhangsan", "还在吗").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["好"]);
    app.settled().await;
}

#[tokio::test]
async fn a_message_that_may_have_arrived_is_not_sent_again_after_wecom_forgot_it() {
    let mut app = App::start().await;
    app.wecom.trouble(|trouble| trouble.lose_answers(1));
    app.model.push(answer("只说一次"));
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    within(app.clock.sleeper_within(Duration::from_millis(1001)..=Duration::from_millis(2500))).await;
    app.stop().await;
    app.clock.advance(Duration::from_secs(5 * 3600));
    app.launch().await;
    app.settled().await;
    assert_eq!(app.texts("zhangsan", 1).await, ["只说一次"]);
    let dead = "SELECT COUNT(*) FROM outbox WHERE state = 'dead' AND reason LIKE 'it may have arrived%'";
    assert_eq!(app.count(dead), 1, "the administrator sees it");
    // And it holds nobody up.
    app.model.push(answer("在"));
    app.say("zhangsan", "还在吗").await;
    assert_eq!(app.texts("zhangsan", 2).await[1], "在");
    app.settled().await;
}

#[tokio::test]
async fn an_old_message_that_is_given_up_does_not_let_the_others_run_against_a_closed_gate() {
    let app = App::start().await;
    app.model.set_script(|_| answer("好"));
    app.wecom.trouble(|trouble| trouble.refuse_ip(true));
    for n in 0..10 {
        app.say(&format!("m{n}"), "喂").await;
    }
    within(app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    while app.count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'") < 10 {
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
    let before = app.wecom.counters().sends;
    app.clock.advance(Duration::from_secs(24 * 3600 + 60));
    while app.count("SELECT COUNT(*) FROM outbox WHERE state = 'dead'") < 1 {
        tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
    }
    within(app.clock.sleeper_within(Duration::from_millis(2500)..=Duration::from_secs(4))).await;
    assert_eq!(app.wecom.counters().sends - before, 1, "one knocks");
    let mut app = app;
    app.stop().await;
}
