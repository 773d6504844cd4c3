//! A configuration whose secrets may stand in the database: first what can be known without them, then all of it.
//!
//! What a file or the environment sets wins over what is stored: whoever has the machine has the last word, and mends with
//! it whatever somebody else put in.

use std::{collections::BTreeMap, path::Path};

use super::{
    Chat, Config, Environment, Fault, Faults, Loaded, Secrets, Storage, app,
    chat::Language,
    fault::Wrong,
    layers::{self, Settings},
    loaded::Row,
    reader::{Reader, Reported},
    secret_name::{Place, SecretName},
    setting::{Origin, Value},
};
use crate::{clock::zone::Zone, secret::Secret, vault::Unreadable};

/// The key of the directory of the database.
const DATA_DIR: &str = "storage.data_dir";

/// Every value from the example, the file and the environment, not looked at yet. No `Debug`: among them are secrets.
pub struct Gathered {
    settings: Settings,
    faults: Vec<Fault>,
    environment: Environment,
}

/// What can be known before any secret is.
#[derive(Clone, Debug)]
pub struct Basics {
    /// Where the database is.
    pub storage: Storage,
    /// What opens the secrets in it.
    pub secrets: Secrets,
    /// `chat.language`
    pub language: Language,
    /// `chat.time_zone`
    pub time_zone: Zone,
}

impl From<&Basics> for Language {
    fn from(basics: &Basics) -> Self {
        basics.language
    }
}

/// What becomes of a secret in the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is the value of its setting.
    Used,
    /// The configuration sets it too, here, and that wins.
    Overridden(String),
    /// The configuration has nothing that it could be for: no such application, upstream or server of tools, or no such
    /// setting in this version.
    Unused,
}

impl Config {
    /// Gathers what is set, as [`Config::load`] does.
    pub fn gather(explicit: Option<&Path>, environment: &Environment) -> Gathered {
        let mut faults = Vec::new();
        let settings = layers::gather(explicit, environment, &mut faults);
        Gathered { settings, faults, environment: environment.clone() }
    }
}

impl Gathered {
    /// What can be known before any secret is; `None` where something of that is wrong, which [`Gathered::load`] then
    /// tells beside the rest.
    pub fn basics(&self) -> Option<Basics> {
        let (basics, faults) = self.read_basics();
        basics.ok().filter(|_| faults.is_empty() && self.settings.complete)
    }

    /// The same for a command that needs no more than that.
    ///
    /// # Errors
    /// [`Faults`]: what is wrong with it, or with how the configuration is written.
    pub fn basics_alone(&self) -> Result<Basics, Faults> {
        let (basics, found) = self.read_basics();
        let faults: Vec<_> = self.faults.iter().cloned().chain(found).collect();
        match basics {
            Ok(basics) if faults.is_empty() => Ok(basics),
            _ => Err(self.told(faults)),
        }
    }

    fn read_basics(&self) -> (Result<Basics, Reported>, Vec<Fault>) {
        let mut reader = Reader::new(&self.settings, Vec::new());
        let (storage, secrets) = (Storage::read(&mut reader), Secrets::read(&mut reader));
        let chat = Chat::read(&mut reader);
        let basics = (|| {
            let Chat { language, time_zone, .. } = chat?;
            Ok(Basics { storage: storage?, secrets: secrets?, language, time_zone })
        })();
        (basics, reader.finish().0)
    }

    /// The configuration, with the secrets from the database where nothing else sets them.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong, at once. Printing them shows no secret.
    pub fn load(mut self, stored: Vec<(String, Secret<String>)>) -> Result<Loaded, Faults> {
        let mut standings = BTreeMap::new();
        for (name, value) in stored {
            let known = SecretName::parse(&name).ok();
            let standing = known.as_ref().map_or(Standing::Unused, |known| self.standing(known));
            if let (Some(known), Standing::Used) = (known, &standing) {
                fill(&mut self.settings, &known, &value);
            }
            standings.insert(name, standing);
        }
        let mut loaded = Config::load_settings(&self.settings, self.faults, &self.environment)?;
        for (name, standing) in &standings {
            // A setting of its own has its line already.
            if let (Standing::Used, Ok(Place::Item { .. })) =
                (standing, &SecretName::parse(name).map(|name| name.place().clone()))
            {
                loaded.rows.push(Row { key: name.clone(), origin: Origin::Stored, shown: value_stars() });
            }
        }
        loaded.stored = standings;
        Ok(loaded)
    }

    /// The same where the database cannot be read: it may hold what is missing.
    ///
    /// # Errors
    /// As of [`Gathered::load`], and then `why` too.
    pub fn load_without(self, why: &str) -> Result<Loaded, Faults> {
        self.load(Vec::new()).map_err(|mut faults| {
            let problem = [
                format!("中的数据库无法读取（{why}），其中可能保存有缺少的密钥"),
                format!("has a database that cannot be read ({why}), which may hold the secrets that are missing"),
            ];
            let remedy = ["应为可以读取的数据库所在的目录", "expected the directory of one that can be read"];
            faults.faults.push(Fault::at(DATA_DIR, Wrong::new(problem, remedy.map(str::to_owned))));
            faults
        })
    }

    /// What to say where secrets are stored that cannot be read.
    pub fn refused(self, unreadable: &[Unreadable]) -> Faults {
        let faults = self.faults.iter().cloned().chain(unreadable.iter().map(Fault::from)).collect();
        self.told(faults)
    }

    /// What would become of a secret of this name.
    pub fn standing(&self, name: &SecretName) -> Standing {
        match name.place() {
            Place::Setting(key) => {
                let is_for_nobody = match app::name_in(key) {
                    Some(app) => !self.settings.app_names().iter().any(|name| name == app),
                    None => app::is_of_the_single(key) && !app::has_single(&self.settings),
                };
                match self.settings.get(key) {
                    Some(set) if set.origin != Origin::Default && !is_unset(&set.value) => {
                        Standing::Overridden(set.origin.to_string())
                    }
                    _ if is_for_nobody => Standing::Unused,
                    _ => Standing::Used,
                }
            }
            Place::Item { list, name, key } => {
                let Some(setting) = self.settings.get(list) else { return Standing::Unused };
                let tables = tables(&setting.value);
                match tables.iter().find(|table| is_called(table, name)) {
                    None => Standing::Unused,
                    Some(Value::Table(table)) if table.get(*key).is_some_and(|value| !is_unset(value)) => {
                        Standing::Overridden(setting.origin.to_string())
                    }
                    Some(_) => Standing::Used,
                }
            }
        }
    }

    /// `chat.language`, as far as it can be made out.
    pub fn language(&self) -> Language {
        self.settings.language()
    }

    fn told(&self, faults: Vec<Fault>) -> Faults {
        Faults { faults, language: self.language() }
    }
}

fn fill(settings: &mut Settings, name: &SecretName, value: &Secret<String>) {
    let value = name.as_set(value.expose());
    match name.place() {
        Place::Setting(key) => settings.set(key, value, Origin::Stored),
        Place::Item { list, name, key } => {
            let Some(setting) = settings.get(list).cloned() else { return };
            let mut tables = tables(&setting.value);
            if let Some(Value::Table(table)) = tables.iter_mut().find(|table| is_called(table, name)) {
                table.insert((*key).to_owned(), value);
                settings.set(list, Value::List(tables), setting.origin);
            }
        }
    }
}

/// A list of tables, as it stands in a file or, as JSON, in a variable. What is neither is told where it is read.
fn tables(value: &Value) -> Vec<Value> {
    match value {
        Value::List(tables) => tables.clone(),
        Value::Untyped(json) => match serde_json::from_str(json).map(Value::from_json) {
            Ok(Value::List(tables)) => tables,
            _ => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn is_called(table: &Value, name: &str) -> bool {
    let Value::Table(table) = table else { return false };
    table.get("name").is_some_and(|value| value.text().is_ok_and(|text| text == name))
}

fn is_unset(value: &Value) -> bool {
    match value {
        Value::Table(table) => table.is_empty(),
        Value::List(list) => list.is_empty(),
        other => other.is_empty(),
    }
}

/// What is shown of any secret.
fn value_stars() -> String {
    Secret::new(()).to_string()
}

impl Standing {
    /// What there is to say of the secret `name` in the database where it is not used, beginning with its name.
    pub fn note(&self, name: &str, language: Language) -> Option<String> {
        Some(match (self, language) {
            (Self::Used, _) => return None,
            (Self::Overridden(origin), Language::Chinese) => format!(
                "{name}：{origin} 和数据库（qimate secrets）都有，以 {origin} 为准；不再需要数据库里的就用 qimate secrets remove {name}"
            ),
            (Self::Overridden(origin), Language::English) => format!(
                "{name}: set by {origin} and in the database (qimate secrets); {origin} wins, and `qimate secrets remove \
                 {name}` takes the other away"
            ),
            (Self::Unused, Language::Chinese) => {
                format!("{name}：数据库（qimate secrets）里有，但配置里没有用到它的应用、上游或工具服务")
            }
            (Self::Unused, Language::English) => format!(
                "{name}: in the database (qimate secrets), and the configuration has no application, upstream or server of \
                 tools that it is for"
            ),
        })
    }
}
