//! What members ask the bot itself to do, and what it remembers of their choices.

mod cards;
mod choices;
mod help;
mod key;
mod looks;
mod menu;
mod models;
mod operators;
mod preferences;
mod retry;

use qimate::{
    config::{Config, persona::Persona, upstream::OfferedModel},
    sandbox::model::ModelReply,
};

use crate::harness::App;

/// A daemon with two models of one upstream, `qimate-demo` and `smart`, and two personas; changed further by `change`.
async fn app(change: impl FnOnce(&mut Config)) -> App {
    let mut app = App::start().await;
    app.stop().await;
    let models = ["qimate-demo", "smart"].map(|name| OfferedModel {
        alias: name.into(),
        name: format!("{name}-at-home"),
        input_price: None,
        cached_price: None,
        output_price: None,
        later: Vec::new(),
        vision: false,
        premium: false,
    });
    let mut upstream = app.config.llm.all_upstreams().remove(0);
    upstream.models = models.to_vec();
    app.config.llm.upstreams = vec![upstream];
    let persona = |name: &str, description: &str, prompt: &str| Persona {
        name: name.into(),
        description: description.to_owned(),
        prompt: prompt.to_owned(),
    };
    app.config.chat.personas = vec![persona("夫子", "说文言", "只用文言回答。"), persona("译者", "", "只给译文。")];
    change(&mut app.config);
    app.launch().await;
    app.model.set_script(|_| ModelReply::Answer("**好**".to_owned()));
    app
}

fn lane(member: &str) -> String {
    format!("ww1436e0e65a779aee/1000002/{member}")
}

/// What a member has got, once there are `count` messages and nothing is left to do: the last of them.
async fn said(app: &App, member: &str, count: usize) -> String {
    let said = app.texts(member, count).await.pop().unwrap();
    app.settled().await;
    said
}

/// What the bot says to a message, as a member's next message.
async fn ask(app: &App, member: &str, text: &str) -> String {
    let before = app.wecom.messages_for(member).len();
    app.say(member, text).await;
    said(app, member, before + 1).await
}

/// Another process writes what the member chose.
fn prefer(app: &App, member: &str, columns: &str) {
    let lane = lane(member);
    let set = format!(
        "INSERT INTO member_preference (lane, client, changed_at) VALUES ('{lane}', 'unknown', 1)
             ON CONFLICT (lane) DO NOTHING;
         UPDATE member_preference SET {columns} WHERE lane = '{lane}'"
    );
    app.database().execute_batch(&set).unwrap();
}
