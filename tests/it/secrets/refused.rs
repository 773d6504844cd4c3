//! What cannot be read is refused, with a sentence that says what is wrong and how to mend it.

use qimate::vault::MasterKey;

use super::{CANARY, MASTER_KEY, OF_WECOM, company, ends, give, master_key, put, put_all, reads};
use crate::company::Company;

/// What a start says that is refused.
async fn refused(company: &Company, more: &[(&str, &str)]) -> String {
    let (code, told) = ends(company, "serve", more).await;
    assert_eq!(code, 2, "{told}");
    assert!(!told.contains("is missing; set it in"), "what is stored is not missing: {told}");
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_master_key_nothing_starts() {
    let (master, other) = (master_key(), master_key());
    let id = |text: &str| MasterKey::parse(text).unwrap().id().to_string();
    let company = company(&master).await;
    put_all(&company).await;

    let told = refused(&company, &[(MASTER_KEY, "")]).await;
    let wanted = format!(
        "secrets.master_key: is missing, and the database holds secrets that are encrypted with the master key {}; \
         expected that one in secrets.master_key (QIMATE_SECRETS__MASTER_KEY,",
        id(&master)
    );
    assert!(told.starts_with(&wanted) && told.contains("`qimate secrets remove --all`"), "{told}");
    let told = refused(&company, &[(MASTER_KEY, &other)]).await;
    let wanted = format!("secrets.master_key: is another master key ({}) than the one", id(&other));
    assert!(told.starts_with(&wanted) && told.contains(&id(&master)) && !told.contains(&other), "{told}");
    let (code, told) = ends(&company, "serve", &[(MASTER_KEY, &master[..20])]).await;
    assert!(code == 2 && told.contains("secrets.master_key: has 15 bytes; expected 32 bytes in Base64"), "{told}");
    assert!(!told.contains(&master[..20]), "{told}");
    let chinese = company.run_with(&["serve"], &[(MASTER_KEY, &other)]).await;
    let chinese = String::from_utf8(chinese.stderr).unwrap();
    assert!(chinese.starts_with("secrets.master_key：是另一个主密钥"), "{chinese}");

    // Commands and the doctor say the same; nothing is added by another master key.
    let (code, told) = ends(&company, "doctor", &[(MASTER_KEY, &other)]).await;
    assert!(code == 1 && told.contains("is another master key"), "{told}");
    assert_eq!(ends(&company, "status", &[(MASTER_KEY, &other)]).await.0, 2);
    for line in ["secrets set llm.api_key --file Cargo.toml", "secrets rotate"] {
        std::fs::write(company.dir.path().join("Cargo.toml"), "key").unwrap();
        let (code, told) = ends(&company, line, &[(MASTER_KEY, &other)]).await;
        assert!(code == 1 && told.contains("is another master key"), "{line}: {told}");
        let (code, told) = ends(&company, line, &[(MASTER_KEY, "")]).await;
        assert!(code == 1 && told.contains("there is no master key: set secrets.master_key"), "{line}: {told}");
    }
    // What is stored can be seen, and taken away, without it.
    assert!(ends(&company, "secrets list", &[(MASTER_KEY, "")]).await.1.contains("wecom.secret"));
    assert_eq!(ends(&company, "secrets remove --all", &[(MASTER_KEY, "")]).await.0, 0);
    assert!(ends(&company, "serve", &[(MASTER_KEY, "")]).await.1.contains("wecom.secret: is missing; set it in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_are_swapped_or_changed_are_named() {
    let master = master_key();
    let company = company(&master).await;
    put_all(&company).await;
    let conn = company.database();
    let is_well = async || assert!(reads(&company, &master, "").await);
    is_well().await;
    let damaged = |name: &str| format!("{name}: is damaged in the database, or was put there in the place of another");

    conn.execute_batch(
        "CREATE TABLE kept AS SELECT name, key, sealed FROM secret; CREATE TABLE kept_key AS SELECT * FROM secret_key;",
    )
    .unwrap();
    let mend = "DELETE FROM secret_key; INSERT INTO secret_key SELECT * FROM kept_key;
                UPDATE secret SET (key, sealed) = (SELECT key, sealed FROM kept WHERE kept.name = secret.name);";
    // The value of one in the place of another.
    let swap = "UPDATE secret SET sealed = (SELECT sealed FROM kept WHERE name = ";
    conn.execute(&format!("{swap}'wecom.callback_token') WHERE name = 'wecom.secret'"), []).unwrap();
    conn.execute(&format!("{swap}'wecom.secret') WHERE name = 'wecom.callback_token'"), []).unwrap();
    let told = refused(&company, &[]).await;
    for name in &OF_WECOM[..2] {
        assert!(told.contains(&damaged(name)) && told.contains(&format!("`qimate secrets set {name}`")), "{told}");
    }
    assert!(!told.contains(&damaged(OF_WECOM[2])), "{told}");
    conn.execute_batch(mend).unwrap();
    is_well().await;

    // One bit, at the beginning, in the middle and at the end.
    let turn = |table: &str, which: &str, at: usize| {
        let sql = format!("SELECT sealed FROM {table} WHERE {which}");
        let mut sealed: Vec<u8> = conn.query_row(&sql, [], |row| row.get(0)).unwrap();
        let at = at.min(sealed.len() - 1);
        sealed[at] ^= 1;
        conn.execute(&format!("UPDATE {table} SET sealed = ?1 WHERE {which}"), [sealed]).unwrap();
    };
    for at in [0, 1, 14, usize::MAX] {
        turn("secret", "name = 'wecom.secret'", at);
        assert!(refused(&company, &[]).await.starts_with(&damaged("wecom.secret")));
        conn.execute_batch(mend).unwrap();
    }
    turn("secret_key", "number = 1", 20);
    let told = refused(&company, &[]).await;
    assert!(told.starts_with("secrets.master_key: is the right one, but key 1 of the ring is damaged"), "{told}");
    conn.execute_batch(mend).unwrap();
    // A row that says another name, another key, or whose key is gone.
    conn.execute("UPDATE secret SET name = 'llm.api_key' WHERE name = 'wecom.secret'", []).unwrap();
    assert!(refused(&company, &[]).await.starts_with(&damaged("llm.api_key")));
    conn.execute("UPDATE secret SET name = 'wecom.secret' WHERE name = 'llm.api_key'", []).unwrap();
    conn.execute("UPDATE secret SET key = 7 WHERE name = 'wecom.secret'", []).unwrap();
    assert!(refused(&company, &[]).await.starts_with(&damaged("wecom.secret")));
    // What cannot be read is not rotated away; it can be stored anew.
    let (code, told) = ends(&company, "secrets rotate", &[]).await;
    assert!(code == 1 && told.contains(&damaged("wecom.secret")), "{told}");
    put(&company, "wecom.secret", CANARY).await;
    is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_the_setting_would_not_take_is_refused_at_once() {
    let company = company(&master_key()).await;
    for (name, value, told) in [
        ("wecom.encoding_aes_key", CANARY, "wecom.encoding_aes_key: has 28 characters; expected exactly 43"),
        ("wecom.secret", "", "wecom.secret: is empty"),
        ("wecom.secrt", CANARY, "NAME: is no setting that holds a secret; did you mean wecom.secret?"),
        ("wecom.corp_id", CANARY, "NAME: is no setting that holds a secret"),
        ("secrets.master_key", CANARY, "NAME: is no setting that holds a secret"),
    ] {
        let (ok, said) = give(&company, &["secrets", "set", name], value).await;
        assert!(!ok && said.contains(told) && !said.contains(CANARY), "{name}: {said}");
    }
    assert!(!company.dir.path().join("qimate.db").exists(), "nothing was made for it");
}
