//! One automaton on its way through a text.

use std::{collections::VecDeque, ops::Range};

use super::Match;
use crate::safety::automaton::{Automaton, Found, State};

/// So many characters in a row that do not count may stand within a word: more are a hole, not a disguise.
const MOST_SKIPPED: u32 = 8;

/// Where an automaton is, and where the characters stood that led there.
#[derive(Debug, Default)]
pub(super) struct Track {
    state: State,
    /// Of the last characters that were read: where they begin, and whether they stand within a word.
    starts: VecDeque<(usize, bool)>,
    /// Words that are there unless the next character goes on with them.
    waiting: Vec<(Range<usize>, Found)>,
    skipped: u32,
    /// The last that was read is a gap.
    after_gap: bool,
}

impl Track {
    /// Reads a character that stands at `place`, `within_word` if an ASCII letter or digit stands right before it.
    pub(super) fn read(
        &mut self,
        words: &Automaton,
        place: Range<usize>,
        char: char,
        within_word: bool,
        matches: &mut Vec<Match>,
    ) {
        if words.longest() == 0 {
            return;
        }
        self.decide(char.is_ascii_alphanumeric(), matches);
        (self.skipped, self.after_gap) = (0, false);
        self.state = words.step(self.state, char);
        self.starts.push_back((place.start, within_word));
        if self.starts.len() > words.longest() {
            self.starts.pop_front();
        }
        for found in words.found(self.state) {
            let Some(&(start, within)) = self.starts.get(self.starts.len().wrapping_sub(found.length)) else {
                continue;
            };
            let [begins, ends] = found.bounded;
            match (begins && within, ends) {
                (true, _) => {}
                (false, true) => self.waiting.push((start..place.end, found)),
                (false, false) => {
                    matches.push(Match { range: start..place.end, action: found.action, is_pattern: false })
                }
            }
        }
    }

    /// White space, where it counts: one space, however much of it there is.
    pub(super) fn gap(&mut self, words: &Automaton, place: Range<usize>, matches: &mut Vec<Match>) {
        self.decide(false, matches);
        if self.after_gap {
            return self.skip();
        }
        self.read(words, place, ' ', false, matches);
        self.after_gap = true;
    }

    /// White space, where it does not count.
    pub(super) fn space(&mut self, matches: &mut Vec<Match>) {
        self.decide(false, matches);
        self.skip();
    }

    /// The end of a line, where it ends words.
    pub(super) fn line(&mut self, matches: &mut Vec<Match>) {
        self.decide(false, matches);
        self.forget();
    }

    /// A character that does not show.
    pub(super) fn unseen(&mut self) {
        self.skip();
    }

    /// The end of the text.
    pub(super) fn end(&mut self, matches: &mut Vec<Match>) {
        self.decide(false, matches);
    }

    /// Where what may still become a word begins.
    pub(super) fn held_from(&self, words: &Automaton) -> Option<usize> {
        let open = words.open(self.state);
        let begun = self.starts.len().checked_sub(open).and_then(|index| self.starts.get(index));
        let waiting = self.waiting.iter().map(|(range, _)| range.start);
        begun.map(|(start, _)| *start).into_iter().chain(waiting).min()
    }

    fn decide(&mut self, goes_on: bool, matches: &mut Vec<Match>) {
        for (range, found) in self.waiting.drain(..) {
            if !goes_on {
                matches.push(Match { range, action: found.action, is_pattern: false });
            }
        }
    }

    fn skip(&mut self) {
        self.skipped += 1;
        if self.skipped > MOST_SKIPPED {
            self.forget();
        }
    }

    fn forget(&mut self) {
        self.state = 0;
        self.starts.clear();
    }
}
