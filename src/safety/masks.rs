//! Placeholders in the place of data, and back.
//!
//! A placeholder is `⟦手机1⟧`: brackets that nobody writes, a word that tells the model what stands there, and a number
//! in the order in which data of this kind come. So the placeholders of a request follow from its texts alone: nothing
//! is kept between two requests, and the same request has the same ones after a restart. Data that are written
//! differently have different placeholders, so that each comes back as it was written.

use std::{borrow::Cow, collections::HashMap, fmt, ops::Range};

use super::personal::{self, Kind, Kinds};
use crate::secret::Secret;

/// What a placeholder begins and ends with.
pub(super) const OPEN: char = '⟦';
pub(super) const CLOSE: char = '⟧';
/// As many characters may stand between the two, spaces included.
pub(super) const MOST_INSIDE: usize = 16;
/// What JSON has around a text.
const QUOTE: char = '"';

/// The data of one request with their placeholders. Shows neither.
#[derive(Clone, Default)]
pub struct Masks {
    kinds: Kinds,
    originals: HashMap<(Kind, u32), Secret<String>>,
    /// By the original.
    numbers: HashMap<String, (Kind, u32)>,
    counts: [u32; Kind::ALL.len()],
}

impl fmt::Debug for Masks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Masks")
    }
}

impl Masks {
    /// For data of these kinds.
    pub fn new(kinds: Kinds) -> Self {
        Self { kinds, ..Self::default() }
    }

    /// `text` with placeholders. A placeholder that somebody wrote gets one itself, so that what is put back is always
    /// what was there.
    pub fn mask<'t>(&mut self, text: &'t str) -> Cow<'t, str> {
        if self.kinds.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut found = personal::find(text, self.kinds);
        if text.contains(OPEN) {
            found.extend(written(text));
            found.sort_by_key(|(range, _)| range.start);
        }
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut at = 0;
        for (range, kind) in found {
            masked.push_str(&text[at..range.start]);
            let number = self.number_of(kind, &text[range.clone()]);
            masked.push_str(&format!("{OPEN}{}{number}{CLOSE}", kind.word()));
            at = range.end;
        }
        masked.push_str(&text[at..]);
        Cow::Owned(masked)
    }

    /// `text` with the originals where the placeholders stand.
    pub fn restore(&self, text: &str) -> String {
        self.restore_with(text, Cow::Borrowed)
    }

    /// The same in JSON: placeholders stand within strings, so what is put back is escaped.
    pub fn restore_json(&self, json: &str) -> String {
        self.restore_with(json, |original| {
            let quoted = serde_json::Value::from(original).to_string();
            Cow::Owned(
                quoted.strip_prefix(QUOTE).and_then(|text| text.strip_suffix(QUOTE)).unwrap_or_default().to_owned(),
            )
        })
    }

    fn restore_with<'m>(&'m self, text: &str, write: impl Fn(&'m str) -> Cow<'m, str>) -> String {
        let mut restored = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find(OPEN) {
            restored.push_str(&rest[..at]);
            rest = &rest[at..];
            let length = inside(rest).map(|inside| inside.len() + OPEN.len_utf8() + CLOSE.len_utf8());
            let (piece, behind) = rest.split_at(length.unwrap_or(OPEN.len_utf8()));
            match self.original(piece) {
                Some(original) => restored.push_str(&write(original)),
                None => restored.push_str(piece),
            }
            rest = behind;
        }
        restored.push_str(rest);
        restored
    }

    /// Whether nothing was masked.
    pub fn is_empty(&self) -> bool {
        self.originals.is_empty()
    }

    /// What stands in the place of each kind so far.
    pub(super) fn counts(&self) -> impl Iterator<Item = (Kind, u32)> {
        Kind::ALL.into_iter().map(|kind| (kind, self.counts[kind as usize]))
    }

    /// The original of a placeholder, also where the model put spaces into it.
    pub(super) fn original(&self, placeholder: &str) -> Option<&str> {
        let key = parse(inside(placeholder)?)?;
        self.originals.get(&key).map(|original| original.expose().as_str())
    }

    fn number_of(&mut self, kind: Kind, original: &str) -> u32 {
        if let Some((_, number)) = self.numbers.get(original).filter(|(known, _)| *known == kind) {
            return *number;
        }
        self.counts[kind as usize] += 1;
        let number = self.counts[kind as usize];
        self.originals.insert((kind, number), Secret::new(original.to_owned()));
        self.numbers.insert(original.to_owned(), (kind, number));
        number
    }
}

/// What stands between the brackets at the beginning of `text`, if it may be a placeholder.
pub(super) fn inside(text: &str) -> Option<&str> {
    let rest = text.strip_prefix(OPEN)?;
    let (end, last) = rest.char_indices().take(MOST_INSIDE + 1).find(|(_, char)| matches!(*char, OPEN | CLOSE))?;
    (last == CLOSE).then(|| &rest[..end])
}

fn parse(inside: &str) -> Option<(Kind, u32)> {
    let inside = inside.trim();
    let kind = Kind::ALL.into_iter().find(|kind| inside.starts_with(kind.word()))?;
    let number = inside[kind.word().len()..].trim_start();
    let is_number = !number.starts_with('0') && number.bytes().all(|byte| byte.is_ascii_digit());
    number.parse().ok().filter(|_| is_number).map(|number| (kind, number))
}

/// Placeholders that stand in a text already.
fn written(text: &str) -> impl Iterator<Item = (Range<usize>, Kind)> {
    text.match_indices(OPEN).filter_map(|(at, _)| {
        let inside = inside(&text[at..])?;
        let (kind, _) = parse(inside)?;
        Some((at..at + OPEN.len_utf8() + inside.len() + CLOSE.len_utf8(), kind))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn masks() -> Masks {
        Masks::new(Kind::ALL.into_iter().collect())
    }

    #[test]
    fn each_datum_has_one_placeholder_and_comes_back_as_it_was_written() {
        let mut masks = masks();
        let text = "我的手机 13812345678，备用 138-1234-5678，还是 13812345678；身份证 11010519491231002X";
        let masked = masks.mask(text);
        assert_eq!(masked, "我的手机 ⟦手机1⟧，备用 ⟦手机2⟧，还是 ⟦手机1⟧；身份证 ⟦身份证1⟧");
        assert_eq!(masks.restore(&masked), text);
        // The next text of the same request goes on with the numbers.
        assert_eq!(masks.mask("13987654321 和 13812345678"), "⟦手机3⟧ 和 ⟦手机1⟧");
        assert_eq!(masks.restore("⟦ 手机 3 ⟧、⟦手机9⟧、⟦手机⟧、⟦手机1"), "13987654321、⟦手机9⟧、⟦手机⟧、⟦手机1");
        assert!(!format!("{masks:?}").contains("138"));
        let pem = "-----BEGIN PRIVATE KEY-----\n\"MII\"\n-----END PRIVATE KEY-----";
        masks.mask(pem);
        let arguments: serde_json::Value =
            serde_json::from_str(&masks.restore_json(r#"{"key":"⟦密钥1⟧","who":"⟦手机1⟧"}"#)).expect("JSON");
        assert_eq!(arguments, serde_json::json!({"key": pem, "who": "13812345678"}));
    }

    #[test]
    fn a_placeholder_that_somebody_wrote_comes_back_too() {
        let mut masks = masks();
        let text = "⟦手机1⟧ 是 13812345678，⟦手机2⟧ 不是 ⟦别的⟧";
        let masked = masks.mask(text);
        assert_eq!(masked, "⟦手机1⟧ 是 ⟦手机2⟧，⟦手机3⟧ 不是 ⟦别的⟧");
        assert_eq!(masks.restore(&masked), text);
    }

    #[test]
    fn without_kinds_nothing_is_looked_at() {
        let mut masks = Masks::new(Kinds::default());
        assert!(matches!(masks.mask("13812345678 ⟦手机1⟧"), Cow::Borrowed("13812345678 ⟦手机1⟧")));
        assert!(masks.is_empty());
    }

    proptest! {
        #[test]
        fn what_is_masked_comes_back(
            texts in proptest::collection::vec("([⟦⟧手机邮箱 0-9，a@.c]|13[0-9]{9}|a@b\\.cn|⟦手机[1-3]⟧){0,20}", 1..4),
        ) {
            let mut masks = masks();
            for text in texts {
                let masked = masks.mask(&text).into_owned();
                prop_assert_eq!(masks.restore(&masked), text);
            }
        }
    }
}
