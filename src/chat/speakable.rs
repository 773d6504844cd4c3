//! An answer as it can be read aloud: Markdown without its signs, no addresses, no code and no tables, in pieces that
//! end with a sentence.

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::render::cut::ends_sentence;
use crate::model::language::Language;

/// What one piece weighs at most. A character of a script without blanks weighs 1 and takes about a quarter of a second
/// to say; a letter of another weighs a third. A piece is then said within 50 s, below WeCom's 60.
pub(super) const PIECE_WEIGHT: usize = 180;
/// A letter's part of a character's weight.
const LETTERS: usize = 3;

/// `markdown` in words, a sentence or heading a line at most. Empty where nothing of it can be said.
pub(super) fn speakable(markdown: &str, language: Language) -> String {
    let [table, code] = match language {
        Language::Chinese => ["表格请看文字。", "代码请看文字。"],
        Language::English => ["See the text for the table. ", "See the text for the code. "],
    };
    let mut said = String::new();
    // Inside something that is not read out.
    let mut silent = 0_u32;
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH) {
        match event {
            Event::Start(Tag::Table(_)) => {
                say_once(&mut said, table);
                silent += 1;
            }
            Event::Start(Tag::CodeBlock(_)) => {
                say_once(&mut said, code);
                silent += 1;
            }
            Event::Start(Tag::Image { .. } | Tag::HtmlBlock | Tag::MetadataBlock(_)) => silent += 1,
            Event::End(
                TagEnd::Table | TagEnd::CodeBlock | TagEnd::Image | TagEnd::HtmlBlock | TagEnd::MetadataBlock(_),
            ) => silent = silent.saturating_sub(1),
            Event::End(TagEnd::Paragraph | TagEnd::Heading(_) | TagEnd::Item) => end_sentence(&mut said, language),
            Event::Text(text) | Event::Code(text) if silent == 0 => said.push_str(&text),
            Event::SoftBreak | Event::HardBreak if silent == 0 => said.push(' '),
            _ => {}
        }
    }
    tidy(&said)
}

/// The pieces of `said`, each light enough, up to `most` weight in all, and whether that is everything.
pub(super) fn pieces(said: &str, most: usize) -> (Vec<String>, bool) {
    let mut pieces: Vec<String> = Vec::new();
    let (mut piece, mut in_piece, mut in_all) = (String::new(), 0, 0);
    for sentence in sentences(said) {
        let weight = weight(sentence);
        if in_all + weight > most * LETTERS && !(pieces.is_empty() && piece.is_empty()) {
            pieces.extend(some(piece));
            return (pieces, false);
        }
        in_all += weight;
        if in_piece + weight > PIECE_WEIGHT * LETTERS && !piece.is_empty() {
            pieces.extend(some(std::mem::take(&mut piece)));
            in_piece = 0;
        }
        piece.push_str(sentence);
        in_piece += weight;
    }
    pieces.extend(some(piece));
    (pieces, true)
}

fn some(piece: String) -> Option<String> {
    let piece = piece.trim();
    (!piece.is_empty()).then(|| piece.to_owned())
}

/// In thirds of a character.
fn weight(text: &str) -> usize {
    text.chars().map(|char| if char >= '\u{2e80}' { LETTERS } else { 1 }).sum()
}

/// The sentences; one that is heavier than a piece is cut where it is full.
fn sentences(text: &str) -> Vec<&str> {
    let mut sentences = Vec::new();
    let (mut start, mut heavy) = (0, 0);
    for (at, char) in text.char_indices() {
        let full = heavy >= PIECE_WEIGHT * LETTERS;
        if at > start && (full || text[..at].ends_with('\n') || ends_sentence(&text[start..at], char)) {
            sentences.push(&text[start..at]);
            (start, heavy) = (at, 0);
        }
        heavy += if char >= '\u{2e80}' { LETTERS } else { 1 };
    }
    sentences.push(&text[start..]);
    sentences
}

fn say_once(said: &mut String, sentence: &str) {
    if !said.trim_end().ends_with(sentence.trim_end()) {
        said.push_str(sentence);
    }
}

/// Sees to it that what follows is another sentence: a voice makes a pause there.
fn end_sentence(said: &mut String, language: Language) {
    let spoken = said.trim_end();
    let ends = spoken.ends_with(['。', '！', '？', '.', '!', '?', '；', ';', '：', ':', '…', '”', '」']);
    if !spoken.is_empty() && !ends {
        said.truncate(said.trim_end().len());
        said.push_str(if language == Language::Chinese { "。" } else { "." });
    }
    said.push('\n');
}

/// Without addresses, signs that nobody says, and blanks that are too many.
fn tidy(text: &str) -> String {
    let mut tidied = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        if let Some(length) = address(rest) {
            rest = &rest[length..];
            continue;
        }
        rest = &rest[char.len_utf8()..];
        let is_blank = char.is_whitespace();
        match char {
            '\n' if tidied.ends_with('\n') || tidied.is_empty() => {}
            _ if is_blank && tidied.ends_with(char::is_whitespace) && char != '\n' => {}
            '*' | '_' | '`' | '#' | '~' | '|' | '•' | '·' | '│' | '▪' | '◦' => {}
            // Pictures of faces and things.
            '\u{2190}'..='\u{2bff}' | '\u{fe0f}' | '\u{1f000}'..='\u{1faff}' => {}
            char => tidied.push(char),
        }
    }
    tidied.trim().to_owned()
}

/// The length of the address that `text` begins with.
fn address(text: &str) -> Option<usize> {
    if !["http://", "https://", "www."].iter().any(|start| text.starts_with(start)) {
        return None;
    }
    let ends = |char: char| char.is_whitespace() || char >= '\u{2e80}' || "<>\"'()[]{}".contains(char);
    Some(text.find(ends).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_read_out_has_no_signs_no_addresses_no_code_and_no_tables() {
        for (markdown, expected) in [
            ("**你好**，`张三`！", "你好，张三！"),
            ("# 步骤\n\n1. 打开[设置](https://a.cn/b)\n2. 点*保存*", "步骤。\n打开设置。\n点保存。"),
            ("见 https://example.com/a?b=1，谢谢", "见 ，谢谢。"),
            ("先看：\n\n```rust\nfn main() {}\n```\n\n就这样。", "先看：\n代码请看文字。就这样。"),
            ("| a | b |\n|---|---|\n| 1 | 2 |\n\n如上。", "表格请看文字。如上。"),
            ("好的👍，收到✅", "好的，收到。"),
            ("```\nx\n```\n\n```\ny\n```", "代码请看文字。"),
            ("![图](x.png)\n\n---\n", ""),
            ("", ""),
        ] {
            assert_eq!(speakable(markdown, Language::Chinese), expected, "{markdown}");
        }
        assert_eq!(speakable("Hello **world**\n\n- one", Language::English), "Hello world.\none.");
    }

    #[test]
    fn pieces_end_with_sentences_and_what_is_beyond_the_limit_is_left_out() {
        let text = "这是一个完整的句子，说明一件事。".repeat(30);
        let (all, whole) = pieces(&text, 1000);
        assert!(whole && all.len() == 3 && all.concat() == text, "{all:?}");
        assert!(all.iter().all(|piece| piece.ends_with('。') && piece.chars().count() <= PIECE_WEIGHT));
        let (some, whole) = pieces(&text, 100);
        assert!(!whole && some.len() == 1 && some[0].chars().count() <= 100 && some[0].ends_with('。'), "{some:?}");
        let endless = "啊".repeat(500);
        assert_eq!(
            pieces(&endless, 1000).0.iter().map(|piece| piece.chars().count()).collect::<Vec<_>>(),
            [180, 180, 140]
        );
        assert_eq!(pieces("", 100), (vec![], true));
    }

    proptest! {
        #[test]
        fn whatever_is_said_comes_in_light_pieces(text in "[a-z。！？.! \n你好*`|#-]{0,800}") {
            let said = speakable(&text, Language::Chinese);
            let (all, whole) = pieces(&said, 100_000);
            prop_assert!(whole);
            prop_assert!(all.iter().all(|piece| weight(piece) <= PIECE_WEIGHT * LETTERS + 2));
            let words = |text: &str| text.chars().filter(|char| !char.is_whitespace()).collect::<String>();
            prop_assert_eq!(words(&all.concat()), words(&said));
        }
    }
}
