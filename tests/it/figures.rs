//! The dashboard, the alert rules and the documents name the figures that there are.

use std::{collections::BTreeSet, path::Path};

use serde_json::Value;

use crate::{harness::App, watching::scrape};

/// The names of metrics in a text: an expression, a table, a dashboard.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| word.starts_with("qimate_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

#[tokio::test]
async fn the_dashboard_and_the_rules_ask_for_what_there_is() {
    let app = App::start().await;
    app.say("zhangsan", "你好").await;
    app.settled().await;
    let there_is = scrape(&app).await.names();

    let dashboard: Value = serde_json::from_str(&read("deploy/grafana-dashboard.json")).unwrap();
    let asked = expressions();
    assert!(asked.len() > 20);
    let variable = dashboard["templating"]["list"][1]["definition"].as_str().unwrap();
    for expression in asked.iter().map(String::as_str).chain([variable]) {
        let names = names_in(expression);
        assert!(!names.is_empty(), "{expression}");
        let missing: Vec<_> = names.difference(&there_is).collect();
        assert!(missing.is_empty(), "{missing:?} in {expression}");
    }

    let rules = read("deploy/alert-rules.yml");
    // Summaries name metrics too, without the ending of a histogram.
    let (mut names, mut in_expression) = (BTreeSet::new(), false);
    for line in rules.lines() {
        let key = line.trim_start().split(':').next().unwrap();
        in_expression = match key {
            "expr" => true,
            "for" | "labels" | "- alert" | "annotations" => false,
            _ => in_expression,
        };
        if in_expression {
            names.extend(names_in(line));
        }
    }
    assert!(names.len() > 8, "{names:?}");
    let missing: Vec<_> = names.difference(&there_is).collect();
    assert!(missing.is_empty(), "{missing:?}");
    assert_eq!(rules.matches("- alert:").count(), rules.matches("summary:").count());
}

/// The expressions of the dashboard.
fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(&read("deploy/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

/// The rules, and the expressions of the dashboard with its variables filled in, are such that Prometheus takes them.
#[test]
fn prometheus_takes_the_rules_and_what_the_dashboard_asks() {
    let dir = tempfile::tempdir().unwrap();
    let asked = dir.path().join("asked.yml");
    let filled_in = expressions()
        .into_iter()
        .map(|expression| expression.replace("$__rate_interval", "5m").replace("$instance", ".*"));
    let rules = filled_in
        .enumerate()
        .map(|(n, expression)| serde_json::json!({"record": format!("asked:{n}"), "expr": expression}));
    // JSON is YAML.
    let groups = serde_json::json!({"groups": [{"name": "dashboard", "rules": rules.collect::<Vec<_>>()}]});
    std::fs::write(&asked, groups.to_string()).unwrap();
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alert-rules.yml");
    let check = std::process::Command::new("promtool").args(["check", "rules"]).arg(rules).arg(asked).output();
    match check {
        Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
        Err(error) if std::env::var_os("QIMATE_TEST_ALL").is_some() => panic!("promtool: {error}"),
        Err(_) => {
            let said: &[u8] = b"skipped: that Prometheus takes the rules needs promtool\n";
            let _ = std::io::Write::write_all(&mut std::io::stderr(), said);
        }
    }
}

#[tokio::test]
async fn the_table_of_metrics_is_whole_and_says_nothing_more() {
    let app = App::start().await;
    app.say("zhangsan", "你好").await;
    app.settled().await;
    let family = |name: &String| {
        let ending = ["_bucket", "_sum", "_count"].into_iter().find_map(|ending| name.strip_suffix(ending));
        ending.map_or_else(|| name.clone(), str::to_owned)
    };
    let there_is: BTreeSet<_> = scrape(&app).await.names().iter().map(family).collect();
    let document = read("docs/operations.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split('`').next()).map(str::to_owned);
    let told: BTreeSet<_> = cells.filter(|name| name.starts_with("qimate_") || name.starts_with("process_")).collect();
    assert_eq!(told.difference(&there_is).collect::<Vec<_>>(), [""; 0], "told, and not there");
    assert_eq!(there_is.difference(&told).collect::<Vec<_>>(), [""; 0], "there, and not told");
}
