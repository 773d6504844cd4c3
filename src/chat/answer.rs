//! Writes one answer with the model, and commits what is finished of it while the model still writes.

mod calling;
mod slow;

use std::{borrow::Cow, pin::pin, sync::Arc};

use tracing::{debug, warn};

use self::{calling::Stop, slow::SlowNotice};
use super::{
    album::{Album, Shown},
    cause::chain,
    context::{self, Parts},
    files::{Look, Shaper},
    joining::Together,
    lately::Lately,
    live::{Live, seam::Seam},
    outcome::Outcome,
    persist::persist,
    profiles::Profiles,
    prompt::SystemPrompt,
    stops::Running,
    thoughts::Thoughts,
    tooling::{Tooling, Work},
};
use crate::{
    clock::Clock,
    config::{self, chat::Reasoning},
    llm::{
        client::ChatRequest,
        stream::{Delta, FinishReason},
    },
    meter::{Charge, Meter, Metered, Payer, Purpose, Reservation, allowances::Refusal},
    model::{
        conversation::{Conversation, Exchange},
        preferences::Preferences,
        profile::Profile,
        reply::ReplyPart,
    },
    store::{
        LeaseLost, Store,
        conversation::TurnRecord,
        inbox::{Inbound, Waiting},
    },
};

/// An answer that has ended.
#[derive(Debug)]
pub struct Written {
    /// The turn, with what is committed of it.
    pub turn: TurnRecord,
    /// The Markdown that is not committed yet; may be empty.
    pub rest: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What it cost.
    pub charge: Charge,
}

/// An answer that was not begun, because more came that belongs to its question.
#[derive(Debug)]
pub struct Joined {
    /// The turn as it was.
    pub turn: TurnRecord,
    /// What came.
    pub rows: Vec<Waiting>,
    /// What was spent in vain.
    pub charge: Charge,
}

impl Written {
    /// All of it was said before a restart, and cost this.
    pub const fn before(turn: TurnRecord, charge: Charge) -> Self {
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

    /// Writes the answer of `turn`, or what is missing of it, until the model ends, something fails, or `running` is
    /// stopped. An answer that reaches the limit of its length is continued: to everybody else it is one.
    ///
    /// # Errors
    /// [`Joined`]: before anything of it was said, something came that belongs to the question.
    pub async fn write(
        &self,
        claim: &Inbound,
        mut turn: TurnRecord,
        conversation: &Conversation,
        preferences: &Preferences,
        running: &Running,
        together: &mut Together<'_>,
    ) -> Result<Written, Joined> {
        let unsaid = turn.parts;
        let Ok(mut work) = self.open(claim, &turn, preferences, running).await else {
            let (rest, outcome, charge) = (String::new(), Outcome::Stopped, Charge::NOTHING);
            return Ok(Written { turn, rest, outcome, charge });
        };
        // What was understood of a voice message, and what was said about tools, is no part of the answer.
        let mut before = if turn.exchange.answer.is_empty() { turn.parts } else { 0 };
        let mut live = Live::resume(self.settings.progressive, turn.parts - before);
        let mut slow = SlowNotice::new(self, claim, preferences, turn.parts > 0);
        let asked_at = self.clock.now();
        let mut begun = false;
        let look = self.look(preferences);
        let mut charge = Charge::NOTHING;
        let mut continuations = 0;
        // What was thought before a crash may have been shown already.
        let is_first = claim.claims == 1 || turn.parts == 0;
        let mut thoughts = (self.settings.reasoning == Reasoning::Quote && is_first).then(Box::<Thoughts>::default);
        let mut joined = None;
        let outcome = loop {
            let so_far = format!("{}{}", turn.exchange.answer, live.pending());
            let mut seam = Seam::behind(&so_far);
            // Pinned here, not in `beside`: a future that is moved into another is held twice, in every turn.
            let outcome = {
                let is_first = !charge.counts() && turn.used.is_none();
                let purpose = if is_first { Purpose::Question } else { Purpose::Further };
                let begin =
                    pin!(self.begin(claim, &turn, conversation, preferences, so_far, (purpose, work.as_deref())));
                tokio::select! {
                    biased;
                    () = running.stopped() => Err(Outcome::Stopped),
                    rows = together.more(claim), if is_open(&turn, unsaid, work.as_deref()) => {
                        joined = Some(rows);
                        Err(Outcome::Stopped)
                    }
                    begun = slow.beside(begin) => begun,
                }
            };
            let mut stream = match outcome {
                Ok(stream) => stream,
                Err(outcome) if self.goes_without_tools(&outcome, work.as_deref_mut(), preferences) => continue,
                Err(Outcome::Model(error)) if continuations > 0 => {
                    warn!(inbox.seq = claim.seq, turn.id = %turn.id, error = %chain(&error),
                        "a cut answer could not be continued");
                    break Outcome::TooLong;
                }
                Err(Outcome::Quota(_)) if continuations > 0 => break Outcome::TooLong,
                Err(outcome) => break outcome,
            };
            let shown = if live.pending().is_empty() { &turn.exchange.answer } else { live.pending() };
            if !shown.is_empty() {
                stream.continues(shown);
            }
            let (mut went_on, mut calls) = (false, None);
            let outcome = loop {
                // Only the wait for the model is given up when the member says stop: a commit is always seen through.
                let next = pin!(stream.next());
                let next = tokio::select! {
                    biased;
                    () = running.stopped() => None,
                    rows = together.more(claim), if is_open(&turn, unsaid, work.as_deref()) => {
                        joined = Some(rows);
                        None
                    }
                    next = slow.beside(next) => Some(next),
                };
                let (text, end) = match next {
                    Some(Some(Ok(Delta::Text(text)))) => (seam.push(text), None),
                    Some(Some(Ok(Delta::Thought(text)))) => {
                        if let Some(thoughts) = &mut thoughts {
                            thoughts.push(&text);
                        }
                        continue;
                    }
                    Some(Some(Ok(Delta::Finish(finish)))) => {
                        calls = finish.calls;
                        (seam.finish(), Some(outcome_of(&finish.reason)))
                    }
                    Some(Some(Err(error))) => (seam.finish(), Some(Outcome::Model(error))),
                    Some(None) => (seam.finish(), Some(Outcome::Complete)),
                    None => (seam.finish(), Some(Outcome::Stopped)),
                };
                if !begun && end.is_none() {
                    let ms = self.clock.now().since(asked_at).as_millis();
                    debug!(inbox.seq = claim.seq, turn.id = %turn.id, "the model began to answer after {ms} ms");
                    self.lately.first_delta(asked_at);
                    begun = true;
                    let quote = thoughts.take().and_then(|thoughts| thoughts.quote(look.format, look.language));
                    let said = quote.as_ref().and_then(ReplyPart::words).map_or("", |words| words.content());
                    let may_be_shown = self.may_show(said).await.is_ok();
                    if let Some(quote) = quote.filter(|_| may_be_shown) {
                        if self.append(claim, &mut turn, vec![quote]).await.is_err() {
                            break Outcome::Stopped;
                        }
                        before += 1;
                        slow.said_something();
                    }
                }
                went_on |= !text.trim().is_empty();
                if let Err(end) = self.show(claim, &mut turn, &mut live, &mut slow, look, &text).await {
                    live = Live::resume(self.settings.progressive, 0);
                    break end;
                }
                if let Some(end) = end {
                    break end;
                }
            };
            charge = charge.and(stream.settle());
            let wanted = work.as_deref_mut().filter(|work| work.offers()).zip(calls);
            if let (Outcome::Complete, Some((work, calls))) = (&outcome, wanted) {
                let said = turn.parts;
                let rest = std::mem::replace(&mut live, Live::resume(self.settings.progressive, said)).finish();
                match Box::pin(self.call(claim, &mut turn, (rest, look), running, work, *calls)).await {
                    Ok(about) => before += about,
                    Err(Stop) => break Outcome::Stopped,
                }
                if turn.parts > said {
                    slow.said_something();
                }
                continue;
            }
            if !matches!(outcome, Outcome::TooLong) || !went_on || continuations == self.max_continuations {
                break outcome;
            }
            continuations += 1;
            debug!(inbox.seq = claim.seq, turn.id = %turn.id, continuations, "an answer was cut at its limit and goes on");
        };
        if let Some(rows) = joined {
            return Err(Joined { turn, rows, charge });
        }
        let (rest, outcome) = match live.finish() {
            rest if rest.trim().is_empty() => (rest, outcome),
            rest => match self.may_show(&rest).await {
                Ok(()) => (rest, outcome),
                Err(end) => (String::new(), end),
            },
        };
        let wrote_nothing = turn.parts == before && rest.trim().is_empty();
        let outcome = match outcome {
            Outcome::Complete if wrote_nothing => Outcome::Empty,
            other => other,
        };
        Ok(Written { turn, rest, outcome, charge })
    }

    async fn begin<'a>(
        &'a self,
        claim: &Inbound,
        turn: &TurnRecord,
        conversation: &Conversation,
        preferences: &'a Preferences,
        answer_so_far: String,
        (purpose, work): (Purpose, Option<&Work>),
    ) -> Result<Metered<'a>, Outcome> {
        let own = &turn.exchange.pictures;
        let shown = if self.sees(preferences) {
            // Rare, so not in every turn's future.
            Box::pin(self.album.open(own, &conversation.exchanges)).await.unwrap_or_default()
        } else if own.is_empty() {
            Shown::default()
        } else {
            return Err(Outcome::Blind);
        };
        if shown.of(own).1 > 0 {
            return Err(Outcome::Gone);
        }
        let so_far = (answer_so_far.as_str(), purpose, work);
        match self.ask(claim, turn, conversation, preferences, so_far, &shown).await {
            Err(Outcome::Model(error)) if !shown.is_empty() && error.refuses_pictures() => {
                warn!(inbox.seq = claim.seq, turn.id = %turn.id, %error, "the model takes no pictures; is llm.vision right?");
                if !own.is_empty() {
                    return Err(Outcome::Blind);
                }
                let blank = Shown::default();
                Box::pin(self.ask(claim, turn, conversation, preferences, so_far, &blank)).await
            }
            begun => begun,
        }
    }

    async fn ask<'a>(
        &'a self,
        claim: &Inbound,
        turn: &TurnRecord,
        conversation: &Conversation,
        preferences: &'a Preferences,
        (answer_so_far, purpose, work): (&str, Purpose, Option<&Work>),
        shown: &Shown<'_>,
    ) -> Result<Metered<'a>, Outcome> {
        let profile = match &self.profiles {
            Some(profiles) => Box::pin(profiles.of(claim)).await,
            None => Profile::default(),
        };
        let mut system = self.system.tell(preferences, conversation, &profile, self.clock.now());
        let Exchange { question, pictures, .. } = &turn.exchange;
        let mut question = Cow::Borrowed(question.as_str());
        if let Some(work) = work {
            (system, question) = (work.system(&system), work.question(&question).into());
        }
        let question = &*question;
        let parts =
            Parts { system: &system, exchanges: &conversation.exchanges, question, pictures, shown, answer_so_far };
        let prompt = context::prompt(parts, self.settings.context_tokens, self.meter.counter());
        let (mut request, further) = match work {
            Some(work) => work.request(prompt.messages),
            None => (ChatRequest::of(prompt.messages), 0),
        };
        let tokens = prompt.tokens + further;
        let event = &claim.event;
        let payer = Payer { corp: &event.corp, agent: event.agent, member: &event.from };
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, tokens.input = tokens, messages = request.messages.len(),
            "asking the model");
        let reserved = self.meter.reserve(payer, purpose, preferences.model.as_deref(), tokens).await;
        reserved.map_err(Outcome::Quota)?.stream(&mut request).await.map_err(Outcome::of)
    }

    /// Takes what the model wrote next, and says what of the answer is finished with it.
    async fn show(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        live: &mut Live,
        slow: &mut SlowNotice<'_>,
        look: Look,
        text: &str,
    ) -> Result<(), Outcome> {
        if self.shaper.is_long(turn.parts) {
            live.hold();
        }
        for chunk in live.push(text) {
            self.may_show(&chunk).await?;
            // Where the lease is lost, whatever else the model writes would reach nobody.
            self.commit(claim, turn, chunk, look).await.map_err(|_| Outcome::Stopped)?;
            slow.said_something();
        }
        Ok(())
    }

    /// Whether pictures can be made.
    pub(super) fn paints(&self) -> bool {
        self.meter.paints()
    }

    /// Whether texts can be spoken.
    pub(super) fn speaks(&self) -> bool {
        self.meter.speaks()
    }

    /// The permission for one call beside the conversation.
    pub(super) async fn reserve(
        &self,
        claim: &Inbound,
        purpose: Purpose,
        input: usize,
    ) -> Result<Reservation<'_>, Refusal> {
        let event = &claim.event;
        let payer = Payer { corp: &event.corp, agent: event.agent, member: &event.from };
        self.meter.reserve(payer, purpose, None, input).await
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
        let append = || self.store.append(claim, turn.clone(), first_part, parts.clone(), self.clock.now());
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

const fn outcome_of(reason: &FinishReason) -> Outcome {
    match reason {
        FinishReason::Length => Outcome::TooLong,
        FinishReason::ContentFilter => Outcome::Filtered,
        FinishReason::Withheld => Outcome::Withheld,
        FinishReason::Stop | FinishReason::ToolCalls | FinishReason::Other(_) => Outcome::Complete,
    }
}

/// Whether nothing of the answer was said or called yet, so that the question may still grow.
fn is_open(turn: &TurnRecord, unsaid: u32, work: Option<&Work>) -> bool {
    turn.parts == unsaid && turn.exchange.answer.is_empty() && work.is_none_or(Work::is_fresh)
}
