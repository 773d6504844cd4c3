//! Every variable that administrators are told to set is one that the program reads.

use std::{collections::BTreeSet, fs};

use super::{read, written_for_administrators};

/// Read by tests and benchmarks only, and the name of the configuration file.
const FOR_TESTS: [&str; 12] = [
    "QIMATE_CONFIG",
    "QIMATE_FAULT",
    "QIMATE_FUZZ_SECONDS",
    "QIMATE_FUZZ_SEED",
    "QIMATE_KILL_ROUNDS",
    "QIMATE_KILL_SEED",
    "QIMATE_SOAK_MEMBERS",
    "QIMATE_SOAK_MESSAGES",
    "QIMATE_SOAK_SEED",
    "QIMATE_TEST_ALL",
    "QIMATE_UPDATE_ADVISORIES",
    "QIMATE_UPDATE_DOCS",
];

/// `QIMATE_SECTION__KEY` for every key of the example.
pub(super) fn variables() -> BTreeSet<String> {
    let example: toml::Table = read("config.example.toml").parse().unwrap();
    let keys = example.iter().flat_map(|(section, table)| {
        table.as_table().unwrap().keys().map(move |key| format!("QIMATE_{section}__{key}").to_ascii_uppercase())
    });
    keys.collect()
}

/// Whether it is that of an application of its own, `QIMATE_APPS__NAME__KEY`, whose keys are those of other sections.
fn is_of_an_app(key: &str, known: &BTreeSet<String>) -> bool {
    let own = key.strip_prefix("QIMATE_APPS__").and_then(|rest| rest.split_once("__"));
    own.is_some_and(|(_, key)| known.iter().any(|known| known.ends_with(&format!("__{key}"))))
}

/// The words of a text that look like our variables.
pub(super) fn named_in(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("QIMATE_") && word.chars().all(|c| !c.is_ascii_lowercase()))
        .map(|word| word.trim_end_matches('_').to_owned())
        .collect()
}

#[test]
fn every_variable_that_is_written_about_exists() {
    let known = variables();
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for file in written_for_administrators() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for name in named_in(&text) {
            let key = name.strip_suffix("_FILE").unwrap_or(&name);
            // The pattern itself, as it is explained.
            let explained = key == "QIMATE_SECTION__KEY" || key == "QIMATE";
            if !explained && !FOR_TESTS.contains(&key) && !known.contains(key) && !is_of_an_app(key, &known) {
                wrong.push(format!("{}: {name}", file.display()));
            }
            seen.insert(name);
        }
    }
    assert!(wrong.is_empty(), "no such variables:\n{}", wrong.join("\n"));
    for name in ["QIMATE_WECOM__CORP_ID", "QIMATE_LLM__API_KEY_FILE", "QIMATE_SERVER__PUBLIC_URL"] {
        assert!(seen.contains(name), "the test reads what it thinks it reads: {name}");
    }
}
