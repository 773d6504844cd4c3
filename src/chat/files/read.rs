//! Finds the blocks of an answer that no bubble can show, and cuts the rest around them.

use std::ops::Range;

use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

use super::{Look, NewFile, Piece, name};
use crate::{
    chat::{
        render::{read::OPTIONS, render, table::is_narrow},
        texts::Text,
    },
    model::{csv, reply::PART_LIMIT},
};

/// Bytes that stand around code in a message, more or less.
const FENCES: usize = 32;

/// The pieces of `markdown`, in their order. A block of code or a table that takes more than `most_lines` lines of a
/// bubble, or more than one message, becomes a file: a sentence stands where it stood, and the file follows the message
/// that the sentence is in. 0: no block becomes a file.
///
/// What is not such a block is rendered as [`render`] does it. Time and memory grow in proportion to the input.
///
/// `said` is what of the answer stands before it: a file may be called by the last heading there.
pub fn compose(said: &str, markdown: &str, look: Look, most_lines: usize) -> Vec<Piece> {
    let blocks = if most_lines == 0 || !may_hold_a_file(markdown, most_lines) {
        Vec::new()
    } else {
        Reader { heading: headings(said).last(), ..Reader::new(markdown, look, most_lines) }.read()
    };
    let (mut pieces, mut files) = (Vec::new(), Vec::new());
    let (mut words, mut from) = (String::new(), 0);
    let mut blocks = blocks.into_iter().peekable();
    while let Some(Block { range, behind, sentence, file }) = blocks.next() {
        words.push_str(markdown.get(from..range.start).unwrap_or_default());
        words.push_str(&sentence);
        from = range.end;
        files.push(file);
        // What is left of the block of the top level that it stands in belongs to the same words.
        if blocks.peek().is_none_or(|next| next.range.start >= behind) {
            words.push_str(markdown.get(from..behind).unwrap_or_default());
            from = behind.max(from);
            pieces.extend(render(&std::mem::take(&mut words), look.format).into_iter().map(Piece::Words));
            pieces.extend(files.drain(..).map(Piece::File));
        }
    }
    pieces.extend(render(markdown.get(from..).unwrap_or_default(), look.format).into_iter().map(Piece::Words));
    pieces
}

/// The texts of the headings.
pub(super) fn headings(markdown: &str) -> impl Iterator<Item = String> {
    let mut open: Option<String> = None;
    Parser::new_ext(markdown, OPTIONS).filter_map(move |event| {
        match (event, &mut open) {
            (Event::Start(Tag::Heading { .. }), _) => open = Some(String::new()),
            (Event::End(TagEnd::Heading(_)), _) => return open.take(),
            (Event::Text(text) | Event::Code(text), Some(heading)) => heading.push_str(&text),
            _ => {}
        }
        None
    })
}

/// Whether it is worth looking: most chunks of an answer are too short for any file.
fn may_hold_a_file(markdown: &str, most_lines: usize) -> bool {
    let is_fenced = markdown.contains("```") || markdown.contains("~~~");
    let is_long =
        || markdown.len() + FENCES > PART_LIMIT || markdown.bytes().filter(|&b| b == b'\n').count() > most_lines;
    (is_fenced && is_long()) || markdown.contains('|')
}

/// A block that becomes a file.
struct Block {
    /// Where it is.
    range: Range<usize>,
    /// Where the block of the top level ends that it is or that it stands in.
    behind: usize,
    /// What stands there instead: Markdown.
    sentence: String,
    file: NewFile,
}

struct Reader<'a> {
    markdown: &'a str,
    look: Look,
    most_lines: usize,
    blocks: Vec<Block>,
    /// How many blocks are open.
    depth: usize,
    /// Where the open block of the top level ends.
    behind: usize,
    /// The last heading, and whether it is being read.
    heading: Option<String>,
    in_heading: bool,
    /// An open block of code: where it is, what its fence says, and its text.
    code: Option<(Range<usize>, String, String)>,
    /// An open table: where it is, and its rows.
    table: Option<(Range<usize>, Vec<Vec<String>>)>,
}

impl<'a> Reader<'a> {
    const fn new(markdown: &'a str, look: Look, most_lines: usize) -> Self {
        Self {
            markdown,
            look,
            most_lines,
            blocks: Vec::new(),
            depth: 0,
            behind: 0,
            heading: None,
            in_heading: false,
            code: None,
            table: None,
        }
    }

    fn read(mut self) -> Vec<Block> {
        for (event, range) in Parser::new_ext(self.markdown, OPTIONS).into_offset_iter() {
            match &event {
                Event::Start(_) => {
                    if self.depth == 0 {
                        self.behind = range.end;
                    }
                    self.depth += 1;
                }
                Event::End(_) => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
            self.event(event, range);
        }
        self.blocks
    }

    fn event(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { .. }) => (self.heading, self.in_heading) = (Some(String::new()), true),
            Event::End(TagEnd::Heading(_)) => self.in_heading = false,
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                self.code = Some((range, info.trim().to_owned(), String::new()));
            }
            Event::End(TagEnd::CodeBlock) => {
                if let Some((range, info, text)) = self.code.take() {
                    self.end_code(range, &info, text);
                }
            }
            Event::Start(Tag::Table(_)) => self.table = Some((range, Vec::new())),
            Event::End(TagEnd::Table) => {
                if let Some((range, rows)) = self.table.take() {
                    self.end_table(range, &rows);
                }
            }
            Event::Start(Tag::TableHead | Tag::TableRow) => {
                if let Some((_, rows)) = &mut self.table {
                    rows.push(Vec::new());
                }
            }
            Event::Start(Tag::TableCell) => {
                if let Some(row) = self.row() {
                    row.push(String::new());
                }
            }
            Event::Text(text) | Event::Code(text) => self.text(&text),
            Event::InlineHtml(html) if html.trim_start().to_ascii_lowercase().starts_with("<br") => self.text("\n"),
            Event::InlineHtml(html) => self.text(&html),
            Event::SoftBreak | Event::HardBreak => self.text(" "),
            _ => {}
        }
    }

    fn row(&mut self) -> Option<&mut Vec<String>> {
        self.table.as_mut().and_then(|(_, rows)| rows.last_mut())
    }

    fn text(&mut self, text: &str) {
        if let Some((_, _, code)) = &mut self.code {
            code.push_str(text);
        } else if let Some(cell) = self.row().and_then(|row| row.last_mut()) {
            cell.push_str(text);
        } else if let (true, Some(heading)) = (self.in_heading, &mut self.heading) {
            heading.push_str(text);
        }
    }

    fn end_code(&mut self, range: Range<usize>, info: &str, text: String) {
        let lines = text.lines().count();
        if lines <= self.most_lines && text.len() + info.len() + FENCES <= PART_LIMIT {
            return;
        }
        let name = name::of_code(info, &text, self.heading.as_deref(), self.look.language);
        let sentence = Text::CodeFile { name: name.as_str(), lines }.render(self.look.language);
        let file = NewFile { name, media_type: "text/plain", content: text };
        self.add(range, &sentence, file);
    }

    fn end_table(&mut self, range: Range<usize>, rows: &[Vec<String>]) {
        let columns = rows.first().map_or(0, Vec::len);
        let is_narrow = rows.iter().all(|row| is_narrow(row.iter().map(String::as_str)));
        // As it would be shown: narrow rows as they are, otherwise a line for each cell.
        let lines = match is_narrow {
            true => rows.len(),
            false => rows.iter().skip(1).flatten().filter(|cell| !cell.is_empty()).count(),
        };
        if lines <= self.most_lines && range.len() <= PART_LIMIT {
            return;
        }
        let name = name::of_table(self.heading.as_deref(), self.look.language);
        let rows_below = rows.len().saturating_sub(1);
        let sentence = Text::TableFile { name: name.as_str(), rows: rows_below, columns }.render(self.look.language);
        let file = NewFile { name, media_type: "text/csv", content: csv::write(rows) };
        self.add(range, &sentence, file);
    }

    fn add(&mut self, range: Range<usize>, sentence: &str, file: NewFile) {
        let mut sentence = escape(sentence);
        if self.markdown.get(range.clone()).is_some_and(|block| block.ends_with('\n')) {
            sentence.push('\n');
        }
        self.blocks.push(Block { range, behind: self.behind, sentence, file });
    }
}

/// A sentence as Markdown that shows it: a name may hold what Markdown reads.
fn escape(sentence: &str) -> String {
    let mut escaped = String::with_capacity(sentence.len());
    for c in sentence.chars() {
        if matches!(c, '_' | '*' | '`' | '[' | ']' | '<' | '>' | '#' | '~' | '|' | '\\') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{language::Language, reply::Format};

    const LOOK: Look = Look { format: Format::Text, language: Language::Chinese };

    /// Each piece: words as they are, a file as `<name>`.
    fn shown(markdown: &str) -> Vec<String> {
        let show = |piece| match piece {
            Piece::Words(part) => part.words().expect("words").content().to_owned(),
            Piece::File(file) => format!("<{}>", file.name.as_str()),
        };
        compose("", markdown, LOOK, 10).into_iter().map(show).collect()
    }

    fn code(lines: usize) -> String {
        format!("```python\n{}```", "x = 1\n".repeat(lines))
    }

    #[test]
    fn long_code_goes_as_a_file_between_the_words_around_it() {
        let markdown = format!("## 读取配置\n\n先看代码：\n\n{}\n\n再说用法。", code(11));
        assert_eq!(
            shown(&markdown),
            ["【读取配置】\n先看代码：\n📎 代码共 11 行，放在文件里：读取配置.py", "<读取配置.py>", "再说用法。"]
        );
        let short = format!("先看代码：\n\n{}\n\n再说用法。", code(10));
        assert_eq!(shown(&short).len(), 1, "short code stays");
        assert_eq!(shown(&format!("{}\n\n{}", code(11), code(12))).len(), 4);
    }

    #[test]
    fn code_in_an_item_is_replaced_there_and_follows_the_list() {
        let inner = code(11).replace('\n', "\n   ");
        let markdown = format!("1. 第一步：\n   {inner}\n   然后运行它。\n2. 第二步。\n\n完。");
        assert_eq!(
            shown(&markdown),
            [
                "1. 第一步：\n    📎 代码共 11 行，放在文件里：代码.py\n    然后运行它。\n2. 第二步。",
                "<代码.py>",
                "完。"
            ]
        );
    }

    #[test]
    fn a_table_that_takes_many_lines_goes_as_a_spreadsheet() {
        let wide: String = (0..4).map(|n| format!("| 张{n} | 研发中心平台组 | 高级工程师 | 上海浦东 |\n")).collect();
        let markdown = format!("名单如下：\n\n| 姓名 | 部门 | 职位 | 地点 |\n|---|---|---|---|\n{wide}\n共 4 人。");
        let pieces = compose("", &markdown, LOOK, 10);
        let Piece::File(NewFile { name, media_type, content }) = &pieces[1] else { panic!("{pieces:?}") };
        assert_eq!((name.as_str(), *media_type), ("表格.csv", "text/csv"));
        assert!(content.starts_with("\u{FEFF}姓名,部门,职位,地点\r\n张0,研发中心平台组,"), "{content}");
        assert!(shown(&markdown)[0].ends_with("📎 表格共 4 行 4 列，放在文件里，可用 Excel 打开：表格.csv"));
        let narrow: String = (0..9).map(|n| format!("| {n} | 好 |\n")).collect();
        assert_eq!(shown(&format!("| 号 | 值 |\n|---|---|\n{narrow}")).len(), 1, "narrow rows stay");
    }

    #[test]
    fn a_name_that_markdown_would_read_is_shown_as_it_is() {
        let markdown = format!("```python __init__.py\n{}```", "x = 1\n".repeat(11));
        assert_eq!(shown(&markdown)[0], "📎 代码共 11 行，放在文件里：__init__.py");
    }

    #[test]
    fn a_fence_that_was_cut_is_a_file_too() {
        let markdown = format!("```python\n{}", "x = 1\n".repeat(11));
        assert_eq!(shown(&markdown), ["📎 代码共 11 行，放在文件里：代码.py", "<代码.py>"]);
    }

    #[test]
    fn a_file_is_called_by_the_last_heading_also_of_what_was_said() {
        let texts: Vec<_> = headings("正文\n\n## 一、**总** `结`\n\n# 二\n").collect();
        assert_eq!(texts, ["一、总 结", "二"]);
        let pieces = compose("## 读取配置\n\n如下：\n\n", &code(11), LOOK, 10);
        let Piece::File(file) = &pieces[1] else { panic!("{pieces:?}") };
        assert_eq!(file.name.as_str(), "读取配置.py");
    }

    /// Blocks that may become files, between words that are numbered.
    fn source() -> impl Strategy<Value = String> {
        let block = prop_oneof![
            3 => "[a-z中文。 ]{1,30}\n\n",
            2 => (1usize..20).prop_map(|lines| format!("{}\n\n", code(lines))),
            1 => (1usize..8).prop_map(|rows| format!("| a | b |\n|---|---|\n{}\n", "| 1 | 很长很长很长很长很长很长很长很长 |\n".repeat(rows))),
            1 => "- [a-z]{1,5}\n  ```\n(  z\n){11,12}  ```\n\n",
            1 => "> ```\n> a\n\n",
        ];
        proptest::collection::vec(block, 0..12).prop_map(|blocks| blocks.concat())
    }

    proptest! {
        /// Every part keeps its limits, and nothing is lost or told twice: letters of words and files together are those
        /// of the answer shown without files.
        #[test]
        fn what_is_cut_is_the_answer(markdown in source()) {
            let pieces = compose("", &markdown, LOOK, 10);
            let files = pieces.iter().filter(|piece| matches!(piece, Piece::File(_))).count();
            let sentences = shown(&markdown).concat().matches('📎').count();
            prop_assert_eq!(files, sentences);
            prop_assert!(!matches!(pieces.first(), Some(Piece::File(_))), "a file comes behind its sentence");
            let letters = |text: &str| text.chars().filter(|c| c.is_ascii_lowercase() || *c == '=').count();
            let told: usize = pieces
                .iter()
                .map(|piece| match piece {
                    Piece::Words(part) => part.words().map_or(0, |words| {
                        letters(&words.content().lines().filter(|line| !line.contains('📎')).collect::<String>())
                    }),
                    Piece::File(file) => letters(&file.content),
                })
                .sum();
            let plain: usize = render(&markdown, Format::Text)
                .iter()
                .map(|part| letters(part.words().expect("words").content()))
                .sum();
            // The word behind a fence becomes an extension, and the head of a table is repeated in each of its rows.
            prop_assert!(told <= plain, "{told} of {plain}");
        }
    }
}
