//! What a member is told about what they may use.

use super::{outcome::Outcome, render::render, texts::quota::Wording, turn::Turns};
use crate::{
    meter::{Charge, allowances::Refusal},
    model::{
        preferences::Preferences,
        reply::{Format, ReplyPart},
    },
};

impl Turns {
    /// Why a question was not answered, where that is why; and once that little is left.
    pub(super) fn about_allowance(
        &self,
        outcome: &Outcome,
        charge: &Charge,
        preferences: &Preferences,
    ) -> Vec<ReplyPart> {
        let mut parts = match outcome {
            Outcome::Quota(refusal) => self.not_allowed(refusal, preferences),
            _ => Vec::new(),
        };
        let wording = self.wording(preferences);
        let nearly = charge.nearly_used().iter().map(|nearly| wording.nearly_used(nearly));
        parts.extend(nearly.flat_map(|text| render(&text, Format::Text)));
        parts
    }

    /// Why something is not done for the member.
    pub(super) fn not_allowed(&self, refusal: &Refusal, preferences: &Preferences) -> Vec<ReplyPart> {
        render(&self.wording(preferences).refused(refusal), Format::Text)
    }

    fn wording(&self, preferences: &Preferences) -> Wording<'_> {
        Wording {
            language: preferences.language(self.settings.language),
            zone: &self.settings.time_zone,
            currency: &self.team.currency,
            contact: self.team.contact.as_deref(),
        }
    }
}
