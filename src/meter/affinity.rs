//! Which upstream a member's questions like to go to.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::Payer;

/// A member's questions like to go the same way: what was said before is in that upstream's cache.
pub(super) fn of(payer: Payer<'_>) -> u64 {
    let mut hasher = DefaultHasher::new();
    (payer.corp.as_str(), payer.agent.get(), payer.member.key()).hash(&mut hasher);
    hasher.finish()
}
