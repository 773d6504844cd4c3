//! `[safety]`: what must not be said, and what must not leave the house.

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported},
    setting::Value,
};
use crate::safety::personal::{Kind, Kinds};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Safety {
    /// What is masked in everything that goes to a model, and put back in the answer.
    pub mask: Kinds,
}

impl Safety {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let mask = reader.take("safety.mask", |value| {
            let kinds: Kinds = list(value, &[',', '|'])?.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
            let names: Vec<_> = kinds.iter().map(Kind::name).collect();
            Ok((kinds, if names.is_empty() { NOT_SET.to_owned() } else { names.join(", ") }))
        });
        Ok(Self { mask: mask? })
    }
}

fn kind(name: &str) -> Result<Kind, Wrong> {
    let known = Kind::ALL.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name));
    known.ok_or_else(|| {
        let names = Kind::ALL.map(|kind| format!("\"{}\"", kind.name()));
        Wrong::new(
            ["里有不认识的种类".to_owned(), "holds a kind that is not known".to_owned()],
            [format!("应为 {} 中的若干个", names.join("、")), format!("expected some of {}", names.join(", "))],
        )
    })
}

/// Texts: a list from a file, JSON or what `separators` separate from a variable.
fn list(value: &Value, separators: &[char]) -> Result<Vec<String>, Wrong> {
    let not_a_list =
        || Wrong::new(["不是文本的列表", "is no list of texts"], ["应为 [\"…\", \"…\"]", "expected [\"…\", \"…\"]"]);
    let texts: Vec<String> = match value {
        Value::List(list) => list
            .iter()
            .map(|one| match one {
                Value::Text(text) => Ok(text.clone()),
                _ => Err(not_a_list()),
            })
            .collect::<Result<_, _>>()?,
        other => match other.text()? {
            json if json.starts_with('[') => serde_json::from_str(json).map_err(|_| not_a_list())?,
            text => text.split(separators).map(str::to_owned).collect(),
        },
    };
    Ok(texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect())
}
