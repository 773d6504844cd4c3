//! The model's protocol: OpenAI chat completions, streamed.
//!
//! Bytes become events (`sse`), events become chunks (`wire`), chunks become steps of the answer (`decode`), and these
//! are waited for as deltas ([`stream`]); [`client`] makes one call of one upstream; [`router`] chooses among upstreams,
//! and goes on to the next one while nothing has come. What programs ask is passed on by [`relay`].
//!
//! Knows nothing of WeCom, members, quotas or the store. To add an endpoint, add its wire types and a method on
//! [`client::Client`].

pub mod cleared;
pub mod client;
pub mod error;
pub mod images;
pub mod moderation;
pub mod relay;
pub mod router;
pub mod speech;
pub mod stream;
pub mod tokens;
pub mod tools;
pub mod transcribe;

mod decode;
mod dialect;
mod endpoint;
#[cfg(test)]
mod fake;
mod message;
mod redact;
mod retry;
mod sse;
mod think;
mod timers;
mod wire;
