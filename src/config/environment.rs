//! The process's environment, read once and handed in, so that a test brings its own.

use std::{collections::BTreeMap, env, ffi::OsString, fmt, path::PathBuf};

use super::{fault::Wrong, variable};
use crate::secret::Secret;

/// The environment variables, and the directory in which `config.toml` is looked for.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, OsString>,
    directory: Option<PathBuf>,
}

impl Environment {
    /// The process's own variables and working directory. Variables whose names are not UTF-8 cannot be ours.
    pub fn of_process() -> Self {
        let variables = env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        // The empty path: `config.toml` is then called so, and not `./config.toml`, wherever it is mentioned.
        Self { variables, directory: Some(PathBuf::new()) }
    }

    /// These variables, and no `config.toml` anywhere.
    pub fn from_pairs<N: Into<String>, V: Into<OsString>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        let variables = pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, directory: None }
    }

    /// The same variables, and `directory` as the place of a `config.toml`.
    #[must_use]
    pub fn in_directory(self, directory: impl Into<PathBuf>) -> Self {
        Self { directory: Some(directory.into()), ..self }
    }

    /// The variable's value without surrounding white space (env files written on Windows end their lines in `\r`).
    /// `None` when there is none or nothing is in it.
    pub(super) fn get(&self, name: &str) -> Option<Result<&str, Wrong>> {
        match self.variables.get(name)?.to_str().map(str::trim) {
            Some("") => None,
            Some(value) => Some(Ok(value)),
            None => {
                Some(Err(Wrong::new(["不是 UTF-8", "is not UTF-8"], ["应为 UTF-8 文本", "expected text in UTF-8"])))
            }
        }
    }

    /// The model that `OPENAI_API_KEY` names, where there is one: `qimate demo` asks it instead of its own.
    pub fn openai(&self) -> Option<OpenAi> {
        let text = |name| self.get(name).and_then(Result::ok).map(str::to_owned);
        let api_key = Secret::new(text("OPENAI_API_KEY")?);
        Some(OpenAi { api_key, base_url: text("OPENAI_BASE_URL"), model: text("OPENAI_MODEL") })
    }

    /// What any program needs from the system it runs on, and nothing that configures Qimate.
    pub fn of_the_system(&self) -> Vec<(OsString, OsString)> {
        let named = |name: &&str| Some((OsString::from(name), self.variables.get(*name)?.clone()));
        ["PATH", "HOME", "TMPDIR", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "SYSTEMROOT"]
            .iter()
            .filter_map(named)
            .collect()
    }

    /// The file that is read when the command line names none, whether it is there or not: what `QIMATE_CONFIG` names,
    /// else `config.toml`.
    pub fn config_file(&self) -> PathBuf {
        let named = self.get(variable::CONFIG).and_then(Result::ok).map(PathBuf::from);
        named.or_else(|| self.usual_file()).unwrap_or_else(|| PathBuf::from("config.toml"))
    }

    /// The names of all variables.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.variables.keys().map(String::as_str)
    }

    /// The `config.toml` that is read when no other file is named.
    pub(super) fn usual_file(&self) -> Option<PathBuf> {
        Some(self.directory.as_ref()?.join("config.toml"))
    }
}

/// A model as OpenAI's own variables name it.
#[derive(Clone, Debug)]
pub struct OpenAi {
    /// `OPENAI_API_KEY`.
    pub api_key: Secret<String>,
    /// `OPENAI_BASE_URL`.
    pub base_url: Option<String>,
    /// `OPENAI_MODEL`.
    pub model: Option<String>,
}

/// Prints the names only: among the values are secrets, ours and others'.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("variables", &self.variables.keys())
            .field("directory", &self.directory)
            .finish()
    }
}

/// What a program that this process starts needs of its environment, such as `PATH`.
pub fn inherited(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}

/// The system's user whose process this is, such as `root`, and who that was before `sudo`: `root (sudo: wang)`. The
/// first is what the system says; the second is what the environment does, which its user can change.
pub fn user() -> String {
    let of_process = of_process();
    let before = std::env::var("SUDO_USER").ok().filter(|name| is_user_name(name) && *name != of_process);
    match before {
        Some(before) => format!("{of_process} (sudo: {before})"),
        None => of_process,
    }
}

#[cfg(unix)]
fn of_process() -> String {
    let uid = rustix::process::getuid().as_raw().to_string();
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| is_user_name(name))?;
        (fields.nth(1) == Some(&uid)).then(|| name.to_owned())
    });
    named.unwrap_or_else(|| format!("uid {uid}"))
}

#[cfg(not(unix))]
fn of_process() -> String {
    std::env::var("USERNAME").ok().filter(|name| is_user_name(name)).unwrap_or_else(|| "unknown".to_owned())
}

fn is_user_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-$".contains(&b))
}
