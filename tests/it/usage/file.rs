//! The file of usage is of its own: it is pruned, lost and erased without anybody's messages.

use std::time::Duration;

use qimate::sandbox::model::ModelReply;

use super::{calls, until_calls, usage};
use crate::{
    company::Company,
    harness::{App, within},
};

#[tokio::test]
async fn a_broken_file_keeps_nobody_from_an_answer() {
    let mut app = App::start().await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    app.stop().await;
    // Its thread closes the file a moment later, and takes the log away, from which SQLite would mend the file.
    within(async {
        while app.dir.path().join("usage.db-wal").exists() {
            tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
        }
    })
    .await;
    std::fs::write(app.dir.path().join("usage.db"), "not a database, ".repeat(1000)).unwrap();
    app.launch().await;
    app.say("li", "一").await;
    assert_eq!(app.texts("li", 1).await, ["好"]);
    app.stop().await;
    assert_eq!(calls(&app, "member, result"), ["li ok"]);
    let aside = app
        .dir
        .path()
        .read_dir()
        .unwrap()
        .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("usage-broken-"));
    assert_eq!(aside.count(), 1);
}

#[tokio::test]
async fn the_real_daemon_says_that_the_file_is_broken() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    std::fs::write(company.dir.path().join("usage.db"), "not a database, ".repeat(1000)).unwrap();
    company.start().await;
    assert!(company.wecom.say("li", "一").await.accepted());
    within(company.wecom.wait_delivered(|all| !all.is_empty())).await;
    until_calls(company.dir.path(), 1).await;
    assert!(company.has_logged("the file of usage cannot be used: it was moved aside and is begun anew"));
    assert!(company.terminate().await.success());
}

#[tokio::test]
async fn calls_are_pruned_and_their_days_stay() {
    let mut app = App::start_with(|config| {
        config.team.keep_calls = Duration::from_secs(2 * 86_400);
        config.team.keep_totals = Duration::from_secs(5 * 86_400);
    })
    .await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let count = |app: &App, sql: &str| -> i64 {
        let conn = rusqlite::Connection::open(app.dir.path().join("usage.db")).unwrap();
        conn.query_row(sql, [], |row| row.get(0)).unwrap()
    };
    let both = |app: &App| {
        (
            count(app, "SELECT COUNT(*) FROM call"),
            count(app, "SELECT COUNT(*) FROM total WHERE dimension = 0 AND grain = 1"),
        )
    };
    for (day, expected) in [(0, (1, 1)), (1, (2, 2)), (2, (3, 3)), (3, (3, 4)), (4, (3, 5)), (5, (3, 5)), (6, (3, 5))] {
        app.say("li", "喂").await;
        app.texts("li", day + 1).await;
        app.settled().await;
        app.stop().await;
        app.launch().await;
        // What is old is looked for at every start.
        within(async {
            while both(&app) != expected {
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        })
        .await;
        app.clock.advance(Duration::from_secs(86_400));
    }
}

#[tokio::test]
async fn a_member_is_shown_their_calls_and_erased_from_them() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    for member in ["li", "wang"] {
        assert!(company.wecom.say(member, "一").await.accepted());
    }
    within(company.wecom.wait_delivered(|all| all.len() >= 2)).await;
    until_calls(company.dir.path(), 2).await;
    let export = company.run(&["member", "export", "li"]).await;
    let export: serde_json::Value = serde_json::from_slice(&export.stdout).unwrap();
    assert_eq!(export["model_calls"]["calls"][0]["model"], "qimate-demo");
    assert_eq!(export["model_calls"]["days"][0]["calls"], 1);
    let erased = company.run(&["member", "erase", "li", "--yes"]).await;
    let said = String::from_utf8_lossy(&erased.stdout).into_owned();
    assert!(erased.status.success() && !said.contains("usage.db"), "{said}");
    let usage = company.run(&["usage", "--by", "member"]).await;
    let usage = String::from_utf8_lossy(&usage.stdout).into_owned();
    assert!(usage.contains("(erased)#") && usage.contains("wang"), "{usage}");
    assert!(!usage.lines().any(|line| line.starts_with("li ")), "{usage}");
    let backup = company.dir.path().join("backup.db");
    let made = company.run(&["backup", backup.to_str().unwrap()]).await;
    assert!(made.status.success());
    assert!(company.terminate().await.success());
    let restored = company.run(&["restore", backup.to_str().unwrap()]).await;
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let after = company.run(&["usage", "--by", "member"]).await;
    assert_eq!(String::from_utf8_lossy(&after.stdout), usage, "a backup neither has it nor changes it");
}

#[tokio::test]
async fn sums_that_somebody_deleted_are_made_again_beside_the_daemon() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    assert!(company.wecom.say("li", "一").await.accepted());
    within(company.wecom.wait_delivered(|all| !all.is_empty())).await;
    until_calls(company.dir.path(), 1).await;
    let before = usage(&company, &["--by", "member"]).await;
    assert!(before.contains("li"), "{before}");
    let conn = rusqlite::Connection::open(company.dir.path().join("usage.db")).unwrap();
    conn.busy_timeout(Duration::from_secs(10)).unwrap();
    conn.execute("DELETE FROM total", []).unwrap();
    assert_eq!(usage(&company, &["--by", "member"]).await, "nothing was used in this time\n");
    assert_eq!(usage(&company, &["rebuild"]).await, "summed up 1 calls again\n");
    assert_eq!(usage(&company, &["--by", "member"]).await, before);
}
