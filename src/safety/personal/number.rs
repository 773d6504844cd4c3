//! Numbers: identity cards, bank cards, mobile phones; in ASCII or full-width digits, also in groups.

use std::ops::Range;

use memchr::memchr_iter;

use super::{Kind, Kinds};

/// Digits that stand together, with where they stand.
struct Group {
    range: Range<usize>,
    digits: Vec<u8>,
    /// What stands behind is a letter or digit of another script, or the X of an identity card.
    open: bool,
    /// One space or hyphen stands between this group and the next.
    joined: bool,
}

/// A number is written in at most so many groups.
const MOST_GROUPS: usize = 6;
/// No number has more digits.
const MOST_DIGITS: usize = 19;
/// No number has fewer: a mobile phone's.
const FEWEST_DIGITS: usize = 11;

/// Adds what is found in `text`.
pub(super) fn find(text: &str, kinds: Kinds, found: &mut Vec<(Range<usize>, Kind)>) {
    if !may_hold_one(text.as_bytes()) {
        return;
    }
    let groups = groups(text);
    let mut at = 0;
    while at < groups.len() {
        let Some((taken, kind)) = number_at(&groups[at..], kinds) else {
            at += 1;
            continue;
        };
        found.push((groups[at].range.start..groups[at + taken - 1].range.end, kind));
        at += taken;
    }
}

/// Whether there are as many digits as the shortest number has, wherever they stand. Most texts have fewer.
fn may_hold_one(text: &[u8]) -> bool {
    let ascii = text.iter().filter(|byte| byte.is_ascii_digit()).count();
    // U+FF10 to U+FF19, the full-width digits, are EF BC 90 to EF BC 99.
    let full_width = memchr_iter(0xEF, text).filter(|at| matches!(text[at + 1..], [0xBC, 0x90..=0x99, ..])).count();
    ascii + full_width >= FEWEST_DIGITS
}

/// The groups of digits of a text, without those that stand within a word.
fn groups(text: &str) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut current: Option<Group> = None;
    let mut before = ' ';
    let mut chars = text.char_indices().peekable();
    while let Some((at, char)) = chars.next() {
        let next = chars.peek().map(|(_, next)| *next);
        if let Some(digit) = digit_of(char) {
            let group = current.get_or_insert_with(|| Group {
                range: at..at,
                digits: Vec::new(),
                open: is_word(before),
                joined: false,
            });
            group.range.end = at + char.len_utf8();
            // More than any number has: how many does not matter.
            if group.digits.len() <= MOST_DIGITS {
                group.digits.push(digit);
            }
        } else if let Some(mut group) = current.take() {
            let after = next.filter(|next| is_word(*next));
            if matches!(char, 'x' | 'X' | 'Ｘ' | 'ｘ') && group.digits.len() == 17 && after.is_none() {
                group.range.end = at + char.len_utf8();
                group.digits.push(10);
            } else {
                group.open |= is_word(char);
                group.joined =
                    matches!(char, ' ' | '-' | '\u{a0}') && next.is_some_and(|next| digit_of(next).is_some());
            }
            groups.push(group);
        }
        before = char;
    }
    groups.extend(current);
    groups
}

/// The number that begins with the first of `groups`: in how many groups it is written, and its kind.
fn number_at(groups: &[Group], kinds: Kinds) -> Option<(usize, Kind)> {
    let mut digits = Vec::new();
    let mut lengths = Vec::new();
    let mut best = None;
    for (index, group) in groups.iter().take(MOST_GROUPS).enumerate() {
        digits.extend_from_slice(&group.digits);
        lengths.push(group.digits.len());
        if group.open || digits.len() > MOST_DIGITS {
            break;
        }
        let kind = kind_of(&digits, &lengths).filter(|kind| kinds.has(*kind));
        best = kind.map(|kind| (index + 1, kind)).or(best);
        if !group.joined {
            break;
        }
    }
    best
}

fn kind_of(digits: &[u8], lengths: &[usize]) -> Option<Kind> {
    if is_id_card(digits) && matches!(lengths, [18] | [6, 8, 4] | [6, 4, 4, 4]) {
        return Some(Kind::IdCard);
    }
    if is_phone(digits) && matches!(lengths, [11 | 13] | [3, 4, 4] | [2, 11] | [2, 3, 4, 4]) {
        return Some(Kind::Phone);
    }
    // In one piece, in fours, or as American Express and some banks print it.
    let is_grouped = lengths.iter().rev().skip(1).all(|length| *length == 4) && lengths.last() <= Some(&4);
    let is_printed = lengths.len() == 1 || is_grouped || matches!(lengths, [4, 6, 5] | [6, 10..=13]);
    (is_printed && is_bank_card(digits)).then_some(Kind::BankCard)
}

/// GB 11643: six digits of a place, a date, three digits, a checksum (ISO 7064, MOD 11-2).
fn is_id_card(digits: &[u8]) -> bool {
    let [place @ .., _, _, _, _, _, _, _, _, _, _, _, _] = digits else { return false };
    if digits.len() != 18 || place.first() == Some(&0) || digits[..17].contains(&10) {
        return false;
    }
    let number = |range: Range<usize>| digits[range].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let is_date = (1850..2150).contains(&number(6..10))
        && (1..=12).contains(&number(10..12))
        && (1..=31).contains(&number(12..14));
    let sum = digits.iter().fold(0_u32, |sum, digit| (sum * 2 + u32::from(*digit)) % 11);
    is_date && sum == 1
}

fn is_phone(digits: &[u8]) -> bool {
    let digits = if digits.len() == 13 { digits.strip_prefix(&[8, 6]).unwrap_or_default() } else { digits };
    digits.len() == 11 && digits[0] == 1 && (3..=9).contains(&digits[1]) && !digits.contains(&10)
}

/// First digits that banks have (ISO/IEC 7812): among the numbers of orders and accounts that are as long, a tenth have
/// a right checksum by chance.
fn is_bank_card(digits: &[u8]) -> bool {
    if !(14..=MOST_DIGITS).contains(&digits.len()) || digits.contains(&10) {
        return false;
    }
    let first = digits[..4].iter().fold(0_u32, |sum, digit| sum * 10 + u32::from(*digit));
    let is_known = match digits.len() {
        14 => matches!(first, 3000..=3059 | 3600..=3699 | 3800..=3999),
        15 => matches!(first, 3400..=3499 | 3700..=3799),
        16 => matches!(first, 2221..=2720 | 3500..=6999 | 8100..=8199 | 9400..=9999),
        _ => matches!(first, 3500..=6999 | 8100..=8199 | 9400..=9999),
    };
    is_known && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let doubled = |digit: u8| if digit > 4 { digit * 2 - 9 } else { digit * 2 };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(index, digit)| u32::from(if index % 2 == 1 { doubled(*digit) } else { *digit }))
        .sum();
    sum.is_multiple_of(10)
}

/// ASCII and full-width.
fn digit_of(char: char) -> Option<u8> {
    match char {
        '0'..='9' => u8::try_from(u32::from(char) - u32::from('0')).ok(),
        '０'..='９' => u8::try_from(u32::from(char) - u32::from('０')).ok(),
        _ => None,
    }
}

/// What makes digits beside it a part of a longer word.
const fn is_word(char: char) -> bool {
    char.is_ascii_alphanumeric() || char == '_'
}
