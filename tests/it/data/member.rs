//! `qimate member`: a member's data is shown, and erased while the daemon serves everybody else.

use std::fs;

use qimate::{
    clock::Clock,
    sandbox::model::{Gate, ModelReply},
};

use crate::company::{Company, said};

/// Everything of the member is recognisable.
const MEMBER: &str = "Wang.Erased";
const OWED: &str = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                         + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')";

/// The files of the data directory that hold any of `words`, in any case.
fn files_with(company: &Company, words: &[&str]) -> Vec<String> {
    let holds =
        |bytes: &[u8], word: &str| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()));
    let mut found = Vec::new();
    for entry in fs::read_dir(company.dir.path()).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let here = words.iter().filter(|word| holds(&bytes, word));
        found.extend(here.map(|word| format!("{word} in {}", path.file_name().unwrap().to_string_lossy())));
    }
    found
}

/// A company in which the member has something of every kind: a conversation, a closed one, a dead letter, a message
/// that waits, a question that is being answered, and one behind it. The gate holds that answer.
async fn with_everything() -> (Company, Gate) {
    let mut company =
        Company::open(&[("QIMATE_CHAT__WELCOME", "欢迎欢迎"), ("QIMATE_TEAM__READ_CONVERSATIONS", "true")]).await;
    let gate = Gate::new();
    let held = gate.clone();
    company.model.set_script(move |body| {
        let messages = body["messages"].as_array().unwrap();
        let question = messages.last().unwrap()["content"].as_str().unwrap();
        if question.contains("停在半路") {
            let first = "秘密答案的第一段，足够长，可以先发出去。\n\n".to_owned();
            return ModelReply::Held { before: first, gate: held.clone(), after: "秘密答案的后半".to_owned() };
        }
        ModelReply::Answer(format!("关于{question}的答案"))
    });
    company.start().await;
    let say = async |member: &str, text: &str| assert!(company.wecom.say(member, text).await.accepted());
    assert!(company.wecom.event(MEMBER, "enter_agent").await.accepted());
    for n in 0..12 {
        say("colleague", &format!("同事问题{n}")).await;
        say(MEMBER, &format!("秘密问题{n}")).await;
        company.until(OWED, 0).await;
    }
    say(MEMBER, "/new").await;
    company.until(OWED, 0).await;
    company.wecom.trouble(|trouble| trouble.fail_next_sends(1, 60111));
    say(MEMBER, "秘密问题，答不到").await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'dead'", 1).await;
    company.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    say(MEMBER, "秘密问题，停在半路").await;
    say(MEMBER, "秘密问题，还在排队").await;
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND attempts > 0", 1).await;
    company.until("SELECT COUNT(*) FROM turn WHERE state = 'running'", 1).await;
    let conn = company.database();
    let lane: String =
        conn.query_row("SELECT lane FROM inbox WHERE lane LIKE '%erased'", [], |row| row.get(0)).unwrap();
    conn.execute("INSERT INTO fact (lane, text, at) VALUES (?1, '秘密爱好', 1790000000000)", [&lane]).unwrap();
    conn.execute("INSERT INTO profile VALUES (?1, '秘密姓名', '秘密部门', NULL, 1790000000000)", [&lane]).unwrap();
    let summaries =
        "INSERT INTO summary SELECT id, 1, '秘密摘要', 1790000000000, 1, 1, 0 FROM conversation WHERE lane = ?1";
    assert_eq!(conn.execute(summaries, [&lane]).unwrap(), 2, "of the open one and the closed one");
    (company, gate)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_shown_everything_that_is_stored_of_them() {
    let (company, gate) = with_everything().await;
    let output = company.run(&["member", "export", "wang.ERASED"]).await;
    assert!(output.status.success(), "{}", said(&output));
    let export: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let application = &export["applications"][0];
    let length = |key: &str| application[key].as_array().unwrap().len();
    assert_eq!((length("conversations"), length("received")), (2, 17), "{application:#}");
    assert!(application["welcomed_at"].as_str().unwrap().ends_with('Z'));
    let turn = &application["conversations"][0]["turns"][0];
    assert_eq!((&turn["question"], &turn["answer"]), (&"秘密问题0".into(), &"关于秘密问题0的答案".into()));
    assert!(turn["asked_at"].as_str().unwrap().starts_with("20"), "{turn}");
    assert_eq!(application["received"][1]["event"]["kind"]["content"], "秘密问题0");
    assert_eq!(application["facts"][0]["text"], "秘密爱好");
    assert_eq!(application["profile"]["name"], "秘密姓名");
    assert_eq!(application["conversations"][1]["summary"]["text"], "秘密摘要");
    let states: Vec<_> = application["messages"].as_array().unwrap().iter().map(|one| one["state"].as_str()).collect();
    assert!(states.contains(&Some("dead")) && states.contains(&Some("waiting")) && states.contains(&Some("sent")));
    assert!(!String::from_utf8_lossy(&output.stdout).contains("同事"), "nobody else's");

    let output = company.run(&["member", "export", MEMBER, "--out", "wang.json"]).await;
    assert!(output.status.success(), "{}", said(&output));
    assert!(!company.run(&["member", "export", MEMBER, "--out", "wang.json"]).await.status.success(), "not over it");
    let nobody = company.run(&["member", "export", "erased"]).await;
    assert!(!nobody.status.success() && said(&nobody).contains("nothing is stored of erased"));
    // Each time that a command read what was said is written down.
    let log = said(&company.run(&["audit"]).await);
    assert_eq!(log.matches("member.read  member/*/wang.erased").count(), 3, "{log}");

    // By default it shows none of it.
    let arguments = ["member", "export", MEMBER];
    let output = company.run_with(&arguments, &[("QIMATE_TEAM__READ_CONVERSATIONS", "false")]).await;
    let told = said(&output);
    assert!(output.status.success() && told.contains("team.read_conversations"), "{told}");
    assert!(!told.contains("秘密问题") && !told.contains("秘密爱好") && !told.contains("秘密摘要"), "{told}");
    let export: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(export["applications"][0]["conversations"].as_array().unwrap().len(), 2);
    assert_eq!(said(&company.run(&["audit"]).await), log, "nothing was read");
    gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_member_is_nowhere_and_everybody_else_is_served() {
    let (mut company, gate) = with_everything().await;
    let (id, at) = (4_000_000_001, Clock::System.now());
    assert!(company.wecom.say_with(MEMBER, "秘密问题，送了两次", id, at).await.accepted());
    let refused = company.run(&["member", "erase", MEMBER]).await;
    assert!(!refused.status.success() && said(&refused).contains("--yes"), "nobody to ask: {}", said(&refused));
    assert!(!files_with(&company, &[MEMBER]).is_empty());
    assert!(company.run(&["backup", "copy.db"]).await.status.success());
    // As a backup leaves it that was killed.
    let unfinished = company.dir.path().join(".qimate-x1.unfinished");
    fs::copy(company.dir.path().join("copy.db"), &unfinished).unwrap();

    let output = company.run(&["member", "erase", MEMBER, "--yes"]).await;
    let told = said(&output);
    assert!(output.status.success() && told.contains("rows") && told.contains("copy.db"), "{told}");
    assert!(told.contains(".qimate-x1.unfinished"), "{told}");
    fs::remove_file(unfinished).unwrap();
    fs::remove_file(company.dir.path().join("copy.db")).unwrap();
    // What was under way goes on for nobody.
    gate.open();
    company.wecom.trouble(|trouble| trouble.clear());
    assert!(company.wecom.say("colleague", "还好吗").await.accepted());
    company.until(OWED, 0).await;
    company.model.wait_load(|load| load.in_flight == 0).await;
    assert_eq!(files_with(&company, &[MEMBER, "秘密"]), Vec::<String>::new());
    assert!(company.wecom.messages_for("colleague").last().unwrap().content.contains("还好吗"));
    assert_eq!(company.wecom.messages_for("colleague").len(), 13);

    // A repetition of what is erased is known, and answered no more.
    let (requests, shown) = (company.model.requests().len(), company.wecom.messages_for(MEMBER).len());
    assert!(company.wecom.say_with(MEMBER, "秘密问题，送了两次", id, at).await.accepted());
    company.until(OWED, 0).await;
    assert_eq!(company.model.requests().len(), requests);
    assert_eq!(files_with(&company, &[MEMBER, "秘密"]), Vec::<String>::new());

    // They may come back, and nobody remembers.
    assert!(company.wecom.say(MEMBER, "我回来了").await.accepted());
    company.until(OWED, 0).await;
    assert_eq!(company.wecom.messages_for(MEMBER).len(), shown + 1);
    assert!(
        !company.model.requests().last().unwrap().body.to_string().contains("秘密问题"),
        "an old question came along"
    );

    // And with the daemon stopped.
    assert!(company.terminate().await.success());
    assert!(company.run(&["member", "erase", MEMBER, "--yes"]).await.status.success());
    assert_eq!(files_with(&company, &[MEMBER, "我回来了"]), Vec::<String>::new());
    let again = company.run(&["member", "erase", MEMBER, "--yes"]).await;
    assert!(said(&again).contains("nothing is stored"), "{}", said(&again));
    company.start().await;
    assert!(company.wecom.say("colleague", "早").await.accepted());
    company.until(OWED, 0).await;
}

/// The daemon has the conversation at hand when the command comes, and the next message comes at once.
#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_remembers_of_an_erased_member_is_forgotten_before_their_next_message() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    for round in 0..3 {
        assert!(company.wecom.say(MEMBER, &format!("旧问题{round}")).await.accepted());
        company.until(OWED, 0).await;
        assert!(company.run(&["member", "erase", MEMBER, "--yes"]).await.status.success());
        assert!(company.wecom.say(MEMBER, "新问题").await.accepted());
        company.until(OWED, 0).await;
        let asked = company.model.requests().last().unwrap().body.to_string();
        assert!(asked.contains("新问题") && !asked.contains("旧问题"), "{asked}");
        company.until("SELECT COUNT(*) FROM turn WHERE conversation IN (SELECT id FROM conversation)", 1).await;
        assert!(company.run(&["member", "erase", MEMBER, "--yes"]).await.status.success());
    }
}
