//! Our own environment variables: `QIMATE_SECTION__KEY`, the same with `_FILE`, and `QIMATE_CONFIG`.
//!
//! Knows how they are called, not what they mean.

use std::{fs, path::Path};

use super::{
    app,
    environment::Environment,
    fault::{Fault, Wrong},
    file,
    suggest::nearest,
};

/// The variable that names the configuration file.
pub(super) const CONFIG: &str = "QIMATE_CONFIG";

/// What our variables begin with.
const PREFIX: &str = "QIMATE_";

/// At the end of a variable's name: its value is the path of a file with the key's value.
pub(super) const FILE_SUFFIX: &str = "_FILE";

/// `QIMATE_SECTION__KEY`
pub(super) fn variable_of(key: &str) -> String {
    format!("{PREFIX}{}", key.replace('.', "__").to_ascii_uppercase())
}

/// The value that the environment sets for `key`, and the variable's name.
pub(super) fn find(environment: &Environment, key: &str) -> Option<(String, Result<String, Wrong>)> {
    let name = variable_of(key);
    let file_name = format!("{name}{FILE_SUFFIX}");
    match (environment.get(&name), environment.get(&file_name)) {
        (None, None) => None,
        (Some(value), None) => Some((name, value.map(str::to_owned))),
        (None, Some(path)) => Some((file_name, path.and_then(|path| value_in_file(Path::new(path))))),
        (Some(_), Some(_)) => {
            let wrong = Wrong::new(
                [format!("与 {file_name} 重复设置"), format!("is set twice, here and by {file_name}")],
                ["只保留其中一个", "expected one of them"],
            );
            Some((name, Err(wrong)))
        }
    }
}

/// The path stays out of the fault: people also write the secret itself where its file belongs.
fn value_in_file(path: &Path) -> Result<String, Wrong> {
    const RIGHT: [&str; 2] = [
        "应为一个可以读取的文件的路径，文件里只有这个值",
        "expected the path of a readable file that holds the value and nothing else",
    ];
    let text = fs::read_to_string(path).map_err(|error| {
        let [zh, en] = file::why_unread(&error);
        Wrong::new([format!("指定的文件{zh}"), format!("has a file that {en}")], RIGHT)
    })?;
    match text.trim_start_matches('\u{feff}').trim() {
        "" => Err(Wrong::new(["指定的文件是空的", "has a file with nothing in it"], RIGHT)),
        value => Ok(value.to_owned()),
    }
}

/// The keys of applications that the environment sets: `apps.hr.secret` for `QIMATE_APPS__HR__SECRET`.
pub(super) fn app_keys(environment: &Environment) -> impl Iterator<Item = String> {
    environment.names().filter_map(|name| {
        let key = name.strip_prefix(PREFIX)?;
        let key = key.strip_suffix(FILE_SUFFIX).unwrap_or(key).replace("__", ".").to_ascii_lowercase();
        // Back again: small letters in the variable's name are not ours.
        let is_ours = app::is_key(&key) && name.trim_end_matches(FILE_SUFFIX) == variable_of(&key);
        (is_ours && environment.get(name).is_some()).then_some(key)
    })
}

/// Reports the variables that are meant for us and set nothing.
pub(super) fn report_unknown(environment: &Environment, keys: &[String], faults: &mut Vec<Fault>) {
    let known: Vec<String> = keys
        .iter()
        .map(|key| variable_of(key))
        .flat_map(|name| [format!("{name}{FILE_SUFFIX}"), name])
        .chain([CONFIG.to_owned()])
        .collect();
    let sections: Vec<String> = keys
        .iter()
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
        let of_app = upper_app(rest).map(|app| {
            let of_key = |key: &app::Key| format!("{PREFIX}{app}__{}", key.own.to_ascii_uppercase());
            app::KEYS.iter().map(of_key).collect::<Vec<_>>()
        });
        let known = known.iter().chain(of_app.iter().flatten());
        // Without the common beginning, which makes every name like every other.
        let remedy = match nearest(rest, known.filter_map(|known| known.strip_prefix(PREFIX))) {
            Some(meant) => [format!("是不是 {PREFIX}{meant}？"), format!("did you mean {PREFIX}{meant}?")],
            None => [
                "应为 QIMATE_节__项，节和项见 config.example.toml",
                "expected QIMATE_SECTION__KEY for a section and key of config.example.toml",
            ]
            .map(str::to_owned),
        };
        faults.push(Fault::at(name, Wrong::new(["没有这个变量", "is not a known variable"], remedy)));
    }
}

/// `APPS__HR` of `APPS__HR__SECRT`, where an application can have that name.
fn upper_app(rest: &str) -> Option<&str> {
    let (app, _) = rest.rsplit_once("__")?;
    let name = app.strip_prefix("APPS__")?;
    app::is_name(&name.to_ascii_lowercase()).then_some(app)
}

/// Whether Kubernetes made the variable: for a service called `qimate-server` it sets `QIMATE_SERVER_PORT`,
/// `QIMATE_SERVER_SERVICE_HOST` and more in every container beside it.
fn is_service_link(rest: &str, value: &str) -> bool {
    rest.ends_with("_SERVICE_HOST")
        || rest.contains("_SERVICE_PORT")
        || rest.contains("_PORT_")
        || (rest.ends_with("_PORT") && value.contains("://"))
}
