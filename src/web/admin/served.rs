//! What is served here, as far as handlers look at it.

use std::{collections::BTreeSet, sync::Arc};

use super::problem::Problem;
use crate::{clock::zone::Zone, model::id::CorpId, store::ledger::Books};

/// What the configuration says of it.
#[derive(Clone, Debug)]
pub struct Served {
    /// The enterprises.
    pub corps: Vec<CorpId>,
    /// The aliases of models that a plan may name.
    pub models: BTreeSet<Arc<str>>,
    /// Those that a key may.
    pub models_of_keys: BTreeSet<Arc<str>>,
    /// Whose days dates are.
    pub zone: Zone,
    /// What was used.
    pub books: Books,
    /// What money is counted in.
    pub currency: String,
}

impl Served {
    /// The enterprise that is meant: the only one, or the one that `?corp=` names.
    pub(super) fn corp(&self, named: Option<&str>) -> Result<CorpId, Problem> {
        let found = match named {
            Some(named) => self.corps.iter().find(|corp| corp.as_str() == named),
            None => self.corps.first().filter(|_| self.corps.len() == 1),
        };
        found.cloned().ok_or_else(|| {
            let known = self.corps.iter().map(CorpId::as_str).collect::<Vec<_>>().join(", ");
            Problem::parameter("corp", format!("say which enterprise: one of {known}"))
        })
    }
}
