//! What counts for a program that asks by a key: the key's own level, and whatever bounds its owner.

use std::sync::Arc;

use super::{
    Payer,
    allowances::{Allowances, Held, Refusal},
};
use crate::model::{
    id::AgentId,
    key::ApiKey,
    quota::{
        book::{Ask, Standing},
        plan::Right,
        prices::Prices,
        subject::Subject,
    },
};

/// The member whose key it is, where it is a member's. A program asks beside all applications.
pub(super) fn owner_of(key: &ApiKey) -> Option<Payer<'_>> {
    key.owner.member().map(|member| Payer { corp: &key.corp, agent: AgentId::new(0), member })
}

impl Allowances {
    /// As [`Allowances::reserve`], for a program.
    ///
    /// # Errors
    /// [`Refusal`]: the call must not be made.
    pub(super) async fn reserve_by(
        self: &Arc<Self>,
        key: &ApiKey,
        alias: &Arc<str>,
        ask: Ask,
        prices: &Prices,
    ) -> Result<Held, Refusal> {
        self.reserve_at(self.subjects_of_key(key).await, |alias| key.scope.has_model(alias), alias, ask, prices).await
    }

    /// As [`Allowances::reserve_media`], for a program.
    ///
    /// # Errors
    /// [`Refusal`]: the call must not be made.
    pub(super) async fn reserve_media_by(
        self: &Arc<Self>,
        key: &ApiKey,
        right: Right,
        ask: Ask,
    ) -> Result<Held, Refusal> {
        self.permit_by(key, right).await?;
        let (rules, subjects) = (self.rules(), self.subjects_of_key(key).await);
        let plans: Vec<_> = subjects.iter().map(|subject| rules.plan_of(subject)).collect();
        self.reserve_under(&subjects, &plans, &rules, None, ask).await
    }

    /// As [`Allowances::permit`], for a program.
    ///
    /// # Errors
    /// [`Refusal::Right`]: a plan is without it.
    pub(super) async fn permit_by(&self, key: &ApiKey, right: Right) -> Result<(), Refusal> {
        let rules = self.rules();
        let lacks = |subject: &Subject| rules.plan_of(subject).is_some_and(|plan| plan.without.contains(&right));
        match self.subjects_of_key(key).await.into_iter().find(lacks) {
            Some(subject) => Err(Refusal::Right { subject, right }),
            None => Ok(()),
        }
    }

    /// How much of each limit is used, at each level.
    pub async fn standings_of(&self, key: &ApiKey) -> Vec<(Subject, Vec<Standing>)> {
        let mut standings = Vec::new();
        for subject in self.subjects_of_key(key).await {
            let standing = self.standing_of(subject.clone()).await;
            standings.push((subject, standing));
        }
        standings
    }

    /// Those of the `aliases` that the plans of all levels have.
    pub(super) async fn retain_models(&self, key: &ApiKey, aliases: &mut Vec<Arc<str>>) {
        let (rules, subjects) = (self.rules(), self.subjects_of_key(key).await);
        let plans: Vec<_> = subjects.iter().filter_map(|subject| rules.plan_of(subject)).collect();
        aliases.retain(|alias| plans.iter().all(|plan| plan.allows(alias)));
    }

    /// The levels that the call of a key counts for: those of its owner, and its own.
    async fn subjects_of_key(&self, key: &ApiKey) -> Vec<Subject> {
        let mut subjects = match owner_of(key) {
            Some(payer) => self.subjects_of(payer).await,
            None => vec![Subject::company(&key.corp)],
        };
        subjects.push(Subject::key(&key.corp, &key.id));
        subjects
    }
}
