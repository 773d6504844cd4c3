//! A model's Markdown becomes messages that WeCom shows well, each within WeCom's size.
//!
//! Knows Markdown and the size of a part; knows nothing of the model, of sending, or of who reads. The way is one way:
//! parser events (`read`, with `inline` and `table`) become a small tree of lines and code (`node`), and the
//! tree is packed into parts (`pack`, with `cut` for a line that is longer than a part).
//!
//! How things look, chosen for a chat bubble about sixteen Chinese characters wide:
//!
//! | Markdown | [`Format::Text`] | [`Format::Markdown`] (WeCom's subset) |
//! |---|---|---|
//! | heading 1–3, 4–6 | `【标题】`, `▎标题` | kept |
//! | bold, italic | the words | bold kept, italic as words |
//! | inline code, `~~` | kept as typed | kept as typed |
//! | lists | `• `, nested `◦ `, `▪ `; `1. `; `☐ `/`☑ ` | the same |
//! | quote | `│ ` before each line | `> ` before each line |
//! | link, image | `text (url)`, the URL once if it is the text | `[text](url)` |
//! | fenced code | fences, code byte for byte and not indented | each line as inline code, so nothing in it is read as Markdown |
//! | table | rows `a \| b` if narrow, else one item per row with `header：value` lines | the same |
//! | rule | `———`, only between two blocks of one part | the same |
//!
//! To show another Markdown element, turn its events into a node in `read`; packing needs no change.

pub(super) mod cut;
mod inline;
mod node;
mod note;
mod pack;
pub(super) mod read;
pub(super) mod table;

use crate::model::reply::{Format, PART_LIMIT, ReplyPart};

/// Renders `markdown` as parts for `format`. Total: every input gives parts, and an input without anything to show
/// (blank, or only a rule) gives none. Time and memory grow in proportion to the input.
///
/// What is written is kept: outside the syntax itself no character other than white space is lost. The exceptions are
/// titles of links, and stars that were meant as bold but are not by the rules of Markdown (see `inline`).
pub fn render(markdown: &str, format: Format) -> Vec<ReplyPart> {
    pack::pack(&read::read(markdown, format), format)
}

/// Puts `text`, which is no Markdown, into parts as it is: cut at the ends of its lines and, where one is longer than a
/// part, as well as can be. Blank lines at the ends of parts go.
pub fn plain(text: &str) -> Vec<ReplyPart> {
    let mut parts = Vec::new();
    let mut page = String::new();
    for line in text.lines() {
        let mut line = line;
        while page.len() + 1 + line.len() > PART_LIMIT {
            if line.len() <= PART_LIMIT && !page.trim().is_empty() {
                parts.extend(ReplyPart::new(Format::Text, std::mem::take(&mut page).trim()));
                continue;
            }
            let room = PART_LIMIT.saturating_sub(page.len() + 1);
            let end = cut::cut(line, 0, room, &[]).unwrap_or_else(|| line.floor_char_boundary(room));
            let (head, tail) = line.split_at(end);
            page.push_str(head);
            parts.extend(ReplyPart::new(Format::Text, std::mem::take(&mut page).trim()));
            line = tail;
        }
        page.push_str(line);
        page.push('\n');
    }
    parts.extend(ReplyPart::new(Format::Text, page.trim()));
    parts
}

#[cfg(test)]
mod tests;
