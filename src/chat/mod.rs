//! What the bot does: takes events in, turns them into answers, and sees the answers out.
//!
//! The path, in the order of these files: `intake` saves an event; `dispatch` gives it to `turn`, which knows `command`s
//! and asks `answer` for the rest; that puts a prompt together (`context`, from `memory`), lets `live` decide what can be
//! said while the model still writes, and `render`s it, what no bubble can show as `files`; `delivery` sends it. It is the only room where WeCom, the model
//! and the store meet. It knows nothing of HTTP.

pub mod intake;
pub mod lately;

pub mod directory;
pub mod dispatch;

pub mod album;
mod allowance;
pub mod announcer;
pub mod answer;
mod cause;
mod chosen;
mod commands;
pub mod context;
mod ended;
mod errands;
pub mod files;
pub mod hearing;
pub mod joining;
pub mod live;
pub mod memory;
pub mod menu;
pub mod models;
pub mod outcome;
mod persist;
pub mod profiles;
mod prompt;
pub mod question;
pub mod render;
pub mod seeing;
pub mod shared;
mod speakable;
pub mod stops;
pub mod summaries;
pub mod texts;
mod thoughts;
pub mod tooling;
pub mod turn;

pub mod delivery;
pub mod gate;
pub mod notices;
mod send;
pub mod way;
pub mod wish;
