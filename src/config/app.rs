//! The applications that are served, each with what connects it with WeCom and the settings that hold for it.
//!
//! That of `[wecom]` has no name; the others have a section `[apps.NAME]` each. What such a section leaves out is as for
//! all, except what makes an application itself: so its keys are the keys of other sections under a shorter name
//! (`KEYS`), and are read by the same code. To let applications differ in one more thing, add its key there.

use std::{collections::BTreeMap, fmt, iter, sync::Arc};

use super::{
    Alerts, Chat, Config, Llm, Menu, Server, Wecom,
    fault::Wrong,
    layers::Settings,
    reader::{NOT_SET, Reader, Reported, any},
    server,
    setting::Value,
    suggest::nearest,
};

/// What the sections of applications begin with.
pub(super) const SECTION: &str = "apps";
/// The longest name: it stands in paths, logs and figures.
const LONGEST_NAME: usize = 32;
/// The aliases that members may choose. No other section has it.
const MODELS: &str = "apps.models";

/// A key of an application's section.
pub(super) struct Key {
    /// Its name there.
    pub(super) own: &'static str,
    /// The key that it stands for.
    of: &'static str,
    /// Whether an application that leaves it out has what is set for all.
    pub(super) inherited: bool,
}

impl Key {
    /// That which stands for `key`.
    pub(super) fn of(key: &str) -> Option<&'static Self> {
        KEYS.iter().find(|known| known.of == key)
    }

    /// Whether the key that it stands for is one of these.
    pub(super) fn stands_for_one_of(&self, keys: &[&str]) -> bool {
        keys.contains(&self.of)
    }
}

const fn own(own: &'static str, of: &'static str) -> Key {
    Key { own, of, inherited: false }
}

const fn inherited(own: &'static str, of: &'static str) -> Key {
    Key { own, of, inherited: true }
}

/// What an application may set.
pub(super) static KEYS: [Key; 28] = [
    inherited("corp_id", "wecom.corp_id"),
    own("agent_id", "wecom.agent_id"),
    own("secret", "wecom.secret"),
    own("callback_token", "wecom.callback_token"),
    own("encoding_aes_key", "wecom.encoding_aes_key"),
    own("previous_callback_token", "wecom.previous_callback_token"),
    own("previous_encoding_aes_key", "wecom.previous_encoding_aes_key"),
    own("callback_path", "server.callback_path"),
    inherited("api_base", "wecom.api_base"),
    inherited("proxy", "wecom.proxy"),
    inherited("timeout_seconds", "wecom.timeout_seconds"),
    inherited("max_concurrent_sends", "wecom.max_concurrent_sends"),
    inherited("system_prompt", "llm.system_prompt"),
    inherited("model", "llm.model"),
    own("models", MODELS),
    inherited("language", "chat.language"),
    inherited("idle_minutes", "chat.idle_minutes"),
    inherited("max_concurrent_turns", "chat.max_concurrent_turns"),
    inherited("progressive", "chat.progressive"),
    inherited("output", "chat.output"),
    inherited("context_tokens", "chat.context_tokens"),
    inherited("welcome", "chat.welcome"),
    inherited("privacy", "chat.privacy"),
    inherited("keep_days", "chat.keep_days"),
    inherited("slow_notice_seconds", "chat.slow_notice_seconds"),
    inherited("backlog_notice", "chat.backlog_notice"),
    inherited("menu_enabled", "menu.enabled"),
    inherited("menu_entries", "menu.entries"),
];

/// What stands in `[wecom]` only where there is an application of `[wecom]`: the rest of the section is for all.
const OF_THE_SINGLE: [&str; 6] = [
    "wecom.agent_id",
    "wecom.secret",
    "wecom.callback_token",
    "wecom.encoding_aes_key",
    "wecom.previous_callback_token",
    "wecom.previous_encoding_aes_key",
];

/// The name in `apps.NAME.KEY`, where it can be one.
pub(super) fn name_in(key: &str) -> Option<&str> {
    let (name, _) = key.strip_prefix(SECTION)?.strip_prefix('.')?.split_once('.')?;
    is_name(name).then_some(name)
}

/// Whether an application can be called so: it is in its path, and in capitals in its variables, where two underscores
/// separate.
pub(super) fn is_name(name: &str) -> bool {
    let plain = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    name.len() <= LONGEST_NAME && name.starts_with(|c: char| c.is_ascii_lowercase()) && name.split('_').all(plain)
}

/// Whether it is a key that an application may set: `apps.hr.secret`.
pub(super) fn is_key(key: &str) -> bool {
    stands_for(key).is_some()
}

/// The key that an application's key stands for: `wecom.secret` for `apps.hr.secret`.
pub(super) fn stands_for(key: &str) -> Option<&'static str> {
    let own = key.strip_prefix(SECTION)?.get(name_in(key)?.len() + 2..)?;
    KEYS.iter().find(|known| known.own == own).map(|known| known.of)
}

/// Whether it is a key of the application of `[wecom]` alone.
pub(super) fn is_of_the_single(key: &str) -> bool {
    OF_THE_SINGLE.contains(&key)
}

/// Whether there is an application of `[wecom]`.
pub(super) fn has_single(settings: &Settings) -> bool {
    let is_set = |key: &&str| settings.get(key).is_some_and(|setting| !setting.value.is_empty());
    settings.app_names().is_empty() || OF_THE_SINGLE.iter().any(is_set)
}

/// Whether it is a key below a name that no application can have.
pub(super) fn is_of_bad_name(key: &str) -> bool {
    let rest = key.strip_prefix(SECTION).and_then(|rest| rest.strip_prefix('.'));
    rest.and_then(|rest| rest.rsplit_once('.')).is_some_and(|(name, _)| !is_name(name))
}

/// What is wrong with a key below `apps` that [`is_key`] refuses; `None` for any other key.
pub(super) fn unknown_key(key: &str) -> Option<Wrong> {
    let rest = key.strip_prefix(SECTION)?.strip_prefix('.')?;
    let Some((name, own)) = rest.rsplit_once('.') else {
        return Some(Wrong::new(
            ["里没有应用的设置", "holds no settings of an application"],
            [
                "应为 [apps.名字] 一节，里面有 agent_id、secret 等",
                "expected a section [apps.NAME] with agent_id, secret and the others",
            ],
        ));
    };
    if !is_name(name) {
        return Some(Wrong::new(
            ["的应用名不可用", "has a name that no application can have"],
            [
                format!("名字应为 1 到 {LONGEST_NAME} 个小写字母、数字和单个 _，以字母开头，例如 hr"),
                format!(
                    "expected 1 to {LONGEST_NAME} small letters, digits and single _, beginning with a letter, such as hr"
                ),
            ],
        ));
    }
    let remedy = match nearest(own, KEYS.iter().map(|known| known.own)) {
        Some(meant) => [format!("是不是 apps.{name}.{meant}？"), format!("did you mean apps.{name}.{meant}?")],
        None => ["应用可以设置的项见 config.example.toml", "config.example.toml lists what an application may set"]
            .map(str::to_owned),
    };
    Some(Wrong::new(["不是应用可以设置的项".to_owned(), "is no key of an application".to_owned()], remedy))
}

/// The applications, at least one.
#[derive(Clone, Debug)]
pub struct Apps {
    /// That of `[wecom]` or, where there is none, the first of `[apps]`.
    pub first: App,
    /// The others, by name.
    pub more: Vec<App>,
}

/// An application that is served.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name; `None` for that of `[wecom]`.
    pub name: Option<Arc<str>>,
    /// What connects it with WeCom.
    pub wecom: Wecom,
    /// What holds for it; `None` for that of `[wecom]`: what holds for all.
    pub(super) own: Option<Own>,
}

/// What holds for one application, whether it is set there or for all.
#[derive(Clone, Debug)]
pub(super) struct Own {
    callback_path: String,
    pub(super) chat: Chat,
    menu: Menu,
    system_prompt: String,
    model: String,
    models: Vec<Arc<str>>,
}

/// The application of `[wecom]`; `None` where there are others and it is not set. What stands there for all is looked at
/// in any case.
pub(super) fn single(reader: &mut Reader<'_>) -> Result<Option<Wecom>, Reported> {
    if reader.has_single() {
        return Wecom::read(reader).map(Some);
    }
    Wecom::read_for_all(reader).map(|()| None)
}

impl Apps {
    /// Beside the `single` one, those of `[apps]`.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        single: Result<Option<Wecom>, Reported>,
        server: Option<&Server>,
        llm: Option<&mut Llm>,
    ) -> Result<Self, Reported> {
        let mut good = single.is_ok();
        let mut all: Vec<App> = Vec::new();
        all.extend(single.ok().flatten().map(|wecom| App { name: None, wecom, own: None }));
        let common_path = server.map_or("/wxcomapp", |server| server.callback_path.as_str());
        for name in reader.app_names() {
            match reader.for_app(&name, |reader| App::read(reader, &name, common_path, llm.as_deref())) {
                Ok(app) => all.push(app),
                Err(Reported) => good = false,
            }
        }
        good &= all_differ(reader, &all, common_path);
        if let Some(llm) = llm {
            llm.more_models = all.iter().filter_map(|app| app.own.as_ref()).flat_map(Own::all_models).collect();
        }
        let mut all = all.into_iter();
        match all.next() {
            Some(first) if good => Ok(Self { first, more: all.collect() }),
            _ => Err(Reported),
        }
    }

    /// Reports `alerts.app` where it names none of them.
    pub(super) fn look_for_speaker(&self, reader: &mut Reader<'_>, alerts: &Alerts) {
        let Some(name) = &alerts.app else { return };
        if self.iter().all(|app| app.name.as_deref() != Some(name)) {
            let names: Vec<_> = self.iter().filter_map(|app| app.name.as_deref()).collect();
            let remedy = [
                format!("应为 \"\" 或 [apps] 中的名字：{}", names.join("、")),
                format!("expected \"\" or a name in [apps]: {}", names.join(", ")),
            ];
            let wrong = Wrong::new(["不是应用的名字".to_owned(), "is no application".to_owned()], remedy);
            let _ = reader.contradiction("alerts.app", wrong);
        }
    }

    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        iter::once(&self.first).chain(&self.more)
    }

    /// Whether there are several, so that it has to be said which.
    pub const fn are_several(&self) -> bool {
        !self.more.is_empty()
    }
}

/// Reports applications that are the same to WeCom, or whose callbacks could not be told apart.
fn all_differ(reader: &mut Reader<'_>, all: &[App], common_path: &str) -> bool {
    let mut differ = true;
    let (mut places, mut paths) = (BTreeMap::new(), BTreeMap::new());
    for app in all {
        let name = app.name.as_deref().unwrap_or_default();
        let place = (app.wecom.corp_id.as_str(), app.wecom.agent_id.get());
        if let Some(other) = places.insert(place, app) {
            let problem = [format!("与 {other} 是同一个应用"), format!("makes it the same application as {other}")];
            let remedy = [
                "每个应用应有自己的企业ID 和 AgentId；同一个应用只写一次",
                "expected a corp id with an AgentId of its own for each",
            ];
            let _ = reader.for_app(name, |reader| reader.contradiction("wecom.agent_id", Wrong::new(problem, remedy)));
            differ = false;
        }
        if let Some(other) = paths.insert(app.callback_path(common_path), app) {
            let problem = [format!("与 {other} 的相同"), format!("is that of {other}, too")];
            let remedy = ["每个应用应有自己的路径", "expected a path of its own for each"];
            let wrong = Wrong::new(problem, remedy);
            let _ = reader.for_app(name, |reader| reader.contradiction("server.callback_path", wrong));
            differ = false;
        }
    }
    differ
}

impl App {
    fn read(reader: &mut Reader<'_>, name: &str, common_path: &str, llm: Option<&Llm>) -> Result<Self, Reported> {
        let wecom = Wecom::read(reader);
        let callback_path = reader.optional_text("server.callback_path", server::path);
        let system_prompt = reader.optional_text("llm.system_prompt", any);
        let model = reader.text("llm.model", any);
        let models = reader.take(MODELS, |value| {
            let models = aliases(value)?;
            let shown = if models.is_empty() { NOT_SET.to_owned() } else { models.join(", ") };
            Ok((models, shown))
        });
        if let (Some(llm), Ok(model), Ok(models)) = (llm, &model, &models) {
            let unknown = |alias: &str| !llm.upstreams.is_empty() && !llm.offers(alias);
            let wrong = || {
                Wrong::new(
                    ["没有任何上游提供", "is offered by no upstream"],
                    ["应为 llm.upstreams 中某个模型的别名", "expected the alias of one of llm.upstreams' models"],
                )
            };
            if unknown(model) && llm.model != *model {
                let _ = reader.contradiction("llm.model", wrong());
            }
            for alias in models.iter().map(|alias| &**alias).filter(|alias| unknown(alias)) {
                let _ = reader.contradiction(MODELS, wrong().within(alias));
            }
        }
        let chat = Chat::read(reader);
        let menu = Menu::read(reader);
        Ok(Self {
            name: Some(name.into()),
            wecom: wecom?,
            own: Some(Own {
                callback_path: callback_path?.unwrap_or_else(|| format!("{common_path}/{name}")),
                chat: chat?,
                menu: menu?,
                system_prompt: system_prompt?.unwrap_or_default(),
                model: model?,
                models: models?,
            }),
        })
    }

    fn callback_path(&self, common: &str) -> String {
        self.own.as_ref().map_or(common, |own| &own.callback_path).to_owned()
    }

    /// Its place in WeCom: corp id and AgentId.
    pub fn key(&self) -> crate::model::id::AppKey {
        crate::model::id::AppKey::new(&self.wecom.corp_id, self.wecom.agent_id)
    }

    /// The section that it is set in: `wecom`, `apps.hr`.
    pub fn section(&self) -> String {
        self.name.as_ref().map_or_else(|| "wecom".to_owned(), |name| format!("{SECTION}.{name}"))
    }
}

impl Own {
    fn all_models(&self) -> impl Iterator<Item = String> {
        iter::once(self.model.clone()).chain(self.models.iter().map(|alias| alias.to_string()))
    }
}

/// Names of models: a list, or with commas between them.
fn aliases(value: &Value) -> Result<Vec<Arc<str>>, Wrong> {
    match value {
        Value::List(list) => list.iter().map(|alias| alias.text().map(Into::into)).collect(),
        other => {
            let names = other.text()?.split(',').map(str::trim);
            Ok(names.filter(|alias| !alias.is_empty()).map(Into::into).collect())
        }
    }
}

/// As an operator knows it: by its name, or else by its place in WeCom.
impl fmt::Display for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => f.write_str(name),
            None => write!(f, "{}/{}", self.wecom.corp_id, self.wecom.agent_id),
        }
    }
}

impl Config {
    /// The application that tells the operators what is wrong.
    pub fn speaker(&self) -> &App {
        let named = self.alerts.app.as_deref();
        self.apps.iter().find(|app| named.is_some() && app.name.as_deref() == named).unwrap_or(&self.apps.first)
    }

    /// The settings as they hold for one of the applications, which is then the only one in them.
    #[must_use]
    pub fn of(&self, app: &App) -> Self {
        let mut config = Self { apps: Apps { first: app.clone(), more: Vec::new() }, ..self.clone() };
        if let Some(own) = &app.own {
            config.server.callback_path.clone_from(&own.callback_path);
            config.chat = own.chat.clone();
            config.menu = own.menu.clone();
            config.llm.system_prompt.clone_from(&own.system_prompt);
            config.llm.model.clone_from(&own.model);
            config.llm.allowed.clone_from(&own.models);
        }
        config
    }
}
