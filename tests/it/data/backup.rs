//! `qimate backup` and `qimate restore`, with the real binary and a daemon that goes on.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use qimate::sandbox::model::{Gate, ModelReply};
use rusqlite::Connection;

use crate::{
    company::{Company, said},
    harness::within_seconds,
};

const OWED: &str = "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                         + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')";

async fn good(company: &Company, arguments: &[&str]) -> String {
    let output = company.run(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

async fn refused(company: &Company, arguments: &[&str]) -> String {
    let output = company.run(arguments).await;
    assert!(!output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output)
}

fn one(path: &Path, sql: &str) -> i64 {
    Connection::open(path).unwrap().query_row(sql, [], |row| row.get(0)).unwrap()
}

/// The names in the data directory that begin so, in order.
fn files(company: &Company, begin: &str) -> Vec<PathBuf> {
    let mut names: Vec<_> = fs::read_dir(company.dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(begin))
        .collect();
    names.sort();
    names
}

/// Loses everything but the backups.
fn lose_the_database(company: &Company) {
    for path in files(company, "qimate.db") {
        fs::remove_file(path).unwrap();
    }
}

/// As if the backup had been made that long ago.
fn age(backup: &Path, by: Duration) {
    let aged = "UPDATE moment SET at = at - ?1 WHERE name = 'backed_up'";
    let by = i64::try_from(by.as_millis()).unwrap();
    assert_eq!(Connection::open(backup).unwrap().execute(aged, [by]).unwrap(), 1);
}

/// Puts `mib` of old answers into the database of a daemon that is not running.
fn fatten(company: &Company, mib: u32) {
    let conn = company.database();
    conn.execute_batch("PRAGMA synchronous = OFF; PRAGMA journal_size_limit = 0; BEGIN").unwrap();
    conn.execute(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?1 * 64)
         INSERT INTO turn (cause, id, conversation, question, answer, parts, state, ended_at)
         SELECT -n, 'old', 0, '问', hex(randomblob(8192)), 1, 'answered', 4000000000000 FROM n",
        [mib],
    )
    .unwrap();
    conn.execute_batch("COMMIT").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_a_big_database_keeps_no_callback_waiting() {
    const MIB: u32 = 256;
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    assert!(company.terminate().await.success());
    fatten(&company, MIB);
    company.start().await;

    let mut backup = company.command(&["backup", "copy.db"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut during = 0;
    while backup.try_wait().unwrap().is_none() {
        let receipt = within_seconds(30, company.wecom.say(&format!("m{during}"), "喂")).await;
        // Not refused and repeated, nor late: taken the first time.
        assert!(receipt.accepted() && receipt.attempts.len() == 1, "{during}: {receipt:?}");
        during += 1;
    }
    let output = backup.wait_with_output().await.unwrap();
    assert!(output.status.success());
    assert!(said(&output).contains("并检查过：2"), "{}", said(&output));
    assert!(during > 5, "only {during} callbacks came during the backup");
    company.until(OWED, 0).await;

    let copy = company.dir.path().join("copy.db");
    assert!(fs::metadata(&copy).unwrap().len() > u64::from(MIB) * 1024 * 1024);
    let left: Vec<_> = files(&company, "copy.db").into_iter().chain(files(&company, ".qimate")).collect();
    assert_eq!(left, std::slice::from_ref(&copy), "nothing unfinished stays");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // One moment: what had been answered in it has its answer in it.
    let half = "SELECT COUNT(*) FROM inbox WHERE state = 'done' AND seq NOT IN (SELECT cause FROM outbox)";
    assert_eq!(one(&copy, half), 0);
    println!("{during} callbacks were taken during the backup");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_goes_where_it_may_and_nowhere_else() {
    let mut company = Company::open(&[]).await;
    assert!(refused(&company, &["backup", "copy.db"]).await.contains("no database there"));
    company.start().await;
    assert!(refused(&company, &["backup", "-"]).await.contains("a backup is a file"));
    assert!(refused(&company, &["backup", "."]).await.contains("is a directory"));
    assert!(refused(&company, &["backup", "none/copy.db"]).await.contains("No such file"));
    assert!(refused(&company, &["backup", "qimate.db", "--force"]).await.contains("is the database itself"));

    let copy = company.dir.path().join("copy.db");
    fs::write(&copy, "mine").unwrap();
    assert!(refused(&company, &["backup", "copy.db"]).await.contains("--force"));
    assert_eq!(fs::read(&copy).unwrap(), b"mine");
    good(&company, &["backup", "copy.db", "--force"]).await;
    assert_eq!(one(&copy, "PRAGMA user_version"), one(&company.dir.path().join("qimate.db"), "PRAGMA user_version"));
    assert!(files(&company, ".qimate").is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_sound_backup_takes_the_place_of_a_database_that_nobody_serves() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    good(&company, &["backup", "copy.db"]).await;
    assert!(refused(&company, &["restore", "copy.db"]).await.contains("another qimate is running"));
    assert!(company.terminate().await.success());

    let path = |name: &str| company.dir.path().join(name);
    let before = fs::read(path("qimate.db")).unwrap();
    fs::write(path("letter.txt"), "dear sirs".repeat(1000)).unwrap();
    fs::write(path("empty.db"), "").unwrap();
    Connection::open(path("other.db")).unwrap().execute_batch("CREATE TABLE t (x)").unwrap();
    let mut damaged = fs::read(path("copy.db")).unwrap();
    let half = damaged.len() / 2;
    damaged[half..].fill(0xA5);
    fs::write(path("damaged.db"), damaged).unwrap();
    fs::copy(path("copy.db"), path("newer.db")).unwrap();
    Connection::open(path("newer.db")).unwrap().pragma_update(None, "user_version", 99).unwrap();
    for (file, why) in [
        ("letter.txt", "not a database"),
        ("empty.db", "not one of Qimate"),
        ("other.db", "not one of Qimate"),
        ("damaged.db", "damaged"),
        ("newer.db", "use a newer qimate"),
        ("none.db", "No such file"),
        (".", "not a file"),
        ("qimate.db", "is the database itself"),
    ] {
        let told = refused(&company, &["restore", file]).await;
        assert!(told.contains(why) && told.contains("as it was"), "{file}: {told}");
        assert_eq!(fs::read(path("qimate.db")).unwrap(), before, "{file}");
    }
    assert!(files(&company, ".qimate").is_empty() && files(&company, "qimate-before").is_empty());
}

/// A daemon with one question that the model is still answering, and one answer that WeCom does not take; and a backup
/// of that moment.
async fn with_something_open() -> (Company, Gate, PathBuf) {
    let mut company = Company::open(&[]).await;
    let gate = Gate::new();
    let held = gate.clone();
    company.model.set_script(move |body| {
        if body.to_string().contains("慢") {
            ModelReply::Held { before: String::new(), gate: held.clone(), after: "慢答".to_owned() }
        } else {
            ModelReply::Answer("快答".to_owned())
        }
    });
    company.start().await;
    assert!(company.wecom.say("done", "早").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent'", 1).await;
    company.wecom.trouble(|trouble| trouble.fail_sends(Some(-1)));
    assert!(company.wecom.say("slow", "慢").await.accepted());
    assert!(company.wecom.say("quick", "快").await.accepted());
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND attempts > 0", 1).await;
    let told = good(&company, &["backup", "copy.db"]).await;
    assert!(told.contains("1 questions open, 1 messages waiting"), "{told}");
    let copy = company.dir.path().join("copy.db");
    (company, gate, copy)
}

fn texts(company: &Company, member: &str) -> Vec<String> {
    company.wecom.messages_for(member).into_iter().map(|message| message.content).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_in_a_fresh_backup_is_answered_after_the_restore() {
    let (mut company, gate, _) = with_something_open().await;
    company.kill().await;
    lose_the_database(&company);
    let told = good(&company, &["restore", "copy.db"]).await;
    assert!(told.contains("WARNING: 1 questions will be answered and 1 messages sent"), "{told}");
    company.wecom.trouble(|trouble| trouble.clear());
    gate.open();
    company.start().await;
    company.until(OWED, 0).await;
    assert_eq!((texts(&company, "slow"), texts(&company, "quick")), (vec!["慢答".into()], vec!["快答".into()]));
    assert_eq!(texts(&company, "done"), ["快答"], "what was done stays done");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_daemon_answered_after_the_backup_is_not_said_again() {
    let (mut company, gate, copy) = with_something_open().await;
    company.wecom.trouble(|trouble| trouble.clear());
    gate.open();
    company.until(OWED, 0).await;
    assert!(company.wecom.say("late", "晚").await.accepted());
    company.until(OWED, 0).await;
    // Killed: the log of the database of before is not folded into its file.
    company.kill().await;
    let requests = company.model.requests().len();
    // Even long after: the database of before knows.
    age(&copy, Duration::from_secs(86_400));

    let told = good(&company, &["restore", "copy.db"]).await;
    assert!(told.contains("2 that were open in the backup had been answered since"), "{told}");
    assert!(told.contains("It has 1 messages from members that came after"), "{told}");
    assert!(!told.contains("WARNING"), "{told}");
    let aside = files(&company, "qimate-before-restore-");
    assert_eq!(aside.len(), 1, "{aside:?}");
    assert_eq!(one(&aside[0], "SELECT COUNT(*) FROM inbox"), 4, "with what was in its log");
    assert_eq!(files(&company, "qimate.db"), [company.dir.path().join("qimate.db")], "no stale log");
    company.start().await;
    company.until(OWED, 0).await;
    assert_eq!(company.model.requests().len(), requests, "nobody is asked again");
    assert_eq!(texts(&company, "slow").len() + texts(&company, "quick").len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_open_in_an_old_backup_waits_for_somebody_to_decide() {
    let (mut company, gate, copy) = with_something_open().await;
    company.wecom.trouble(|trouble| trouble.clear());
    gate.open();
    company.until(OWED, 0).await;
    company.kill().await;
    lose_the_database(&company);
    age(&copy, Duration::from_secs(4 * 3600));
    let told = good(&company, &["restore", "copy.db"]).await;
    assert!(told.contains("WARNING: 2 were open") && told.contains("slow") && told.contains("quick"), "{told}");

    company.start().await;
    company.until(OWED, 0).await;
    assert_eq!(texts(&company, "slow").len() + texts(&company, "quick").len(), 2, "nothing by itself");
    let list = good(&company, &["dead-letters"]).await;
    assert!(list.contains("may have been answered since") && list.contains("may have been delivered since"), "{list}");
    let id = |member: &str| {
        list.lines().find(|line| line.contains(member)).unwrap().split_whitespace().next().unwrap().to_owned()
    };
    // One is answered once more because somebody said so; the other is forgotten.
    good(&company, &["dead-letters", "retry", &id("slow")]).await;
    // The same words as before the restore: here WeCom hides them.
    company.until("SELECT COUNT(*) FROM outbox WHERE state = 'sent' AND member = 'slow'", 1).await;
    good(&company, &["dead-letters", "drop", &id("quick")]).await;
    assert_eq!(good(&company, &["dead-letters"]).await, "no dead letters\n");
    company.until("SELECT COUNT(*) FROM inbox WHERE state <> 'done'", 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_choice_can_be_made_for_all() {
    let (mut company, gate, copy) = with_something_open().await;
    company.kill().await;
    lose_the_database(&company);
    let told = good(&company, &["restore", "copy.db", "--open", "hold"]).await;
    assert!(told.contains("WARNING: 2 were open"), "{told}");
    age(&copy, Duration::from_secs(30 * 86_400));
    let told = good(&company, &["restore", "copy.db", "--open", "answer"]).await;
    assert!(told.contains("1 questions will be answered and 1 messages sent"), "{told}");
    company.wecom.trouble(|trouble| trouble.clear());
    gate.open();
    company.start().await;
    company.until(OWED, 0).await;
    assert_eq!((texts(&company, "slow"), texts(&company, "quick")), (vec!["慢答".into()], vec!["快答".into()]));
}

/// What employees say is nobody else's on the machine.
#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn nobody_else_reads_the_database() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("of/qimate");
    let mut company = Company::open(&[("QIMATE_STORAGE__DATA_DIR", data.to_str().unwrap())]).await;
    company.start().await;
    assert!(company.wecom.say("zhangsan", "你好").await.accepted());
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    for name in ["qimate.db", "qimate.db-wal", "qimate.db-shm"] {
        assert_eq!(mode(&data.join(name)), 0o600, "{name}");
    }
    company.terminate().await;
}
