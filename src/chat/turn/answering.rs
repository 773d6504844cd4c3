//! A turn with the model, in steps: the question is put together, the answer is written, its last words are said, and all
//! of it is saved at once.
//!
//! Knows the order, and what of an earlier try is still good. How a question is put together, `gather` knows; how an
//! answer is written, `chat::answer`; how it is spoken, `speaking`.

use std::sync::Arc;

use tracing::debug;

use super::{
    Turns,
    gather::{Bench, Ended},
    speaking::Rest,
};
use crate::{
    chat::{
        answer::{Asked, Written},
        cause::chain,
        ended,
        joining::{Last, Senses, Together},
        outcome::Outcome,
        persist::persist,
        stops::Running,
        texts::Text,
    },
    meter::Charge,
    model::{
        conversation::{Conversation, Exchange, TurnState, Unfinished, Usage},
        event::EventKind,
        id::TurnId,
        preferences::Preferences,
        quota::plan::Right,
    },
    store::{
        conversation::TurnRecord,
        inbox::{Ending, Inbound, Waiting},
        usage::Replaced,
    },
};

/// A turn whose question is there, or a part of it.
struct Begun {
    turn: Box<TurnRecord>,
    /// What was paid for words that are all said: only what comes behind them is missing.
    sealed: Option<Usage>,
    /// Messages that belong to the question and are not taken yet.
    rows: Vec<Waiting>,
    /// Why the question was not put together.
    ended: Option<Box<Ended>>,
}

/// A turn that ends without an answer, because its question was not put together.
struct Early {
    turn: Box<TurnRecord>,
    ended: Ended,
    /// What was not taken into the question any more.
    rest: Vec<Waiting>,
    spent: Charge,
}

impl Turns {
    /// Asks the model what the member asked, and answers.
    pub(super) fn turn<'a>(&'a self, claim: &'a Inbound) -> impl Future<Output = ()> + 'a {
        self.turn_for(claim, None)
    }

    /// The same with the question of another turn, whose place this one takes, where there is one.
    pub(in crate::chat) async fn turn_for(&self, claim: &Inbound, instead: Option<Box<Replaced>>) {
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
        let senses = self.senses(claim, &preferences).await;
        let bench = Bench { claim, preferences: &preferences, running: &running, senses };
        let asked = Asked { claim, conversation: &conversation, preferences: &preferences, running: &running };
        let held = self.stops.hold(&claim.lane);
        let mut together = Together::new(&self.joining, &held, senses, Last::of(claim));
        let begun = Box::pin(self.begin(bench, &conversation, (unfinished, instead), &mut together)).await;
        let answered = self.answer(bench, asked, begun, &mut together, replaces).await;
        Box::pin(self.end(claim, &conversation, &preferences, running, answered, replaces)).await;
    }

    /// Ends a turn, however it went. Has a future of its own: it would be room for nothing as long as the model answers.
    async fn end(
        &self,
        claim: &Inbound,
        conversation: &Arc<Conversation>,
        preferences: &Preferences,
        running: Running,
        answered: Result<Box<Written>, Box<Early>>,
        replaces: bool,
    ) {
        match answered {
            Ok(mut written) => {
                let asked = Asked { claim, conversation, preferences, running: &running };
                let rest = self.last_words(asked, &mut written, replaces).await;
                drop(running);
                self.close(claim, conversation, *written, rest, replaces).await;
            }
            Err(early) => {
                drop(running);
                let Early { turn, ended, rest, spent } = *early;
                self.end_early(claim, *turn, ended, rest, spent).await;
            }
        }
    }

    /// Takes up what an earlier try left, or the question that is asked once more, or begins with the message.
    async fn begin(
        &self,
        bench: Bench<'_>,
        conversation: &Conversation,
        (unfinished, instead): (Option<Unfinished>, Option<Box<Replaced>>),
        together: &mut Together<'_>,
    ) -> Begun {
        let claim = bench.claim;
        let mut turn = Box::new(TurnRecord {
            id: TurnId::generate(),
            conversation: conversation.id,
            exchange: Exchange::default(),
            through: claim.seq,
            parts: 0,
            state: TurnState::Running,
            used: None,
        });
        // Nothing belongs to a question that is asked once more.
        let mut waiting = if instead.is_some() { together.close() } else { claim.waiting.clone() };
        let (mut sealed, mut ended) = (None, None);
        if let Some(unfinished) = unfinished {
            let Unfinished { id, question, pictures, through, answer_so_far: answer, parts, sealed: words } =
                unfinished;
            sealed = words.map(|(usage, _)| usage);
            (turn.id, turn.through, turn.parts) = (id, through, parts);
            turn.exchange = Exchange { question, pictures, answer };
            let behind = waiting.partition_point(|row| row.seq <= through);
            waiting.drain(..behind).for_each(|taken| together.take(&taken));
        } else if let Some(replaced) = instead {
            let Replaced { text, pictures, .. } = *replaced;
            turn.exchange = Exchange { question: text, pictures, answer: String::new() };
        } else {
            ended = self.take(bench, &mut turn, claim.seq, &claim.event.kind).await.err().map(Box::new);
        }
        // What was said answers what was asked then, and nothing more.
        let rows = if turn.exchange.answer.is_empty() && !waiting.is_empty() {
            self.joining.of_these(together.last, waiting, bench.senses)
        } else {
            Vec::new()
        };
        Begun { turn, sealed, rows, ended }
    }

    /// Puts the question together and has its answer written; again, with what came, when more of the question comes
    /// before anything was said.
    fn answer<'a>(
        &'a self,
        bench: Bench<'a>,
        asked: Asked<'a>,
        begun: Begun,
        together: &'a mut Together<'_>,
        replaces: bool,
    ) -> impl Future<Output = Result<Box<Written>, Box<Early>>> {
        // Taken apart here, not in the future: it would hold the turn twice.
        let Begun { mut turn, sealed, mut rows, mut ended } = begun;
        async move {
            let mut spent = Charge::NOTHING;
            if let Some(usage) = sealed {
                // All its words are said; what a crash cut off is its voice.
                return Ok(Box::new(Written::before(turn, Charge::saved(usage))));
            }
            loop {
                if let Err((ended, rest)) = match ended.take() {
                    Some(ended) => Err((*ended, rows)),
                    None if turn.exchange.answer.is_empty() && !replaces => {
                        self.gather(bench, &mut turn, together, rows).await
                    }
                    None => Ok(()),
                } {
                    return Err(Box::new(Early { turn, ended, rest, spent }));
                }
                match self.answerer.write(asked, turn, spent, together).await {
                    Ok(written) => return Ok(Box::new(written)),
                    Err(joined) => {
                        debug!(
                            inbox.seq = asked.claim.seq,
                            rows = joined.rows.len(),
                            "more came that belongs to a question"
                        );
                        (turn, rows, spent) = (joined.turn, joined.rows, joined.charge);
                        turn.used = spent.used();
                    }
                }
            }
        }
    }

    /// What is still to be said of an answer that is written: its end, why it is not whole, what is left of an allowance,
    /// and its voice.
    async fn last_words(&self, asked: Asked<'_>, written: &mut Written, replaces: bool) -> Rest {
        let Asked { claim, preferences, running, .. } = asked;
        let Written { turn, rest, outcome, charge } = written;
        if self.log_texts {
            debug!(inbox.seq = claim.seq, turn.id = %turn.id, text = turn.exchange.question, "the question");
        }
        let first_part = turn.parts;
        // Lost: so is the end of the turn, which tells it.
        let last_parts = Box::pin(self.answerer.last_parts(claim, turn, rest, preferences)).await;
        let mut parts = last_parts.unwrap_or_default();
        let begins_here = first_part == 0 && !parts.is_empty();
        if let Some(failure) = outcome.failure() {
            parts.extend(self.own_words(claim, Text::Failed(failure, turn.id)).await);
        }
        parts.extend(Box::pin(self.about_allowance(claim, outcome, charge, preferences)).await);
        turn.exchange.answer.push_str(rest);
        turn.parts += u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let mut rest = Rest { first_part, parts, begins_here };
        let spoken = !replaces && matches!(claim.event.kind, EventKind::Voice { .. });
        if spoken && matches!(outcome, Outcome::Complete | Outcome::TooLong) {
            let written = std::mem::replace(charge, Charge::NOTHING);
            *charge = Box::pin(self.speak(claim, turn, &mut rest, preferences, written, running)).await;
        }
        rest
    }

    /// Saves the turn with what is still to be said of it, and tells everybody who counts or remembers.
    async fn close(
        &self,
        claim: &Inbound,
        conversation: &Arc<Conversation>,
        written: Written,
        Rest { first_part, parts, begins_here }: Rest,
        replaces: bool,
    ) {
        let Written { mut turn, outcome, charge, .. } = written;
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
            .and_then(|summaries| summaries.look(claim, conversation, &turn.exchange, self.answerer.system_tokens()));
        // Before the lane is free: the next message may be taken the moment it is.
        self.memory.add(claim, conversation, turn.exchange.clone(), self.clock.now()).await;
        if replaces && turn.exchange.answer.is_empty() {
            // What it was to replace stays where there is nothing in its place: that is read again.
            self.memory.forget(&claim.lane).await;
        }
        self.finish(claim, Ending::Turn { turn: *turn, first_part, parts }).await;
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

    async fn senses(&self, claim: &Inbound, preferences: &Preferences) -> Senses {
        let mut sees = self.seeing.is_some() && self.answerer.sees(preferences);
        sees = sees && self.answerer.permit(claim, Right::Pictures).await.is_ok();
        Senses { hears: self.hearing.is_some(), sees }
    }
}
