//! One measured number beside what it should be.

use std::{fmt, time::Duration};

/// A number with its unit, its floor and its goal, as far as it has them.
#[derive(Debug)]
pub(crate) struct Figure {
    name: String,
    value: f64,
    unit: &'static str,
    floor: Option<Bound>,
    goal: Option<Bound>,
}

/// On which side of a number a figure should be.
#[derive(Clone, Copy, Debug)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, value: f64) -> bool {
        match self {
            Self::AtLeast(bound) => value >= bound,
            Self::AtMost(bound) => value <= bound,
        }
    }
}

impl Figure {
    /// A figure that is only shown.
    pub(crate) fn new(name: impl Into<String>, value: f64, unit: &'static str) -> Self {
        Self { name: name.into(), value, unit, floor: None, goal: None }
    }

    /// Milliseconds.
    pub(crate) fn ms(name: impl Into<String>, time: Duration) -> Self {
        Self::new(name, time.as_secs_f64() * 1e3, "ms")
    }

    /// It must be this much or more.
    pub(crate) fn floor_at_least(self, bound: f64) -> Self {
        Self { floor: Some(Bound::AtLeast(bound)), ..self }
    }

    /// It must be this much or less.
    pub(crate) fn floor_at_most(self, bound: f64) -> Self {
        Self { floor: Some(Bound::AtMost(bound)), ..self }
    }

    /// It should be this much or more.
    pub(crate) fn goal_at_least(self, bound: f64) -> Self {
        Self { goal: Some(Bound::AtLeast(bound)), ..self }
    }

    /// It should be this much or less.
    pub(crate) fn goal_at_most(self, bound: f64) -> Self {
        Self { goal: Some(Bound::AtMost(bound)), ..self }
    }

    /// Whether it is not beyond its floor.
    pub(crate) fn is_within_floor(&self) -> bool {
        self.floor.is_none_or(|floor| floor.holds(self.value))
    }

    fn beside(&self, label: &str, bound: Option<Bound>) -> String {
        let Some(bound) = bound else { return String::new() };
        let mark = if bound.holds(self.value) { '✓' } else { '✗' };
        match bound {
            Bound::AtLeast(number) => format!("{label} ≥ {} {mark}", shown(number)),
            Bound::AtMost(number) => format!("{label} ≤ {} {mark}", shown(number)),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = format!(
            "{:<58} {:>8} {:<4} {:<16} {}",
            self.name,
            shown(self.value),
            self.unit,
            self.beside("floor", self.floor),
            self.beside("goal", self.goal)
        );
        f.write_str(line.trim_end())
    }
}

/// Three digits that mean something.
fn shown(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}
