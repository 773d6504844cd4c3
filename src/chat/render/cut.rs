//! Where a line that is longer than a part is cut.

use std::ops::Range;

/// How well a place suits, from bad to good.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    /// Inside a Western word, or where the next part would begin with a punctuation mark.
    Awkward,
    /// Between two characters of a script without spaces.
    Character,
    /// At a space, or behind a comma.
    Word,
    /// Behind the end of a sentence.
    Sentence,
}

/// The end of the piece of `text` that begins at `from` and is at most `room` bytes long: the last end of a sentence in
/// its second half, else the best place there, else the last place before that. `None` if every place is inside a range
/// of `whole` or inside a character as people see it. Looks at no more than `room` bytes.
pub(super) fn cut(text: &str, from: usize, room: usize, whole: &[Range<usize>]) -> Option<usize> {
    let end = text.floor_char_boundary(from.saturating_add(room));
    let half = from + room / 2;
    let mut best: Option<(Place, usize)> = None;
    let starts = text.get(from..end)?.char_indices().rev().map(|(at, _)| from + at);
    for at in std::iter::once(end).chain(starts).filter(|&at| at > from) {
        if at < half && best.is_some() {
            break;
        }
        let Some(place) = judge(text, at).filter(|_| !is_inside(whole, at)) else { continue };
        if best.is_none_or(|(known, _)| place > known) {
            best = Some((place, at));
        }
        if place == Place::Sentence {
            break;
        }
    }
    best.map(|(_, at)| at)
}

/// Whether `at` is strictly inside one of the sorted ranges.
fn is_inside(whole: &[Range<usize>], at: usize) -> bool {
    let next = whole.partition_point(|range| range.end <= at);
    whole.get(next).is_some_and(|range| range.start < at)
}

/// How well `at`, a char boundary, suits; `None` inside a character as people see it.
fn judge(text: &str, at: usize) -> Option<Place> {
    let (before, behind) = text.split_at_checked(at)?;
    let (Some(prev), Some(next)) = (before.chars().next_back(), behind.chars().next()) else {
        return Some(Place::Sentence);
    };
    if is_joined(prev, next) {
        return None;
    }
    if ends_sentence(before, next) {
        return Some(Place::Sentence);
    }
    let awkward = is_closing(next) || (prev.is_ascii_graphic() && next.is_ascii_graphic());
    Some(match prev {
        _ if prev.is_whitespace() || next.is_whitespace() => Place::Word,
        _ if awkward => Place::Awkward,
        '，' | '、' | '：' => Place::Word,
        _ => Place::Character,
    })
}

/// Whether `before` ends with a finished sentence, `next` being the character behind it. Looks back at most past three
/// closing quotes or brackets.
pub(in crate::chat) fn ends_sentence(before: &str, next: char) -> bool {
    if is_closing(next) {
        return false;
    }
    match before.chars().rev().take(4).find(|&char| !is_bracket(char)) {
        Some('。' | '！' | '？' | '；' | '…') => true,
        Some('.' | '!' | '?' | ';') => next.is_whitespace(),
        _ => false,
    }
}

/// Closing quotes and brackets, which belong to the sentence that they end.
const fn is_bracket(char: char) -> bool {
    matches!(char, '”' | '’' | '」' | '』' | '）' | '】' | '》' | '"' | '\'' | ')' | ']')
}

/// Marks that belong to what is before them.
const fn is_closing(char: char) -> bool {
    is_bracket(char)
        || matches!(char, '。' | '！' | '？' | '；' | '…' | '，' | '、' | '：' | '.' | '!' | '?' | ';' | ',' | ':')
}

/// Whether both belong to one character as people see it: combining marks, emoji sequences, flags. Not the whole of
/// Unicode's rules, but what answers in a chat hold.
const fn is_joined(prev: char, next: char) -> bool {
    const ZERO_WIDTH_JOINER: char = '\u{200D}';
    matches!(prev, ZERO_WIDTH_JOINER)
        || matches!(
            next,
            ZERO_WIDTH_JOINER
                | '\u{300}'..='\u{36F}'
                | '\u{1AB0}'..='\u{1AFF}'
                | '\u{20D0}'..='\u{20FF}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FE20}'..='\u{FE2F}'
                | '\u{1F3FB}'..='\u{1F3FF}'
                | '\u{E0020}'..='\u{E007F}'
        )
        || (matches!(prev, '\u{1F1E6}'..='\u{1F1FF}') && matches!(next, '\u{1F1E6}'..='\u{1F1FF}'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_cut_where_a_reader_would_pause() {
        let cases: [(&str, usize, &str); 11] = [
            ("第一句。第二句很长很长", 24, "第一句。"),
            ("他说：“好。”然后走了很远", 30, "他说：“好。”"),
            ("逗号，后面没有句号的文字", 15, "逗号，"),
            ("没有任何标点的文字", 10, "没有任"),
            ("Version 3.14 is out", 11, "Version "),
            ("It works. Really well", 16, "It works."),
            ("unbroken", 5, "unbro"),
            // The mark stays with its sentence, and the comma is not the next part's first character.
            ("一二三四，五六", 12, "一二三"),
            ("ab👩\u{200D}👩\u{200D}👧cd", 16, "ab"),
            ("ae\u{301}x", 2, "a"),
            ("甲🇨🇳", 7, "甲"),
        ];
        for (text, room, piece) in cases {
            let end = cut(text, 0, room, &[]).expect(text);
            assert_eq!(&text[..end], piece, "{text} in {room}");
        }
    }

    #[test]
    fn what_is_whole_is_not_cut() {
        let text = "见 https://example.com/a。b 吧";
        let url = 4..text.find('吧').expect("end");
        assert_eq!(cut(text, 0, 20, std::slice::from_ref(&url)), Some(4));
        assert_eq!(cut(text, 4, 20, std::slice::from_ref(&url)), None);
    }
}
