//! `[apps.NAME]`: several applications beside, or instead of, that of `[wecom]`.

use super::*;
use crate::{config::app::KEYS, model::privacy::Privacy};

/// A section that an application needs at least.
fn section(name: &str, agent: u32) -> String {
    format!(
        "[apps.{name}]\nagent_id = {agent}\nsecret = \"hunter2{name}\"\ncallback_token = \"Token{agent}\"\n\
         encoding_aes_key = \"{AES_KEY}\"\n"
    )
}

fn load_text(text: &str, more: &[(&str, &str)]) -> Result<Loaded, Faults> {
    let (_directory, path) = with_file(text);
    Config::load(Some(&path), &Environment::from_pairs(more.iter().copied()))
}

fn told(text: &str, more: &[(&str, &str)]) -> String {
    let told = load_text(text, more).expect_err("a fault").told(Language::English);
    // The file has another name in each test.
    let lines = told.lines().map(|line| match line.rsplit_once(" (from ") {
        Some((line, from)) if from.contains("config.toml:") => {
            format!("{line} (from config.toml:{}", from.rsplit(':').next().unwrap_or_default())
        }
        _ => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

const CORP: &str = "[wecom]\ncorp_id = \"ww1436e0e65a779aee\"\nproxy = \"http://proxy:3128\"\n[llm]\napi_key = \"sk\"\n\
                    [chat]\nidle_minutes = 5\nwelcome = \"hi\"\n";

#[test]
fn two_applications_of_one_corp_share_what_they_do_not_set() {
    let text = format!(
        "{CORP}{}callback_path = \"/hr\"\nmodel = \"gpt-4o\"\nwelcome = \"\"\nmax_concurrent_turns = 3\nprivacy = \"nothing\"\n{}system_prompt = \"it\"\n",
        section("hr", 7),
        section("it", 8)
    );
    let loaded = load_text(&text, &[]).unwrap_or_else(|faults| panic!("{faults}"));
    let config = &loaded.config;
    let names: Vec<_> = config.apps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["hr", "it"]);
    let [hr, it] = [config.of(&config.apps.first), config.of(&config.apps.more[0])];
    for one in [&hr, &it] {
        let wecom = &one.apps.first.wecom;
        assert_eq!((wecom.corp_id.as_str(), wecom.proxy.is_some()), ("ww1436e0e65a779aee", true));
        assert_eq!(one.chat.idle, Some(Duration::from_secs(300)));
        assert!(one.apps.more.is_empty(), "the only one that its parts see");
    }
    assert_eq!((hr.server.callback_path.as_str(), it.server.callback_path.as_str()), ("/hr", "/wxcomapp/it"));
    assert_eq!((hr.llm.model.as_str(), it.llm.model.as_str()), ("gpt-4o", "gpt-4o-mini"));
    assert_eq!((it.llm.system_prompt.as_str(), hr.llm.system_prompt == config.llm.system_prompt), ("it", true));
    assert_eq!((hr.chat.welcome.clone(), it.chat.welcome.as_deref()), (None, Some("hi")));
    assert_eq!((hr.chat.max_concurrent_turns, it.chat.max_concurrent_turns), (3, 256));
    assert_eq!((hr.chat.privacy, it.chat.privacy), (Privacy::Nothing, Privacy::Full));
    assert_eq!((hr.chat.summary, it.chat.summary), (false, true), "there is nothing to be summed up");
    let offered: Vec<_> = config.llm.all_upstreams()[0].models.iter().map(|model| model.name.clone()).collect();
    assert_eq!(offered, ["gpt-4o-mini", "gpt-4o"], "whoever asks for it finds it");

    assert_eq!(described(&loaded, "apps.hr.secret").1, "***");
    assert_eq!(described(&loaded, "apps.hr.model").1, "gpt-4o");
    assert!(!loaded.describe().contains("apps.it.model"), "only what is its own");
    assert!(!loaded.describe().contains(CANARY));
}

const CANARY: &str = "hunter2";

#[test]
fn the_application_of_wecom_stands_beside_the_others() {
    let one = [
        ("QIMATE_APPS__HR__AGENT_ID", "7"),
        ("QIMATE_APPS__HR__SECRET", "s"),
        ("QIMATE_APPS__HR__CALLBACK_TOKEN", "t"),
        ("QIMATE_APPS__HR__ENCODING_AES_KEY", AES_KEY),
        ("QIMATE_ALERTS__APP", "hr"),
    ];
    let loaded = good(&one);
    let names: Vec<_> = loaded.config.apps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ww1436e0e65a779aee/1000002", "hr"]);
    assert_eq!(loaded.config.apps.more[0].wecom.corp_id.as_str(), "ww1436e0e65a779aee");
    assert_eq!(loaded.config.speaker().to_string(), "hr");
    assert_eq!(described(&loaded, "apps.hr.secret").0, "QIMATE_APPS__HR__SECRET");
    assert_eq!(good(&[]).config.speaker().to_string(), "ww1436e0e65a779aee/1000002");
}

#[test]
fn a_secret_of_an_application_is_read_from_a_file() {
    let (_directory, path) = with_file("hunter2\n");
    let path = path.display().to_string();
    let text = format!("{CORP}{}", section("hr", 7).replace("secret = \"hunter2hr\"\n", ""));
    let loaded =
        load_text(&text, &[("QIMATE_APPS__HR__SECRET_FILE", &path)]).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(loaded.config.apps.first.wecom.secret.expose(), "hunter2");
}

#[test]
fn what_is_wrong_with_applications_is_told_at_once() {
    let text = format!(
        "{CORP}{}callback_path = \"/healthz\"\n{}callback_path = \"/wxcomapp/it\"\n{}{}\
         [apps.HR]\nsecret = \"hunter2\"\nagent_id = 1\n[apps.empty]\n[apps.half]\nsecert = \"hunter2\"\nidle_minutes = \"x\"\n",
        section("a", 7),
        section("b", 8),
        section("it", 9),
        section("same", 8)
    );
    let told = told(&text, &[("QIMATE_APPS__IT__SECRT", "hunter2"), ("QIMATE_APPS__IT_", "x")]);
    assert!(!told.contains(CANARY), "{told}");
    insta::assert_snapshot!(told, @"
    apps.HR: has a name that no application can have; expected 1 to 32 small letters, digits and single _, beginning with a letter, such as hr (from config.toml:32)
    apps.empty: holds no settings of an application; expected a section [apps.NAME] with agent_id, secret and the others (from config.toml:34)
    apps.half.secert: is no key of an application; did you mean apps.half.secret? (from config.toml:36)
    QIMATE_APPS__IT_: is not a known variable; expected QIMATE_SECTION__KEY for a section and key of config.example.toml
    QIMATE_APPS__IT__SECRT: is not a known variable; did you mean QIMATE_APPS__IT__SECRET?
    apps.a.callback_path: is taken by Qimate itself; expected such as /wxcomapp (from config.toml:14)
    apps.half.agent_id: is missing; set it in [apps.half] or as QIMATE_APPS__HALF__AGENT_ID to the app's AgentId (应用管理 → 自建 → 应用)
    apps.half.secret: is missing; set it in [apps.half] or as QIMATE_APPS__HALF__SECRET to the app's Secret (应用管理 → 自建 → 应用)
    apps.half.callback_token: is missing; set it in [apps.half] or as QIMATE_APPS__HALF__CALLBACK_TOKEN to the callback's Token (应用 → 接收消息)
    apps.half.encoding_aes_key: is missing; set it in [apps.half] or as QIMATE_APPS__HALF__ENCODING_AES_KEY to the callback's EncodingAESKey (应用 → 接收消息)
    apps.half.idle_minutes: is text; expected a whole number without quotes (from config.toml:37)
    apps.it.callback_path: is that of b, too; expected a path of its own for each
    apps.same.agent_id: makes it the same application as b; expected a corp id with an AgentId of its own for each
    ");
}

#[test]
fn who_tells_the_operators_is_one_of_them() {
    let text = format!("{CORP}{}[alerts]\napp = \"it\"\n", section("hr", 7));
    insta::assert_snapshot!(told(&text, &[]), @r#"alerts.app: is no application; expected "" or a name in [apps]: hr"#);
}

#[test]
fn without_wecom_each_application_needs_its_corp() {
    let told = told(&format!("[llm]\napi_key = \"sk\"\n{}", section("hr", 7)), &[]);
    insta::assert_snapshot!(told, @"apps.hr.corp_id: is missing; set it in [apps.hr] or as QIMATE_APPS__HR__CORP_ID to your enterprise's id (我的企业 → 企业信息 → 企业ID)");
}

#[test]
fn a_model_of_an_application_is_one_that_is_offered() {
    let text = format!(
        "{CORP}model = \"chat\"\n[[llm.upstreams]]\nname = \"u\"\nbase_url = \"https://u/v1\"\nmodels = [\"chat\", \"smart\"]\n\
         {}model = \"wise\"\nmodels = [\"smart\", \"wise\"]\n{}models = \"smart, chat\"\n",
        section("hr", 7),
        section("it", 8)
    )
    .replace("[chat]\nidle_minutes = 5\nwelcome = \"hi\"\nmodel = \"chat\"", "model = \"chat\"");
    insta::assert_snapshot!(told(&text, &[]), @"
    apps.hr.model: is offered by no upstream; expected the alias of one of llm.upstreams' models
    apps.hr.models: wise: is offered by no upstream; expected the alias of one of llm.upstreams' models
    ");
    let good = text.replace("model = \"wise\"\nmodels = [\"smart\", \"wise\"]", "");
    let config = load_text(&good, &[]).unwrap_or_else(|faults| panic!("{faults}")).config;
    assert_eq!(config.of(&config.apps.more[0]).llm.allowed, ["smart".into(), "chat".into()]);
}

#[test]
fn an_application_keeps_at_most_as_long_as_the_instance() {
    let text = |all: u32, hr: u32| {
        format!(
            "{CORP}keep_days = {all}\n[storage]\nkeep_days = 20\n{}keep_days = {hr}\n{}{}keep_days = 0\n",
            section("hr", 7),
            section("it", 8),
            section("lab", 9)
        )
    };
    let config = load_text(&text(7, 20), &[]).unwrap_or_else(|faults| panic!("{faults}")).config;
    let days: Vec<_> = config.apps.iter().map(|app| config.of(app).chat.keep_days()).collect();
    assert_eq!(days, [Some(20), Some(7), None]);
    assert_eq!(good(&[]).config.chat.keep, None, "as long as the instance");
    // Each where it stands.
    insta::assert_snapshot!(told(&text(30, 21), &[]), @"
    chat.keep_days: is 30, and storage.keep_days is 20; expected 1 to 20, or 0 for as long as that; to keep more, raise storage.keep_days (from config.toml:9)
    apps.hr.keep_days: is 21, and storage.keep_days is 20; expected 1 to 20, or 0 for as long as that; to keep more, raise storage.keep_days (from config.toml:17)
    ");
    insta::assert_snapshot!(told(&text(7, 4000), &[]), @"apps.hr.keep_days: is 4000; expected a whole number from 1 to 3650, or 0 (from config.toml:17)");
    let chinese = load_text(&text(7, 21), &[]).expect_err("a fault").told(Language::Chinese);
    assert!(chinese.contains("是 21，多于 storage.keep_days 的 20；应为 1 到 20 的整数"), "{chinese}");
}

#[test]
fn every_key_of_an_application_is_in_the_example() {
    for key in &KEYS {
        assert!(EXAMPLE.contains(&format!("#   {} = ", key.own)), "{} is not told in the example", key.own);
    }
}

/// A command that writes the file anew keeps the applications that it does not ask about.
#[test]
fn a_file_that_is_written_anew_keeps_its_applications() {
    let (_directory, path) = with_file(&format!("{CORP}{}", section("hr", 7)));
    let mut draft = crate::config::Draft::begin(&path, &Environment::default());
    for (key, text) in [("wecom.agent_id", "1000002"), ("wecom.secret", "s"), ("wecom.callback_token", "T")] {
        let _ = draft.answer(key, text);
    }
    draft.answer("wecom.encoding_aes_key", AES_KEY).expect("a key");
    for key in ["wecom.agent_id", "wecom.secret", "wecom.callback_token"] {
        draft.keep(key).expect(key);
    }
    let text = draft.file("", |_| None).text();
    let loaded = load_text(&text, &[]).unwrap_or_else(|faults| panic!("{text}\n{faults}"));
    let names: Vec<_> = loaded.config.apps.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["ww1436e0e65a779aee/1000002", "hr"]);
}

#[test]
fn an_application_has_a_menu_of_its_own_or_that_of_all() {
    let text = format!(
        "{CORP}[menu]\nentries = [{{ name = \"帮助\", command = \"/help\" }}]\n{}\
         [[apps.hr.menu_entries]]\nname = \"请假制度\"\nurl = \"https://hr.example.com/leave\"\n{}menu_enabled = false\n",
        section("hr", 7),
        section("it", 8)
    );
    let loaded = load_text(&text, &[]).unwrap_or_else(|faults| panic!("{faults}"));
    let config = &loaded.config;
    let [hr, it] = [config.of(&config.apps.first), config.of(&config.apps.more[0])].map(|config| config.menu);
    assert_eq!((hr.enabled, it.enabled), (true, false));
    assert_eq!(it.entries, config.menu.entries);
    assert_eq!(described(&loaded, "apps.hr.menu_entries").1, "请假制度 → https://hr.example.com/leave");
    insta::assert_snapshot!(told(&text.replace("请假制度", "请假制度和流程"), &[]), @"apps.hr.menu_entries: [1]: name: has 21 bytes; expected one line of at most 16 bytes: 5 Chinese characters or 16 letters (from config.toml:16)");
}
