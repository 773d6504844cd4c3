//! From the layers to a [`Config`], together with where each value came from.

use std::{collections::BTreeMap, path::Path};

use super::{
    Admin, Alerts, Apps, Chat, Config, Environment, Fault, Faults, Images, Llm, Log, Menu, Pictures, Platform, Safety,
    Secrets, Server, Standing, Storage, Team, Tls, Tools, V1, Voice, Web, app, chat, layers,
    reader::{Reader, Reported},
    setting::Origin,
};
use crate::{config::chat::Language, model::template};

/// A configuration without faults.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The values.
    pub config: Config,
    pub(super) rows: Vec<Row>,
    /// What became of the secrets in the database.
    pub(super) stored: BTreeMap<String, Standing>,
}

/// One line of [`Loaded::describe`].
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) key: String,
    pub(super) origin: Origin,
    /// What may be shown of the value.
    pub(super) shown: String,
}

/// How many characters of a value are shown: a system prompt would fill the screen.
const SHOWN_CHARS: usize = 60;

impl Config {
    /// Reads `config.example.toml` (built in), then the file, then the environment, and not the database. The file is `explicit`, else what
    /// `QIMATE_CONFIG` names, else `config.toml` where there is one. The head of the example says all of it.
    ///
    /// # Errors
    /// [`Faults`]: everything that is wrong, at once. Printing them shows no secret.
    pub fn load(explicit: Option<&Path>, environment: &Environment) -> Result<Loaded, Faults> {
        Self::gather(explicit, environment).load(Vec::new())
    }

    /// The same with the text of a file that is not written yet, and no environment.
    ///
    /// # Errors
    /// [`Faults`], as [`Config::load`].
    pub(super) fn load_text(text: &str) -> Result<Loaded, Faults> {
        let mut faults = Vec::new();
        let settings = layers::gather_text(text, &mut faults);
        Self::load_settings(&settings, faults, &Environment::default())
    }

    pub(super) fn load_settings(
        settings: &layers::Settings,
        faults: Vec<Fault>,
        environment: &Environment,
    ) -> Result<Loaded, Faults> {
        let mut reader = Reader::new(settings, faults);
        let config = Self::read(&mut reader, environment);
        let (faults, rows) = reader.finish();
        match config {
            Ok(config) if faults.is_empty() => Ok(Loaded { config, rows, stored: BTreeMap::new() }),
            _ => Err(Faults { faults, language: settings.language() }),
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>, environment: &Environment) -> Result<Self, Reported> {
        let server = Server::read(reader);
        let tls = Tls::read(reader);
        let single = app::single(reader);
        let mut llm = Llm::read(reader);
        let chat = Chat::read(reader);
        if let (Ok(llm), Ok(chat)) = (&mut llm, &chat) {
            llm.offer_for_summaries(chat.summary_model.as_deref(), reader);
        }
        let apps = Apps::read(reader, single, server.as_ref().ok(), llm.as_mut().ok());
        let menu = Menu::read(reader);
        let pictures = Pictures::read(reader);
        let voice = Voice::read(reader);
        let images = Images::read(reader);
        let safety = Safety::read(reader);
        let web = Web::read(reader);
        let tools = Tools::read(reader);
        let team = Team::read(reader);
        let v1 = V1::read(reader);
        if let (Ok(v1), Ok(llm), Ok(images), Ok(voice)) = (&v1, &llm, &images, &voice) {
            v1.look_for_models(reader, (llm, images, voice));
        }
        let admin = Admin::read(reader);
        let storage = Storage::read(reader);
        if let Ok(storage) = &storage {
            chat::look_at_days(reader, (chat.as_ref().ok(), apps.as_ref().ok()), storage);
        }
        let secrets = Secrets::read(reader);
        let alerts = Alerts::read(reader);
        if let (Ok(alerts), Ok(apps)) = (&alerts, &apps) {
            apps.look_for_speaker(reader, alerts);
        }
        let log = Log::read(reader);
        Ok(Self {
            server: server?,
            tls: tls?,
            apps: apps?,
            llm: llm?,
            chat: chat?,
            menu: menu?,
            pictures: pictures?,
            voice: voice?,
            images: images?,
            safety: safety?,
            web: web?,
            tools: tools?,
            team: team?,
            v1: v1?,
            admin: admin?,
            storage: storage?,
            secrets: secrets?,
            alerts: alerts?,
            log: log?,
            platform: Platform::read(environment),
        })
    }
}

impl Loaded {
    /// A table of every key, where its value came from, and the value: secrets starred, `(not set)` where it is empty.
    /// The value stands last, for it may be long.
    pub fn describe(&self) -> String {
        let rows: Vec<_> =
            self.rows.iter().map(|row| (&row.key, row.origin.to_string(), one_line(&row.shown))).collect();
        let key_width = rows.iter().map(|(key, ..)| key.len()).max().unwrap_or_default();
        let origin_width = rows.iter().map(|(_, origin, _)| origin.chars().count()).max().unwrap_or_default();
        rows.iter().map(|(key, origin, value)| format!("{key:key_width$}  {origin:origin_width$}  {value}\n")).collect()
    }

    /// What is no fault, and yet may not be what was meant: a line each, beginning with the key.
    pub fn hints(&self) -> Vec<String> {
        let known: Vec<_> = template::PLACEHOLDERS.iter().map(|(word, _)| format!("{{{word}}}")).collect();
        let known = known.join(" ");
        let hint = |word| match self.config.chat.language {
            Language::Chinese => {
                format!("llm.system_prompt: {{{word}}} 不是占位符，会原样交给模型；可用的占位符：{known}")
            }
            Language::English => {
                format!("llm.system_prompt: {{{word}}} is no placeholder and is told as it is; there are {known}")
            }
        };
        let words = template::unknown_words(&self.config.llm.system_prompt).into_iter().map(hint);
        words.chain(self.stored_notes()).collect()
    }

    /// The same of secrets in the database alone.
    pub fn stored_notes(&self) -> Vec<String> {
        let language = self.config.chat.language;
        self.stored.iter().filter_map(|(name, standing)| standing.note(name, language)).collect()
    }

    /// How many settings have their values from the database.
    pub fn stored_and_used(&self) -> usize {
        self.stored.values().filter(|standing| **standing == Standing::Used).count()
    }

    /// The keys that were read, in the order of the table.
    #[cfg(test)]
    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().map(|row| row.key.as_str())
    }
}

pub(super) fn one_line(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(SHOWN_CHARS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
