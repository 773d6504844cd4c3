//! The model's protocol: OpenAI chat completions, streamed.
//!
//! Bytes become events (`sse`), events become chunks (`wire`), chunks become steps of the answer (`decode`), and these
//! are waited for as deltas ([`stream`]); [`client`] makes the call and repeats it while nothing has come. One
//! [`client::Client`] speaks to one upstream.
//!
//! Knows nothing of WeCom, members, quotas or the store. To add an endpoint, add its wire types and a method on
//! [`client::Client`].

pub mod client;
pub mod error;
pub mod stream;
pub mod tokens;

mod decode;
mod redact;
mod retry;
mod sse;
mod think;
mod timers;
mod wire;
