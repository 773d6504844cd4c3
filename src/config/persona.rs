//! `[chat.personas]`: the parts that the bot can play.
//!
//! A table whose keys people choose, where every other key is known: so it is parsed here as a whole.

use std::sync::Arc;

use super::{fault::Wrong, reader::NOT_SET, setting::Value};

/// How many characters a persona's name may have: more does not fit on a button.
const MOST_CHARS: usize = 10;

/// A part that the bot can play.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Persona {
    /// Its name, by which members choose it.
    pub name: Arc<str>,
    /// What it is for, in a few words; may be empty.
    pub description: String,
    /// What the model is told, after the system prompt.
    pub prompt: String,
}

/// The parts by name, and what may be shown of them.
pub(super) fn personas(value: &Value) -> Result<(Vec<Persona>, String), Wrong> {
    let json;
    let table = match value {
        Value::Table(table) => table,
        Value::Untyped(text) if text.trim().is_empty() => return Ok((Vec::new(), NOT_SET.to_owned())),
        // The parser's own message would quote the text.
        Value::Untyped(text) => {
            let parsed = serde_json::from_str::<serde_json::Value>(text);
            json = parsed.map(Value::from_json).map_err(|_| {
                Wrong::new(["不是 JSON", "is not JSON"], ["应为对象，如 {\"翻译\":\"把……\"}", "expected an object"])
            })?;
            match &json {
                Value::Table(table) => table,
                other => return Err(other.unexpected(["对象", "an object"])),
            }
        }
        other => return Err(other.unexpected(["单独的一节", "a section of its own"])),
    };
    let personas = table.iter().map(|(name, value)| persona(name, value)).collect::<Result<Vec<_>, _>>()?;
    let shown = personas.iter().map(|persona| &*persona.name).collect::<Vec<_>>().join(", ");
    Ok((personas, if shown.is_empty() { NOT_SET.to_owned() } else { shown }))
}

fn persona(name: &str, value: &Value) -> Result<Persona, Wrong> {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > MOST_CHARS || name.chars().any(char::is_control) {
        return Err(Wrong::new(
            ["有不能用的名字", "holds a name that cannot be used"],
            [format!("名字应为 1 到 {MOST_CHARS} 个字"), format!("expected names of 1 to {MOST_CHARS} characters")],
        ));
    }
    let (prompt, description) = match value {
        Value::Text(prompt) => (prompt.as_str(), ""),
        Value::Table(table) => {
            if table.keys().any(|key| !matches!(key.as_str(), "prompt" | "description")) {
                return Err(Wrong::new(
                    ["含有不认识的键", "holds a key that is not known"],
                    ["应为 prompt、description", "expected prompt, description"],
                )
                .within(name));
            }
            let text = |key| match table.get(key) {
                Some(value) => value.text().map_err(|wrong| wrong.within(key).within(name)),
                None => Ok(""),
            };
            (text("prompt")?, text("description")?)
        }
        other => return Err(other.unexpected(["引号里的文本", "text in quotes"]).within(name)),
    };
    if prompt.trim().is_empty() {
        return Err(Wrong::new(
            ["缺少 prompt", "lacks its prompt"],
            ["应为告诉模型的话", "expected what the model is told"],
        )
        .within(name));
    }
    Ok(Persona { name: name.into(), description: description.trim().to_owned(), prompt: prompt.trim().to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Vec<Persona>, String> {
        personas(&Value::Untyped(json.to_owned())).map(|(personas, _)| personas).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_persona_is_a_prompt_or_a_table() {
        let read =
            read(r#"{"翻译":"你是译者。","法务":{"prompt":"你是律师。","description":"看合同"}}"#).expect("read");
        let all: Vec<_> = read.iter().map(|one| (&*one.name, &*one.prompt, &*one.description)).collect();
        assert_eq!(all, [("法务", "你是律师。", "看合同"), ("翻译", "你是译者。", "")]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_name_and_without_its_text() {
        for (json, told) in [
            ("hunter2", "is not JSON; expected an object"),
            ("[]", "is a list; expected an object"),
            (r#"{"":"x"}"#, "holds a name that cannot be used; expected names of 1 to 10 characters"),
            (r#"{"12345678901":"x"}"#, "holds a name that cannot be used; expected names of 1 to 10 characters"),
            (r#"{"a":3}"#, "a: is a number; expected text in quotes"),
            (r#"{"a":" "}"#, "a: lacks its prompt; expected what the model is told"),
            (r#"{"a":{"description":"x"}}"#, "a: lacks its prompt; expected what the model is told"),
            (r#"{"a":{"promt":"hunter2"}}"#, "a: holds a key that is not known; expected prompt, description"),
        ] {
            assert_eq!(read(json).expect_err("wrong"), told);
        }
    }
}
