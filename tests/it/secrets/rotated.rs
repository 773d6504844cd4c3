//! A new master key takes the place of the old one, and a process that is killed in between loses nothing.

use std::{process::Stdio, time::Duration};

use rusqlite::Connection;

use super::{CANARY, MASTER_KEY, company, ends, master_key, of_wecom, put, put_all, reads};
use crate::{company::Company, harness::within_seconds};

/// The variable of the master key of before.
const PREVIOUS: &str = "QIMATE_SECRETS__PREVIOUS_MASTER_KEY";

/// All rows, as they are.
fn rows(conn: &Connection) -> Vec<(String, i64, Vec<u8>)> {
    let sql =
        "SELECT name, key, sealed FROM secret UNION ALL SELECT master, number, sealed FROM secret_key ORDER BY 1, 2";
    let mut statement = conn.prepare(sql).unwrap();
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap().map(Result::unwrap).collect()
}

/// Begins a rotation that comes no further than `step`, and kills it there.
async fn killed_at(company: &Company, step: &str) {
    let conn = company.database();
    // Far more work than there is time for.
    conn.execute_batch(&format!(
        "CREATE TRIGGER slow AFTER {step} BEGIN SELECT COUNT(*) FROM endless a, endless b, endless c, endless d; END"
    ))
    .unwrap();
    let mut command = company.command(&["secrets", "rotate"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    conn.busy_timeout(Duration::ZERO).unwrap();
    within_seconds(30, async {
        // Until it is in the middle of its transaction.
        while conn.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok() {
            assert!(child.try_wait().unwrap().is_none(), "{step}: it ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
    child.kill().await.unwrap();
    conn.busy_timeout(Duration::from_secs(20)).unwrap();
    conn.execute_batch("DROP TRIGGER slow").unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_that_is_killed_at_any_step_leaves_everything_readable() {
    let (old, new) = (master_key(), master_key());
    let mut company = company(&old).await;
    put_all(&company).await;
    assert!(reads(&company, &new, &old).await, "both can stand together");
    assert!(!reads(&company, &new, "").await, "and the new one alone does not read yet");

    // What is put in meanwhile is for the new one; the ring then holds keys of both.
    company.set(MASTER_KEY, &new);
    company.set(PREVIOUS, &old);
    assert!(put(&company, "llm.api_key", CANARY).await.contains("with key 2;"));
    let (conn, before) = (company.database(), rows(&company.database()));
    conn.execute_batch(
        "CREATE TABLE endless (n); INSERT INTO endless SELECT value FROM json_each('[' || trim(replace(hex(zeroblob(500)), '00', '0,'), ',') || ']')",
    )
    .unwrap();
    let updates = before
        .iter()
        .filter(|(name, ..)| name.contains('.'))
        .map(|(name, ..)| format!("UPDATE ON secret WHEN NEW.name = '{name}'"));
    let steps = ["INSERT ON secret_key".to_owned()].into_iter().chain(updates);
    let steps = steps.chain(["DELETE ON secret_key".to_owned(), "INSERT ON audit".to_owned()]);
    let mut count = 0;
    for step in steps {
        killed_at(&company, &step).await;
        assert_eq!(rows(&conn), before, "{step}");
        assert!(reads(&company, &new, &old).await, "{step}");
        count += 1;
    }
    assert_eq!(count, 7, "every step of it");

    let (code, told) = ends(&company, "secrets rotate", &[]).await;
    assert!(code == 0 && told.starts_with("encrypted 4 anew with key 3; the master key is "), "{told}");
    assert_eq!(rows(&conn).iter().filter(|(name, ..)| !name.contains('.')).count(), 1, "the keys of before are gone");
    assert!(reads(&company, &new, "").await && !reads(&company, &old, "").await);
    let log = company.json("audit list --object secrets").await;
    let changes = &log[0]["changes"];
    assert_eq!(
        (log.as_array().unwrap().len(), &changes["key"]["after"], &changes["values"]["after"]),
        (1, &3.into(), &4.into())
    );

    // The old one may be taken away.
    company.set(PREVIOUS, "");
    company.start().await;
    assert!(company.wecom.say("li", "你好").await.accepted());
    company.wecom.wait_delivered(|all| !all.is_empty()).await;
    for (_, value) in of_wecom(&company) {
        assert!(super::holding(&company, &value).is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_with_the_same_master_key_makes_a_new_key_and_one_without_secrets_nothing() {
    let master = master_key();
    let company = company(&master).await;
    put_all(&company).await;
    let before = rows(&company.database());
    assert!(ends(&company, "secrets rotate", &[]).await.1.starts_with("encrypted 3 anew with key 2; "));
    let after = rows(&company.database());
    assert!(after.iter().all(|row| !before.contains(row)), "every row is another");
    assert!(reads(&company, &master, "").await);
    assert_eq!(ends(&company, "secrets remove --all", &[]).await.0, 0);
    assert_eq!(ends(&company, "secrets rotate", &[]).await, (0, "no secrets are stored: nothing to do\n".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_master_key_is_printed_alone_and_is_good() {
    // Also where the one that is set is none.
    let mut company = company("none").await;
    let output = company.run(&["secrets", "new-master-key"]).await;
    let key = String::from_utf8(output.stdout).unwrap();
    assert_eq!((output.status.success(), key.lines().count(), key.trim().len()), (true, 1, 44));
    company.set(MASTER_KEY, "");
    let file = company.dir.path().join("master-key");
    std::fs::write(&file, key).unwrap();
    company.set(&format!("{MASTER_KEY}_FILE"), &file.display().to_string());
    put(&company, "wecom.secret", CANARY).await;
    assert!(ends(&company, "secrets list", &[]).await.1.starts_with("wecom.secret  "));
}
