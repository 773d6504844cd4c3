//! Who may ask: whom the application is for, whose plan has it, and what there is left.

use std::sync::Arc;

use super::{
    Meter, Payer, Purpose,
    allowances::{Allowances, Held, Refusal},
    people::People,
};
use crate::model::quota::book::Ask;

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
