//! What is in the log, and that nothing is done without it.

use std::collections::BTreeSet;

use qimate::{sandbox::model::ModelReply, vault::MasterKey};
use serde_json::json;

use super::{company, done, entries, last, run};
use crate::{company::Company, harness::within_seconds};

/// Commands that change something: what has to be done before (`;` between), the command, and its entry.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    ("", "member set li --role operator --note 备注", "member.change", "member/ww1436e0e65a779aee/li"),
    ("", "member block li --reason 刷屏", "member.change", "member/ww1436e0e65a779aee/li"),
    ("", "member unblock li", "member.change", "member/ww1436e0e65a779aee/li"),
    ("", "member sync", "member.sync", "app/ww1436e0e65a779aee/1000002"),
    ("", "member import-csv people.csv", "member.change", "member/ww1436e0e65a779aee/zhao"),
    ("", "member erase li --yes", "member.erase", "member/*/#"),
    ("", "department hours always --everyone", "hours.set", "company/ww1436e0e65a779aee"),
    ("", "plan set standard --limit requests=50/day", "plan.set", "plan/standard"),
    ("", "plan attach standard --member li", "plan.attach", "member/ww1436e0e65a779aee/li"),
    ("", "plan detach --member li", "plan.detach", "member/ww1436e0e65a779aee/li"),
    ("", "plan remove standard", "plan.remove", "plan/standard"),
    ("", "grant add --member li --requests 5 --reason 出差", "grant.add", "member/ww1436e0e65a779aee/li"),
    ("", "grant revoke 1", "grant.revoke", "member/ww1436e0e65a779aee/li"),
    ("", "key create laptop --member li --external-id x", "key.create", "key/ww1436e0e65a779aee/"),
    ("", "key create desk --member li --external-id x", "key.change", "key/ww1436e0e65a779aee/"),
    ("", "key rotate KEY", "key.rotate", "key/ww1436e0e65a779aee/"),
    ("", "key revoke KEY", "key.revoke", "key/ww1436e0e65a779aee/"),
    ("", "operator create wang --role owner", "operator.create", "operator/wang"),
    ("", "operator reset wang", "operator.reset", "operator/wang"),
    ("", "operator token create wang --scopes read --label x", "token.create", "token/"),
    ("", "operator token revoke KEY", "token.revoke", "token/"),
    ("", "operator disable wang", "operator.disable", "operator/wang"),
    ("", "operator enable wang", "operator.enable", "operator/wang"),
    ("", "secrets set llm.api_key --file secret.txt", "secret.set", "secret/llm.api_key"),
    ("", "secrets rotate", "secret.rotate", "secrets"),
    ("", "secrets remove llm.api_key", "secret.remove", "secret/llm.api_key"),
    ("", "dead-letters retry", "dead_letter.retry", "dead_letter/all"),
    ("", "dead-letters drop --all", "dead_letter.drop", "dead_letter/all"),
    ("", "usage rebuild", "usage.rebuild", "usage"),
    ("", "upstreams clear", "upstreams.clear", "upstreams"),
    ("backup copy.db; STOP", "restore copy.db", "database.restore", "database"),
];

/// Commands that change nothing of what the daemon decides by.
const LOOKS: &[&str] = &[
    "serve",
    "init",
    "demo",
    "check-config",
    "backup",
    "migrate",
    "import-cow",
    "status",
    "doctor",
    "healthcheck",
    "dead-letters list",
    "operator list",
    "secrets list",
    "secrets new-master-key",
    "operator show",
    "member list",
    "member show",
    "member export-csv",
    "member export",
    "department list",
    "plan list",
    "key list",
    "key show",
    "usage export",
    "upstreams",
    "audit list",
    "audit verify",
    "audit head",
    "audit export",
];

/// The subcommands that a help shows.
fn subcommands(help: &str) -> Vec<String> {
    let Some((_, rest)) = help.split_once("Commands:\n") else { return Vec::new() };
    let lines = rest.lines().take_while(|line| line.starts_with("  "));
    let names = lines.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

/// Whoever adds a command says here whether it changes something, and then its entry is looked for.
#[tokio::test(flavor = "multi_thread")]
async fn no_command_is_forgotten() {
    let company = Company::open(&[]).await;
    let (mut all, mut open) = (BTreeSet::new(), vec![String::new()]);
    while let Some(command) = open.pop() {
        let actions = subcommands(&done(&company, &format!("{command} --help")).await);
        if actions.is_empty() || command == "upstreams" {
            all.insert(command.clone());
        }
        open.extend(actions.into_iter().map(|action| format!("{command} {action}").trim().to_owned()));
    }
    assert!(all.len() > 30, "the test reads what it thinks it reads: {all:?}");
    let is_known = |name: &String| {
        let begins = |command: &str| command == name || command.starts_with(&format!("{name} "));
        LOOKS.contains(&name.as_str()) || CHANGES.iter().any(|(_, command, ..)| begins(command)) || name == "usage"
    };
    let unknown: Vec<_> = all.iter().filter(|name| !is_known(name)).collect();
    assert!(unknown.is_empty(), "does it change something? {unknown:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_changes_something_is_in_the_log_once() {
    let operations = format!("127.0.0.1:{}", crate::harness::free_port());
    let master_key = MasterKey::draw().unwrap().1;
    let variables =
        [("QIMATE_SERVER__OPERATIONS_LISTEN", &*operations), ("QIMATE_SECRETS__MASTER_KEY", master_key.expose())];
    let mut company = Company::open(&variables).await;
    company.start().await;
    std::fs::write(company.dir.path().join("people.csv"), "userid,note\nzhao,新来的\n").unwrap();
    std::fs::write(company.dir.path().join("secret.txt"), "sk-key\n").unwrap();
    let mut key = String::new();
    for (first, command, action, object) in CHANGES {
        for first in first.split("; ").filter(|first| !first.is_empty()) {
            match first {
                "STOP" => assert!(company.terminate().await.success()),
                other => drop(done(&company, other).await),
            }
        }
        let before = entries(&company, "").await.len();
        let command = command.replace("KEY", &key);
        done(&company, &command).await;
        let all = entries(&company, "").await;
        assert_eq!(all.len(), before + 1, "{command}");
        let entry = &all[before];
        assert_eq!(entry["action"], *action, "{command}: {entry}");
        let (actor, of) = (entry["actor"].as_str().unwrap(), entry["object"].as_str().unwrap());
        assert!(of.starts_with(object), "{command}: {entry}");
        assert!(actor.starts_with("command/") || actor.starts_with("operator/"), "{command}: {entry}");
        assert!(actor.len() > "command/".len() && !actor.contains("unknown"), "{command}: {entry}");
        if matches!(*action, "key.create" | "token.create") {
            key = of.rsplit('/').next().unwrap().to_owned();
        }
    }
    assert!(done(&company, "audit verify").await.contains("is whole"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_says_what_was_and_what_is() {
    let company = company().await;
    done(&company, "member set li --role operator --note 旧备注 --expires 2030-12-31").await;
    done(&company, "member set li --role member --note 新备注").await;
    let (actor, _, object, changes) = last(&company).await;
    assert_eq!((&*object, actor.starts_with("command/")), ("member/ww1436e0e65a779aee/li", true));
    let wanted = json!({
        "role": { "before": "operator", "after": "member" }, "note": { "before": "旧备注", "after": "新备注" },
    });
    assert_eq!(changes, wanted);
    done(&company, "plan set standard --limit requests=50/day").await;
    done(&company, "plan set standard --limit requests=60/day --concurrent 2").await;
    let (.., changes) = last(&company).await;
    assert_eq!(changes["concurrent"], json!({ "before": null, "after": 2 }), "{changes}");
    assert!(changes["limits"]["before"].to_string().contains("50"), "{changes}");
    assert!(changes["limits"]["after"].to_string().contains("60"), "{changes}");
    // By whom, to what, since when.
    assert_eq!(entries(&company, "--object plan/standard").await.len(), 2);
    assert_eq!(entries(&company, "--object LI --since 1d").await.len(), 2);
    assert_eq!(entries(&company, "--actor nobody-here").await.len(), 0);
    assert_eq!(entries(&company, "--since 2099-01-01").await.len(), 0);
    assert!(!run(&company, "audit list --since gestern").await.0);
    let table = done(&company, "audit").await;
    assert!(table.contains("plan.set  plan/standard") && table.contains("旧备注 → 新备注"), "{table}");
    let csv = done(&company, "audit export --csv").await;
    assert_eq!(csv.lines().count(), 5, "{csv}");
    assert!(csv.contains("seq,at_ms,time,actor,action,object,changes,result,hash"), "{csv}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_do_in_the_chat_is_in_it_and_no_text() {
    let company = company().await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let say = async |member: &str, text: &str| {
        assert!(company.wecom.say(member, text).await.accepted());
        company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    };
    say("li", "你好").await;
    for (command, action, object) in [
        ("/block li 刷屏", "member.block", "member/ww1436e0e65a779aee/li"),
        ("/unblock li", "member.unblock", "member/ww1436e0e65a779aee/li"),
        ("/announce 明天放假", "announcement.show", "announcement/ww1436e0e65a779aee/1000002"),
        ("/announce send", "announcement.send", "announcement/ww1436e0e65a779aee/1000002"),
    ] {
        let before = entries(&company, "").await.len();
        say("boss", command).await;
        let (actor, is, of, changes) = last(&company).await;
        assert_eq!((&*actor, &*is, &*of), ("member/ww1436e0e65a779aee/boss", action, object), "{command}");
        assert!(!changes.to_string().contains("放假"), "{changes}");
        assert_eq!(entries(&company, "").await.len(), before + 1, "{command}");
    }
    // A member's own choices, and who may not, change nothing that an administrator decides.
    let before = entries(&company, "").await.len();
    say("li", "/block boss").await;
    say("li", "/language en").await;
    say("boss", "/unblock li").await;
    assert_eq!(entries(&company, "").await.len(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_operators_grant_and_deny_in_the_chat_is_in_it() {
    let company = company().await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    done(&company, "plan set one --limit requests=1/day").await;
    done(&company, "plan attach --everyone one").await;
    let say = async |member: &str, text: &str| {
        assert!(company.wecom.say(member, text).await.accepted());
        company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 0).await;
    };
    let requests = async || -> i64 {
        company.database().query_row("SELECT COUNT(*) FROM quota_request", [], |row| row.get(0)).unwrap()
    };
    for (number, (member, command, actions)) in
        (1..).zip([("li", "/grant 1 7", &["request.grant", "grant.add"][..]), ("wang", "/deny 2", &["request.deny"])])
    {
        say(member, "你好").await;
        // The plan is felt within a second; before, there is nothing to ask for.
        within_seconds(30, async {
            while requests().await < number {
                say(member, "/more 秘密原因").await;
            }
        })
        .await;
        let before = entries(&company, "").await.len();
        say("boss", command).await;
        let all = entries(&company, "").await;
        let written = &all[before..];
        assert!(written.iter().all(|entry| entry["actor"] == "member/ww1436e0e65a779aee/boss"), "{written:?}");
        assert!(
            written.iter().map(|entry| entry["action"].as_str().unwrap()).eq(actions.iter().copied()),
            "{written:?}"
        );
    }
    // What the member wrote for the operators is what a grant is for: it stands there as their names do, and goes with
    // the member.
    assert!(serde_json::to_string(&entries(&company, "").await).unwrap().contains("秘密原因"));
    done(&company, "member erase li --yes").await;
    assert!(!serde_json::to_string(&entries(&company, "").await).unwrap().contains("秘密原因"));
    assert!(done(&company, "audit verify").await.contains("entries"));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_log_cannot_be_written_nothing_is_changed() {
    let company = company().await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    done(&company, "plan set standard --limit requests=50/day").await;
    let conn = company.database();
    let counts = || {
        let count = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let tables = ["plan", "plan_of", "allowance", "api_key", "blocked_member", "service_hours", "member"];
        tables.map(|table| count(&format!("SELECT COUNT(*) FROM {table}")))
    };
    assert!(company.wecom.say("wang", "你好").await.accepted());
    company.until("SELECT COUNT(*) FROM turn WHERE state = 'answered'", 1).await;
    conn.execute_batch("CREATE TRIGGER full BEFORE INSERT ON audit BEGIN SELECT RAISE(ABORT, 'no room'); END").unwrap();
    let before = counts();
    for command in [
        "plan set other --limit requests=1/day",
        "plan attach standard --everyone",
        "plan remove standard",
        "grant add --member li --requests 5",
        "key create reports --service",
        "member set li --role operator",
        "member block li",
        "member erase wang --yes",
        "department hours always --everyone",
        "dead-letters retry",
        "usage rebuild",
    ] {
        let (ok, told) = run(&company, command).await;
        assert!(!ok && told.contains("no room"), "{command}: {told}");
    }
    assert_eq!(counts(), before);
    // In the chat it waits until it can be written down.
    assert!(company.wecom.say("boss", "/block li").await.accepted());
    company.until("SELECT COUNT(*) FROM inbox WHERE state = 'open'", 1).await;
    assert_eq!(counts()[4], 0);
    conn.execute_batch("DROP TRIGGER full").unwrap();
    company.until("SELECT COUNT(*) FROM blocked_member", 1).await;
    assert_eq!(last(&company).await.1, "member.block");
}
