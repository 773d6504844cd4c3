//! The name of a file as a member sees it.

use serde::{Deserialize, Serialize};

/// The longest file name in bytes: it stays readable on a phone, and any file system takes it.
const NAME_LIMIT: usize = 120;
/// The longest extension that is kept when a name is made to fit.
const EXTENSION_LIMIT: usize = 12;

/// The name of a file as a member sees it, such as `订单.csv`: 1 to 120 bytes, with an extension, and without anything
/// that a file system, an HTTP header or a reader's eye could take for something else.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FileName(String);

/// A text is no file name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a file name of 1 to {NAME_LIMIT} bytes with an extension, without / \\ : * ? \" < > | and controls")]
pub struct InvalidFileName;

impl FileName {
    /// Proves that `text` is one.
    ///
    /// # Errors
    /// [`InvalidFileName`].
    pub fn parse(text: &str) -> Result<Self, InvalidFileName> {
        let (stem, extension) = text.rsplit_once('.').ok_or(InvalidFileName)?;
        let is_sane = !stem.trim().is_empty()
            && !extension.is_empty()
            && extension.chars().all(char::is_alphanumeric)
            && !text.starts_with(['.', ' '])
            && text.len() <= NAME_LIMIT
            && !text.contains(is_forbidden);
        if is_sane { Ok(Self(text.to_owned())) } else { Err(InvalidFileName) }
    }

    /// A name for whatever `stem` says, with `extension`: what must not stand in a name is left out, what is too long is
    /// cut between characters, and where nothing is left of either there is `file` and `bin`.
    pub fn make(stem: &str, extension: &str) -> Self {
        let mut extension: String = extension.chars().filter(char::is_ascii_alphanumeric).collect();
        extension.truncate(EXTENSION_LIMIT);
        if extension.is_empty() {
            "bin".clone_into(&mut extension);
        }
        let words: String = stem.chars().map(|c| if is_forbidden(c) || c.is_whitespace() { ' ' } else { c }).collect();
        let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
        let words = words.trim_start_matches(['.', ' ']);
        let fitting = words.floor_char_boundary(NAME_LIMIT - 1 - extension.len());
        match words.get(..fitting).map(str::trim).filter(|words| !words.is_empty()) {
            Some(words) => Self(format!("{words}.{extension}")),
            None => Self(format!("file.{extension}")),
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for FileName {
    type Error = InvalidFileName;

    fn try_from(text: String) -> Result<Self, InvalidFileName> {
        Self::parse(&text)
    }
}

impl From<FileName> for String {
    fn from(name: FileName) -> Self {
        name.0
    }
}

/// What separates folders or drives, ends a quoted header, or is not seen: controls, and the marks that turn the
/// direction of writing round, so that a name shows another extension than it has.
fn is_forbidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_file_name_is_nothing_else() {
        for text in ["a.py", "订单 2026.csv", "a.tar.gz", "main.rs"] {
            assert!(FileName::parse(text).is_ok(), "{text}");
        }
        let long = format!("{}.py", "字".repeat(40));
        for text in ["", "a", ".py", "a.", "a/b.py", "a\\b.py", "a\n.py", "a\".py", "a\u{202E}yp.exe", " a.py", &long] {
            assert_eq!(FileName::parse(text), Err(InvalidFileName), "{text}");
        }
    }

    #[test]
    fn a_name_is_made_of_anything() {
        let cases = [
            ("订单 / 明细", "csv", "订单 明细.csv"),
            ("", "", "file.bin"),
            ("../../etc", "py", "etc.py"),
            ("a\r\nb", "md", "a b.md"),
        ];
        for (stem, extension, name) in cases {
            assert_eq!(FileName::make(stem, extension).as_str(), name);
        }
    }

    proptest! {
        #[test]
        fn a_made_name_is_a_name(stem in "\\PC{0,200}|[\\x00-\\x7f]{0,200}", extension in ".{0,20}") {
            let made = FileName::make(&stem, &extension);
            let parsed = FileName::parse(made.as_str());
            prop_assert_eq!(parsed, Ok(made));
        }
    }
}
