//! What may be sent while the model still writes.
//!
//! [`Live`] cuts the growing Markdown source of an answer into chunks of which each reads well as a message of its own.
//! The first chunk leaves as soon as there is a first paragraph; later ones wait until they are larger, so that a long
//! answer stays a handful of messages. Knows where Markdown's blocks end; knows nothing of how they look (that is
//! [`super::render`]) nor of sending.
//!
//! A chunk ends only at a border: the blank line behind a paragraph, the end of a fenced block, the line before a
//! heading. It never ends behind a heading, nor inside a list, table or fence; a list is cut before an item only when
//! the chunk is large already. The text is read once, character by character, so the chunks are the same however it was
//! cut into deltas, and the work of a [`Live::push`] is proportional to its delta. To keep another block whole, add it
//! to `Block`.

mod line;
pub mod seam;

use self::line::{Fence, Head, Marks};
use super::render::cut::ends_sentence;

/// Characters, white space not counted, that the first chunk has at least: "好的。" alone is not worth a message.
pub const FIRST_CHUNK_CHARS: usize = 12;

/// Bytes of source that the second chunk has at least, and any chunk that is sent early because of [`OVERDUE_BYTES`].
pub const SECOND_CHUNK_BYTES: usize = 400;

/// Bytes of source that the third chunk has at least.
pub const THIRD_CHUNK_BYTES: usize = 900;

/// Bytes of source that any later chunk has at least, and that lie before a list is cut between two items: most of a
/// part, with room for the paragraph that crosses the line.
pub const LATER_CHUNK_BYTES: usize = 1600;

/// When more than this waits, it is cut at the last border though the chunk be smaller than it should, or, in a
/// paragraph without end, behind a sentence. Just below what one part holds.
pub const OVERDUE_BYTES: usize = 1900;

/// An answer that is being written.
#[derive(Debug)]
pub struct Live {
    progressive: bool,
    /// Chunks that left, or messages of this answer that left before a restart.
    sent: u32,
    /// What has not left.
    pending: String,
    /// The last place in `pending` where a chunk may end; 0 if there is none.
    border: usize,
    /// The chunk that ends there is large enough.
    ready: bool,
    /// The last place in the current paragraph where a sentence ends; 0 if there is none.
    sentence: usize,
    block: Block,
    line: Line,
    fence: Option<Fence>,
    marks: Marks,
}

/// What the last block is, as far as it decides where a chunk may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Block {
    /// Nothing since the last border.
    None,
    Paragraph,
    /// A heading, or a line that is all bold.
    Heading,
    /// A paragraph that ends in a colon.
    Lead,
    /// It goes on behind a blank line when an item or an indented line follows.
    List,
    /// A table or a quote: it ends at a blank line and has no sentences to cut at.
    Solid,
}

/// The line that is being read.
#[derive(Debug, Default)]
struct Line {
    /// Where it begins in `pending`.
    start: usize,
    /// Where its first character behind the indentation is, once there is one.
    body: Option<usize>,
    /// Columns of indentation.
    indent: usize,
    /// What it begins with is known.
    begun: bool,
    /// A blank line stands before it.
    after_blank: bool,
}

impl Live {
    /// A new answer. When not `progressive`, nothing leaves before the end.
    pub fn new(progressive: bool) -> Self {
        Self::resume(progressive, 0)
    }

    /// An answer of which `parts_sent` messages have left: what follows is not as hasty as a first chunk.
    pub fn resume(progressive: bool, parts_sent: u32) -> Self {
        Self {
            progressive,
            sent: parts_sent,
            pending: String::new(),
            border: 0,
            ready: false,
            sentence: 0,
            block: Block::None,
            line: Line::default(),
            fence: None,
            marks: Marks::default(),
        }
    }

    /// Takes what the model wrote next; returns the chunks of source that may be sent now, mostly none.
    pub fn push(&mut self, delta: &str) -> Vec<String> {
        if !self.progressive {
            self.pending.push_str(delta);
            return Vec::new();
        }
        delta.chars().filter_map(|next| self.read(next)).collect()
    }

    /// What waits, of the text so far.
    pub fn pending(&self) -> &str {
        &self.pending
    }

    /// From now on nothing leaves before the end.
    pub const fn hold(&mut self) {
        self.progressive = false;
    }

    /// The rest. All chunks and the rest, in a row, are all deltas in a row.
    pub fn finish(self) -> String {
        self.pending
    }

    /// Reads one character; returns a chunk if that makes one ready.
    fn read(&mut self, next: char) -> Option<String> {
        let at = self.pending.len();
        let is_words = self.block == Block::Paragraph && self.line.begun && self.fence.is_none();
        if is_words && self.marks.are_closed() && ends_sentence(&self.pending, next) {
            self.sentence = at;
        }
        self.marks.read(next);
        self.pending.push(next);
        match next {
            '\n' => {
                self.begin_line();
                self.end_line(at);
            }
            ' ' | '\r' if self.line.body.is_none() => self.line.indent += 1,
            '\t' if self.line.body.is_none() => self.line.indent += 4,
            _ => {
                self.line.body.get_or_insert(at);
                self.begin_line();
            }
        }
        self.due().map(|end| self.cut(end))
    }

    /// Decides what the line does to the block before it, as soon as its first characters tell.
    fn begin_line(&mut self) {
        let Some(body) = self.line.body.filter(|_| !self.line.begun && self.fence.is_none()) else { return };
        let text = self.pending.get(body..).unwrap_or_default();
        let Some(head) = Head::of(text) else { return };
        self.line.begun = true;
        let (start, is_inner) = (self.line.start, self.line.indent >= 2);
        let goes_on = match self.block {
            Block::List if head == Head::Item || is_inner => {
                if !is_inner && start >= LATER_CHUNK_BYTES {
                    self.end_chunk_at(start);
                }
                true
            }
            Block::List | Block::Solid => head != Head::Heading && !self.line.after_blank,
            Block::Paragraph => head == Head::Words,
            Block::None | Block::Heading | Block::Lead => false,
        };
        if goes_on {
            return;
        }
        let is_border = match self.block {
            Block::None | Block::Heading => false,
            Block::List => true,
            Block::Paragraph | Block::Lead | Block::Solid => head == Head::Heading,
        };
        if is_border {
            self.end_chunk_at(start);
        }
        self.block = match head {
            Head::Heading => Block::Heading,
            Head::Item => Block::List,
            Head::Solid => Block::Solid,
            Head::Words => Block::Paragraph,
        };
    }

    /// Ends the line whose line break is at `at`.
    fn end_line(&mut self, at: usize) {
        let body = self.line.body;
        let text = body.and_then(|body| self.pending.get(body..at)).unwrap_or_default().trim_end();
        let border = match self.fence {
            Some(fence) => {
                let is_closed = fence.is_closed_by(text);
                self.fence = Some(fence).filter(|_| !is_closed);
                is_closed && self.block != Block::List
            }
            None if body.is_none() => match self.block {
                Block::Paragraph | Block::Solid => true,
                Block::Lead => self.sent == 0,
                Block::None | Block::Heading | Block::List => false,
            },
            None => {
                if self.block == Block::List || self.line.indent < 4 {
                    self.fence = Fence::opened_by(text);
                }
                if self.block == Block::Paragraph || self.block == Block::Lead {
                    self.block = kind_of(text);
                }
                false
            }
        };
        if border {
            self.end_chunk_at(at + 1);
            self.block = Block::None;
        }
        if self.block != Block::Paragraph {
            self.marks = Marks::default();
        }
        let after_blank = self.fence.is_none() && body.is_none();
        self.line = Line { start: at + 1, after_blank, ..Line::default() };
    }

    /// Notes that a chunk may end at `border`.
    fn end_chunk_at(&mut self, border: usize) {
        self.border = border;
        self.ready = match self.sent {
            0 => self.pending.get(..border).is_some_and(has_first_words),
            1 => border >= SECOND_CHUNK_BYTES,
            2 => border >= THIRD_CHUNK_BYTES,
            _ => border >= LATER_CHUNK_BYTES,
        };
    }

    /// Where a chunk that may leave now ends.
    fn due(&self) -> Option<usize> {
        if self.ready {
            return Some(self.border);
        }
        let places = [self.border, self.sentence];
        let is_overdue = self.pending.len() > OVERDUE_BYTES;
        places.into_iter().find(|&place| is_overdue && place >= SECOND_CHUNK_BYTES)
    }

    /// Takes the chunk that ends at `end` and goes on with what is behind it.
    fn cut(&mut self, end: usize) -> String {
        let rest = self.pending.split_off(end.min(self.pending.len()));
        self.sent = self.sent.saturating_add(1);
        self.border = self.border.saturating_sub(end);
        self.ready = false;
        self.sentence = self.sentence.saturating_sub(end);
        self.line.start = self.line.start.saturating_sub(end);
        self.line.body = self.line.body.map(|body| body.saturating_sub(end));
        std::mem::replace(&mut self.pending, rest)
    }
}

/// Whether `text` says enough to be the first message.
fn has_first_words(text: &str) -> bool {
    text.chars().filter(|char| !char.is_whitespace()).nth(FIRST_CHUNK_CHARS - 1).is_some()
}

/// What a paragraph is by its last line, `text`.
fn kind_of(text: &str) -> Block {
    let title = text.strip_prefix("**").map(|text| text.trim_end_matches([':', '：']));
    if title.is_some_and(|title| title.ends_with("**")) {
        Block::Heading
    } else if text.ends_with([':', '：']) {
        Block::Lead
    } else if text.contains('|') && text.contains('-') && text.trim_matches(['|', '-', ':', ' ']).is_empty() {
        Block::Solid
    } else {
        Block::Paragraph
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        chat::render::render,
        model::reply::{Format, PART_LIMIT},
    };

    /// Every chunk and the rest, with the text pushed in deltas of `size` characters.
    fn chunks(text: &str, size: usize) -> (Vec<String>, String) {
        let chars: Vec<char> = text.chars().collect();
        let mut live = Live::new(true);
        let chunks = chars.chunks(size).flat_map(|delta| live.push(&String::from_iter(delta))).collect();
        (chunks, live.finish())
    }

    /// Text of `bytes` bytes in sentences, without a border.
    fn prose(bytes: usize) -> String {
        "这是一个完整的句子，说明一件事。".chars().cycle().take(bytes / 3).collect()
    }

    #[test]
    fn a_chunk_leaves_at_the_border_it_was_waiting_for() {
        let long = prose(LATER_CHUNK_BYTES);
        let item = format!("- {}\n", prose(600));
        let cases = [
            ("the first paragraph", "请先检查网络连接是否正常。\n\n".to_owned(), 1),
            ("too little for a message", "好的。\n\n".to_owned(), 0),
            ("little, then enough", "好的。\n\n请先检查网络连接。\n\n".to_owned(), 1),
            ("no blank line yet", "请先检查网络连接是否正常。\n".to_owned(), 0),
            ("a heading alone", "## 检查网络连接的所有步骤\n\n".to_owned(), 0),
            ("a bold line is a heading", "**检查网络连接的所有步骤**\n\n".to_owned(), 0),
            ("a heading with its words", "## 步骤\n\n请先检查网络连接是否正常。\n\n".to_owned(), 1),
            ("words before a heading", "请先检查网络连接是否正常。\n# ".to_owned(), 1),
            ("an open fence", "```rust\nlet answer = 42;\n\n".to_owned(), 0),
            ("a closed fence", "```rust\nlet answer = 42;\n\n```\n".to_owned(), 1),
            ("a longer fence", "````\nlet answer = 42;\n```\n\n".to_owned(), 0),
            ("a list may go on", "- 检查网络连接\n- 重新启动设备\n\n".to_owned(), 0),
            ("a loose list goes on", "1. 检查网络连接\n\n2. 重新启动设备\n\n   还是不行\n\n-".to_owned(), 0),
            ("a list is over", "- 检查网络连接\n- 重新启动设备\n\n还".to_owned(), 1),
            ("a fence in a list", "- 检查网络连接:\n  ```\n  ping a.cn\n\n  ```\n\n".to_owned(), 0),
            ("a table is over", "| 步骤 | 说明 |\n|---|---|\n| 检查 | 网络连接 |\n\n".to_owned(), 1),
            ("a large list is cut before an item", item.repeat(4), 1),
            ("a long paragraph is cut behind a sentence", prose(OVERDUE_BYTES + 60), 1),
            ("but not in bold words", format!("**{}", prose(OVERDUE_BYTES + 60)), 0),
            ("nor is a table", format!("|{}", prose(OVERDUE_BYTES + 60)), 0),
            ("words do not wait for the code", format!("好。\n\n{long}。\n\n```\n{long}"), 1),
        ];
        for (name, text, expected) in cases {
            let (chunks, rest) = chunks(&text, 1);
            assert_eq!(chunks.len(), expected, "{name}: {chunks:?} | {rest}");
        }
    }

    #[test]
    fn a_resumed_answer_does_not_hurry_and_a_quiet_one_waits() {
        let text = "请先检查网络连接是否正常。\n\n";
        assert!(Live::resume(true, 1).push(text).is_empty());
        assert_eq!(Live::resume(true, 1).push(&format!("{}\n\n", prose(SECOND_CHUNK_BYTES + 3))).len(), 1);
        let mut quiet = Live::new(false);
        assert!(quiet.push(text).is_empty());
        assert_eq!(quiet.finish(), text);
    }

    #[test]
    fn a_long_answer_is_a_handful_of_messages() {
        let section = |number: usize| {
            let step = prose(150);
            format!("### {number}. 标题\n\n{}\n\n1. {step}\n2. {step}\n\n{}\n\n", prose(420), prose(540))
        };
        let text = format!("{}\n\n{}", prose(90), (1..=7).map(section).collect::<String>());
        assert!((9_000..9_900).contains(&text.len()), "{}", text.len());
        let (chunks, rest) = chunks(&text, 3);
        let parts: Vec<usize> = chunks.iter().chain([&rest]).map(|chunk| render(chunk, Format::Text).len()).collect();
        assert!((5..=8).contains(&parts.iter().sum::<usize>()), "{parts:?}");
        assert!(parts.iter().all(|&parts| parts <= 1), "each chunk is one message: {parts:?}");
        assert!(chunks.iter().all(|chunk| chunk.len() <= PART_LIMIT));
        assert!(chunks.iter().skip(1).all(|chunk| chunk.trim_start().starts_with(['#', '1', '这'])));
    }

    #[test]
    fn reading_is_linear_on_hostile_text() {
        for text in ["\n", " ", "#", "1", "`", "*", "- \n", "\"", "。", "a\n\n", "> \n", "\t\n", "```\n\n"] {
            let text = text.repeat(300_000);
            let mut live = Live::new(true);
            let length: usize = live.push(&text).iter().map(String::len).sum();
            assert_eq!(length + live.finish().len(), text.len());
        }
    }

    /// Lines as models write them, and syntax that tries to confuse.
    fn source() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            8 => "[a-z中文。！？.:：|#*`>~+1-9 -]{0,40}\n",
            3 => "(\n|# |- |  - |1\\. |```\n|> |\\| |\\*\\*|\t|\r\n)",
            1 => (1usize..900).prop_map(prose),
        ];
        proptest::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn chunks_are_the_text_however_it_came(text in source(), size in 2usize..40) {
            let (one, rest) = chunks(&text, 1);
            prop_assert_eq!(one.concat() + &rest, text.as_str());
            prop_assert!(one.iter().all(|chunk| !chunk.trim().is_empty()));
            prop_assert_eq!(&(one, rest), &chunks(&text, size));
            prop_assert_eq!(chunks(&text, size), chunks(&text, usize::MAX));
        }
    }
}
