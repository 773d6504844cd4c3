//! What is wrong with a configuration, told to the person who can put it right.

use std::{borrow::Cow, fmt};

use super::{chat::Language, setting::Origin};

/// Everything that is wrong, in the order in which it was found. Prints one fault a line.
#[derive(Debug, thiserror::Error)]
#[error("{}", .faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n"))]
pub struct Faults {
    pub(super) faults: Vec<Fault>,
    pub(super) language: Language,
}

impl Faults {
    /// The faults one by one. There is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// `chat.language`, as far as it can be made out.
    pub const fn language(&self) -> Language {
        self.language
    }
}

/// One thing that is wrong. Prints `section.key: what is wrong; what would be right (from where)`.
#[derive(Debug)]
pub struct Fault {
    place: String,
    wrong: Wrong,
    origin: Option<String>,
}

impl Fault {
    /// At `place`: a key, a variable, or a spot in a file.
    pub(super) fn at(place: impl Into<String>, wrong: Wrong) -> Self {
        Self { place: place.into(), wrong, origin: None }
    }

    /// The key, variable or spot in a file.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Where the value came from, where there is one: a file and line, or a variable.
    pub fn origin(&self) -> Option<&str> {
        self.origin.as_deref()
    }

    /// What is wrong.
    pub fn problem(&self) -> &str {
        &self.wrong.problem
    }

    /// What would be right.
    pub fn remedy(&self) -> &str {
        &self.wrong.remedy
    }

    /// What is wrong and what would be right, without the place.
    pub fn sentence(&self) -> String {
        format!("{}; {}", self.wrong.problem, self.wrong.remedy)
    }

    /// The same, saying where the value came from.
    pub(super) fn coming_from(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.to_string()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, wrong: Wrong { problem, remedy }, origin } = self;
        write!(f, "{place}: {problem}; {remedy}")?;
        match origin {
            Some(origin) => write!(f, " (from {origin})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Fault {}

/// Why a value was not taken. Both halves are ours: neither quotes text that somebody wrote.
#[derive(Debug)]
pub(super) struct Wrong {
    problem: Cow<'static, str>,
    remedy: Cow<'static, str>,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

impl Wrong {
    /// `problem` as in "is not a number", `remedy` as in "expected a whole number".
    pub(super) fn new(problem: impl Into<Cow<'static, str>>, remedy: impl Into<Cow<'static, str>>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }
}
