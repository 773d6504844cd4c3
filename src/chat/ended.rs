//! How a turn ended, for the store and for the log.

use tracing::{info, warn};

use super::{cause::chain, outcome::Outcome, turn::Turns};
use crate::{
    meter::Charge,
    model::conversation::TurnState,
    store::{conversation::TurnRecord, inbox::Inbound},
};

impl Turns {
    /// Says in the log how a turn ended.
    pub(super) fn log(&self, claim: &Inbound, turn: &TurnRecord, outcome: &Outcome) {
        let ms = self.clock.now().since(claim.received_at).as_millis();
        let (id, reference, member) = (turn.id, turn.id.reference(), &claim.event.from);
        match &turn.state {
            TurnState::Failed { reason, .. } => {
                warn!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, %reason,
                    "could not answer {member} after {ms} ms");
            }
            TurnState::Stopped { .. } => {
                info!(turn.id = %id, inbox.seq = claim.seq, "{member} stopped the answer after {ms} ms");
            }
            TurnState::Answered { usage } => {
                let cut = outcome.failure().is_some();
                info!(turn.id = %id, turn.reference = %reference, inbox.seq = claim.seq, parts = turn.parts,
                    tokens.input = usage.input, tokens.output = usage.output, cut, "answered {member} in {ms} ms");
            }
            TurnState::Running | TurnState::Sealed { .. } => {}
        }
    }
}

/// The state in which a turn is saved.
pub(super) fn state_of(outcome: &Outcome, charge: &Charge) -> TurnState {
    let usage = charge.usage();
    match outcome {
        Outcome::Complete | Outcome::TooLong => TurnState::Answered { usage },
        Outcome::Stopped => TurnState::Stopped { usage },
        Outcome::Empty => TurnState::Failed { reason: "the model gave an empty answer".to_owned(), usage },
        Outcome::Filtered => {
            TurnState::Failed { reason: "the provider's content filter held the answer back".to_owned(), usage }
        }
        Outcome::Refused => {
            TurnState::Failed { reason: "the rules of this house keep the question from the model".to_owned(), usage }
        }
        Outcome::Withheld => {
            TurnState::Failed { reason: "the rules of this house hold back the answer".to_owned(), usage }
        }
        Outcome::Blind => TurnState::Failed { reason: "the model sees no pictures".to_owned(), usage },
        Outcome::Gone => TurnState::Failed { reason: "a picture is kept no longer".to_owned(), usage },
        Outcome::Quota(quota) => TurnState::Failed { reason: format!("quota exceeded: {quota}"), usage },
        Outcome::Model(error) => TurnState::Failed { reason: chain(error), usage },
    }
}
