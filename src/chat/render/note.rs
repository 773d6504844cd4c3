//! Link definitions (`[1]: https://…`) that nothing refers to.
//!
//! They vanish when Markdown is shown. A model that lists its sources in this form means them to be seen, and when an
//! answer is sent piece by piece, the link that refers to them may be in another piece.

use std::collections::HashSet;

use pulldown_cmark::{Event, Options, Parser, Tag};

/// A definition to be shown as text.
pub(super) struct Note {
    /// Where it stands in the source.
    pub(super) at: usize,
    /// What it shows.
    pub(super) text: String,
}

/// The definitions in `markdown` that no link or image uses, in their order.
pub(super) fn unused(markdown: &str, options: Options) -> Vec<Note> {
    // Every definition has it, and few answers: the rest need not be parsed twice.
    if !markdown.contains("]:") {
        return Vec::new();
    }
    let parser = Parser::new_ext(markdown, options);
    let definitions = parser.reference_definitions();
    if definitions.iter().next().is_none() {
        return Vec::new();
    }
    let mut used = HashSet::new();
    for event in Parser::new_ext(markdown, options) {
        if let Event::Start(Tag::Link { id, .. } | Tag::Image { id, .. }) = event {
            used.extend(definitions.get(&id).map(|definition| definition.span.start));
        }
    }
    let mut notes: Vec<_> = definitions
        .iter()
        .filter(|(_, definition)| !used.contains(&definition.span.start))
        .map(|(label, definition)| Note { at: definition.span.start, text: format!("[{label}]: {}", definition.dest) })
        .collect();
    notes.sort_unstable_by_key(|note| note.at);
    notes
}
