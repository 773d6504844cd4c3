//! What is offered: which models there are, which of them see pictures, and which an application lets its members choose.

use std::sync::Arc;

use super::{Inner, Router};

/// A choice among the aliases.
#[derive(Clone)]
pub(super) struct Choice {
    /// What is asked for where none is wished for.
    pub(super) default: Arc<str>,
    /// What members may wish for beside it; empty: all.
    allowed: Arc<[Arc<str>]>,
}

impl Choice {
    /// All of them.
    pub(super) fn all(default: &str) -> Self {
        Self { default: default.into(), allowed: Arc::default() }
    }

    fn holds(&self, alias: &str) -> bool {
        self.allowed.is_empty() || self.names(alias)
    }

    fn names(&self, alias: &str) -> bool {
        *alias == *self.default || self.allowed.iter().any(|allowed| **allowed == *alias)
    }
}

impl Router {
    /// The same router for an application: its members may wish for the `allowed` aliases (none: all that are offered)
    /// and, where they wish for none, get `default`. What is learnt of the upstreams is shared.
    #[must_use]
    pub fn offering(&self, default: &str, allowed: &[Arc<str>]) -> Self {
        Self(Arc::clone(&self.0), Choice { default: default.into(), allowed: allowed.into() })
    }

    /// The aliases that can be wished for, in the order of the configuration. Of the only way, those that are named for
    /// answers: its others only sum up, or are for other applications.
    pub fn aliases(&self) -> Vec<Arc<str>> {
        let mut aliases: Vec<Arc<str>> = Vec::new();
        for route in &self.0.routes {
            let is_offered = if self.0.only_way { self.1.names(&route.alias) } else { self.1.holds(&route.alias) };
            if is_offered && !aliases.contains(&route.alias) {
                aliases.push(Arc::clone(&route.alias));
            }
        }
        aliases
    }

    /// The alias that is meant where none is wished for.
    pub fn default_alias(&self) -> Arc<str> {
        Arc::clone(&self.1.default)
    }

    /// Whether some route leads to a model of this alias, and it may be wished for.
    pub fn offers(&self, alias: &str) -> bool {
        self.aliases().iter().any(|offered| **offered == *alias)
    }

    /// Whether a model of this alias (`None`: the default) sees pictures.
    pub fn sees(&self, alias: Option<&str>) -> bool {
        let alias = alias.unwrap_or(&self.1.default);
        (0..self.0.routes.len()).any(|route| self.0.leads_to(route, alias, true))
    }
}

impl std::fmt::Debug for Router {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Router")
    }
}

impl Inner {
    /// Whether a route leads to a model of this alias and, where that is asked, to one that sees.
    pub(super) fn leads_to(&self, route: usize, alias: &str, sees: bool) -> bool {
        let route = &self.routes[route];
        *route.alias == *alias && (route.sees || !sees)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_has_its_choice_and_its_default_among_it() {
        assert!(Choice::all("a").holds("b"));
        let some = Choice { default: "a".into(), allowed: ["b".into()].into() };
        assert_eq!(["a", "b", "c"].map(|alias| some.holds(alias)), [true, true, false]);
    }
}
