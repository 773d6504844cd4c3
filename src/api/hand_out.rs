//! Where members get the keys that they make themselves: what a one-time link opens.

use std::sync::Arc;

use tracing::{info, warn};

use super::Api;
use crate::{
    meter::own_keys::OwnKeys,
    model::{
        key::ApiKey,
        key_link::{Hindrance, KeyLink},
    },
    secret::Secret,
    store::{self, key_links::Taken},
};

/// Gives members their keys. Clones share it.
#[derive(Clone, Debug)]
pub struct HandOut {
    api: Api,
    keys: OwnKeys,
}

/// A key, for the one moment in which it is shown.
#[derive(Debug)]
pub struct Handed {
    /// The key.
    pub key: Box<ApiKey>,
    /// All of it.
    pub text: Secret<String>,
    /// The aliases that may be asked for by it.
    pub models: Vec<Arc<str>>,
}

/// What came of using a link.
#[derive(Debug)]
pub enum HandedOut {
    /// This.
    Key(Handed),
    /// No key; the link is good as before.
    Not(Hindrance),
    /// No key: the link is not good any more.
    Gone,
}

impl HandOut {
    /// Gives out `keys`, which `api` answers.
    pub const fn new(api: Api, keys: OwnKeys) -> Self {
        Self { api, keys }
    }

    /// This service from outside: scheme, host and port.
    pub fn base(&self) -> &str {
        self.keys.base()
    }

    /// How many keys a member may have.
    pub fn most(&self) -> u32 {
        self.keys.most()
    }

    /// The link in which this stands; `None`: it is not good, whyever. Changes nothing, so whoever looks at a link before
    /// the member does uses nothing up.
    ///
    /// # Errors
    /// [`store::Error`] when it cannot be read.
    pub async fn look(&self, token: &str) -> Result<Option<KeyLink>, store::Error> {
        self.keys.look(token).await
    }

    /// Uses a link. The key can be used at once.
    ///
    /// # Errors
    /// [`store::Error`]: nothing was changed.
    pub async fn take(&self, link: &KeyLink) -> Result<HandedOut, store::Error> {
        let (key, text) = match self.keys.take(link).await? {
            Taken::Key(key, text) => (key, text),
            Taken::Not(hindrance) => return Ok(HandedOut::Not(hindrance)),
            Taken::Gone => return Ok(HandedOut::Gone),
        };
        let rotated = link.wish.rotates.is_some();
        info!(key.id = %key.id, rotated, "{} made an API key", link.member);
        if let Err(error) = self.api.reload().await {
            warn!(%error, key.id = %key.id, "cannot read a key that was just made; again within a second");
        }
        let models = self.api.models_of(&key).await;
        Ok(HandedOut::Key(Handed { key, text, models }))
    }
}
