//! One inbox row from claim to end: a command, a greeting, a kind sentence, or a turn with the model.
//!
//! Knows which of these a message is and what becomes of a row that breaks its worker. How a turn goes, `answering` knows.

mod answering;
mod building;
mod drawing;
mod gather;
mod speaking;

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt;
use tracing::{Instrument, debug, error, error_span};

pub use self::{drawing::Undrawn, speaking::Speaking};
use super::{
    answer::Answerer,
    commands::chosen_on_card,
    hearing::Hearing,
    joining::Joining,
    lately::Lately,
    memory::Memory,
    models::Models,
    persist::persist,
    question::Question,
    seeing::Seeing,
    stops::Stops,
    summaries::Wishes,
    texts::{Failure, Text},
    wish::wish,
};
use crate::{
    alert::observation::End,
    clock::Clock,
    config,
    meter::{Charge, Meter, allowances::Allowances, own_keys::OwnKeys, people::People},
    metrics::TurnResult,
    model::{
        command::Command,
        conversation::{Exchange, TurnState, Unfinished},
        event::EventKind,
        id::{MemberId, TurnId},
        quota::plan::Right,
    },
    net::fetch::Fetcher,
    store::{
        Store,
        conversation::TurnRecord,
        inbox::{Ending, Inbound},
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
    pub(in crate::chat) answerer: Answerer,
    pub(super) lately: Arc<Lately>,
    /// `None`: voice messages get a kind sentence.
    hearing: Option<Hearing>,
    /// `None`: what no longer fits is forgotten.
    summaries: Option<Wishes>,
    /// `None`: pictures get a kind sentence.
    seeing: Option<Seeing>,
    joining: Joining,
    /// `None`: pictures that lie at an address are not fetched.
    gallery: Option<Fetcher>,
    /// `None`: answers are text.
    speaking: Option<Speaking>,
    /// Which models members can choose.
    pub(super) models: Models,
    /// What changes cards; `None`: choices are lists in text.
    pub(super) wecom: Option<Client>,
    /// Who may do what operators do.
    pub(super) operators: Vec<MemberId>,
    meter: Arc<Meter>,
    /// The clock's uptime at the start.
    pub(super) began: Duration,
    /// Whether the bot can speak.
    pub(super) speaks: bool,
    pub(super) team: config::Team,
    /// `None`: members make no API keys.
    pub(super) own_keys: Option<OwnKeys>,
    /// Whether questions and answers are logged.
    log_texts: bool,
}

impl Turns {
    /// Whose questions are answered.
    pub(super) fn people(&self) -> &People {
        self.meter.people()
    }

    /// Who may use how much.
    pub(super) fn allowances(&self) -> &Allowances {
        self.meter.allowances()
    }

    /// What is remembered of conversations.
    pub fn memory(&self) -> Memory {
        self.memory.clone()
    }

    /// Handles a claim to its end, whatever happens: while the store cannot be used it waits, and a worker that breaks
    /// gives its row back.
    pub fn handle(self: Arc<Self>, claim: Inbound) -> impl Future<Output = ()> {
        // Names the message in the lines of the rooms below, which do not know it. At the level of errors, so that it is
        // there for every line that is written at all.
        let span = error_span!("message", inbox.seq = claim.seq);
        // Boxed: the future would hold it twice.
        self.handle_within_span(Box::new(claim)).instrument(span)
    }

    async fn handle_within_span(self: Arc<Self>, claim: Box<Inbound>) {
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
        if let Some(denied) = Box::pin(self.denied(claim)).await {
            return Box::pin(self.turn_away(claim, denied)).await;
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
                if Box::pin(self.may_show_pictures(claim)).await {
                    self.turn(claim).await;
                }
            }
            EventKind::EnterAgent | EventKind::Subscribe => self.welcome(claim).await,
            EventKind::Click { key } => match Command::of_key(key) {
                Some(asked) => self.command(claim, asked).await,
                None => self.finish(claim, Ending::Silent).await,
            },
            EventKind::CardClick { key, task_id, response_code, chosen } => {
                let key = chosen_on_card(key, chosen);
                Box::pin(self.press(claim, key, task_id, response_code)).await;
            }
            other => self.say(claim, Text::NotYet(other)).await,
        }
    }

    /// Whether a picture of the member's is looked at; where not, says why.
    async fn may_show_pictures(&self, claim: &Inbound) -> bool {
        let preferences = self.offered(claim).await;
        match self.answerer.permit(claim, Right::Pictures).await {
            Ok(()) if self.answerer.sees(&preferences) => return true,
            Ok(()) => self.say(claim, Text::Blind).await,
            Err(refusal) => {
                let parts = self.not_allowed(claim, &refusal, &preferences).await;
                self.finish(claim, Ending::Says(parts)).await;
            }
        }
        false
    }

    /// The picture that a message wishes for, where there is somebody who makes it.
    fn wished<'m>(&self, message: &'m str) -> Option<&'m str> {
        wish(message).filter(|_| self.draws())
    }

    /// Whether there is somebody who makes pictures.
    pub(super) fn draws(&self) -> bool {
        self.answerer.paints()
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
