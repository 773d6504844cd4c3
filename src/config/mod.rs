//! What an administrator sets: `config.example.toml`, then a file, then the environment.

pub mod chat;
pub mod llm;
pub mod log;
pub mod server;
pub mod storage;
pub mod wecom;

pub use self::{chat::Chat, llm::Llm, log::Log, server::Server, storage::Storage, wecom::Wecom};

/// Everything that is set.
#[derive(Clone, Debug)]
pub struct Config {
    /// `[server]`
    pub server: Server,
    /// `[wecom]`
    pub wecom: Wecom,
    /// `[llm]`
    pub llm: Llm,
    /// `[chat]`
    pub chat: Chat,
    /// `[storage]`
    pub storage: Storage,
    /// `[log]`
    pub log: Log,
}
