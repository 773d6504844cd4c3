//! The real binary as a child process: killed, stopped, short of disk, and asked by commands.

use std::{path::Path, process::Stdio, time::Duration};

use qimate::{clock::Clock, sandbox::model::ModelReply};
use tokio::process::Command;

use crate::{company::Company, harness::within_seconds};

/// Small, seeded, and good enough to choose moments with.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The answer to question `n`: three paragraphs, so that it is sent in parts and can be cut between them.
fn answer_to(question: &str) -> String {
    format!(
        "{question}的第一段，内容足够长了。\n\n{question}的第二段，{}\n\n{question}的第三段，完。",
        "这里要写得长一些才会单独成为一条消息。".repeat(12)
    )
}

/// Writes the answer, or what is missing of it, as a model does that was asked to go on.
fn write_answer(body: &serde_json::Value) -> ModelReply {
    let messages = body["messages"].as_array().unwrap();
    let content = |n: usize| messages[messages.len() - n]["content"].as_str().unwrap();
    let role = |n: usize| messages.get(messages.len().wrapping_sub(n)).and_then(|message| message["role"].as_str());
    if role(2) == Some("assistant") && content(1).contains("断开") {
        let rest = answer_to(content(3)).strip_prefix(content(2)).expect("what was said is how it begins").to_owned();
        return ModelReply::After(Duration::from_millis(10), Box::new(ModelReply::Answer(rest)));
    }
    ModelReply::After(Duration::from_millis(10), Box::new(ModelReply::Answer(answer_to(content(1)))))
}

/// The promise of the house. Each round says things to a daemon that is killed at a random moment and started again; in
/// the end every message that was acknowledged has its whole answer, once.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_instant_it_loses_nothing_and_says_nothing_twice() {
    let story = killed_at_random(12).await;
    println!(
        "{} acknowledged over {} kills, all answered once; {} messages shown, {} repeated attempts swallowed",
        story.acknowledged, story.rounds, story.shown, story.swallowed
    );
}

/// Nobody is owed anything.
const OWED: &str = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                         + (SELECT COUNT(*) FROM outbox WHERE state <> 'sent')";
/// So often it is killed before it may do everything that is owed. A message at which it dies fifty times is given up
/// with a sentence, and on a busy machine a process that lives for a tenth of a second ends nothing.
const KILLS_IN_A_ROW: u64 = 20;

/// What came of it.
pub struct Killed {
    pub rounds: u64,
    pub acknowledged: usize,
    pub shown: usize,
    pub swallowed: u64,
}

/// Kills it `QIMATE_KILL_ROUNDS` times, or so often, at moments that `QIMATE_KILL_SEED` or the moment itself decides.
pub async fn killed_at_random(rounds: u64) -> Killed {
    let set = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let rounds: u64 = set("QIMATE_KILL_ROUNDS").unwrap_or(rounds);
    let seed: u64 = set("QIMATE_KILL_SEED")
        .unwrap_or_else(|| u64::from(std::process::id()) ^ Clock::System.now().as_millis().cast_unsigned());
    println!("QIMATE_KILL_SEED={seed} QIMATE_KILL_ROUNDS={rounds}");
    let mut dice = Dice(seed);
    let mut company = Company::open(&[]).await;
    company.model.set_script(write_answer);
    company.wecom.set_retry_pause(Duration::from_millis(200));

    let mut acknowledged = Vec::new();
    for round in 0..rounds {
        company.start().await;
        let mut saying = tokio::task::JoinSet::new();
        for n in 0..12_u64 {
            let (wecom, member) = (company.wecom.clone(), format!("m{round}-{}", n % 4));
            let pause = Duration::from_millis(dice.below(60));
            let question = format!("〔{round}-{n}〕");
            saying.spawn(async move {
                tokio::time::sleep(pause).await;
                let receipt = wecom.say(&member, &question).await;
                (member, question, receipt.accepted())
            });
        }
        tokio::time::sleep(Duration::from_millis(dice.below(180))).await;
        if round % KILLS_IN_A_ROW == KILLS_IN_A_ROW - 1 {
            company.until(OWED, 0).await;
        }
        company.kill().await;
        // What WeCom repeats meets nobody; a message that was never acknowledged is not ours.
        for (member, question, accepted) in saying.join_all().await {
            if accepted {
                acknowledged.push((member, question));
            }
        }
    }
    company.start().await;
    company.until(OWED, 0).await;
    let shown = company.wecom.delivered();
    assert!(acknowledged.len() as u64 > rounds, "too few were acknowledged to mean anything: {}", acknowledged.len());
    for (member, question) in &acknowledged {
        let texts: Vec<_> = shown.iter().filter(|one| one.member == *member).map(|one| one.content.as_str()).collect();
        let all = texts.join("\n");
        let places: Vec<_> = ["的第一段", "的第二段", "的第三段，完。"]
            .iter()
            .map(|piece| {
                let piece = format!("{question}{piece}");
                assert_eq!(all.matches(&piece).count(), 1, "seed {seed}: {piece} to {member}: {all}");
                all.find(&piece)
            })
            .collect();
        assert!(places.is_sorted(), "seed {seed}: {question} to {member} out of order");
    }
    // And nobody saw anything twice.
    let mut seen = std::collections::HashSet::new();
    for message in &shown {
        assert!(seen.insert((message.member.clone(), message.content.clone())), "seed {seed}: twice: {message:?}");
    }
    let (acknowledged, swallowed) = (acknowledged.len(), company.wecom.counters().duplicates);
    Killed { rounds, acknowledged, shown: shown.len(), swallowed }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_open_answers_end_and_exits_with_success() {
    let mut company = Company::open(&[]).await;
    let reply = ModelReply::Answer("写完了再停。".to_owned());
    company.model.set_script(move |_| ModelReply::After(Duration::from_millis(300), Box::new(reply.clone())));
    company.start().await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.model.wait_load(|load| load.in_flight == 1).await;
    assert!(company.terminate().await.success());
    assert_eq!(company.wecom.messages_for("zhangsan").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_lets_everything_leave_that_is_written() {
    let mut company = Company::open(&[]).await;
    let paragraph =
        |n| format!("这是第{n}个不长不短的段落，它有几句话。每句话都完整。读起来应当顺畅，不会断在半句上。");
    company.model.push(ModelReply::Answer((0..60).map(paragraph).collect::<Vec<_>>().join("\n\n")));
    company.wecom.trouble(|trouble| trouble.delay_answers(Duration::from_millis(100)));
    company.start().await;
    assert!(company.wecom.say("zhangsan", "写长").await.accepted());
    company.until("SELECT COUNT(*) FROM turn WHERE state = 'answered'", 1).await;
    let count = |sql: &str| company.database().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let waiting = count("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'");
    assert!(waiting > 2, "{waiting} parts wait behind the one under way");
    assert!(company.terminate().await.success());
    assert_eq!(
        company
            .database()
            .query_row("SELECT COUNT(*) FROM outbox WHERE state <> 'sent'", [], |row| row.get::<_, i64>(0))
            .unwrap(),
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_past_its_deadline_loses_nothing() {
    let mut company = Company::open(&[("QIMATE_SERVER__STOP_TIMEOUT_SECONDS", "1")]).await;
    company.model.push(ModelReply::Hang);
    company.start().await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.model.wait_load(|load| load.in_flight == 1).await;
    assert!(company.terminate().await.success());
    assert!(company.wecom.messages_for("zhangsan").is_empty());
    company.model.push(ModelReply::Answer("现在说。".to_owned()));
    company.start().await;
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.wecom.messages_for("zhangsan")[0].content, "现在说。");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_database_refuses_callbacks_says_so_and_recovers_by_itself() {
    let mut company = Company::open(&[("QIMATE_STORAGE__MAX_SIZE_MIB", "16")]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    assert_eq!(company.ready().await.0, 200);
    let refused = company.fill().await;
    let statuses: Vec<_> = refused.attempts.iter().map(|attempt| format!("{:?}", attempt.outcome)).collect();
    assert!(statuses.len() == 3 && statuses.iter().all(|status| status.contains("503")), "{statuses:?}");
    let (status, reason) = company.ready().await;
    assert_eq!(status, 503);
    assert!(reason.contains("full"), "{reason}");
    assert!(!company.run(&["healthcheck"]).await.status.success());

    // Somebody makes room. Nothing is restarted.
    company.database().execute("DELETE FROM inbox WHERE kind = 'unknown'", []).unwrap();
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.ready().await.0, 200);
    assert!(company.run(&["healthcheck"]).await.status.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_cannot_be_written_refuses_callbacks_and_recovers_by_itself() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    let other = company.database();
    other.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let (status, reason) = company.ready().await;
    assert_eq!(status, 503);
    assert!(reason.contains("locked"), "{reason}");
    let receipt = company.wecom.say("zhangsan", "一").await;
    assert!(!receipt.accepted(), "{receipt:?}");
    other.execute_batch("ROLLBACK").unwrap();
    assert!(company.wecom.say("zhangsan", "二").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.ready().await.0, 200);
}

/// The operating system refuses every write, as it does where a file system went read-only.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_refuses_writes_refuses_callbacks_and_recovers_by_itself() {
    let tool = |program: &str| std::process::Command::new(program).arg("--version").output().is_ok();
    if !tool("prlimit") || !tool("env") {
        let _ =
            std::io::Write::write_all(&mut std::io::stderr(), b"skipped: a disk that refuses writes needs prlimit\n");
        return;
    }
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let mut command = Command::new("env");
    // Beyond its file size limit a process gets a signal that ends it, or, where that is ignored, an error.
    command.args(["--ignore-signal=XFSZ", env!("CARGO_BIN_EXE_qimate"), "serve"]);
    command.env_clear().envs(company.variables()).env("PATH", "/usr/bin:/bin").current_dir(company.dir.path());
    command.kill_on_drop(true);
    company.start_by(command).await;
    assert!(company.wecom.say("zhangsan", "一").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;

    let pid = company.pid().to_string();
    let limit = |limit: &str| {
        let limit = format!("--fsize={limit}");
        assert!(std::process::Command::new("prlimit").args(["--pid", &pid, &limit]).status().unwrap().success());
    };
    limit("0:unlimited");
    // A good answer stands for a second; then it is asked again.
    within_seconds(10, async {
        while company.ready().await.0 != 503 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let receipt = company.wecom.say("zhangsan", "二").await;
    assert!(!receipt.accepted() && receipt.attempts.len() == 3, "{receipt:?}");
    limit("unlimited");
    assert_eq!(company.ready().await.0, 200);
    assert!(company.wecom.say("zhangsan", "三").await.accepted());
    company.wecom.wait_delivered(|all| all.len() >= 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_do_not_share_a_data_directory() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    let mut second = company.command(&[]);
    second.env("QIMATE_SERVER__LISTEN", "127.0.0.1:0");
    let output = within_seconds(30, second.output()).await.unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("qimate: 无法打开数据库：另一个企伴正在使用数据目录"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_sent_again_and_dropped_by_command() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("机密的回答".to_owned()));
    let missing = company.run(&["dead-letters"]).await;
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no database there"));
    company.start().await;
    company.wecom.trouble(|trouble| trouble.fail_next_sends(2, 60111));
    for member in ["zhangsan", "lisi"] {
        assert!(company.wecom.say(member, "喂").await.accepted());
    }
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'dead'", 2).await;

    let text = async |arguments: &[&str]| String::from_utf8(company.run(arguments).await.stdout).unwrap();
    let list = text(&["dead-letters", "list"]).await;
    assert!(list.contains("zhangsan") && list.contains("lisi") && list.contains("60111"), "{list}");
    assert!(!list.contains("机密"), "the text is the member's business: {list}");
    let chinese = company.run_with(&["dead-letters"], &[]).await;
    let chinese = String::from_utf8(chinese.stdout).unwrap();
    assert!(chinese.contains("    编号  员工                   放弃时间  尝试次数    字节  原因\n"), "{chinese}");
    assert!(chinese.contains("zhangsan                     刚刚         1      15  "), "columns in line: {chinese}");
    let unknown = company.run_with(&["dead-letters", "drop", "999"], &[]).await;
    assert_eq!(
        String::from_utf8(unknown.stderr).unwrap(),
        "qimate: 没有编号为 999 的死信；qimate dead-letters 会列出全部\n"
    );
    let id = list.lines().find(|line| line.contains("zhangsan")).unwrap().split_whitespace().next().unwrap();

    // The running daemon feels it.
    assert_eq!(text(&["dead-letters", "retry", id]).await, "1 put back into the outbox\n");
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.wecom.messages_for("zhangsan")[0].content, "机密的回答");
    assert!(!company.run(&["dead-letters", "drop", "999"]).await.status.success());
    assert_eq!(text(&["dead-letters", "drop", "--all"]).await, "1 deleted\n");
    assert_eq!(text(&["dead-letters"]).await, "no dead letters\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_shows_where_values_come_from_and_stars_secrets() {
    let company = Company::open(&[("OPENAI_API_KEY", "sk-recognisable"), ("PORT", "4321")]).await;
    let output = company.run(&["check-config"]).await;
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_else(|| panic!("{key}: {shown}"));
    assert!(line("llm.api_key").contains("OPENAI_API_KEY") && line("llm.api_key").contains("***"));
    assert!(line("server.listen").contains("PORT") && line("server.listen").contains("4321"));
    assert!(line("wecom.secret").contains("QIMATE_WECOM__SECRET"));
    for secret in ["sk-recognisable", company.wecom.settings().secret.expose()] {
        assert!(!shown.contains(secret));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_config_says_of_a_word_in_braces_that_it_is_no_placeholder() {
    let prompt = "你在和{naem}说话，今天是{date}。回答 {\"json\": {}}。";
    let company = Company::open(&[("QIMATE_LLM__SYSTEM_PROMPT", prompt)]).await;
    let output = company.run(&["check-config"]).await;
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success());
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("{naem} is no placeholder") && said.contains("{time_zone}"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_told_whole_and_exits_with_2() {
    let company = Company::open(&[("QIMATE_WECOM__AGENT_ID", "ten"), ("QIMATE_LLM__MODLE", "x")]).await;
    let output = company.run(&["serve"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("wecom.agent_id") && said.contains("QIMATE_LLM__MODEL"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chatgpt_on_wechat_deployment_moves_over_by_its_environment() {
    let mut company = Company::open(&[]).await;
    let app = company.wecom.settings().clone();
    let port = company.port().to_string();
    let legacy = [
        ("WECHATCOM_CORP_ID", app.corp_id.to_string()),
        ("WECHATCOMAPP_TOKEN", app.callback_token.expose().clone()),
        ("WECHATCOMAPP_SECRET", app.secret.expose().clone()),
        ("WECHATCOMAPP_AGENT_ID", app.agent_id.to_string()),
        ("WECHATCOMAPP_AES_KEY", app.encoding_aes_key.expose().clone()),
        ("WECHATCOMAPP_PORT", port),
        ("open_ai_api_key", "sk-legacy".to_owned()),
        ("OPEN_AI_API_BASE", company.model.base_url()),
        ("MODEL", "qimate-demo".to_owned()),
        ("CHARACTER_DESC", "你是老系统里的助手。".to_owned()),
        ("EXPIRES_IN_SECONDS", "1800".to_owned()),
        ("CONVERSATION_MAX_TOKENS", "2000".to_owned()),
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_qimate"));
    command
        .env_clear()
        .envs(legacy.iter().map(|(name, value)| (*name, value.as_str())))
        .current_dir(company.dir.path());
    command.env("QIMATE_SERVER__CHECK_AT_START", "false").env("QIMATE_TEAM__SYNC_HOURS", "0");
    // What an image for it cannot know: where WeCom is played here.
    command.env("QIMATE_WECOM__API_BASE", format!("{}/cgi-bin/", company.wecom.api_base()));
    company.daemon = Some(command.kill_on_drop(true).stderr(Stdio::null()).spawn().unwrap());
    company.model.push(ModelReply::Answer("搬好了。".to_owned()));
    within_seconds(30, async {
        while !company.wecom.verify_url().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    let requests = company.model.requests();
    assert_eq!(requests[0].contents("system"), ["你是老系统里的助手。"]);
    assert_eq!(requests[0].authorization.as_deref(), Some("Bearer sk-legacy"));
    assert!(Path::new(&company.dir.path().join("data/qimate.db")).exists());
}
