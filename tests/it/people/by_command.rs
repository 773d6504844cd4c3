//! What administrators do with `qimate member` and `qimate department`, beside the real daemon.

use std::{fs, time::Duration};

use qimate::sandbox::model::ModelReply;

use crate::{company::Company, harness::within};

/// Runs a command given as words, and tells whether it went well and what it said.
async fn run(company: &Company, arguments: &[&str]) -> (bool, String) {
    let output = company.run(arguments).await;
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), said)
}

async fn json(company: &Company, arguments: &[&str]) -> serde_json::Value {
    let (well, said) = run(company, arguments).await;
    assert!(well, "{said}");
    serde_json::from_str(&said).unwrap()
}

/// Asks, not faster than a member may be written to, until the daemon answers so.
async fn until_told(company: &Company, beginning: &str) {
    within(async {
        loop {
            let before = company.wecom.messages_for("li").len();
            assert!(company.wecom.say("li", "喂").await.accepted());
            company.wecom.wait_delivered(|all| all.len() > before).await;
            if company.wecom.messages_for("li")[before].content.starts_with(beginning) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_by_command_is_felt_and_a_wrong_one_says_what_would_be_right() {
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    company.start().await;
    assert!(run(&company, &["member"]).await.1.contains("nobody yet"));
    until_told(&company, "好").await;
    assert!(run(&company, &["member", "block", "Li", "--reason", "太多"]).await.0);
    until_told(&company, "抱歉，管理员暂停了你对我的使用。").await;
    let shown = run(&company, &["member", "show", "li"]).await.1;
    assert!(shown.contains("state: blocked\nblocked because: 太多\n"), "{shown}");
    assert!(run(&company, &["member", "unblock", "li"]).await.0);
    until_told(&company, "好").await;
    let set = ["member", "set", "li", "--expires", "2020-01-31", "--role", "auditor", "--premium", "off", "--json"];
    let li = json(&company, &set).await;
    assert_eq!((&li["expires"], &li["role"], &li["premium"]), (&"2020-01-31".into(), &"auditor".into(), &"off".into()));
    until_told(&company, "抱歉，你的使用期限已到（2020-01-31 为最后一天）。").await;
    let back = ["member", "set", "li", "--expires", "never", "--hours", "周一至周日 00:00-24:00", "--note", "=1+1"];
    assert!(run(&company, &back).await.0);
    until_told(&company, "好").await;
    for (wrong, why) in [
        (&["member", "set", "li"][..], "required"),
        (&["member", "set", "li", "--role", "king"], "expected owner, operator, auditor, manager or member"),
        (&["member", "set", "li", "--expires", "31.12.2026"], "--expires: expected a date such as 2026-12-31"),
        (&["member", "set", "li", "--premium", "on"], "--premium: expected a date such as 2026-12-31, inherit or off"),
        (&["member", "set", "li", "--hours", "8-20"], "--hours: expected days and hours such as Mon-Fri 08:00-20:00"),
        (&["member", "show", "wang"], "wang is not known"),
        (&["department", "hours", "always", "--department", "7"], "there is no such department"),
        (&["department", "hours", "always"], "--everyone"),
    ] {
        let (well, said) = run(&company, wrong).await;
        assert!(!well && said.contains(why), "{wrong:?}: {said}");
    }
    let listed = run(&company, &["member", "list"]).await.1;
    let line = listed.lines().nth(1).unwrap().split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(line, "li auditor ok off Mon-Sun 00:00-24:00 =1+1");
    assert!(run(&company, &["department", "hours", "Mon-Sun 00:00-24:00", "--everyone"]).await.0);
    let departments = json(&company, &["department", "list", "--json"]).await;
    assert_eq!(departments[0]["hours"], "Mon-Sun 00:00-24:00");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_out_to_a_spreadsheet_and_comes_back_all_or_not_at_all() {
    let mut company = Company::open(&[]).await;
    company.start().await;
    let file = company.dir.path().join("members.csv");
    let path = file.to_str().unwrap();
    fs::write(&file, "userid,role,expires,hours,blocked,note\nli,manager,2026-12-31,Mon-Fri 08:00-20:00,,=1+1\nwang,boss,soon,,是,\n").unwrap();
    let (well, said) = run(&company, &["member", "import-csv", path]).await;
    assert!(!well, "{said}");
    assert!(
        said.contains("row 3 role: expected owner, operator") && said.contains("row 3 expires: expected a date"),
        "{said}"
    );
    assert_eq!(json(&company, &["member", "list", "--json"]).await, serde_json::json!([]), "nothing was changed");

    let good = fs::read_to_string(&file).unwrap().replace("boss,soon", ",");
    fs::write(&file, good).unwrap();
    let (_, said) = run(&company, &["member", "import-csv", path, "--dry-run"]).await;
    assert_eq!(said, "nothing written; would be: 2 new, 0 changed, 0 unchanged\n");
    assert_eq!(json(&company, &["member", "list", "--json"]).await, serde_json::json!([]));
    let outcome = json(&company, &["member", "import-csv", path, "--json"]).await;
    assert_eq!((&outcome["new"], &outcome["dry_run"]), (&2.into(), &false.into()));
    assert_eq!(run(&company, &["member", "import-csv", path]).await.1, "0 new, 0 changed, 2 unchanged\n");

    let out = company.dir.path().join("out.csv");
    assert!(run(&company, &["member", "export-csv", "--out", out.to_str().unwrap()]).await.0);
    let written = fs::read_to_string(&out).unwrap();
    assert_eq!(
        written,
        "\u{FEFF}userid,name,departments,role,expires,premium_expires,hours,blocked,note\r\n\
         li,,,manager,2026-12-31,,Mon-Fri 08:00-20:00,,'=1+1\r\nwang,,,member,,,,yes,\r\n"
    );
    fs::write(&out, written.replace("manager,2026-12-31", "member,")).unwrap();
    assert_eq!(
        run(&company, &["member", "import-csv", out.to_str().unwrap()]).await.1,
        "0 new, 1 changed, 1 unchanged\n"
    );
    let li = json(&company, &["member", "show", "li", "--json"]).await;
    assert_eq!(
        (&li["role"], &li["expires"], &li["note"]),
        (&"member".into(), &serde_json::Value::Null, &"=1+1".into())
    );
    fs::write(&out, [0xD5, 0xC5]).unwrap();
    assert!(run(&company, &["member", "import-csv", out.to_str().unwrap()]).await.1.contains("is not UTF-8"));
}
