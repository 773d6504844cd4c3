//! What the log holds: every line of a message's life under one number, and never what was said, nor a secret.

use std::{fs::File, path::PathBuf, process::Stdio, time::Duration};

use qimate::{
    clock::Clock,
    sandbox::{
        emulator::Emulator,
        model::{DemoModel, ModelReply},
    },
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{
    harness::{self, within_seconds},
    network::Proxy,
};

/// The real binary with its log in a file.
struct Logging {
    wecom: Emulator,
    model: DemoModel,
    dir: TempDir,
    callback: String,
    daemon: Child,
}

impl Logging {
    async fn start(more: &[(&str, &str)]) -> Self {
        let (wecom, model) = harness::cloud(&Clock::System).await;
        let dir = tempfile::tempdir().unwrap();
        let port = harness::free_port();
        let callback = format!("http://127.0.0.1:{port}/wxcomapp");
        wecom.set_callback_url(callback.clone());
        let mut variables = harness::variables(&wecom, &model, dir.path(), more);
        variables.insert("QIMATE_SERVER__LISTEN".to_owned(), format!("127.0.0.1:{port}"));
        let file = |name: &str| Stdio::from(File::create(dir.path().join(name)).unwrap());
        let daemon = Command::new(env!("CARGO_BIN_EXE_qimate"))
            .arg("serve")
            .env_clear()
            .envs(variables)
            .current_dir(dir.path())
            .stdout(file("stdout"))
            .stderr(file("stderr"))
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let this = Self { wecom, model, dir, callback, daemon };
        this.until(|log| log.contains("listening")).await;
        this
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Standard output and standard error so far.
    fn log(&self) -> String {
        let read = |name| String::from_utf8(std::fs::read(self.path(name)).unwrap()).unwrap();
        read("stdout") + &read("stderr")
    }

    /// Waits until the log fulfils `condition`.
    async fn until(&self, condition: impl Fn(&str) -> bool) -> String {
        within_seconds(60, async {
            loop {
                let log = self.log();
                if condition(&log) {
                    return log;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
    }

    async fn say(&self, member: &str, text: &str) {
        assert!(self.wecom.say(member, text).await.accepted(), "{text}");
    }

    async fn delivered(&self, member: &str, count: usize) {
        let of_member = |all: &[_]| {
            let to = |one: &&qimate::sandbox::emulator::Delivered| one.member == member;
            all.iter().filter(to).count() >= count
        };
        within_seconds(60, self.wecom.wait_delivered(of_member)).await;
    }

    async fn terminate(mut self) -> String {
        let pid = self.daemon.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        within_seconds(40, self.daemon.wait()).await.unwrap();
        self.log()
    }
}

/// The lines of a JSON log that belong to message `seq`.
fn life(log: &str, seq: i64) -> Vec<Value> {
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["inbox.seq"] == seq || line["span"]["inbox.seq"] == seq).collect()
}

/// The acceptance is written by another thread than all that follows, which does not wait for that line.
fn assert_in_order(life: &[Value], expected: &[&str]) {
    let messages: Vec<_> = life.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect();
    let (accepted, rest): (Vec<&str>, Vec<&str>) =
        messages.iter().copied().partition(|message| message.starts_with("accepted"));
    assert_eq!(accepted.len(), 1, "{messages:#?}");
    let mut rest = rest.into_iter();
    for words in expected {
        assert!(rest.any(|message| message.contains(words)), "{words:?} in its place among {messages:#?}");
    }
}

const QUESTION: &str = "隐秘的问题：谁要离职，工资多少？";
const ANSWER: &str = "隐秘的回答一，李四要离职，他的工资是三万。\n\n隐秘的回答二，其余的人都还不知道这件事，请保密。";
const SYSTEM_PROMPT: &str = "隐秘的系统提示：你是人事部的助手。";
const API_KEY: &str = "sk-recognisable-0123456789";
const OPERATOR_KEY: &str = "an-operators-key-that-nobody-guesses";

/// Everything that goes on, at the most talkative level of every part, and nothing of what was said.
#[tokio::test(flavor = "multi_thread")]
async fn no_text_and_no_secret_is_logged_at_any_level() {
    let proxy = Proxy::start().await;
    let all = "trace,hyper=trace,hyper_util=trace,reqwest=trace,h2=trace,rustls=trace,tower=trace,mio=trace";
    let company = Logging::start(&[
        ("QIMATE_LOG__LEVEL", all),
        ("QIMATE_LLM__API_KEY", API_KEY),
        ("QIMATE_LLM__SYSTEM_PROMPT", SYSTEM_PROMPT),
        ("QIMATE_LLM__EXTRA_HEADERS", r#"{"x-tenant":"tenant-secret-0123456789"}"#),
        ("QIMATE_SERVER__OPERATOR_KEY", OPERATOR_KEY),
        ("QIMATE_WECOM__PROXY", &proxy.url),
        ("QIMATE_CHAT__WELCOME", "隐秘的欢迎词"),
    ])
    .await;
    assert!(company.wecom.verify_url().await);

    // A turn in parts, a command, a greeting.
    company.model.push(ModelReply::Answer(ANSWER.to_owned()));
    company.say("zhangsan", QUESTION).await;
    company.delivered("zhangsan", 1).await;
    company.say("lisi", "/help").await;
    company.delivered("lisi", 1).await;
    company.wecom.event("wangwu", "enter_agent").await;
    company.delivered("wangwu", 1).await;
    // An upstream that quotes what it refuses, first in passing, then for good, then in the middle.
    let quoting = format!(r#"{{"error":{{"message":"input not allowed: {QUESTION} (key {API_KEY})"}}}}"#);
    company.model.push(ModelReply::status(500, quoting.clone()));
    company.model.push(ModelReply::status(400, quoting));
    company.say("zhaoliu", QUESTION).await;
    company.delivered("zhaoliu", 1).await;
    company.model.push(ModelReply::CutAfter("隐秘的开头，写到一半".to_owned()));
    company.say("zhaoliu", QUESTION).await;
    company.delivered("zhaoliu", 2).await;
    // WeCom refuses the address, forgets the access token, does not know the member, says nothing.
    company.wecom.trouble(|trouble| trouble.refuse_ip(true));
    company.model.push(ModelReply::Answer("隐秘的回答三，稍后才能送到。".to_owned()));
    company.say("sunqi", QUESTION).await;
    company.until(|log| log.contains("60020")).await;
    company.wecom.trouble(|trouble| {
        trouble.refuse_ip(false);
        trouble.forget_access_token();
        trouble.fail_next_sends(1, -1);
    });
    company.delivered("sunqi", 1).await;
    company.wecom.trouble(|trouble| trouble.unknown_member("zhouba", true));
    company.model.push(ModelReply::Answer("隐秘的回答四，送不到。".to_owned()));
    company.say("zhouba", QUESTION).await;
    company.until(|log| log.contains("gave up a message")).await;
    // Callbacks that are refused, and pages that are asked for.
    let address = company.callback.clone();
    let http = reqwest::Client::new();
    assert_eq!(http.post(format!("{address}?msg_signature=x")).body(QUESTION).send().await.unwrap().status(), 400);
    let status = address.replace("/wxcomapp", "/metrics");
    assert_eq!(http.get(status).bearer_auth(OPERATOR_KEY).send().await.unwrap().status(), 200);

    let app = company.wecom.settings().clone();
    let access_tokens = proxy.access_tokens();
    let answers = company.wecom.delivered();
    let log = company.terminate().await;
    assert!(log.contains("DEBUG") && log.contains("asking the model"), "it was talkative: {log}");
    // What libraries say below info is not written, whatever the setting asks for.
    let below_info = |line: &&str| line.contains("DEBUG ") || line.contains("TRACE ");
    let foreign = log.lines().filter(below_info).find(|line| !line.contains(" qimate"));
    assert_eq!(foreign, None);
    let line_with = |words: &str| log.lines().find(|line| line.contains(words)).map(str::to_owned);
    for words in [
        "隐秘",
        "离职",
        "工资",
        API_KEY,
        "tenant-secret",
        OPERATOR_KEY,
        "proxy-password",
        "dXNlcjpwcm94eS1wYXNzd29yZA",
        app.secret.expose(),
        app.callback_token.expose(),
        app.encoding_aes_key.expose(),
    ] {
        assert_eq!(line_with(words), None, "{words}");
    }
    assert!(access_tokens.len() > 1, "it was replaced");
    for access_token in &access_tokens {
        assert_eq!(line_with(access_token), None, "an access token");
    }
    assert!(answers.len() >= 7);
    for answer in answers {
        let beginning: String = answer.content.chars().take(8).collect();
        assert_eq!(line_with(&beginning), None, "{beginning}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_line_of_a_messages_life_has_its_number() {
    let company = Logging::start(&[("QIMATE_LOG__LEVEL", "qimate=debug"), ("QIMATE_LOG__FORMAT", "json")]).await;
    company.model.push(ModelReply::status(500, "{}"));
    company.model.push(ModelReply::Answer(ANSWER.to_owned()));
    company.say("zhangsan", QUESTION).await;
    company.delivered("zhangsan", 1).await;
    company.wecom.trouble(|trouble| trouble.unknown_member("lisi", true));
    company.model.push(ModelReply::status(401, "{}"));
    company.say("lisi", QUESTION).await;
    company.until(|log| log.contains("gave up a message")).await;
    company.say("zhangsan", "/help").await;
    company.until(|log| log.contains("delivered to") && !life(log, 3).is_empty()).await;
    let log = company.terminate().await;

    let answered = life(&log, 1);
    assert_in_order(&answered, &["claimed", "asking the model", "asked again", "began to answer", "answered zhangsan"]);
    assert_in_order(&answered, &["answered zhangsan", "delivered to zhangsan"]);
    let turns: std::collections::BTreeSet<_> = answered.iter().filter_map(|line| line["turn.id"].as_str()).collect();
    assert_eq!(turns.len(), 1, "one turn, one id: {answered:#?}");
    assert_in_order(&life(&log, 2), &["claimed", "asking", "could not answer", "gave up a message to lisi"]);
    assert_in_order(&life(&log, 3), &["claimed", "bot's own", "delivered"]);
    // Nothing that names a member lies outside a life.
    for line in log.lines().filter(|line| line.contains("zhangsan") || line.contains("lisi")) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert!(line["inbox.seq"].is_i64(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_are_logged_only_where_that_is_set_and_at_debug() {
    let words = "log.message_text is on";
    for (level, texts) in [("debug", true), ("info", false)] {
        let company = Logging::start(&[("QIMATE_LOG__MESSAGE_TEXT", "true"), ("QIMATE_LOG__LEVEL", level)]).await;
        company.model.push(ModelReply::Answer("隐秘的回答。".to_owned()));
        company.say("zhangsan", QUESTION).await;
        company.delivered("zhangsan", 1).await;
        let log = company.terminate().await;
        assert!(log.lines().any(|line| line.contains("WARN") && line.contains(words)), "{log}");
        assert_eq!(log.contains(QUESTION), texts, "{level}: {log}");
        assert_eq!(log.contains("隐秘的回答。"), texts, "{level}: {log}");
    }
    let company = Logging::start(&[("QIMATE_LOG__LEVEL", "debug")]).await;
    assert!(!company.terminate().await.contains(words));
}
