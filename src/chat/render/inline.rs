//! What stands inside a block: words, emphasis, code, links, line breaks.
//!
//! Knows nothing of blocks. To show another inline element, add its pair of methods and the call in [`super::read`].
//!
//! Two repairs of Markdown for the languages of our readers, as CommonMark decides by the white space around a star:
//! in `**注意：**请先` it sees no bold, though every model writes it so, and in `5*3=15，6*2=12` it sees italics.
//! Pairs of stars that it left are removed, and stars between two digits or letters stay.

use std::ops::Range;

use super::node::Phrase;
use crate::model::reply::{Format, PART_LIMIT};

/// Gathers the lines of one block.
pub(super) struct Inline {
    format: Format,
    /// Finished lines.
    lines: Vec<Phrase>,
    line: Phrase,
    /// Where the line has a star that the parser took as text without being told so by a backslash.
    stars: Vec<usize>,
    open: Vec<Open>,
}

/// An element that has begun.
enum Open {
    /// Shown as its content.
    Plain,
    /// Stars that are no emphasis.
    Literal(&'static str),
    /// Shown as bold, since `start`.
    Strong { start: usize },
    /// The text of a link or image begins at `start`.
    Link { start: usize, url: String, look: Look },
}

/// How a link is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Look {
    /// `text (url)`
    Beside,
    /// `[text] (url)`, for notes like `[1]`
    Note,
    /// `[text](url)`
    Markdown,
}

impl Inline {
    pub(super) const fn new(format: Format) -> Self {
        Self {
            format,
            lines: Vec::new(),
            line: Phrase { text: String::new(), whole: Vec::new() },
            stars: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The lines so far, without blank ones.
    pub(super) fn take(&mut self) -> Vec<Phrase> {
        self.end_line();
        std::mem::take(&mut self.lines)
    }

    /// Words. A star before byte `escaped` had a backslash.
    pub(super) fn text(&mut self, text: &str, escaped: usize) {
        if self.format == Format::Text && text.contains('*') && !text.contains(['\n', '\r']) {
            let start = self.line.text.len();
            let live = text.match_indices('*').map(|(at, _)| at).filter(|&at| at >= escaped);
            self.stars.extend(live.map(|at| start + at));
        }
        self.raw(text);
    }

    /// Text as it stands; each line break in it is one.
    pub(super) fn raw(&mut self, text: &str) {
        for (index, piece) in text.split(['\n', '\r']).enumerate() {
            if index > 0 {
                self.line_break();
            }
            self.line.text.push_str(piece);
        }
    }

    /// Inline code, between as many backticks as its content needs.
    pub(super) fn code(&mut self, code: &str) {
        let tick = "`".repeat(longest_run(code, '`') + 1);
        // A backtick at the rim would melt into the delimiter.
        let pad = if code.starts_with('`') || code.ends_with('`') { " " } else { "" };
        let start = self.line.text.len();
        self.line.text.extend([&tick, pad, code, pad, &tick]);
        self.line.whole.push(start..self.line.text.len());
    }

    /// A new line; inside a link, a space.
    pub(super) fn line_break(&mut self) {
        if self.is_in_link() {
            self.line.text.push(' ');
            return;
        }
        // Bold ends with the line for WeCom, so it is closed and opened again.
        let is_strong = self.strong().is_some();
        if is_strong {
            self.line.text.push_str("**");
        }
        self.end_line();
        if is_strong {
            self.line.text.push_str("**");
            if let Some(start) = self.strong() {
                *start = 0;
            }
        }
    }

    /// `stars` begin to make what follows italic (one) or bold (two). `literal`: they stand between digits or letters.
    pub(super) fn start_emphasis(&mut self, stars: &'static str, literal: bool) {
        let open = if literal {
            self.line.text.push_str(stars);
            Open::Literal(stars)
        } else if self.format == Format::Markdown && stars.len() == 2 && self.strong().is_none() {
            let start = self.line.text.len();
            self.line.text.push_str("**");
            Open::Strong { start }
        } else {
            Open::Plain
        };
        self.open.push(open);
    }

    /// A link or image to `url` begins. `note`: it stands in the text as `[1]`.
    pub(super) fn start_link(&mut self, url: &str, note: bool) {
        let look = match self.format {
            // WeCom reads no link inside a link.
            Format::Markdown if !self.is_in_link() => Look::Markdown,
            _ if note => Look::Note,
            _ => Look::Beside,
        };
        let start = self.line.text.len();
        if look != Look::Beside {
            self.line.text.push('[');
        }
        self.open.push(Open::Link { start, url: escape_url(url, look), look });
    }

    /// What began last ends.
    pub(super) fn end(&mut self) {
        match self.open.pop() {
            Some(Open::Literal(stars)) => self.line.text.push_str(stars),
            Some(Open::Strong { start }) => {
                self.line.text.push_str("**");
                self.line.whole.push(start..self.line.text.len());
            }
            Some(Open::Link { start, url, look }) => self.end_link(start, &url, look),
            Some(Open::Plain) | None => {}
        }
    }

    fn end_link(&mut self, start: usize, url: &str, look: Look) {
        let line = &mut self.line.text;
        let shown = line.get(start..).unwrap_or_default();
        match look {
            Look::Markdown if shown == "[" => {
                line.truncate(start);
                line.extend(["[", url, "](", url, ")"]);
            }
            Look::Markdown => line.extend(["](", url, ")"]),
            Look::Note => line.extend(["] (", url, ")"]),
            Look::Beside if is_same(shown, url) => {
                line.truncate(start);
                line.push_str(url);
                self.stars.retain(|&star| star < start);
                self.line.whole.retain(|range| range.start < start);
            }
            Look::Beside if url.is_empty() => {}
            Look::Beside => line.extend([" (", url, ")"]),
        }
        let end = self.line.text.len();
        let start = if look == Look::Markdown { start } else { end.saturating_sub(url.len() + 1).max(start) };
        self.line.whole.push(start..end);
    }

    /// Where bold began in this line, if it is open.
    fn strong(&mut self) -> Option<&mut usize> {
        self.open.iter_mut().find_map(|open| if let Open::Strong { start } = open { Some(start) } else { None })
    }

    fn is_in_link(&self) -> bool {
        self.open.iter().any(|open| matches!(open, Open::Link { .. }))
    }

    fn end_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        let stars = std::mem::take(&mut self.stars);
        let pairs = paired(&line.text, &stars);
        remove(&mut line, &pairs);
        line.whole.extend(urls(&line.text));
        line.whole = merged(line.whole);
        if !line.text.trim().is_empty() {
            self.lines.push(line);
        }
    }
}

/// The pairs among the runs of two or three `stars` that enclose words as bold would.
fn paired(text: &str, stars: &[usize]) -> Vec<Range<usize>> {
    let mut pairs = Vec::new();
    let mut opener: Option<Range<usize>> = None;
    for run in stars.chunk_by(|a, b| a + 1 == *b) {
        let (Some(&first), Some(&last)) = (run.first(), run.last()) else { continue };
        let run = first..last + 1;
        if !(2..=3).contains(&run.len()) {
            continue;
        }
        let is_solid = |char: Option<char>| char.is_some_and(|char| !char.is_whitespace());
        let closes = is_solid(text.get(..run.start).and_then(|text| text.chars().next_back()));
        let opens = is_solid(text.get(run.end..).and_then(|text| text.chars().next()));
        match opener.take() {
            Some(open) if closes && open.len() == run.len() => pairs.extend([open, run]),
            _ if opens => opener = Some(run),
            open => opener = open,
        }
    }
    pairs
}

/// Takes `holes` (sorted, disjoint) out of `line`.
fn remove(line: &mut Phrase, holes: &[Range<usize>]) {
    if holes.is_empty() {
        return;
    }
    let mut text = String::with_capacity(line.text.len());
    let mut from = 0;
    // Where each hole ends, and how much is gone by then.
    let mut gone = Vec::with_capacity(holes.len());
    for hole in holes {
        text.push_str(line.text.get(from..hole.start).unwrap_or_default());
        from = hole.end;
        gone.push((hole.end, from - text.len()));
    }
    text.push_str(line.text.get(from..).unwrap_or_default());
    let moved = |at: usize| {
        let before = gone.partition_point(|&(end, _)| end <= at);
        at - before.checked_sub(1).and_then(|index| gone.get(index)).map_or(0, |&(_, bytes)| bytes)
    };
    for range in &mut line.whole {
        *range = moved(range.start)..moved(range.end);
    }
    line.text = text;
}

/// The URLs in `text`: a scheme, `://`, and what follows up to white space or a character that is not ASCII.
fn urls(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = text.get(from..)?;
        let colon = rest.find("://")?;
        let (before, behind) = rest.split_at_checked(colon)?;
        let scheme = before.bytes().rev().take_while(u8::is_ascii_alphanumeric).count();
        let length = behind.bytes().take_while(u8::is_ascii_graphic).count();
        let url = from + colon - scheme..from + colon + length;
        from = url.end;
        Some(url)
    })
}

/// Sorted and disjoint; without those that no part could hold.
fn merged(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.retain(|range| !range.is_empty() && range.len() <= PART_LIMIT);
    ranges.sort_unstable_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Whether a link's text says no more than its URL.
fn is_same(shown: &str, url: &str) -> bool {
    let bare = ["https://", "http://", "mailto:"].iter().find_map(|scheme| url.strip_prefix(scheme)).unwrap_or(url);
    shown.is_empty() || shown == url || shown == bare || Some(shown) == bare.strip_suffix('/')
}

/// A URL without what would end it early: white space, and in `[text](url)` parentheses too.
fn escape_url(url: &str, look: Look) -> String {
    let mut escaped = String::with_capacity(url.len());
    for char in url.chars() {
        match char {
            '(' if look == Look::Markdown => escaped.push_str("%28"),
            ')' if look == Look::Markdown => escaped.push_str("%29"),
            ' ' => escaped.push_str("%20"),
            char if char.is_whitespace() || char.is_control() => {}
            char => escaped.push(char),
        }
    }
    escaped
}

/// The length of the longest run of `char` in `text`.
pub(super) fn longest_run(text: &str, char: char) -> usize {
    text.split(|other| other != char).map(str::len).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_that_bold_was_meant_by_go_in_pairs() {
        let cases = [
            ("**注意：**请", "注意：请"),
            ("***重点！***是", "重点！是"),
            ("a ** b ** c", "a ** b ** c"),
            ("**开始", "**开始"),
            ("**一：**二**三：**四", "一：二三：四"),
            ("*一*", "*一*"),
        ];
        for (text, shown) in cases {
            let mut inline = Inline::new(Format::Text);
            inline.text(text, 0);
            assert_eq!(inline.take()[0].text, shown);
        }
    }

    #[test]
    fn what_is_whole_moves_with_the_text() {
        let mut inline = Inline::new(Format::Text);
        inline.text("**键：**", 0);
        inline.code("a b");
        inline.text("**值：**见https://a.cn/b?c=d。", 0);
        let line = inline.take().remove(0);
        assert_eq!(line.text, "键：`a b`值：见https://a.cn/b?c=d。");
        let whole: Vec<_> = line.whole.iter().map(|range| &line.text[range.clone()]).collect();
        assert_eq!(whole, ["`a b`", "https://a.cn/b?c=d"]);
    }
}
