//! What administrators read names files and commands that exist.

use std::fs;

use super::{read, root, written_for_administrators};

/// Guides that exist in two languages.
const GUIDES: [&str; 3] = ["docs/deployment", "docs/railway", "docs/operations"];

/// Pages with tables that say the same in two languages, row by row.
const TABLES: [&str; 2] = ["docs/operations", "docs/reliability"];

/// The anchors that GitHub gives a page's headings.
pub fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept =
            heading.to_lowercase().chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c)).collect::<String>();
        kept.replace(' ', "-")
    };
    headings.map(slug).collect()
}

#[test]
fn links_lead_to_pages_and_headings() {
    let mut wrong = Vec::new();
    for guide in GUIDES {
        for file in [format!("{guide}.md"), format!("{guide}.zh-CN.md")] {
            let text = read(&file);
            for link in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(link, _)| link) {
                let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
                let page = if path.is_empty() { root().join(&file) } else { root().join("docs").join(path) };
                let there = link.starts_with("https://")
                    || fs::read_to_string(page)
                        .is_ok_and(|page| anchor.is_empty() || anchors(&page).iter().any(|known| known == anchor));
                if !there {
                    wrong.push(format!("{file}: {link}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The code of the two languages is the same: nobody corrects a command in one of them only.
#[test]
fn both_languages_show_the_same_commands() {
    for guide in GUIDES {
        let blocks = |file: String| {
            let text = read(&file);
            let blocks: Vec<_> = text.split("```").skip(1).step_by(2).map(str::to_owned).collect();
            assert!(!blocks.is_empty(), "{file}");
            let plain = |block: &String| -> String {
                let lines = block.lines().filter(|line| !line.trim_start().starts_with('#'));
                lines.map(|line| line.split("  #").next().unwrap_or_default().trim_end()).collect::<Vec<_>>().join("\n")
            };
            blocks.iter().map(plain).collect::<Vec<_>>()
        };
        assert_eq!(blocks(format!("{guide}.md")), blocks(format!("{guide}.zh-CN.md")), "{guide}");
    }
}

/// A row names the same things and the same numbers in both languages: nobody adds a metric, an alert or a fault to one
/// of them only.
#[test]
fn both_languages_have_the_same_tables() {
    for page in TABLES {
        let rows = |file: String| {
            let text = read(&file);
            let rows: Vec<_> = text.lines().filter(|line| line.starts_with('|')).map(names_and_numbers).collect();
            assert!(!rows.is_empty(), "{file}");
            rows
        };
        let (english, chinese) = (rows(format!("{page}.md")), rows(format!("{page}.zh-CN.md")));
        for (row, (english, chinese)) in english.iter().zip(&chinese).enumerate() {
            assert_eq!(english, chinese, "{page}: row {row} of its tables");
        }
        assert_eq!(english.len(), chinese.len(), "{page}: rows");
    }
}

/// What a table's row has in backticks, and its numbers: sorted, for the order of words differs.
fn names_and_numbers(row: &str) -> Vec<String> {
    let (mut found, mut prose) = (Vec::new(), String::new());
    for (at, piece) in row.split('`').enumerate() {
        if at % 2 == 1 { found.push(piece.to_owned()) } else { prose += piece }
    }
    let numbers = prose.split(|c: char| !c.is_ascii_digit()).filter(|number| !number.is_empty());
    found.extend(numbers.map(str::to_owned));
    found.sort();
    found
}

#[test]
fn files_of_deploy_that_are_named_exist() {
    for file in written_for_administrators() {
        let Ok(text) = fs::read_to_string(&file) else { continue };
        for named in text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_./".contains(c))) {
            let Some(path) = named.strip_prefix("deploy/").map(|rest| rest.trim_end_matches('.')) else { continue };
            // `.env` is the administrator's own.
            if !path.is_empty() && path != ".env" {
                assert!(root().join("deploy").join(path).exists(), "{}: {named}", file.display());
            }
        }
    }
}
