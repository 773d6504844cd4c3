//! By what calls are added up, and over which stretches of time.

pub use crate::model::totals::Totals;
pub(super) use crate::model::totals::{COLUMNS, NAMES};

/// What calls are summed up by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Dimension {
    /// Whose calls, `CORP/USERID`.
    Member = 1,
    /// The department, `CORP/NUMBER`.
    Department = 2,
    /// The application, `CORP/NUMBER`.
    App = 3,
    /// The model's alias.
    Model = 4,
    /// Who answered, or failed to.
    Upstream = 5,
    /// The API key, `CORP/NUMBER`.
    ApiKey = 6,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Member, Self::Department, Self::App, Self::Model, Self::Upstream, Self::ApiKey];

    pub(super) const fn stored(self) -> i64 {
        self as i64
    }
}

/// The sums of all calls have it in the place of a dimension.
pub(super) const EVERYBODY: i64 = 0;

/// How long a stretch is that one sum is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Grain {
    /// An hour of the clock on the wall.
    Hour = 0,
    /// A day of the calendar.
    Day = 1,
}

impl Grain {
    pub(super) const ALL: [Self; 2] = [Self::Hour, Self::Day];

    pub(super) const fn stored(self) -> i64 {
        self as i64
    }
}
