//! What is offered: which models there are, and which of them see pictures.

use std::sync::Arc;

use super::{Inner, Router};

impl Router {
    /// The aliases that can be wished for, in the order of the configuration. Of the only way, that of the answers: its
    /// other model only sums up.
    pub fn aliases(&self) -> Vec<Arc<str>> {
        if self.0.only_way {
            return vec![Arc::clone(&self.0.default_alias)];
        }
        let mut aliases: Vec<Arc<str>> = Vec::new();
        for route in &self.0.routes {
            if !aliases.contains(&route.alias) {
                aliases.push(Arc::clone(&route.alias));
            }
        }
        aliases
    }

    /// The alias that is meant where none is wished for.
    pub fn default_alias(&self) -> Arc<str> {
        Arc::clone(&self.0.default_alias)
    }

    /// Whether some route leads to a model of this alias.
    pub fn offers(&self, alias: &str) -> bool {
        self.aliases().iter().any(|offered| **offered == *alias)
    }

    /// Whether a model of this alias (`None`: `llm.model`) sees pictures.
    pub fn sees(&self, alias: Option<&str>) -> bool {
        let alias = alias.unwrap_or(&self.0.default_alias);
        (0..self.0.routes.len()).any(|route| self.0.leads_to(route, alias, true))
    }
}

impl Inner {
    /// Whether a route leads to a model of this alias and, where that is asked, to one that sees.
    pub(super) fn leads_to(&self, route: usize, alias: &str, sees: bool) -> bool {
        let route = &self.routes[route];
        *route.alias == *alias && (route.sees || !sees)
    }
}
