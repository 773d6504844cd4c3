//! What an answer consists of once its Markdown is understood: lines and code, gathered in groups.
//!
//! Knows nothing of Markdown, nor of parts. A node can say whether it fits a room, and write itself.

use std::ops::Range;

/// One block, or a group of blocks that is kept together where it fits.
pub(super) struct Node {
    /// What stands between this node and the one before it, if they share a part.
    pub(super) gap: &'static str,
    /// What it does to what follows.
    pub(super) role: Role,
    /// What it shows.
    pub(super) body: Body,
}

/// What a block does to the one that follows.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Nothing.
    Plain,
    /// It introduces it ("as follows:"), so it should not end a part.
    Lead,
    /// The same, as a title.
    Heading,
}

/// What a node shows.
pub(super) enum Body {
    Line(Line),
    Code(Code),
    Group(Vec<Node>),
}

/// One line of text, without a line break in it.
pub(super) struct Line {
    /// Stands before the line: indentation, quote bars, a list marker.
    pub(super) lead: String,
    /// Stands before the rest where the line had to be cut.
    pub(super) hang: String,
    /// A line of code that is shown as inline code; its white space is content.
    pub(super) code: bool,
    pub(super) phrase: Phrase,
}

/// Text with the ranges that should not be cut: URLs, inline code, bold words. The ranges are sorted and disjoint.
#[derive(Clone, Default)]
pub(super) struct Phrase {
    pub(super) text: String,
    pub(super) whole: Vec<Range<usize>>,
}

/// A block of code between fences.
pub(super) struct Code {
    /// A run of backticks, longer than any in the code where that is within reason.
    pub(super) fence: String,
    /// What stands behind the opening fence.
    pub(super) info: String,
    pub(super) text: String,
}

impl Node {
    /// A plain node that stands directly below the one before it.
    pub(super) const fn new(body: Body) -> Self {
        Self { gap: "\n", role: Role::Plain, body }
    }

    /// The bytes left of `room` behind this node; `None` if it does not fit. Looks no further than `room`, so that
    /// asking again and again while a big group is taken apart stays cheap.
    pub(super) fn fit(&self, room: usize) -> Option<usize> {
        match &self.body {
            Body::Line(line) => room.checked_sub(line.lead.len() + line.phrase.text.len() + 2 * line.tick().len()),
            Body::Code(code) => room.checked_sub(code.overhead(&code.info) + code.text.len()),
            Body::Group(nodes) => nodes.iter().enumerate().try_fold(room, |room, (index, node)| {
                let gap = if index == 0 { 0 } else { node.gap.len() };
                node.fit(room.checked_sub(gap)?)
            }),
        }
    }

    /// Writes the node behind what `page` holds.
    pub(super) fn write(&self, page: &mut String) {
        match &self.body {
            Body::Line(line) => line.write(&line.lead, &line.phrase.text, page),
            Body::Code(code) => code.write(&code.info, &code.text, page),
            Body::Group(nodes) => {
                for (index, node) in nodes.iter().enumerate() {
                    if index > 0 {
                        page.push_str(node.gap);
                    }
                    node.write(page);
                }
            }
        }
    }
}

impl Line {
    /// What encloses a line of code. Nothing where the code itself holds a backtick: WeCom knows only the single one.
    pub(super) fn tick(&self) -> &'static str {
        let bare = !self.code || self.phrase.text.contains('`') || self.phrase.text.trim().is_empty();
        if bare { "" } else { "`" }
    }

    /// Writes `piece` of this line, with `lead` before it.
    pub(super) fn write(&self, lead: &str, piece: &str, page: &mut String) {
        page.extend([lead, self.tick(), piece, self.tick()]);
    }
}

impl Phrase {
    /// Text that may be cut anywhere.
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Self { text: text.into(), whole: Vec::new() }
    }

    /// Appends `next`.
    pub(super) fn push(&mut self, next: &Self) {
        let shift = self.text.len();
        self.whole.extend(next.whole.iter().map(|range| range.start + shift..range.end + shift));
        self.text.push_str(&next.text);
    }

    /// One phrase of several, with `between` in between.
    pub(super) fn join(phrases: &[Self], between: &str) -> Self {
        let mut joined = Self::default();
        for (index, phrase) in phrases.iter().enumerate() {
            if index > 0 {
                joined.text.push_str(between);
            }
            joined.push(phrase);
        }
        joined
    }
}

impl Code {
    /// The most bytes that opening with `info` and closing take.
    pub(super) const fn overhead(&self, info: &str) -> usize {
        2 * self.fence.len() + info.len() + 2
    }

    /// The language, for reopening.
    pub(super) fn language(&self) -> &str {
        self.info.split_whitespace().next().unwrap_or_default()
    }

    /// Writes `piece` of this code between fences.
    pub(super) fn write(&self, info: &str, piece: &str, page: &mut String) {
        let end = if piece.ends_with('\n') { "" } else { "\n" };
        page.extend([&self.fence, info, "\n", piece, end, &self.fence]);
    }
}
