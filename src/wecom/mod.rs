//! WeCom's protocol: XML, signatures, errcodes, the HTTP API.
//!
//! Inwards, a callback goes from station to station, and each is the only maker of the next:
//! [`callback::SignedCallback`] → [`callback::VerifiedEnvelope`] → [`callback::Payload`] → [`event::parse`].
//! Which Tokens and keys open it, while they are being changed too, [`accepted::AcceptedKeys`] knows.
//! Outwards, [`client::Client`] sends one message with an access token of [`token::AccessTokens`] and says what the
//! caller can do when it did not arrive.
//!
//! Knows no conversation, no database and no model. To understand another message or event, add a variant to
//! `model::event::EventKind` and a line to [`event`]; to react to another errcode, add it to its class in [`errcode`];
//! to call another API, add a method to [`client::Client`].

pub mod accepted;
pub mod agent;
pub mod answer;
pub mod callback;
mod card;
mod change;
pub mod client;
pub mod contact;
pub mod crypto;
pub mod directory;
pub mod echo;
pub mod errcode;
pub mod event;
pub mod meaning;
pub mod media;
pub mod menu;
pub mod message;
pub mod reach;
pub mod token;
pub mod upload;

mod xml;

#[cfg(test)]
mod fake;
