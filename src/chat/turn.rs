//! One inbox row from claim to end: a command, a greeting, a kind sentence, or a turn with the model.

mod drawing;
mod gather;
mod speaking;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tracing::{Instrument, debug, error, error_span};

pub use self::{drawing::Undrawn, speaking::Speaking};
use self::{gather::Bench, speaking::Rest};
use super::{
    album::Album,
    answer::{self, Answerer, Asked},
    blocks::Blocks,
    cause::chain,
    command::Command,
    ended,
    hearing::Hearing,
    joining::{Joining, Last, Senses, Together},
    lately::Lately,
    memory::Memory,
    models::Models,
    outcome::Outcome,
    persist::persist,
    profiles::Profiles,
    prompt::SystemPrompt,
    question::Question,
    seeing::Seeing,
    stops::Stops,
    summaries::Wishes,
    texts::{Failure, Text},
    tooling::Tooling,
    wish::wish,
};
use crate::{
    alert::observation::End,
    clock::Clock,
    config,
    meter::{Charge, Meter},
    metrics::TurnResult,
    model::{
        conversation::{Exchange, TurnState, Unfinished},
        event::EventKind,
        id::{MemberId, TurnId},
        preferences::Preferences,
    },
    store::{
        Store,
        conversation::TurnRecord,
        inbox::{Ending, Inbound},
        usage::Replaced,
    },
    wecom::client::Client,
};

/// How long a row rests after its worker broke.
const AFTER_PANIC: Duration = Duration::from_secs(5);
/// How often a row is taken before the member is told that it cannot be handled: a message that breaks the worker, or
/// the process, every time must not do so for ever. High, because a process may also be killed for other reasons, and
/// then the message is innocent.
const MOST_CLAIMS: u32 = 50;

/// What handling an inbox row needs.
pub struct Turns {
    pub(super) store: Store,
    pub(super) clock: Clock,
    pub(super) settings: config::Chat,
    pub(super) stops: Stops,
    pub(super) memory: Memory,
    answerer: Answerer,
    pub(super) lately: Arc<Lately>,
    /// `None`: voice messages get a kind sentence.
    hearing: Option<Hearing>,
    /// `None`: what no longer fits is forgotten.
    summaries: Option<Wishes>,
    /// `None`: pictures get a kind sentence.
    seeing: Option<Seeing>,
    joining: Joining,
    /// `None`: answers are text.
    speaking: Option<Speaking>,
    /// Which models members can choose.
    pub(super) models: Models,
    /// What changes cards; `None`: choices are lists in text.
    pub(super) wecom: Option<Client>,
    /// Who may do what operators do.
    pub(super) operators: Vec<MemberId>,
    /// To whom the bot does not listen.
    pub(super) blocks: Blocks,
    /// The clock's uptime at the start.
    pub(super) began: Duration,
    /// Whether the bot can speak.
    pub(super) speaks: bool,
    pub(super) team: config::Team,
    /// Whether questions and answers are logged.
    log_texts: bool,
}

impl Turns {
    /// Puts the workers' tools together.
    pub fn new(
        store: Store,
        clock: Clock,
        settings: config::Chat,
        system_prompt: String,
        stops: Stops,
        meter: Arc<Meter>,
        lately: Arc<Lately>,
    ) -> Self {
        let (blocks, began) = (Blocks::new(store.clone()), clock.uptime());
        let models = Models::new(meter.router().clone());
        let memory = Memory::new(store.clone(), &settings);
        let reports = Arc::clone(&lately);
        let system = SystemPrompt::new(&system_prompt, &settings);
        let album = Album::new(store.clone(), 0);
        let answerer = Answerer::new(store.clone(), clock.clone(), settings.clone(), system, meter, reports, album);
        let joining = Joining::new(store.clone(), settings.join, Duration::ZERO);
        Self {
            store,
            clock,
            settings,
            stops,
            memory,
            answerer,
            lately,
            hearing: None,
            summaries: None,
            seeing: None,
            joining,
            speaking: None,
            models,
            wecom: None,
            operators: Vec::new(),
            blocks,
            began,
            team: config::Team::default(),
            speaks: false,
            log_texts: false,
        }
    }

    /// Speaks of allowances in these words.
    pub fn with_team(self, team: config::Team) -> Self {
        Self { team, ..self }
    }

    /// Whether questions and answers are logged, at the level debug (`log.message_text`).
    pub fn with_texts_in_the_log(self, log_texts: bool) -> Self {
        Self { log_texts, ..self }
    }

    /// Lets members choose by cards, which this client changes when they are pressed.
    pub fn with_cards(self, wecom: Client) -> Self {
        Self { wecom: Some(wecom), ..self }
    }

    /// Lets these members do what operators do.
    pub fn with_operators(self, operators: Vec<MemberId>) -> Self {
        Self { operators, ..self }
    }

    /// Hears voice messages with this, where there is one.
    pub fn with_hearing(self, hearing: Option<Hearing>) -> Self {
        Self { hearing, ..self }
    }

    /// What is remembered of conversations.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// Knows members by these, where the instructions name them.
    pub fn with_profiles(self, profiles: Option<Profiles>) -> Self {
        Self { answerer: self.answerer.with_profiles(profiles), ..self }
    }

    /// Has what no longer fits summed up.
    pub fn with_summaries(self, summaries: Option<Wishes>) -> Self {
        Self { summaries, ..self }
    }

    /// Looks at pictures, which it fetches with `wecom`.
    pub fn with_pictures(self, wecom: Client, settings: &config::Pictures) -> Self {
        let joining = Joining::new(self.store.clone(), self.settings.join, settings.question);
        let album = Album::new(self.store.clone(), settings.shown_again);
        let seeing = Some(Seeing::new(wecom, self.store.clone(), self.clock.clone(), settings.clone()));
        Self { answerer: self.answerer.with_album(album), joining, seeing, ..self }
    }

    /// Speaks answers with this, where there is one.
    pub fn with_speaking(self, speaking: Option<Speaking>) -> Self {
        Self { speaks: speaking.is_some(), speaking, ..self }
    }

    /// Reads and calls with this what answers need.
    pub fn with_tooling(self, tooling: Tooling) -> Self {
        Self { answerer: self.answerer.with_tooling(tooling), ..self }
    }

    /// Continues an answer that reaches the limit of its length so many times.
    pub fn with_continuations(self, most: u32) -> Self {
        Self { answerer: self.answerer.with_continuations(most), ..self }
    }

    /// Handles a claim to its end, whatever happens: while the store cannot be used it waits, and a worker that breaks
    /// gives its row back.
    pub fn handle(self: Arc<Self>, claim: Inbound) -> impl Future<Output = ()> {
        // Names the message in the lines of the rooms below, which do not know it. At the level of errors, so that it is
        // there for every line that is written at all.
        let span = error_span!("message", inbox.seq = claim.seq);
        self.handle_within_span(claim).instrument(span)
    }

    async fn handle_within_span(self: Arc<Self>, claim: Inbound) {
        debug!(
            inbox.seq = claim.seq,
            claims = claim.claims,
            kind = claim.event.kind.name(),
            "claimed a message of {}",
            claim.event.from
        );
        let _held = self.stops.hold(&claim.lane);
        if claim.claims > MOST_CLAIMS {
            return self.apologize(&claim).await;
        }
        let handled = AssertUnwindSafe(self.try_handle(&claim)).catch_unwind().await;
        if handled.is_err() {
            error!(inbox.seq = claim.seq, claims = claim.claims, "a worker broke; its message is tried again");
            self.memory.forget(&claim.lane).await;
            let at = self.clock.now() + AFTER_PANIC;
            persist(&self.clock, || self.store.release(&claim, at)).await;
        }
    }

    async fn try_handle(&self, claim: &Inbound) {
        if persist(&self.clock, || self.blocks.holds(claim)).await {
            return self.turn_away(claim).await;
        }
        if let Some(client) = claim.event.kind.client() {
            Box::pin(persist(&self.clock, || self.memory.saw(claim, client, self.clock.now()))).await;
        }
        match &claim.event.kind {
            EventKind::Text { content } => match (Command::parse(content), self.wished(content)) {
                (Some(asked), _) => self.command(claim, asked).await,
                (None, Some(wish)) => Box::pin(self.draw(claim, wish)).await,
                (None, None) => match Command::meant(content) {
                    Some(meant) => self.say(claim, Text::Meant(meant)).await,
                    None => self.turn(claim).await,
                },
            },
            // A command that is spoken is a question like any other.
            EventKind::Voice { .. } if self.hearing.is_some() => self.turn(claim).await,
            EventKind::Location { .. } | EventKind::Link { .. } => self.turn(claim).await,
            EventKind::Image { .. } if self.seeing.is_some() => {
                let preferences = self.offered(claim).await;
                if self.answerer.sees(&preferences) {
                    self.turn(claim).await;
                } else {
                    self.say(claim, Text::Blind).await;
                }
            }
            EventKind::EnterAgent | EventKind::Subscribe => self.welcome(claim).await,
            EventKind::Click { key } => match Command::of_key(key) {
                Some(asked) => self.command(claim, asked).await,
                None => self.finish(claim, Ending::Silent).await,
            },
            EventKind::CardClick { key, task_id, response_code } => {
                Box::pin(self.press(claim, key, task_id, response_code)).await;
            }
            other => self.say(claim, Text::NotYet(other)).await,
        }
    }

    /// The picture that a message wishes for, where there is somebody who makes it.
    fn wished<'m>(&self, message: &'m str) -> Option<&'m str> {
        wish(message).filter(|_| self.draws())
    }

    /// Whether there is somebody who makes pictures.
    pub(super) fn draws(&self) -> bool {
        self.answerer.paints()
    }

    /// Asks the model what the member asked, and answers.
    fn turn<'a>(&'a self, claim: &'a Inbound) -> impl Future<Output = ()> + 'a {
        self.turn_for(claim, None)
    }

    /// The same with the question of another turn, whose place this one takes, where there is one.
    pub(super) async fn turn_for(&self, claim: &Inbound, instead: Option<Replaced>) {
        let _running = self.lately.turn_begins();
        let unfinished = match claim.claims {
            1 => None,
            _ => persist(&self.clock, || self.store.find_unfinished(claim.seq)).await,
        };
        let preferences = self.offered(claim).await;
        let mut conversation = persist(&self.clock, || self.memory.current(claim)).await;
        if instead.as_ref().is_some_and(|replaced| replaced.answered) {
            Arc::make_mut(&mut conversation).exchanges.pop();
        }
        let running = self.stops.begin(&claim.lane, claim.seq);
        let replaces = instead.is_some();
        let senses = self.senses(&preferences);
        let bench = Bench { claim, preferences: &preferences, running: &running, senses };
        let mut turn = TurnRecord {
            id: TurnId::generate(),
            conversation: conversation.id,
            exchange: Exchange::default(),
            through: claim.seq,
            parts: 0,
            state: TurnState::Running,
            used: None,
        };
        let held = self.stops.hold(&claim.lane);
        let mut together = Together::new(&self.joining, &held, senses, Last::of(claim));
        // Nothing belongs to a question that is asked once more.
        let mut waiting = if replaces { together.close() } else { claim.waiting.clone() };
        let mut ended = None;
        let mut sealed = None;
        if let Some(Unfinished { id, question, pictures, through, answer_so_far: answer, parts, sealed: words }) =
            unfinished
        {
            sealed = words;
            (turn.id, turn.through, turn.parts) = (id, through, parts);
            turn.exchange = Exchange { question, pictures, answer };
            let behind = waiting.partition_point(|row| row.seq <= through);
            waiting.drain(..behind).for_each(|taken| together.take(&taken));
        } else if let Some(Replaced { text, pictures, .. }) = instead {
            turn.exchange = Exchange { question: text, pictures, answer: String::new() };
        } else {
            ended = self.take(bench, &mut turn, claim.seq, &claim.event.kind).await.err();
        }
        // What was said answers what was asked then, and nothing more.
        let mut rows = if turn.exchange.answer.is_empty() && !waiting.is_empty() {
            self.joining.of_these(together.last, waiting, senses)
        } else {
            Vec::new()
        };
        let mut spent = Charge::NOTHING;
        let written = loop {
            if let Some((usage, _)) = sealed {
                // All its words are said; what a crash cut off is its voice.
                break answer::Written::before(turn, Charge::saved(usage));
            }
            let gathered = match ended.take() {
                Some(ended) => Err((ended, rows)),
                None if turn.exchange.answer.is_empty() && !replaces => {
                    self.gather(bench, &mut turn, &mut together, rows).await
                }
                None => Ok(()),
            };
            if let Err((ended, rest)) = gathered {
                drop(running);
                return Box::pin(self.end_early(claim, turn, ended, rest, spent)).await;
            }
            let asked = Asked { claim, conversation: &conversation, preferences: &preferences, running: &running };
            match self.answerer.write(asked, turn, &mut together).await {
                Ok(written) => break written,
                Err(joined) => {
                    debug!(inbox.seq = claim.seq, rows = joined.rows.len(), "more came that belongs to a question");
                    spent = spent.and(joined.charge);
                    (turn, rows) = (joined.turn, joined.rows);
                    turn.used = spent.used();
                }
            }
        };
        let answer::Written { mut turn, rest, outcome, charge } = written;
        let mut charge = spent.and(charge);
        if self.log_texts {
            debug!(inbox.seq = claim.seq, turn.id = %turn.id, text = turn.exchange.question, "the question");
        }
        let first_part = turn.parts;
        // Lost: so is the end of the turn, which tells it.
        let last_parts = Box::pin(self.answerer.last_parts(claim, &turn, &rest, &preferences)).await;
        let mut parts = last_parts.unwrap_or_default();
        let begins_here = first_part == 0 && !parts.is_empty();
        if let Some(failure) = outcome.failure() {
            parts.extend(self.own_words(claim, Text::Failed(failure, turn.id)).await);
        }
        parts.extend(self.about_allowance(&outcome, &charge, &preferences));
        turn.exchange.answer.push_str(&rest);
        turn.parts += u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut rest = Rest { first_part, parts, begins_here };
        let spoken = !replaces && matches!(claim.event.kind, EventKind::Voice { .. });
        if spoken && matches!(outcome, Outcome::Complete | Outcome::TooLong) {
            charge = Box::pin(self.speak(claim, &mut turn, &mut rest, &preferences, charge, &running)).await;
        }
        drop(running);
        let Rest { first_part, parts, begins_here } = rest;
        turn.state = ended::state_of(&outcome, &charge);
        turn.used = charge.used();
        if let Some(end) = outcome.end() {
            self.lately.question_ended(end);
        }
        self.log(claim, &turn, &outcome);
        if self.log_texts {
            debug!(inbox.seq = claim.seq, turn.id = %turn.id, text = turn.exchange.answer, "the answer");
        }
        let wish = self
            .summaries
            .as_ref()
            .and_then(|summaries| summaries.look(claim, &conversation, &turn.exchange, self.answerer.system_tokens()));
        // Before the lane is free: the next message may be taken the moment it is.
        self.memory.add(claim, &conversation, turn.exchange.clone(), self.clock.now()).await;
        if replaces && turn.exchange.answer.is_empty() {
            // What it was to replace stays where there is nothing in its place: that is read again.
            self.memory.forget(&claim.lane).await;
        }
        self.finish(claim, Ending::Turn { turn, first_part, parts }).await;
        if let (Some(summaries), Some(wish)) = (&self.summaries, wish) {
            summaries.wish(*wish);
        }
        if begins_here {
            self.lately.first_part(claim.received_at);
        }
        if let Outcome::Model(error) = &outcome {
            self.lately.model_failed(error.kind(), chain(error));
        }
        self.lately.turn_ended(outcome.result(), claim.received_at);
    }

    pub(super) async fn say(&self, claim: &Inbound, text: Text<'_>) {
        let parts = self.own_words(claim, text).await;
        self.finish(claim, Ending::Says(parts)).await;
    }

    /// Ends a message that cannot be handled, with what was said of its answer, if anything was.
    async fn apologize(&self, claim: &Inbound) {
        let unfinished = persist(&self.clock, || self.store.find_unfinished(claim.seq)).await;
        let conversation = persist(&self.clock, || self.memory.current(claim)).await;
        let unfinished = unfinished.unwrap_or_else(|| {
            let Question { text, pictures, .. } = Question::of(&claim.event.kind);
            let (id, answer_so_far) = (TurnId::generate(), String::new());
            Unfinished { id, question: text, pictures, through: claim.seq, answer_so_far, parts: 0, sealed: None }
        });
        let Unfinished { id, question, pictures, through, answer_so_far: answer, parts: first_part, .. } = unfinished;
        error!(turn.id = %id, turn.reference = %id.reference(), inbox.seq = claim.seq,
            "gave up a message after {} attempts", claim.claims - 1);
        self.lately.question_ended(End::OtherwiseFailed);
        let parts = self.own_words(claim, Text::Failed(Failure::Internal, id)).await;
        let turn = TurnRecord {
            id,
            conversation: conversation.id,
            exchange: Exchange { question, pictures, answer },
            through,
            parts: first_part + u32::try_from(parts.len()).unwrap_or(0),
            state: TurnState::Failed { reason: "broke every worker".to_owned(), usage: Charge::NOTHING.usage() },
            used: None,
        };
        self.memory.forget(&claim.lane).await;
        self.finish(claim, Ending::Turn { turn, first_part, parts }).await;
        self.lately.turn_ended(TurnResult::Internal, claim.received_at);
    }

    fn senses(&self, preferences: &Preferences) -> Senses {
        Senses { hears: self.hearing.is_some(), sees: self.seeing.is_some() && self.answerer.sees(preferences) }
    }

    pub(super) async fn finish(&self, claim: &Inbound, ending: Ending) {
        match &ending {
            Ending::Silent => debug!(inbox.seq = claim.seq, "nothing is to be said"),
            Ending::Says(parts) | Ending::Welcomes(parts) => {
                debug!(inbox.seq = claim.seq, parts = parts.len(), "said something of the bot's own");
            }
            // Logged with what is known of it.
            Ending::Turn { .. } => {}
        }
        let ended = persist(&self.clock, || self.store.finish(claim, ending.clone(), self.clock.now())).await;
        if let Err(lost) = ended {
            error!(inbox.seq = claim.seq, %lost, "what was answered is not kept");
            self.memory.forget(&claim.lane).await;
        }
    }
}
