//! From nothing to the first answer, as an administrator does it: the practice console, `qimate init`, the daemon.

use std::{path::Path, time::Duration};

use qimate::{
    clock::Clock,
    config::{Config, Environment},
    model::id::{AgentId, CorpId},
    sandbox::emulator::{Emulator, EmulatorSettings},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    harness::{free_port, within_seconds},
    program::{Program, value_of},
};

const KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";

/// The page's buttons.
struct Page {
    url: String,
    http: reqwest::Client,
}

impl Page {
    async fn press(&self, path: &str, body: Value) -> (u16, Value) {
        let answer = self.http.post(format!("{}api/{path}", self.url)).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn save_callback(&self, url: &str, token: &str, key: &str) -> (u16, Value) {
        self.press("console/callback", json!({"url": url, "token": token, "encoding_aes_key": key})).await
    }

    async fn state(&self) -> Value {
        self.http.get(format!("{}api/state", self.url)).send().await.unwrap().json().await.unwrap()
    }
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test(flavor = "multi_thread")]
async fn from_nothing_to_the_first_answer() {
    qimate::net::install_crypto();
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let desk = tempfile::tempdir().unwrap();
    let qimate = env!("CARGO_BIN_EXE_qimate");
    let mut demo = Program::start(&[qimate, "demo", "--set-up", "--port", "0"], desk.path(), &[], "").await;
    let open = demo.says(&["· open"]).await;
    let page = Page { url: open.split_whitespace().last().unwrap().to_owned(), http: http.clone() };
    demo.says(&["Ctrl-C"]).await;

    // The console shows what an administrator copies from it.
    let console = page.state().await["status"]["console"].clone();
    assert_eq!((&console["callback_url"], &console["visible"]), (&Value::Null, &json!(["ZhangWei"])));
    let corp_id = console["corp_id"].as_str().unwrap();
    let secret = page.press("console/secret", json!({})).await.1["secret"].as_str().unwrap().to_owned();
    assert!(!page.state().await.to_string().contains(&secret), "hidden until it is clicked");

    // The command that the demo prints, on a port that no other test takes.
    let command = demo.says(&[" init "]).await;
    let printed = value_of(&command.replace(" --", "\n--"), "--listen");
    let listen = format!("127.0.0.1:{}", free_port());
    let command = command.replace(&printed, &listen);
    let words: Vec<_> = command.split_whitespace().collect();
    let dir = desk.path().join("qimate-practice");
    std::fs::create_dir(&dir).unwrap();
    let answers = format!("企业\n{corp_id}\nten\n1000002\n{secret}\ny\n\n");
    let mut init = Program::start(&words, &dir, &[], &answers).await;
    init.says(&["接受企业ID 和 Secret"]).await;
    init.says(&["正在", &listen, "等待企业微信的验证"]).await;
    let said = init.said();
    assert_eq!(said.matches("格式不对").count(), 2, "{said}");
    assert!(said.contains("收到 2 个字符") && said.contains("应为纯数字"), "{said}");
    let (token, key, url) = (value_of(&said, "Token "), value_of(&said, "EncodingAESKey "), value_of(&said, "URL "));
    assert_eq!(url, format!("http://{listen}/wxcomapp"));
    #[cfg(unix)]
    assert_eq!(mode(&dir.join("config.toml")), 0o600);

    // The console says only that it failed; the assistant says why.
    let not_passed = (409, json!({"error": "openapi回调地址请求不通过"}));
    assert_eq!(page.save_callback(&url, "AnotherToken", &key).await, not_passed);
    init.says(&["签名不对", "Token"]).await;
    assert_eq!(page.save_callback(&url, &token, KEY).await, not_passed);
    init.says(&["无法解密", "EncodingAESKey"]).await;
    assert_eq!(page.save_callback(&format!("{url}/wecom"), &token, &key).await, not_passed);
    init.says(&["路径是 /wxcomapp/wecom，应为 /wxcomapp"]).await;
    assert_eq!(http.get(&url).send().await.unwrap().status(), 400);
    init.says(&["不带企业微信的参数"]).await;
    assert_eq!(http.get(format!("http://{listen}/.env")).send().await.unwrap().status(), 404);
    init.says(&["与企业微信无关"]).await;
    let message = http.post(format!("{url}?msg_signature=0&timestamp=0&nonce=0")).body("<xml/>").send().await.unwrap();
    assert_eq!(message.status(), 503, "WeCom sends it again");
    init.says(&["收到一条消息"]).await;
    let (status, refused) = page.press("console/trusted-ips", json!({"list": "127.0.0.1"})).await;
    assert!(status == 409 && refused["error"].as_str().unwrap().contains("请先设置"), "{refused}");
    assert_eq!(page.press("say", json!({"member": "ZhangWei", "text": "喂"})).await.0, 409, "nowhere to send it");

    let (status, saved) = page.save_callback(&url, &token, &key).await;
    assert_eq!((status, &saved["console"]["callback_url"]), (200, &json!(url)));
    init.says(&["✓ 企业微信已验证回调地址"]).await;
    assert!(init.ends().await.success());
    assert!(init.said().contains("企业可信IP") && init.said().contains("可见范围"));
    // The database is made by whom it will belong to, and the doctor blames nobody before the first start.
    assert!(!dir.join("data").exists(), "init leaves the data directory to the daemon");
    let doctor = tokio::process::Command::new(words[0]).args(["doctor", "--json"]).current_dir(&dir).output();
    let found: Value = serde_json::from_slice(&within_seconds(60, doctor).await.unwrap().stdout).unwrap();
    let seen = found.as_array().unwrap().iter().find(|one| one["id"] == "callback.seen").unwrap();
    assert_eq!(seen["status"], "skipped", "{seen}");

    // The daemon, as the demo says it is started. What a member writes is kept; what is answered is refused.
    let mut daemon = Program::start(&[words[0]], &dir, &[], "").await;
    daemon.says(&["listening", &listen]).await;
    let says = |member: &'static str| page.press("say", json!({"member": member, "text": "你好"}));
    assert_eq!(says("LiNa").await.0, 409, "not in the visible range");
    assert_eq!(says("ZhangWei").await.1["accepted"], true);
    daemon.says(&["60020", "127.0.0.1"]).await;
    let answers = async || {
        let state = page.state().await;
        state["lines"].as_array().unwrap().iter().filter(|line| line["from_member"] == false).count()
    };
    assert_eq!(answers().await, 0);

    // The address that the log names is entered, and the answer arrives.
    assert_eq!(page.press("console/trusted-ips", json!({"list": "127.0.0.x"})).await.0, 409);
    assert_eq!(page.press("console/trusted-ips", json!({"list": "203.0.113.9; 127.0.0.1"})).await.0, 200);
    within_seconds(60, async {
        while answers().await == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert_eq!(page.press("console/visible", json!({"list": "ZhangWei, LiNa"})).await.0, 200);
    assert_eq!(says("LiNa").await.1["accepted"], true);

    // The two keys are shown once, to be pasted; nothing else that is secret is shown at all.
    daemon.signal("-TERM");
    assert!(daemon.ends().await.success());
    demo.signal("-INT");
    assert!(demo.ends().await.success());
    for (program, said) in [("init", init.said()), ("daemon", daemon.said()), ("demo", demo.said())] {
        assert!(!said.contains(&secret), "{program} shows the secret: {said}");
        let shown = said.matches(&token).count() + said.matches(&key).count();
        assert_eq!(shown, if program == "init" { 2 } else { 0 }, "{program}: {said}");
    }
}

/// A company in which `init` runs by itself.
async fn company() -> (Emulator, TempDir, String) {
    let app = EmulatorSettings::invent(CorpId::parse("ww1436e0e65a779aee").unwrap(), AgentId::new(1_000_002));
    let wecom = Emulator::start(app, Clock::System).await.unwrap();
    wecom.begin_fresh(&["zhangsan"]);
    (wecom, tempfile::tempdir().unwrap(), format!("127.0.0.1:{}", free_port()))
}

/// Answers to every question, in English, with the faults that people make.
const ANSWERS: &str = "\n  ww1436e0e65a779aee \nten\n1000002\nsecret with spaces\nhunter2hunter2\nn\ntoken-1\nToken1\n\
                       tooshort\njWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C\nsk-abc\n9\n2\nsk-hunter2\n\n\
                       qimate.example.com\nhttps://qimate.example.com/path\nhttps://qimate.example.com/\nn\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_answer_is_explained_and_asked_for_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut init = Program::init(&["--language", "en", "--no-wait"], dir.path(), ANSWERS).await;
    assert!(init.ends().await.success(), "{}", init.said());
    let said = init.said();
    for reason in [
        "This one is needed",
        "is not a whole number",
        "holds a space",
        "something else than letters and digits",
        "has 8 characters",
        "does not begin with http://",
        "has a path",
    ] {
        assert!(said.contains(reason), "{reason}: {said}");
    }
    let chinese = |line: &&str| !line.contains('→') && line.chars().any(|c| matches!(c, '。' | '，'));
    assert_eq!(said.lines().find(chinese), None);
    for secret in ["hunter2", "Token1", KEY] {
        assert!(!said.contains(secret), "{said}");
    }
    let path = dir.path().join("config.toml");
    let file = std::fs::read_to_string(&path).unwrap();
    let config = Config::load(Some(&path), &Environment::default()).expect(&file).config;
    assert_eq!(config.apps.first.wecom.secret.expose(), "hunter2hunter2");
    assert_eq!(
        (config.llm.base_url.as_str(), config.llm.model.as_str()),
        ("https://api.deepseek.com/v1", "deepseek-chat")
    );
    assert_eq!(config.server.public_url.as_deref(), Some("https://qimate.example.com"));
    assert_eq!(file.lines().filter(|line| line.contains(" = ")).count(), 9, "only what was answered: {file}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_file_is_replaced_only_with_a_yes_and_its_values_are_the_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    let mut first = Program::init(&["--language", "en", "--no-wait"], dir.path(), ANSWERS).await;
    assert!(first.ends().await.success());
    let old = std::fs::read_to_string(&path).unwrap() + "\n[chat]\nlanguage = \"en\"\nidle_minutes = 7\n";
    std::fs::write(&path, &old).unwrap();

    // No, and an input that ends: nothing changes.
    for answers in ["n\n", "", "y\nww2\n"] {
        let mut init = Program::init(&["--no-wait"], dir.path(), answers).await;
        assert_eq!(init.ends().await.success(), answers == "n\n", "{}", init.said());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), old);
    }
    // Enter keeps each; the rest of the old file stays; chat.language decides the language.
    let mut init =
        Program::init(&["--no-wait", "--agent-id", "7"], dir.path(), &format!("y\n{}y\n", "\n".repeat(9))).await;
    assert!(init.ends().await.success(), "{}", init.said());
    let said = init.said();
    assert!(said.contains("config.toml:") && said.contains("the old file is kept as config.toml.bak"), "{said}");
    assert!(said.contains(KEY) && !said.contains("hunter2"), "the keys were asked for: {said}");
    let config = Config::load(Some(&path), &Environment::default()).unwrap().config;
    assert_eq!(
        (config.apps.first.wecom.agent_id.get(), config.apps.first.wecom.secret.expose().as_str()),
        (7, "hunter2hunter2")
    );
    assert_eq!(config.chat.idle, Some(Duration::from_secs(7 * 60)));
    assert_eq!(std::fs::read_to_string(dir.path().join("config.toml.bak")).unwrap(), old);
    #[cfg(unix)]
    assert_eq!((mode(&path), mode(&dir.path().join("config.toml.bak"))), (0o600, 0o600));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_is_named_and_the_waiting_ends_with_the_file_in_place() {
    let (wecom, dir, listen) = company().await;
    let arguments = ["--language", "en", "--generate", "--listen", &listen, "--api-base", &wecom.api_base()];
    let flags = ["--corp-id", "ww1436e0e65a779aee", "--agent-id", "1000002", "--secret", "not-the-secret"];
    let model = ["--base-url", "http://localhost:1/v1", "--api-key", "", "--model", "m", "--public-url", ""];
    let arguments: Vec<&str> = arguments.iter().chain(&flags).chain(&model).copied().collect();
    let mut init = Program::init(&arguments, dir.path(), "").await;
    init.says(&["WeCom refuses the corp id and Secret (errcode 40001)", "the Secret is wrong"]).await;
    init.says(&["Waiting on", &listen]).await;

    // A second one, as beside a running daemon, says what to do.
    let mut second: Vec<&str> = arguments.clone();
    second.extend(["--overwrite", "--show-keys"]);
    let mut second = Program::init(&second, dir.path(), "").await;
    assert!(!second.ends().await.success());
    second.says(&["is taken", "restart it"]).await;

    init.signal("-INT");
    assert!(init.ends().await.success());
    init.says(&["No longer waiting"]).await;
    let config = Config::load(Some(&dir.path().join("config.toml")), &Environment::default()).unwrap().config;
    assert_eq!(config.apps.first.wecom.callback_token.expose().len(), 32);
    assert!(!init.said().contains("not-the-secret") && !second.said().contains("not-the-secret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_enterprise_and_a_variable_that_wins_are_named() {
    let (wecom, dir, listen) = company().await;
    let base = wecom.api_base();
    let variables = [
        ("QIMATE_WECOM__CORP_ID", "ww2"),
        ("QIMATE_SERVER__LISTEN", listen.as_str()),
        ("QIMATE_WECOM__API_BASE", &base),
        ("OPENAI_API_KEY", "sk-hunter2"),
        ("WECHATCOMAPP_TOKEN", "Token1"),
        ("WECHATCOMAPP_AES_KEY", KEY),
    ];
    let qimate = env!("CARGO_BIN_EXE_qimate");
    let secret = wecom.settings().secret.expose().clone();
    // Corp id: kept. Then agent id, secret, no new keys, both kept, OpenAI and its key and model kept, no URL, not shown.
    let answers = format!("\n1000002\n{secret}\nn\n\n\n\n\n\n\nn\n");
    let mut init = Program::start(&[qimate, "init"], dir.path(), &variables, &answers).await;
    init.says(&["企业微信拒绝了", "40013", "企业ID 不对"]).await;
    init.says(&["等待企业微信的验证"]).await;
    let url = format!("http://{listen}/wxcomapp");
    assert!(wecom.save_callback(&url, "Token1", KEY).await.is_err());
    init.says(&["属于企业 ww1436e0e65a779aee"]).await;
    init.signal("-TERM");
    assert!(init.ends().await.success());
    let said = init.said();
    assert!(said.contains("已设置：OPENAI_API_KEY，回车保留"), "{said}");
    for hidden in ["sk-hunter2", "Token1", KEY, &secret] {
        assert!(!said.contains(hidden), "{said}");
    }

    // Answered otherwise than the variable says: the variable still wins, and that is said.
    let mut again = Program::start(
        &[qimate, "init", "--overwrite", "--no-wait", "--corp-id", "ww3"],
        dir.path(),
        &variables,
        &"\n".repeat(12),
    )
    .await;
    assert!(again.ends().await.success(), "{}", again.said());
    again.says(&["QIMATE_WECOM__CORP_ID", "仍然有效"]).await;
    let broken = [("QIMATE_LLM__MODLE", "x")];
    let mut broken = Program::start(&[qimate, "init", "--overwrite"], dir.path(), &broken, "").await;
    assert!(!broken.ends().await.success());
    broken.says(&["QIMATE_LLM__MODEL"]).await;
}

/// What the guides tell people to run is what the story above runs.
#[test]
fn the_guides_have_the_commands_of_the_story() {
    for (guide, init) in [("set-up.md", "qimate init --language en"), ("set-up.zh-CN.md", "qimate init")] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(guide);
        let text = std::fs::read_to_string(path).unwrap();
        let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap().trim());
        assert_eq!(blocks.collect::<Vec<_>>(), ["qimate demo --set-up", init, "qimate"], "{guide}");
        for line in text.lines().filter_map(|line| line.split_once("](images/")).map(|(_, rest)| rest) {
            let image = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/images").join(line.trim_end_matches(')'));
            assert!(image.exists(), "{}", image.display());
        }
    }
}

/// `qimate doctor` in another terminal calls the same address, with the same keys.
#[tokio::test]
async fn a_doctor_who_calls_while_wecom_is_waited_for_is_not_wecom() {
    use qimate::{
        clock::Clock,
        net,
        web::{Expected, Knock, verification_router},
        wecom::{
            crypto::{CallbackToken, EncodingAesKey},
            echo::{Keys, ask},
        },
    };
    net::install_crypto();
    let (emulator, ..) = company().await;
    let settings = emulator.settings();
    let token = CallbackToken::parse(settings.callback_token.expose()).unwrap();
    let key = EncodingAesKey::parse(settings.encoding_aes_key.expose()).unwrap();
    let keys = Keys { corp: settings.corp_id.clone(), token: token.clone(), key: key.clone() };
    let (router, mut knocks) = verification_router(Expected { corp: keys.corp.clone(), token, key }, "/wxcomapp");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/wxcomapp", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    let limit = Duration::from_secs(10);
    let http = net::http_client(None, limit).unwrap();
    assert_eq!(ask(&http, &Clock::System, limit, &url, &keys).await, Ok(()), "it is answered all the same");
    assert!(knocks.try_recv().is_err(), "and not told as WeCom's");
    reqwest::get(&url).await.unwrap();
    assert_eq!(knocks.recv().await, Some(Knock::Bare));
}
