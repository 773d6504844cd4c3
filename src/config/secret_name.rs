//! The settings that hold a secret: the one list of them. Their values can also stand in the database, sealed.
//!
//! To add one: a line here. A test compares the list with every `Secret` field of this room.

use std::fmt;

use super::{
    Config, Environment, Fault, app,
    fault::Wrong,
    layers,
    reader::Reader,
    setting::{Origin, Value},
    suggest::nearest,
};
use crate::secret::Secret;

/// Settings of one value. Those of them that an application may set too have a second name: `apps.NAME.secret`.
pub(super) const SETTINGS: [&str; 17] = [
    "server.operator_key",
    "wecom.secret",
    "wecom.callback_token",
    "wecom.encoding_aes_key",
    "wecom.previous_callback_token",
    "wecom.previous_encoding_aes_key",
    "wecom.proxy",
    "llm.api_key",
    "llm.proxy",
    "llm.extra_headers",
    "voice.transcription_key",
    "voice.speech_key",
    "images.api_key",
    "safety.moderation_key",
    "web.proxy",
    "alerts.webhook_url",
    "alerts.webhook_secret",
];

const UPSTREAMS: &str = "llm.upstreams";
const SERVERS: &str = "tools.mcp";
/// The several keys of an upstream.
const API_KEYS: &str = "api_keys";

/// The lists of tables, and which keys of a table hold secrets: `llm.upstreams.NAME.api_keys`.
pub(super) const IN_LISTS: [(&str, &[&str]); 2] =
    [(UPSTREAMS, &[API_KEYS, "proxy", "extra_headers"]), (SERVERS, &["url", "headers", "proxy", "env"])];

/// The longest value, in bytes: a page of headers.
const LONGEST: usize = 16 * 1024;
/// The longest name of an upstream or a server of tools, in bytes.
const LONGEST_ITEM: usize = 128;

/// The name of a setting that holds a secret, such as `wecom.secret`, `apps.hr.secret` or
/// `llm.upstreams.deepseek.api_keys`. Whether there is such an application or upstream is not asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretName(Place);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A setting of its own.
    Setting(String),
    /// In the table of this name, in a list of tables.
    Item { list: &'static str, name: String, key: &'static str },
}

impl SecretName {
    /// Reads the name of a setting.
    ///
    /// # Errors
    /// [`Fault`]: there is none of this name, or it holds no secret. The text is not quoted: it may be the secret itself.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let text = text.trim();
        if SETTINGS.contains(&app::stands_for(text).unwrap_or(text)) {
            return Ok(Self(Place::Setting(text.to_owned())));
        }
        for (list, keys) in IN_LISTS {
            let rest = text.strip_prefix(list).and_then(|rest| rest.strip_prefix('.'));
            let Some((name, key)) = rest.and_then(|rest| rest.rsplit_once('.')) else { continue };
            let is_name =
                (1..=LONGEST_ITEM).contains(&name.len()) && name.trim() == name && !name.chars().any(char::is_control);
            if let (true, Some(key)) = (is_name, keys.iter().find(|known| **known == key)) {
                return Ok(Self(Place::Item { list, name: name.to_owned(), key }));
            }
        }
        Err(unknown(text))
    }

    pub(super) const fn place(&self) -> &Place {
        &self.0
    }

    /// Whether the setting would take this value, by the rule that holds for it in a file.
    ///
    /// # Errors
    /// [`Fault`]: what is wrong with it, without quoting it.
    pub fn check(&self, value: &Secret<String>) -> Result<(), Fault> {
        let value = value.expose();
        let wrong = match value.len() {
            _ if value.trim().is_empty() => Wrong::new(
                ["是空的", "is empty"],
                ["应为密钥本身；要删除请用 remove", "expected the secret itself; to take it away there is remove"],
            ),
            0..=LONGEST => return self.find_fault(value).map_or(Ok(()), Err),
            length => Wrong::new(
                [format!("有 {length} 字节"), format!("has {length} bytes")],
                [format!("最多 {LONGEST} 字节"), format!("expected at most {LONGEST}")],
            ),
        };
        Err(Fault::at(self.to_string(), wrong))
    }

    /// What a configuration says that has this value and nothing else.
    fn find_fault(&self, value: &str) -> Option<Fault> {
        let mut settings = layers::gather_text("", &mut Vec::new());
        let place = match &self.0 {
            Place::Setting(key) => {
                settings.set(key, self.as_set(value), Origin::Stored);
                key
            }
            Place::Item { list, key, .. } => {
                let text = |text: &str| Value::Text(text.to_owned());
                let list_of = |item: &str| Value::List(vec![text(item)]);
                let way = if *key == "env" { "command" } else { "url" };
                let needed = match *list {
                    UPSTREAMS => [("base_url", text("http://localhost/v1")), ("models", list_of("m"))],
                    _ => [(way, text("http://localhost/")), ("allow", list_of("x"))],
                };
                let pairs = [("name", text("x"))].into_iter().chain(needed).chain([(*key, self.as_set(value))]);
                let table = Value::Table(pairs.map(|(key, value)| (key.to_owned(), value)).collect());
                settings.set(list, Value::List(vec![table]), Origin::Stored);
                &(*list).to_owned()
            }
        };
        let mut reader = Reader::new(&settings, Vec::new());
        // What is wrong is in the reader.
        let _ = Config::read(&mut reader, &Environment::default());
        let (faults, _) = reader.finish();
        faults.into_iter().find(|fault| fault.place() == place).map(|fault| fault.moved(self.to_string()))
    }

    /// A value in the form that the setting takes. Several keys of an upstream stand below each other.
    pub(super) fn as_set(&self, value: &str) -> Value {
        match &self.0 {
            Place::Item { key, .. } if *key == API_KEYS => {
                let keys = value.lines().map(str::trim).filter(|key| !key.is_empty());
                Value::List(keys.map(|key| Value::Text(key.to_owned())).collect())
            }
            _ => Value::Untyped(value.trim().to_owned()),
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Setting(key) => f.write_str(key),
            Place::Item { list, name, key } => write!(f, "{list}.{name}.{key}"),
        }
    }
}

/// Every form of a name, with `NAME` in the place of an application's, an upstream's or a server's.
pub fn forms() -> Vec<String> {
    let of_apps =
        app::KEYS.iter().filter(|key| key.stands_for_one_of(&SETTINGS)).map(|key| format!("apps.NAME.{}", key.own));
    let in_lists = IN_LISTS.iter().flat_map(|(list, keys)| keys.iter().map(move |key| format!("{list}.NAME.{key}")));
    SETTINGS.iter().map(|key| (*key).to_owned()).chain(of_apps).chain(in_lists).collect()
}

fn unknown(text: &str) -> Fault {
    let forms = forms();
    let remedy = match nearest(text, forms.iter().map(String::as_str)) {
        Some(meant) => [format!("是不是 {meant}？"), format!("did you mean {meant}?")],
        None => [format!("应为 {}", forms.join("、")), format!("expected one of {}", forms.join(", "))],
    };
    let problem = ["不是可以保存密钥的设置".to_owned(), "is no setting that holds a secret".to_owned()];
    Fault::at("NAME", Wrong::new(problem, remedy))
}
