//! Whoever changes the log is found; erasing a member and restoring a backup are no ways around that.

use super::{company, done, entries, last, run};
use crate::company::Company;

/// Takes the triggers away, as whoever can write the file can, and runs this.
fn tamper(company: &Company, sql: &str) {
    let conn = company.database();
    let names: Vec<String> = conn
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'audit%'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    for name in &names {
        conn.execute_batch(&format!("DROP TRIGGER {name}")).unwrap();
    }
    assert!(names.len() >= 4, "{names:?}");
    conn.execute_batch(sql).unwrap();
}

/// A log of five entries, in which a member is named with a note.
async fn with_entries() -> Company {
    let company = company().await;
    for limit in [10, 20, 30] {
        done(&company, &format!("plan set standard --limit requests={limit}/day")).await;
    }
    done(&company, "member set li --note 秘密备注").await;
    done(&company, "plan attach standard --member li").await;
    assert!(done(&company, "audit verify").await.contains("5 entries"));
    company
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_itself_lets_nobody_change_it() {
    let company = with_entries().await;
    let conn = company.database();
    for sql in [
        "UPDATE audit SET actor = 'daemon' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 5",
        "INSERT INTO audit SELECT 9, at, actor, action, object, changes, result, hash FROM audit WHERE seq = 1",
        "INSERT OR REPLACE INTO audit SELECT 1, at, 'x', action, object, changes, result, hash FROM audit WHERE seq = 1",
        "UPDATE audit_name SET text = 'wang'",
    ] {
        assert!(conn.execute_batch(sql).is_err(), "{sql}");
    }
    assert!(done(&company, "audit verify").await.contains("5 entries"));
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_changes_it_is_found_and_the_first_broken_entry_is_named() {
    for (sql, wanted) in [
        ("UPDATE audit SET actor = 'command/nobody' WHERE seq = 2", "entry 2 is not as it was written"),
        ("UPDATE audit SET at = at + 1 WHERE seq = 3", "entry 3 is not as it was written"),
        ("UPDATE audit SET changes = '{}' WHERE seq = 1; DELETE FROM audit WHERE seq = 3", "entry 1 is not"),
        ("UPDATE audit SET result = NULL WHERE 0; UPDATE audit SET hash = x'00' WHERE seq = 4", "entry 4 is not"),
        ("DELETE FROM audit WHERE seq = 3", "entry 3 is not there"),
        ("DELETE FROM audit WHERE seq = 1", "entry 1 is not there"),
        ("UPDATE audit_name SET text = 'wang' WHERE text = 'li'", "a name in entry 4"),
        ("DELETE FROM audit_name WHERE text = '秘密备注'", "a name in entry 4"),
    ] {
        let company = with_entries().await;
        tamper(&company, sql);
        let (ok, told) = run(&company, "audit verify").await;
        assert!(!ok && told.contains(wanted), "{sql}: {told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_cannot_be_cut_off_where_somebody_kept_the_head() {
    let company = with_entries().await;
    let head = done(&company, "audit head").await.trim().to_owned();
    assert!(head.starts_with("5:") && head.len() == 66, "{head}");
    done(&company, "plan detach --member li").await;
    done(&company, &format!("audit verify --head {head}")).await;
    tamper(&company, "DELETE FROM audit WHERE seq >= 5");
    done(&company, "audit verify").await;
    let (ok, told) = run(&company, &format!("audit verify --head {head}")).await;
    assert!(!ok && told.contains("ends with entry 4, but the head that was kept is entry 5"), "{told}");
    // Whoever writes something else there is found as well.
    done(&company, "plan set other --limit requests=1/day").await;
    done(&company, "audit verify").await;
    let (ok, told) = run(&company, &format!("audit verify --head {head}")).await;
    assert!(!ok && told.contains("entry 5 is not the one of the head"), "{told}");
    let (ok, told) = run(&company, "audit verify --head 5").await;
    assert!(!ok && told.contains("qimate audit head"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_daemon_tells_its_log_where_the_audit_log_ends() {
    let mut company = with_entries().await;
    let head = done(&company, "audit head").await.trim().to_owned();
    assert!(company.terminate().await.success());
    company.start().await;
    crate::harness::within(async {
        while !company.has_logged(&head) {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_erased_member_goes_from_it_and_the_entries_stay() {
    let company = with_entries().await;
    done(&company, "member erase LI --yes").await;
    let all = entries(&company, "").await;
    assert_eq!(all.len(), 6);
    let text = serde_json::to_string(&all).unwrap();
    assert!(!text.contains("/li\"") && !text.contains("秘密备注"), "{text}");
    let objects: Vec<_> = [3, 4, 5].map(|n| all[n]["object"].as_str().unwrap().rsplit('/').next().unwrap()).into();
    assert!(objects[0].starts_with('#') && objects.iter().all(|one| *one == objects[0]), "{objects:?}");
    assert!(done(&company, "audit verify").await.contains("6 entries"));
    // They may come back, as somebody whom nobody remembers.
    done(&company, "member set li --note neu").await;
    assert_eq!(last(&company).await.2, "member/ww1436e0e65a779aee/li");
    assert!(done(&company, "audit verify").await.contains("7 entries"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_does_not_cut_the_log_off() {
    let mut company = with_entries().await;
    done(&company, "backup copy.db").await;
    done(&company, "plan set later --limit requests=1/day").await;
    let head = done(&company, "audit head").await.trim().to_owned();
    assert!(company.terminate().await.success());
    done(&company, "restore copy.db").await;
    assert!(!done(&company, "plan").await.contains("later"), "the plan is gone");
    let all = entries(&company, "").await;
    let actions: Vec<_> = all.iter().map(|entry| entry["action"].as_str().unwrap()).collect();
    assert_eq!(actions[5..], ["plan.set", "database.restore"], "and who made it is not");
    done(&company, &format!("audit verify --head {head}")).await;
    company.start().await;
    done(&company, "plan set again --limit requests=1/day").await;
    assert!(done(&company, "audit verify").await.contains("8 entries"));
}
