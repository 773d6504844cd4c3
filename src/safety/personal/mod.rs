//! Finds personal data and secrets in a text, in one pass over it.
//!
//! What has a checksum is believed when the checksum is right; what has none is believed by its form. Nothing is found
//! in the middle of a longer number or word. A wrong finding costs little, since it is put back in the answer; one that
//! is missed has left the house.

mod number;
mod word;

use std::ops::Range;

/// A kind of data that can be masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A Chinese identity-card number of 18 digits (GB 11643), by its date and checksum.
    IdCard,
    /// A bank card, by its length, first digits and Luhn checksum.
    BankCard,
    /// A mobile number of mainland China.
    Phone,
    /// An e-mail address.
    Email,
    /// An API key, an access token, a private key.
    Secret,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::IdCard, Self::BankCard, Self::Phone, Self::Email, Self::Secret];

    /// Its name in the settings and in what is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdCard => "id_card",
            Self::BankCard => "bank_card",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::Secret => "secret",
        }
    }

    /// Its word in a placeholder.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::IdCard => "身份证",
            Self::BankCard => "银行卡",
            Self::Phone => "手机",
            Self::Email => "邮箱",
            Self::Secret => "密钥",
        }
    }
}

/// Some of the kinds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kinds([bool; Kind::ALL.len()]);

impl Kinds {
    /// Whether this kind is among them.
    pub const fn has(self, kind: Kind) -> bool {
        self.0[kind as usize]
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self == Self::default()
    }

    /// Those that are among them.
    pub fn iter(self) -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(move |kind| self.has(*kind))
    }
}

impl FromIterator<Kind> for Kinds {
    fn from_iter<T: IntoIterator<Item = Kind>>(kinds: T) -> Self {
        let mut set = Self::default();
        for kind in kinds {
            set.0[kind as usize] = true;
        }
        set
    }
}

/// Data of `kinds` in `text`, from left to right; they do not overlap.
pub(super) fn find(text: &str, kinds: Kinds) -> Vec<(Range<usize>, Kind)> {
    let mut found = Vec::new();
    if kinds.has(Kind::IdCard) || kinds.has(Kind::BankCard) || kinds.has(Kind::Phone) {
        number::find(text, kinds, &mut found);
    }
    if kinds.has(Kind::Secret) {
        word::secrets(text, &mut found);
    }
    if kinds.has(Kind::Email) {
        word::emails(text, &mut found);
    }
    // Of two that overlap the longer one is whole: a number may be a part of a key.
    found.sort_by_key(|(range, _)| (range.start, std::cmp::Reverse(range.end)));
    let mut end = 0;
    found.retain(|(range, _)| {
        let is_free = range.start >= end;
        end = end.max(range.end);
        is_free
    });
    found
}

#[cfg(test)]
mod tests;
