//! What a model thinks aloud before it answers, as far as a member is shown it: the first and the last words, in one
//! message. Keeps no more than that, however long it thinks.

use super::{render::render, texts::Text};
use crate::model::{
    language::Language,
    reply::{Format, ReplyPart},
};

/// Bytes that are kept of the beginning, and as many of the end: with the marks of a quote, both fit into one part.
const HALF: usize = 700;
/// What stands for what is left out.
const GAP: &str = "……";
/// Bytes that each line costs beside its words: the mark of a quote and the line break.
const LINE: usize = 6;

/// The thoughts before one answer.
#[derive(Debug, Default)]
pub(super) struct Thoughts {
    head: String,
    tail: String,
    /// Something between the two was dropped.
    cut: bool,
}

impl Thoughts {
    /// Takes what was thought next.
    pub(super) fn push(&mut self, text: &str) {
        let room = if self.tail.is_empty() { HALF.saturating_sub(self.head.len()) } else { 0 };
        let (head, rest) = text.split_at(floor(text, room));
        self.head.push_str(head);
        let kept = &rest[ceil(rest, rest.len().saturating_sub(HALF))..];
        self.cut |= kept.len() < rest.len();
        self.tail.push_str(kept);
        // Not at each push: what is dropped from the front moves the rest.
        if self.tail.len() > 2 * HALF {
            self.shorten_tail();
        }
    }

    fn shorten_tail(&mut self) {
        let at = ceil(&self.tail, self.tail.len().saturating_sub(HALF));
        self.cut |= at > 0;
        self.tail.drain(..at);
    }

    /// One quote; `None` when nothing was thought.
    pub(super) fn quote(mut self, format: Format, language: Language) -> Option<ReplyPart> {
        self.shorten_tail();
        let whole = match self.cut {
            true => tidy(&format!("{}\n{GAP}\n{}", self.head, self.tail)),
            false => tidy(&format!("{}{}", self.head, self.tail)),
        };
        if whole.is_empty() {
            return None;
        }
        let title = Text::Thoughts.render(language);
        let quoted: String = shortened(&whole).lines().map(|line| format!("> {line}  \n")).collect();
        render(&format!("> 「{title}」  \n{quoted}"), format).into_iter().next()
    }
}

/// The lines with something in them.
fn tidy(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

/// The whole, or its beginning and its end.
fn shortened(whole: &str) -> String {
    let (head, tail) = (bytes_of_half(whole.chars()), bytes_of_half(whole.chars().rev()));
    if head + tail >= whole.len() {
        return whole.to_owned();
    }
    format!("{}\n{GAP}\n{}", whole[..head].trim(), whole[whole.len() - tail..].trim())
}

/// The bytes of as many characters as cost a half.
fn bytes_of_half(chars: impl Iterator<Item = char>) -> usize {
    let mut cost = 0;
    let half = chars.take_while(|char| {
        cost += if *char == '\n' { LINE } else { char.len_utf8() };
        cost <= HALF
    });
    half.map(char::len_utf8).sum()
}

/// The last place at or before `at` where a character begins.
fn floor(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The first place at or after `at` where a character begins.
fn ceil(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::reply::PART_LIMIT;

    /// What is shown of `pieces`.
    fn shown(pieces: &[&str], output: Format) -> Option<String> {
        let mut thoughts = Thoughts::default();
        pieces.iter().for_each(|piece| thoughts.push(piece));
        assert!(thoughts.head.len() + thoughts.tail.len() <= 3 * HALF);
        thoughts.quote(output, Language::Chinese).map(|part| part.words().expect("words").content().to_owned())
    }

    #[test]
    fn a_thought_is_a_quote_in_either_form() {
        let text = shown(&["先看", "天气。\n\n再", "看路。"], Format::Text).expect("a quote");
        assert!(text.contains("│ 「思考」\n│ 先看天气。\n│ 再看路。"), "{text}");
        let markdown = shown(&["先看天气。"], Format::Markdown).expect("a quote");
        assert!(markdown.contains("> 「思考」\n> 先看天气。"), "{markdown}");
        assert_eq!(shown(&[" \n", "\n"], Format::Text), None);
        assert_eq!(shown(&[], Format::Text), None);
    }

    #[test]
    fn a_long_thought_is_its_beginning_and_its_end_in_one_part() {
        for line in ["想", "想一想\n", "想了一整行那么多的东西，很长很长很长。\n", "a b c d "] {
            for size in [1, 5, 50_000] {
                let text = format!("开头，{}结尾。", line.repeat(3000));
                let chars: Vec<char> = text.chars().collect();
                let pieces: Vec<String> = chars.chunks(size).map(String::from_iter).collect();
                let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
                let shown = shown(&pieces, Format::Text).expect("a quote");
                assert!(shown.contains("开头") && shown.contains("结尾。") && shown.contains(GAP), "{line}: {shown}");
                assert_eq!(shown.matches(GAP).count(), 1, "{shown}");
                assert!(shown.len() <= PART_LIMIT, "{}", shown.len());
            }
        }
    }
}
