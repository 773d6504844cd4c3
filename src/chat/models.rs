//! The models as people see them: which can be chosen, whose keys are set aside, and that they are mended.

use std::{fmt, sync::Arc};

use crate::{
    clock::Timestamp,
    llm::router::{self, Router},
    model::audit::{Actor, Entry},
    store::{self, Store},
};

/// A key that is set aside with one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// The upstream's name.
    pub upstream: String,
    /// Which of its keys, counted from 1.
    pub key: usize,
    /// The model's alias.
    pub model: String,
    /// A word that never changes: `key_refused`, `no_credit` or `settings`.
    pub reason: &'static str,
    /// Since when.
    pub since: Timestamp,
}

/// Shows members the aliases of the models, and operators their keys. Clones are the same.
#[derive(Clone)]
pub struct Models(Router);

impl Models {
    /// Of this router.
    pub const fn new(router: Router) -> Self {
        Self(router)
    }

    /// The aliases of all models, in the order of the configuration; not every one is for everybody.
    pub fn aliases(&self) -> Vec<Arc<str>> {
        self.0.aliases()
    }

    /// The alias of the model that answers members who chose none.
    pub fn usual(&self) -> Arc<str> {
        self.0.default_alias()
    }

    /// Whether some upstream offers a model under this alias.
    pub fn offers(&self, alias: &str) -> bool {
        self.0.offers(alias)
    }

    /// What waits for somebody to mend it. Empty where no upstreams are listed.
    pub fn set_aside(&self) -> Vec<SetAside> {
        let plain = |one: router::SetAside| SetAside {
            upstream: one.upstream.to_string(),
            key: one.key,
            model: one.alias.to_string(),
            reason: one.trouble.word(),
            since: one.since,
        };
        self.0.set_aside().into_iter().map(plain).collect()
    }

    /// Takes back every key that was set aside or rests, because an operator says that it is mended, and writes down who
    /// said so. Returns how many there were, each with each of its models.
    ///
    /// # Errors
    /// It could not be written down; nothing was taken back.
    pub async fn clear(&self, store: &Store, actor: &Actor, now: Timestamp) -> Result<usize, store::Error> {
        let entry = Entry::named("upstreams.clear", "upstreams").with("set_aside", self.set_aside().len());
        store.audit(actor, entry, now).await?;
        Ok(self.0.clear())
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Models")
    }
}
