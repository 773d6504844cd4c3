//! `docs/asvs.md`: every requirement of levels 1 and 2 is there once, in both languages, with tests that are there.

use std::{collections::BTreeMap, fs};

use super::{mistakes::is_there, root};
use crate::deployment::documents::anchors;

/// How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has. They come before those of level 3 everywhere,
/// so that they are numbered from 1.
const SECTIONS: &[(&str, usize)] = &[
    ("1.1", 2),
    ("1.2", 9),
    ("1.3", 11),
    ("1.4", 3),
    ("1.5", 2),
    ("2.1", 3),
    ("2.2", 3),
    ("2.3", 4),
    ("2.4", 1),
    ("3.2", 2),
    ("3.3", 4),
    ("3.4", 6),
    ("3.5", 5),
    ("3.7", 2),
    ("4.1", 3),
    ("4.2", 1),
    ("4.3", 2),
    ("4.4", 4),
    ("5.1", 1),
    ("5.2", 3),
    ("5.3", 2),
    ("5.4", 3),
    ("6.1", 3),
    ("6.2", 12),
    ("6.3", 4),
    ("6.4", 4),
    ("6.5", 5),
    ("6.6", 3),
    ("6.8", 4),
    ("7.1", 3),
    ("7.2", 4),
    ("7.3", 2),
    ("7.4", 5),
    ("7.5", 2),
    ("7.6", 2),
    ("8.1", 2),
    ("8.2", 3),
    ("8.3", 1),
    ("8.4", 1),
    ("9.1", 3),
    ("9.2", 4),
    ("10.1", 2),
    ("10.2", 2),
    ("10.3", 4),
    ("10.4", 11),
    ("10.5", 5),
    ("10.6", 2),
    ("10.7", 3),
    ("11.1", 2),
    ("11.2", 3),
    ("11.3", 3),
    ("11.4", 4),
    ("11.5", 1),
    ("11.6", 1),
    ("12.1", 3),
    ("12.2", 2),
    ("12.3", 4),
    ("13.1", 1),
    ("13.2", 5),
    ("13.3", 2),
    ("13.4", 5),
    ("14.1", 2),
    ("14.2", 4),
    ("14.3", 3),
    ("15.1", 3),
    ("15.2", 3),
    ("15.3", 7),
    ("16.1", 1),
    ("16.2", 5),
    ("16.3", 4),
    ("16.4", 3),
    ("16.5", 3),
    ("17.1", 1),
    ("17.2", 4),
    ("17.3", 2),
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Met,
    Partly,
    NotMet,
    DoesNotApply,
}

/// A requirement as a document has it: its number, how it is, and what shows it.
type Row = (String, Standing, Vec<String>);

fn text(document: &str) -> String {
    fs::read_to_string(root().join(document)).unwrap()
}

/// The numbers of a cell such as `4.4.1–4.4.4, 5.4.1`; none where it has none.
fn numbers(cell: &str) -> Vec<String> {
    let is_number = |text: &&str| {
        let parts: Vec<_> = text.split('.').collect();
        parts.len() == 3 && parts.iter().all(|part| part.parse::<u8>().is_ok())
    };
    let of = |part: &str| -> Vec<String> {
        let (first, last) = part.split_once('–').unwrap_or((part, part));
        let (Some(first), Some(last)) = (Some(first).filter(is_number), Some(last).filter(is_number)) else {
            return Vec::new();
        };
        let split = |number: &str| number.rsplit_once('.').map(|(section, n)| (section.to_owned(), n.parse().unwrap()));
        let ((section, from), (same, to)): ((_, u8), (_, u8)) = (split(first).unwrap(), split(last).unwrap());
        assert_eq!(section, same, "{part}");
        (from..=to).map(|n| format!("{section}.{n}")).collect()
    };
    cell.split(',').flat_map(|part| of(part.trim())).collect()
}

fn rows(document: &str) -> Vec<Row> {
    let mut rows = Vec::new();
    for line in text(document).lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let numbers = numbers(cells[0]);
        match cells[..] {
            _ if numbers.is_empty() => {}
            [_, _] => rows.extend(numbers.into_iter().map(|number| (number, Standing::DoesNotApply, Vec::new()))),
            [number, _, how, shown] => {
                let standing = if how.starts_with("**Partly.**") || how.starts_with("**部分满足。**") {
                    Standing::Partly
                } else if how.starts_with("**Not met.**") || how.starts_with("**未满足。**") {
                    Standing::NotMet
                } else {
                    Standing::Met
                };
                let shown = shown.split(',').map(|one| one.trim().trim_matches('`').to_owned());
                rows.push((number.to_owned(), standing, shown.filter(|one| !one.is_empty()).collect()));
            }
            _ => panic!("{document}: {line}"),
        }
    }
    rows
}

/// A test, a file, or a heading of one.
fn is_shown(by: &str) -> bool {
    if by.contains("::") {
        return is_there(by);
    }
    let (path, anchor) = by.split_once('#').unwrap_or((by, ""));
    fs::read_to_string(root().join(path))
        .is_ok_and(|page| anchor.is_empty() || anchors(&page).iter().any(|known| known == anchor))
}

#[test]
fn every_requirement_of_two_levels_is_there_once_and_shown() {
    let (english, chinese) = (rows("docs/asvs.md"), rows("docs/asvs.zh-CN.md"));
    assert_eq!(english, chinese, "both languages say the same of each");
    let mut there: Vec<_> = english.iter().map(|(number, ..)| number.clone()).collect();
    let sections = SECTIONS.iter();
    let mut wanted: Vec<_> =
        sections.flat_map(|(section, count)| (1..=*count).map(move |n| format!("{section}.{n}"))).collect();
    there.sort();
    wanted.sort();
    assert_eq!(wanted.len(), 253, "70 of level 1 and 183 of level 2");
    assert_eq!(there, wanted);
    let mut wrong = Vec::new();
    for (number, standing, shown) in &english {
        let needs = matches!(standing, Standing::Met | Standing::Partly);
        if needs == shown.is_empty() {
            wrong.push(format!("{number}: {standing:?} by {shown:?}"));
        }
        wrong.extend(shown.iter().filter(|by| !is_shown(by)).map(|by| format!("{number}: there is no {by}")));
    }
    assert!(wrong.is_empty(), "docs/asvs.md:\n{}", wrong.join("\n"));
}

#[test]
fn the_summary_counts_what_the_table_has() {
    let mut counts: BTreeMap<u8, [usize; 5]> = BTreeMap::new();
    for (number, standing, _) in rows("docs/asvs.md") {
        let chapter = number.split('.').next().unwrap().parse().unwrap();
        let [applies, met, partly, not_met, does_not] = counts.entry(chapter).or_default();
        match standing {
            Standing::Met => *met += 1,
            Standing::Partly => *partly += 1,
            Standing::NotMet => *not_met += 1,
            Standing::DoesNotApply => *does_not += 1,
        }
        *applies += usize::from(standing != Standing::DoesNotApply);
    }
    for document in ["docs/security.md", "docs/security.zh-CN.md"] {
        let text = text(document);
        for (chapter, counts) in &counts {
            let start = format!("| V{chapter} ");
            let line = text.lines().find(|line| line.starts_with(&start)).expect("a row for each chapter");
            let given: Vec<usize> = line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect();
            assert_eq!(given, counts, "{document}: {line}");
        }
        let all = counts.values().fold([0; 5], |sum, one| std::array::from_fn(|n| sum[n] + one[n]));
        let all = all.map(|count: usize| count.to_string()).join(" | ");
        assert!(text.contains(&format!(" | {all} |\n")), "{document}: {all}");
    }
}

#[test]
fn its_links_lead_to_pages_and_headings() {
    for file in ["docs/asvs.md", "docs/asvs.zh-CN.md", "docs/security.md", "docs/security.zh-CN.md"] {
        let page = text(file);
        for (link, _) in page.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
            let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if path.is_empty() { page.clone() } else { text(&format!("docs/{path}")) };
            assert!(anchor.is_empty() || anchors(&target).iter().any(|known| known == anchor), "{file}: {link}");
        }
    }
}

#[test]
fn a_number_is_one_and_a_range_is_all_of_it() {
    assert_eq!(numbers("4.4.1–4.4.3, 5.4.1"), ["4.4.1", "4.4.2", "4.4.3", "5.4.1"]);
    assert!(numbers("no.").is_empty() && numbers("`/v1`").is_empty() && numbers("1.2").is_empty());
    assert!(!is_shown("docs/asvs.md#nowhere") && !is_shown("docs/nowhere.md") && is_shown("docs/asvs.md#data"));
}
