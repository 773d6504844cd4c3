//! Qimate (企伴): an AI colleague inside WeCom for every employee.
//!
//! The rooms, from the top floor down; each imports only from below it (`tests/it/architecture.rs` holds that):
//!
//! 1. `server`: where things are wired, started and stopped
//! 2. `web`: what the network sees; `sandbox`: WeCom on your desk
//! 3. `chat`: what the bot does; `api`: what programs ask by keys; `admin`: who administers over HTTP; `doctor`: what is
//!    wrong with the set-up, and how to mend it
//! 4. `wecom`: WeCom's protocol; `meter`: the one door to the model; `alert`: who is told when something is wrong
//! 5. `store`: what is durable; `llm`: the model's protocol; `mcp`: that of servers of tools
//! 6. `config`: what an administrator sets
//! 7. `model`: nouns without I/O; `safety`: what must not be said, and what must not leave the house; `vault`:
//!    encryption at rest
//! 8. `clock`, `media`, `metrics`, `net`, `secret`: time, pictures and voice, figures, outgoing HTTP and secrets
#![forbid(unsafe_code)]

pub mod admin;
pub mod alert;
pub mod api;
pub mod chat;
pub mod config;
pub mod doctor;
pub mod llm;
pub mod mcp;
pub mod meter;
pub mod model;
pub mod safety;
pub mod sandbox;
pub mod server;
pub mod store;
pub mod vault;
pub mod web;
pub mod wecom;

pub mod clock;
pub mod media;
pub mod metrics;
pub mod net;
pub mod secret;
