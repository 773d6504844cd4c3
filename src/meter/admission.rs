//! Who may ask: whom the application is for, whose plan has it, and what there is left.

use std::sync::Arc;

use super::{
    Meter, Payer, Purpose,
    allowances::{Allowances, Held, Refusal},
    people::People,
};
use crate::model::quota::{book::Ask, subject::Subject};

/// Who may ask at all: decided here, so that no client goes around it.
impl Meter {
    /// Whose questions are answered.
    pub fn people(&self) -> &People {
        self.allowances.people()
    }

    /// Who may use how much.
    pub fn allowances(&self) -> &Allowances {
        &self.allowances
    }

    /// `alias`: the model that is to answer; `None` for what is not words.
    pub(super) async fn admit(
        &self,
        payer: Payer<'_>,
        purpose: Purpose,
        alias: Option<&Arc<str>>,
    ) -> Result<(), Refusal> {
        let begins = purpose == Purpose::Question;
        let premium = alias.is_some_and(|alias| self.premium.contains(alias));
        let admitted = self.people().admit(payer, begins, premium).await;
        admitted.map_err(|why| Refusal::Denied { why, alias: alias.map(Arc::clone) })
    }

    /// Whether a model is for the payer at all, whatever is left of their limits.
    ///
    /// # Errors
    /// [`Refusal::Denied`] or [`Refusal::Model`]: it is not.
    pub async fn permit_model(&self, payer: Payer<'_>, alias: &Arc<str>) -> Result<(), Refusal> {
        if self.premium.contains(alias) {
            self.admit(payer, Purpose::Further, Some(alias)).await?;
        }
        self.allowances.permit_model(payer, alias).await
    }

    /// The aliases of the models that are for the payer, in the order of the configuration.
    pub async fn models_for(&self, payer: Payer<'_>) -> Vec<Arc<str>> {
        let mut aliases = Vec::new();
        for alias in self.router.aliases() {
            if self.permit_model(payer, &alias).await.is_ok() {
                aliases.push(alias);
            }
        }
        aliases
    }

    /// What is held, and the model that is to answer.
    pub(super) async fn hold(
        &self,
        payer: Payer<'_>,
        purpose: Purpose,
        alias: Arc<str>,
        ask: Ask,
    ) -> Result<(Held, Arc<str>), Refusal> {
        Box::pin(self.admit(payer, purpose, Some(&alias))).await?;
        let mut held = self.allowances.reserve(payer, &alias, ask, &self.prices).await?;
        let Some(instead) = held.instead.take() else { return Ok((held, alias)) };
        Box::pin(self.admit(payer, purpose, Some(&instead))).await?;
        Ok((held, instead))
    }
}

impl Allowances {
    /// Whether the plans of all levels have a model.
    async fn permit_model(&self, payer: Payer<'_>, alias: &Arc<str>) -> Result<(), Refusal> {
        let rules = self.rules();
        if rules.is_empty() {
            return Ok(());
        }
        let lacks = |subject: &Subject| rules.plan_of(subject).is_some_and(|plan| !plan.allows(alias));
        match self.subjects_of(payer).await.into_iter().find(lacks) {
            Some(subject) => Err(Refusal::Model { subject, alias: Arc::clone(alias) }),
            None => Ok(()),
        }
    }
}
