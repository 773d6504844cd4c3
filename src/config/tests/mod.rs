//! Stories of the whole room: from files and variables to a configuration or to faults.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use tempfile::TempDir;

use super::{
    Config, Environment, Faults, Loaded, Tls, chat::Language, file, layers::EXAMPLE, platform::Platform,
    variable::variable_of,
};
use crate::{
    model::{id::AgentId, key::Scope, second_factor::SecondFactor},
    safety::personal::Kind,
};

mod apps;
mod others;
mod secrets;
mod stored;

/// 43 letters.
const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ";

/// The values without a default.
const NEEDED: [(&str, &str); 6] = [
    ("QIMATE_WECOM__CORP_ID", "ww1436e0e65a779aee"),
    ("QIMATE_WECOM__AGENT_ID", "1000002"),
    ("QIMATE_WECOM__SECRET", "app-secret"),
    ("QIMATE_WECOM__CALLBACK_TOKEN", "callbackToken"),
    ("QIMATE_WECOM__ENCODING_AES_KEY", AES_KEY),
    ("QIMATE_LLM__API_KEY", "sk-key"),
];

/// The needed values and `more`; an empty one of `more` takes a needed one away.
fn variables(more: &[(&str, &str)]) -> Environment {
    Environment::from_pairs(NEEDED.iter().chain(more).copied())
}

fn load(more: &[(&str, &str)]) -> Result<Loaded, Faults> {
    Config::load(None, &variables(more))
}

fn good(more: &[(&str, &str)]) -> Loaded {
    load(more).unwrap_or_else(|faults| panic!("{faults}"))
}

fn faults(more: &[(&str, &str)]) -> String {
    load(more).expect_err("a fault").told(Language::English)
}

/// A directory with a `config.toml`.
fn with_file(text: &str) -> (TempDir, PathBuf) {
    let directory = TempDir::new().expect("directory");
    let path = directory.path().join("config.toml");
    fs::write(&path, text).expect("file");
    (directory, path)
}

/// The line of `describe` for `key`, split at its columns.
fn described(loaded: &Loaded, key: &str) -> (String, String) {
    let table = loaded.describe();
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(key)).expect(key);
    let (origin, value) = line[key.len()..].trim_start().split_once("  ").expect("columns");
    (origin.to_owned(), value.trim_start().to_owned())
}

#[test]
fn the_example_and_what_is_read_are_the_same_keys() {
    let mut faults = Vec::new();
    let entries = file::parse("example", EXAMPLE, &mut faults).expect("TOML");
    let example: Vec<_> = entries.iter().map(|(key, _)| key.as_str()).collect();
    assert!(faults.is_empty());
    assert_eq!(BTreeSet::from_iter(good(&[]).keys()), BTreeSet::from_iter(example.iter().copied()));
}

#[test]
fn every_key_of_the_example_has_its_comment() {
    let mut above = "";
    for line in EXAMPLE.lines() {
        let key = !line.is_empty() && !line.starts_with(['#', '[']);
        // Keys that stand together share the comment of the first.
        assert!(!key || !above.is_empty(), "no comment above: {line}");
        above = line;
    }
}

#[test]
fn without_any_setting_exactly_six_values_are_missing() {
    let told = Config::load(None, &Environment::default()).expect_err("faults");
    assert_eq!(told.iter().count(), 6);
    insta::assert_snapshot!(told.told(Language::English), @"
    wecom.corp_id: is missing; set it in [wecom] or as QIMATE_WECOM__CORP_ID to your enterprise's id (我的企业 → 企业信息 → 企业ID)
    wecom.agent_id: is missing; set it in [wecom] or as QIMATE_WECOM__AGENT_ID to the app's AgentId (应用管理 → 自建 → 应用)
    wecom.secret: is missing; set it in [wecom] or as QIMATE_WECOM__SECRET to the app's Secret (应用管理 → 自建 → 应用)
    wecom.callback_token: is missing; set it in [wecom] or as QIMATE_WECOM__CALLBACK_TOKEN to the callback's Token (应用 → 接收消息)
    wecom.encoding_aes_key: is missing; set it in [wecom] or as QIMATE_WECOM__ENCODING_AES_KEY to the callback's EncodingAESKey (应用 → 接收消息)
    llm.api_key: is missing; set it in [llm] or as QIMATE_LLM__API_KEY to your OpenAI key, or set llm.base_url to another API
    ");
}

#[test]
fn the_defaults_are_the_examples() {
    let Config {
        server,
        tls,
        apps,
        llm,
        chat,
        menu,
        pictures,
        voice,
        images,
        safety,
        web,
        tools,
        team,
        v1,
        admin,
        storage,
        secrets,
        alerts,
        log,
        platform,
    } = good(&[]).config;
    assert_eq!((server.listen.to_string(), server.callback_path.as_str()), ("0.0.0.0:8080".to_owned(), "/wxcomapp"));
    assert_eq!((apps.first.wecom.agent_id, apps.first.wecom.proxy), (AgentId::new(1_000_002), None));
    assert_eq!((llm.temperature, llm.reasoning_effort, llm.max_output_tokens), (None, None, None));
    assert_eq!((chat.idle, chat.welcome), (Some(Duration::from_secs(3600)), None));
    let masked: Vec<_> = safety.mask.iter().map(Kind::name).collect();
    assert_eq!(masked, ["id_card", "bank_card", "secret"]);
    assert_eq!((pictures.question, pictures.max_bytes, pictures.shown_again), (Duration::from_secs(6), 20 << 20, 3));
    assert_eq!(chat.join, Duration::from_millis(1500));
    assert_eq!(admin.second_factor, SecondFactor::Required);
    assert_eq!((v1.enabled, v1.max_body, v1.trusted_proxies), (false, 20 << 20, Vec::new()));
    let super::v1::MemberKeys { most, life, scope } = v1.member_keys;
    assert_eq!((most, life, scope), (0, Duration::from_secs(90 * 86_400), Scope::default()));
    assert_eq!((voice.transcription_model, voice.show_transcript), (None, true));
    assert_eq!(
        (images.model, images.base_url, images.size, images.timeout),
        (None, None, None, Duration::from_secs(180))
    );
    assert_eq!((web.read_links, web.ports, web.allow_hosts.len()), (false, vec![80, 443], 0));
    assert_eq!((tools.web, tools.max_calls, tools.mcp.len()), (false, 5, 0));
    assert_eq!((storage.data_dir.as_path(), storage.max_size_mib), (Path::new("data"), None));
    assert!(secrets.keys.is_none());
    assert_eq!((team.currency.as_str(), team.contact), ("元", None));
    assert_eq!((tls, alerts.operators.len(), alerts.webhook_url), (Tls::Off, 0, None));
    assert_eq!((log.level.as_str(), log.message_text), ("info", false));
    assert_eq!((platform, server.check_at_start, menu.enabled), (Platform::Any, true, true));
    assert!(menu.entries.is_empty());
}

#[test]
fn faults_are_told_in_chinese_first() {
    let told = load(&[
        ("QIMATE_WECOM__CORP_ID", ""),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "a b"),
        ("QIMATE_LLM__MODEL_FILE", "/nowhere"),
        ("QIMATE_LLM__MODLE", "x"),
        ("QIMATE_CHAT__IDLE_MINUTES", "soon"),
        ("QIMATE_STORAGE__KEEP_DAYS", "0"),
    ]);
    insta::assert_snapshot!(told.expect_err("faults"), @"
    llm.model：指定的文件不存在；应为一个可以读取的文件的路径，文件里只有这个值（来自 QIMATE_LLM__MODEL_FILE）
    QIMATE_LLM__MODLE：没有这个变量；是不是 QIMATE_LLM__MODEL？
    wecom.corp_id：没有填写；在配置文件的 [wecom] 或环境变量 QIMATE_WECOM__CORP_ID 里填写：企业ID（我的企业 → 企业信息 → 企业ID）
    wecom.callback_token：含有字母和数字以外的字符；应为与管理后台相同的 1 到 32 个字母或数字（来自 QIMATE_WECOM__CALLBACK_TOKEN）
    chat.idle_minutes：不是整数；应只有数字（来自 QIMATE_CHAT__IDLE_MINUTES）
    storage.keep_days：是 0；应为 1 到 3650 的整数（来自 QIMATE_STORAGE__KEEP_DAYS）
    ");
}

#[test]
fn faults_are_told_in_the_language_that_was_set() {
    let language = |text: &str| {
        let (_directory, path) = with_file(text);
        Config::load(Some(&path), &Environment::default()).expect_err("faults").language()
    };
    assert_eq!(language("[chat]\nlanguage = \"en\"\n"), Language::English);
    assert_eq!(language("[chat]\nlanguage = \"fr\"\n"), Language::Chinese);
    assert_eq!(language(""), Language::Chinese);
}

#[test]
fn a_model_of_ones_own_needs_no_key() {
    let own = [("QIMATE_LLM__API_KEY", ""), ("QIMATE_LLM__BASE_URL", "http://localhost:11434/v1/")];
    let llm = good(&own).config.llm;
    assert_eq!((llm.base_url.as_str(), llm.api_key), ("http://localhost:11434/v1", None));
}

#[test]
fn the_environment_wins_over_the_file_and_the_file_over_the_example() {
    let (directory, path) = with_file("[llm]\nmodel = \"of-file\"\nmax_retries = 1\n[chat]\nlanguage = \"en\"\n");
    let environment = variables(&[("QIMATE_LLM__MODEL", " of-env\r")]);
    let by_path = Config::load(Some(&path), &environment).expect("configuration");
    assert_eq!(by_path.config.llm.model, "of-env");
    assert_eq!(by_path.config.llm.max_retries, 1);
    assert_eq!(by_path.config.chat.language, Language::English);
    assert_eq!(described(&by_path, "llm.model"), ("QIMATE_LLM__MODEL".to_owned(), "of-env".to_owned()));
    assert_eq!(described(&by_path, "llm.max_retries"), (format!("{}:3", path.display()), "1".to_owned()));
    assert_eq!(described(&by_path, "chat.backlog_notice"), ("default".to_owned(), "5".to_owned()));

    let by_directory = Config::load(None, &variables(&[]).in_directory(directory.path())).expect("configuration");
    assert_eq!(by_directory.config.llm.model, "of-file");

    let other = with_file("[llm]\nmodel = \"of-variable\"\n");
    let named = variables(&[("QIMATE_CONFIG", other.1.to_str().expect("path"))]).in_directory(directory.path());
    assert_eq!(Config::load(None, &named).expect("configuration").config.llm.model, "of-variable");
    assert_eq!(Config::load(Some(&path), &named).expect("configuration").config.llm.model, "of-file");
}

#[test]
fn a_file_that_is_named_must_be_there_and_the_usual_one_need_not() {
    let directory = TempDir::new().expect("directory");
    assert!(Config::load(None, &variables(&[]).in_directory(directory.path())).is_ok());

    let told = Config::load(Some(Path::new("/nowhere/q.toml")), &Environment::default()).expect_err("a fault");
    assert_eq!(
        told.told(Language::English),
        "/nowhere/q.toml: is not there; expected a readable file in TOML (from --config)",
        "what a file would hold is not called missing"
    );
    fs::create_dir(directory.path().join("config.toml")).expect("directory");
    let told = Config::load(None, &variables(&[]).in_directory(directory.path())).expect_err("a fault");
    assert!(told.told(Language::English).contains("config.toml: is a directory; "), "{told}");
}

#[test]
fn values_are_read_from_files_that_variables_name() {
    let directory = TempDir::new().expect("directory");
    let path = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).expect("file");
        path.to_str().expect("path").to_owned()
    };
    let (key, retries, empty) = (path("key", "sk-of-file\r\n"), path("retries", "7\n"), path("empty", "\n"));
    let loaded = good(&[
        ("QIMATE_LLM__API_KEY", ""),
        ("QIMATE_LLM__API_KEY_FILE", &key),
        ("QIMATE_LLM__MAX_RETRIES_FILE", &retries),
    ]);
    assert_eq!(loaded.config.llm.api_key.as_ref().map(|key| key.expose().as_str()), Some("sk-of-file"));
    assert_eq!(loaded.config.llm.max_retries, 7);
    assert_eq!(described(&loaded, "llm.api_key"), ("QIMATE_LLM__API_KEY_FILE".to_owned(), "***".to_owned()));

    let told = faults(&[
        ("QIMATE_LLM__API_KEY_FILE", &key),
        ("QIMATE_LLM__MODEL_FILE", &empty),
        ("QIMATE_WECOM__SECRET", ""),
        ("QIMATE_WECOM__SECRET_FILE", "the-secret-itself"),
    ]);
    insta::assert_snapshot!(told, @"
    llm.api_key: is set twice, here and by QIMATE_LLM__API_KEY_FILE; expected one of them (from QIMATE_LLM__API_KEY)
    llm.model: has a file with nothing in it; expected the path of a readable file that holds the value and nothing else (from QIMATE_LLM__MODEL_FILE)
    wecom.secret: has a file that is not there; expected the path of a readable file that holds the value and nothing else (from QIMATE_WECOM__SECRET_FILE)
    ");
}

#[test]
fn unknown_names_are_faults_with_the_nearest_known_one() {
    let (_directory, path) = with_file("[wecom]\ncorpid = \"ww1\"\n[openai]\napi_key = \"k\"\nflavour = 1\n");
    let environment = variables(&[
        ("QIMATE_LLM_MODEL", "a"),
        ("QIMATE_LLM__MODLE", "a"),
        ("qimate_chat__welcome", "a"),
        ("QIMATE_LLM__API_KEY_FIEL", "a"),
        ("QIMATE_SERVER_PORT", "80"),
        ("QIMATE_X__Y", ""),
    ]);
    let told = Config::load(Some(&path), &environment).expect_err("faults").told(Language::English);
    insta::assert_snapshot!(told.replace(&*path.to_string_lossy(), "config.toml"), @"
    wecom.corpid: is not a known key; did you mean wecom.corp_id? (from config.toml:2)
    openai.api_key: is not a known key; did you mean llm.api_key? (from config.toml:4)
    openai.flavour: is not a known key; config.example.toml lists every key (from config.toml:5)
    QIMATE_LLM_MODEL: is not a known variable; did you mean QIMATE_LLM__MODEL?
    QIMATE_LLM__API_KEY_FIEL: is not a known variable; did you mean QIMATE_LLM__API_KEY_FILE?
    QIMATE_LLM__MODLE: is not a known variable; did you mean QIMATE_LLM__MODEL?
    QIMATE_SERVER_PORT: is not a known variable; expected QIMATE_SECTION__KEY for a section and key of config.example.toml
    qimate_chat__welcome: is not a known variable; did you mean QIMATE_CHAT__WELCOME?
    ");
}

#[test]
fn variables_that_others_set_are_none_of_ours() {
    good(&[
        ("QIMATE_PORT", "tcp://10.0.0.1:8080"),
        ("QIMATE_VERSION", "1"),
        ("QIMATE_SERVER_PORT", "tcp://10.0.0.1:8080"),
        ("QIMATE_SERVER_SERVICE_HOST", "10.0.0.1"),
        ("QIMATE_SERVER_SERVICE_PORT_HTTP", "8080"),
        ("QIMATE_SERVER_PORT_8080_TCP_ADDR", "10.0.0.1"),
    ]);
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let (_directory, path) = with_file(
        "[server]\nlisten = 8080\ncallback_path = \"/healthz\"\n[wecom]\nagent_id = true\ntimeout_seconds = \"10\"\n\
         [llm]\nmodel = \"\"\ntemperature = 3\nextra_headers = { \"X-A\" = 1 }\n[chat]\nlanguage = \"de\"\n\
         progressive = \"yes\"\n[storage]\nmax_size_mib = 1\nkeep_days = 1.5\n[log]\nlevel = \"loud\"\n",
    );
    let environment = variables(&[
        ("QIMATE_WECOM__AGENT_ID", ""),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "short"),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "a token"),
        ("QIMATE_LLM__BASE_URL", "api.openai.com/v1"),
        ("QIMATE_LLM__MAX_RETRIES", "many"),
        ("QIMATE_CHAT__MAX_CONCURRENT_TURNS", "0"),
    ]);
    let told = Config::load(Some(&path), &environment).expect_err("faults").told(Language::English);
    insta::assert_snapshot!(told.replace(&*path.to_string_lossy(), "config.toml"), @r#"
    server.listen: is a number; expected text in quotes (from config.toml:2)
    server.callback_path: is taken by Qimate itself; expected such as /wxcomapp (from config.toml:3)
    wecom.agent_id: is not a whole number; expected digits only, such as 1000002 (from config.toml:5)
    wecom.callback_token: holds something else than letters and digits; expected 1 to 32 letters and digits, the same as in WeCom's console (from QIMATE_WECOM__CALLBACK_TOKEN)
    wecom.encoding_aes_key: has 5 characters; expected exactly 43 letters and digits, the same as in WeCom's console (from QIMATE_WECOM__ENCODING_AES_KEY)
    wecom.timeout_seconds: is text; expected a whole number without quotes (from config.toml:6)
    llm.base_url: does not begin with http:// or https://; expected a URL such as https://api.example.com/v1 (from QIMATE_LLM__BASE_URL)
    llm.model: is empty; expected a value, or no such line, for the default (from config.toml:8)
    llm.temperature: is 3; expected a number from 0 to 2, or "" (from config.toml:9)
    llm.max_retries: is not a whole number; expected digits only (from QIMATE_LLM__MAX_RETRIES)
    llm.extra_headers: holds a value that is not text; expected every value in quotes, and the keys of the section above [llm.extra_headers] (from config.toml:10)
    chat.language: is none of the choices; expected "zh" or "en" (from config.toml:12)
    chat.max_concurrent_turns: is 0; expected a whole number from 1 to 10000 (from QIMATE_CHAT__MAX_CONCURRENT_TURNS)
    chat.progressive: is text; expected true or false without quotes (from config.toml:13)
    storage.max_size_mib: is 1; expected a whole number from 16 to 1048576, or 0 (from config.toml:15)
    storage.keep_days: is a number with a fraction; expected a whole number without quotes (from config.toml:16)
    log.level: is not a level; expected error, warn, info, debug or trace, or such as info,qimate::chat=debug (from config.toml:18)
    "#);
}
