//! What is counted and measured, for `/metrics` (Prometheus).
//!
//! Knows the names, labels and buckets, and not who counts. To add a figure: a field with its line in [`Metrics::new`],
//! a method that says in the house's words what happened, and its line in `docs/operations.md`. A label has few values,
//! all ours: never a member, a text or an id.

use std::fmt;

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family},
    registry::Registry,
};

/// The figures of this process. Share one.
pub struct Metrics {
    registry: Registry,
    callbacks: Family<ByResult, Counter>,
    turns: Family<ByResult, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByResult {
    result: &'static str,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("qimate");
        let callbacks = Family::default();
        registry.register("callbacks", "Callbacks by what became of them", callbacks.clone());
        let turns = Family::default();
        registry.register("turns", "Questions by how they ended", turns.clone());
        Self { registry, callbacks, turns }
    }

    /// A callback was answered: `accepted`, `duplicate`, `verified`, or the reason of its refusal.
    pub fn callback(&self, result: &'static str) {
        self.callbacks.get_or_create(&ByResult { result }).inc();
    }

    /// A question ended: `answered`, `stopped`, or the kind of its failure.
    pub fn turn(&self, result: &'static str) {
        self.turns.get_or_create(&ByResult { result }).inc();
    }

    /// Everything, in the OpenMetrics text format.
    ///
    /// # Errors
    /// Formatting into a `String` does not fail; the signature is the encoder's.
    pub fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
