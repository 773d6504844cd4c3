//! A value before it has its type, and where it came from.

use std::{collections::BTreeMap, fmt};

use super::fault::Wrong;

/// The value of one key, and where it came from.
#[derive(Clone)]
pub(super) struct Setting {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What somebody wrote. No `Debug`: it may be a secret.
#[derive(Clone)]
pub(super) enum Value {
    /// Text from a variable or a file that one names: it may mean a number as well.
    Untyped(String),
    /// A TOML string.
    Text(String),
    /// A TOML integer.
    Whole(i64),
    /// A TOML float.
    Fraction(f64),
    /// A TOML boolean.
    Flag(bool),
    /// A TOML table: `llm.extra_headers`.
    Table(BTreeMap<String, Value>),
    /// Something that no key takes, named for a fault: `a list`.
    Other(&'static str),
    /// A fault was reported already; the value is lost.
    Reported,
}

impl Value {
    /// Whether it is the text that says "not set".
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Untyped(text) | Self::Text(text) if text.trim().is_empty())
    }

    /// As text, without surrounding white space.
    pub(super) fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Untyped(text) | Self::Text(text) => Ok(text.trim()),
            other => Err(other.unexpected("text in quotes")),
        }
    }

    /// As a whole number.
    pub(super) fn whole(&self) -> Result<i64, Wrong> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Untyped(text) => {
                text.trim().parse().map_err(|_| Wrong::new("is not a whole number", "expected digits only"))
            }
            other => Err(other.unexpected("a whole number without quotes")),
        }
    }

    /// As a number.
    pub(super) fn fraction(&self) -> Result<f64, Wrong> {
        match self {
            // Exact up to 2^53; whatever is beyond is out of every range that a key has.
            Self::Whole(number) => Ok(*number as f64),
            Self::Fraction(number) => Ok(*number),
            Self::Untyped(text) => {
                text.trim().parse().map_err(|_| Wrong::new("is not a number", "expected a number such as 0.7"))
            }
            other => Err(other.unexpected("a number without quotes, or \"\"")),
        }
    }

    /// As yes or no.
    pub(super) fn flag(&self) -> Result<bool, Wrong> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            Self::Untyped(text) => text
                .trim()
                .to_ascii_lowercase()
                .parse()
                .map_err(|_| Wrong::new("is neither true nor false", "expected true or false")),
            other => Err(other.unexpected("true or false without quotes")),
        }
    }

    /// The fault of being of another kind than `wanted`.
    pub(super) fn unexpected(&self, wanted: &'static str) -> Wrong {
        let kind = match self {
            Self::Untyped(_) | Self::Text(_) => "text",
            Self::Whole(_) => "a number",
            Self::Fraction(_) => "a number with a fraction",
            Self::Flag(_) => "true or false",
            Self::Table(_) => "a section",
            Self::Other(kind) => kind,
            Self::Reported => "unusable",
        };
        Wrong::new(format!("is {kind}"), format!("expected {wanted}"))
    }
}

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// `config.example.toml`.
    Default,
    /// A configuration file.
    File {
        /// Its name as it was given.
        name: String,
        /// The line, counted from 1.
        line: usize,
    },
    /// An environment variable, or a flag of the command line.
    Named(String),
    /// An address whose port was replaced.
    Port {
        /// Where the address came from.
        listen: Box<Origin>,
        /// The variable that gave the port.
        variable: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File { name, line } => write!(f, "{name}:{line}"),
            Self::Named(name) => f.write_str(name),
            Self::Port { listen, variable } if **listen == Self::Default => f.write_str(variable),
            Self::Port { listen, variable } => write!(f, "{listen} and {variable}"),
        }
    }
}
