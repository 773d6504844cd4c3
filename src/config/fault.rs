//! What is wrong with a configuration, told to the person who can put it right.

use std::{borrow::Cow, fmt};

use super::{chat::Language, setting::Origin};

/// Everything that is wrong, in the order in which it was found. Prints one fault a line, in its language.
#[derive(Debug, thiserror::Error)]
#[error("{}", self.told(*.language))]
pub struct Faults {
    pub(super) faults: Vec<Fault>,
    pub(super) language: Language,
}

impl Faults {
    /// The faults one by one. There is at least one.
    pub fn iter(&self) -> impl Iterator<Item = &Fault> {
        self.faults.iter()
    }

    /// One fault a line.
    pub fn told(&self, language: Language) -> String {
        self.faults.iter().map(|fault| fault.told(language)).collect::<Vec<_>>().join("\n")
    }

    /// `chat.language`, as far as it can be made out.
    pub const fn language(&self) -> Language {
        self.language
    }
}

/// One thing that is wrong. Prints itself in English; [`Fault::told`] knows both languages.
#[derive(Clone, Debug)]
pub struct Fault {
    place: String,
    wrong: Box<Wrong>,
    origin: Option<String>,
}

impl Fault {
    /// At `place`: a key, a variable, or a spot in a file.
    pub(super) fn at(place: impl Into<String>, wrong: Wrong) -> Self {
        Self { place: place.into(), wrong: Box::new(wrong), origin: None }
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
    pub fn problem(&self, language: Language) -> &str {
        self.wrong.problem.pick(language)
    }

    /// What would be right.
    pub fn remedy(&self, language: Language) -> &str {
        self.wrong.remedy.pick(language)
    }

    /// What is wrong and what would be right, without the place.
    pub fn sentence(&self, language: Language) -> String {
        self.wrong.told(language)
    }

    /// All of it: `section.key: what is wrong; what would be right (from where)`.
    pub fn told(&self, language: Language) -> String {
        let Self { place, wrong, origin } = self;
        let sentence = wrong.told(language);
        match (language, origin) {
            (Language::Chinese, Some(origin)) => format!("{place}：{sentence}（来自 {origin}）"),
            (Language::Chinese, None) => format!("{place}：{sentence}"),
            (Language::English, Some(origin)) => format!("{place}: {sentence} (from {origin})"),
            (Language::English, None) => format!("{place}: {sentence}"),
        }
    }

    /// The same of another place, wherever the value came from.
    pub(super) fn moved(self, place: String) -> Self {
        Self { place, origin: None, ..self }
    }

    /// The same, saying where the value came from.
    pub(super) fn coming_from(self, origin: &Origin) -> Self {
        Self { origin: Some(origin.to_string()), ..self }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Language::English))
    }
}

impl std::error::Error for Fault {}

/// Why a value was not taken. Both halves are ours: neither quotes text that somebody wrote.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    problem: Said,
    remedy: Said,
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.told(Language::English))
    }
}

impl Wrong {
    /// Each in Chinese and in English: `problem` as in "不是整数" and "is not a whole number", `remedy` as in "应只有数字"
    /// and "expected digits only".
    pub(super) fn new(problem: impl Into<Said>, remedy: impl Into<Said>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    /// The same, of a part of the value.
    pub(super) fn within(self, place: &str) -> Self {
        let Said { chinese, english } = self.problem;
        let problem =
            Said { chinese: format!("{place}：{chinese}").into(), english: format!("{place}: {english}").into() };
        Self { problem, ..self }
    }

    fn told(&self, language: Language) -> String {
        let (problem, remedy) = (self.problem.pick(language), self.remedy.pick(language));
        match language {
            Language::Chinese => format!("{problem}；{remedy}"),
            Language::English => format!("{problem}; {remedy}"),
        }
    }
}

/// The same in both languages.
#[derive(Clone, Debug)]
pub(super) struct Said {
    chinese: Cow<'static, str>,
    english: Cow<'static, str>,
}

impl Said {
    fn pick(&self, language: Language) -> &str {
        match language {
            Language::Chinese => &self.chinese,
            Language::English => &self.english,
        }
    }
}

impl<T: Into<Cow<'static, str>>> From<[T; 2]> for Said {
    /// Chinese, then English.
    fn from([chinese, english]: [T; 2]) -> Self {
        Self { chinese: chinese.into(), english: english.into() }
    }
}
