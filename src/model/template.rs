//! A text with places that are filled in: `{name}` and the like. Every other brace stays as it is written.

/// What can be filled in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder {
    /// The member's name.
    Name,
    /// The member's department.
    Department,
    /// Today, as `2026-09-21`.
    Date,
    /// Today's day of the week.
    Weekday,
    /// The time of day, as `22:13`.
    Time,
    /// The time zone of these three.
    TimeZone,
}

/// Every placeholder by its word.
pub const PLACEHOLDERS: [(&str, Placeholder); 6] = [
    ("name", Placeholder::Name),
    ("department", Placeholder::Department),
    ("date", Placeholder::Date),
    ("weekday", Placeholder::Weekday),
    ("time", Placeholder::Time),
    ("time_zone", Placeholder::TimeZone),
];
/// The longest word in braces that may have been meant as a placeholder, in bytes.
const LONGEST_WORD: usize = 24;

/// A text and its placeholders.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Filled(Placeholder),
}

impl Template {
    /// Finds the placeholders. Any text is a template.
    pub fn parse(text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut plain = 0;
        for (start, word, end) in words(text) {
            if let Some((_, placeholder)) = PLACEHOLDERS.iter().find(|(known, _)| *known == word) {
                pieces.push(Piece::Text(text[plain..start].to_owned()));
                pieces.push(Piece::Filled(*placeholder));
                plain = end;
            }
        }
        pieces.push(Piece::Text(text[plain..].to_owned()));
        pieces.retain(|piece| *piece != Piece::Text(String::new()));
        Self(pieces)
    }

    /// Whether any of `placeholders` is in it.
    pub fn has(&self, placeholders: &[Placeholder]) -> bool {
        self.0.iter().any(|piece| matches!(piece, Piece::Filled(one) if placeholders.contains(one)))
    }

    /// The text with each placeholder as `value` gives it. What is filled in is not looked at again.
    pub fn fill(&self, value: impl Fn(Placeholder) -> String) -> String {
        let text = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Filled(placeholder) => value(*placeholder),
        };
        self.0.iter().map(text).collect()
    }
}

/// The single words in braces that are no placeholders, and may have been meant as one.
pub fn unknown_words(text: &str) -> Vec<&str> {
    let known = |word: &str| PLACEHOLDERS.iter().any(|(known, _)| *known == word);
    words(text).map(|(_, word, _)| word).filter(|word| !known(word)).collect()
}

/// Each `{word}` of small letters and `_`: where it begins, the word, where it ends.
fn words(text: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    text.match_indices('{').filter_map(|(start, _)| {
        let rest = &text[start + 1..];
        let length = rest.find(|c: char| !c.is_ascii_lowercase() && c != '_')?;
        let is_word = (1..=LONGEST_WORD).contains(&length) && rest[length..].starts_with('}');
        is_word.then(|| (start, &rest[..length], start + length + 2))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> String {
        Template::parse(text).fill(|placeholder| match placeholder {
            Placeholder::Name => "{date}".to_owned(),
            other => format!("<{other:?}>"),
        })
    }

    #[test]
    fn placeholders_are_filled_and_every_other_brace_stays() {
        for (text, wanted) in [
            ("", ""),
            ("没有", "没有"),
            ("今天是{date}，{weekday}。", "今天是<Date>，<Weekday>。"),
            ("{time}{time_zone}", "<Time><TimeZone>"),
            ("{{department}}", "{<Department>}"),
            ("{name}!", "{date}!"),
            (r#"{"name": "{x}"} fn main() {} { date } {Date} {"#, r#"{"name": "{x}"} fn main() {} { date } {Date} {"#),
            ("{date", "{date"),
            ("中{文}{date}", "中{文}<Date>"),
        ] {
            assert_eq!(filled(text), wanted, "{text}");
        }
    }

    #[test]
    fn a_word_that_may_have_been_meant_is_found() {
        assert_eq!(unknown_words("{name} {naem} {} {a b} {\"x\"} {城市} {city}"), ["naem", "city"]);
    }

    #[test]
    fn who_is_spoken_to_is_known_to_be_asked_for() {
        let template = Template::parse("{department} {date}");
        assert!(template.has(&[Placeholder::Name, Placeholder::Department]));
        assert!(!template.has(&[Placeholder::Name]));
    }
}
