//! Takes values from the settings, typed, and collects what is wrong with them.
//!
//! Knows the kinds of values, not the keys. A section first takes all its values and only then looks at them, so that
//! all faults are told at once.

use std::{collections::BTreeMap, fmt::Display, ops::RangeInclusive};

use super::{
    app,
    fault::{Fault, Wrong},
    layers::Settings,
    loaded::Row,
    setting::{Origin, Setting, Value},
    url,
    variable::variable_of,
};
use crate::secret::Secret;

/// The value is unusable and the fault reported. There is nothing left to do but to go on with the next one.
#[derive(Debug)]
pub(super) struct Reported;

/// What is shown for a value that is not set.
pub(super) const NOT_SET: &str = "(not set)";

/// The reader of all sections.
pub(super) struct Reader<'a> {
    settings: &'a Settings,
    faults: Vec<Fault>,
    rows: Vec<Row>,
    /// Whose settings are read; `None`: those for all.
    app: Option<String>,
}

/// Where the value of a key stands.
struct Found<'a> {
    place: String,
    setting: &'a Setting,
    /// Whether it is not this application's own: what there is to tell of it is told where it stands.
    inherited: bool,
}

/// What an application does not set and does not inherit.
static UNSET: Setting = Setting { value: Value::Text(String::new()), origin: Origin::Default };

impl<'a> Reader<'a> {
    /// Goes on with the faults that were found on the way to `settings`.
    pub(super) fn new(settings: &'a Settings, faults: Vec<Fault>) -> Self {
        Self { settings, faults, rows: Vec::new(), app: None }
    }

    /// Reads for the application of this name: its own settings where it has them, otherwise those for all.
    pub(super) fn for_app<T>(&mut self, name: &str, read: impl FnOnce(&mut Self) -> T) -> T {
        self.app = Some(name.to_owned());
        let value = read(self);
        self.app = None;
        value
    }

    /// The names of the applications that have sections of their own, in their order.
    pub(super) fn app_names(&self) -> Vec<String> {
        self.settings.app_names()
    }

    /// Whether there is an application of `[wecom]`.
    pub(super) fn has_single(&self) -> bool {
        app::has_single(self.settings)
    }

    /// The place of `key` for whom it is read, and what stands there.
    fn find(&self, key: &'static str) -> Option<Found<'a>> {
        if let Some((name, own)) = self.app.as_ref().and_then(|name| Some((name, app::Key::of(key)?))) {
            let place = format!("{}.{name}.{}", app::SECTION, own.own);
            if let Some(setting) = self.settings.get(&place) {
                return Some(Found { place, setting, inherited: false });
            }
            if !own.inherited {
                return Some(Found { place, setting: &UNSET, inherited: true });
            }
        }
        let setting = self.settings.get(key)?;
        Some(Found { place: key.to_owned(), setting, inherited: self.app.is_some() })
    }

    /// Where `key` is set for whom it is read.
    fn place(&self, key: &str) -> String {
        match (&self.app, app::Key::of(key)) {
            (Some(name), Some(own)) => format!("{}.{name}.{}", app::SECTION, own.own),
            _ => key.to_owned(),
        }
    }

    /// All faults, and every value that was taken, as it may be shown.
    pub(super) fn finish(self) -> (Vec<Fault>, Vec<Row>) {
        (self.faults, self.rows)
    }

    /// A value that must be set. `hint` says what it is and where to find it.
    pub(super) fn required<T: Display>(
        &mut self,
        key: &'static str,
        hint: [&str; 2],
        parse: impl FnOnce(&Value) -> Result<T, Wrong>,
    ) -> Result<T, Reported> {
        if self.find(key).is_some_and(|found| found.setting.value.is_empty()) {
            return Err(self.missing(key, hint));
        }
        self.take(key, |value| parse(value).map(shown))
    }

    /// Reports that `key` is not set and must be. Silent while the file cannot be read: it may well be in there.
    pub(super) fn missing(&mut self, key: &'static str, hint: [&str; 2]) -> Reported {
        if self.settings.complete {
            let key = self.place(key);
            let section = key.rsplit_once('.').map_or(&*key, |(section, _)| section);
            let (variable, [zh, en]) = (variable_of(&key), hint);
            let remedy = [
                format!("在配置文件的 [{section}] 或环境变量 {variable} 里填写：{zh}"),
                format!("set it in [{section}] or as {variable} to {en}"),
            ];
            self.faults.push(Fault::at(&key, Wrong::new(["没有填写", "is missing"], remedy)));
        }
        Reported
    }

    /// Reports that `key` contradicts another one.
    pub(super) fn contradiction(&mut self, key: &'static str, wrong: Wrong) -> Reported {
        self.faults.push(Fault::at(self.place(key), wrong));
        Reported
    }

    /// The same, where it is set for whom it is read: what is inherited is told where it stands.
    pub(super) fn own_contradiction(&mut self, key: &'static str, wrong: Wrong) {
        if let Some(Found { place, setting, inherited: false }) = self.find(key) {
            self.faults.push(Fault::at(place, wrong).coming_from(&setting.origin));
        }
    }

    /// Text that obeys `rule` and is not empty.
    pub(super) fn text<T: Display>(
        &mut self,
        key: &'static str,
        rule: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<T, Reported> {
        self.take(key, |value| match value.text()? {
            "" => Err(Wrong::new(
                ["是空的", "is empty"],
                ["请填写；想用默认值就删掉这一行", "expected a value, or no such line, for the default"],
            )),
            text => rule(text).map(shown),
        })
    }

    /// Text that obeys `rule`, or `""`.
    pub(super) fn optional_text<T: Display>(
        &mut self,
        key: &'static str,
        rule: impl FnOnce(&str) -> Result<T, Wrong>,
    ) -> Result<Option<T>, Reported> {
        self.take(key, |value| match value.text()? {
            "" => Ok((None, NOT_SET.to_owned())),
            text => rule(text).map(shown).map(|(value, shown)| (Some(value), shown)),
        })
    }

    /// A proxy, or `""`.
    pub(super) fn proxy(&mut self, key: &'static str) -> Result<Option<Secret<String>>, Reported> {
        self.take(key, |value| match value.text()? {
            "" => Ok((None, NOT_SET.to_owned())),
            text => url::proxy(text).map(|proxy| (Some(proxy.url), proxy.shown)),
        })
    }

    /// A whole number within `range`.
    pub(super) fn whole<T>(&mut self, key: &'static str, range: RangeInclusive<T>) -> Result<T, Reported>
    where
        T: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        self.take(key, |value| whole_within(value.whole()?, &range, [""; 2]).map(shown))
    }

    /// A whole number within `range`, or 0 for no limit or never.
    pub(super) fn whole_or_none<T>(
        &mut self,
        key: &'static str,
        range: RangeInclusive<T>,
    ) -> Result<Option<T>, Reported>
    where
        T: Copy + Display + PartialOrd + TryFrom<i64>,
    {
        self.take(key, |value| match value.whole()? {
            0 => Ok((None, "0".to_owned())),
            number => {
                whole_within(number, &range, ["，或 0", ", or 0"]).map(|number| (Some(number), number.to_string()))
            }
        })
    }

    /// A number within `range`, or `""`.
    pub(super) fn fraction_or_none(
        &mut self,
        key: &'static str,
        range: RangeInclusive<f64>,
    ) -> Result<Option<f64>, Reported> {
        self.take(key, |value| {
            if value.is_empty() {
                return Ok((None, NOT_SET.to_owned()));
            }
            let number = value.fraction()?;
            if range.contains(&number) {
                Ok((Some(number), number.to_string()))
            } else {
                let (least, most) = (range.start(), range.end());
                let right = [
                    format!("应为 {least} 到 {most} 的数，或 \"\""),
                    format!("expected a number from {least} to {most}, or \"\""),
                ];
                Err(Wrong::new(out_of_range(number), right))
            }
        })
    }

    /// A price in units of the currency, or `""` for nothing; in micro-units.
    pub(super) fn price(&mut self, key: &'static str) -> Result<u64, Reported> {
        let price = self.fraction_or_none(key, 0.0..=1_000_000.0)?;
        // Exact for every price that somebody writes: at most six decimals are kept.
        Ok((price.unwrap_or(0.0) * 1e6).round() as u64)
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, key: &'static str) -> Result<bool, Reported> {
        self.take(key, |value| value.flag().map(shown))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&str, T)]) -> Result<T, Reported> {
        self.take(key, |value| {
            let text = value.text()?;
            match choices.iter().find(|(word, _)| word.eq_ignore_ascii_case(text)) {
                Some((word, choice)) => Ok((*choice, (*word).to_owned())),
                None => {
                    let words: Vec<_> = choices.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                    let right = [format!("应为 {}", words.join(" 或 ")), format!("expected {}", words.join(" or "))];
                    Err(Wrong::new(["不是可选的值", "is none of the choices"], right))
                }
            }
        })
    }

    /// A value of any kind: `parse` gives it together with what may be shown of it.
    pub(super) fn take<T>(
        &mut self,
        key: &'static str,
        parse: impl FnOnce(&Value) -> Result<(T, String), Wrong>,
    ) -> Result<T, Reported> {
        let Some(Found { place, setting, inherited }) = self.find(key) else {
            self.faults.push(Fault::at(
                key,
                Wrong::new(
                    ["没有默认值", "has no default"],
                    ["config.example.toml 里应有这一行", "expected a line in config.example.toml"],
                ),
            ));
            return Err(Reported);
        };
        if matches!(setting.value, Value::Reported) {
            return Err(Reported);
        }
        match parse(&setting.value) {
            // Said once, where it stands.
            Ok((value, _)) if inherited => Ok(value),
            Err(_) if inherited => Err(Reported),
            Ok((value, shown)) => {
                self.rows.push(Row { key: place, origin: setting.origin.clone(), shown });
                Ok(value)
            }
            Err(wrong) => {
                self.faults.push(Fault::at(place, wrong).coming_from(&setting.origin));
                Err(Reported)
            }
        }
    }
}

/// A value that may be shown as it prints itself; a [`Secret`] prints stars.
fn shown<T: Display>(value: T) -> (T, String) {
    let shown = value.to_string();
    (value, shown)
}

fn whole_within<T>(number: i64, range: &RangeInclusive<T>, or: [&str; 2]) -> Result<T, Wrong>
where
    T: Copy + Display + PartialOrd + TryFrom<i64>,
{
    match T::try_from(number) {
        Ok(fitting) if range.contains(&fitting) => Ok(fitting),
        _ => {
            let (least, most, [zh, en]) = (range.start(), range.end(), or);
            let right = [
                format!("应为 {least} 到 {most} 的整数{zh}"),
                format!("expected a whole number from {least} to {most}{en}"),
            ];
            Err(Wrong::new(out_of_range(number), right))
        }
    }
}

fn out_of_range(number: impl Display) -> [String; 2] {
    [format!("是 {number}"), format!("is {number}")]
}

/// Text without further rules.
pub(super) fn any(text: &str) -> Result<String, Wrong> {
    Ok(text.to_owned())
}

/// A secret that can be sent in a header or a URL: no white space, no Chinese, no leftover of a placeholder.
pub(super) fn credential(text: &str) -> Result<Secret<String>, Wrong> {
    if text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(text.to_owned()))
    } else {
        Err(Wrong::new(
            ["含有空格、中文或其他非 ASCII 字符", "holds a space or a letter that is not ASCII"],
            ["请重新复制原值", "expected it as it was issued"],
        ))
    }
}

/// A secret that people choose for us: long enough that nobody finds it by trying.
pub(super) fn key(text: &str, least: usize) -> Result<Secret<String>, Wrong> {
    if !(least..=256).contains(&text.chars().count()) {
        let length = text.chars().count();
        let right = [
            format!("应为 {least} 到 256 个字母、数字和符号，可用 openssl rand -hex 24 生成"),
            format!("expected {least} to 256 letters, digits and signs, such as `openssl rand -hex 24` makes"),
        ];
        return Err(Wrong::new([format!("有 {length} 个字符"), format!("has {length} characters")], right));
    }
    credential(text)
}

/// `name = "text"` lines: a table from a file, or JSON from a variable.
pub(super) fn texts(value: &Value, section: &'static str) -> Result<BTreeMap<String, String>, Wrong> {
    match value {
        Value::Table(table) => table
            .iter()
            .map(|(name, value)| match value {
                Value::Text(text) => Ok((name.clone(), text.clone())),
                _ => Err(Wrong::new(
                    ["里有不是文本的值", "holds a value that is not text"],
                    [
                        format!("每个值都应有引号；本节的其他项应写在 [{section}] 之前"),
                        format!("expected every value in quotes, and the keys of the section above [{section}]"),
                    ],
                )),
            })
            .collect(),
        // The parser's own message would quote the text.
        Value::Untyped(json) if json.trim().is_empty() => Ok(BTreeMap::new()),
        Value::Untyped(json) => serde_json::from_str(json).map_err(|_| {
            Wrong::new(
                ["不是由文本组成的 JSON 对象", "is not a JSON object of texts"],
                ["例如 {\"name\":\"text\"}", "expected such as {\"name\":\"text\"}"],
            )
        }),
        other => Err(other.unexpected(["单独的一节", "a section of its own"])),
    }
}
