//! A configuration in the making: what is set already, what is answered, and the file that comes of it.
//!
//! Has no rules of its own: a value is taken when the sections' own reading has nothing against it.

use std::{collections::BTreeSet, path::Path};

use super::{
    Config, Environment, Fault, Faults,
    layers::{self, Settings},
    reader::Reader,
    setting::{Origin, Setting, Value},
    variable,
    write::NewFile,
};

/// What a value is said to come from while it is not in a file yet.
const ANSWER: &str = "the answer";

/// Values that are being collected. Has no `Debug`: among the values are secrets.
pub struct Draft {
    settings: Settings,
    /// What is wrong with the file and the variables themselves.
    faults: Vec<Fault>,
    answered: BTreeSet<String>,
}

impl Draft {
    /// Begins with the defaults, the file at `path` where there is one, and the environment.
    pub fn begin(path: &Path, environment: &Environment) -> Self {
        let mut faults = Vec::new();
        let file = path.symlink_metadata().is_ok().then_some(path);
        let settings = layers::gather_from(file.map(|path| (path.to_owned(), None)), environment, &mut faults);
        Self { settings, faults, answered: BTreeSet::new() }
    }

    /// What is wrong beside the values of `keys`, which will be asked for: nothing that is answered mends that.
    ///
    /// # Errors
    /// [`Faults`]: everything of that kind.
    pub fn check_beside(&mut self, keys: &[&str]) -> Result<(), Faults> {
        let mut faults = std::mem::take(&mut self.faults);
        faults.extend(self.read().into_iter().filter(|fault| !keys.contains(&fault.place())));
        if faults.is_empty() { Ok(()) } else { Err(Faults { faults, language: self.settings.language() }) }
    }

    /// The text that `key` has now; `None` where it is empty or no text.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.settings.get(key)?.value.text().ok().filter(|text| !text.is_empty())
    }

    /// Where the value of `key` came from, unless it is the default: `config.toml:3`, `QIMATE_WECOM__SECRET`.
    pub fn origin(&self, key: &str) -> Option<String> {
        let origin = &self.settings.get(key)?.origin;
        (*origin != Origin::Default).then(|| origin.to_string())
    }

    /// Whether a variable sets `key`: it will win over the file that is written.
    pub fn is_variable(&self, key: &str) -> bool {
        self.settings.get(key).is_some_and(|setting| matches!(&setting.origin, Origin::Named(name) if name != ANSWER))
    }

    /// Takes an answer; `""` for: not set.
    ///
    /// # Errors
    /// Why the configuration would refuse it. The value of before stays.
    pub fn answer(&mut self, key: &str, text: &str) -> Result<(), Fault> {
        let before = self.settings.get(key).cloned();
        self.settings.set(key, Value::Untyped(text.trim().to_owned()), Origin::Named(ANSWER.to_owned()));
        let outcome = self.keep(key);
        if let (Err(_), Some(Setting { value, origin })) = (&outcome, before) {
            self.settings.set(key, value, origin);
        }
        outcome
    }

    /// Takes the value that is there already. It will be in the file, unless it is in a file of its own
    /// (`QIMATE_WECOM__SECRET_FILE`): then somebody wants it to be there and nowhere else.
    ///
    /// # Errors
    /// Why the configuration refuses it.
    pub fn keep(&mut self, key: &str) -> Result<(), Fault> {
        match self.read().into_iter().find(|fault| fault.place() == key) {
            Some(fault) => Err(fault),
            None => {
                if !self.is_in_a_file_of_its_own(key) {
                    self.answered.insert(key.to_owned());
                }
                Ok(())
            }
        }
    }

    /// The file: what was answered and what the old file had. `comment` gives the line above a key.
    pub fn file(&self, head: &str, comment: impl Fn(&str) -> Option<&'static str>) -> NewFile {
        let mut file = NewFile::new(head);
        for key in layers::keys_in_order().into_iter().chain(self.settings.app_keys()) {
            let Some(Setting { value, origin }) = self.settings.get(&key) else { continue };
            let is_ours = self.answered.contains(&key) || matches!(origin, Origin::File { .. });
            if let (true, Some(value)) = (is_ours, written(value)) {
                file.set(&key, value, comment(&key).unwrap_or_default());
            }
        }
        file
    }

    fn is_in_a_file_of_its_own(&self, key: &str) -> bool {
        self.is_variable(key) && self.origin(key).is_some_and(|variable| variable.ends_with(variable::FILE_SUFFIX))
    }

    fn read(&self) -> Vec<Fault> {
        let mut reader = Reader::new(&self.settings, Vec::new());
        // What is wrong is in the reader.
        let _ = Config::read(&mut reader, &Environment::default());
        reader.finish().0
    }
}

/// A value as TOML; `None` for what need not be written or cannot be.
fn written(value: &Value) -> Option<toml::Value> {
    Some(match value {
        value if value.is_empty() => return None,
        Value::Untyped(text) | Value::Text(text) => text.as_str().into(),
        Value::Whole(number) => (*number).into(),
        Value::Fraction(number) => (*number).into(),
        Value::Flag(flag) => (*flag).into(),
        Value::Table(table) => {
            let pair = |(name, value): (&String, &Value)| Some((name.clone(), written(value)?));
            toml::Value::Table(table.iter().filter_map(pair).collect())
        }
        Value::List(list) => toml::Value::Array(list.iter().filter_map(written).collect()),
        Value::Other(_) | Value::Reported => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "[server]\nstop_timeout_seconds = 7\n[server.domain_files]\n\"WW_verify_a.txt\" = \"a\\\"b\"\n\
                       [wecom]\ncorp_id = \"ww1\"\nagent_id = 7\nsecret = \"hunter2\"\n\
                       [llm]\ntemperature = 1.0\nextra_headers = { \"X-A\" = \"1\" }\n[chat]\nprogressive = false\n";

    fn answered(draft: &mut Draft) {
        for (key, text) in [
            ("wecom.callback_token", "Token1"),
            ("wecom.encoding_aes_key", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"),
            ("llm.base_url", "http://localhost:11434/v1"),
            ("llm.model", "a \"model\"\\"),
        ] {
            draft.answer(key, text).expect(key);
        }
    }

    #[test]
    fn what_is_written_loads_and_keeps_what_the_old_file_had() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("config.toml");
        std::fs::write(&path, OLD).expect("written");
        let none = Environment::default();
        let mut draft = Draft::begin(&path, &none);
        assert_eq!(draft.text("wecom.corp_id"), Some("ww1"));
        answered(&mut draft);
        let file = draft.file("Head", |key| (key == "llm.model").then_some("The model.")).text();
        std::fs::write(&path, &file).expect("written");
        let config = Config::load(Some(&path), &none).expect(&file).config;
        assert_eq!(
            (config.apps.first.wecom.agent_id.get(), config.apps.first.wecom.secret.expose().as_str()),
            (7, "hunter2")
        );
        assert_eq!((config.llm.model.as_str(), config.llm.temperature), ("a \"model\"\\", Some(1.0)));
        assert_eq!(config.server.domain_files["WW_verify_a.txt"], "a\"b");
        assert_eq!((config.chat.progressive, config.server.stop_timeout.as_secs()), (false, 7));
        assert!(config.llm.extra_headers.contains_key("x-a"));
        assert!(file.starts_with("# Head\n\n[server]\n") && file.contains("# The model.\nmodel = "), "{file}");
        assert!(!file.contains("timeout_seconds = 10"), "defaults stay out: {file}");
    }

    #[test]
    fn a_wrong_answer_leaves_the_value_of_before_and_a_wrong_value_is_not_kept() {
        let variables = Environment::from_pairs([("QIMATE_WECOM__SECRET", "hunter2"), ("WECHATCOMAPP_AES_KEY", "x")]);
        let mut draft = Draft::begin(Path::new("/nowhere/config.toml"), &variables);
        let fault = draft.answer("wecom.secret", "中文").expect_err("refused").to_string();
        assert!(fault.starts_with("wecom.secret: holds a space") && !fault.contains("中文"), "{fault}");
        assert!(draft.is_variable("wecom.secret") && draft.keep("wecom.secret").is_ok());
        assert!(draft.keep("wecom.encoding_aes_key").is_err());
        assert!(draft.answer("llm.api_key", "").is_err(), "OpenAI needs a key");
        assert!(draft.answer("llm.base_url", "http://localhost:1/v1").is_ok());
        assert!(draft.answer("llm.api_key", "").is_ok());
    }

    #[test]
    fn a_secret_in_a_file_of_its_own_stays_there() {
        let dir = tempfile::tempdir().expect("directory");
        let (path, secret) = (dir.path().join("config.toml"), dir.path().join("secret"));
        std::fs::write(&secret, "hunter2\n").expect("written");
        let secret = secret.display().to_string();
        let variables = [("QIMATE_WECOM__SECRET_FILE", secret.as_str()), ("OPENAI_API_KEY", "sk-written")];
        let mut draft = Draft::begin(&path, &Environment::from_pairs(variables));
        assert!(draft.keep("wecom.secret").is_ok() && draft.keep("llm.api_key").is_ok());
        let file = draft.file("", |_| None).text();
        assert!(!file.contains("hunter2") && file.contains("sk-written"), "{file}");
        assert!(draft.answer("wecom.secret", "another").is_ok());
        assert!(draft.file("", |_| None).text().contains("another"));
    }

    #[test]
    fn what_no_answer_mends_is_told_first() {
        let variables = Environment::from_pairs([("QIMATE_LLM__MODLE", "x"), ("QIMATE_SERVER__LISTEN", "here")]);
        let mut draft = Draft::begin(Path::new("/nowhere/config.toml"), &variables);
        let required = ["wecom.corp_id", "wecom.agent_id", "wecom.secret", "llm.api_key"];
        let required = [&required[..], &["wecom.callback_token", "wecom.encoding_aes_key"]].concat();
        let told = draft.check_beside(&required).expect_err("faults").to_string();
        assert!(told.contains("QIMATE_LLM__MODEL") && told.contains("server.listen"), "{told}");
        assert_eq!(told.lines().count(), 2, "{told}");
    }
}
