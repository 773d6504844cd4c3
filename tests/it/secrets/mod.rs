//! Secrets in the database: put in by a command, encrypted, used at the next start, and never shown.

mod refused;
mod rotated;

use std::{fs, path::PathBuf, process::Stdio};

use qimate::{sandbox::model::ModelReply, vault::MasterKey};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::{
    company::{Company, said},
    disk,
};

/// The variable of the master key.
const MASTER_KEY: &str = "QIMATE_SECRETS__MASTER_KEY";
/// The settings of WeCom that the daemon cannot do without.
const OF_WECOM: [&str; 3] = ["wecom.secret", "wecom.callback_token", "wecom.encoding_aes_key"];
/// Recognisable wherever it comes out, and long enough for every setting.
const CANARY: &str = "hunter2hunter2hunter2hunter2";

fn master_key() -> String {
    MasterKey::draw().unwrap().1.expose().clone()
}

fn variable(name: &str) -> String {
    format!("QIMATE_{}", name.replace('.', "__").to_uppercase())
}

/// A company whose configuration has a master key and none of WeCom's secrets.
async fn company(master_key: &str) -> Company {
    let mut company = Company::open(&[(MASTER_KEY, master_key)]).await;
    for name in OF_WECOM {
        company.set(&variable(name), "");
    }
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company
}

/// The values that WeCom has for them.
fn of_wecom(company: &Company) -> [(&'static str, String); 3] {
    let app = company.wecom.settings();
    let values = [&app.secret, &app.callback_token, &app.encoding_aes_key];
    let values = values.map(|value| value.expose().clone());
    let [secret, token, key] = values;
    [(OF_WECOM[0], secret), (OF_WECOM[1], token), (OF_WECOM[2], key)]
}

/// Gives a command its standard input: whether it went well, and all that it said.
async fn give(company: &Company, arguments: &[&str], input: &str) -> (bool, String) {
    let mut command = company.command(arguments);
    command.env("QIMATE_CHAT__LANGUAGE", "en");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).await.unwrap();
    let output = child.wait_with_output().await.unwrap();
    (output.status.success(), said(&output))
}

/// Stores a value.
async fn put(company: &Company, name: &str, value: &str) -> String {
    let (ok, told) = give(company, &["secrets", "set", name], &format!("{value}\n")).await;
    assert!(ok && !told.contains(value), "{told}");
    told
}

async fn put_all(company: &Company) {
    for (name, value) in of_wecom(company) {
        put(company, name, &value).await;
    }
}

/// A command, its exit code, and what it said.
async fn ends(company: &Company, line: &str, more: &[(&str, &str)]) -> (i32, String) {
    let more: Vec<_> = [("QIMATE_CHAT__LANGUAGE", "en")].iter().chain(more).copied().collect();
    let output = company.run_with(&line.split(' ').collect::<Vec<_>>(), &more).await;
    (output.status.code().unwrap(), said(&output))
}

/// Whether everything that is stored can be read with these master keys.
async fn reads(company: &Company, current: &str, previous: &str) -> bool {
    let keys = [(MASTER_KEY, current), ("QIMATE_SECRETS__PREVIOUS_MASTER_KEY", previous)];
    let (code, told) = ends(company, "check-config", &keys).await;
    assert!(code == 0 || code == 2 && told.contains("secrets.master_key"), "{told}");
    code == 0
}

/// The files of the company that hold a text.
fn holding(company: &Company, text: &str) -> Vec<PathBuf> {
    disk::holding(company.dir.path(), text)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemon_without_secrets_in_its_configuration_starts_with_the_stored_ones() {
    let master = master_key();
    let mut company = company(&master).await;
    let (code, told) = ends(&company, "serve", &[]).await;
    assert!(code == 2 && told.contains("wecom.secret: is missing"), "{told}");
    // Before the first start: there is no database yet.
    assert_eq!(ends(&company, "secrets", &[]).await, (0, "no secrets are stored\n".to_owned()));
    let told = put(&company, "wecom.secret", &of_wecom(&company)[0].1).await;
    assert_eq!(told, "stored wecom.secret, encrypted with key 1; a running Qimate uses it after its next start\n");
    put_all(&company).await;

    let table = ends(&company, "check-config", &[]).await.1;
    let line = table.lines().find(|line| line.starts_with("wecom.secret ")).unwrap();
    assert!(line.contains("qimate secrets") && line.ends_with("***"), "{line}");
    company.start().await;
    assert!(company.has_logged("took secrets from the database"));
    assert!(company.wecom.say("li", "你好").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    assert_eq!(company.wecom.messages_for("li")[0].content, "好");
    // Commands and the doctor know them too.
    let (code, told) = ends(&company, "doctor", &[]).await;
    assert!(code < 2 && !told.contains("is missing"), "{told}");
    assert_eq!(ends(&company, "healthcheck", &[]).await.0, 0);

    // Nowhere in clear text: not in the database and its log, a backup, the audit log, nor in what anything said.
    let mut told = String::new();
    for line in ["secrets list", "secrets list --json", "audit list", "check-config", "backup copy.db", "status"] {
        told += &ends(&company, line, &[]).await.1;
    }
    company.kill().await;
    for (name, value) in of_wecom(&company) {
        assert_eq!(holding(&company, &value), Vec::<PathBuf>::new(), "{name}");
        assert!(!told.contains(&value) && !company.has_logged(&value), "{name}: {told}");
    }
    for file in ["qimate.db", "copy.db"] {
        let holds = holding(&company, "wecom.encoding_aes_key");
        assert!(holds.iter().any(|path| path.ends_with(file)), "the test finds what is there: {holds:?}");
    }
    assert_eq!(holding(&company, &master), Vec::<PathBuf>::new());
    company.start().await;
    assert!(company.wecom.say("li", "还在吗").await.accepted());
    company.wecom.wait_delivered(|all| all.len() > 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_known_of_a_secret_is_shown_and_its_value_is_not() {
    let mut company = company(&master_key()).await;
    put_all(&company).await;
    let path = company.dir.path().join("key");
    fs::write(&path, format!("\u{feff}{CANARY}\r\n")).unwrap();
    let (code, told) = ends(&company, "secrets set llm.api_key --file key --json", &[]).await;
    assert!(code == 0 && told.contains("\"felt\": \"next start\""), "{told}");
    fs::remove_file(path).unwrap();
    let list = company.json("secrets list").await;
    let names: Vec<_> = list.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["llm.api_key", "wecom.callback_token", "wecom.encoding_aes_key", "wecom.secret"]);
    let one = &list[0];
    assert!(one["set_ms"].as_i64().unwrap() > 0 && one["set_by"].as_str().unwrap().starts_with("command/"), "{one}");
    assert_eq!(
        (&one["data_key"], one["master_key"].as_str().unwrap().len(), &one["standing"]),
        (&Value::from(1), 16, &"used".into())
    );
    assert!(!list.to_string().contains(CANARY));

    // Each change is in the audit log, by its name.
    put(&company, "llm.api_key", "another").await;
    assert_eq!(ends(&company, "secrets remove llm.api_key", &[]).await.0, 0);
    let log = company.json("audit list --object secret/llm.api_key").await;
    let actions: Vec<_> = log.as_array().unwrap().iter().map(|one| one["action"].as_str().unwrap()).collect();
    assert_eq!(actions, ["secret.set", "secret.set", "secret.remove"]);
    assert!(!log.to_string().contains(CANARY) && !log.to_string().contains("another"), "{log}");
    assert_eq!(log[0]["changes"]["key"], serde_json::json!({ "before": null, "after": 1 }));
    let (code, told) = ends(&company, &format!("secrets remove {CANARY}"), &[]).await;
    assert!(code == 1 && told.contains("no secret of that name") && !told.contains(CANARY), "{told}");

    // Neither without the other.
    let conn = company.database();
    conn.execute_batch("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END").unwrap();
    for line in ["secrets set llm.api_key", "secrets remove wecom.secret", "secrets rotate"] {
        let (ok, told) = give(&company, &line.split(' ').collect::<Vec<_>>(), CANARY).await;
        assert!(!ok && told.contains("no room"), "{line}: {told}");
    }
    conn.execute_batch("DROP TRIGGER full").unwrap();
    assert_eq!(company.json("secrets list").await.as_array().unwrap().len(), 3);

    // The last one takes the ring along, and then no master key is needed.
    let (code, told) = ends(&company, "secrets remove --all", &[]).await;
    assert_eq!((code, told.as_str()), (0, "removed 3; a running Qimate uses what it has until its next start\n"));
    assert_eq!(conn.query_row("SELECT COUNT(*) FROM secret_key", [], |row| row.get::<_, i64>(0)).unwrap(), 0);
    for (name, value) in of_wecom(&company) {
        company.set(&variable(name), &value);
    }
    company.set(MASTER_KEY, "");
    company.start().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_configuration_sets_wins_and_the_start_says_so() {
    let mut company = company(&master_key()).await;
    let [(name, right), ..] = of_wecom(&company);
    put_all(&company).await;
    // Somebody put in what is wrong; whoever has the machine has the last word.
    put(&company, name, CANARY).await;
    company.set(&variable(name), &right);
    let (ok, told) = give(&company, &["secrets", "set", name], CANARY).await;
    assert!(ok && told.contains("wecom.secret: set by QIMATE_WECOM__SECRET and in the database"), "{told}");
    put(&company, "apps.hr.secret", CANARY).await;
    let list = ends(&company, "secrets list", &[]).await.1;
    assert!(list.contains("(QIMATE_WECOM__SECRET wins)") && list.contains("(not used by the configuration)"), "{list}");
    company.start().await;
    assert!(company.has_logged("以 QIMATE_WECOM__SECRET 为准") && company.has_logged("apps.hr.secret："));
    assert!(company.wecom.say("li", "你好").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    let (code, told) = ends(&company, "check-config", &[]).await;
    assert!(code == 0 && told.contains("QIMATE_WECOM__SECRET wins") && !told.contains(CANARY), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_is_brought_back_where_no_secret_is_left() {
    let (master, other) = (master_key(), master_key());
    let mut company = company(&master).await;
    put_all(&company).await;
    assert_eq!(ends(&company, "backup copy.db", &[]).await.0, 0);
    fs::remove_file(company.dir.path().join("qimate.db")).unwrap();
    assert_eq!(ends(&company, "check-config", &[]).await.0, 2, "nothing is there");
    let (code, told) = ends(&company, "restore copy.db", &[(MASTER_KEY, &other)]).await;
    assert!(code == 0 && told.contains("WARNING: secrets.master_key: is another master key"), "{told}");
    let (code, told) = ends(&company, "restore copy.db", &[]).await;
    assert!(code == 0 && !told.contains("master key"), "{told}");
    company.start().await;
    assert!(company.wecom.say("li", "你好").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
}
