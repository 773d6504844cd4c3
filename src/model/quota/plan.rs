//! What somebody may use: limits over windows, how much at once, which models.

use std::{collections::BTreeSet, fmt};

use serde::{Deserialize, Serialize};

use super::{
    amounts::{InvalidAmount, Measure, parse_amount, show_money},
    window::{InvalidWindow, QuotaWindow},
};

/// Limits that one plan may have.
pub const MOST_LIMITS: usize = 16;

/// One limit. Zero is a number: nothing may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Of what.
    pub measure: Measure,
    /// Over which time.
    pub window: QuotaWindow,
    /// How much; of money, micro-units.
    pub amount: u64,
}

/// A text that is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// It does not have the form of one.
    #[error("expected MEASURE=AMOUNT/WINDOW, such as requests=50/day, tokens=200k/week or money=20/month")]
    Form,
    /// There is no such measure.
    #[error("expected requests, tokens or money before the =")]
    Measure,
    /// Before the slash.
    #[error(transparent)]
    Amount(#[from] InvalidAmount),
    /// Behind the slash.
    #[error(transparent)]
    Window(#[from] InvalidWindow),
}

impl Limit {
    /// Reads `requests=50/day`, `tokens=200k/week`, `money=20/month`: what [`fmt::Display`] writes.
    ///
    /// # Errors
    /// [`InvalidLimit`], which says what would be right.
    pub fn parse(text: &str) -> Result<Self, InvalidLimit> {
        let (measure, rest) = text.trim().split_once('=').ok_or(InvalidLimit::Form)?;
        let (amount, window) = rest.split_once('/').ok_or(InvalidLimit::Form)?;
        let known = Measure::ALL.into_iter().find(|known| known.as_str() == measure.trim());
        let measure = known.ok_or(InvalidLimit::Measure)?;
        let amount = parse_amount(amount, measure)?;
        Ok(Self { measure, window: QuotaWindow::parse(window.trim())?, amount })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { measure, window, amount } = self;
        match measure {
            Measure::Money => write!(f, "{measure}={}/{window}", show_money(*amount)),
            Measure::Requests | Measure::Tokens => write!(f, "{measure}={amount}/{window}"),
        }
    }
}

/// What happens when a limit is reached.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AtLimit {
    /// The question is refused, and it is said which limit, and when there is room again.
    #[default]
    Refuse,
    /// It is answered by this model's alias instead, where that still fits.
    Model(String),
}

/// What is not words: each may be kept from somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// Having pictures looked at.
    Pictures,
    /// Asking by voice.
    Voice,
    /// Having pictures made.
    Drawing,
    /// Being answered by voice.
    Speech,
    /// Answers that use tools.
    Tools,
    /// Making API keys of one's own; those that are there go on.
    Keys,
}

impl Right {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Pictures, Self::Voice, Self::Drawing, Self::Speech, Self::Tools, Self::Keys];

    /// The word in commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pictures => "pictures",
            Self::Voice => "voice",
            Self::Drawing => "drawing",
            Self::Speech => "speech",
            Self::Tools => "tools",
            Self::Keys => "keys",
        }
    }

    /// Reads what [`Right::as_str`] writes.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|right| right.as_str() == text)
    }
}

/// A set of limits that is attached to whoever it concerns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Plan {
    /// Each must have room.
    pub limits: Vec<Limit>,
    /// Answers at once; `None` for any number.
    pub concurrent: Option<u32>,
    /// The aliases that may be used; `None` for all.
    pub models: Option<BTreeSet<String>>,
    /// What may not be used beside words.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<Right>,
    /// What happens when a limit is reached.
    pub at_limit: AtLimit,
}

impl Plan {
    /// Whether a model may be used under it.
    pub fn allows(&self, alias: &str) -> bool {
        self.models.as_ref().is_none_or(|models| models.contains(alias))
    }
}

/// Whether a text can name a plan: 1 to 40 letters, digits, `_` or `-`, of any language.
pub fn is_plan_name(text: &str) -> bool {
    (1..=40).contains(&text.chars().count()) && text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_read_as_it_is_written() {
        for (text, written) in [
            ("requests=50/day", "requests=50/day"),
            (" tokens = 20万 / week", "tokens=200000/week"),
            ("money=20/month", "money=20.00/month"),
            ("money=0/lifetime", "money=0.00/lifetime"),
            ("requests=5/90s", "requests=5/90s"),
        ] {
            let limit = Limit::parse(text).expect(text);
            assert_eq!(limit.to_string(), written);
            assert_eq!(Limit::parse(written), Ok(limit));
            let json = serde_json::to_string(&limit).expect("json");
            assert_eq!(serde_json::from_str::<Limit>(&json).ok(), Some(limit), "{json}");
        }
        for (bad, why) in [
            ("50/day", InvalidLimit::Form),
            ("requests=50", InvalidLimit::Form),
            ("calls=50/day", InvalidLimit::Measure),
            ("requests=many/day", InvalidLimit::Amount(InvalidAmount)),
            ("requests=50/daily", InvalidLimit::Window(InvalidWindow)),
        ] {
            assert_eq!(Limit::parse(bad), Err(why), "{bad}");
        }
    }

    #[test]
    fn a_plan_names_its_models_or_allows_all() {
        let cheap = Plan { models: Some(["cheap".to_owned()].into()), ..Plan::default() };
        assert!(cheap.allows("cheap") && !cheap.allows("dear") && Plan::default().allows("dear"));
        assert!(is_plan_name("标准版") && is_plan_name("a-b_1") && !is_plan_name("") && !is_plan_name("a b"));
    }
}
