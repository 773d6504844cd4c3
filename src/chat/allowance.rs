//! What a member is told about what they may use.

use super::{outcome::Outcome, render::render, texts::quota::Wording, turn::Turns};
use crate::{
    meter::{Charge, Payer, allowances::Refusal},
    model::{
        language::Language,
        preferences::Preferences,
        reply::{Format, ReplyPart},
    },
    store::inbox::Inbound,
};

impl Turns {
    /// Why a question was not answered, where that is why; and once that little is left.
    pub(super) async fn about_allowance(
        &self,
        claim: &Inbound,
        outcome: &Outcome,
        charge: &Charge,
        preferences: &Preferences,
    ) -> Vec<ReplyPart> {
        let mut parts = match outcome {
            Outcome::Quota(refusal) => self.not_allowed(claim, refusal, preferences).await,
            _ => Vec::new(),
        };
        let wording = self.wording(preferences);
        let nearly = charge.nearly_used().iter().map(|nearly| wording.nearly_used(nearly));
        parts.extend(nearly.flat_map(|text| render(&text, Format::Text)));
        parts
    }

    /// Why something is not done for the member.
    pub(super) async fn not_allowed(
        &self,
        claim: &Inbound,
        refusal: &Refusal,
        preferences: &Preferences,
    ) -> Vec<ReplyPart> {
        let asks = matches!(refusal, Refusal::Limit(_)) && Box::pin(self.is_asked_for_more(claim)).await;
        render(&Wording { asks, ..self.wording(preferences) }.refused(refusal), Format::Text)
    }

    /// Whether there is somebody who decides about a request for more.
    async fn is_asked_for_more(&self, claim: &Inbound) -> bool {
        !self.operators.is_empty() || self.people().has_operators(&claim.event.corp, claim.epoch).await
    }

    /// The limits that hold for the member, with what is used of them; `None` where there are none.
    pub(super) async fn limits_of(&self, claim: &Inbound, language: Language) -> Option<String> {
        self.wording_in(language).limits(&self.answerer.standing(claim).await)
    }

    pub(super) fn wording(&self, preferences: &Preferences) -> Wording<'_> {
        self.wording_in(preferences.language(self.settings.language))
    }

    fn wording_in(&self, language: Language) -> Wording<'_> {
        let (currency, contact) = (&*self.team.currency, self.team.contact.as_deref());
        Wording { language, zone: &self.settings.time_zone, currency, contact, asks: false }
    }
}

/// Who asks, pays.
pub(super) fn payer(claim: &Inbound) -> Payer<'_> {
    let event = &claim.event;
    Payer { corp: &event.corp, agent: event.agent, member: &event.from }
}
