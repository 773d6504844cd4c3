//! A configuration file's text, as keys with their values and lines.

use std::{borrow::Cow, io, ops::Range};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    app,
    fault::{Fault, Wrong},
    setting::{Origin, Setting, Value},
};

/// How many syntax errors are told: one missing quote makes the rest of the file look wrong.
const MOST_SYNTAX_ERRORS: usize = 3;

/// Splits `text` into its keys (`section.key`), in the order of the file. `None`, and faults, when it is not TOML.
/// Whether the keys are known is not asked here.
pub(super) fn parse(name: &str, text: &str, faults: &mut Vec<Fault>) -> Option<Vec<(String, Setting)>> {
    let (table, mut errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        errors.sort_by_key(|error| error.span().map(|span| span.start));
        faults.extend(errors.iter().take(MOST_SYNTAX_ERRORS).map(|error| syntax_fault(name, text, error)));
        return None;
    }
    let origin = |span: Range<usize>| Origin::File { name: name.to_owned(), line: line_and_column(text, span.start).0 };
    let mut settings = Vec::new();
    for (section, content) in in_file_order(table.into_inner()) {
        let (at, section) = (section.span(), section.into_inner());
        let DeValue::Table(content) = content.into_inner() else {
            let wrong = Wrong::new(
                ["不在任何一节里", "stands outside of any section"],
                ["应写在 [llm] 这样的一行之后", "expected it below a line such as [llm]"],
            );
            faults.push(Fault::at(section, wrong).coming_from(&origin(at)));
            continue;
        };
        for (key, value) in in_file_order(content) {
            let (at, key) = (key.span(), format!("{section}.{}", key.into_inner()));
            match value.into_inner() {
                // Of an application: its keys one by one, each with its line.
                DeValue::Table(content) if section == app::SECTION && !content.is_empty() => {
                    for (of_app, value) in in_file_order(content) {
                        let setting = Setting { value: typed(value.into_inner()), origin: origin(of_app.span()) };
                        settings.push((format!("{key}.{}", of_app.into_inner()), setting));
                    }
                }
                value => settings.push((key, Setting { value: typed(value), origin: origin(at) })),
            }
        }
    }
    Some(settings)
}

/// Why a file could not be read, without its name.
pub(super) fn why_unread(error: &io::Error) -> [String; 2] {
    match error.kind() {
        io::ErrorKind::NotFound => ["不存在", "is not there"].map(str::to_owned),
        // What a container gets when the file to be mounted is missing on the host.
        io::ErrorKind::IsADirectory => ["是目录，不是文件", "is a directory"].map(str::to_owned),
        io::ErrorKind::InvalidData => ["不是 UTF-8 编码", "is not in UTF-8"].map(str::to_owned),
        _ => [format!("无法读取（{error}）"), format!("cannot be read ({error})")],
    }
}

type Entry<'a> = (Spanned<Cow<'a, str>>, Spanned<DeValue<'a>>);

fn in_file_order(table: DeTable<'_>) -> Vec<Entry<'_>> {
    let mut entries: Vec<_> = table.into_iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    entries
}

fn typed(value: DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.into_owned()),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_or(Value::Other(["超出范围的数", "a number beyond all bounds"]), Value::Whole),
        DeValue::Float(digits) => digits
            .as_str()
            .parse()
            .map_or(Value::Other(["超出范围的数", "a number beyond all bounds"]), Value::Fraction),
        DeValue::Boolean(flag) => Value::Flag(flag),
        DeValue::Datetime(_) => Value::Other(["日期", "a date"]),
        DeValue::Array(list) => Value::List(list.into_iter().map(|value| typed(value.into_inner())).collect()),
        DeValue::Table(table) => Value::Table(
            table.into_iter().map(|(key, value)| (key.into_inner().into_owned(), typed(value.into_inner()))).collect(),
        ),
    }
}

/// Only the parser's own words: its long form quotes the line, and with it whatever secret stands there.
fn syntax_fault(name: &str, text: &str, error: &toml::de::Error) -> Fault {
    let (line, column) = line_and_column(text, error.span().map_or(0, |span| span.start));
    let problem = [format!("不是 TOML 格式：{}", error.message()), format!("is not TOML: {}", error.message())];
    Fault::at(
        format!("{name}:{line}:{column}"),
        Wrong::new(problem, ["应为 key = \"value\" 这样的行", "expected lines such as key = \"value\""]),
    )
}

/// Both counted from 1; columns in characters.
fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn faults(text: &str) -> String {
        let mut faults = Vec::new();
        parse("config.toml", text, &mut faults);
        faults.iter().map(|fault| format!("{fault}\n")).collect()
    }

    #[test]
    fn a_syntax_error_is_told_with_its_place() {
        let told = faults("[llm]\nmodel = \"a\"\napi_key = hunter2\n");
        assert!(told.starts_with("config.toml:3:11: is not TOML: "), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
        assert!(
            faults("[wecom]\nsecret = \"a\"\nsecret = \"b\"\n")
                .starts_with("config.toml:3:1: is not TOML: duplicate key")
        );
    }

    #[test]
    fn a_key_outside_of_any_section_is_told() {
        assert!(faults("model = \"a\"\n[llm]\n").starts_with("model: stands outside of any section; "));
        assert!(faults("[[llm]]\n").starts_with("llm: stands outside of any section; "));
    }

    proptest! {
        /// However a file is broken, what is said of it does not quote it.
        #[test]
        fn a_broken_file_keeps_its_secrets(at in 0usize..200, junk in "[\\PC\n\"'=\\[\\]{}]{0,3}") {
            let mut text = "[wecom]\nsecret = \"hunter2\"\nagent_id = 1\n[llm]\napi_key = 'hunter2'\nproxy = hunter2\n\
                            extra_headers = { \"X-A\" = \"hunter2\", b = hunter2 }\nhunter2"
                .to_owned();
            let at = at.min(text.len());
            text.insert_str(at, &junk);
            prop_assert!(!faults(&text).contains("hunter"), "{}", faults(&text));
        }
    }
}
