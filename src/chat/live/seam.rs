//! Where an answer that was cut off goes on: what the model says a second time there is left out.
//!
//! Asked to go on, most models go on with the very next character. Others say the last words again, begin the line
//! anew, open the code block again or repeat the head of the table: shown as it came, each would be a seam that the
//! member sees. [`Seam`] holds the first words of the continuation back until it is clear which it is. Knows nothing of
//! why the answer was cut.

use std::collections::HashSet;

use super::line::Fence;

/// Bytes of what was said that a continuation is compared with, and so the most that is held back.
const COMPARED_BYTES: usize = 2000;
/// What a repetition weighs at least, in different characters: a letter weighs 1, a character of a script without blanks
/// 2. Below it, the same words twice ("the the", "研究研究") may be meant.
const MIN_WEIGHT: usize = 6;

/// Takes a continuation in pieces and gives back what of it is new.
#[derive(Debug, Default)]
pub struct Seam {
    /// `None` once it is known how the continuation joins.
    open: Option<Box<Open>>,
}

#[derive(Debug)]
struct Open {
    /// The end of what was said.
    before: String,
    in_fence: bool,
    /// The head of the table in which it was cut: two lines with their line breaks.
    table_head: Option<String>,
    /// What came and cannot be judged yet.
    held: String,
}

impl Seam {
    /// Behind `before`, the answer as far as it came. Where that is nothing, everything is new.
    pub fn behind(before: &str) -> Self {
        if before.trim().is_empty() {
            return Self::default();
        }
        let open = Open {
            before: tail(before).to_owned(),
            in_fence: is_in_fence(before),
            table_head: table_head(before),
            held: String::new(),
        };
        Self { open: Some(Box::new(open)) }
    }

    /// What `piece` brings that was not said before. May be empty, and may hold what earlier pieces left in doubt.
    pub fn push(&mut self, piece: String) -> String {
        match &mut self.open {
            None => return piece,
            Some(open) => {
                open.held.push_str(&piece);
                if !open.is_clear() {
                    return String::new();
                }
            }
        }
        self.finish()
    }

    /// What is still held back when the continuation ends.
    pub fn finish(&mut self) -> String {
        self.open.take().map(|open| open.joined()).unwrap_or_default()
    }
}

impl Open {
    /// Whether nothing that may follow changes how the continuation joins.
    fn is_clear(&self) -> bool {
        if self.held.len() > COMPARED_BYTES {
            return true;
        }
        let head = self.held.trim_start();
        let may_be_fence = self.in_fence && head.starts_with(['`', '~']) && !head.contains('\n');
        let may_be_table = self.table_head.as_ref().is_some_and(|table| table.starts_with(head));
        // While all of it stands somewhere in what was said, it may still grow up to the end of that.
        !may_be_fence && !may_be_table && !self.before.contains(self.without_opening(head))
    }

    fn joined(self) -> String {
        let head = self.held.trim_start();
        let rest = self.without_opening(head);
        let said = |end: &usize| {
            let (again, before) = (&rest[..*end], &self.before[..self.before.len() - *end]);
            is_said_again(again, before.is_empty() || before.ends_with('\n'))
        };
        let ends = rest.char_indices().map(|(at, char)| at + char.len_utf8());
        let ends = ends.take_while(|end| *end <= self.before.len()).filter(|end| self.before.ends_with(&rest[..*end]));
        match ends.filter(said).last() {
            Some(end) => rest[end..].to_owned(),
            None if rest.len() < head.len() => rest.to_owned(),
            // Blanks at the start may be between two words.
            None => self.held,
        }
    }

    /// `head` without the line that opens a code block, or the head of a table, in which the answer is already.
    fn without_opening<'a>(&self, head: &'a str) -> &'a str {
        if let Some(rest) = self.table_head.as_ref().and_then(|table| head.strip_prefix(table.as_str())) {
            return rest;
        }
        match head.split_once('\n') {
            // A fence with the name of a language opens; without one, it closes what is open.
            Some((line, rest)) if self.in_fence && line.starts_with(['`', '~']) => {
                let names_language = line.trim_start_matches(['`', '~']).trim() != "";
                if names_language && Fence::opened_by(line).is_some() { rest } else { head }
            }
            _ => head,
        }
    }
}

/// Whether `again` is a repetition and not two equal words. `begins_line`: where it was said first, it began the line.
fn is_said_again(again: &str, begins_line: bool) -> bool {
    let different: HashSet<char> = again.chars().filter(|char| char.is_alphanumeric()).collect();
    let weight: usize = different.iter().map(|char| if *char >= '\u{2e80}' { 2 } else { 1 }).sum();
    if weight >= MIN_WEIGHT {
        return true;
    }
    // A line that was begun and is begun again: "1. ", "| 3 | a", "- ".
    let mut seen = again.chars().filter(|char| !char.is_whitespace());
    let (first, more) = (seen.next(), seen.collect::<HashSet<_>>());
    let differ = first.is_some_and(|first| more.iter().any(|char| *char != first));
    begins_line && !again.contains('\n') && first.is_some() && (differ || again.ends_with(' '))
}

/// The last [`COMPARED_BYTES`] of a text, or a little less.
fn tail(text: &str) -> &str {
    let mut start = text.len().saturating_sub(COMPARED_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    &text[start..]
}

fn is_in_fence(text: &str) -> bool {
    let mut open: Option<Fence> = None;
    for line in text.lines() {
        open = match open {
            Some(fence) if fence.is_closed_by(line.trim()) => None,
            Some(fence) => Some(fence),
            None => Fence::opened_by(line),
        };
    }
    open.is_some()
}

/// The first two lines of the table that a text ends in.
fn table_head(text: &str) -> Option<String> {
    let start = text.rfind("\n\n").map_or(0, |at| at + 2);
    let mut rows = text[start..].split_inclusive('\n').skip_while(|line| !line.starts_with('|'));
    let (names, rule) = (rows.next()?, rows.next()?);
    let is_rule = rule.contains('-') && rule.trim_matches(['|', '-', ':', ' ', '\r', '\n']).is_empty();
    (is_rule && rule.ends_with('\n') && rows.all(|row| row.starts_with('|'))).then(|| format!("{names}{rule}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What `continuation` adds to `before`, in pieces of `size` characters.
    fn added(before: &str, continuation: &str, size: usize) -> String {
        let chars: Vec<char> = continuation.chars().collect();
        let mut seam = Seam::behind(before);
        let mut added: String = chars.chunks(size).map(|piece| seam.push(piece.iter().collect())).collect();
        added.push_str(&seam.finish());
        added
    }

    #[test]
    fn what_is_said_again_is_left_out_and_nothing_else() {
        let table = "| 城市 | 人口 |\n|---|---|\n| 北京 | 2189 |\n| 上";
        let code = "看这段代码：\n\n```python\ndef area(r):\n    return 3.14 ";
        for (before, continuation, expected) in [
            ("今天我们讨论三个", "问题。", "问题。"),
            ("今天我们讨论三个", "讨论三个问题。", "问题。"),
            ("今天我们讨论三个", "\n\n今天我们讨论三个问题。", "问题。"),
            ("the answer is forty", " two", " two"),
            ("the answer is forty", "answer is forty two", " two"),
            ("I know that", " that is", " that is"),
            ("大家一起研究", "研究。", "研究。"),
            ("哈哈", "哈哈哈", "哈哈哈"),
            ("步骤：\n1. 打开设", "1. 打开设置", "置"),
            ("步骤：\n2. ", "2. 保存", "保存"),
            ("步骤：\n- ", "- 保存", "保存"),
            ("共 10", "0 人", "0 人"),
            (table, "海 | 2487 |\n", "海 | 2487 |\n"),
            (table, "| 上海 | 2487 |\n", "海 | 2487 |\n"),
            (table, "| 城市 | 人口 |\n|---|---|\n| 上海 | 2487 |\n", "海 | 2487 |\n"),
            (code, "* r * r\n```\n", "* r * r\n```\n"),
            (code, "```python\n* r * r\n```\n", "* r * r\n```\n"),
            (code, "```python\n    return 3.14 * r * r\n```\n", "* r * r\n```\n"),
            (code, "```\n\n就这样。", "```\n\n就这样。"),
            ("写完了。\n\n", "```python\nprint(1)\n```\n", "```python\nprint(1)\n```\n"),
            ("", "  全新的回答", "  全新的回答"),
            ("说了一半", "", ""),
            ("今天我们讨论三个", "讨论三个", ""),
        ] {
            for size in [1, 2, 3, 7, 1000] {
                assert_eq!(added(before, continuation, size), expected, "{before} … {continuation}, by {size}");
            }
        }
    }

    #[test]
    fn what_is_new_is_shown_at_once() {
        let mut seam = Seam::behind("今天我们讨论三个");
        assert_eq!(seam.push("问题".to_owned()), "问题");
        assert_eq!(seam.push("。".to_owned()), "。");
    }

    #[test]
    fn a_continuation_that_repeats_for_ever_is_not_held_for_ever() {
        let mut seam = Seam::behind(&"啊".repeat(3000));
        let shown: usize = (0..1000).map(|_| seam.push("啊".to_owned()).len()).sum();
        assert!(shown >= 1000, "{shown}");
    }

    proptest! {
        #[test]
        fn the_pieces_make_no_difference_and_only_what_stands_before_is_left_out(
            before in "[ab讨论|`\n -]{0,60}", continuation in "[ab讨论|`\n -]{0,60}", size in 1usize..9,
        ) {
            let whole = added(&before, &continuation, usize::MAX);
            prop_assert_eq!(&added(&before, &continuation, size), &whole);
            prop_assert!(continuation.ends_with(&whole));
        }
    }
}
