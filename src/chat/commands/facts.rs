//! What members ask to be remembered.

use super::words::Words;
use crate::{
    chat::{persist::persist, render::plain, turn::Turns},
    model::fact::{self, Change, Refused},
    store::inbox::Inbound,
};

impl Turns {
    pub(super) async fn remember(&self, claim: &Inbound, text: &str) {
        let facts = persist(&self.clock, || self.store.facts(&claim.lane)).await;
        self.change_facts(claim, fact::remember(&facts, text), Words::Remembered).await;
    }

    pub(super) async fn forget(&self, claim: &Inbound, which: &str) {
        let facts = persist(&self.clock, || self.store.facts(&claim.lane)).await;
        let change = fact::forget(&facts, which);
        let forgotten = match &change {
            Ok(Change::Forget(ids)) => ids.len(),
            _ => 0,
        };
        self.change_facts(claim, change, Words::Forgotten(forgotten)).await;
    }

    pub(super) async fn show_facts(&self, claim: &Inbound) {
        let facts = persist(&self.clock, || self.store.facts(&claim.lane)).await;
        self.reply(claim, Words::Facts(&facts)).await;
    }

    async fn change_facts(&self, claim: &Inbound, change: Result<Change, Refused>, done: Words<'_>) {
        let change = match change {
            Ok(change) => change,
            Err(refused) => return self.reply(claim, Words::FactRefused(refused)).await,
        };
        let parts = plain(&done.render(self.language(claim).await));
        self.memory.forget(&claim.lane).await;
        let end = || self.store.change_facts(claim, change.clone(), parts.clone(), self.clock.now());
        if let Err(lost) = persist(&self.clock, end).await {
            tracing::error!(inbox.seq = claim.seq, %lost, "what was to be remembered is not kept");
        }
        self.memory.forget(&claim.lane).await;
    }
}
