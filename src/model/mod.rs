//! Nouns without I/O: who wrote, what came, what was said, what goes out.
//!
//! Knows no protocol, no database and no network, and has no async function. To add a noun, give it a file, a private
//! field and one `parse` (or constructor) that makes the wrong value impossible.

pub mod audit;
pub mod call;
pub mod command;
pub mod conversation;
pub mod csv;
pub mod directory;
pub mod event;
pub mod fact;
pub mod file_name;
pub mod id;
pub mod json;
pub mod key;
pub mod key_link;
pub mod language;
pub mod media;
pub mod network;
pub mod operator;
pub mod outbound;
pub mod pace;
pub mod person;
pub mod preferences;
pub mod privacy;
pub mod profile;
pub mod quota;
pub mod reply;
pub mod second_factor;
pub mod template;
pub mod totals;
