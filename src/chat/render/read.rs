//! The parser's events become nodes.
//!
//! Leaf blocks (paragraph, heading, code, table) become lines and code; of containers only lists survive as groups,
//! while quotes and items show as what stands before a line. To show another block, handle its events in
//! [`Reader::start`] and [`Reader::end`].

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, HeadingLevel, LinkType, Options, Parser, Tag, TagEnd};

use super::{
    inline::{Inline, longest_run},
    node::{Body, Code, Line, Node, Phrase, Role},
    note::{self, Note},
    table,
};
use crate::model::reply::Format;

/// What a level of nesting moves a line in: about the width of one Chinese character.
const INDENT: &str = "    ";

/// Containers nested deeper are shown at this depth. Nobody can see the difference in a bubble, and what stands before
/// a line, like the tree itself, stays small however an input nests.
const DEEPEST: usize = 8;

/// The longest sentence, in bytes, that moves to the next part with what it leads.
const LONGEST_LEAD: usize = 300;

/// The longest text behind an opening fence that stays there; a longer one is a sentence that strayed.
const LONGEST_INFO: usize = 64;

/// The longest fence. Code with a longer run of backticks in it is code that no one closes by.
const LONGEST_FENCE: usize = 16;

/// A rule is a wide gap: where a part begins or ends it would only be in the way.
const RULE: &str = "\n\n———\n\n";

/// Reads `markdown` into the blocks of its top level.
pub(super) fn read(markdown: &str, format: Format) -> Vec<Node> {
    let mut notes = note::unused(markdown, OPTIONS).into_iter().peekable();
    let mut reader = Reader::new(markdown, format);
    for (event, range) in Parser::new_ext(markdown, OPTIONS).into_offset_iter() {
        if reader.frames.is_empty() && reader.too_deep == 0 && matches!(event, Event::Start(_)) {
            while let Some(note) = notes.next_if(|note| note.at < range.start) {
                reader.note(&note);
            }
        }
        reader.event(event, &range);
    }
    reader.end_lines();
    notes.for_each(|note| reader.note(&note));
    reader.nodes
}

/// Not strikethrough: it takes the tildes of `10~20元，30~40元`, and a plain text shows `~~` as well as it can anyway.
pub(in crate::chat) const OPTIONS: Options = Options::ENABLE_TABLES.union(Options::ENABLE_TASKLISTS);

struct Reader<'a> {
    markdown: &'a str,
    format: Format,
    /// Blocks of the top level.
    nodes: Vec<Node>,
    /// Open containers.
    frames: Vec<Frame>,
    /// Containers that opened beyond [`DEEPEST`].
    too_deep: usize,
    /// What stands before a line in the open containers.
    hang: String,
    /// What stands before the next line instead, if it is an item's first.
    marker: Option<Marker>,
    /// A rule stands before the next block.
    rule: bool,
    inline: Inline,
    /// An open block of code: what its fence says, and its text.
    code: Option<(String, String)>,
    /// The finished cells of an open table; the first row is the header.
    rows: Vec<Vec<Phrase>>,
}

/// An open container.
struct Frame {
    kind: Kind,
    /// The length of [`Reader::hang`] outside it.
    outside: usize,
    nodes: Vec<Node>,
}

enum Kind {
    Quote,
    List {
        /// The last number; `None` for a list without numbers.
        number: Option<u64>,
        /// There are paragraphs in its items.
        loose: bool,
    },
    Item,
}

/// What an item begins with.
struct Marker {
    text: String,
    /// It says something by itself: a number, a tick.
    tells: bool,
}

impl<'a> Reader<'a> {
    const fn new(markdown: &'a str, format: Format) -> Self {
        Self {
            markdown,
            format,
            nodes: Vec::new(),
            frames: Vec::new(),
            too_deep: 0,
            hang: String::new(),
            marker: None,
            rule: false,
            inline: Inline::new(format),
            code: None,
            rows: Vec::new(),
        }
    }

    fn event(&mut self, event: Event<'_>, range: &Range<usize>) {
        match event {
            Event::Start(tag) => self.start(tag, range),
            Event::End(tag) => self.end(tag),
            Event::Text(text) => match &mut self.code {
                Some((_, code)) => code.push_str(&text),
                None => self.inline.text(&text, usize::from(self.byte_before(range.start) == Some(b'\\'))),
            },
            Event::Code(code) => self.inline.code(&code),
            Event::Html(html) | Event::InlineHtml(html) if is_line_break(&html) => self.inline.line_break(),
            Event::Html(html) | Event::InlineHtml(html) => self.inline.raw(&html),
            Event::SoftBreak | Event::HardBreak => self.inline.line_break(),
            Event::Rule => {
                self.end_lines();
                self.rule = true;
            }
            Event::TaskListMarker(done) => self.task(done),
            Event::FootnoteReference(_) | Event::InlineMath(_) | Event::DisplayMath(_) => {}
        }
    }

    fn start(&mut self, tag: Tag<'_>, range: &Range<usize>) {
        match tag {
            Tag::Emphasis => self.inline.start_emphasis("*", self.is_within_word(range.start, 1)),
            Tag::Strong => self.inline.start_emphasis("**", self.is_within_word(range.start, 2)),
            Tag::Link { dest_url, link_type, .. } | Tag::Image { dest_url, link_type, .. } => {
                self.inline.start_link(&dest_url, link_type == LinkType::Shortcut);
            }
            Tag::Paragraph => {
                self.end_lines();
                if let [.., Frame { kind: Kind::List { loose, .. }, .. }, Frame { kind: Kind::Item, .. }] =
                    self.frames.as_mut_slice()
                {
                    *loose = true;
                }
            }
            Tag::List(number) => {
                let number = number.map(|first| first.saturating_sub(1));
                self.open(Kind::List { number, loose: false }, "");
            }
            Tag::Item => self.open_item(range.start),
            Tag::BlockQuote(_) => self.open(Kind::Quote, if self.format == Format::Text { "│ " } else { "> " }),
            Tag::CodeBlock(kind) => {
                self.end_lines();
                let info = if let CodeBlockKind::Fenced(info) = kind { info.trim().to_owned() } else { String::new() };
                self.code = Some((info, String::new()));
            }
            Tag::TableHead | Tag::TableRow => self.rows.push(Vec::new()),
            _ => self.end_lines(),
        }
    }

    fn end(&mut self, tag: TagEnd) {
        match tag {
            TagEnd::Emphasis | TagEnd::Strong | TagEnd::Link | TagEnd::Image => self.inline.end(),
            TagEnd::Heading(level) => self.heading(level),
            TagEnd::CodeBlock => self.code_block(),
            TagEnd::TableCell => {
                let cell = Phrase::join(&self.inline.take(), " ");
                if let Some(row) = self.rows.last_mut() {
                    row.push(cell);
                }
            }
            TagEnd::Table => {
                self.settle_marker();
                let rows = std::mem::take(&mut self.rows);
                self.push(table::show(&rows, &self.hang, INDENT, self.format), Role::Plain);
            }
            TagEnd::List(_) | TagEnd::Item | TagEnd::BlockQuote(_) => self.close(),
            _ => self.end_lines(),
        }
    }

    fn open(&mut self, kind: Kind, hang: &str) {
        self.end_lines();
        if self.frames.len() >= DEEPEST {
            self.too_deep += 1;
            return;
        }
        if !matches!(kind, Kind::Item) {
            self.settle_marker();
        }
        self.frames.push(Frame { kind, outside: self.hang.len(), nodes: Vec::new() });
        self.hang.push_str(hang);
    }

    fn open_item(&mut self, at: usize) {
        self.end_lines();
        if self.frames.len() < DEEPEST {
            self.marker = self.next_marker(at);
        }
        self.open(Kind::Item, INDENT);
    }

    /// The marker of the item that begins at `at`, in the innermost list.
    fn next_marker(&mut self, at: usize) -> Option<Marker> {
        let depth = self.frames.iter().filter(|frame| matches!(frame.kind, Kind::List { .. })).count();
        let Kind::List { number, .. } = &mut self.frames.last_mut()?.kind else { return None };
        let Some(last) = number else {
            let bullet = ["• ", "◦ "].get(depth.saturating_sub(1)).unwrap_or(&"▪ ");
            return Some(Marker { text: (*bullet).to_owned(), tells: false });
        };
        // The number as written, where it goes up: Markdown would count for itself.
        let source = self.markdown.get(at..).unwrap_or_default();
        let (digits, behind) = source.split_at(source.bytes().take_while(u8::is_ascii_digit).count());
        *last = digits.parse().ok().filter(|written| *written > *last).unwrap_or(last.saturating_add(1));
        let delimiter = if behind.starts_with(')') { ')' } else { '.' };
        Some(Marker { text: format!("{last}{delimiter} "), tells: true })
    }

    fn close(&mut self) {
        self.end_lines();
        if self.too_deep > 0 {
            self.too_deep -= 1;
            return;
        }
        self.settle_marker();
        let Some(Frame { kind, outside, mut nodes }) = self.frames.pop() else { return };
        self.hang.truncate(outside);
        if let Kind::List { loose: true, .. } = kind
            && nodes.iter().any(|item| matches!(item.body, Body::Group(_)))
        {
            nodes.iter_mut().for_each(|item| item.gap = "\n\n");
        }
        self.push(Body::Group(nodes), Role::Plain);
    }

    /// Adds a block to the innermost open container.
    fn push(&mut self, body: Body, role: Role) {
        let body = match body {
            Body::Group(nodes) if nodes.is_empty() => return,
            Body::Group(mut nodes) if nodes.len() == 1 => nodes.remove(0).body,
            body => body,
        };
        let is_top = self.frames.is_empty();
        let nodes = self.frames.last_mut().map_or(&mut self.nodes, |frame| &mut frame.nodes);
        let gap = match nodes.last() {
            _ if std::mem::take(&mut self.rule) => RULE,
            Some(last) if is_top && last.role == Role::Plain => "\n\n",
            Some(last) if is_top && role == Role::Heading && last.role != Role::Heading => "\n\n",
            _ => "\n",
        };
        nodes.push(Node { gap, role, body });
    }

    /// A line in the open containers.
    fn line(&mut self, phrase: Phrase) -> Node {
        let lead = match self.marker.take() {
            Some(marker) => format!("{}{}", self.hang.strip_suffix(INDENT).unwrap_or(&self.hang), marker.text),
            None => self.hang.clone(),
        };
        Node::new(Body::Line(Line { lead, hang: self.hang.clone(), code: false, phrase }))
    }

    /// Ends a paragraph, be it one by name or the bare text of an item.
    fn end_lines(&mut self) {
        let phrases = self.inline.take();
        let length: usize = phrases.iter().map(|phrase| phrase.text.len()).sum();
        let leads = length <= LONGEST_LEAD && phrases.last().is_some_and(|last| last.text.ends_with([':', '：']));
        let lines = phrases.into_iter().map(|phrase| self.line(phrase)).collect();
        self.push(Body::Group(lines), if leads { Role::Lead } else { Role::Plain });
    }

    fn heading(&mut self, level: HeadingLevel) {
        let title = Phrase::join(&self.inline.take(), " ");
        if title.text.is_empty() {
            return;
        }
        let (before, behind) = match self.format {
            Format::Markdown => (format!("{} ", "#".repeat(level as usize)), ""),
            Format::Text if level <= HeadingLevel::H3 && !title.text.contains(['【', '】']) => {
                ("【".to_owned(), "】")
            }
            Format::Text => ("▎".to_owned(), ""),
        };
        let line = self.line(Phrase::join(&[Phrase::plain(before), title, Phrase::plain(behind)], ""));
        self.push(line.body, Role::Heading);
    }

    fn code_block(&mut self) {
        let Some((info, text)) = self.code.take() else { return };
        self.settle_marker();
        let info = if info.len() > LONGEST_INFO {
            self.inline.raw(&info);
            self.end_lines();
            String::new()
        } else {
            info
        };
        if text.trim().is_empty() {
            return;
        }
        if self.format == Format::Text {
            let fence = "`".repeat((longest_run(&text, '`') + 1).clamp(3, LONGEST_FENCE));
            self.push(Body::Code(Code { fence, info, text }), Role::Plain);
            return;
        }
        let line = |line: &str| {
            let (lead, hang) = (String::new(), String::new());
            Node::new(Body::Line(Line { lead, hang, code: true, phrase: Phrase::plain(line) }))
        };
        let lines = text.strip_suffix('\n').unwrap_or(&text).split('\n').map(line).collect();
        self.push(Body::Group(lines), Role::Plain);
    }

    fn task(&mut self, done: bool) {
        let tick = if done { "☑ " } else { "☐ " };
        match &mut self.marker {
            Some(marker) => {
                // The box takes the place of a bullet, but not of a number.
                if !marker.tells {
                    marker.text.clear();
                }
                marker.text.push_str(tick);
                marker.tells = true;
            }
            None => self.inline.raw(tick),
        }
    }

    /// Shows a marker that got no line of its own, because its item begins with code, a list or nothing.
    fn settle_marker(&mut self) {
        if let Some(marker) = self.marker.take_if(|marker| marker.tells) {
            let hang = self.hang.clone();
            let lead = hang.strip_suffix(INDENT).unwrap_or(&hang).to_owned();
            let phrase = Phrase::plain(marker.text.trim());
            self.push(Body::Line(Line { lead, hang, code: false, phrase }), Role::Lead);
        }
        self.marker = None;
    }

    fn note(&mut self, note: &Note) {
        self.end_lines();
        self.inline.raw(&note.text);
        self.end_lines();
    }

    /// Whether `length` stars at `at` stand between two ASCII letters or digits.
    fn is_within_word(&self, at: usize, length: usize) -> bool {
        let bytes = self.markdown.as_bytes();
        let is_word = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric());
        is_word(self.byte_before(at)) && is_word(bytes.get(at + length).copied())
    }

    fn byte_before(&self, at: usize) -> Option<u8> {
        at.checked_sub(1).and_then(|at| self.markdown.as_bytes().get(at)).copied()
    }
}

/// `<br>` in its spellings.
fn is_line_break(html: &str) -> bool {
    let name = html.trim().trim_start_matches('<').trim_end_matches('>').trim_end_matches('/').trim();
    html.trim().starts_with('<') && name.eq_ignore_ascii_case("br")
}
