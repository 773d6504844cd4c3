//! Words and patterns that must not be said.

use regex::{Regex, RegexBuilder};

use super::{
    automaton::Automaton,
    fold::{Fold, fold, is_cjk},
};

/// What is done where a rule fits, the stricter the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// It passes, is counted, and operators hear of it.
    Alert,
    /// Its characters are replaced by stars.
    Mask,
    /// The question is not sent, or the answer ends before it.
    Refuse,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Refuse, Self::Mask, Self::Alert];

    /// Its name in the settings and in what is counted.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Mask => "mask",
            Self::Refuse => "refuse",
        }
    }
}

/// A word has at most so many characters.
pub const LONGEST_WORD: usize = 64;
/// So many words may there be: with them, the automaton takes a few megabytes.
pub const MOST_WORDS: usize = 20_000;
/// Bytes that a pattern may take as a program, as the crate counts them.
const PATTERN_BYTES: usize = 1 << 20;

/// A word or pattern that cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Nothing of it is left when case, width and spaces are taken away.
    #[error("a word has no characters")]
    Empty,
    /// It is longer than [`LONGEST_WORD`].
    #[error("a word is too long")]
    TooLong,
    /// It is no regular expression, or one that is too large.
    #[error("a pattern is no regular expression, or too large")]
    Pattern,
}

/// Whether a word can be looked for.
///
/// # Errors
/// [`Unusable`].
pub fn check_word(text: &str) -> Result<(), Unusable> {
    folded(text).map(|_| ())
}

/// Whether a pattern can be looked for.
///
/// # Errors
/// [`Unusable`].
pub fn check_pattern(text: &str) -> Result<(), Unusable> {
    regex(text).map(|_| ())
}

/// What it is compared with is in small letters and of normal width already.
fn regex(text: &str) -> Result<Regex, Unusable> {
    let built = RegexBuilder::new(text).case_insensitive(true).size_limit(PATTERN_BYTES).build();
    built.map_err(|_| Unusable::Pattern)
}

/// The rules. They do not show what they look for.
#[derive(Clone)]
pub struct Rules {
    /// Words with Chinese characters: spaces within them do not count.
    pub(super) loose: Automaton,
    /// Other words.
    pub(super) tight: Automaton,
    pub(super) patterns: Vec<(Regex, Action)>,
}

impl std::fmt::Debug for Rules {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Rules")
    }
}

impl Rules {
    /// Of `words` and `patterns`.
    ///
    /// # Errors
    /// [`Unusable`], with the number of the word or pattern, counted from 1.
    pub fn new<'t>(
        words: impl IntoIterator<Item = (&'t str, Action)>,
        patterns: impl IntoIterator<Item = (&'t str, Action)>,
    ) -> Result<Self, (usize, Unusable)> {
        let (mut loose, mut tight) = (Vec::new(), Vec::new());
        for (index, (text, action)) in words.into_iter().enumerate() {
            let word = folded(text).map_err(|unusable| (index + 1, unusable))?;
            if word.iter().any(|char| is_cjk(*char)) {
                loose.push((word.into_iter().filter(|char| *char != ' ').collect(), action));
            } else {
                tight.push((word, action));
            }
        }
        let automaton = |words: &[(Vec<char>, Action)]| {
            Automaton::new(words.iter().map(|(word, action)| (word.as_slice(), *action)))
        };
        let patterns = patterns.into_iter().enumerate().map(|(index, (text, action))| {
            regex(text).map(|regex| (regex, action)).map_err(|unusable| (index + 1, unusable))
        });
        Ok(Self { loose: automaton(&loose), tight: automaton(&tight), patterns: patterns.collect::<Result<_, _>>()? })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.loose.longest() == 0 && self.tight.longest() == 0 && self.patterns.is_empty()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self { loose: Automaton::new([]), tight: Automaton::new([]), patterns: Vec::new() }
    }
}

/// A word as it is compared: single spaces, none at its ends.
fn folded(text: &str) -> Result<Vec<char>, Unusable> {
    let mut word: Vec<char> = Vec::new();
    for char in text.trim().chars() {
        match fold(char) {
            Fold::Char(char) => word.push(char),
            Fold::Space | Fold::Line if word.last().is_some_and(|last| *last != ' ') => word.push(' '),
            Fold::Space | Fold::Line | Fold::Unseen => {}
        }
    }
    if word.last() == Some(&' ') {
        word.pop();
    }
    match word.len() {
        0 => Err(Unusable::Empty),
        length if length > LONGEST_WORD => Err(Unusable::TooLong),
        _ => Ok(word),
    }
}
