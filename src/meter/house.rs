//! The rules of the house, on the way of whatever is sent to a model or comes from it.

use std::sync::Arc;

use tracing::{debug, info};

use super::{IN, Meter, OUT, tally::Tally};
use crate::{
    llm::{
        self,
        moderation::{Moderator, Verdict},
    },
    safety::{
        guard::{Cleared, Guard, Hit, Hits, Withheld},
        rules::Action,
    },
};

/// The rules that hold for everything that is sent to a model or comes from it.
#[derive(Clone)]
pub struct House {
    /// What texts go through.
    pub guard: Arc<Guard>,
    /// Who is asked beside; `None`: nobody.
    pub moderator: Option<Moderator>,
    /// What operators are told of.
    pub tally: Arc<Tally>,
}

impl Meter {
    /// What else is sent to a model goes through this first: what a picture should show, what should be spoken.
    ///
    /// # Errors
    /// [`llm::error::Error::Withheld`]: it must not be sent. Others where it must be moderated and could not be.
    pub async fn clear<'t>(&self, text: &'t str) -> Result<Cleared<'t>, llm::error::Error> {
        let (cleared, hits) = self.house.guard.clear(text).map_err(|Withheld(hits)| self.refuse(&hits))?;
        self.count(&hits, IN);
        self.moderate(&cleared, IN).await?;
        Ok(cleared)
    }

    /// Whether a piece of an answer may be shown, in a moderator's eyes; without one everything may.
    ///
    /// # Errors
    /// As [`Meter::clear`].
    pub async fn may_show(&self, piece: &str) -> Result<(), llm::error::Error> {
        match self.house.moderator {
            // What was put back into it does not leave again.
            Some(_) => {
                let cleared = self.house.guard.mask(piece);
                // Boxed: few have a moderator, and every turn would hold its future.
                Box::pin(self.moderate(&cleared, OUT)).await
            }
            None => Ok(()),
        }
    }

    pub(super) async fn moderate(&self, text: &Cleared<'_>, direction: &'static str) -> Result<(), llm::error::Error> {
        let Some(moderator) = &self.house.moderator else { return Ok(()) };
        let (action, verdict) = match moderator.judge(text).await {
            Ok(Verdict::Passes) => return Ok(()),
            Ok(Verdict::Flagged) => ("refuse", Err(llm::error::Error::Withheld)),
            Ok(Verdict::Unseen) => ("failed", Ok(())),
            Err(error) => ("failed", Err(error)),
        };
        self.metrics.safety_hit("moderation", direction, action, 1);
        if action == "refuse" {
            info!(direction, "the moderation endpoint refuses a text");
        }
        verdict
    }

    pub(super) fn refuse(&self, hits: &Hits) -> llm::error::Error {
        self.count(hits, IN);
        llm::error::Error::Withheld
    }

    pub(super) fn count(&self, hits: &Hits, direction: &'static str) {
        for Hit { rule, action, times } in hits.iter() {
            self.metrics.safety_hit(rule, direction, action, times);
            debug!(rule, direction, action, times, "a rule of [safety] fitted");
            if action == Action::Alert.name() {
                self.house.tally.add(u64::from(times));
            }
        }
    }
}
