//! What an examination of the set-up tries.

use super::Route;
use crate::{
    llm::client::{ProbeFault, Probed},
    net::link::Way,
};

/// A key of an upstream with one of its models, to be tried.
pub struct Sample<'a> {
    pub(super) route: &'a Route,
    pub(super) listed: bool,
}

impl Sample<'_> {
    /// The upstream and which of its keys, counted from 1; `None` where no upstreams are listed.
    pub fn place(&self) -> Option<(&str, usize)> {
        self.listed.then_some((&*self.route.name, self.route.key))
    }

    /// The upstream's own name for the model.
    pub fn model(&self) -> &str {
        &self.route.model
    }

    /// Whether a key is set for it.
    pub const fn has_key(&self) -> bool {
        self.route.has_key
    }

    /// The way there, to be shown.
    pub fn way(&self) -> Way {
        self.route.client.way()
    }

    /// Asks for one word, once. Teaches the router nothing, and counts as no call.
    ///
    /// # Errors
    /// [`ProbeFault`].
    pub async fn probe(&self) -> Result<Probed, ProbeFault> {
        self.route.client.probe(&self.route.model).await
    }
}
