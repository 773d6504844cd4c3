//! Key by key, the value that wins: the example's, the file's, the environment's.
//!
//! Knows every key by its name, from the example, and no key's type.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use super::{
    app,
    chat::Language,
    environment::Environment,
    fault::{Fault, Wrong},
    file, legacy, platform,
    setting::{Origin, Setting, Value},
    suggest::nearest,
    variable,
};

/// The defaults, and the administrator's documentation of them.
pub(super) const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The key whose port the platform may choose.
const LISTEN: &str = "server.listen";

/// Every key's winning value.
pub(super) struct Settings {
    by_key: BTreeMap<String, Setting>,
    /// Whether the configuration file could be read, if there is one. If not, nobody knows what is missing.
    pub(super) complete: bool,
}

impl Settings {
    /// The value of `key`, which is `None` only for a key that the example lacks.
    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.by_key.get(key)
    }

    /// The keys of applications that are set, in the order of their names.
    pub(super) fn app_keys(&self) -> Vec<String> {
        self.keys().filter(|key| app::name_in(key).is_some()).map(str::to_owned).collect()
    }

    /// The names of the applications of which anything is set, in their order.
    pub(super) fn app_names(&self) -> Vec<String> {
        let names: BTreeSet<_> = self.keys().filter_map(app::name_in).map(str::to_owned).collect();
        names.into_iter().collect()
    }

    /// The language in which faults can be told, whatever else is wrong.
    pub(super) fn language(&self) -> Language {
        let english = self.get("chat.language").is_some_and(|setting| {
            matches!(&setting.value, Value::Text(text) | Value::Untyped(text) if text.trim().eq_ignore_ascii_case("en"))
        });
        if english { Language::English } else { Language::Chinese }
    }

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    /// Puts a value in the place of the one before.
    pub(super) fn set(&mut self, key: &str, value: Value, origin: Origin) {
        self.by_key.insert(key.to_owned(), Setting { value, origin });
    }

    fn is_default(&self, key: &str) -> bool {
        self.get(key).is_some_and(|setting| setting.origin == Origin::Default)
    }
}

/// Gathers the values. `explicit` is the file of `--config`.
pub(super) fn gather(explicit: Option<&Path>, environment: &Environment, faults: &mut Vec<Fault>) -> Settings {
    let file = which_file(explicit, environment, faults);
    gather_from(file, environment, faults)
}

/// The same with a file that is known already, and who named it; or without any.
pub(super) fn gather_from(
    file: Option<(PathBuf, Option<Origin>)>,
    environment: &Environment,
    faults: &mut Vec<Fault>,
) -> Settings {
    let mut settings = defaults(faults);
    if let Some((path, origin)) = file {
        take_file(&mut settings, &path, origin.as_ref(), faults);
    }
    take_variables(&mut settings, environment, faults);
    take_other_names(&mut settings, environment, faults);
    take_port(&mut settings, environment, faults);
    settings
}

/// Every key, in the order of the example.
pub(super) fn keys_in_order() -> Vec<String> {
    let entries = file::parse("config.example.toml", EXAMPLE, &mut Vec::new()).unwrap_or_default();
    entries.into_iter().map(|(key, _)| key).collect()
}

/// Gathers the values of a file's `text`, with no environment.
pub(super) fn gather_text(text: &str, faults: &mut Vec<Fault>) -> Settings {
    let mut settings = defaults(faults);
    let entries = file::parse("the new file", text, faults);
    take_entries(&mut settings, entries, faults);
    settings
}

fn defaults(faults: &mut Vec<Fault>) -> Settings {
    let entries = file::parse("config.example.toml", EXAMPLE, faults).unwrap_or_default();
    let by_key =
        entries.into_iter().map(|(key, setting)| (key, Setting { origin: Origin::Default, ..setting })).collect();
    Settings { by_key, complete: true }
}

/// The file to read and who named it; nobody names the usual one.
fn which_file(
    explicit: Option<&Path>,
    environment: &Environment,
    faults: &mut Vec<Fault>,
) -> Option<(PathBuf, Option<Origin>)> {
    if let Some(path) = explicit {
        return Some((path.to_owned(), Some(Origin::Named("--config".to_owned()))));
    }
    match environment.get(variable::CONFIG) {
        Some(Ok(path)) => Some((path.into(), Some(Origin::Named(variable::CONFIG.to_owned())))),
        Some(Err(wrong)) => {
            faults.push(Fault::at(variable::CONFIG, wrong));
            None
        }
        // A link to nowhere or a forbidden file is there, and reading it says what is wrong with it.
        None => environment.usual_file().filter(|path| path.symlink_metadata().is_ok()).map(|path| (path, None)),
    }
}

fn take_file(settings: &mut Settings, path: &Path, named_by: Option<&Origin>, faults: &mut Vec<Fault>) {
    let name = path.display().to_string();
    let entries = match fs::read_to_string(path) {
        Ok(text) => file::parse(&name, &text, faults),
        Err(error) => {
            let fault = Fault::at(
                &name,
                Wrong::new(file::why_unread(&error), ["应为可以读取的 TOML 文件", "expected a readable file in TOML"]),
            );
            faults.push(match named_by {
                Some(origin) => fault.coming_from(origin),
                None => fault,
            });
            None
        }
    };
    take_entries(settings, entries, faults);
}

fn take_entries(settings: &mut Settings, entries: Option<Vec<(String, Setting)>>, faults: &mut Vec<Fault>) {
    settings.complete = entries.is_some();
    for (key, setting) in entries.unwrap_or_default() {
        match settings.by_key.get_mut(&key) {
            // Not set, as it was: whoever fills in a copy of the example leaves many of these behind, and they must
            // not hide the names that people already have.
            Some(known) if known.value.is_empty() && setting.value.is_empty() => {}
            Some(known) => *known = setting,
            None if app::is_key(&key) => settings.set(&key, setting.value, setting.origin),
            None => {
                let fault = unknown_key(settings, &key).coming_from(&setting.origin);
                // A name that no application can have is told once, not with each of its keys.
                if app::is_of_bad_name(&key) && faults.iter().any(|told| told.place() == fault.place()) {
                    continue;
                }
                faults.push(fault);
            }
        }
    }
}

fn unknown_key(settings: &Settings, key: &str) -> Fault {
    if let Some(wrong) = app::unknown_key(key) {
        let place =
            if app::is_of_bad_name(key) { key.rsplit_once('.').map_or(key, |(section, _)| section) } else { key };
        return Fault::at(place, wrong);
    }
    let remedy = match nearest(key, settings.keys()) {
        Some(meant) => [format!("是不是 {meant}？"), format!("did you mean {meant}?")],
        None => ["全部设置见 config.example.toml", "config.example.toml lists every key"].map(str::to_owned),
    };
    Fault::at(key, Wrong::new(["没有这一项设置", "is not a known key"], remedy))
}

fn take_variables(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    let keys: BTreeSet<String> = settings.keys().map(str::to_owned).chain(variable::app_keys(environment)).collect();
    let keys: Vec<String> = keys.into_iter().collect();
    for key in &keys {
        if let Some((variable, value)) = variable::find(environment, key) {
            take(settings, key, value, Origin::Named(variable), faults);
        }
    }
    variable::report_unknown(environment, &keys, faults);
}

/// Takes a value from outside, or reports it and remembers that it was.
fn take(settings: &mut Settings, key: &str, value: Result<String, Wrong>, origin: Origin, faults: &mut Vec<Fault>) {
    let value = value.map_or_else(
        |wrong| {
            faults.push(Fault::at(key, wrong).coming_from(&origin));
            Value::Reported
        },
        Value::Untyped,
    );
    settings.set(key, value, origin);
}

/// Names that are not ours, where nobody set the key.
fn take_other_names(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    for name in legacy::NAMES.iter().chain(platform::NAMES) {
        if !settings.is_default(name.key) {
            continue;
        }
        if let Some((variable, value)) = either_case(environment, name.variable) {
            let value = value.and_then(name.adapt);
            take(settings, name.key, value, Origin::Named(variable), faults);
        }
    }
}

/// The variable in capitals or, failing that, in small letters.
fn either_case<'a>(environment: &'a Environment, name: &str) -> Option<(String, Result<&'a str, Wrong>)> {
    [name.to_owned(), name.to_ascii_lowercase()]
        .into_iter()
        .find_map(|name| Some((name.clone(), environment.get(&name)?)))
}

/// Puts the platform's port, or that of a deployment of old, in the place of the address's.
fn take_port(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    let platforms = || Some((platform::PORT.to_owned(), environment.get(platform::PORT)?));
    let of_old = || either_case(environment, legacy::PORT).filter(|_| settings.is_default(LISTEN));
    let Some((variable, port)) = platforms().or_else(of_old) else { return };
    let Some(Setting { value, origin }) = settings.get(LISTEN) else { return };
    let port = port.and_then(|port| {
        port.parse::<u16>().map_err(|_| {
            Wrong::new(
                ["的端口不对", "has a port that is none"],
                ["应为 0 到 65535 的整数", "expected a number from 0 to 65535"],
            )
        })
    });
    // An address without a port keeps its own fault.
    let Ok(Some((host, _))) = value.text().map(|listen| listen.rsplit_once(':')) else { return };
    let value = port.map(|port| format!("{host}:{port}"));
    let origin = match value {
        Ok(_) => Origin::Port { listen: Box::new(origin.clone()), variable },
        Err(_) => Origin::Named(variable),
    };
    take(settings, LISTEN, value, origin, faults);
}
