//! What somebody may use beyond a plan.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Timestamp,
    model::{
        person::table::short,
        quota::amounts::{Amounts, Measure, parse_amount},
    },
};

/// The most days of a grant.
const MOST_DAYS: u32 = 3650;
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How much more, and for how long.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WantedAmounts {
    /// So many questions more.
    pub requests: Option<u64>,
    /// So many model tokens more.
    pub tokens: Option<u64>,
    /// So much money more, as `20` or `0.5`, in the configured currency.
    pub money: Option<String>,
    /// For so many days, up to 3650; `null`: 30.
    pub days: Option<u32>,
    /// Why: one line of at most 500 characters.
    pub reason: String,
}

/// What is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{right}")]
pub struct WrongAmounts {
    /// The field; empty: all of it.
    pub field: &'static str,
    /// What would be right.
    pub right: String,
}

impl WantedAmounts {
    /// How much, and until when.
    ///
    /// # Errors
    /// [`WrongAmounts`], which says what would be right.
    pub fn parse(&self, now: Timestamp) -> Result<(Amounts, Timestamp), WrongAmounts> {
        let wrong = |field, right: &str| WrongAmounts { field, right: right.to_owned() };
        let read = |field, text: Option<String>, measure| {
            let read = text.map(|text| parse_amount(&text, measure)).transpose();
            read.map(Option::unwrap_or_default).map_err(|why| WrongAmounts { field, right: why.to_string() })
        };
        let amounts = Amounts {
            requests: read("requests", self.requests.map(|number| number.to_string()), Measure::Requests)?,
            tokens: read("tokens", self.tokens.map(|number| number.to_string()), Measure::Tokens)?,
            money: read("money", self.money.clone(), Measure::Money)?,
        };
        if amounts == Amounts::ZERO {
            return Err(wrong("", "say how much: requests, tokens or money"));
        }
        let days = self.days.unwrap_or(30);
        if !(1..=MOST_DAYS).contains(&days) {
            return Err(wrong("days", "expected a number of days from 1 to 3650"));
        }
        short(&self.reason).map_err(|[_, right]| wrong("reason", right))?;
        Ok((amounts, now + A_DAY * days))
    }
}

/// What was granted.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Grant {
    /// Names it.
    pub id: i64,
    /// Whose: `member/CORP/USERID`, `department/CORP/NUMBER`, `company/CORP`, `key/CORP/ID`.
    #[serde(rename = "for")]
    pub holder: String,
    /// Questions.
    pub requests: u64,
    /// Model tokens.
    pub tokens: u64,
    /// Micro-units of the configured currency.
    pub money_micros: u64,
    /// When it ends.
    pub until_ms: i64,
    /// Why.
    pub reason: String,
}

impl Grant {
    /// What was granted to this holder.
    pub fn of(id: i64, holder: &str, amounts: Amounts, until: Timestamp, reason: &str) -> Self {
        let Amounts { requests, tokens, money } = amounts;
        let (holder, reason) = (holder.to_owned(), reason.to_owned());
        Self { id, holder, requests, tokens, money_micros: money, until_ms: until.as_millis(), reason }
    }
}
