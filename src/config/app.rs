//! The applications that are served, each with what connects it with WeCom and the settings that hold for it.

use std::{fmt, iter, sync::Arc};

use super::{Config, Wecom};

/// The applications, at least one.
#[derive(Clone, Debug)]
pub struct Apps {
    /// That of `[wecom]` or, where there is none, the first of `[apps]`.
    pub first: App,
    /// The others, by name.
    pub more: Vec<App>,
}

impl Apps {
    /// All of them, the first one first.
    pub fn iter(&self) -> impl Iterator<Item = &App> {
        iter::once(&self.first).chain(&self.more)
    }
}

/// An application that is served.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name; `None` for that of `[wecom]`.
    pub name: Option<Arc<str>>,
    /// What connects it with WeCom.
    pub wecom: Wecom,
}

impl App {
    /// The application of `[wecom]`.
    pub(super) const fn single(wecom: Wecom) -> Self {
        Self { name: None, wecom }
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
    /// The settings as they hold for one of the applications, which is then the only one in them.
    #[must_use]
    pub fn of(&self, app: &App) -> Self {
        Self { apps: Apps { first: app.clone(), more: Vec::new() }, ..self.clone() }
    }
}
