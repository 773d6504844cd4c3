//! The sandbox's page in a real browser, with the real daemon behind it.

use std::{io::Write, process::Stdio, time::Duration};

use qimate::{
    config::upstream::OfferedModel,
    sandbox::phone::{Phone, PhoneParts},
};
use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::{
    harness::{App, free_port, within, within_seconds},
    program::{Program, value_of},
};

/// How long the browser looks for what a step asks for.
const PATIENCE_MS: u64 = 30_000;
/// The key under which WebDriver puts an element's id.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Where both programs are, or `None` and a line that says so. In CI it is a failure not to have them.
fn browser_is_there() -> bool {
    let there = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    if there("chromium") && there("chromedriver") {
        return true;
    }
    assert!(std::env::var_os("QIMATE_TEST_ALL").is_none(), "chromium and chromedriver are needed here");
    // Past the test harness, which keeps what a passing test prints to itself.
    let _ = std::io::stderr().write_all(b"skipped: a_person_tries_the_sandbox needs chromium and chromedriver\n");
    false
}

/// Starts a program and returns it with the first word after `marker` in its output.
async fn start(command: &mut Command, marker: &str) -> (Child, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let found = within(async {
        loop {
            let line = lines.next_line().await.unwrap().expect("it ended");
            if let Some((_, rest)) = line.split_once(marker) {
                return rest.split_whitespace().next().unwrap_or_default().to_owned();
            }
        }
    })
    .await;
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, found)
}

/// The demo. It ends as Ctrl-C ends it, and takes its daemon with it, also when the test fails.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        if let Some(pid) = self.0.id() {
            let _ = std::process::Command::new("kill").args(["-INT", &pid.to_string()]).status();
            let deadline = std::time::Instant::now() + Duration::from_secs(10);
            while matches!(self.0.try_wait(), Ok(None)) && std::time::Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A page in headless Chromium, driven over WebDriver.
struct Browser {
    http: Client,
    session: String,
    _driver: Child,
}

impl Browser {
    async fn open(url: &str) -> Self {
        let (driver, port) = start(Command::new("chromedriver").arg("--port=0"), "started successfully on port ").await;
        let base = format!("http://127.0.0.1:{}", port.trim_end_matches('.'));
        qimate::net::install_crypto();
        let http = Client::builder().no_proxy().build().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--lang=zh-CN",
            "--window-size=1360,900",
        ];
        let wanted = json!({"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"args": arguments}}}});
        let answer: Value = within_seconds(60, http.post(format!("{base}/session")).json(&wanted).send())
            .await
            .unwrap()
            .json()
            .await
            .unwrap();
        let id = answer["value"]["sessionId"].as_str().unwrap_or_else(|| panic!("{answer}"));
        let browser = Self { http, session: format!("{base}/session/{id}"), _driver: driver };
        browser.post("timeouts", json!({"implicit": PATIENCE_MS})).await;
        browser.post("url", json!({"url": url})).await;
        browser
    }

    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}/{path}", self.session)).json(&body).send();
        let answer: Value = within_seconds(60, request).await.unwrap().json().await.unwrap();
        assert!(answer["value"]["error"].is_null(), "{path} {body}: {answer}");
        answer["value"].clone()
    }

    /// Waits for an element.
    async fn find(&self, xpath: &str) -> String {
        let found = self.post("element", json!({"using": "xpath", "value": xpath})).await;
        found[ELEMENT].as_str().unwrap().to_owned()
    }

    async fn see(&self, testid: &str, text: &str) {
        self.find(&format!("//*[@data-testid='{testid}'][contains(., '{text}')]")).await;
    }

    async fn click(&self, testid: &str) {
        let script = "document.querySelector(`[data-testid='${arguments[0]}']`).click()";
        self.find(&format!("//*[@data-testid='{testid}']")).await;
        self.script(script, json!([testid])).await;
    }

    /// Sends what one of the suggestions says.
    async fn suggest(&self, text: &str) {
        let chip = self.find(&format!("//*[@data-testid='chip'][.='{text}']")).await;
        self.post(&format!("element/{chip}/click"), json!({})).await;
    }

    /// Writes a message and sends it with the Enter key.
    async fn say(&self, text: &str) {
        let element = self.find("//*[@data-testid='text']").await;
        self.post(&format!("element/{element}/value"), json!({"text": format!("{text}\u{E007}")})).await;
    }

    async fn script(&self, script: &str, arguments: Value) -> Value {
        self.post("execute/sync", json!({"script": script, "args": arguments})).await
    }

    async fn count(&self, testid: &str, text: &str) -> u64 {
        let script = "return [...document.querySelectorAll(`[data-testid='${arguments[0]}']`)]\
                      .filter(one => one.textContent.includes(arguments[1])).length";
        self.script(script, json!([testid, text])).await.as_u64().unwrap()
    }

    /// Waits until the answer to the last message has come to its end.
    async fn answered(&self, ending: &str, times: u64) {
        within_seconds(60, async {
            while self.count("message-theirs", ending).await < times {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        })
        .await;
    }

    /// Puts a value into a field, in the place of what was there.
    async fn fill(&self, testid: &str, text: &str) {
        self.find(&format!("//*[@data-testid='{testid}']")).await;
        let script = "const field = document.querySelector(`[data-testid='${arguments[0]}']`); \
                      field.value = arguments[1]; field.dispatchEvent(new Event('input', { bubbles: true }))";
        self.script(script, json!([testid, text])).await;
    }

    async fn text(&self, testid: &str) -> String {
        let script = "return document.querySelector(`[data-testid='${arguments[0]}']`).textContent";
        self.script(script, json!([testid])).await.as_str().unwrap().to_owned()
    }

    async fn screenshot(&self, name: &str) {
        let answer: Value =
            self.http.get(format!("{}/screenshot", self.session)).send().await.unwrap().json().await.unwrap();
        let png = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, answer["value"].as_str().unwrap()).unwrap();
        std::fs::write(std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Ends Chromium too; the driver itself is killed as a child.
        let session = self.session.clone();
        let _ = std::thread::spawn(move || {
            let _ = std::process::Command::new("curl").args(["-sX", "DELETE", &session]).output();
        })
        .join();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_tries_the_sandbox() {
    if !browser_is_there() {
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_qimate"));
    command.args(["demo", "--port", "0"]).env_remove("OPENAI_API_KEY");
    let (demo, address) = start(&mut command, "· open").await;
    let _demo = Demo(demo);
    let page = Browser::open(&address).await;
    page.click("language-zh").await;
    page.see("daemon-state", "正在运行").await;

    // A message is answered, and every step of its way is shown.
    page.say("你好").await;
    page.see("message-mine", "你好").await;
    page.answered(DEMO_ENDING, 1).await;
    page.see("steps", "message/send").await;
    page.screenshot("sandbox-zh.png").await;

    // Three callbacks, one answer.
    page.click("trouble-repeat").await;
    page.say("只答一次").await;
    page.answered(DEMO_ENDING, 2).await;
    page.click("trouble-repeat").await;

    // The token dies on the way.
    page.click("trouble-expire").await;
    page.say("令牌过期了吗").await;
    page.see("steps", "42001").await;
    page.answered(DEMO_ENDING, 3).await;

    // The address is refused, then trusted.
    page.click("trouble-ip").await;
    page.say("发得出去吗").await;
    page.see("steps", "60020").await;
    page.click("trouble-ip").await;
    page.answered(DEMO_ENDING, 4).await;

    // Killed in the middle of an answer, started again: the answer goes on and is there once.
    page.say("写到一半会怎样").await;
    page.see("steps", "写到一半会怎样").await;
    page.click("daemon-kill").await;
    page.see("daemon-state", "已停止").await;
    page.click("daemon-restart").await;
    page.see("daemon-state", "正在运行").await;
    page.answered(DEMO_ENDING, 5).await;
    assert_eq!(page.count("message-theirs", DEMO_ENDING).await, 5, "each message has one answer");

    // The model fails: an honest sentence.
    page.click("trouble-model-error").await;
    page.say("模型还好吗").await;
    page.see("chat", "编号").await;
    page.click("trouble-model-error").await;

    // Somebody else: what is long comes as a file, a wish as a picture; a place and a link are questions.
    page.click("person-LiNa").await;
    page.suggest("一张长表格").await;
    page.see("message-theirs", ".csv").await;
    page.suggest("画一只戴帽子的猫").await;
    page.find("//*[@data-testid='message-theirs']//img").await;
    page.click("plus").await;
    page.click("share-place").await;
    page.screenshot("sandbox-place-zh.png").await;
    page.click("place-send").await;
    page.see("message-mine", "广州塔").await;
    page.see("message-theirs", "[位置]").await;
    // The model refuses the key: an honest sentence.
    page.click("trouble-model-key").await;
    page.click("plus").await;
    page.click("share-link").await;
    page.fill("link-title", "季度报告").await;
    page.fill("link-url", "example.com/q3").await;
    page.click("link-send").await;
    page.see("message-mine", "季度报告").await;
    page.see("message-theirs", "需要管理员检查设置").await;
    page.click("trouble-model-key").await;

    page.click("language-en").await;
    page.see("daemon-state", "unning").await;
    page.screenshot("sandbox-en.png").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_practises_the_set_up() {
    if !browser_is_there() {
        return;
    }
    let desk = tempfile::tempdir().unwrap();
    let words = [env!("CARGO_BIN_EXE_qimate"), "demo", "--set-up", "--port", "0"];
    let demo = Program::start(&words, desk.path(), &[], "").await;
    let open = demo.says(&["· open"]).await;
    let page = Browser::open(open.split_whitespace().last().unwrap()).await;
    page.click("language-zh").await;
    page.see("console-callback-state", "未设置").await;
    page.see("chat-note", "还没有设置接收消息").await;
    assert_eq!(page.script("return document.getElementById('text').disabled", json!([])).await, true);
    page.see("console-secret", "••••").await;
    page.click("console-show-secret").await;
    page.find("//*[@data-testid='console-secret'][string-length(.) > 40]").await;
    let secret = page.text("console-secret").await;
    page.click("console-show-secret").await;

    let command = demo.says(&[" init "]).await;
    let printed = value_of(&command.replace(" --", "\n--"), "--listen");
    let command = command.replace(&printed, &format!("127.0.0.1:{}", free_port()));
    let words: Vec<_> = command.split_whitespace().collect();
    let answers =
        format!("{}\n{}\n{secret}\n\n\n", page.text("console-corp-id").await, page.text("console-agent-id").await);
    let mut init = Program::start(&words, desk.path(), &[], &answers).await;
    init.says(&["等待企业微信的验证"]).await;
    let said = init.said();
    page.fill("console-url", &value_of(&said, "URL ")).await;
    page.fill("console-token", "AnotherToken").await;
    page.fill("console-key", &value_of(&said, "EncodingAESKey ")).await;
    page.click("console-save").await;
    page.see("console-said", "openapi回调地址请求不通过").await;
    page.see("console-why", "为什么").await;
    init.says(&["签名不对"]).await;
    page.screenshot("set-up-failed-zh.png").await;
    page.fill("console-token", &value_of(&said, "Token ")).await;
    page.click("console-save").await;
    page.see("console-callback-state", "已启用").await;
    assert!(init.ends().await.success());

    let daemon = Program::start(&[words[0]], desk.path(), &[], "").await;
    daemon.says(&["listening"]).await;
    page.say("你好").await;
    page.see("steps", "60020").await;
    page.fill("console-trusted", "127.0.0.1").await;
    page.click("console-save-trusted").await;
    page.answered(DEMO_ENDING, 1).await;
    page.click("person-LiNa").await;
    page.see("chat-note", "不在可见范围内").await;
    page.fill("console-visible", "ZhangWei; LiNa").await;
    page.click("console-save-visible").await;
    page.see("chat-note", "AI 同事").await;
    page.click("language-en").await;
    page.see("console-callback-state", "enabled").await;
    page.screenshot("set-up-done-en.png").await;
}

/// The phone beside a daemon of ours: a card with a list shows what can be chosen, and what was chosen.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_chooses_from_the_list_on_a_card() {
    if !browser_is_there() {
        return;
    }
    let app = App::start_with(|config| {
        let mut upstream = config.llm.all_upstreams().remove(0);
        let model = upstream.models[0].clone();
        let named = |number: usize| OfferedModel { alias: format!("model-{number}").as_str().into(), ..model.clone() };
        upstream.models.extend((1..9).map(named));
        config.llm.upstreams = vec![upstream];
    })
    .await;
    app.database()
        .execute_batch(
            "INSERT INTO member_preference (lane, client, changed_at)
             VALUES ('ww1436e0e65a779aee/1000002/zhangwei', 'wecom', 1)",
        )
        .unwrap();
    let parts = PhoneParts { emulator: app.wecom.clone(), model: None, model_name: "m".to_owned(), daemon: None };
    let phone = Phone::start(parts, 0).await.unwrap();
    let page = Browser::open(&phone.url()).await;
    page.click("language-zh").await;
    page.say("/model").await;
    page.see("card-button", "确定").await;
    assert_eq!(page.count("card-choice", "").await, 9);
    page.screenshot("card-list-zh.png").await;
    page.script("document.querySelectorAll('[data-testid=card-choice]')[4].click()", json!([])).await;
    page.click("card-button").await;
    page.see("chat", "已选 model-4").await;
    let disabled = "return [...document.querySelectorAll('[data-testid=card-choice]')].every(one => one.disabled)";
    assert_eq!(page.script(disabled, json!([])).await, true);
    page.screenshot("card-list-chosen-zh.png").await;
    app.settled().await;
}

/// How every answer of the demo model ends.
const DEMO_ENDING: &str = "看看消息会不会丢";
