//! What a model call takes, in whole numbers: a sum of a million small costs must not drift.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

/// A millionth of the configured currency's unit.
pub const MICROS: u64 = 1_000_000;

/// What can be limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Measure {
    /// Questions.
    Requests,
    /// Model tokens, in and out.
    Tokens,
    /// Money, in micro-units of the configured currency.
    Money,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Requests, Self::Tokens, Self::Money];

    /// The word in commands and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Money => "money",
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What was used, or is held. Sums stop at the largest number instead of starting anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Amounts {
    /// Questions.
    pub requests: u64,
    /// Model tokens, in and out.
    pub tokens: u64,
    /// Micro-units of the configured currency.
    pub money: u64,
}

impl Amounts {
    /// Nothing.
    pub const ZERO: Self = Self { requests: 0, tokens: 0, money: 0 };

    /// How much of one measure.
    pub const fn get(self, measure: Measure) -> u64 {
        match measure {
            Measure::Requests => self.requests,
            Measure::Tokens => self.tokens,
            Measure::Money => self.money,
        }
    }

    /// Both together.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_add(other.requests),
            tokens: self.tokens.saturating_add(other.tokens),
            money: self.money.saturating_add(other.money),
        }
    }

    /// What is left of it without the other; never below nothing.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(other.requests),
            tokens: self.tokens.saturating_sub(other.tokens),
            money: self.money.saturating_sub(other.money),
        }
    }
}

/// What a model costs, in micro-units for a million model tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    /// Of the prompt.
    pub input: u64,
    /// Of the answer.
    pub output: u64,
}

impl Price {
    /// What so many tokens cost; a part of a micro-unit counts as a whole one.
    pub fn of(self, input: u64, output: u64) -> u64 {
        let whole = u128::from(self.input) * u128::from(input) + u128::from(self.output) * u128::from(output);
        u64::try_from(whole.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }

    /// How many tokens of answer so much pays for, beside `input` tokens of prompt; `None` for any number.
    pub fn affordable_output(self, money: u64, input: u64) -> Option<u64> {
        if self.output == 0 {
            return (self.of(input, 0) > money).then_some(0);
        }
        let rest = (u128::from(money) * 1_000_000).saturating_sub(u128::from(self.input) * u128::from(input));
        Some(u64::try_from(rest / u128::from(self.output)).unwrap_or(u64::MAX))
    }
}

/// What is not paid by model tokens, in micro-units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MediaPrices {
    /// Of a picture that is made.
    pub picture: u64,
    /// Of a minute that is written down; part of a minute costs that part.
    pub minute: u64,
    /// Of a million characters that are spoken.
    pub characters: u64,
}

impl MediaPrices {
    /// What so much sound costs that is written down.
    pub fn of_sound(self, length: Duration) -> u64 {
        part(self.minute, length.as_millis(), 60_000)
    }

    /// What so much text costs that is spoken.
    pub fn of_speech(self, characters: usize) -> u64 {
        part(self.characters, characters as u128, 1_000_000)
    }
}

/// A part of a micro-unit counts as a whole one.
fn part(price: u64, of: u128, whole: u128) -> u64 {
    u64::try_from((u128::from(price) * of).div_ceil(whole)).unwrap_or(u64::MAX)
}

/// A text that is no amount.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a number such as 50, 200k, 1.5m or 20万")]
pub struct InvalidAmount;

/// Reads a number as people write it: digits, at most one point, and behind it `k`, `m`, `万` or nothing. Of money it is
/// units of the currency and becomes micro-units; of the others it must come to a whole number.
///
/// # Errors
/// [`InvalidAmount`] for anything else, or for what is too large or too fine.
pub fn parse_amount(text: &str, measure: Measure) -> Result<u64, InvalidAmount> {
    let lower = text.trim().to_lowercase();
    let suffixes = [("k", 1000), ("m", 1_000_000), ("万", 10_000)];
    let (digits, factor) = suffixes
        .into_iter()
        .find_map(|(suffix, factor)| lower.strip_suffix(suffix).map(|digits| (digits, factor)))
        .unwrap_or((&lower, 1));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let is_number = !whole.is_empty() && (part.is_empty() != digits.contains('.'));
    if !is_number || !all_digits(whole) || !all_digits(part) || part.len() > 9 {
        return Err(InvalidAmount);
    }
    let factor = factor * if measure == Measure::Money { u128::from(MICROS) } else { 1 };
    let scale = 10_u128.pow(u32::try_from(part.len()).unwrap_or(u32::MAX));
    let number: u128 = format!("{whole}{part}").parse().map_err(|_| InvalidAmount)?;
    let scaled = number.checked_mul(factor).filter(|scaled| scaled % scale == 0).ok_or(InvalidAmount)?;
    i64::try_from(scaled / scale).ok().and_then(|amount| u64::try_from(amount).ok()).ok_or(InvalidAmount)
}

/// Money as people read it: at least two places, and more where there are more.
pub fn show_money(micros: u64) -> String {
    let (whole, part) = (micros / MICROS, format!("{:06}", micros % MICROS));
    let places = part.trim_end_matches('0').len().max(2);
    format!("{whole}.{}", &part[..places])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        use Measure::{Money, Requests, Tokens};
        for (text, measure, amount) in [
            ("50", Requests, Ok(50)),
            ("0", Requests, Ok(0)),
            ("200k", Tokens, Ok(200_000)),
            ("1.5M", Tokens, Ok(1_500_000)),
            ("20万", Tokens, Ok(200_000)),
            ("12.50", Money, Ok(12_500_000)),
            ("0.000001", Money, Ok(1)),
            ("0.0000001", Money, Err(InvalidAmount)),
            ("1.5", Requests, Err(InvalidAmount)),
            ("", Requests, Err(InvalidAmount)),
            (".5", Money, Err(InvalidAmount)),
            ("5.", Money, Err(InvalidAmount)),
            ("-1", Requests, Err(InvalidAmount)),
            ("+1", Requests, Err(InvalidAmount)),
            ("1e3", Tokens, Err(InvalidAmount)),
            ("1,000", Tokens, Err(InvalidAmount)),
            ("99999999999999999999", Tokens, Err(InvalidAmount)),
            ("9999999999999m", Money, Err(InvalidAmount)),
        ] {
            assert_eq!(parse_amount(text, measure), amount, "{text}");
        }
        for (micros, shown) in [(0, "0.00"), (12_500_000, "12.50"), (1, "0.000001"), (1_230_000, "1.23")] {
            assert_eq!(show_money(micros), shown);
        }
    }

    #[test]
    fn a_price_is_exact_and_rounds_up() {
        // 0.55 and 2.19 for a million.
        let price = Price { input: 550_000, output: 2_190_000 };
        assert_eq!(price.of(1_000_000, 1_000_000), 2_740_000);
        assert_eq!(price.of(1, 0), 1, "half a micro-unit is one");
        assert_eq!(price.of(0, 0), 0);
        assert_eq!(price.of(u64::MAX, u64::MAX), u64::MAX, "and nothing overflows");
        assert_eq!(Price::default().affordable_output(0, 7), None);
        assert_eq!(Price { input: 1_000_000, output: 0 }.affordable_output(6, 7), Some(0));
        assert_eq!(Price { input: 1_000_000, output: 0 }.affordable_output(7, 7), None);
    }

    proptest! {
        /// What is affordable is paid for by the money, and one more is not.
        #[test]
        fn what_is_affordable_is_paid_for(
            input_price in 0_u64..100_000_000, output_price in 1_u64..100_000_000,
            money in 0_u64..10_000_000_000, input in 0_u64..200_000,
        ) {
            let price = Price { input: input_price, output: output_price };
            let output = price.affordable_output(money, input).expect("a number");
            prop_assert!(price.of(input, output) <= money || output == 0);
            prop_assert!(price.of(input, output + 1) > money);
        }
    }

    #[test]
    fn a_part_of_a_minute_costs_that_part() {
        let prices = MediaPrices { picture: 0, minute: 40_000, characters: 100_000_000 };
        assert_eq!(prices.of_sound(Duration::from_secs(90)), 60_000);
        assert_eq!(prices.of_sound(Duration::from_millis(1)), 1, "never nothing");
        assert_eq!(prices.of_speech(200), 20_000);
        assert_eq!(MediaPrices::default().of_speech(200), 0);
    }
}
