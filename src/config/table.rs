//! Keys that hold a list of tables (`[[llm.upstreams]]`, `[[tools.mcp]]`), where every other key is one value: each is
//! read as a whole, and a fault names the place in the list. As a variable the list is JSON.

use std::{collections::BTreeMap, ops::RangeInclusive};

use super::{fault::Wrong, setting::Value, suggest::nearest};

/// The list in `value`, each of its items read by `item`; `section` is the key, for a fault.
pub(super) fn list<T>(
    value: &Value,
    section: &str,
    item: impl Fn(&Value) -> Result<T, Wrong>,
) -> Result<Vec<T>, Wrong> {
    let json;
    let list = match value {
        Value::List(list) => list,
        Value::Untyped(text) if text.trim().is_empty() => &Vec::new(),
        // The parser's own message would quote the text.
        Value::Untyped(text) => {
            let parsed = serde_json::from_str::<serde_json::Value>(text);
            json = parsed.map(Value::from_json).map_err(|_| {
                Wrong::new(["不是 JSON", "is not JSON"], ["应为对象的列表", "expected a list of objects"])
            })?;
            match &json {
                Value::List(list) => list,
                other => return Err(other.unexpected(["对象的列表", "a list of objects"])),
            }
        }
        other => return Err(other.unexpected([&format!("[[{section}]] 各节"), &format!("sections [[{section}]]")])),
    };
    let read = |(index, one)| item(one).map_err(|wrong| wrong.within(&format!("[{}]", index + 1)));
    list.iter().enumerate().map(read).collect()
}

/// A fault where two of `names` are one; `right` says in Chinese that they must differ.
pub(super) fn all_differ<'a>(names: impl Iterator<Item = &'a str>, right: &'static str) -> Result<(), Wrong> {
    let mut seen = Vec::new();
    for name in names {
        if seen.contains(&name) {
            let problem = [format!("名字 {name} 出现两次"), format!("has the name {name} twice")];
            return Err(Wrong::new(problem, [right, "expected a name of its own for each"]));
        }
        seen.push(name);
    }
    Ok(())
}

/// The fault of a table that lacks `key`; `hint` says what it would be.
pub(super) fn missing(key: &str, hint: [&str; 2]) -> Wrong {
    Wrong::new(
        [format!("缺少 {key}"), format!("lacks {key}")],
        [format!("应为{}", hint[0]), format!("expected {}", hint[1])],
    )
}

/// A table whose keys are known: what is empty counts as not set, and faults name the key.
pub(super) struct Table<'a>(&'a BTreeMap<String, Value>);

impl<'a> Table<'a> {
    /// `value` as a table with no other keys than `known`.
    pub(super) fn new(value: &'a Value, known: &[&str]) -> Result<Self, Wrong> {
        let Value::Table(table) = value else { return Err(value.unexpected(["表", "a table"])) };
        match table.keys().find(|key| !known.contains(&key.as_str())) {
            None => Ok(Self(table)),
            // The key is not quoted: whoever mixed up the two sides would find a secret in the log.
            Some(key) => {
                let remedy = match nearest(key, known.iter().copied()) {
                    Some(meant) => [format!("是不是 {meant}？"), format!("did you mean {meant}?")],
                    None => [format!("应为 {}", known.join("、")), format!("expected {}", known.join(", "))],
                };
                Err(Wrong::new(["含有不认识的键", "holds a key that is not known"], remedy))
            }
        }
    }

    /// What stands for `key`, where it is set.
    pub(super) fn get(&self, key: &str) -> Option<&'a Value> {
        self.0.get(key).filter(|value| !value.is_empty())
    }

    /// Text, where it is set.
    pub(super) fn text(&self, key: &str) -> Result<Option<&'a str>, Wrong> {
        self.get(key).map(Value::text).transpose().map_err(|wrong| wrong.within(key))
    }

    /// A list; empty where it is not set.
    pub(super) fn list(&self, key: &str) -> Result<&'a [Value], Wrong> {
        match self.get(key) {
            None => Ok(&[]),
            Some(Value::List(list)) => Ok(list),
            Some(other) => {
                Err(other.unexpected(["列表，如 [\"one\", \"two\"]", "a list such as [\"one\", \"two\"]"]).within(key))
            }
        }
    }

    /// A whole number within `range`; `None` for 0 and where there is none.
    pub(super) fn number(&self, key: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, Wrong> {
        let Some(value) = self.get(key) else { return Ok(None) };
        let number = value.whole().map_err(|wrong| wrong.within(key))?;
        match u32::try_from(number) {
            Ok(0) => Ok(None),
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => {
                let (least, most) = (range.start(), range.end());
                let right = [
                    format!("应为 {least} 到 {most} 的整数，或 0"),
                    format!("expected a whole number from {least} to {most}, or 0"),
                ];
                Err(Wrong::new([format!("是 {number}"), format!("is {number}")], right).within(key))
            }
        }
    }

    /// Money for a million model tokens, in millionths.
    pub(super) fn price(&self, key: &str) -> Result<Option<u64>, Wrong> {
        const MOST: f64 = 1_000_000.0;
        let Some(value) = self.get(key) else { return Ok(None) };
        let price = value.fraction().map_err(|wrong| wrong.within(key))?;
        if (0.0..=MOST).contains(&price) {
            // Exact for every price that somebody writes: at most six decimals are kept.
            Ok(Some((price * 1e6).round() as u64))
        } else {
            Err(Wrong::new(
                [format!("是 {price}"), format!("is {price}")],
                ["应为每百万 token 的价格，如 0.27", "expected a price for a million model tokens, such as 0.27"],
            )
            .within(key))
        }
    }
}
