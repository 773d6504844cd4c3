//! Upstreams may know that questions are of the same member, and not of whom.

use qimate::sandbox::model::{ModelReply, Transcript};

use crate::harness::{self, App, within};

/// What the upstream was told with the last question.
fn told(app: &App) -> (Option<String>, bool) {
    let body = app.model.requests().pop().unwrap().body;
    let text = |key: &str| body.get(key).and_then(|value| value.as_str()).map(str::to_owned);
    (text("user"), body.get("safety_identifier").is_some())
}

async fn ask(app: &App, member: &str) -> (Option<String>, bool) {
    let before = app.wecom.messages_for(member).len();
    app.say(member, "喂").await;
    app.texts(member, before + 1).await;
    app.settled().await;
    told(app)
}

#[tokio::test]
async fn a_member_is_the_same_after_a_restart_and_nobody_else() {
    let mut app = App::start_with(|config| config.llm.safety_identifier = Some(true)).await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let (li, _) = ask(&app, "li").await;
    let (wang, _) = ask(&app, "wang").await;
    app.stop().await;
    app.launch().await;
    let (again, beside) = ask(&app, "Li").await;
    assert_eq!((&li, beside), (&again, false));
    assert_ne!(li, wang);
    let li = li.unwrap();
    assert!(li.len() == 64 && li.bytes().all(|digit| digit.is_ascii_hexdigit()), "{li}");
    let other = App::start_with(|config| config.llm.safety_identifier = Some(true)).await;
    other.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    assert_ne!(ask(&other, "li").await.0, Some(li), "another company has another key");
}

#[tokio::test]
async fn by_default_azure_is_told_and_who_may_refuse_the_field_is_not() {
    let mut app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    assert_eq!(ask(&app, "li").await, (None, false));
    for (dialect, setting, is_told) in
        [("azure", None, true), ("azure", Some(false), false), ("plain", Some(true), true)]
    {
        app.stop().await;
        app.config.llm.upstreams.clear();
        let mut upstream = app.config.llm.all_upstreams().remove(0);
        upstream.dialect = Some(dialect.to_owned());
        app.config.llm.upstreams = vec![upstream];
        app.config.llm.safety_identifier = setting;
        app.launch().await;
        let (user, beside) = ask(&app, "li").await;
        assert_eq!((user.is_some(), beside), (is_told, false), "{dialect} {setting:?}");
    }
}

#[tokio::test]
async fn pictures_are_asked_for_in_the_same_name_and_what_has_no_field_for_it_in_none() {
    for told in [true, false] {
        let app = App::start_with(|config| {
            config.llm.safety_identifier = Some(told);
            config.images.model = Some("gpt-image-1".to_owned());
            config.voice.transcription_model = Some("whisper-1".to_owned());
            config.voice.speech_model = Some("tts-1".to_owned());
            config.voice.answers = true;
        })
        .await;
        app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
        app.model.push_transcript(Transcript::Text("你好".to_owned()));
        within(app.wecom.speak("li", Some(super::kinds::spoken()))).await;
        within(app.wecom.wait_delivered(|all| all.len() >= 3)).await;
        app.settled().await;
        let (li, _) = self::told(&app);
        assert_eq!(li.is_some(), told);
        harness::ask(&app, "li", "画一只猫").await;
        let painted = app.model.painted().pop().unwrap();
        assert_eq!(painted.get("user").and_then(|user| user.as_str()), li.as_deref());
        let spoken = app.model.spoken().pop().unwrap();
        assert!(spoken.get("user").is_none() && spoken.get("safety_identifier").is_none(), "{spoken}");
    }
}
