//! Blocks become parts, each at most [`PART_LIMIT`] bytes.
//!
//! A part is filled as far as it goes. What does not fit moves to the next part whole if it can, so that parts end
//! between blocks, then between items, rows and lines. Only what is bigger than a part is taken apart. A heading, or a
//! sentence ending in a colon, goes with what it leads.

use super::{
    cut::cut,
    node::{Body, Code, Line, Node, Role},
};
use crate::model::reply::{Format, PART_LIMIT, ReplyPart};

/// Where less than this is left of a part, a line or code that must be cut begins in the next.
const LEAST_ROOM: usize = PART_LIMIT / 4;

/// Packs `nodes` into parts. None of them is blank.
pub(super) fn pack(nodes: &[Node], format: Format) -> Vec<ReplyPart> {
    let mut packer = Packer { format, parts: Vec::new(), page: String::new(), lead: None };
    for node in nodes {
        packer.place(node, node.gap);
    }
    packer.turn();
    packer.parts
}

struct Packer {
    format: Format,
    parts: Vec<ReplyPart>,
    /// The part that is being filled.
    page: String,
    /// What leads at the end of the page: where the page ended before it, and where it begins.
    lead: Option<(usize, usize)>,
}

impl Packer {
    /// Puts `node` behind what there is, `gap` between them.
    fn place(&mut self, node: &Node, gap: &str) {
        if self.append(node, gap) {
            return;
        }
        if node.fit(PART_LIMIT).is_some() {
            self.turn_before(node);
            // Does not fail: without a lead the page is empty now, and with one it was measured.
            self.append(node, "\n");
            return;
        }
        self.lead = None;
        match &node.body {
            Body::Line(line) => self.cut_line(line, gap),
            Body::Code(code) => self.cut_code(code, gap),
            Body::Group(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    self.place(node, if index == 0 { gap } else { node.gap });
                }
            }
        }
    }

    /// Writes `node` if the page has room for it.
    fn append(&mut self, node: &Node, gap: &str) -> bool {
        let end = self.page.len();
        let gap = if end == 0 { "" } else { gap };
        if self.room(gap.len()).and_then(|room| node.fit(room)).is_none() {
            return false;
        }
        self.page.push_str(gap);
        let here = (end, self.page.len());
        self.lead = (node.role != Role::Plain).then(|| self.lead.unwrap_or(here));
        node.write(&mut self.page);
        true
    }

    /// What is left of the page when `taken` bytes more are gone.
    const fn room(&self, taken: usize) -> Option<usize> {
        PART_LIMIT.checked_sub(self.page.len() + taken)
    }

    /// Ends the page.
    fn turn(&mut self) {
        self.lead = None;
        let page = std::mem::take(&mut self.page);
        debug_assert!(page.len() <= PART_LIMIT, "what is written was measured");
        // Only a blank page is no part: nothing is lost with it.
        self.parts.extend(ReplyPart::new(self.format, page.trim_matches('\n')));
    }

    /// Ends the page before what leads to `node`, if both fit one part; else at its end.
    fn turn_before(&mut self, node: &Node) {
        let lead = self.lead.filter(|&(end, start)| {
            let length = self.page.len() - start + "\n".len();
            end > 0 && PART_LIMIT.checked_sub(length).and_then(|room| node.fit(room)).is_some()
        });
        let Some((end, start)) = lead else { return self.turn() };
        let next = self.page.split_off(start);
        self.page.truncate(end);
        self.turn();
        self.page = next;
    }

    /// Writes a line that no part can hold.
    fn cut_line(&mut self, line: &Line, gap: &str) {
        let text = line.phrase.text.as_str();
        let mut at = 0;
        while at < text.len() {
            let gap = if self.page.is_empty() { "" } else { gap };
            let lead = if at == 0 { &line.lead } else { &line.hang };
            let room = self.room(gap.len() + lead.len() + 2 * line.tick().len()).unwrap_or(0);
            if room < LEAST_ROOM && !self.page.is_empty() {
                self.turn();
                continue;
            }
            let end = match cut(text, at, room, &line.phrase.whole) {
                _ if text.len() - at <= room => text.len(),
                Some(end) => end,
                None if !self.page.is_empty() => {
                    self.turn();
                    continue;
                }
                None => step(text, at, room),
            };
            let piece = text.get(at..end).unwrap_or_default();
            if !piece.trim().is_empty() {
                self.page.push_str(gap);
                line.write(lead, if line.code || at == 0 { piece } else { piece.trim_start() }, &mut self.page);
            }
            if end < text.len() {
                self.turn();
            }
            at = end;
        }
    }

    /// Writes code that no part can hold: closed at the end of a part, opened again in the next.
    fn cut_code(&mut self, code: &Code, gap: &str) {
        let mut at = 0;
        while at < code.text.len() {
            let gap = if self.page.is_empty() { "" } else { gap };
            let info = if at == 0 { &code.info } else { code.language() };
            let room = self.room(gap.len() + code.overhead(info)).unwrap_or(0);
            if room < LEAST_ROOM && !self.page.is_empty() {
                self.turn();
                continue;
            }
            let end = end_of_code(&code.text, at, room);
            self.page.push_str(gap);
            code.write(info, code.text.get(at..end).unwrap_or_default(), &mut self.page);
            if end < code.text.len() {
                self.turn();
            }
            at = end;
        }
    }
}

/// Where the piece of `code` that begins at `from` ends: behind a blank line in the second half of `room`, else behind
/// a line, else where a long line can be cut.
fn end_of_code(code: &str, from: usize, room: usize) -> usize {
    if code.len() - from <= room {
        return code.len();
    }
    let window = code.get(from..code.floor_char_boundary(from + room)).unwrap_or_default();
    let blank = window.rfind("\n\n").map(|at| at + 2).filter(|&end| end > room / 2);
    match blank.or_else(|| window.rfind('\n').map(|at| at + 1)) {
        Some(end) => from + end,
        None => cut(code, from, room, &[]).unwrap_or_else(|| step(code, from, room)),
    }
}

/// As far as `room` goes, but at least one character.
fn step(text: &str, from: usize, room: usize) -> usize {
    let end = text.floor_char_boundary(from + room);
    if end > from { end } else { text.ceil_char_boundary(from + 1) }
}
