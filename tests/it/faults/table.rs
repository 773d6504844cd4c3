//! The table as it is printed, and as it stands in the documents.

use std::{fmt::Write, fs, path::PathBuf};

/// One fault and what came of it.
pub struct Row {
    /// What went wrong.
    pub fault: String,
    /// What the members' phones showed.
    pub hears: String,
    /// Messages that were acknowledged and came to nothing.
    pub lost: usize,
    /// Messages that a phone showed twice.
    pub twice: usize,
    /// How it became well again.
    pub recovered: String,
}

const BEGIN: &str = "<!-- faults: begin -->\n";
const END: &str = "<!-- faults: end -->";

/// The rows as Markdown.
pub fn markdown(rows: &[Row]) -> String {
    let mut text =
        "| fault | what the member hears | lost | twice | recovered how |\n|---|---|---|---|---|\n".to_owned();
    for Row { fault, hears, lost, twice, recovered } in rows {
        writeln!(text, "| {fault} | {hears} | {lost} | {twice} | {recovered} |").unwrap();
    }
    text
}

/// The table in `docs/reliability.md` is the one that was just printed; or it becomes it, where that is asked for. A
/// row that this machine could not run must at least not be contradicted.
pub fn compare_with_document(rows: &[Row], skipped: usize) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let document = fs::read_to_string(&path).unwrap();
    let (before, rest) = document.split_once(BEGIN).expect("a place for the table");
    let (quoted, after) = rest.split_once(END).expect("an end of the table");
    let printed = markdown(rows);
    if std::env::var_os("QIMATE_UPDATE_DOCS").is_some() {
        assert_eq!(skipped, 0, "a table without all of its rows is not written");
        return fs::write(&path, format!("{before}{BEGIN}{printed}{END}{after}")).unwrap();
    }
    let stale: Vec<_> = printed.lines().filter(|line| !quoted.lines().any(|quoted| quoted == *line)).collect();
    let gone = quoted.lines().count() - (printed.lines().count() - stale.len());
    assert!(
        stale.is_empty() && gone == skipped,
        "docs/reliability.md quotes another table ({gone} rows of it were not run); QIMATE_UPDATE_DOCS=1 writes it \
         there. Not quoted:\n{}",
        stale.join("\n")
    );
}
