//! What is not words: it costs what it costs, and a plan may be without it.

use qimate::{
    media::voice::Recording,
    model::quota::plan::{Plan, Right},
    sandbox::model::Transcript,
    store::plans::Holder,
};

use super::{app_with, ask, plan};
use crate::harness::within;

/// So many seconds of nothing much, as WeCom keeps it.
fn spoken(seconds: u32) -> Vec<u8> {
    let samples = (0..8000 * seconds).map(|n| if n % 20 < 10 { 6000 } else { -6000 }).collect();
    Recording { sample_rate: 8000, samples }.to_amr().unwrap()
}

#[tokio::test]
async fn a_picture_and_a_minute_of_speech_count_as_money() {
    let app = app_with(&[(Holder::EveryMember, plan(&["money=5/month"]))], |config| {
        config.images.model = Some("gpt-image-1".to_owned());
        config.images.price = 3_000_000;
        config.voice.transcription_model = Some("whisper-1".to_owned());
        config.voice.transcription_price = 60_000_000;
    })
    .await;
    let money = "SELECT money FROM used WHERE subject LIKE 'member/%zhangsan' AND quarter = -1";
    ask(&app, "zhangsan", "画一只猫").await;
    assert_eq!(app.count(money), 3_000_000);
    assert!(ask(&app, "zhangsan", "画一只狗").await.starts_with("你本月的额度不够了：已用 3.00 元，上限 5.00 元。"));
    assert_eq!(app.model.painted().len(), 1);
    app.model.push_transcript(Transcript::Text("你好".to_owned()));
    within(app.wecom.speak("zhangsan", Some(spoken(1)))).await;
    app.texts("zhangsan", 4).await;
    app.settled().await;
    assert_eq!(app.count(money), 4_000_000, "a second of it");
    within(app.wecom.speak("zhangsan", Some(spoken(2)))).await;
    let said = app.texts("zhangsan", 5).await.pop().unwrap();
    assert!(said.starts_with("你本月的额度不够了：已用 4.00 元，上限 5.00 元。"), "{said}");
    app.settled().await;
    assert_eq!(app.model.heard().len(), 1, "nobody writes down what nobody pays for");
}

#[tokio::test]
async fn a_plan_may_be_without_what_is_not_words() {
    let without = Plan { without: Right::ALL.into(), ..Plan::default() };
    let app = app_with(&[(Holder::EveryMember, without)], |config| {
        config.images.model = Some("gpt-image-1".to_owned());
        config.voice.transcription_model = Some("whisper-1".to_owned());
        config.voice.speech_model = Some("tts-1".to_owned());
        config.voice.answers = true;
        config.llm.vision = Some(true);
        config.tools.web = true;
    })
    .await;
    let refused = |what| format!("你的方案不包括{what}。需要的话请联系管理员。");
    assert_eq!(ask(&app, "zhangsan", "画一只猫").await, refused("画图"));
    within(app.wecom.speak("zhangsan", Some(spoken(1)))).await;
    assert_eq!(app.texts("zhangsan", 2).await[1], refused("语音提问"));
    app.settled().await;
    within(app.wecom.show("zhangsan", Some(b"any".to_vec()))).await;
    assert_eq!(app.texts("zhangsan", 3).await[2], refused("看图"));
    app.settled().await;
    assert_eq!(ask(&app, "zhangsan", "你好").await, "好");
    assert!(app.model.requests()[0].body.get("tools").is_none(), "and no tools are offered");
    assert_eq!((app.model.painted().len(), app.model.heard().len(), app.model.requests().len()), (0, 0, 1));
}

#[tokio::test]
async fn a_plan_without_speech_leaves_the_answer_in_writing() {
    let silent = Plan { without: [Right::Speech].into(), ..Plan::default() };
    let app = app_with(&[(Holder::EveryMember, silent)], |config| {
        config.voice.transcription_model = Some("whisper-1".to_owned());
        config.voice.speech_model = Some("tts-1".to_owned());
        config.voice.answers = true;
    })
    .await;
    app.model.push_transcript(Transcript::Text("你好".to_owned()));
    within(app.wecom.speak("zhangsan", Some(spoken(1)))).await;
    assert_eq!(app.texts("zhangsan", 2).await, ["「你好」", "好"]);
    app.settled().await;
    assert!(app.model.spoken().is_empty());
}
