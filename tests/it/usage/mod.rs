//! What was used, by whom: a row for each model call, whatever became of it, and sums that are true.

mod file;
mod kinds;
mod prices;
mod renamed;
mod who;
mod zone;

use std::time::Duration;

use qimate::{
    clock::Clock,
    sandbox::model::{DemoModel, ModelReply},
};
use rusqlite::Connection;
use serde_json::Value;

use crate::{
    company::Company,
    harness::{App, within, within_seconds},
};

/// How often a file is looked at that another process writes.
const LOOK: Duration = Duration::from_millis(10);

/// Waits until the file of usage holds so many calls.
async fn until_calls(dir: &std::path::Path, wanted: i64) {
    let count = || -> Option<i64> {
        let conn = Connection::open(dir.join("usage.db")).ok()?;
        conn.query_row("SELECT COUNT(*) FROM call", [], |row| row.get(0)).ok()
    };
    within_seconds(30, async {
        while count() != Some(wanted) {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

/// The calls of a daemon, the oldest first, in the words of the columns.
fn calls(app: &App, columns: &str) -> Vec<String> {
    let conn = Connection::open(app.dir.path().join("usage.db")).unwrap();
    let mut statement =
        conn.prepare(&format!("SELECT concat_ws(' ', {columns}) FROM call_in_words ORDER BY id")).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

/// Three members, two models of two upstreams, one of which fails.
async fn company() -> (Company, DemoModel) {
    let failing = DemoModel::start(Clock::System).await.unwrap();
    failing.set_script(|_| ModelReply::status(503, "busy"));
    let mut company = Company::open(&[("QIMATE_LLM__MAX_RETRIES", "0")]).await;
    let upstreams = format!(
        r#"[{{"name":"good","base_url":"{}","api_keys":["sk-a"],"models":[
               {{"alias":"qimate-demo","name":"qimate-demo","input_price":2,"output_price":8}},
               {{"alias":"second","name":"qimate-demo"}}]}},
            {{"name":"bad","base_url":"{}","api_keys":["sk-b"],"weight":1000,"models":[
               {{"alias":"second","name":"qimate-demo"}}]}}]"#,
        company.model.base_url(),
        failing.base_url()
    );
    company.set("QIMATE_LLM__UPSTREAMS", &upstreams);
    company.model.set_script(|_| ModelReply::Answer("好的".to_owned()));
    (company, failing)
}

async fn ask(company: &Company, member: &str, text: &str, answers: usize) {
    assert!(company.wecom.say(member, text).await.accepted());
    let of_member =
        |all: &[qimate::sandbox::emulator::Delivered]| all.iter().filter(|one| one.member == member).count();
    within(company.wecom.wait_delivered(|all| of_member(all) >= answers)).await;
}

async fn usage(company: &Company, arguments: &[&str]) -> String {
    let output = company.run(&[&["usage"], arguments].concat()).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The lines of `--json` as `name calls ok failed`, sorted.
async fn sums(company: &Company, by: &str) -> Vec<String> {
    let json: Value = serde_json::from_str(&usage(company, &["--by", by, "--json"]).await).unwrap();
    let line = |line: &Value| {
        format!("{} {} {} {}", line["name"].as_str().unwrap(), line["calls"], line["ok"], line["failed"])
    };
    let mut lines: Vec<_> = json["lines"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

#[tokio::test]
async fn after_a_crash_the_usage_of_three_members_with_two_models_is_true() {
    let (mut company, _failing) = company().await;
    company.start().await;
    ask(&company, "li", "一", 1).await;
    ask(&company, "li", "二", 2).await;
    ask(&company, "wang", "三", 1).await;
    // The failing upstream is preferred; then the other one answers.
    ask(&company, "zhao", "/model second", 1).await;
    ask(&company, "zhao", "四", 2).await;
    until_calls(company.dir.path(), 5).await;
    company.kill().await;

    assert_eq!(sums(&company, "member").await, ["li 2 2 0", "wang 1 1 0", "zhao 2 1 1"]);
    assert_eq!(sums(&company, "model").await, ["qimate-demo 3 3 0", "second 2 1 1"]);
    assert_eq!(sums(&company, "upstream").await, ["bad 1 0 1", "good 4 4 0"]);
    assert_eq!(sums(&company, "app").await, ["1000002 5 4 1"]);
    assert_eq!(sums(&company, "department").await, ["(none) 5 4 1"]);
    assert_eq!(sums(&company, "day").await.len(), 1);

    // What it says in all forms is what the calls add up to.
    let written = usage(&company, &["export", "--csv"]).await;
    let mut lines = written.lines();
    let head: Vec<_> = lines.next().unwrap().split(',').collect();
    let column = |name: &str| head.iter().position(|column| *column == name).unwrap();
    let sum = |name: &str| -> u64 {
        written.lines().skip(1).map(|line| line.split(',').nth(column(name)).unwrap().parse::<u64>().unwrap()).sum()
    };
    assert_eq!(lines.count(), 5);
    let json: Value = serde_json::from_str(&usage(&company, &["--json", "--last", "24h"]).await).unwrap();
    for name in ["input", "output", "money", "cached", "total_ms"] {
        assert_eq!(json["total"][name], sum(name), "{name}");
    }
    assert!(sum("money") > 0 && sum("input") > 0);
    // The first model has a price, the second has none.
    let used: i64 = company
        .database()
        .query_row("SELECT SUM(money) FROM used WHERE quarter = -1 AND subject LIKE 'member/%'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(sum("money"), used.unsigned_abs(), "and what quotas count is the same");
    let csv = usage(&company, &["--by", "member", "--csv"]).await;
    assert!(csv.starts_with("name,calls,not_ok,input_tokens,") && csv.contains("\r\nli,2,0,"), "{csv}");
    let table = usage(&company, &["--by", "member"]).await;
    assert!(
        table.contains("zhao") && table.lines().any(|line| line.starts_with("total") && line.contains(" 5 ")),
        "{table}"
    );

    company.start().await;
    ask(&company, "wang", "五", 2).await;
    until_calls(company.dir.path(), 6).await;
    assert!(company.terminate().await.success());
    assert_eq!(sums(&company, "member").await, ["li 2 2 0", "wang 2 2 0", "zhao 2 1 1"]);
}

#[tokio::test]
async fn a_stop_writes_down_the_last_call() {
    let (mut company, _failing) = company().await;
    company.start().await;
    ask(&company, "li", "一", 1).await;
    assert!(company.terminate().await.success());
    assert_eq!(sums(&company, "member").await, ["li 1 1 0"]);
    assert_eq!(
        usage(&company, &["--from", "2020-01-01", "--to", "2020-01-31"]).await,
        "nothing was used in this time\n"
    );
    for (arguments, told) in [
        (&["usage", "--last", "5w"][..], "--last 5w: expected days or hours such as 30d or 24h"),
        (&["usage", "--from", "1.1.2026"][..], "--from 1.1.2026: expected a date such as 2026-11-21"),
        (
            &["usage", "--from", "2026-02-02", "--to", "2026-02-01"][..],
            "expected a first day that is not after the last",
        ),
    ] {
        let output = company.run(arguments).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(told), "{said}");
    }
}

#[tokio::test]
async fn how_a_call_ends_is_remembered() {
    let mut app = App::start_with(|config| config.llm.max_retries = 0).await;
    let says = |reply: ModelReply| app.model.set_script(move |_| reply.clone());
    says(ModelReply::Answer("好".to_owned()));
    app.say("li", "一").await;
    app.texts("li", 1).await;
    says(ModelReply::NoUsage("好".to_owned()));
    app.say("li", "二").await;
    app.texts("li", 2).await;
    says(ModelReply::CutAfter("一半".to_owned()));
    app.say("li", "三").await;
    app.settled().await;
    says(ModelReply::status(400, "no"));
    app.say("li", "四").await;
    app.settled().await;
    says(ModelReply::Hang);
    app.say("li", "五").await;
    within(app.model.wait_load(|load| load.in_flight >= 1)).await;
    app.say("li", "/stop").await;
    app.settled().await;
    app.stop().await;
    assert_eq!(
        calls(&app, "member, model, upstream, kind, result, reason, estimated"),
        [
            "li qimate-demo default chat ok 0",
            "li qimate-demo default chat ok 1",
            "li qimate-demo default chat cut cut 1",
            "li qimate-demo default chat failed rejected 0",
            "li qimate-demo chat stopped 0",
        ]
    );
    let times = calls(&app, "first_ms IS NOT NULL, total_ms >= IFNULL(first_ms, 0)");
    assert_eq!(times, ["1 1", "1 1", "1 1", "0 1", "0 1"]);
}
