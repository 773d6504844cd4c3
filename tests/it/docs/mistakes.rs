//! The mistakes of others, and the tests that keep us from them: each of those is there.

use std::fs;

use super::root;

const BEGIN: &str = "<!-- mistakes: begin -->\n";
const END: &str = "<!-- mistakes: end -->\n";

/// The names of tests in each row of the table of a document.
fn rows(document: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let (_, rest) = text.split_once(BEGIN).expect("a place for the table");
    let (table, _) = rest.split_once(END).expect("an end of the table");
    let names = |row: &str| {
        let (_, tests) = row.trim_end_matches('|').rsplit_once('|').expect("two columns");
        tests.split(',').map(|name| name.trim().trim_matches('`').to_owned()).collect()
    };
    table.lines().skip(2).map(names).collect()
}

/// Whether a test of this name, such as `team::asking::name`, is in `tests/it` or in `src`.
pub(super) fn is_there(name: &str) -> bool {
    let (module, test) = name.rsplit_once("::").expect("a module");
    let path = module.replace("::", "/");
    let inline = path.strip_suffix("/tests").unwrap_or(&path);
    let files = [
        format!("tests/it/{path}.rs"),
        format!("tests/it/{path}/mod.rs"),
        format!("src/{path}.rs"),
        format!("src/{path}/mod.rs"),
        format!("src/{inline}.rs"),
        format!("src/{inline}/mod.rs"),
    ];
    files.iter().filter_map(|file| fs::read_to_string(root().join(file)).ok()).any(|text| {
        let lines: Vec<_> = text.lines().map(str::trim).collect();
        let of_test = [format!("fn {test}("), format!("async fn {test}(")];
        let found = lines.iter().position(|line| of_test.iter().any(|start| line.starts_with(start)));
        // One that has its attribute, and is not switched off.
        found.is_some_and(|at| {
            let attributes: Vec<_> = lines[..at].iter().rev().take_while(|line| line.starts_with("#[")).collect();
            attributes.iter().any(|line| line.contains("test"))
                && !attributes.iter().any(|line| line.contains("ignore"))
        })
    })
}

#[test]
fn every_mistake_of_others_names_tests_that_are_there() {
    let (english, chinese) = (rows("docs/reliability.md"), rows("docs/reliability.zh-CN.md"));
    assert_eq!(english, chinese, "both documents name the same tests in the same order");
    let missing: Vec<_> = english.iter().flatten().filter(|name| !is_there(name)).collect();
    assert!(english.len() > 25 && english.iter().all(|tests| !tests.is_empty()), "{english:?}");
    assert!(missing.is_empty(), "docs/reliability.md names tests that are not there: {missing:#?}");
}

#[test]
fn a_test_that_is_not_there_is_found_out() {
    assert!(is_there("docs::mistakes::a_test_that_is_not_there_is_found_out"));
    assert!(!is_there("docs::mistakes::a_test_that_is_not_there") && !is_there("docs::nowhere::rows"));
    assert!(!is_there("docs::mistakes::rows"), "a function is no test");
}
