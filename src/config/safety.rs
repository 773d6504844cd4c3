//! `[safety]`: what must not be said, and what must not leave the house.

use std::{fs, sync::Arc, time::Duration};

use super::{
    fault::Wrong,
    llm::base_url,
    reader::{NOT_SET, Reader, Reported, any, credential},
    setting::Value,
};
use crate::{
    safety::{
        personal::{Kind, Kinds},
        rules::{self, Action, LONGEST_WORD, MOST_WORDS, Rules, Unusable},
    },
    secret::Secret,
};

/// Bytes that a file of words may have.
const MOST_FILE_BYTES: u64 = 4 * 1024 * 1024;

/// The section's values.
#[derive(Clone, Debug)]
pub struct Safety {
    /// What is masked in everything that goes to a model, and put back in the answer.
    pub mask: Kinds,
    /// Words and patterns that must not be said.
    pub rules: Arc<Rules>,
    /// Where questions and answers are moderated; `None`: nowhere.
    pub moderation_url: Option<String>,
    /// Its key; `None`: the model's key, where the address is the model's too.
    pub moderation_key: Option<Secret<String>>,
    /// Its model; `None`: the endpoint chooses.
    pub moderation_model: Option<String>,
    /// The longest that a look may take.
    pub moderation_timeout: Duration,
    /// Whether what could not be looked at passes.
    pub moderation_passes_unseen: bool,
}

impl Safety {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let mask = reader.take("safety.mask", |value| {
            let kinds: Kinds = list(value, &[',', '|'])?.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
            let names: Vec<_> = kinds.iter().map(Kind::name).collect();
            Ok((kinds, if names.is_empty() { NOT_SET.to_owned() } else { names.join(", ") }))
        });
        let listed = reader.take("safety.banned_words", |value| words(list(value, &[',', '，'])?));
        let words_action = reader.choice("safety.banned_words_action", &actions());
        let of_file = reader.take("safety.banned_words_file", |value| match value.text()? {
            "" => Ok((Vec::new(), NOT_SET.to_owned())),
            path => words(lines(path)?).map(|(words, count)| (words, format!("{path}: {count}"))),
        });
        let file_action = reader.choice("safety.banned_words_file_action", &actions());
        let patterns = reader.take("safety.banned_patterns", |value| patterns(list(value, &[])?));
        let patterns_action = reader.choice("safety.banned_patterns_action", &actions());
        let moderation_url = reader.optional_text("safety.moderation_url", base_url);
        let moderation_key = reader.optional_text("safety.moderation_key", credential);
        let moderation_model = reader.optional_text("safety.moderation_model", any);
        let moderation_timeout = reader.whole("safety.moderation_timeout_seconds", 1..=60);
        let passes_unseen = reader.choice("safety.moderation_unreachable", &[("pass", true), ("refuse", false)]);
        let with = |texts: Vec<String>, action| texts.into_iter().map(move |text| (text, action));
        let words: Vec<_> = with(listed?, words_action?).chain(with(of_file?, file_action?)).collect();
        let patterns: Vec<_> = with(patterns?, patterns_action?).collect();
        let rules = Rules::new(
            words.iter().map(|(text, action)| (text.as_str(), *action)),
            patterns.iter().map(|(text, action)| (text.as_str(), *action)),
        );
        let rules = rules.map_err(|(number, unusable)| {
            reader.contradiction("safety.banned_patterns", unusable_at(number, unusable))
        })?;
        Ok(Self {
            mask: mask?,
            rules: Arc::new(rules),
            moderation_url: moderation_url?,
            moderation_key: moderation_key?,
            moderation_model: moderation_model?,
            moderation_timeout: Duration::from_secs(moderation_timeout?),
            moderation_passes_unseen: passes_unseen?,
        })
    }
}

fn actions() -> [(&'static str, Action); 3] {
    Action::ALL.map(|action| (action.name(), action))
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

/// Words that can be looked for, with how many there are to be shown: what they are is nobody's business.
fn words(words: Vec<String>) -> Result<(Vec<String>, String), Wrong> {
    if words.len() > MOST_WORDS {
        let count = words.len();
        return Err(Wrong::new(
            [format!("有 {count} 个词"), format!("has {count} words")],
            [format!("最多 {MOST_WORDS} 个"), format!("expected at most {MOST_WORDS}")],
        ));
    }
    check(&words, rules::check_word)?;
    let count = words.len();
    Ok((words, count_of(count)))
}

fn patterns(patterns: Vec<String>) -> Result<(Vec<String>, String), Wrong> {
    check(&patterns, rules::check_pattern)?;
    let count = patterns.len();
    Ok((patterns, count_of(count)))
}

fn count_of(count: usize) -> String {
    if count == 0 { NOT_SET.to_owned() } else { format!("({count})") }
}

fn check(texts: &[String], rule: impl Fn(&str) -> Result<(), Unusable>) -> Result<(), Wrong> {
    for (index, text) in texts.iter().enumerate() {
        rule(text).map_err(|unusable| unusable_at(index + 1, unusable))?;
    }
    Ok(())
}

fn unusable_at(number: usize, unusable: Unusable) -> Wrong {
    let wrong =
        |zh: &str, en: &str| [format!("第 {number} 项{zh}"), format!("has an entry, number {number}, that {en}")];
    match unusable {
        Unusable::Empty => Wrong::new(
            wrong("没有可以匹配的字", "has no letters"),
            [
                "应为词语；空格、零宽字符和 * ` ~ 不参与匹配",
                "expected a word; spaces, zero-width characters and * ` ~ do not count",
            ],
        ),
        Unusable::TooLong => Wrong::new(
            wrong("太长", "is too long"),
            [format!("每个词最多 {LONGEST_WORD} 个字"), format!("expected at most {LONGEST_WORD} characters")],
        ),
        Unusable::Pattern => Wrong::new(
            wrong("不是可用的正则表达式", "is no regular expression that can be used"),
            [
                "应为 Rust regex 语法（不支持环视和反向引用），在 TOML 里用单引号，例如 '\\d{6}'",
                "expected the syntax of Rust's regex (no look-around, no back references), in TOML in single quotes, such as \
                 '\\d{6}'",
            ],
        ),
    }
}

/// The lines of a file, without empty ones and those that begin with `#`.
fn lines(path: &str) -> Result<Vec<String>, Wrong> {
    let right = [
        "应为每行一个词的 UTF-8 文本文件，最大 4 MiB",
        "expected a text file in UTF-8, a word a line, of 4 MiB at most",
    ];
    let size = fs::metadata(path).map(|file| file.len());
    if size.as_ref().is_ok_and(|size| *size > MOST_FILE_BYTES) {
        return Err(Wrong::new(["太大", "is too large"], right));
    }
    let text = fs::read_to_string(path).map_err(|error| {
        Wrong::new([format!("无法读取：{error}"), format!("cannot be read: {error}")], right.map(str::to_owned))
    })?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    Ok(lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
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
            json if json.starts_with("[\"") || json == "[]" => serde_json::from_str(json).map_err(|_| not_a_list())?,
            text => text.split(separators).map(str::to_owned).collect(),
        },
    };
    Ok(texts.iter().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(value: &Value) -> Option<Vec<String>> {
        list(value, &[',']).ok()
    }

    #[test]
    fn a_list_is_one_in_a_file_and_in_a_variable() {
        let expected = Some(vec!["a".to_owned(), "b c".to_owned()]);
        let two = Value::List(vec![Value::Text("a".to_owned()), Value::Text(" b c ".to_owned())]);
        assert_eq!(texts(&two), expected);
        for text in ["a,b c", " a , b c,,", r#"["a", "b c"]"#] {
            assert_eq!(texts(&Value::Untyped(text.to_owned())), expected, "{text}");
        }
        assert_eq!(texts(&Value::Untyped(String::new())), Some(Vec::new()));
        assert_eq!(texts(&Value::Untyped("[\"a\"".to_owned())), None);
        assert_eq!(texts(&Value::List(vec![Value::Whole(1)])), None);
    }

    #[test]
    fn what_cannot_be_looked_for_is_named_by_its_number_and_not_by_its_text() {
        for (words, number) in [(vec!["好", "***"], "2"), (vec![&"长".repeat(65)], "1")] {
            let wrong =
                super::words(words.into_iter().map(str::to_owned).collect()).err().map(|wrong| format!("{wrong:?}"));
            assert!(wrong.as_ref().is_some_and(|wrong| wrong.contains(number) && !wrong.contains("长长")), "{wrong:?}");
        }
        assert!(patterns(vec!["(".to_owned()]).is_err());
        assert!(patterns(vec!["(?=a)b".to_owned()]).is_err(), "no look-around");
        assert!(words(vec!["词".to_owned(); MOST_WORDS + 1]).is_err());
    }

    #[test]
    fn a_file_has_a_word_a_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), "\u{feff}# 说明\n甲乙\n\n  丙丁 \n").expect("written");
        assert_eq!(lines(&file.path().display().to_string()).ok(), Some(vec!["甲乙".to_owned(), "丙丁".to_owned()]));
        assert!(lines("/nowhere/words.txt").is_err());
    }
}
