//! Puts a question together from the messages that are part of it: what is written is taken as it is, what is spoken is
//! heard, pictures are fetched. What cost something is committed before anything else happens, so that it is not heard
//! or fetched again, whatever happens.

use tracing::{debug, info, warn};

use super::Turns;
use crate::{
    alert::observation::End,
    chat::{
        cause::chain,
        hearing::Unheard,
        joining::{Piece, Senses, Together},
        persist::persist,
        render::render,
        seeing::Unseen,
        shared,
        stops::Running,
        texts::{Failure, Text},
    },
    meter::Charge,
    metrics::TurnResult,
    model::{
        conversation::{Exchange, TurnState},
        event::EventKind,
        preferences::Preferences,
        reply::{Format, ReplyPart},
    },
    store::{
        LeaseLost,
        conversation::TurnRecord,
        inbox::{Ending, Inbound, Waiting},
        used::Use,
    },
};

/// Why a question was not put together.
pub(super) enum Ended {
    /// The member stopped it.
    Stopped,
    /// The member was erased.
    Lost(LeaseLost),
    /// A voice message gave no words.
    Unheard(Unheard),
    /// A picture could not be looked at.
    Unseen(Unseen),
}

impl From<LeaseLost> for Ended {
    fn from(lost: LeaseLost) -> Self {
        Self::Lost(lost)
    }
}

/// What a worker has at hand while it puts a question together.
#[derive(Clone, Copy)]
pub(super) struct Bench<'a> {
    pub(super) claim: &'a Inbound,
    pub(super) preferences: &'a Preferences,
    pub(super) running: &'a Running,
    pub(super) senses: Senses,
}

/// Words behind those that are there.
pub(super) fn add_words(exchange: &mut Exchange, words: &str) {
    if !exchange.question.is_empty() {
        exchange.question.push('\n');
    }
    exchange.question.push_str(words);
}

impl Turns {
    /// Takes the message of inbox row `seq` into the question.
    pub(super) async fn take(
        &self,
        bench: Bench<'_>,
        turn: &mut TurnRecord,
        seq: i64,
        event: &EventKind,
    ) -> Result<(), Ended> {
        turn.through = seq;
        match Piece::of(event, bench.senses) {
            Some(Piece::Words(words)) => add_words(&mut turn.exchange, words),
            // Rare, so not in every turn's future.
            Some(Piece::Spoken(media_id)) => Box::pin(self.listen(bench, turn, media_id)).await?,
            Some(Piece::Picture(media_id)) => Box::pin(self.look(bench, turn, media_id)).await?,
            // A place or a link is a question by itself; nobody takes anything else.
            None => {
                let language = bench.preferences.language(self.settings.language);
                if let Some(words) = shared::question(event, language) {
                    add_words(&mut turn.exchange, &words);
                }
            }
        }
        Ok(())
    }

    /// Takes `rows`, and whatever came meanwhile that belongs to them, until the question is whole: a picture without
    /// words waits for them.
    pub(super) async fn gather(
        &self,
        bench: Bench<'_>,
        turn: &mut TurnRecord,
        together: &mut Together<'_>,
        rows: Vec<Waiting>,
    ) -> Result<(), (Ended, Vec<Waiting>)> {
        let mut rows = rows;
        loop {
            let mut taken = rows.into_iter();
            while let Some(next) = taken.next() {
                together.take(&next);
                if let Err(ended) = self.take(bench, turn, next.seq, &next.event.kind).await {
                    return Err((ended, taken.collect()));
                }
            }
            rows = together.already(bench.claim).await;
            let wordless = turn.exchange.question.is_empty() && !turn.exchange.pictures.is_empty();
            if rows.is_empty() && wordless {
                let until = together.last.at + self.joining.picture_waits();
                rows = tokio::select! {
                    biased;
                    () = bench.running.stopped() => return Err((Ended::Stopped, Vec::new())),
                    rows = together.more(bench.claim) => rows,
                    () = self.clock.sleep_until(until) => Vec::new(),
                };
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
    }

    /// Hears a voice message and commits what was understood, with the quote of it where the member is shown one: from
    /// then on it is not fetched, written down or shown again.
    async fn listen(&self, bench: Bench<'_>, turn: &mut TurnRecord, media_id: &str) -> Result<(), Ended> {
        let Bench { claim, preferences, running, .. } = bench;
        let Some(hearing) = &self.hearing else { return Ok(()) };
        let hear = hearing.hear(&self.answerer, claim, media_id);
        let heard = self.answerer.before(claim, preferences, running, hear).await;
        let ms = self.clock.now().since(claim.received_at).as_millis();
        let (transcript, mut charge) = heard.ok_or(Ended::Stopped)?.map_err(Ended::Unheard)?;
        let used = charge.take_used();
        if transcript.is_empty() {
            persist(&self.clock, || self.store.add_use(used.clone(), self.clock.now())).await;
            return Err(Ended::Unheard(Unheard::Nothing));
        }
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, "understood a voice message after {ms} ms");
        let quote = match hearing.shows_transcript() {
            true => render(&format!("「{transcript}」"), Format::Text),
            false => Vec::new(),
        };
        add_words(&mut turn.exchange, &transcript);
        self.keep(claim, turn, quote, used).await
    }

    /// Fetches and prepares a picture, keeps it, and commits that the question has it.
    async fn look(&self, bench: Bench<'_>, turn: &mut TurnRecord, media_id: &str) -> Result<(), Ended> {
        let Bench { claim, preferences, running, .. } = bench;
        let Some(seeing) = &self.seeing else { return Ok(()) };
        let seen = self.answerer.before(claim, preferences, running, seeing.see(claim, media_id)).await;
        let id = seen.ok_or(Ended::Stopped)?.map_err(Ended::Unseen)??;
        let ms = self.clock.now().since(claim.received_at).as_millis();
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, media = %id, "has a picture after {ms} ms");
        turn.exchange.pictures.push(id);
        self.keep(claim, turn, Vec::new(), Use::default()).await
    }

    /// Commits the question as far as it is there, `quote` behind what is said of the turn, and what it took.
    async fn keep(
        &self,
        claim: &Inbound,
        turn: &mut TurnRecord,
        quote: Vec<ReplyPart>,
        used: Use,
    ) -> Result<(), Ended> {
        let first_part = turn.parts;
        turn.parts += u32::try_from(quote.len()).unwrap_or(u32::MAX);
        let append =
            || self.store.append(claim, turn.clone(), first_part, quote.clone(), used.clone(), self.clock.now());
        persist(&self.clock, append).await?;
        if first_part == 0 && turn.parts > 0 {
            self.lately.first_part(claim.received_at);
        }
        Ok(())
    }

    /// Ends a turn whose question was not put together, with all messages that are part of it: `rest` was not taken any
    /// more.
    pub(super) async fn end_early(
        &self,
        claim: &Inbound,
        mut turn: TurnRecord,
        ended: Ended,
        rest: Vec<Waiting>,
        spent: Charge,
    ) {
        let ms = self.clock.now().since(claim.received_at).as_millis();
        for left in rest {
            turn.through = left.seq;
            if let EventKind::Text { content } = &left.event.kind {
                add_words(&mut turn.exchange, content);
            }
        }
        let usage = spent.usage();
        let (reason, failure, result) = match &ended {
            Ended::Lost(lost) => {
                warn!(inbox.seq = claim.seq, turn.id = %turn.id, %lost, "a message is handled by nobody");
                return;
            }
            Ended::Stopped => {
                info!(turn.id = %turn.id, inbox.seq = claim.seq, "{} stopped a message after {ms} ms", claim.event.from);
                turn.state = TurnState::Stopped { usage };
                let first_part = turn.parts;
                self.finish(claim, Ending::Turn { turn, first_part, parts: Vec::new() }).await;
                return self.lately.turn_ended(TurnResult::Stopped, claim.received_at);
            }
            Ended::Unheard(unheard) => (chain(unheard), Failure::Unheard(unheard), unheard.result()),
            Ended::Unseen(unseen) => (chain(unseen), Failure::Unseen(unseen), unseen.result()),
        };
        warn!(turn.id = %turn.id, turn.reference = %turn.id.reference(), inbox.seq = claim.seq, %reason,
            "could not take in what {} sent after {ms} ms", claim.event.from);
        self.lately.question_ended(if result == TurnResult::Unseen { End::Answered } else { End::OtherwiseFailed });
        let parts = match &ended {
            Ended::Unheard(Unheard::Quota(refusal)) => {
                let preferences = self.preferences(claim).await;
                Box::pin(self.not_allowed(claim, refusal, &preferences)).await
            }
            _ => self.own_words(claim, Text::Failed(failure, turn.id)).await,
        };
        let first_part = turn.parts;
        turn.parts += u32::try_from(parts.len()).unwrap_or(u32::MAX);
        turn.state = TurnState::Failed { reason, usage };
        self.finish(claim, Ending::Turn { turn, first_part, parts }).await;
        if first_part == 0 {
            self.lately.first_part(claim.received_at);
        }
        if let Ended::Unheard(Unheard::Transcription(error)) = &ended {
            self.lately.model_failed(error.kind(), chain(error));
        }
        self.lately.turn_ended(result, claim.received_at);
    }
}
