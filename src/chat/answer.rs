//! Writes one answer with the model, and commits what is finished of it while the model still writes.
//!
//! Knows what writing needs and how a finished piece is committed. How the model is asked, `asking` knows; in which steps
//! an answer comes to be, `writing`; what it calls, `calling`.

mod asking;
mod calling;
mod slow;
mod writing;

use std::{pin::pin, sync::Arc};

use tracing::{debug, warn};

use self::{calling::Stop, slow::SlowNotice, writing::Writing};
use super::{
    album::Album,
    allowance::payer,
    files::{Look, Shaper},
    joining::Together,
    lately::Lately,
    outcome::Outcome,
    persist::persist,
    profiles::Profiles,
    prompt::SystemPrompt,
    stops::Running,
    tooling::Tooling,
};
use crate::{
    clock::Clock,
    config,
    meter::{Charge, Meter, allowances::Refusal},
    model::{
        conversation::Conversation,
        preferences::Preferences,
        quota::{book::Standing, plan::Right},
        reply::ReplyPart,
    },
    store::{
        LeaseLost, Store,
        conversation::TurnRecord,
        inbox::{Inbound, Waiting},
        used::Use,
    },
};

/// Who asks, and behind what.
#[derive(Clone, Copy)]
pub struct Asked<'a> {
    /// The message.
    pub claim: &'a Inbound,
    /// What was said before it.
    pub conversation: &'a Conversation,
    /// What the member wishes.
    pub preferences: &'a Preferences,
    /// Tells when the member stops it.
    pub running: &'a Running,
}

/// An answer that has ended.
#[derive(Debug)]
pub struct Written {
    /// The turn, with what is committed of it.
    pub turn: Box<TurnRecord>,
    /// The Markdown that is not committed yet; may be empty.
    pub rest: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost, with what was spent before.
    pub charge: Charge,
}

/// An answer that was not begun, because more came that belongs to its question.
#[derive(Debug)]
pub struct Joined {
    /// The turn as it was.
    pub turn: Box<TurnRecord>,
    /// What came.
    pub rows: Vec<Waiting>,
    /// What was spent in vain, until now.
    pub charge: Charge,
}

impl Written {
    /// All of it was said before a restart, and cost this.
    pub const fn before(turn: Box<TurnRecord>, charge: Charge) -> Self {
        Self { turn, rest: String::new(), outcome: Outcome::Complete, charge }
    }
}

/// What writing answers needs.
pub struct Answerer {
    store: Store,
    clock: Clock,
    settings: config::Chat,
    system: SystemPrompt,
    /// `None`: nobody is named.
    profiles: Option<Profiles>,
    meter: Arc<Meter>,
    lately: Arc<Lately>,
    shaper: Shaper,
    max_continuations: u32,
    album: Album,
    /// `None`: nothing is ever read or called.
    tooling: Option<Tooling>,
}

impl Answerer {
    /// Puts the tools together.
    pub fn new(
        store: Store,
        clock: Clock,
        settings: config::Chat,
        system: SystemPrompt,
        meter: Arc<Meter>,
        lately: Arc<Lately>,
        album: Album,
    ) -> Self {
        let shaper = Shaper::new(store.clone(), clock.clone(), &settings);
        Self {
            store,
            clock,
            settings,
            system,
            profiles: None,
            meter,
            lately,
            shaper,
            max_continuations: 0,
            album,
            tooling: None,
        }
    }

    /// Shows the model pictures of this album.
    pub fn with_album(self, album: Album) -> Self {
        Self { album, ..self }
    }

    /// Whether the member's model sees pictures.
    pub(super) fn sees(&self, preferences: &Preferences) -> bool {
        self.meter.router().sees(preferences.model.as_deref())
    }

    /// Continues an answer that reaches the limit of its length so many times.
    pub const fn with_continuations(mut self, most: u32) -> Self {
        self.max_continuations = most;
        self
    }

    /// Reads and calls with this what an answer needs.
    pub fn with_tooling(mut self, tooling: Tooling) -> Self {
        self.tooling = Some(tooling);
        self
    }

    /// Knows members by these, where the instructions name them.
    pub fn with_profiles(self, profiles: Option<Profiles>) -> Self {
        let profiles = profiles.filter(|_| self.system.names_members());
        Self { profiles, ..self }
    }

    /// About how many model tokens the instructions have.
    pub fn system_tokens(&self) -> usize {
        self.system.size()
    }

    /// Writes the answer of `turn`, on which so much is `spent`, or what is missing of it, until the model ends, something
    /// fails, or the member stops it. An answer that reaches the limit of its length is continued: to everybody else it
    /// is one.
    ///
    /// # Errors
    /// [`Joined`]: before anything of it was said, something came that belongs to the question.
    pub fn write<'a>(
        &'a self,
        asked: Asked<'a>,
        turn: Box<TurnRecord>,
        spent: Charge,
        together: &'a mut Together<'_>,
    ) -> impl Future<Output = Result<Written, Joined>> {
        // Put together here, not in the future: it would hold the turn twice.
        let mut writing = Writing::new(self, asked, turn, spent, together);
        async move {
            let opened = Box::pin(self.open(asked, &writing.turn, &mut writing.slow)).await;
            let outcome = match opened {
                Ok(work) => {
                    writing.work = work;
                    writing.write().await
                }
                Err(Stop) => Outcome::Stopped,
            };
            if let Some(rows) = writing.came() {
                return Err(writing.joined(rows));
            }
            let rest = writing.rest(outcome).await;
            Ok(writing.ended(rest))
        }
    }

    /// Whether pictures can be made.
    pub(super) fn paints(&self) -> bool {
        self.meter.paints()
    }

    /// How much is used of each limit of the member's own plan.
    pub(super) async fn standing(&self, claim: &Inbound) -> Vec<Standing> {
        self.meter.standing(payer(claim)).await
    }

    /// Whether a model is for the member.
    pub(super) async fn permit_model(&self, claim: &Inbound, alias: &Arc<str>) -> Result<(), Refusal> {
        self.meter.permit_model(payer(claim), alias).await
    }

    /// The models that are for the member.
    pub(super) async fn models_for(&self, claim: &Inbound) -> Vec<Arc<str>> {
        self.meter.models_for(payer(claim)).await
    }

    /// Whether the member's plan has this.
    pub(super) async fn permit(&self, claim: &Inbound, right: Right) -> Result<(), Refusal> {
        self.meter.permit(payer(claim), right).await
    }

    /// Whether texts can be spoken.
    pub(super) fn speaks(&self) -> bool {
        self.meter.speaks()
    }

    /// Whether a piece of the answer may be shown. What comes behind one that may not is not shown either.
    async fn may_show(&self, piece: &str) -> Result<(), Outcome> {
        self.meter.may_show(piece).await.map_err(Outcome::behind)
    }

    /// Runs `work` as long as the member does not stop it, and says that it takes a while when it does. `None`: stopped.
    pub(super) async fn before<T>(
        &self,
        claim: &Inbound,
        preferences: &Preferences,
        running: &Running,
        work: impl Future<Output = T>,
    ) -> Option<T> {
        let mut slow = SlowNotice::new(self, claim, preferences, false);
        let work = pin!(work);
        tokio::select! {
            biased;
            () = running.stopped() => None,
            output = slow.beside(work) => Some(output),
        }
    }

    /// The parts of what is not committed of an answer that has ended.
    pub(super) async fn last_parts(
        &self,
        claim: &Inbound,
        turn: &TurnRecord,
        rest: &str,
        preferences: &Preferences,
    ) -> Result<Vec<ReplyPart>, LeaseLost> {
        let look = self.look(preferences);
        self.shaper.last_parts(claim, &turn.exchange.answer, turn.parts, rest, look).await
    }

    /// How answers look to a member.
    fn look(&self, preferences: &Preferences) -> Look {
        let format = preferences.format(self.settings.output);
        Look { format, language: preferences.language(self.settings.language) }
    }

    /// Puts a finished piece of the answer into the outbox. From then on it is said, and said as it is.
    async fn commit(&self, claim: &Inbound, turn: &mut TurnRecord, chunk: String, look: Look) -> Result<(), LeaseLost> {
        let parts = self.shaper.parts(claim, &turn.exchange.answer, &chunk, look).await?;
        turn.exchange.answer.push_str(&chunk);
        if parts.is_empty() {
            return Ok(());
        }
        self.append(claim, turn, parts).await
    }

    async fn append(&self, claim: &Inbound, turn: &mut TurnRecord, parts: Vec<ReplyPart>) -> Result<(), LeaseLost> {
        let first_part = turn.parts;
        turn.parts += u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let append =
            || self.store.append(claim, turn.clone(), first_part, parts.clone(), Use::default(), self.clock.now());
        persist(&self.clock, append).await.inspect_err(|lost| {
            warn!(inbox.seq = claim.seq, turn.id = %turn.id, %lost, "a part of an answer was not said");
        })?;
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, parts = turn.parts, "a piece of the answer is in the outbox");
        if first_part == 0 {
            self.lately.first_part(claim.received_at);
        }
        Ok(())
    }
}
