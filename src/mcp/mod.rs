//! The Model Context Protocol, as far as a client needs it that calls tools: initialize, tools/list, tools/call.
//!
//! [`servers`] knows every configured server and what it offers; [`client`] speaks to one, over HTTP (`http`) or to a
//! program (`program`); `wire` has the JSON. Knows nothing of models and members: what is called, and for whom, is
//! decided in `chat`. Resources, prompts and what servers ask of clients are left out: nothing here would use them.
//! Why it is not the crate `rmcp`: see `docs/architecture.md`.

pub mod client;
mod http;
mod program;
pub mod servers;
mod wire;
