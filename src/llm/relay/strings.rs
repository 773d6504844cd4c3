//! The strings of a JSON text, changed in their places; every other byte stays as it is.
//!
//! No tree is built: a hostile body of some megabytes would become a tree of some hundred.

use std::borrow::Cow;

/// A string that stands for no text: half of a surrogate pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoText;

/// Gives every string of `json`, the names of fields included, to `change`, and puts what it gives in the string's
/// place. `json` must be JSON.
///
/// # Errors
/// What `change` says, or [`NoText`].
pub fn rewrite<E: From<NoText>>(
    json: &str,
    mut change: impl FnMut(&str) -> Result<Option<String>, E>,
) -> Result<Cow<'_, str>, E> {
    let (mut changed, mut copied, mut at) = (String::new(), 0, 0);
    while let Some(open) = json.as_bytes()[at..].iter().position(|byte| *byte == b'"').map(|offset| at + offset) {
        at = end_of(json.as_bytes(), open);
        if let Some(text) = change(&decode(&json[open..at])?)? {
            changed.push_str(&json[copied..open]);
            changed.push_str(&serde_json::Value::String(text).to_string());
            copied = at;
        }
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(json));
    }
    changed.push_str(&json[copied..]);
    Ok(Cow::Owned(changed))
}

/// Shows every string of `json` as it is written, without its quotes and still escaped: enough to estimate by.
pub(super) fn each_written<'j>(json: &'j str, mut see: impl FnMut(&'j str)) {
    let mut at = 0;
    while let Some(open) = json.as_bytes()[at..].iter().position(|byte| *byte == b'"').map(|offset| at + offset) {
        at = end_of(json.as_bytes(), open);
        see(&json[open + 1..(at - 1).max(open + 1)]);
    }
}

/// Whether a string is a picture, a recording or a file and no words: a `data:` URL, or nothing but Base64.
pub(super) fn is_data(text: &str) -> bool {
    const LONG: usize = 1024;
    let is_url = text.starts_with("data:")
        && text.get(..text.floor_char_boundary(128)).is_some_and(|head| head.contains(";base64,"));
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte);
    is_url && text.bytes().skip_while(|byte| *byte != b',').skip(1).all(base64)
        || text.len() >= LONG && text.bytes().all(base64)
}

/// Behind the quote that ends the string which begins at `open`.
fn end_of(json: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    while let Some(byte) = json.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    json.len()
}

fn decode(quoted: &str) -> Result<Cow<'_, str>, NoText> {
    match quoted.strip_prefix('"').and_then(|text| text.strip_suffix('"')) {
        Some(plain) if !plain.contains('\\') => Ok(Cow::Borrowed(plain)),
        _ => serde_json::from_str::<String>(quoted).map(Cow::Owned).map_err(|_| NoText),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn upper(json: &str) -> Result<Cow<'_, str>, NoText> {
        rewrite(json, |text| Ok(text.contains('x').then(|| text.to_uppercase())))
    }

    #[test]
    fn only_what_changes_is_touched() {
        for (json, expected) in [
            (
                r#"{ "a" : 1e5, "b":"\u0061", "c" : ["x\n", "\"x", "é\\"] }"#,
                r#"{ "a" : 1e5, "b":"\u0061", "c" : ["X\n", "\"X", "é\\"] }"#,
            ),
            (r#"{"x":{"x":"\u0078"}}"#, r#"{"X":{"X":"X"}}"#),
            (r#"[1, null, "a"]"#, r#"[1, null, "a"]"#),
        ] {
            assert_eq!(upper(json).expect("text"), expected);
        }
        assert!(matches!(upper(r#"{"a":"b"}"#), Ok(Cow::Borrowed(_))));
        assert_eq!(upper(r#"["\ud800x"]"#), Err(NoText));
    }

    #[test]
    fn data_are_no_words() {
        let base64 = "QUJD".repeat(300);
        for (text, data) in [
            (format!("data:image/png;base64,{base64}"), true),
            (base64.clone(), true),
            (format!("data:text/plain;base64,{base64} and words"), false),
            ("data: 13812345678".to_owned(), false),
            ("QUJD".to_owned(), false),
            (format!("{base64} words"), false),
        ] {
            assert_eq!(is_data(&text), data, "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_rewritten_is_json_with_the_same_meaning(texts in proptest::collection::vec("\\PC{0,20}", 0..6)) {
            let json = serde_json::to_string_pretty(&texts).expect("json");
            let rewritten = rewrite(&json, |text| Ok::<_, NoText>(Some(format!("<{text}>")))).expect("text");
            let expected: Vec<String> = texts.iter().map(|text| format!("<{text}>")).collect();
            prop_assert_eq!(serde_json::from_str::<Vec<String>>(&rewritten).expect("json"), expected);
        }
    }
}
