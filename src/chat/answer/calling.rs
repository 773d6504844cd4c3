//! Where an answer and the tools meet: what is opened before the model is asked, and what is called in the middle.

use std::pin::pin;

use super::{Answerer, Asked, Outcome, slow::SlowNotice};
use crate::{
    chat::{
        files::Look,
        tooling::{Listener, Work},
    },
    llm::{error::Error, tools::Calls},
    model::{preferences::Preferences, quota::plan::Right},
    store::conversation::TurnRecord,
};

/// The member stopped it, or somebody else has the claim: whatever else is done reaches nobody.
pub(super) struct Stop;

impl Answerer {
    /// What the answer may read and call; `None` for most: nothing. `slow` is said beside it when it takes long.
    pub(super) async fn open(
        &self,
        Asked { claim, preferences, running, .. }: Asked<'_>,
        turn: &TurnRecord,
        slow: &mut SlowNotice<'_>,
    ) -> Result<Option<Box<Work>>, Stop> {
        let Some(tooling) = self.tooling.as_ref().filter(|tooling| tooling.concerns(claim)) else { return Ok(None) };
        if self.permit(claim, Right::Tools).await.is_err() {
            return Ok(None);
        }
        let opened = pin!(tooling.open(claim, turn, preferences.model.as_deref()));
        tokio::select! {
            biased;
            () = running.stopped() => Err(Stop),
            opened = slow.beside(opened) => opened.map_err(|_| Stop),
        }
    }

    /// Whether the model refuses because tools were offered; then it is asked without them.
    pub(super) fn goes_without_tools(
        &self,
        outcome: &Outcome,
        work: Option<&mut Work>,
        preferences: &Preferences,
    ) -> bool {
        let is_about_tools = matches!(outcome, Outcome::Model(error) if Error::is_about_tools(error));
        match (&self.tooling, work) {
            (Some(tooling), Some(work)) if work.has_tools() && is_about_tools => {
                tooling.is_refused_by(preferences.model.as_deref());
                work.forgo();
                true
            }
            _ => false,
        }
    }

    /// Makes the calls that the model asks for, after what it wrote before them has left. Gives how many parts were said
    /// about them.
    pub(super) async fn call(
        &self,
        Asked { claim, running, .. }: Asked<'_>,
        turn: &mut TurnRecord,
        (written, look): (String, Look),
        work: &mut Work,
        calls: Calls,
    ) -> Result<u32, Stop> {
        let Some(tooling) = &self.tooling else { return Err(Stop) };
        if !written.trim().is_empty() {
            self.commit(claim, turn, format!("{}\n\n", written.trim_end()), look).await.map_err(|_| Stop)?;
        }
        let said = turn.parts;
        let listener = Listener { language: look.language, running };
        tooling.make(claim, turn, listener, work, calls).await.map_err(|_| Stop)?;
        if said == 0 && turn.parts > 0 {
            self.lately.first_part(claim.received_at);
        }
        Ok(turn.parts - said)
    }
}
