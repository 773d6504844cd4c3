//! A configuration file, however broken, is told in words of our own: what somebody wrote there is not repeated.

use proptest::prop_assert;
use qimate::config::{Config, Environment};

use crate::run::run;

/// Stands in the corpus wherever a secret could.
const SECRET: &str = "hunter2";

#[test]
fn config() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    let nothing = Environment::from_pairs(Vec::<(String, String)>::new()).in_directory(dir.path());
    run(
        "config",
        &["[llm]", "[wecom]", "=", "\"", "'''", "\n", "[[", "]]", "{", "secret", "\u{feff}", "1e9"],
        |input| {
            // The names of keys are told, so that they can be put right: a secret that became one is out of the question.
            let text = String::from_utf8_lossy(input);
            let is_name = |text: &str| text.contains("hunter");
            if text.lines().any(|line| {
                line.split('=').next().is_some_and(is_name) || line.trim_start().starts_with('[') && is_name(line)
            }) {
                return Ok(());
            }
            std::fs::write(&file, input).unwrap();
            match Config::load(Some(&file), &nothing) {
                Ok(loaded) => {
                    let shown = format!("{:?}", loaded.config.apps.first.wecom.secret);
                    prop_assert!(!shown.contains(SECRET), "{shown}");
                }
                Err(faults) => {
                    let told = format!("{faults}\n{faults:?}");
                    prop_assert!(!told.contains(SECRET), "{told}");
                    prop_assert!(faults.iter().all(|fault| !fault.to_string().contains('\n')), "one line each: {told}");
                }
            }
            Ok(())
        },
    );
}
