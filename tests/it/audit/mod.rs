//! The audit log: every change of an administrator is in it, nothing is changed without it, and it cannot be changed
//! without being noticed.

mod broken;
mod written;

use serde_json::Value;

use crate::company::{Company, said};

/// Whether a command succeeded, and what it said. What stands in quotes is one argument.
async fn run(company: &Company, command: &str) -> (bool, String) {
    let parts = command.split('"').enumerate();
    let arguments: Vec<&str> =
        parts.flat_map(|(place, part)| if place % 2 == 1 { vec![part] } else { part.split(' ').collect() }).collect();
    let arguments: Vec<&str> = arguments.into_iter().filter(|argument| !argument.is_empty()).collect();
    let output = company.run(&arguments).await;
    (output.status.success(), said(&output))
}

async fn done(company: &Company, command: &str) -> String {
    let (ok, told) = run(company, command).await;
    assert!(ok, "{command}: {told}");
    told
}

/// The entries that `qimate audit list` shows, by more flags.
async fn entries(company: &Company, flags: &str) -> Vec<Value> {
    serde_json::from_str(&done(company, &format!("audit list --json {flags}")).await).unwrap()
}

/// The last entry: actor, action and object, and what changed.
async fn last(company: &Company) -> (String, String, String, Value) {
    let mut all = entries(company, "").await;
    let entry = all.pop().expect("an entry");
    let text = |field: &str| entry[field].as_str().unwrap().to_owned();
    (text("actor"), text("action"), text("object"), entry["changes"].clone())
}

async fn company() -> Company {
    let mut company = Company::open(&[("QIMATE_ALERTS__OPERATORS", "boss")]).await;
    company.start().await;
    company
}
