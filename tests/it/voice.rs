//! What is spoken: heard once, shown, answered; and an honest sentence where nothing can be heard.

use std::time::Duration;

use qimate::{
    config::{Config, chat::Language},
    media::voice::Recording,
    model::id::TurnId,
    sandbox::model::{Gate, ModelReply, Transcript},
};

use crate::harness::{App, within};

/// Half a second of a tone, as WeCom keeps it.
fn spoken() -> Vec<u8> {
    let tone = |n: u32| ((f64::from(n) / 8000.0 * 440.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
    Recording { sample_rate: 8000, samples: (0..4000).map(tone).collect() }.to_amr().unwrap()
}

fn hears(config: &mut Config) {
    config.voice.transcription_model = Some("whisper-1".to_owned());
}

fn text(words: &str) -> Transcript {
    Transcript::Text(words.to_owned())
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

async fn speak(app: &App, recording: Option<Vec<u8>>) {
    let receipt = within(app.wecom.speak("zhangsan", recording)).await;
    assert!(receipt.accepted(), "{receipt:?}");
}

#[tokio::test]
async fn what_is_spoken_is_shown_and_answered_and_the_conversation_knows_it() {
    let app = App::start_with(hears).await;
    app.model.push_transcript(text("明天几点开会？"));
    app.model.push(answer("九点。"));
    speak(&app, Some(spoken())).await;
    assert_eq!(app.texts("zhangsan", 2).await, ["「明天几点开会？」", "九点。"]);
    // A WAV of half a second in 16 bits at 8 kHz, with its form.
    assert!((8000..9500).contains(&app.model.heard()[0]), "{:?}", app.model.heard());
    app.settled().await;
    app.model.push(answer("在三楼。"));
    app.say("zhangsan", "在哪里？").await;
    app.texts("zhangsan", 3).await;
    app.settled().await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("user"), ["明天几点开会？", "在哪里？"]);
    assert_eq!(last.contents("assistant"), ["九点。"], "the quote is no part of the answer");
}

#[tokio::test]
async fn the_transcript_is_not_shown_where_that_is_not_wanted() {
    let app = App::start_with(|config| {
        hears(config);
        config.voice.show_transcript = false;
    })
    .await;
    app.model.push_transcript(text("明天几点开会？"));
    app.model.push(answer("九点。"));
    speak(&app, Some(spoken())).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["九点。"]);
    app.settled().await;
}

#[tokio::test]
async fn a_command_that_is_spoken_is_a_question() {
    let app = App::start_with(hears).await;
    app.model.push_transcript(text("/new"));
    app.model.push(answer("这是一个命令。"));
    speak(&app, Some(spoken())).await;
    assert_eq!(app.texts("zhangsan", 2).await, ["「/new」", "这是一个命令。"]);
    app.settled().await;
}

#[tokio::test]
async fn without_a_model_for_it_voice_gets_the_kind_sentence_and_nothing_is_fetched() {
    let app = App::start().await;
    speak(&app, Some(spoken())).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["语音我还看不懂，请用文字告诉我，我马上回答。"]);
    app.settled().await;
    assert_eq!((app.wecom.media_asked(), app.model.heard().len()), (0, 0));
}

#[tokio::test]
async fn what_cannot_be_heard_gets_a_sentence_that_says_why_with_its_reference() {
    let app = App::start_with(hears).await;
    let too_large = [b"#!AMR\n".as_slice(), &vec![0x7c; 2 * 1024 * 1024]].concat();
    // Only what can be decoded comes to the model.
    app.model.push_transcript(text("  \n"));
    app.model.push_transcript(Transcript::Status(500, "down".to_owned()));
    app.model.push_transcript(Transcript::Status(401, "{}".to_owned()));
    let stories = [
        (None, "没能从企业微信取到"),
        (Some(b"ID3 something else".to_vec()), "无法识别"),
        (Some(b"#!AMR\n".to_vec()), "无法识别"),
        (Some(too_large), "太长"),
        (Some(spoken()), "没有听清"),
        (Some(spoken()), "暂时无法转成文字"),
        // Waiting would not help.
        (Some(spoken()), "需要管理员检查设置"),
    ];
    for (number, (recording, words)) in stories.into_iter().enumerate() {
        speak(&app, recording).await;
        let said = app.texts("zhangsan", number + 1).await.pop().unwrap();
        app.settled().await;
        let (sentence, reference) = said.rsplit_once("\n编号 ").unwrap_or_else(|| panic!("{said}"));
        assert!(sentence.contains(words), "{said}");
        let failed: String = app
            .database()
            .query_row("SELECT id FROM turn WHERE state = 'failed' ORDER BY rowid DESC LIMIT 1", [], |row| row.get(0))
            .unwrap();
        assert_eq!(TurnId::parse(&failed).unwrap().reference(), reference, "{said}");
        app.settled().await;
    }
    assert!(app.model.requests().is_empty(), "nothing was asked");
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'failed'"), 7);
    // In English too.
    let app = App::start_with(|config| {
        hears(config);
        config.chat.language = Language::English;
    })
    .await;
    app.model.push_transcript(text(""));
    speak(&app, Some(spoken())).await;
    assert!(app.texts("zhangsan", 1).await[0].starts_with("Sorry, I could not understand this voice message."));
    app.settled().await;
}

#[tokio::test]
async fn a_stale_access_token_and_a_busy_wecom_are_got_over() {
    let app = App::start_with(hears).await;
    app.model.set_script(|_| answer("好"));
    app.say("zhangsan", "喂").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    app.wecom.trouble(|trouble| trouble.expire_access_token());
    app.wecom.refuse_media(-1);
    app.wecom.refuse_media(45033);
    app.model.push_transcript(text("喂喂"));
    speak(&app, Some(spoken())).await;
    for seconds in [0.7, 1.7] {
        app.advance_to_sleeper(seconds..=seconds).await;
    }
    assert_eq!(app.texts("zhangsan", 3).await[1..], ["「喂喂」", "好"]);
    app.settled().await;
    assert_eq!((app.wecom.media_asked(), app.wecom.counters().gettoken), (4, 2));
}

#[tokio::test]
async fn wecom_that_stays_busy_is_told_after_four_tries() {
    let app = App::start_with(hears).await;
    (0..4).for_each(|_| app.wecom.refuse_media(-1));
    speak(&app, Some(spoken())).await;
    for seconds in [0.7, 1.7, 4.1] {
        app.advance_to_sleeper(seconds..=seconds).await;
    }
    assert!(app.texts("zhangsan", 1).await[0].contains("没能从企业微信取到"));
    app.settled().await;
    assert_eq!(app.wecom.media_asked(), 4);
}

#[tokio::test]
async fn stop_stops_while_it_is_being_written_down_and_after() {
    let app = App::start_with(hears).await;
    app.model.push_transcript(Transcript::Hang);
    speak(&app, Some(spoken())).await;
    within(async {
        while app.model.heard().is_empty() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["好的，已停止。"]);
    app.settled().await;

    app.model.push_transcript(text("写一篇长文"));
    app.model.push(ModelReply::Hang);
    speak(&app, Some(spoken())).await;
    within(app.model.wait_load(|load| load.in_flight == 1)).await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 3).await[1..], ["「写一篇长文」", "好的，已停止。"]);
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'stopped'"), 2);
}

#[tokio::test]
async fn what_was_understood_before_a_crash_is_neither_heard_nor_shown_again() {
    for shown in [true, false] {
        let mut app = App::start_with(|config| {
            hears(config);
            config.voice.show_transcript = shown;
        })
        .await;
        app.model.push_transcript(text("明天几点开会？"));
        app.model.push(ModelReply::Hang);
        speak(&app, Some(spoken())).await;
        within(app.model.wait_load(|load| load.in_flight == 1)).await;
        app.drop_everything().await;

        app.model.push(answer("九点。"));
        app.launch().await;
        let expected: &[&str] = if shown { &["「明天几点开会？」", "九点。"] } else { &["九点。"] };
        assert_eq!(app.texts("zhangsan", expected.len()).await, expected);
        app.settled().await;
        assert_eq!((app.wecom.media_asked(), app.model.heard().len()), (1, 1));
        assert_eq!(app.model.requests().pop().unwrap().contents("user"), ["明天几点开会？"]);
        assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered'"), 1);
    }
}

#[tokio::test]
async fn a_crash_while_it_is_being_written_down_costs_nothing_but_the_wait() {
    let mut app = App::start_with(hears).await;
    app.model.push_transcript(Transcript::Hang);
    speak(&app, Some(spoken())).await;
    within(async {
        while app.model.heard().is_empty() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.drop_everything().await;
    app.model.push_transcript(text("喂"));
    app.model.push(answer("在。"));
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await, ["「喂」", "在。"]);
    app.settled().await;
}

#[tokio::test]
async fn an_answer_to_what_was_spoken_goes_on_after_a_crash_behind_its_parts() {
    let mut app = App::start_with(hears).await;
    app.model.push_transcript(text("讲讲"));
    let before = "这是第一段，已经完整地写好了。\n\n第二段写到".to_owned();
    app.model.push(ModelReply::Held { before, gate: Gate::new(), after: String::new() });
    speak(&app, Some(spoken())).await;
    app.texts("zhangsan", 2).await;
    app.drop_everything().await;
    app.model.push(answer("第二段从头写完了。"));
    app.launch().await;
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts, ["「讲讲」", "这是第一段，已经完整地写好了。", "第二段从头写完了。"]);
    app.settled().await;
}

#[tokio::test]
async fn a_model_without_a_word_is_told_behind_the_quote() {
    let app = App::start_with(hears).await;
    app.model.push_transcript(text("喂"));
    app.model.push(answer(""));
    speak(&app, Some(spoken())).await;
    let texts = app.texts("zhangsan", 2).await;
    assert!(texts[0] == "「喂」" && texts[1].contains("没有给出回答"), "{texts:?}");
    app.settled().await;
}

#[tokio::test]
async fn a_slow_transcription_is_announced_once() {
    let app = App::start_with(|config| {
        hears(config);
        config.chat.slow_notice = Some(Duration::from_secs(7));
        // Like no other wait.
        config.voice.timeout = Duration::from_secs(45);
    })
    .await;
    app.model.push_transcript(Transcript::Hang);
    speak(&app, Some(spoken())).await;
    within(app.clock.sleeper_within(Duration::from_secs(45)..=Duration::from_secs(45))).await;
    app.advance_to_sleeper(7.0..=7.0).await;
    assert_eq!(app.texts("zhangsan", 1).await, ["收到，正在处理，请稍等。"]);
    // voice.timeout_seconds, from when the recording was sent.
    app.advance_to_sleeper(38.0..=38.0).await;
    assert!(app.texts("zhangsan", 2).await[1].contains("暂时无法转成文字"));
    app.settled().await;
}
