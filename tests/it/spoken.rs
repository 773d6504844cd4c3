//! Answers that are spoken too, for who asked by voice: the text first, then voice that WeCom takes.

use qimate::{
    config::Config,
    media::voice::{self, Recording},
    sandbox::model::{ModelReply, Transcript, made::Made},
};

use crate::harness::{App, within};

fn speaks(config: &mut Config) {
    config.voice.transcription_model = Some("whisper-1".to_owned());
    config.voice.show_transcript = false;
    config.voice.speech_model = Some("tts-1".to_owned());
    config.voice.answers = true;
}

/// A member asks by voice, and the model answers in writing.
async fn asks(app: &App, answer: &str) {
    app.model.push_transcript(Transcript::Text("明天几点开会？".to_owned()));
    app.model.push(ModelReply::Answer(answer.to_owned()));
    let sound = (0..4000).map(|n| if n % 20 < 10 { 4000 } else { -4000 }).collect();
    let recording = Recording { sample_rate: 8000, samples: sound }.to_amr().unwrap();
    assert!(within(app.wecom.speak("zhangsan", Some(recording))).await.accepted());
}

/// What the member hears: each voice message, decoded.
fn heard(app: &App) -> Vec<Recording> {
    let messages = app.wecom.messages_for("zhangsan");
    let voices = messages.iter().filter(|message| message.msgtype == "voice");
    voices.map(|message| voice::decode(&app.wecom.uploaded(&message.content).unwrap().bytes).unwrap()).collect()
}

fn is_loud(sound: &Recording) -> bool {
    sound.samples.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>() / sound.samples.len() as f64 > 1e6
}

#[tokio::test]
async fn who_asks_by_voice_hears_the_answer_after_reading_it() {
    let app = App::start_with(speaks).await;
    asks(&app, "**九点**，见 https://example.com/rooms 。").await;
    let texts = app.texts("zhangsan", 2).await;
    assert_eq!(texts[0], "九点，见 https://example.com/rooms 。");
    app.settled().await;
    let body = &app.model.spoken()[0];
    assert_eq!(
        (&body["model"], &body["voice"], &body["response_format"]),
        (&"tts-1".into(), &"alloy".into(), &"wav".into())
    );
    assert_eq!(body["input"], "九点，见 。", "no signs and no addresses");
    let heard = heard(&app);
    // A quarter of a second for each of six characters.
    assert!(heard.len() == 1 && heard[0].samples.len() == 12_000 && is_loud(&heard[0]), "{}", heard[0].samples.len());
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND parts = 2"), 1);
    // Who writes, reads.
    app.model.push(ModelReply::Answer("好。".to_owned()));
    app.say("zhangsan", "好").await;
    app.texts("zhangsan", 3).await;
    app.settled().await;
    assert_eq!(app.model.spoken().len(), 1);
    assert_eq!(app.model.requests()[1].contents("assistant").len(), 1);
}

#[tokio::test]
async fn a_member_can_switch_it_off_and_on() {
    let app = App::start_with(speaks).await;
    app.say("zhangsan", "/voice off").await;
    app.texts("zhangsan", 1).await;
    asks(&app, "九点。").await;
    app.texts("zhangsan", 2).await;
    app.settled().await;
    assert!(app.model.spoken().is_empty());
    app.say("zhangsan", "/voice on").await;
    app.texts("zhangsan", 3).await;
    asks(&app, "十点。").await;
    app.texts("zhangsan", 5).await;
    app.settled().await;
    assert_eq!((app.model.spoken().len(), heard(&app).len()), (1, 1));
}

#[tokio::test]
async fn a_long_answer_is_spoken_as_far_as_it_is_set_in_messages_that_wecom_takes() {
    let app = App::start_with(|config| {
        speaks(config);
        config.voice.answer_chars = 300;
    })
    .await;
    // The demo voice takes a quarter of a second for a character: 180 of them are 45 s.
    asks(&app, &"会议九点开始，请准时到三楼。".repeat(60)).await;
    app.settled().await;
    let spoken = app.model.spoken();
    assert_eq!(spoken.len(), 2);
    assert!(spoken[1]["input"].as_str().unwrap().ends_with("三楼。其余内容请看文字。"), "{}", spoken[1]);
    let heard = heard(&app);
    assert_eq!(heard.len(), 2);
    assert!(heard.iter().all(|sound| sound.duration().as_secs() <= 60 && is_loud(sound)));
    let kinds: Vec<_> = app.wecom.messages_for("zhangsan").into_iter().map(|message| message.msgtype).collect();
    assert!(kinds.ends_with(&["voice".to_owned(), "voice".to_owned()]) && kinds[0] == "text", "{kinds:?}");
}

#[tokio::test]
async fn whatever_becomes_of_the_voice_the_text_is_there() {
    let app = App::start_with(speaks).await;
    for (number, made) in [
        Made::Status(500, "{}".to_owned()),
        Made::Status(401, "{}".to_owned()),
        Made::Body(b"ID3 no wav".to_vec()),
        Made::Body(Vec::new()),
    ]
    .into_iter()
    .enumerate()
    {
        app.model.push_speech(made);
        asks(&app, "九点。").await;
        assert_eq!(app.texts("zhangsan", number + 1).await[number], "九点。");
        app.settled().await;
    }
    assert_eq!((app.texts("zhangsan", 4).await.len(), heard(&app).len()), (4, 0));
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered' AND parts = 1"), 4);
}

#[tokio::test]
async fn the_text_is_read_while_it_is_spoken_and_stop_ends_the_wait() {
    let app = App::start_with(speaks).await;
    app.model.push_speech(Made::Hang);
    asks(&app, "九点。").await;
    assert_eq!(app.texts("zhangsan", 1).await, ["九点。"]);
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 2).await[1], "好的，已停止。");
    app.settled().await;
    assert_eq!(app.count("SELECT COUNT(*) FROM turn WHERE state = 'answered'"), 1);
}

#[tokio::test]
async fn after_a_crash_the_words_are_not_said_again_and_the_voice_comes_once() {
    let mut app = App::start_with(speaks).await;
    app.model.push_speech(Made::Hang);
    asks(&app, "九点。").await;
    app.texts("zhangsan", 1).await;
    within(async {
        while app.model.spoken().is_empty() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    app.drop_everything().await;
    app.launch().await;
    assert_eq!(app.texts("zhangsan", 2).await[0], "九点。");
    app.settled().await;
    assert_eq!((app.model.requests().len(), heard(&app).len(), app.texts("zhangsan", 2).await.len()), (1, 1, 2));
    let paid = "SELECT COUNT(*) FROM turn WHERE state = 'answered' AND parts = 2 AND output_tokens > 0";
    assert_eq!(app.count(paid), 1);
}

#[tokio::test]
async fn nothing_is_spoken_where_it_is_not_switched_on() {
    let app = App::start_with(|config| {
        speaks(config);
        config.voice.answers = false;
    })
    .await;
    asks(&app, "九点。").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    assert!(app.model.spoken().is_empty());
}
