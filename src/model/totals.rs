//! Sums of calls.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::call::{Call, Ended};

/// The sum of some calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// How many, however they ended.
    pub calls: u64,
    /// Of those, the ones that nobody wanted the rest of.
    pub stopped: u64,
    /// That were not to be made, or whose answer was not to be shown.
    pub refused: u64,
    /// That no answer came of.
    pub failed: u64,
    /// Whose answer broke off.
    pub cut: u64,
    /// Whose model tokens are an estimate.
    pub estimated: u64,
    /// Model tokens in.
    pub input: u64,
    /// Those among them that the upstream had in its cache.
    pub cached: u64,
    /// Model tokens out.
    pub output: u64,
    /// Micro-units of the configured currency.
    pub money: u64,
    /// Calls with a first piece.
    pub begun: u64,
    /// The sum of the milliseconds until it came.
    pub first_ms: u64,
    /// The sum of the milliseconds that the calls took.
    pub total_ms: u64,
}

/// How many figures a sum has.
pub const COLUMNS: usize = 13;
/// Their names, in the order of [`Totals::columns`].
pub const NAMES: [&str; COLUMNS] = [
    "calls",
    "stopped",
    "refused",
    "failed",
    "cut",
    "estimated",
    "input",
    "cached",
    "output",
    "money",
    "begun",
    "first_ms",
    "total_ms",
];

impl Totals {
    /// Of one call.
    pub fn of(call: &Call) -> Self {
        let is = |ended: bool| u64::from(ended);
        Self {
            calls: 1,
            stopped: is(call.ended == Ended::Stopped),
            refused: is(matches!(call.ended, Ended::Refused(_))),
            failed: is(matches!(call.ended, Ended::Failed(_))),
            cut: is(matches!(call.ended, Ended::Cut(_))),
            estimated: is(call.usage.estimated),
            input: call.usage.input,
            cached: call.usage.cached,
            output: call.usage.output,
            money: call.money,
            begun: is(call.first_ms.is_some()),
            first_ms: call.first_ms.unwrap_or(0),
            total_ms: call.total_ms,
        }
    }

    /// Both together; it stops at the largest number.
    #[must_use]
    pub fn plus(self, other: Self) -> Self {
        let (mut sum, other) = (self.columns(), other.columns());
        sum.iter_mut().zip(other).for_each(|(sum, other)| *sum = sum.saturating_add(other));
        Self::from_columns(sum)
    }

    /// The calls that ended as they should.
    pub const fn ok(&self) -> u64 {
        self.calls.saturating_sub(self.stopped + self.refused + self.failed + self.cut)
    }

    /// The average of the milliseconds until the first piece came.
    pub const fn average_first_ms(&self) -> Option<u64> {
        self.first_ms.checked_div(self.begun)
    }

    /// The figures.
    pub const fn columns(&self) -> [u64; COLUMNS] {
        [
            self.calls,
            self.stopped,
            self.refused,
            self.failed,
            self.cut,
            self.estimated,
            self.input,
            self.cached,
            self.output,
            self.money,
            self.begun,
            self.first_ms,
            self.total_ms,
        ]
    }

    /// A sum of these figures.
    pub const fn from_columns(columns: [u64; COLUMNS]) -> Self {
        let [calls, stopped, refused, failed, cut, estimated, input, cached, output, money, begun, first_ms, total_ms] =
            columns;
        Self {
            calls,
            stopped,
            refused,
            failed,
            cut,
            estimated,
            input,
            cached,
            output,
            money,
            begun,
            first_ms,
            total_ms,
        }
    }
}
