//! The Token and the EncodingAESKey are changed while employees go on writing.

use qimate::{
    config::Config,
    secret::Secret,
    wecom::crypto::{self, CallbackToken, EncodingAesKey},
};
use reqwest::Client;

use crate::harness::{App, Logs, within};

const NEW_TOKEN: &str = "BrandNewToken";
const NEW_KEY: &str = "6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt";

/// The new values above, those that the console still has below.
fn change_both(config: &mut Config) {
    let token = std::mem::replace(&mut config.apps.first.wecom.callback_token, Secret::new(NEW_TOKEN.to_owned()));
    let key = std::mem::replace(&mut config.apps.first.wecom.encoding_aes_key, Secret::new(NEW_KEY.to_owned()));
    config.apps.first.wecom.previous_callback_token = Some(token);
    config.apps.first.wecom.previous_encoding_aes_key = Some(key);
}

/// What WeCom sends once the console has the new values.
async fn say_with_the_new_values(app: &App, member: &str, id: u32) -> u16 {
    let (token, key) = (CallbackToken::parse(NEW_TOKEN).unwrap(), EncodingAesKey::parse(NEW_KEY).unwrap());
    let corp = app.wecom.settings().corp_id.as_str().to_owned();
    let message = format!(
        "<xml><ToUserName>{corp}</ToUserName><FromUserName>{member}</FromUserName><CreateTime>1790000000</CreateTime>\
         <MsgType>text</MsgType><Content>/help</Content><MsgId>{id}</MsgId><AgentID>1000002</AgentID></xml>"
    );
    let encrypt = crypto::encrypt(&key, &corp, message.as_bytes(), [7; 16]);
    let signature = crypto::signature(&token, "1790000000", "nonce", &encrypt);
    let url = app.url(&format!("/wxcomapp?msg_signature={signature}&timestamp=1790000000&nonce=nonce"));
    let envelope = format!("<xml><Encrypt>{encrypt}</Encrypt></xml>");
    within(Client::new().post(url).body(envelope).send()).await.unwrap().status().as_u16()
}

#[tokio::test]
async fn both_values_are_good_while_they_change_and_the_log_says_how_far_it_is() {
    let logs = Logs::capture();
    let app = App::start_with(change_both).await;
    assert!(app.wecom.verify_url().await, "the console can still be saved with the values of before");
    for n in 0..3 {
        app.say(&format!("before{n}"), "/help").await;
        app.texts(&format!("before{n}"), 1).await;
    }
    assert_eq!(logs.with(&["still came with the previous"]).len(), 1, "said once");
    assert!(logs.with(&["came with the new Token"]).is_empty());

    for n in 0..3 {
        let member = format!("after{n}");
        assert_eq!(say_with_the_new_values(&app, &member, 100 + n).await, 200);
        app.texts(&member, 1).await;
    }
    // WeCom repeats what it sent before the change.
    app.say("late", "/help").await;
    app.texts("late", 1).await;
    assert_eq!(logs.with(&["came with the new Token"]).len(), 1, "said once");
    assert_eq!(logs.with(&["still came with the previous"]).len(), 1, "not said again");
    let settings = app.wecom.settings();
    for secret in [settings.callback_token.expose(), settings.encoding_aes_key.expose(), NEW_TOKEN, NEW_KEY] {
        assert!(logs.with(&[secret]).is_empty(), "a secret is in the log");
    }
}

#[tokio::test]
async fn without_the_values_of_before_an_early_change_refuses_and_says_what_is_wrong() {
    let logs = Logs::capture();
    let app = App::start_with(|config| {
        change_both(config);
        config.apps.first.wecom.previous_encoding_aes_key = None;
    })
    .await;
    assert!(!app.wecom.say("zhangsan", "/help").await.accepted());
    assert!(!logs.with(&["refused", "undecryptable", "wecom.previous_encoding_aes_key"]).is_empty());

    let app = App::start_with(|config| {
        change_both(config);
        config.apps.first.wecom.previous_callback_token = None;
    })
    .await;
    assert!(!app.wecom.say("zhangsan", "/help").await.accepted());
    assert!(!logs.with(&["refused", "wrong_signature", "wecom.callback_token"]).is_empty());
}

#[tokio::test]
async fn no_change_is_not_talked_about() {
    let logs = Logs::capture();
    let app = App::start().await;
    app.say("zhangsan", "/help").await;
    app.texts("zhangsan", 1).await;
    assert!(logs.with(&["wecom.previous_"]).is_empty());
}
