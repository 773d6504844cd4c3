//! Key by key, the value that wins: the example's, the file's, the environment's.
//!
//! Knows every key by its name, from the example, and no key's type.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use super::{
    environment::Environment,
    fault::{Fault, Wrong},
    file, legacy,
    setting::{Origin, Setting, Value},
    suggest::nearest,
};

/// The defaults, and the administrator's documentation of them.
pub(super) const EXAMPLE: &str = include_str!("../../config.example.toml");

/// The variable that names the configuration file.
const CONFIG: &str = "QIMATE_CONFIG";

/// What our variables begin with.
const PREFIX: &str = "QIMATE_";

/// At the end of a variable's name: its value is the path of a file with the key's value.
const FILE_SUFFIX: &str = "_FILE";

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

    fn keys(&self) -> impl Iterator<Item = &str> {
        self.by_key.keys().map(String::as_str)
    }

    fn set(&mut self, key: &str, value: Value, origin: Origin) {
        self.by_key.insert(key.to_owned(), Setting { value, origin });
    }

    fn is_default(&self, key: &str) -> bool {
        self.get(key).is_some_and(|setting| setting.origin == Origin::Default)
    }
}

/// Gathers the values. `explicit` is the file of `--config`.
pub(super) fn gather(explicit: Option<&Path>, environment: &Environment, faults: &mut Vec<Fault>) -> Settings {
    let mut settings = defaults(faults);
    if let Some((path, origin)) = which_file(explicit, environment, faults) {
        take_file(&mut settings, &path, origin.as_ref(), faults);
    }
    take_variables(&mut settings, environment, faults);
    report_unknown_variables(&settings, environment, faults);
    take_legacy(&mut settings, environment, faults);
    take_port(&mut settings, environment, faults);
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
    match environment.get(CONFIG) {
        Some(Ok(path)) => Some((path.into(), Some(Origin::Named(CONFIG.to_owned())))),
        Some(Err(wrong)) => {
            faults.push(Fault::at(CONFIG, wrong));
            None
        }
        // A link to nowhere or a forbidden file is there, and reading it says what is wrong with it.
        None => environment.usual_file().filter(|path| path.symlink_metadata().is_ok()).map(|path| (path, None)),
    }
}

fn take_file(settings: &mut Settings, path: &Path, named_by: Option<&Origin>, faults: &mut Vec<Fault>) {
    let name = path.display().to_string();
    let entries = match read_text(path) {
        Ok(text) => file::parse(&name, &text, faults),
        Err(error) => {
            let fault = Fault::at(&name, Wrong::new(why_unread(&error), "expected a readable file in TOML"));
            faults.push(match named_by {
                Some(origin) => fault.coming_from(origin),
                None => fault,
            });
            None
        }
    };
    settings.complete = entries.is_some();
    for (key, setting) in entries.unwrap_or_default() {
        match settings.by_key.get_mut(&key) {
            // Not set, as it was: whoever fills in a copy of the example leaves many of these behind, and they must
            // not hide the names that people already have.
            Some(known) if known.value.is_empty() && setting.value.is_empty() => {}
            Some(known) => *known = setting,
            None => faults.push(unknown_key(settings, &key).coming_from(&setting.origin)),
        }
    }
}

fn unknown_key(settings: &Settings, key: &str) -> Fault {
    let remedy = match nearest(key, settings.keys()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => "config.example.toml lists every key".to_owned(),
    };
    Fault::at(key, Wrong::new("is not a known key", remedy))
}

/// `QIMATE_SECTION__KEY`
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

fn take_variables(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    let keys: Vec<String> = settings.keys().map(str::to_owned).collect();
    for key in keys {
        let name = variable_of(&key);
        let file_name = format!("{name}{FILE_SUFFIX}");
        let (name, value) = match (environment.get(&name), environment.get(&file_name)) {
            (None, None) => continue,
            (Some(value), None) => (name, value.map(str::to_owned)),
            (None, Some(path)) => (file_name, path.and_then(|path| value_in_file(Path::new(path)))),
            (Some(_), Some(_)) => {
                (name, Err(Wrong::new(format!("is set twice, here and by {file_name}"), "expected one of them")))
            }
        };
        take(settings, &key, value, Origin::Named(name), faults);
    }
}

/// Takes a value from outside, or reports it and remembers that it was.
fn take(
    settings: &mut Settings,
    key: &str,
    value: Result<String, Wrong>,
    origin: Origin,
    faults: &mut Vec<Fault>,
) {
    let value = value.map_or_else(
        |wrong| {
            faults.push(Fault::at(key, wrong).coming_from(&origin));
            Value::Reported
        },
        Value::Untyped,
    );
    settings.set(key, value, origin);
}

/// The path stays out of the fault: people also write the secret itself where its file belongs.
fn value_in_file(path: &Path) -> Result<String, Wrong> {
    const RIGHT: &str = "expected the path of a readable file that holds the value and nothing else";
    let text = read_text(path).map_err(|error| Wrong::new(format!("has a file that {}", why_unread(&error)), RIGHT))?;
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(Wrong::new("has a file with nothing in it", RIGHT)),
        value => Ok(value.to_owned()),
    }
}

fn read_text(path: &Path) -> io::Result<String> {
    fs::read_to_string(path)
}

fn why_unread(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "is not there".to_owned(),
        // What a container gets when the file to be mounted is missing on the host.
        io::ErrorKind::IsADirectory => "is a directory".to_owned(),
        io::ErrorKind::InvalidData => "is not in UTF-8".to_owned(),
        _ => format!("cannot be read ({error})"),
    }
}

fn report_unknown_variables(settings: &Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    let known: Vec<String> = settings
        .keys()
        .map(variable_of)
        .flat_map(|name| [format!("{name}{FILE_SUFFIX}"), name])
        .chain([CONFIG.to_owned()])
        .collect();
    let sections: Vec<String> = settings
        .keys()
        .filter_map(|key| key.split_once('.'))
        .map(|(section, _)| format!("{}_", section.to_ascii_uppercase()))
        .chain(["CONFIG_".to_owned()])
        .collect();
    for name in environment.names() {
        let upper = name.to_ascii_uppercase();
        let Some(rest) = upper.strip_prefix(PREFIX) else { continue };
        let meant_for_us = rest.contains("__") || sections.iter().any(|section| rest.starts_with(section));
        if !meant_for_us || known.iter().any(|known| known == name) {
            continue;
        }
        let Some(value) = environment.get(name) else { continue };
        if is_service_link(rest, value.unwrap_or_default()) {
            continue;
        }
        // Without the common beginning, which makes every name like every other.
        let remedy = match nearest(rest, known.iter().filter_map(|known| known.strip_prefix(PREFIX))) {
            Some(meant) => format!("did you mean {PREFIX}{meant}?"),
            None => "expected QIMATE_SECTION__KEY for a section and key of config.example.toml".to_owned(),
        };
        faults.push(Fault::at(name, Wrong::new("is not a known variable", remedy)));
    }
}

/// Whether Kubernetes made the variable: for a service called `qimate-server` it sets `QIMATE_SERVER_PORT`,
/// `QIMATE_SERVER_SERVICE_HOST` and more in every container beside it.
fn is_service_link(rest: &str, value: &str) -> bool {
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.contains("_PORT_")
        || (rest.ends_with("_PORT") && value.contains("://"))
}

fn take_legacy(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    for name in legacy::NAMES {
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
    [name.to_owned(), name.to_ascii_lowercase()].into_iter().find_map(|name| Some((name.clone(), environment.get(&name)?)))
}

/// Puts the platform's port, or that of a deployment of old, in the place of the address's.
fn take_port(settings: &mut Settings, environment: &Environment, faults: &mut Vec<Fault>) {
    let of_old = || {
        let (_, port) = either_case(environment, legacy::PORT).filter(|_| settings.is_default(LISTEN))?;
        Some((legacy::PORT, port))
    };
    let Some((variable, port)) = environment.get("PORT").map(|port| ("PORT", port)).or_else(of_old) else { return };
    let Some(Setting { value, origin }) = settings.get(LISTEN) else { return };
    let port = port.and_then(|port| {
        port.parse::<u16>().map_err(|_| Wrong::new("has a port that is none", "expected a number from 0 to 65535"))
    });
    // An address without a port keeps its own fault.
    let Ok(Some((host, _))) = value.text().map(|listen| listen.rsplit_once(':')) else { return };
    let value = port.map(|port| format!("{host}:{port}"));
    let origin = match value {
        Ok(_) => Origin::Port { listen: Box::new(origin.clone()), variable },
        Err(_) => Origin::Named(variable.to_owned()),
    };
    take(settings, LISTEN, value, origin, faults);
}
