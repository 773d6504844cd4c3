//! The part of a line in which patterns are looked for.

use std::ops::Range;

use regex::Regex;

use super::Match;
use crate::safety::{fold::Fold, rules::Action};

/// A line is looked at when it ends, or when so many new characters of it are there. A running answer holds three times
/// as much at most.
const NEW: usize = 256;
/// What is found must begin among the first so many of them; the others are looked at again, with what follows. So a
/// match of as many characters is found wherever it stands.
const SURE: usize = 128;

/// A line as patterns see it.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// What was looked at before, for what a pattern wants to stand before it, and what was not.
    text: String,
    /// Where each character of `text` stands in the whole text.
    places: Vec<u32>,
    /// How many characters of `text` were looked at.
    seen: usize,
    /// Where the last character ends.
    end: usize,
}

impl Window {
    /// Reads a character that stands at `place`.
    pub(super) fn read(
        &mut self,
        patterns: &[(Regex, Action)],
        place: Range<usize>,
        folded: Fold,
        matches: &mut Vec<Match>,
    ) {
        let char = match folded {
            Fold::Char(char) => char,
            Fold::Space => ' ',
            Fold::Line => return self.end(patterns, matches),
            Fold::Unseen => return,
        };
        self.text.push(char);
        self.places.push(u32::try_from(place.start).unwrap_or(u32::MAX));
        self.end = place.end;
        if self.places.len() - self.seen == NEW {
            self.look(patterns, self.seen + SURE, matches);
            let before = self.seen;
            self.seen += SURE;
            self.drop_first(before);
        }
    }

    /// The line ends.
    pub(super) fn end(&mut self, patterns: &[(Regex, Action)], matches: &mut Vec<Match>) {
        self.look(patterns, usize::MAX, matches);
        *self = Self::default();
    }

    /// Where what was not looked at begins.
    pub(super) fn from(&self) -> Option<usize> {
        self.places.get(self.seen).map(|place| *place as usize)
    }

    /// Finds what begins among the characters that were not looked at, before the one with the number `before`.
    fn look(&self, patterns: &[(Regex, Action)], before: usize, matches: &mut Vec<Match>) {
        let place_of = |byte: usize| self.text[..byte].chars().count();
        let byte_of = |number: usize| self.text.char_indices().nth(number).map_or(self.text.len(), |(byte, _)| byte);
        let (from, before) = (byte_of(self.seen), byte_of(before));
        for (regex, action) in patterns {
            let mut at = from;
            while let Some(found) = regex.find_at(&self.text, at).filter(|found| found.start() < before) {
                let end = self.places.get(place_of(found.end())).map_or(self.end, |place| *place as usize);
                if let Some(start) = self.places.get(place_of(found.start())).filter(|_| !found.is_empty()) {
                    matches.push(Match { range: *start as usize..end, action: *action, is_pattern: true });
                }
                let next = self.text[found.start()..].chars().next().map_or(1, char::len_utf8);
                at = if found.is_empty() { found.end() + next } else { found.end() };
                if at > self.text.len() {
                    break;
                }
            }
        }
    }

    fn drop_first(&mut self, count: usize) {
        let bytes = self.text.char_indices().nth(count).map_or(self.text.len(), |(byte, _)| byte);
        self.text.drain(..bytes);
        self.places.drain(..count);
        self.seen -= count;
    }
}
