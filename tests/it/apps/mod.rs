//! Several applications in one process: each has its callbacks, its access token, its pace, its conversations and its
//! failures for itself.

mod told;

use std::time::Duration;

use futures_util::future::join_all;
use qimate::{
    clock::{Clock, ManualClock, Timestamp},
    config::{self, Config, Environment},
    model::id::{AgentId, CorpId},
    sandbox::{
        emulator::{Emulator, EmulatorSettings},
        model::{Gate, ModelReply},
    },
    secret::Secret,
};
use serde_json::Value;

use crate::harness::{App, within};

/// The enterprise of the harness's own application.
const SAME_CORP: &str = "ww1436e0e65a779aee";

/// A company with a second application, `hr`, in a cloud of its own.
pub struct Two {
    pub app: App,
    pub hr: Emulator,
}

impl Two {
    /// Both of one enterprise.
    async fn start(more: &[(&str, &str)]) -> Self {
        Self::start_with(SAME_CORP, more, |_| {}).await
    }

    /// The second one of `corp`; `more` are the variables of its section.
    pub async fn start_with(corp: &str, more: &[(&str, &str)], change: impl FnOnce(&mut Config)) -> Self {
        let hr = another(corp).await;
        let section = section(&hr, more);
        let app = App::start_with(|config| {
            config.apps.more.push(section);
            // The time is moved on while calls are under way.
            config.apps.first.wecom.timeout = Duration::from_secs(24 * 3600);
            change(config);
        })
        .await;
        let two = Self { app, hr };
        two.lead();
        two
    }

    /// Leads the second application's callbacks to the daemon.
    pub fn lead(&self) {
        self.hr.set_callback_url(self.app.url("/wxcomapp/hr"));
    }

    pub async fn say_to_hr(&self, member: &str, text: &str) {
        assert!(within(self.hr.say(member, text)).await.accepted());
    }

    /// Waits until a member has so many messages of the second application.
    pub async fn texts_of_hr(&self, member: &str, count: usize) -> Vec<String> {
        let of_member =
            |all: &[_]| all.iter().filter(|one: &&qimate::sandbox::emulator::Delivered| one.member == member).count();
        within(self.hr.wait_delivered(|all| of_member(all) >= count)).await;
        self.hr.messages_for(member).into_iter().map(|message| message.content).collect()
    }
}

/// WeCom's cloud of another application.
async fn another(corp: &str) -> Emulator {
    let clock = Clock::Manual(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
    Emulator::start(EmulatorSettings::invent(CorpId::parse(corp).unwrap(), AgentId::new(1_000_003)), clock)
        .await
        .unwrap()
}

/// The section `[apps.hr]` as the daemon reads it.
fn section(hr: &Emulator, more: &[(&str, &str)]) -> config::App {
    let settings = hr.settings();
    let variables = [
        ("CORP_ID", settings.corp_id.to_string()),
        ("AGENT_ID", settings.agent_id.to_string()),
        ("SECRET", settings.secret.expose().clone()),
        ("CALLBACK_TOKEN", settings.callback_token.expose().clone()),
        ("ENCODING_AES_KEY", settings.encoding_aes_key.expose().clone()),
        ("API_BASE", hr.api_base()),
        ("TIMEOUT_SECONDS", "3600".to_owned()),
        ("SYSTEM_PROMPT", "人事".to_owned()),
        ("MODEL", "qimate-demo".to_owned()),
    ];
    let own = variables.into_iter().chain(more.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let own = own.map(|(key, value)| (format!("QIMATE_APPS__HR__{key}"), value));
    let needed = [("QIMATE_LLM__API_KEY".to_owned(), "sk".to_owned())];
    Config::load(None, &Environment::from_pairs(own.chain(needed))).expect("configuration").config.apps.first
}

fn is_of_hr(request: &Value) -> bool {
    request["messages"][0]["content"] == "人事"
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

#[tokio::test]
async fn a_member_has_a_conversation_with_each_of_two_applications_of_one_corp() {
    let two = Two::start(&[]).await;
    two.app.model.set_script(|request| answer(if is_of_hr(request) { "人事的回答" } else { "回答" }));
    two.app.say("zhangsan", "第一个问题").await;
    two.say_to_hr("zhangsan", "人事的问题").await;
    assert_eq!(two.app.texts("zhangsan", 1).await, ["回答"]);
    assert_eq!(two.texts_of_hr("zhangsan", 1).await, ["人事的回答"]);
    two.app.settled().await;
    two.say_to_hr("zhangsan", "再问人事").await;
    two.texts_of_hr("zhangsan", 2).await;

    let requests = two.app.model.requests();
    let of_hr: Vec<_> = requests.iter().filter(|request| is_of_hr(&request.body)).collect();
    assert_eq!(of_hr.len(), 2);
    assert_eq!(of_hr[1].contents("user"), ["人事的问题", "再问人事"], "nothing of what the other was asked");
    two.app.settled().await;
    assert_eq!(two.app.count("SELECT COUNT(DISTINCT lane) FROM conversation"), 2);
    assert_eq!((two.app.wecom.delivered().len(), two.hr.delivered().len()), (1, 2));
    assert_eq!(
        (two.app.wecom.counters().gettoken, two.hr.counters().gettoken),
        (1, 1),
        "each with its own access token"
    );
}

#[tokio::test]
async fn one_application_keeps_no_texts_and_the_other_all() {
    let two = Two::start(&[("PRIVACY", "metadata")]).await;
    two.app.model.set_script(|request| answer(if is_of_hr(request) { "人事的回答" } else { "回答" }));
    two.app.say("zhangsan", "问题").await;
    two.say_to_hr("zhangsan", "人事的问题").await;
    two.app.texts("zhangsan", 1).await;
    two.texts_of_hr("zhangsan", 1).await;
    two.app.settled().await;
    let kept = |agent: u32| {
        two.app.count(&format!(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE event <> '' AND lane LIKE '%/{agent}/%')
                  + (SELECT COUNT(*) FROM outbox WHERE content <> '' AND lane LIKE '%/{agent}/%')
                  + (SELECT COUNT(*) FROM conversation c JOIN turn t ON t.conversation = c.id
                     WHERE t.question || t.answer <> '' AND lane LIKE '%/{agent}/%')"
        ))
    };
    assert_eq!((kept(1_000_002), kept(1_000_003)), (3, 0));
}

/// In one lane the second question would wait for the first answer.
#[tokio::test]
async fn a_member_is_answered_by_two_applications_at_the_same_time() {
    let two = Two::start(&[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    two.app.model.set_script(move |request| match is_of_hr(request) {
        true => answer("人事的回答"),
        false => ModelReply::Held { before: String::new(), gate: held.clone(), after: "回答".to_owned() },
    });
    two.app.say("zhangsan", "慢").await;
    within(two.app.model.wait_load(|load| load.in_flight == 1)).await;
    two.say_to_hr("zhangsan", "快").await;
    assert_eq!(two.texts_of_hr("zhangsan", 1).await, ["人事的回答"]);
    assert!(two.app.wecom.delivered().is_empty());
    gate.open();
    assert_eq!(two.app.texts("zhangsan", 1).await, ["回答"]);
    two.app.settled().await;
}

#[tokio::test]
async fn applications_of_two_corps_do_not_know_each_other() {
    let two = Two::start_with("ww-another-corp", &[], |_| {}).await;
    two.app.model.set_script(|request| answer(if is_of_hr(request) { "人事的回答" } else { "回答" }));
    // The same userid is another person there.
    two.app.say("zhangsan", "一").await;
    two.say_to_hr("zhangsan", "二").await;
    assert_eq!(two.app.texts("zhangsan", 1).await, ["回答"]);
    assert_eq!(two.texts_of_hr("zhangsan", 1).await, ["人事的回答"]);
    two.app.settled().await;
    let requests = two.app.model.requests();
    assert!(
        requests.iter().all(|request| request.contents("user").len() == 1),
        "neither hears of the other's question"
    );
    assert_eq!(two.app.count("SELECT COUNT(DISTINCT corp) FROM outbox"), 2);
}

#[tokio::test]
async fn an_application_whose_way_is_shut_holds_up_nobody_else() {
    for shut in ["address", "secret", "errcode", "silence"] {
        let secret = if shut == "secret" { [("SECRET", "wrong")].as_slice() } else { &[] };
        let two = Two::start(secret).await;
        two.app.model.set_script(|_| answer("好"));
        two.hr.trouble(|trouble| match shut {
            "address" => trouble.refuse_ip(true),
            "errcode" => trouble.fail_sends(Some(45009)),
            "silence" => trouble.hang(true),
            _ => {}
        });
        // More than it has hands to send with.
        join_all((0..80).map(|n| two.hr.say(Box::leak(format!("m{n}").into_boxed_str()), "喂"))).await;
        let waiting = || two.app.count("SELECT COUNT(*) FROM outbox WHERE agent = 1000003 AND state = 'waiting'");
        within(async {
            while waiting() < 80 {
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        })
        .await;

        for n in 0..10 {
            two.app.say(&format!("m{n}"), "喂").await;
            assert_eq!(two.app.texts(&format!("m{n}"), 1).await, ["好"], "{shut}");
        }
        assert_eq!(waiting(), 80, "{shut}: theirs wait all the time");

        if shut == "address" {
            // When it is mended, theirs arrive: nothing was lost.
            two.hr.trouble(|trouble| trouble.refuse_ip(false));
            two.app.advance_to_sleeper(1.5..=2.0).await;
            within(two.hr.wait_delivered(|all| all.len() == 80)).await;
            two.app.settled().await;
        }
    }
}

#[tokio::test]
async fn an_application_whose_members_flood_the_inbox_starves_no_other() {
    let two = Two::start_with(SAME_CORP, &[("MAX_CONCURRENT_TURNS", "4")], |config| {
        config.chat.max_concurrent_turns = 2;
    })
    .await;
    let gate = Gate::new();
    let held = gate.clone();
    two.app.model.set_script(move |request| match is_of_hr(request) {
        true => ModelReply::Held { before: String::new(), gate: held.clone(), after: "迟".to_owned() },
        false => answer("好"),
    });
    join_all((0..60).map(|n| two.hr.say(Box::leak(format!("m{n}").into_boxed_str()), "喂"))).await;
    within(two.app.model.wait_load(|load| load.in_flight == 4)).await;
    for n in 0..6 {
        two.app.say(&format!("m{n}"), "喂").await;
        assert_eq!(two.app.texts(&format!("m{n}"), 1).await, ["好"]);
    }
    assert_eq!(two.app.model.load().in_flight, 4, "its own hands are full, and no others");
    gate.open();
    within(two.hr.wait_delivered(|all| all.len() == 60)).await;
    two.app.settled().await;
}

#[tokio::test]
async fn a_callback_for_one_application_is_refused_on_the_path_of_another() {
    let two = Two::start(&[]).await;
    two.hr.set_callback_url(two.app.url("/wxcomapp"));
    assert!(!within(two.hr.say("zhangsan", "喂")).await.accepted());
    assert!(!within(two.hr.verify_url()).await);
    two.app.wecom.set_callback_url(two.app.url("/wxcomapp/hr"));
    assert!(!within(two.app.wecom.say("zhangsan", "喂")).await.accepted());
    assert_eq!(two.app.count("SELECT COUNT(*) FROM inbox"), 0);

    two.lead();
    assert!(within(two.hr.verify_url()).await, "on its own it is well");
}

/// Some enter one Token and one key everywhere: then the message itself says for whom it is.
#[tokio::test]
async fn equal_keys_do_not_let_a_message_in_on_the_wrong_path() {
    let hr = another(SAME_CORP).await;
    let app = section(&hr, &[]);
    let keys = (app.wecom.callback_token.clone(), app.wecom.encoding_aes_key.clone());
    let two = App::start_with(|config| {
        config.apps.more.push(app);
        (config.apps.first.wecom.callback_token, config.apps.first.wecom.encoding_aes_key) = keys;
    })
    .await;
    hr.set_callback_url(two.url("/wxcomapp"));
    assert!(!within(hr.say("zhangsan", "喂")).await.accepted(), "another application's AgentId");
    assert_eq!(two.count("SELECT COUNT(*) FROM inbox"), 0);
    hr.set_callback_url(two.url("/wxcomapp/hr"));
    assert!(within(hr.say("zhangsan", "喂")).await.accepted());
    two.model.set_script(|_| answer("好"));
    two.settled().await;
}

#[tokio::test]
async fn the_values_of_before_hold_for_one_application_alone() {
    let hr = another(SAME_CORP).await;
    let mut app = section(&hr, &[]);
    let (old_token, old_key) = (app.wecom.callback_token.clone(), app.wecom.encoding_aes_key.clone());
    app.wecom.previous_callback_token = Some(old_token.clone());
    app.wecom.previous_encoding_aes_key = Some(old_key.clone());
    app.wecom.callback_token = Secret::new("NewToken".to_owned());
    app.wecom.encoding_aes_key = Secret::new("jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C".to_owned());
    let two = Two { app: App::start_with(|config| config.apps.more.push(app)).await, hr };
    two.app.model.set_script(|_| answer("好"));
    two.lead();
    two.say_to_hr("zhangsan", "还是旧的").await;
    two.texts_of_hr("zhangsan", 1).await;
    two.hr.set_callback_url(two.app.url("/wxcomapp"));
    assert!(!within(two.hr.say("zhangsan", "喂")).await.accepted(), "they open no other application's");
    two.app.settled().await;
}

#[tokio::test]
async fn what_waits_of_an_application_that_is_taken_out_stays_and_goes_on_when_it_is_back() {
    let mut two = Two::start(&[]).await;
    two.app.model.set_script(|_| answer("好"));
    two.hr.trouble(|trouble| trouble.refuse_ip(true));
    two.say_to_hr("zhangsan", "喂").await;
    within(two.app.clock.sleeper_within(Duration::from_millis(1500)..=Duration::from_secs(2))).await;
    two.app.stop().await;
    let section = two.app.config.apps.more.pop().unwrap();

    two.app.launch().await;
    two.app.say("zhangsan", "喂").await;
    assert_eq!(two.app.texts("zhangsan", 1).await, ["好"]);
    assert!(!within(two.hr.say("lisi", "喂")).await.accepted(), "nobody takes its callbacks");
    let kept = "SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND agent = 1000003";
    assert_eq!(two.app.count(kept), 1, "it is kept");
    let (_, said) = crate::harness::get(two.app.operations_url("/status"), None).await;
    let status: Value = serde_json::from_str(&said).unwrap();
    let left = serde_json::json!([{ "app": "ww1436e0e65a779aee/1000003", "inbox": 0, "outbox": 1 }]);
    assert_eq!(status["left_alone"], left);
    two.app.stop().await;

    two.hr.trouble(|trouble| trouble.refuse_ip(false));
    two.app.config.apps.more.push(section);
    two.app.launch().await;
    two.lead();
    two.app.advance_to_sleeper(1.5..=2.0).await;
    assert_eq!(two.texts_of_hr("zhangsan", 1).await, ["好"]);
    two.app.settled().await;
}

#[tokio::test]
async fn each_application_has_its_own_models_and_its_own_welcome() {
    let two = Two::start(&[("MODEL", "other"), ("WELCOME", "人事欢迎你")]).await;
    let mut more = two.app.config.clone();
    more.llm.more_models.push("other".to_owned());
    let Two { mut app, hr } = two;
    app.stop().await;
    app.config = more;
    app.launch().await;
    let two = Two { app, hr };
    two.lead();
    two.app.model.set_script(|_| answer("好"));
    assert!(within(two.hr.event("zhangsan", "enter_agent")).await.accepted());
    assert_eq!(two.texts_of_hr("zhangsan", 1).await, ["人事欢迎你"]);
    assert!(within(two.app.wecom.event("zhangsan", "enter_agent")).await.accepted());
    two.say_to_hr("zhangsan", "喂").await;
    two.texts_of_hr("zhangsan", 2).await;
    two.app.say("zhangsan", "喂").await;
    assert_eq!(two.app.texts("zhangsan", 1).await, ["好"], "and no welcome");
    let models: Vec<_> = two.app.model.requests().iter().map(|request| request.body["model"].clone()).collect();
    assert_eq!(models, ["other", "qimate-demo"]);
    two.app.settled().await;
}
