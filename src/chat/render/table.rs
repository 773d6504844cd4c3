//! A table in a narrow bubble.
//!
//! Columns cannot be aligned in a chat, so there are two shapes. A table whose every row fits one line of a phone is
//! shown as rows, `a | b | c`. Any other would wrap into a jumble: there each row becomes an item, one line per column.

use super::node::{Body, Line, Node, Phrase};
use crate::model::reply::Format;

/// How wide a row may be: 16 Chinese characters, about what a bubble on a phone shows in one line. A character of a
/// Western script counts as half.
const NARROW: usize = 32;

/// The longest header, in bytes, that is repeated in each item. A longer one is no label but a text.
const LONGEST_LABEL: usize = 60;

/// Shows `rows`, of which the first is the header and may be blank. `lead` stands before every line.
pub(super) fn show(rows: &[Vec<Phrase>], lead: &str, indent: &str, format: Format) -> Body {
    let is_narrow = |row: &Vec<Phrase>| is_narrow(row.iter().map(|cell| cell.text.as_str()));
    let (header, records) = rows.split_first().map_or((&[] as &[Phrase], rows), |(header, rest)| (header, rest));
    let is_labelled = header.iter().all(|label| label.text.len() <= LONGEST_LABEL);
    if records.is_empty() || !is_labelled || rows.iter().all(is_narrow) {
        let row = |(index, row): (usize, &Vec<Phrase>)| {
            let is_bold = index == 0 && format == Format::Markdown && row.iter().all(|cell| !cell.text.contains('*'));
            let mut phrase = Phrase::join(row, " | ");
            if is_bold {
                phrase = Phrase::join(&[Phrase::plain("**"), phrase, Phrase::plain("**")], "");
            }
            line(lead.to_owned(), lead, phrase)
        };
        let is_blank = |row: &[Phrase]| row.iter().all(|cell| cell.text.is_empty());
        return Body::Group(rows.iter().enumerate().filter(|(_, cells)| !is_blank(cells)).map(row).collect());
    }
    Body::Group(records.iter().map(|record| item(header, record, lead, indent)).collect())
}

/// A row as an item of a list: `header：value` lines, without those that have no value.
fn item(header: &[Phrase], record: &[Phrase], lead: &str, indent: &str) -> Node {
    let mut lines: Vec<Node> = Vec::with_capacity(record.len());
    let hang = format!("{lead}{indent}");
    for (index, cell) in record.iter().enumerate().filter(|(_, cell)| !cell.text.is_empty()) {
        let label = header.get(index).filter(|label| !label.text.is_empty());
        let colon = match label.and_then(|label| label.text.chars().next_back()) {
            None => "",
            Some(last) if last.is_ascii() => ": ",
            Some(_) => "：",
        };
        let phrase = Phrase::join(&[label.cloned().unwrap_or_default(), Phrase::plain(colon), cell.clone()], "");
        let start = if lines.is_empty() { format!("{lead}• ") } else { hang.clone() };
        lines.push(line(start, &hang, phrase));
    }
    Node::new(Body::Group(lines))
}

fn line(lead: String, hang: &str, phrase: Phrase) -> Node {
    Node::new(Body::Line(Line { lead, hang: hang.to_owned(), code: false, phrase }))
}

/// Whether a row of these cells fits one line of a bubble.
pub(in crate::chat) fn is_narrow<'a>(cells: impl Iterator<Item = &'a str>) -> bool {
    cells.map(|cell| width(cell) + 3).sum::<usize>() <= NARROW + 3
}

/// About how many columns `text` takes: two for what is as wide as a Chinese character.
fn width(text: &str) -> usize {
    text.chars().map(|char| if char < '\u{1100}' { 1 } else { 2 }).sum()
}
