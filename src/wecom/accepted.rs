//! The Tokens and EncodingAESKeys that a callback may come with: those in force and, while they are being changed,
//! those of before.
//!
//! Knows no HTTP, and not since when a change goes on: that somebody still uses the values of before is said with each
//! callback ([`Values`]), and whoever asks decides what to make of it.

use super::{
    callback::{Payload, Rejection, SignedCallback},
    crypto::{CallbackToken, EncodingAesKey, InvalidKey},
};
use crate::{config, model::id::CorpId};

/// What opens a callback of one application.
///
/// A callback is tried with the values in force first, and with those of before only where these do not fit: without a
/// change under way, and for a callback with the new values, nothing more is computed than for one Token and one key.
/// Token and key are tried each for itself, because they may be changed one after the other: a callback of the time
/// between has the new Token and the key of before.
#[derive(Clone, Debug)]
pub struct AcceptedKeys {
    token: CallbackToken,
    key: EncodingAesKey,
    previous_token: Option<CallbackToken>,
    previous_key: Option<EncodingAesKey>,
}

/// Which values a callback came with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// Those in force.
    Current,
    /// Those of before, or one of them: WeCom's console has not been changed yet, or the callback was under way.
    Previous,
}

impl AcceptedKeys {
    /// One Token with one key.
    pub const fn new(token: CallbackToken, key: EncodingAesKey) -> Self {
        Self { token, key, previous_token: None, previous_key: None }
    }

    /// Beside them, the values of before; each may have stayed as it was.
    #[must_use]
    pub fn with_previous(self, token: Option<CallbackToken>, key: Option<EncodingAesKey>) -> Self {
        Self { previous_token: token, previous_key: key, ..self }
    }

    /// Those of the configuration.
    ///
    /// # Errors
    /// [`InvalidKey`] where a value is none that WeCom's console takes; a configuration that was read has none such.
    pub fn of(settings: &config::Wecom) -> Result<Self, InvalidKey> {
        let token = settings.previous_callback_token.as_ref().map(|text| CallbackToken::parse(text.expose()));
        let key = settings.previous_encoding_aes_key.as_ref().map(|text| EncodingAesKey::parse(text.expose()));
        let current = Self::new(
            CallbackToken::parse(settings.callback_token.expose())?,
            EncodingAesKey::parse(settings.encoding_aes_key.expose())?,
        );
        Ok(current.with_previous(token.transpose()?, key.transpose()?))
    }

    /// Whether a change is under way: values of before are accepted too.
    pub const fn is_changing(&self) -> bool {
        self.previous_token.is_some() || self.previous_key.is_some()
    }

    /// Proves that WeCom sent it, opens it, and proves that it is meant for the enterprise `receive_id`.
    ///
    /// # Errors
    /// The [`Rejection`] by the values in force, unless those of before fitted further: then theirs, because they are
    /// what the sender uses. A signature by the previous Token whose content no key opens is a matter of the keys, and
    /// not of the Token.
    pub fn open(&self, signed: SignedCallback, receive_id: &CorpId) -> Result<(Payload, Values), Rejection> {
        let tokens = [Some(&self.token), self.previous_token.as_ref()];
        let (envelope, which) = signed.verify_any(tokens.into_iter().flatten())?;
        let signed_by = if which == 0 { Values::Current } else { Values::Previous };

        let current = match envelope.open_with(&self.key, receive_id) {
            Ok(payload) => return Ok((payload, signed_by)),
            Err(rejection) => rejection,
        };
        let previous = self.previous_key.as_ref().map(|key| envelope.open_with(key, receive_id));
        Err(match (current, previous) {
            (_, Some(Ok(payload))) => return Ok((payload, Values::Previous)),
            // It decrypts, so the key is right and the enterprise is not.
            (Rejection::Undecryptable(_), Some(Err(further @ Rejection::OtherReceiver { .. }))) => further,
            // Who signs with the Token of before encrypts with a key of before: one that we were not told.
            (Rejection::Undecryptable(how), _) if signed_by == Values::Previous => {
                Rejection::PreviousUndecryptable(how)
            }
            (current, _) => current,
        })
    }
}

#[cfg(test)]
mod tests;
