//! An answer that is being written, in steps: the model is asked, its pieces are shown as they come, and where it wants
//! something called, or is cut at the limit of its length, it is asked again.
//!
//! Knows the order of the steps and what each leaves behind for the next; nothing of how a request is built, how a piece
//! looks to the member or what a tool does.

use std::pin::pin;

use tracing::{debug, warn};

use super::{Answerer, Asked, Joined, Written, calling::Stop, slow::SlowNotice};
use crate::{
    chat::{
        cause::chain,
        files::Look,
        joining::Together,
        live::{Live, seam::Seam},
        outcome::Outcome,
        thoughts::Thoughts,
        tooling::Work,
    },
    clock::Timestamp,
    config::chat::Reasoning,
    llm::{
        self,
        stream::{Delta, FinishReason},
        tools::Calls,
    },
    meter::{Charge, Metered, Purpose},
    model::reply::ReplyPart,
    store::{conversation::TurnRecord, inbox::Waiting},
};

/// An answer that is being written.
pub(super) struct Writing<'a, 'h> {
    answerer: &'a Answerer,
    asked: Asked<'a>,
    together: &'a mut Together<'h>,
    pub(super) turn: Box<TurnRecord>,
    /// So many parts there were when it began.
    unsaid: u32,
    /// So many parts are no part of the answer: what was understood of a voice message, what was said about tools.
    before: u32,
    /// What it may read and call; `None` for most.
    pub(super) work: Option<Box<Work>>,
    live: Live,
    /// The only one of the answer, from opening what it may read to the model's last word.
    pub(super) slow: SlowNotice<'a>,
    look: Look,
    /// `None`: nobody is shown them, or they were shown.
    thoughts: Option<Box<Thoughts>>,
    asked_at: Timestamp,
    /// The model wrote the first word.
    begun: bool,
    charge: Charge,
    /// So often it was cut and goes on.
    continuations: u32,
    /// What came that belongs to the question.
    joined: Option<Vec<Waiting>>,
}

/// What the model wrote in one go.
struct Said {
    outcome: Outcome,
    /// It wrote more than blanks.
    went_on: bool,
    /// What it wants called.
    calls: Option<Box<Calls>>,
}

/// What came next.
enum Next {
    /// The model's next piece, or its end.
    Piece(Option<Result<Delta, llm::error::Error>>),
    /// Nothing that is waited for: the member stopped it, or asks for more.
    GivenUp,
}

impl<'a, 'h> Writing<'a, 'h> {
    /// Of the answer of `turn`, or of what is missing of it.
    pub(super) fn new(
        answerer: &'a Answerer,
        asked: Asked<'a>,
        turn: Box<TurnRecord>,
        spent: Charge,
        together: &'a mut Together<'h>,
    ) -> Self {
        let Asked { claim, preferences, .. } = asked;
        let before = if turn.exchange.answer.is_empty() { turn.parts } else { 0 };
        // What was thought before a crash may have been shown already.
        let is_first = claim.claims == 1 || turn.parts == 0;
        let quotes = answerer.settings.reasoning == Reasoning::Quote && is_first;
        Self {
            live: Live::resume(answerer.settings.progressive, turn.parts - before),
            slow: SlowNotice::new(answerer, claim, preferences, turn.parts > 0),
            look: answerer.look(preferences),
            thoughts: quotes.then(Box::default),
            asked_at: answerer.clock.now(),
            begun: false,
            charge: spent,
            continuations: 0,
            joined: None,
            work: None,
            unsaid: turn.parts,
            before,
            answerer,
            asked,
            turn,
            together,
        }
    }

    /// Asks the model until nothing is left to ask for. Gives how it ended.
    pub(super) async fn write(&mut self) -> Outcome {
        self.asked_at = self.answerer.clock.now();
        loop {
            let (mut stream, mut seam) = match self.begin().await {
                Ok(begun) => begun,
                Err(outcome) => match self.not_begun(outcome) {
                    Some(outcome) => return outcome,
                    None => continue,
                },
            };
            let said = self.read(&mut stream, &mut seam).await;
            let charge = std::mem::replace(&mut self.charge, Charge::NOTHING);
            self.charge = charge.and(stream.settle());
            if let Some(outcome) = self.goes_on(said).await {
                return outcome;
            }
        }
    }

    /// Asks the model, for the answer or for the rest of it.
    async fn begin(&mut self) -> Result<(Metered<'a>, Seam), Outcome> {
        let so_far = format!("{}{}", self.turn.exchange.answer, self.live.pending());
        let seam = Seam::behind(&so_far);
        let is_first = !self.charge.counts() && self.turn.used.is_none();
        let purpose = if is_first { Purpose::Question } else { Purpose::Further };
        let is_open = self.is_open();
        let mut stream = {
            let Self { answerer, asked, together, turn, work, slow, joined, .. } = self;
            // Pinned here, not in `beside`: a future that is moved into another is held twice, in every turn.
            let begin = pin!(answerer.begin(*asked, turn, so_far, (purpose, work.as_deref())));
            tokio::select! {
                biased;
                () = asked.running.stopped() => return Err(Outcome::Stopped),
                rows = together.more(asked.claim), if is_open => {
                    *joined = Some(rows);
                    return Err(Outcome::Stopped);
                }
                begun = slow.beside(begin) => begun?,
            }
        };
        let shown = if self.live.pending().is_empty() { &self.turn.exchange.answer } else { self.live.pending() };
        if !shown.is_empty() {
            stream.continues(shown);
        }
        Ok((stream, seam))
    }

    /// How an answer ends that did not begin, or not again; `None`: it is asked for once more.
    fn not_begun(&mut self, outcome: Outcome) -> Option<Outcome> {
        let Self { answerer, asked: Asked { claim, preferences, .. }, turn, .. } = self;
        if answerer.goes_without_tools(&outcome, self.work.as_deref_mut(), preferences) {
            return None;
        }
        match outcome {
            Outcome::Model(error) if self.continuations > 0 => {
                warn!(inbox.seq = claim.seq, turn.id = %turn.id, error = %chain(&error),
                    "a cut answer could not be continued");
                Some(Outcome::TooLong)
            }
            Outcome::Quota(_) if self.continuations > 0 => Some(Outcome::TooLong),
            outcome => Some(outcome),
        }
    }

    /// Shows what the model writes, to its end.
    async fn read(&mut self, stream: &mut Metered<'a>, seam: &mut Seam) -> Said {
        let (mut went_on, mut calls) = (false, None);
        let outcome = loop {
            let (text, end) = match self.next(stream).await {
                Next::Piece(Some(Ok(Delta::Text(text)))) => (seam.push(text), None),
                Next::Piece(Some(Ok(Delta::Thought(text)))) => {
                    if let Some(thoughts) = &mut self.thoughts {
                        thoughts.push(&text);
                    }
                    continue;
                }
                Next::Piece(Some(Ok(Delta::Finish(finish)))) => {
                    calls = finish.calls;
                    (seam.finish(), Some(outcome_of(&finish.reason)))
                }
                Next::Piece(Some(Err(error))) => (seam.finish(), Some(Outcome::Model(error))),
                Next::Piece(None) => (seam.finish(), Some(Outcome::Complete)),
                Next::GivenUp => (seam.finish(), Some(Outcome::Stopped)),
            };
            if !self.begun && end.is_none() && Box::pin(self.begins()).await.is_err() {
                break Outcome::Stopped;
            }
            went_on |= !text.trim().is_empty();
            if let Err(end) = self.show(&text).await {
                self.live = Live::resume(self.answerer.settings.progressive, 0);
                break end;
            }
            if let Some(end) = end {
                break end;
            }
        };
        Said { outcome, went_on, calls }
    }

    /// Only the wait for the model is given up when the member says stop: a commit is always seen through.
    async fn next(&mut self, stream: &mut Metered<'a>) -> Next {
        let is_open = self.is_open();
        let Self { asked, together, slow, joined, .. } = self;
        let next = pin!(stream.next());
        tokio::select! {
            biased;
            () = asked.running.stopped() => Next::GivenUp,
            rows = together.more(asked.claim), if is_open => {
                *joined = Some(rows);
                Next::GivenUp
            }
            next = slow.beside(next) => Next::Piece(next),
        }
    }

    /// The model wrote its first word: what it thought until then is shown above it.
    async fn begins(&mut self) -> Result<(), Stop> {
        let Self { answerer, asked: Asked { claim, .. }, turn, look, .. } = self;
        let ms = answerer.clock.now().since(self.asked_at).as_millis();
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, "the model began to answer after {ms} ms");
        answerer.lately.first_delta(self.asked_at);
        self.begun = true;
        let quote = self.thoughts.take().and_then(|thoughts| thoughts.quote(look.format, look.language));
        let said = quote.as_ref().and_then(ReplyPart::words).map_or("", |words| words.content());
        let may_be_shown = answerer.may_show(said).await.is_ok();
        if let Some(quote) = quote.filter(|_| may_be_shown) {
            answerer.append(claim, turn, vec![quote]).await.map_err(|_| Stop)?;
            self.before += 1;
            self.slow.said_something();
        }
        Ok(())
    }

    /// Takes what the model wrote next, and says what of the answer is finished with it.
    async fn show(&mut self, text: &str) -> Result<(), Outcome> {
        let Self { answerer, asked: Asked { claim, .. }, turn, live, slow, look, .. } = self;
        if answerer.shaper.is_long(turn.parts) {
            live.hold();
        }
        for chunk in live.push(text) {
            answerer.may_show(&chunk).await?;
            // Where the lease is lost, whatever else the model writes would reach nobody.
            answerer.commit(claim, turn, chunk, *look).await.map_err(|_| Outcome::Stopped)?;
            slow.said_something();
        }
        Ok(())
    }

    /// How the answer ends after what was said; `None`: the model is asked for more.
    async fn goes_on(&mut self, Said { outcome, went_on, calls }: Said) -> Option<Outcome> {
        let offers = self.work.as_ref().is_some_and(|work| work.offers());
        if let (Outcome::Complete, true, Some(calls)) = (&outcome, offers, calls) {
            return match Box::pin(self.call(*calls)).await {
                Ok(()) => None,
                Err(Stop) => Some(Outcome::Stopped),
            };
        }
        if !matches!(outcome, Outcome::TooLong) || !went_on || self.continuations == self.answerer.max_continuations {
            return Some(outcome);
        }
        self.continuations += 1;
        debug!(inbox.seq = self.asked.claim.seq, turn.id = %self.turn.id, continuations = self.continuations,
            "an answer was cut at its limit and goes on");
        None
    }

    /// Makes the calls that the model asks for.
    async fn call(&mut self, calls: Calls) -> Result<(), Stop> {
        let said = self.turn.parts;
        let fresh = Live::resume(self.answerer.settings.progressive, said);
        let rest = std::mem::replace(&mut self.live, fresh).finish();
        self.before += {
            let Self { answerer, asked, turn, look, work, slow, .. } = self;
            let Some(work) = work else { return Err(Stop) };
            let called = pin!(answerer.call(*asked, turn, (rest, *look), work, calls));
            // Where nobody is shown the call, the wait for it is silence like any other.
            slow.beside(called).await?
        };
        if self.turn.parts > said {
            self.slow.said_something();
        }
        Ok(())
    }

    /// What is left to say of an answer that ended so, as far as it may be shown.
    pub(super) async fn rest(&mut self, outcome: Outcome) -> (String, Outcome) {
        let live = std::mem::replace(&mut self.live, Live::resume(self.answerer.settings.progressive, 0));
        let (rest, outcome) = match live.finish() {
            rest if rest.trim().is_empty() => (rest, outcome),
            rest => match self.answerer.may_show(&rest).await {
                Ok(()) => (rest, outcome),
                Err(end) => (String::new(), end),
            },
        };
        let wrote_nothing = self.turn.parts == self.before && rest.trim().is_empty();
        match outcome {
            Outcome::Complete if wrote_nothing => (rest, Outcome::Empty),
            outcome => (rest, outcome),
        }
    }

    /// The answer, with what is left to say of it.
    pub(super) fn ended(self, (rest, outcome): (String, Outcome)) -> Written {
        Written { turn: self.turn, rest, outcome, charge: self.charge }
    }

    /// What came that belongs to the question, where something did.
    pub(super) const fn came(&mut self) -> Option<Vec<Waiting>> {
        self.joined.take()
    }

    /// The answer is not begun, because `rows` came.
    pub(super) fn joined(self, rows: Vec<Waiting>) -> Joined {
        Joined { turn: self.turn, rows, charge: self.charge }
    }

    /// Whether nothing of the answer was said or called yet, so that the question may still grow.
    fn is_open(&self) -> bool {
        let is_fresh = self.work.as_ref().is_none_or(|work| work.is_fresh());
        self.turn.parts == self.unsaid && self.turn.exchange.answer.is_empty() && is_fresh
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
