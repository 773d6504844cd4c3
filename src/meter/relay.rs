//! What programs ask, through the same door: reserve, pass on, settle.

mod beside;

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use self::beside::Beside;
use super::{
    IN, LEAST_OUTPUT, Meter, OUT, Purpose, Reservation,
    allowances::{Held, Refusal},
    by_key::owner_of,
    charge::Charge,
    record::Record,
    shown::Shown,
};
use crate::{
    llm::{
        error::Error,
        relay::{
            Asker, Event, Kind, Whole,
            body::{Body, Call},
            cleared::{ClearedBody, NotCleared},
        },
        router::{Next, RelayAnswer, Wish},
    },
    model::{
        self,
        conversation::Usage,
        key::ApiKey,
        quota::{amounts::Price, book::Ask, plan::Right},
    },
    safety::guard::{Findings, Withheld},
};
use bytes::{Bytes, BytesMut};

/// As much of an answer is held back while somebody must look at all of it.
const MOST_HELD: usize = 8 * 1024 * 1024;

impl Meter {
    /// Holds what a program's call will probably take, at the levels of its key and of the key's owner.
    ///
    /// # Errors
    /// [`Refusal`], and the model must not be asked.
    pub async fn reserve_by(&self, key: &ApiKey, body: &Body) -> Result<Reservation<'_>, Refusal> {
        let alias: Arc<str> = body.model.as_str().into();
        let beside = Beside::of(body);
        let kind = match (body.call, beside) {
            (_, Some(beside)) => beside.medium.kind(),
            (Call::Embeddings, None) => model::call::Kind::Embedding,
            (_, None) => model::call::Kind::Chat,
        };
        let mut record = Record::by_key(self.recorder.as_ref(), key, kind, &alias);
        let reserved = match beside {
            Some(beside) => self.hold_beside(key, beside).await.map(|held| (held, alias)),
            None => self.hold_by(key, body, alias).await,
        };
        let (held, alias) = reserved.inspect_err(|refusal| record.refused(refusal.kind()))?;
        record.is_of(&alias);
        let mut hasher = DefaultHasher::new();
        key.id.hash(&mut hasher);
        Ok(Reservation {
            meter: self,
            alias,
            held,
            input_estimate: body.estimate(),
            affinity: hasher.finish(),
            asker: match owner_of(key) {
                Some(payer) => Asker::Member(self.identifier_of(payer)),
                None => Asker::Service,
            },
            record,
        })
    }

    /// What is held, and the model that is to answer.
    async fn hold_by(&self, key: &ApiKey, body: &Body, alias: Arc<str>) -> Result<(Held, Arc<str>), Refusal> {
        self.admit_by(key, &alias).await?;
        for right in shown_in(body) {
            self.allowances.permit_by(key, right).await?;
        }
        let input_estimate = body.estimate();
        let output = match body.call {
            call if call.is_words() => body.longest.unwrap_or(self.most_output).saturating_mul(body.answers),
            _ => 0,
        };
        let ask = Ask {
            requests: 1,
            input: input_estimate as u64,
            output,
            least_output: LEAST_OUTPUT.min(output),
            price: Price::default(),
            beside: 0,
        };
        let mut held = self.allowances.reserve_by(key, &alias, ask, &self.prices).await?;
        let Some(instead) = held.instead.take() else { return Ok((held, alias)) };
        self.admit_by(key, &instead).await?;
        Ok((held, instead))
    }
}

/// What a key may ask at all.
impl Meter {
    /// Whether the owner of a key has access, at whatever hour.
    pub async fn has_access(&self, key: &ApiKey) -> bool {
        match owner_of(key) {
            Some(payer) => self.people().admit(payer, false, false).await.is_ok(),
            None => true,
        }
    }

    /// The aliases that a key may ask for, in the order of the configuration.
    pub async fn models_of(&self, key: &ApiKey) -> Vec<Arc<str>> {
        let has_premium = match owner_of(key) {
            Some(payer) => self.people().admit(payer, false, true).await.is_ok(),
            None => true,
        };
        let mut aliases = self.router.aliases();
        aliases.retain(|alias| key.scope.has_model(alias) && (has_premium || !self.premium.contains(alias)));
        self.allowances.retain_models(key, &mut aliases).await;
        aliases
    }

    async fn admit_by(&self, key: &ApiKey, alias: &Arc<str>) -> Result<(), Refusal> {
        match owner_of(key) {
            Some(payer) => self.admit(payer, Purpose::Question, Some(alias)).await,
            None => Ok(()),
        }
    }
}

impl<'a> Reservation<'a> {
    /// For a program's request.
    pub const fn relaying(self) -> Relaying<'a> {
        let (answer, filter, beside, held) = (None, None, None, None);
        Relaying { reservation: self, answer, filter, shows_usage: false, beside, held, over: false }
    }
}

/// A program's call under its reservation.
#[must_use = "what was asked must be settled"]
pub struct Relaying<'a> {
    reservation: Reservation<'a>,
    answer: Option<RelayAnswer>,
    filter: Option<Shown>,
    shows_usage: bool,
    beside: Option<Beside>,
    /// What waits for a moderator's look; `None`: nothing has to.
    held: Option<BytesMut>,
    over: bool,
}

impl Relaying<'_> {
    /// Passes the request on, and waits until an answer begins.
    ///
    /// # Errors
    /// [`Error`]: there is none, and nothing is charged. [`Error::Withheld`]: nothing was sent.
    pub async fn begin(&mut self, body: &Body) -> Result<(), Error> {
        self.reservation.record.begins();
        let begun = self.pass_on(body).await;
        let Self { answer, reservation: Reservation { record, .. }, .. } = self;
        match (&begun, answer) {
            (Err(error), _) => record.failed(error),
            (Ok(()), Some(answer)) => record.answers(answer.upstream()),
            (Ok(()), None) => {}
        }
        begun
    }

    async fn pass_on(&mut self, body: &Body) -> Result<(), Error> {
        let Reservation { meter, alias, held, input_estimate, affinity, asker, record } = &mut self.reservation;
        let cleared = ClearedBody::through(&meter.house.guard, body, asker);
        let (request, Findings { masks, hits, fresh }) = cleared.map_err(|refused| match refused {
            NotCleared::Withheld(Withheld(hits)) => meter.refuse(&hits),
            NotCleared::NoText => {
                Error::Rejected { status: 400, message: "a string of the request is no Unicode text".to_owned() }
            }
        })?;
        meter.count(&hits, IN);
        // Placeholders are numbered anew in each request: the same one stands for something else in what came before.
        if let Some(field) = body.goes_on_with().filter(|_| !masks.is_empty()) {
            let message = format!("'{field}' cannot be used with what is masked here; send the whole conversation");
            return Err(Error::Rejected { status: 400, message });
        }
        if meter.house.moderator.is_some() {
            Box::pin(meter.moderate(&fresh, IN)).await?;
        }
        drop(fresh);
        let judged = meter.house.moderator.is_some() && body.call.is_words();
        self.filter = Shown::new(body.call, masks, &meter.house.guard, judged);
        self.held = judged.then(BytesMut::new);
        self.shows_usage = body.wants_usage;
        self.beside = Beside::of(body);
        if self.beside.is_some() {
            self.answer = Some(meter.places.relay(&request).await?);
            return Ok(());
        }
        // Where nobody said which models see, the upstream decides.
        let sees = body.has_pictures() && meter.router.sees(Some(alias));
        let wish = Wish { alias: Some(alias), affinity: *affinity, input_tokens: *input_estimate, sees };
        let most_output = held.most_output().map(|most| (u64::from(most) / body.answers).max(1));
        self.answer = Some(meter.router.relay(wish, &request, most_output, record.attempts()).await?);
        Ok(())
    }

    /// Whether the answer comes in events.
    pub fn is_stream(&self) -> bool {
        self.answer.as_ref().is_some_and(RelayAnswer::is_stream)
    }

    /// What the answer comes as, where it is neither JSON in one piece nor events.
    pub fn content_type(&self) -> Option<&str> {
        self.answer.as_ref().and_then(RelayAnswer::content_type)
    }

    /// The next bytes for the program, as they come from the upstream wherever nothing had to be done; never empty.
    /// `None` after the end. Safe to drop before it is ready and to call again, except where somebody judges.
    ///
    /// # Errors
    /// [`Error`] when the answer broke off.
    pub async fn next(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            let answer = self.answer.as_mut().filter(|_| !self.over)?;
            let next = answer.next().await;
            self.reservation.record.relays(next.as_ref());
            let shown = match next {
                Some(Ok(Next::Whole(whole))) => return Some(self.whole(whole).await),
                Some(Ok(Next::Bytes(bytes))) => bytes,
                Some(Ok(Next::Events(events))) => self.events(events),
                Some(Err(error)) => {
                    self.over = true;
                    self.reservation.meter.metrics.model_failed(error.kind());
                    return Some(Err(error));
                }
                None => {
                    self.over = true;
                    self.end()
                }
            };
            let Some(held) = &mut self.held else {
                if shown.is_empty() {
                    continue;
                }
                return Some(Ok(shown));
            };
            held.extend_from_slice(&shown);
            if held.len() > MOST_HELD {
                self.over = true;
                return Some(Err(Error::Garbage { what: "more than can be looked at" }));
            }
            if self.over {
                let held = self.held.take().unwrap_or_default().freeze();
                return Some(self.judged(held).await);
            }
        }
    }

    /// What it cost: as the upstream says or, where it does not (or the answer broke off, or nobody waited for it),
    /// estimated.
    pub fn settle(self) -> Charge {
        let Self {
            reservation: Reservation { meter, alias, held, input_estimate, mut record, .. },
            answer,
            filter,
            beside,
            ..
        } = self;
        if let Some(beside) = beside {
            let made = answer.as_ref().map(RelayAnswer::made).unwrap_or_default();
            return beside.settle(meter, held, record, (made, input_estimate as u64));
        }
        let (usage, written) = answer.as_ref().map(RelayAnswer::seen).unwrap_or_default();
        let usage =
            usage.unwrap_or(Usage { input: input_estimate as u64, cached: 0, output: written, estimated: true });
        if let Some(filter) = &filter {
            meter.count(&filter.hits(), OUT);
        }
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        let upstream = answer.as_ref().map(RelayAnswer::upstream);
        let rate = upstream.map(|upstream| meter.prices.of(upstream, &alias, meter.allowances.now()));
        let (used, nearly_used) = held.settle(usage, rate.unwrap_or_default());
        record.costs(usage, used.amounts.money);
        Charge { usage, units: super::Units::default(), used, nearly_used }
    }

    fn events(&mut self, events: Vec<Event>) -> Bytes {
        let mut shown = Pieces::default();
        for Event { raw, kind } in events {
            match (kind, &mut self.filter) {
                (Kind::OnlyUsage, _) if !self.shows_usage => {}
                (Kind::Chunk(json), Some(filter)) => {
                    shown.push(filter.event(&json));
                }
                (Kind::Done, Some(filter)) => {
                    shown.push(filter.rest());
                    shown.push(raw);
                }
                _ => shown.push(raw),
            }
        }
        shown.joined()
    }

    /// What is still held back where the upstream ended without a word.
    fn end(&mut self) -> Bytes {
        self.filter.as_mut().map(Shown::rest).unwrap_or_default()
    }

    async fn whole(&mut self, whole: Whole) -> Result<Bytes, Error> {
        self.over = true;
        let Some(filter) = &mut self.filter else { return Ok(whole.body) };
        let Some(answer) = filter.whole(&whole.body) else { return Ok(whole.body) };
        self.held = None;
        let said = filter.said().unwrap_or_default();
        if !said.is_empty() {
            self.reservation.meter.may_show(&said).await?;
        }
        Ok(answer)
    }

    /// What was held back, if it may be shown.
    async fn judged(&mut self, held: Bytes) -> Result<Bytes, Error> {
        let said = self.filter.as_mut().and_then(Shown::said).unwrap_or_default();
        match said.is_empty() {
            true => Ok(held),
            false => self.reservation.meter.may_show(&said).await.map(|()| held),
        }
    }
}

/// What of a request is not words, and must be in the plans.
fn shown_in(body: &Body) -> impl Iterator<Item = Right> {
    let has = |right: &Right| match right {
        Right::Pictures => body.has_pictures(),
        Right::Voice => body.call.is_words() && body.says("input_audio"),
        // A tool of the upstream's, by which an answer has a picture made.
        Right::Drawing => body.call.is_words() && body.says("image_generation"),
        Right::Speech | Right::Tools | Right::Keys => false,
    };
    Right::ALL.into_iter().filter(has)
}

/// Pieces that leave together; a single one leaves as it is.
#[derive(Default)]
struct Pieces(Vec<Bytes>);

impl Pieces {
    fn push(&mut self, piece: Bytes) {
        if !piece.is_empty() {
            self.0.push(piece);
        }
    }

    fn joined(mut self) -> Bytes {
        match self.0.len() {
            1 => self.0.pop().unwrap_or_default(),
            _ => self.0.concat().into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_together_is_one_piece() {
        let mut pieces = Pieces::default();
        for piece in ["", "a", "b"] {
            pieces.push(Bytes::from(piece));
        }
        assert_eq!(pieces.joined(), "ab");
    }
}
