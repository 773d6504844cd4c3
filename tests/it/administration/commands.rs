//! `qimate operator`: what is shown once is kept nowhere, and a running daemon feels it.

use std::fs;

use qimate::{
    clock::Clock,
    model::second_factor::{Seed, step_at},
    secret::Secret,
    vault::MasterKey,
};
use reqwest::Method;
use serde_json::{Value, json};

use super::PASSWORD;
use crate::{
    company::Company,
    disk::holds_nowhere,
    harness::{within, within_seconds},
};

/// A company that can keep second factors.
async fn company() -> Company {
    let master_key = MasterKey::draw().unwrap().1;
    Company::open(&[("QIMATE_SECRETS__MASTER_KEY", master_key.expose())]).await
}

/// Asks until this is answered: a daemon feels a command within a second. Gives what the answer says.
async fn until(company: &Company, request: (Method, &str), token: &str, body: &Value, wanted: u16) -> String {
    let url = format!("http://127.0.0.1:{}/admin/api{}", company.port(), request.1);
    let http = reqwest::Client::new();
    within_seconds(20, async {
        loop {
            let mut asked = http.request(request.0.clone(), &url).json(body);
            if !token.is_empty() {
                asked = asked.bearer_auth(token);
            }
            let answer = within(asked.send()).await.unwrap();
            if answer.status() == wanted {
                return within(answer.text()).await.unwrap();
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_first_operator_to_the_last() {
    let mut company = company().await;
    company.start().await;
    assert!(company.tell("operator").await.1.contains("no operators yet"));
    let made = company.json("operator create Zhang.San --role owner").await;
    assert_eq!(
        (&made["name"], &made["role"], &made["state"]),
        (&json!("zhang.san"), &json!("owner"), &json!("invited"))
    );
    let code = made["code"].as_str().unwrap().to_owned();
    let (ok, again) = company.tell("operator create zhang.san").await;
    assert!(!ok && again.contains("`qimate operator reset`"), "{again}");
    let body = json!({"code": code, "password": PASSWORD});
    let seed = seed(&until(&company, (Method::POST, "/invitation"), "", &body, 200).await);
    log_in(&company, "zhang.san", &seed).await;
    let shown = company.json("operator show zhang.san").await;
    assert_eq!((&shown["state"], &shown["second_factor"]), (&json!("active"), &json!(true)));
    assert!(company.tell("operator show zhang.san").await.1.contains("second factor: yes"));
    assert!(company.tell("operator list").await.1.contains("active            yes "));

    let token = company.json("operator token create zhang.san --scopes read,keys --label report").await;
    let text = token["token"].as_str().unwrap().to_owned();
    let days = (token["expires_ms"].as_i64().unwrap() - token["created_ms"].as_i64().unwrap()) / 86_400_000;
    assert_eq!(days, 90, "for ever only where that is said");
    until(&company, (Method::GET, "/me"), &text, &Value::Null, 200).await;
    let id = token["id"].as_str().unwrap();
    assert!(company.tell(&format!("operator token revoke {id}")).await.0);
    until(&company, (Method::GET, "/me"), &text, &Value::Null, 401).await;

    let second = company.json("operator reset zhang.san").await["code"].as_str().unwrap().to_owned();
    assert!(company.tell("operator list").await.1.contains("invited           no "));
    for arguments in
        ["operator list", "operator list --json", "operator show zhang.san", "operator show zhang.san --json"]
    {
        let (ok, shown) = company.tell(arguments).await;
        assert!(ok && shown.contains("zhang.san"), "{arguments}: {shown}");
        for secret in [&code, &second, &text] {
            assert!(!shown.contains(&secret[17..60]), "{arguments}: {shown}");
        }
        assert!(!shown.contains("argon2"), "{arguments}: {shown}");
    }
    assert_eq!(company.json("operator disable zhang.san").await["state"], "disabled");
    until(&company, (Method::GET, "/me"), &text, &Value::Null, 404).await;
    company.terminate().await;
    for secret in [&code[17..81], &second[17..81], &text[17..81], PASSWORD, seed.text().expose()] {
        holds_nowhere(company.dir.path(), secret);
    }
}

/// The seed that an answer shows.
fn seed(answer: &str) -> Seed {
    let answer: Value = serde_json::from_str(answer).unwrap();
    Seed::parse(&Secret::new(answer["second_factor"]["secret"].as_str().unwrap().to_owned())).unwrap()
}

/// Logs in by the machine's clock; that of the step before is enough for a slow machine.
async fn log_in(company: &Company, name: &str, seed: &Seed) {
    let code = seed.code(step_at(Clock::System.now()));
    let login = json!({"name": name, "password": PASSWORD, "code": code.expose()});
    until(company, (Method::POST, "/session"), "", &login, 201).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_factor_goes_with_the_master_key_and_with_backups() {
    let (old, new) = (MasterKey::draw().unwrap().1, MasterKey::draw().unwrap().1);
    let key = |text: &'static str| [("QIMATE_SECRETS__MASTER_KEY", text), ("QIMATE_CHAT__LANGUAGE", "en")];
    let mut company = Company::open(&[]).await;
    company.start().await;
    for line in ["operator create li --role owner", "operator reset li"] {
        let (ok, said) = company.tell(line).await;
        let ways =
            ["`qimate secrets new-master-key`", "QIMATE_SECRETS__MASTER_KEY_FILE", "admin.second_factor = \"off\""];
        assert!(!ok && ways.iter().all(|way| said.contains(way)), "{line}: {said}");
    }
    assert!(company.tell("operator list").await.1.contains("no operators yet"));
    company.terminate().await;

    company.set("QIMATE_SECRETS__MASTER_KEY", old.expose());
    company.start().await;
    let code = company.json("operator create li --role owner").await["code"].clone();
    let body = json!({"code": code, "password": PASSWORD});
    let seed = seed(&until(&company, (Method::POST, "/invitation"), "", &body, 200).await);
    assert!(company.tell("secrets list").await.1.contains("the second factors of 1 operators"));
    assert!(company.tell("backup copy.db").await.0);
    company.terminate().await;
    for (wrong, words) in
        [("", "is missing"), (MasterKey::draw().unwrap().1.expose().clone().leak(), "another master key")]
    {
        let output = company.run_with(&["serve"], &key(wrong)).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && said.contains(words), "{said}");
    }
    let (ok, said) = company.tell("restore copy.db").await;
    assert!(ok && !said.contains("WARNING"), "{said}");

    company.set("QIMATE_SECRETS__MASTER_KEY", new.expose());
    company.set("QIMATE_SECRETS__PREVIOUS_MASTER_KEY", old.expose());
    let (ok, said) = company.tell("secrets rotate").await;
    assert!(ok && said.contains("encrypted 1 anew"), "{said}");
    company.set("QIMATE_SECRETS__PREVIOUS_MASTER_KEY", "");
    company.start().await;
    log_in(&company, "li", &seed).await;
    // What is lost with a master key is set up anew.
    company.terminate().await;
    let (ok, said) = company.tell("secrets remove --all").await;
    assert!(ok && said.contains("the second factors of 1 operators went too"), "{said}");
    assert_eq!(company.json("operator show li").await["state"], "no second factor");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_said_and_a_secret_given_for_an_id_is_not_repeated() {
    let mut company = company().await;
    company.start().await;
    company.json("operator create li --role auditor").await;
    for (arguments, words) in [
        ("operator create a", "2 to 64 letters"),
        ("operator create wang --role admin", "expected owner, operator, auditor"),
        ("operator show wang", "there is no operator wang"),
        ("operator reset wang", "there is no operator wang"),
        ("operator token create wang --scopes read", "there is no operator wang"),
        ("operator token create li", "--scopes"),
        ("operator token create li --scopes all", "expected some of read, people, plans, keys, operators"),
        ("operator token create li --scopes read,keys", "the role of operator li is without keys"),
        ("operator token create li --scopes read --expires 2020-01-01", "that day is over"),
        ("operator token create li --scopes read --expires soon", "expected a date such as 2026-12-31"),
        ("operator token revoke 000000000000", "there is no token 000000000000"),
    ] {
        let (ok, said) = company.tell(arguments).await;
        assert!(!ok && said.contains(words), "{arguments}: {said}");
    }
    let token = company.json("operator token create li --scopes read --expires never").await;
    assert_eq!(token["expires_ms"], Value::Null);
    let text = token["token"].as_str().unwrap();
    let (ok, said) = company.tell(&format!("operator token revoke {text}")).await;
    assert!(!ok && said.contains("and not the token itself") && !said.contains(&text[17..]), "{said}");
    assert!(company.tell("operator disable li").await.1.contains("tokens revoked"));
    assert!(company.tell("operator disable li").await.1.contains("before"));
    let (ok, said) = company.tell("operator reset li").await;
    assert!(!ok && said.contains("`qimate operator enable li` comes first"), "{said}");
    assert!(company.tell("operator enable li").await.0);
    let output = company.run_with(&["operator", "reset", "li"], &[("QIMATE_CHAT__LANGUAGE", "zh")]).await;
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(shown.starts_with("qmi_") && shown.lines().count() == 1, "{shown}");
    assert!(told.contains("只显示这一次") && told.contains("/admin/api/invitation"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restored_backup_brings_back_no_session_and_no_code() {
    let mut company = company().await;
    company.start().await;
    company.json("operator create li --role owner").await;
    let session = "INSERT INTO operator_session (id, operator, hash, created_at, used_at, address, agent)
         VALUES ('000000000000', 1, zeroblob(32), 0, 0, '', '')";
    company.database().execute(session, []).unwrap();
    assert!(company.tell("backup copy.db").await.0);
    company.terminate().await;
    let (ok, said) = company.tell("restore copy.db").await;
    assert!(ok, "{said}");
    company.until("SELECT COUNT(*) FROM operator", 1).await;
    company.until("SELECT COUNT(*) FROM operator_session", 0).await;
    company.until("SELECT COUNT(invitation_hash) FROM operator", 0).await;
}

/// A hash takes 19 MiB while it is made. What the allocator would keep of it is what every idle daemon then has.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_login_leaves_no_memory_behind() {
    let mut company = company().await;
    company.start().await;
    company.json("operator create li").await;
    until(&company, (Method::GET, "/me"), "", &Value::Null, 401).await;
    let status = format!("/proc/{}/status", company.pid());
    let resident = || -> u64 {
        let status = fs::read_to_string(&status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    };
    let before = resident();
    let login = json!({"name": "li", "password": PASSWORD});
    for _ in 0..4 {
        until(&company, (Method::POST, "/session"), "", &login, 401).await;
    }
    let after = resident();
    assert!(after < before + 10 * 1024, "{before} kB before, {after} kB after");
}
