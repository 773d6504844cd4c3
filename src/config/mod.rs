//! What an administrator sets: `config.example.toml`, then secrets in the database, then a file, then the environment.
//!
//! This room is the only reader of the environment. It turns what people write into values that the other rooms need
//! not check again, and reports everything that is wrong at once. What it says never holds a value that somebody
//! wrote as text: a secret in the wrong place would be in the log. It does not know what the values are used for.
//!
//! The way of a value: `layers` gathers, key by key, the value that wins and where it came from; a `reader` types
//! it for the section's file. To add a key: a line with its comment in `config.example.toml`, a field in the section's
//! struct, a line in the section's `read`. A test compares the example with what is read.

pub mod admin;
pub mod alerts;
pub mod app;
pub mod chat;
mod draft;
mod environment;
mod fault;
mod file;
mod gathered;
pub mod images;
pub mod import;
mod layers;
mod legacy;
pub mod llm;
mod loaded;
pub mod log;
pub mod menu;
pub mod persona;
pub mod pictures;
mod platform;
mod reader;
pub mod safety;
pub mod secret_name;
pub mod secrets;
pub mod server;
mod setting;
pub mod storage;
mod suggest;
mod table;
pub mod team;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod tools;
pub mod upstream;
mod url;
pub mod v1;
mod variable;
mod vision;
pub mod voice;
pub mod web;
pub mod wecom;
pub mod write;

pub use self::{
    admin::Admin,
    alerts::Alerts,
    app::{App, Apps},
    chat::Chat,
    draft::Draft,
    environment::{Environment, OpenAi, inherited, user},
    fault::{Fault, Faults},
    gathered::{Basics, Gathered, Standing},
    images::Images,
    llm::Llm,
    loaded::Loaded,
    log::Log,
    menu::Menu,
    pictures::Pictures,
    platform::Platform,
    safety::Safety,
    secret_name::SecretName,
    secrets::Secrets,
    server::Server,
    storage::Storage,
    team::Team,
    tls::Tls,
    tools::Tools,
    upstream::Upstream,
    v1::V1,
    voice::Voice,
    web::Web,
    wecom::Wecom,
};

/// Everything that is set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[tls]`
    pub tls: Tls,
    /// The applications that are served, at least one: that of `[wecom]`.
    pub apps: Apps,
    /// `[llm]`
    pub llm: Llm,
    /// `[chat]`
    pub chat: Chat,
    /// `[menu]`
    pub menu: Menu,
    /// `[pictures]`
    pub pictures: Pictures,
    /// `[voice]`
    pub voice: Voice,
    /// `[images]`
    pub images: Images,
    /// `[safety]`
    pub safety: Safety,
    /// `[web]`
    pub web: Web,
    /// `[tools]`
    pub tools: Tools,
    /// `[team]`
    pub team: Team,
    /// `[v1]`
    pub v1: V1,
    /// `[admin]`
    pub admin: Admin,
    /// `[storage]`
    pub storage: Storage,
    /// `[secrets]`
    pub secrets: Secrets,
    /// `[alerts]`
    pub alerts: Alerts,
    /// `[log]`
    pub log: Log,
    /// On what the process runs.
    pub platform: Platform,
}
