//! What members ask to be remembered, and what may be: few and short, because all of it is in every prompt.

use crate::clock::Timestamp;

/// How many facts may be remembered of a member, for each application that they write to.
pub const MOST_FACTS: usize = 20;
/// The longest fact, in characters.
pub const LONGEST_FACT: usize = 200;

/// Something that a member asked to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Names it in the store.
    pub id: i64,
    /// One line, at most [`LONGEST_FACT`] characters.
    pub text: String,
    /// When it was asked.
    pub at: Timestamp,
}

/// What is to become of a member's facts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This is remembered besides.
    Remember(String),
    /// Those of these ids are forgotten.
    Forget(Vec<i64>),
}

/// Why a fact is not remembered, or none forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// There is nothing in it.
    #[error("there is nothing in it")]
    Empty,
    /// It is longer than [`LONGEST_FACT`].
    #[error("{characters} characters are more than {LONGEST_FACT}")]
    TooLong {
        /// How long it is.
        characters: usize,
    },
    /// There are [`MOST_FACTS`] already.
    #[error("there are {MOST_FACTS} already")]
    TooMany,
    /// It is remembered already.
    #[error("it is remembered already, as number {number}")]
    Known {
        /// At which place of the list, from 1.
        number: usize,
    },
    /// No fact is meant by that.
    #[error("no fact is meant by that")]
    NoSuch,
    /// More than one is meant by that.
    #[error("{0} facts are meant by that")]
    Several(usize),
}

/// Adds `text` to `facts`, as one line. What the store does with it is up to the caller.
///
/// # Errors
/// [`Refused`], which is no fault: the member is told.
pub fn remember(facts: &[Fact], text: &str) -> Result<Change, Refused> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let characters = text.chars().count();
    if text.is_empty() {
        return Err(Refused::Empty);
    }
    if characters > LONGEST_FACT {
        return Err(Refused::TooLong { characters });
    }
    if let Some(place) = facts.iter().position(|fact| fact.text == text) {
        return Err(Refused::Known { number: place + 1 });
    }
    if facts.len() >= MOST_FACTS {
        return Err(Refused::TooMany);
    }
    Ok(Change::Remember(text))
}

/// Forgets of `facts` what `which` means: a place in the list, from 1; `all` or `全部`; or words that stand in one of
/// them alone.
///
/// # Errors
/// [`Refused`], which is no fault: the member is told.
pub fn forget(facts: &[Fact], which: &str) -> Result<Change, Refused> {
    let which = which.split_whitespace().collect::<Vec<_>>().join(" ");
    let ids = |facts: &[&Fact]| Change::Forget(facts.iter().map(|fact| fact.id).collect());
    let all: Vec<&Fact> = facts.iter().collect();
    if which.is_empty() {
        return Err(Refused::Empty);
    }
    if ["all", "全部"].contains(&which.to_lowercase().as_str()) {
        return if all.is_empty() { Err(Refused::NoSuch) } else { Ok(ids(&all)) };
    }
    if let Ok(number) = which.parse::<usize>() {
        let meant = number.checked_sub(1).and_then(|place| all.get(place));
        return meant.map(|fact| ids(&[*fact])).ok_or(Refused::NoSuch);
    }
    let meant: Vec<&Fact> = facts.iter().filter(|fact| fact.text.contains(&which)).collect();
    match meant[..] {
        [] => Err(Refused::NoSuch),
        [_] => Ok(ids(&meant)),
        _ => Err(Refused::Several(meant.len())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(texts: &[&str]) -> Vec<Fact> {
        let fact = |(id, text): (i64, &&str)| Fact { id, text: (*text).to_owned(), at: Timestamp::default() };
        (10..).zip(texts).map(fact).collect()
    }

    #[test]
    fn what_is_remembered_is_one_short_line_and_there_are_not_too_many() {
        let few = facts(&["住在上海"]);
        assert_eq!(remember(&few, " 叫我\n 小王 "), Ok(Change::Remember("叫我 小王".to_owned())));
        assert_eq!(remember(&few, " \n"), Err(Refused::Empty));
        assert_eq!(remember(&few, "住在上海 "), Err(Refused::Known { number: 1 }));
        assert!(remember(&few, &"字".repeat(LONGEST_FACT)).is_ok());
        assert_eq!(remember(&few, &"字".repeat(LONGEST_FACT + 1)), Err(Refused::TooLong { characters: 201 }));
        let many: Vec<String> = (0..MOST_FACTS).map(|n| format!("事{n}")).collect();
        let many = facts(&many.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(remember(&many, "再一件"), Err(Refused::TooMany));
        assert_eq!(remember(&many, "事3"), Err(Refused::Known { number: 4 }));
    }

    #[test]
    fn a_fact_is_forgotten_by_its_number_or_by_its_words_or_with_all() {
        let facts = facts(&["住在上海", "爱喝茶", "不爱喝咖啡"]);
        for (which, forgotten) in [
            ("2", Ok(vec![11])),
            ("茶", Ok(vec![11])),
            (" ALL ", Ok(vec![10, 11, 12])),
            ("全部", Ok(vec![10, 11, 12])),
            ("喝", Err(Refused::Several(2))),
            ("0", Err(Refused::NoSuch)),
            ("4", Err(Refused::NoSuch)),
            ("北京", Err(Refused::NoSuch)),
            ("", Err(Refused::Empty)),
        ] {
            assert_eq!(forget(&facts, which), forgotten.map(Change::Forget), "{which:?}");
        }
        assert_eq!(forget(&[], "all"), Err(Refused::NoSuch));
    }
}
