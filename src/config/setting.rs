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
    /// A TOML array: `llm.upstreams`.
    List(Vec<Value>),
    /// Something that no key takes, named for a fault: `a date`.
    Other([&'static str; 2]),
    /// A fault was reported already; the value is lost.
    Reported,
}

impl Value {
    /// Whether it is the text that says "not set".
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Self::Untyped(text) | Self::Text(text) if text.trim().is_empty())
    }

    /// From JSON, as variables have it.
    pub(super) fn from_json(json: serde_json::Value) -> Self {
        use serde_json::Value as Json;
        match json {
            Json::Null => Self::Other(["null", "null"]),
            Json::Bool(flag) => Self::Flag(flag),
            Json::Number(number) => match (number.as_i64(), number.as_f64()) {
                (Some(whole), _) => Self::Whole(whole),
                (None, Some(fraction)) => Self::Fraction(fraction),
                (None, None) => Self::Other(["超出范围的数", "a number beyond all bounds"]),
            },
            Json::String(text) => Self::Text(text),
            Json::Array(list) => Self::List(list.into_iter().map(Self::from_json).collect()),
            Json::Object(table) => {
                Self::Table(table.into_iter().map(|(key, value)| (key, Self::from_json(value))).collect())
            }
        }
    }

    /// As JSON, for what is passed on as it is.
    pub(super) fn to_json(&self) -> serde_json::Value {
        use serde_json::Value as Json;
        match self {
            Self::Untyped(text) | Self::Text(text) => Json::from(text.as_str()),
            Self::Whole(number) => Json::from(*number),
            Self::Fraction(number) => Json::from(*number),
            Self::Flag(flag) => Json::from(*flag),
            Self::Table(table) => table.iter().map(|(key, value)| (key.clone(), value.to_json())).collect(),
            Self::List(list) => list.iter().map(Self::to_json).collect(),
            Self::Other(_) | Self::Reported => Json::Null,
        }
    }

    /// As text, without surrounding white space.
    pub(super) fn text(&self) -> Result<&str, Wrong> {
        match self {
            Self::Untyped(text) | Self::Text(text) => Ok(text.trim()),
            other => Err(other.unexpected(["引号里的文本", "text in quotes"])),
        }
    }

    /// As a whole number.
    pub(super) fn whole(&self) -> Result<i64, Wrong> {
        match self {
            Self::Whole(number) => Ok(*number),
            Self::Untyped(text) => text
                .trim()
                .parse()
                .map_err(|_| Wrong::new(["不是整数", "is not a whole number"], ["应只有数字", "expected digits only"])),
            other => Err(other.unexpected(["不带引号的整数", "a whole number without quotes"])),
        }
    }

    /// As a number.
    pub(super) fn fraction(&self) -> Result<f64, Wrong> {
        match self {
            // Exact up to 2^53; whatever is beyond is out of every range that a key has.
            Self::Whole(number) => Ok(*number as f64),
            Self::Fraction(number) => Ok(*number),
            Self::Untyped(text) => text.trim().parse().map_err(|_| {
                Wrong::new(["不是数", "is not a number"], ["应为数，例如 0.7", "expected a number such as 0.7"])
            }),
            other => Err(other.unexpected(["不带引号的数，或 \"\"", "a number without quotes, or \"\""])),
        }
    }

    /// As yes or no.
    pub(super) fn flag(&self) -> Result<bool, Wrong> {
        match self {
            Self::Flag(flag) => Ok(*flag),
            Self::Untyped(text) => text.trim().to_ascii_lowercase().parse().map_err(|_| {
                Wrong::new(
                    ["既不是 true 也不是 false", "is neither true nor false"],
                    ["应为 true 或 false", "expected true or false"],
                )
            }),
            other => Err(other.unexpected(["不带引号的 true 或 false", "true or false without quotes"])),
        }
    }

    /// The fault of being of another kind than `wanted`.
    pub(super) fn unexpected(&self, wanted: [&str; 2]) -> Wrong {
        let kind = match self {
            Self::Untyped(_) | Self::Text(_) => ["文本", "text"],
            Self::Whole(_) => ["数", "a number"],
            Self::Fraction(_) => ["小数", "a number with a fraction"],
            Self::Flag(_) => ["true 或 false", "true or false"],
            Self::Table(_) => ["一节", "a section"],
            Self::List(_) => ["列表", "a list"],
            Self::Other(kind) => *kind,
            Self::Reported => ["不可用的", "unusable"],
        };
        Wrong::new(
            [format!("是{}", kind[0]), format!("is {}", kind[1])],
            [format!("应为{}", wanted[0]), format!("expected {}", wanted[1])],
        )
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
    /// The database, where `qimate secrets` put it.
    Stored,
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
            Self::Stored => f.write_str("qimate secrets"),
            Self::Port { listen, variable } if **listen == Self::Default => f.write_str(variable),
            Self::Port { listen, variable } => write!(f, "{listen} and {variable}"),
        }
    }
}
