//! `[menu]`: the menu below the chat.
//!
//! Its entries are a list of tables, each read as a whole. What WeCom would refuse is refused here (page 90231).

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported},
    setting::Value,
    table::{self, Table, missing},
    url,
};
use crate::model::command::{Command, TABLE};

/// Entries of the menu.
const MOST_ENTRIES: usize = 3;
/// Entries that one of them opens.
const MOST_BELOW: usize = 5;
/// Bytes of a name in the menu; five Chinese characters are fifteen.
const NAME_BYTES: usize = 16;
/// Bytes of a name below one.
const NAME_BYTES_BELOW: usize = 40;
/// Bytes of an address.
const URL_BYTES: usize = 1024;
/// The keys of an entry.
const ENTRY: [&str; 4] = ["name", "command", "url", "entries"];

/// The section's values, for one application.
#[derive(Clone, Debug)]
pub struct Menu {
    /// Whether a menu is made for an application that has none.
    pub enabled: bool,
    /// What stands in it: at most three; empty for the usual one.
    pub entries: Vec<MenuEntry>,
}

/// An entry of the menu.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MenuEntry {
    /// Does something.
    Item(MenuItem),
    /// Opens one to five others.
    Group {
        /// At most 16 bytes.
        name: String,
        /// What it opens.
        items: Vec<MenuItem>,
    },
}

/// An entry that does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MenuItem {
    /// At most 16 bytes; below another entry 40.
    pub name: String,
    /// What it does.
    pub does: MenuAction,
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MenuAction {
    /// A command that needs nothing behind its name.
    Command(Command),
    /// Opens a page: an address of at most 1024 bytes.
    Open(String),
}

impl Menu {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let enabled = reader.flag("menu.enabled");
        let entries = reader.take("menu.entries", entries);
        Ok(Self { enabled: enabled?, entries: entries? })
    }
}

fn entries(value: &Value) -> Result<(Vec<MenuEntry>, String), Wrong> {
    let entries = table::list(value, "menu.entries", entry)?;
    if entries.len() > MOST_ENTRIES {
        return Err(too_many(entries.len(), MOST_ENTRIES));
    }
    let shown: Vec<String> = entries.iter().map(shown).collect();
    Ok((entries, if shown.is_empty() { NOT_SET.to_owned() } else { shown.join("; ") }))
}

fn shown(entry: &MenuEntry) -> String {
    let item = |item: &MenuItem| match &item.does {
        MenuAction::Command(command) => format!("{} → {}", item.name, command.row().names[0]),
        MenuAction::Open(url) => format!("{} → {url}", item.name),
    };
    match entry {
        MenuEntry::Item(one) => item(one),
        MenuEntry::Group { name, items } => {
            format!("{name} ({})", items.iter().map(item).collect::<Vec<_>>().join(", "))
        }
    }
}

fn entry(value: &Value) -> Result<MenuEntry, Wrong> {
    let table = Table::new(value, &ENTRY)?;
    let below = table.list("entries")?;
    if below.is_empty() {
        return item(&table, NAME_BYTES, &ENTRY[1..]).map(MenuEntry::Item);
    }
    let name = name(&table, NAME_BYTES)?;
    if let Some(other) = ["command", "url"].into_iter().find(|key| table.get(key).is_some()) {
        return Err(only_one(&["entries", other]));
    }
    if below.len() > MOST_BELOW {
        return Err(too_many(below.len(), MOST_BELOW).within("entries"));
    }
    let read = |(index, value)| {
        let item = Table::new(value, &ENTRY[..3]).and_then(|table| item(&table, NAME_BYTES_BELOW, &ENTRY[1..3]));
        item.map_err(|wrong| wrong.within(&format!("[{}]", index + 1)).within("entries"))
    };
    Ok(MenuEntry::Group { name, items: below.iter().enumerate().map(read).collect::<Result<_, _>>()? })
}

/// An entry that does something; `ways` are the keys that say what.
fn item(table: &Table<'_>, most: usize, ways: &[&str]) -> Result<MenuItem, Wrong> {
    let name = name(table, most)?;
    let does = match (table.text("command")?, table.text("url")?) {
        (Some(text), None) => MenuAction::Command(command(text).map_err(|wrong| wrong.within("command"))?),
        (None, Some(text)) => MenuAction::Open(address(text).map_err(|wrong| wrong.within("url"))?),
        (Some(_), Some(_)) => return Err(only_one(&["command", "url"])),
        (None, None) => {
            return Err(Wrong::new(
                ["没有说明做什么", "does not say what it does"],
                [format!("应有 {} 之一", ways.join("、")), format!("expected one of {}", ways.join(", "))],
            ));
        }
    };
    Ok(MenuItem { name, does })
}

fn name(table: &Table<'_>, most: usize) -> Result<String, Wrong> {
    let name = table.text("name")?.ok_or_else(|| missing("name", ["显示的名字", "the name that members see"]))?;
    if name.len() > most || name.chars().any(char::is_control) {
        let (bytes, characters) = (name.len(), most / 3);
        return Err(Wrong::new(
            [format!("有 {bytes} 字节"), format!("has {bytes} bytes")],
            [
                format!("应为最多 {most} 字节的一行，即 {characters} 个汉字或 {most} 个字母"),
                format!("expected one line of at most {most} bytes: {characters} Chinese characters or {most} letters"),
            ],
        )
        .within("name"));
    }
    Ok(name.to_owned())
}

/// The command that `text` is, by any of its names.
fn command(text: &str) -> Result<Command, Wrong> {
    let asked = Command::parse(text);
    match asked {
        Some(asked) if asked.argument.is_empty() && asked.command.stands_alone() => Ok(asked.command),
        Some(asked) if asked.command.stands_alone() => {
            let name = asked.command.row().names[0];
            Err(Wrong::new(
                ["命令后面还有内容", "holds more than the command"],
                [format!("应只有命令，例如 {name}"), format!("expected only the command, such as {name}")],
            ))
        }
        _ => {
            let known = || TABLE.iter().filter(|row| row.command.stands_alone()).map(|row| row.names[0]);
            let problem = match asked {
                Some(_) => ["是需要附带内容的命令", "is a command that needs something behind it"],
                None => ["不是命令", "is no command"],
            };
            let right = match Command::meant(text)
                .filter(|meant| Command::parse(meant).is_some_and(|asked| asked.command.stands_alone()))
            {
                Some(meant) => [format!("是不是 {meant}？"), format!("did you mean {meant}?")],
                None => [
                    format!("应为以下之一：{}", known().collect::<Vec<_>>().join("、")),
                    format!("expected one of {}", known().collect::<Vec<_>>().join(", ")),
                ],
            };
            Err(Wrong::new(problem.map(str::to_owned), right))
        }
    }
}

fn address(text: &str) -> Result<String, Wrong> {
    let url = url::any_http(text)?;
    if url.len() > URL_BYTES {
        let bytes = url.len();
        return Err(Wrong::new(
            [format!("有 {bytes} 字节"), format!("has {bytes} bytes")],
            [format!("应为最多 {URL_BYTES} 字节的网址"), format!("expected an address of at most {URL_BYTES} bytes")],
        ));
    }
    Ok(url)
}

fn too_many(count: usize, most: usize) -> Wrong {
    Wrong::new(
        [format!("有 {count} 项"), format!("has {count} entries")],
        [format!("应为 1 到 {most} 项"), format!("expected 1 to {most}")],
    )
}

fn only_one(keys: &[&str]) -> Wrong {
    Wrong::new(
        [format!("既有 {} 又有 {}", keys[0], keys[1]), format!("has both {} and {}", keys[0], keys[1])],
        ["二者只能有一个", "expected one of the two"],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<(Vec<MenuEntry>, String), String> {
        entries(&Value::Untyped(json.to_owned())).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn entries_are_commands_links_and_others_below() {
        let json = r#"[{"name":"新对话","command":"/新对话"},{"name":"主页","url":"https://example.com/a?b=c#d"},
            {"name":"更多","entries":[{"name":"我的用量和剩余额度","command":"/usage"}]}]"#;
        let (menu, shown) = read(json).expect("read");
        assert_eq!(
            menu[0],
            MenuEntry::Item(MenuItem { name: "新对话".to_owned(), does: MenuAction::Command(Command::New) })
        );
        assert_eq!(shown, "新对话 → /new; 主页 → https://example.com/a?b=c#d; 更多 (我的用量和剩余额度 → /usage)");
        assert_eq!(read("").expect("read").1, NOT_SET);
    }

    #[test]
    fn what_wecom_would_refuse_is_told_with_its_place_and_what_would_be_right() {
        let one = r#"{"name":"a","command":"/new"}"#;
        let below = |items: &str| format!(r#"[{{"name":"a","entries":[{items}]}}]"#);
        for (json, told) in [
            ("{}".to_owned(), "is a section; expected a list of objects"),
            (format!("[{one},{one},{one},{one}]"), "has 4 entries; expected 1 to 3"),
            (below(&[one; 6].join(",")), "[1]: entries: has 6 entries; expected 1 to 5"),
            (format!(r#"[{one},{{"command":"/new"}}]"#), "[2]: lacks name; expected the name that members see"),
            (
                r#"[{"name":"一二三四五六","command":"/new"}]"#.to_owned(),
                "[1]: name: has 18 bytes; expected one line of at most 16 bytes: 5 Chinese characters or 16 letters",
            ),
            (
                below(&format!(r#"{{"name":"{}","command":"/new"}}"#, "a".repeat(41))),
                "[1]: entries: [1]: name: has 41 bytes; expected one line of at most 40 bytes: 13 Chinese characters or \
                 40 letters",
            ),
            (r#"[{"name":"a","command":"/modle"}]"#.to_owned(), "[1]: command: is no command; did you mean /model?"),
            (
                r#"[{"name":"a","command":"/model smart"}]"#.to_owned(),
                "[1]: command: holds more than the command; expected only the command, such as /model",
            ),
            (
                r#"[{"name":"a","command":"/remember"}]"#.to_owned(),
                "[1]: command: is a command that needs something behind it; expected one of /new, /stop, /retry, \
                 /model, /persona, /lang, /voice, /markdown, /usage, /more, /history, /export, /memory, /key, /help, \
                 /status, /blocked",
            ),
            (r#"[{"name":"a"}]"#.to_owned(), "[1]: does not say what it does; expected one of command, url, entries"),
            (
                r#"[{"name":"a","command":"/new","url":"https://a.cn"}]"#.to_owned(),
                "[1]: has both command and url; expected one of the two",
            ),
            (
                format!(r#"[{{"name":"a","command":"/new","entries":[{one}]}}]"#),
                "[1]: has both entries and command; expected one of the two",
            ),
            (
                below(r#"{"name":"b","entries":[]}"#),
                "[1]: entries: [1]: holds a key that is not known; expected name, command, url",
            ),
            (
                r#"[{"name":"a","url":"example.com"}]"#.to_owned(),
                "[1]: url: does not begin with http:// or https://; expected a URL such as \
                 https://hooks.example.com/qimate",
            ),
            (
                format!(r#"[{{"name":"a","url":"https://a.cn/{}"}}]"#, "a".repeat(1024)),
                "[1]: url: has 1037 bytes; expected an address of at most 1024 bytes",
            ),
        ] {
            assert_eq!(read(&json).expect_err("wrong"), told);
        }
    }
}
