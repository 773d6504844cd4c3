//! The process, the disk and the database: who is told when one of them fails.

use super::{look, look_for, looked, states, watched};
use crate::{company::Company, harness::within, hook::Hook};

#[tokio::test]
async fn a_crash_is_told_once_and_a_clean_stop_is_not() {
    let hook = Hook::start().await;
    let mut app = watched(&hook, |_| {}).await;
    app.stop().await;
    app.launch().await;
    looked(&app).await;
    assert!(hook.seen().is_empty(), "it was stopped");
    // As a process leaves it that was killed, twice.
    for _ in 0..2 {
        app.stop().await;
        app.database().execute("DELETE FROM moment WHERE name = 'stopped'", []).unwrap();
        app.launch().await;
        looked(&app).await;
    }
    let text = &app.texts("boss", 1).await[0];
    assert!(text.contains("没有正常停止"), "{text}");
    app.settled().await;
    look_for(&app, 600).await;
    app.texts("boss", 2).await;
    hook.posts(2).await;
    assert_eq!(hook.seen(), states(&[("crashed", "raised"), ("crashed", "resolved")]));
    app.settled().await;
}

#[tokio::test]
async fn a_killed_process_is_told_by_the_next() {
    let mut company = Company::open(&[("QIMATE_ALERTS__OPERATORS", "boss")]).await;
    company.start().await;
    company.until("SELECT COUNT(*) FROM moment WHERE name = 'started'", 1).await;
    assert!(company.terminate().await.success());
    company.start().await;
    company.until("SELECT COUNT(*) FROM moment WHERE name = 'stopped'", 0).await;
    company.kill().await;
    company.start().await;
    within(company.wecom.wait_delivered(|all| !all.is_empty())).await;
    let messages = company.wecom.messages_for("boss");
    assert_eq!(messages.len(), 1, "{messages:?}");
    assert!(messages[0].content.contains("没有正常停止"), "{messages:?}");
    company.terminate().await;
}

#[tokio::test]
async fn a_disk_that_fills_up_is_told() {
    let hook = Hook::start().await;
    let app = watched(&hook, |config| config.alerts.disk_free_mib = u64::MAX).await;
    assert_eq!(hook.posts(1).await[0]["condition"], "disk_space");
    assert!(app.texts("boss", 1).await[0].contains("MiB"));
    app.settled().await;
}

#[tokio::test]
async fn a_database_that_fills_up_is_told_and_that_it_is_full_at_the_webhook_at_once() {
    let hook = Hook::start().await;
    let app = watched(&hook, |config| config.storage.max_size_mib = Some(16)).await;
    let others = app.database();
    others.execute_batch("CREATE TABLE others (page BLOB); INSERT INTO others VALUES (zeroblob(15 << 20))").unwrap();
    look(&app).await;
    assert_eq!(hook.posts(1).await[0]["condition"], "database_size");
    assert!(app.texts("boss", 1).await[0].contains("16 MiB"));
    app.settled().await;

    others.execute_batch("INSERT INTO others VALUES (zeroblob(2 << 20))").unwrap();
    look_for(&app, 30).await;
    assert_eq!(hook.posts(2).await[1]["condition"], "database_unwritable");
    others.execute_batch("DROP TABLE others").unwrap();
    look_for(&app, 90).await;
    let texts = app.texts("boss", 3).await;
    assert!(texts[1].starts_with("【恢复】数据库") && texts[2].starts_with("【恢复】数据库"), "{texts:?}");
    assert_eq!(hook.posts(4).await.len(), 4);
    app.settled().await;
}
