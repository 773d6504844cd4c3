//! Looks at a text with the rules while it comes.
//!
//! Words are looked for character by character; what may still become one is held back, and nothing else. Patterns are
//! looked for in lines: a line is held back until its end or, where it is long, in windows. What comes out depends on the
//! text alone and not on how it is cut into pieces.

mod track;
mod window;

use std::{ops::Range, sync::Arc};

use self::{track::Track, window::Window};
use super::{
    fold::{Fold, fold},
    guard::{Hit, Hits},
    rules::{Action, LONGEST_WORD, Rules},
};

/// What takes the place of a character.
const STAR: char = '＊';

/// One text on its way.
#[derive(Debug)]
pub struct Screen {
    rules: Arc<Rules>,
    loose: Track,
    tight: Track,
    window: Window,
    /// What came and has not left.
    held: String,
    /// Where it begins in the whole text.
    from: usize,
    /// What is to be masked of it, in the whole text's bytes, sorted.
    masked: Vec<Range<usize>>,
    /// What a rule would refuse is masked, and nothing is counted: the text was looked at before.
    lenient: bool,
    /// Where a rule that refuses fits first.
    refused: Option<usize>,
    /// The character before is an ASCII letter or digit.
    within_word: bool,
    /// How often words and patterns fitted, by action.
    hits: [[u32; 3]; 2],
}

/// A rule that fits: a place in the text, and what is done.
struct Match {
    range: Range<usize>,
    action: Action,
    is_pattern: bool,
}

impl Screen {
    /// For a text that begins.
    pub fn new(rules: Arc<Rules>) -> Self {
        Self {
            rules,
            loose: Track::default(),
            tight: Track::default(),
            window: Window::default(),
            held: String::new(),
            from: 0,
            masked: Vec::new(),
            lenient: false,
            refused: None,
            within_word: false,
            hits: [[0; 3]; 2],
        }
    }

    /// For a text that was looked at when it came: what would be refused is masked, and nothing is counted.
    pub fn lenient(rules: Arc<Rules>) -> Self {
        Self { lenient: true, ..Self::new(rules) }
    }

    /// The text goes on behind `before`, which has left: what begins there and ends in this text is found.
    pub fn behind(mut self, before: &str) -> Self {
        let tail = before.char_indices().rev().nth(LONGEST_WORD).map_or(0, |(at, _)| at);
        self.push(&before[tail..]);
        self.from += self.held.len();
        self.held.clear();
        self.masked.clear();
        (self.refused, self.hits) = (None, [[0; 3]; 2]);
        self
    }

    /// Takes the next piece; gives what may leave by now, which may be nothing.
    pub fn push(&mut self, delta: &str) -> String {
        for char in delta.chars() {
            if self.refused.is_some() {
                return String::new();
            }
            self.read(char);
            if self.refused.is_some() {
                // What leaves before it was not looked at with patterns yet.
                let mut matches = Vec::new();
                self.window.end(&self.rules.patterns, &mut matches);
                self.take(matches);
                return self.release(usize::MAX);
            }
        }
        let sure =
            [self.loose.held_from(&self.rules.loose), self.tight.held_from(&self.rules.tight), self.window.from()];
        self.release(sure.into_iter().flatten().min().unwrap_or(usize::MAX))
    }

    /// The rest; nothing follows.
    pub fn finish(&mut self) -> String {
        if self.refused.is_none() {
            let mut matches = Vec::new();
            self.loose.end(&mut matches);
            self.tight.end(&mut matches);
            self.window.end(&self.rules.patterns, &mut matches);
            self.take(matches);
        }
        self.release(usize::MAX)
    }

    /// Whether a rule that refuses has fitted: nothing leaves any more.
    pub const fn is_refused(&self) -> bool {
        self.refused.is_some()
    }

    /// What was found so far.
    pub fn hits(&self) -> Hits {
        let of_kind = |rule: &'static str, counts: [u32; 3]| {
            Action::ALL.into_iter().map(move |action| Hit {
                rule,
                action: action.name(),
                times: counts[action as usize],
            })
        };
        let all = of_kind("word", self.hits[0]).chain(of_kind("pattern", self.hits[1]));
        all.filter(|hit| hit.times > 0).collect()
    }

    fn read(&mut self, char: char) {
        let at = self.from + self.held.len();
        self.held.push(char);
        let end = at + char.len_utf8();
        let folded = fold(char);
        if folded == Fold::Unseen {
            self.loose.unseen();
            self.tight.unseen();
            return;
        }
        let is_word = matches!(folded, Fold::Char(char) if char.is_ascii_alphanumeric());
        let mut matches = Vec::new();
        let Self { rules, loose, tight, window, within_word, .. } = self;
        match folded {
            Fold::Char(char) => {
                loose.read(&rules.loose, at..end, char, *within_word, &mut matches);
                tight.read(&rules.tight, at..end, char, *within_word, &mut matches);
            }
            Fold::Space => {
                loose.space(&mut matches);
                tight.gap(&rules.tight, at..end, &mut matches);
            }
            Fold::Line => {
                loose.line(&mut matches);
                tight.gap(&rules.tight, at..end, &mut matches);
            }
            Fold::Unseen => {}
        }
        if !rules.patterns.is_empty() {
            window.read(&rules.patterns, at..end, folded, &mut matches);
        }
        self.within_word = is_word;
        self.take(matches);
    }

    fn take(&mut self, mut matches: Vec<Match>) {
        matches.sort_by_key(|one| one.range.start);
        for Match { range, action, is_pattern } in matches {
            if self.lenient {
                if action != Action::Alert {
                    self.masked.push(range);
                }
                continue;
            }
            if self.refused.is_some_and(|refused| refused <= range.start) {
                break;
            }
            self.hits[usize::from(is_pattern)][action as usize] += 1;
            match action {
                Action::Alert => {}
                Action::Mask => self.masked.push(range),
                Action::Refuse => self.refused = Some(range.start.max(self.from)),
            }
        }
    }

    /// What stands before `sure`, and before what is refused.
    fn release(&mut self, sure: usize) -> String {
        let is_over = self.refused.is_some();
        let come = self.from + self.held.len();
        let end = sure.min(self.refused.unwrap_or(usize::MAX)).min(come).max(self.from);
        let rest = self.held.split_off(end - self.from);
        let mut sure = std::mem::replace(&mut self.held, rest);
        if !self.masked.is_empty() {
            sure = self.with_stars(&sure);
            self.masked.retain(|range| range.end > end);
        }
        self.from = end;
        if is_over {
            self.held = String::new();
        }
        sure
    }

    /// `text`, which begins at `self.from`, with stars for what is masked of it.
    fn with_stars(&mut self, text: &str) -> String {
        self.masked.sort_by_key(|range| range.start);
        let mut masked = self.masked.iter().peekable();
        let mut end = self.from;
        let star = |(at, char): (usize, char)| {
            let at = self.from + at;
            while let Some(range) = masked.next_if(|range| range.start <= at) {
                end = end.max(range.end);
            }
            match fold(char) {
                _ if at >= end => Some(char),
                Fold::Char(_) => Some(STAR),
                _ => None,
            }
        };
        text.char_indices().filter_map(star).collect()
    }
}

#[cfg(test)]
mod tests;
