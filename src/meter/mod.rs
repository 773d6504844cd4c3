//! Quota and model behind one door, for every client: reserve, stream, settle.
//!
//! Whoever wants words from a model reserves first, streams under the reservation, and gets a [`Charge`] that must be
//! saved. Who may use how much, `allowances` knows.

pub mod allowances;

mod admission;
mod affinity;
mod by_key;
mod charge;
mod filter;
mod house;
mod identifiers;
mod metered;
mod other;
pub mod own_keys;
pub mod people;
mod program;
mod record;
mod relay;
mod shown;
pub mod tally;

use std::{collections::BTreeSet, sync::Arc};

use self::{
    allowances::{Allowances, Held, Refusal},
    filter::Filter,
    record::Record,
};
pub use self::{
    charge::{Charge, Units},
    house::House,
    identifiers::Identifiers,
    metered::Metered,
    other::{MediaReservation, Medium},
    record::Recorder,
    relay::Relaying,
};
use crate::{
    config,
    llm::{
        self,
        cleared::ClearedRequest,
        client::ChatRequest,
        images::Painter,
        relay::{Asker, place::Places},
        router::{Answer, Router, Wish},
        speech::Speaker,
        tokens::TokenCounter,
        transcribe::Transcriber,
    },
    metrics::Metrics,
    model::{
        call::Kind,
        id::{AgentId, CorpId, MemberId},
        quota::{
            amounts::{MediaPrices, Price},
            book::{Ask, Standing},
            plan::Right,
            prices::Prices,
        },
    },
    safety::guard::{Findings, Withheld},
};

/// To the model, and from it, in what is counted.
const IN: &str = "in";
const OUT: &str = "out";

/// On whose account a model is asked.
#[derive(Clone, Copy, Debug)]
pub struct Payer<'a> {
    /// The enterprise.
    pub corp: &'a CorpId,
    /// The application.
    pub agent: AgentId,
    /// The member.
    pub member: &'a MemberId,
}

/// What a model call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To answer a question; it counts as one.
    Question,
    /// To go on with an answer, or beside it; only its tokens and their money count.
    Further,
}

/// As long an answer is counted on where `llm.max_output_tokens` sets no limit, and an answer under a limit of tokens or
/// money is no longer than that in one call.
const USUAL_OUTPUT: u64 = 4096;
/// An answer that may only be shorter than this is not begun.
const LEAST_OUTPUT: u64 = 256;

/// The door.
pub struct Meter {
    router: Router,
    counter: TokenCounter,
    metrics: Arc<Metrics>,
    house: House,
    painter: Option<Painter>,
    speaker: Option<Speaker>,
    transcriber: Option<Transcriber>,
    media_prices: MediaPrices,
    /// Where programs have made what is not words.
    places: Places,
    allowances: Arc<Allowances>,
    recorder: Option<Recorder>,
    /// The aliases of the premium models.
    premium: BTreeSet<Arc<str>>,
    identifiers: Option<Identifiers>,
    prices: Prices,
    /// The alias that answers where none is wished for.
    usual: Arc<str>,
    most_output: u64,
}

impl Meter {
    /// Asks by `router` and sends nothing that has not been through the guard of `house`; estimates with `counter` what an upstream
    /// does not tell. `settings` say which model is the usual one, and how long its answers may be.
    pub fn new(
        router: Router,
        counter: TokenCounter,
        house: House,
        metrics: Arc<Metrics>,
        allowances: Arc<Allowances>,
        settings: &config::Llm,
    ) -> Self {
        let most_output = settings.max_output_tokens.map_or(USUAL_OUTPUT, u64::from);
        let (prices, usual) = (settings.prices(allowances.zone()), settings.model.as_str().into());
        Self {
            router,
            counter,
            metrics,
            house,
            painter: None,
            speaker: None,
            transcriber: None,
            media_prices: MediaPrices::default(),
            places: Places::default(),
            allowances,
            recorder: None,
            identifiers: None,
            prices,
            premium: settings.premium(),
            usual,
            most_output,
        }
    }

    /// Who knows which models there are.
    pub const fn router(&self) -> &Router {
        &self.router
    }

    /// How much is used of each limit of the payer's own plan. Empty where nothing limits them.
    pub async fn standing(&self, payer: Payer<'_>) -> Vec<Standing> {
        self.allowances.standing(payer).await
    }

    /// Counts model tokens as the model in use does, or carefully estimates.
    pub const fn counter(&self) -> &TokenCounter {
        &self.counter
    }

    /// Holds what the call will probably take. The model is that of `alias`; `None`: `llm.model`. Where a limit of that is
    /// reached and the plan has another model for this, it is that one.
    ///
    /// # Errors
    /// [`Refusal`], and the model must not be asked.
    pub async fn reserve(
        &self,
        payer: Payer<'_>,
        (kind, purpose): (Kind, Purpose),
        alias: Option<&str>,
        input_estimate: usize,
    ) -> Result<Reservation<'_>, Refusal> {
        let alias = alias.map_or_else(|| Arc::clone(&self.usual), Arc::from);
        let ask = Ask {
            requests: u64::from(purpose == Purpose::Question),
            input: input_estimate as u64,
            output: self.most_output,
            least_output: LEAST_OUTPUT.min(self.most_output),
            price: Price::default(),
            beside: 0,
        };
        let mut record = Record::new(self.recorder.as_ref(), payer, kind, &alias);
        let reserved = self.hold(payer, purpose, alias, ask).await;
        let (held, alias) = reserved.inspect_err(|refusal| record.refused(refusal.kind()))?;
        record.is_of(&alias);
        let asker = Asker::Member(self.identifier_of(payer));
        Ok(Reservation { meter: self, alias, held, input_estimate, affinity: affinity::of(payer), asker, record })
    }

    /// Whether the payer's plan has this.
    ///
    /// # Errors
    /// [`Refusal::Right`]: it does not.
    pub async fn permit(&self, payer: Payer<'_>, right: Right) -> Result<(), Refusal> {
        self.allowances.permit(payer, right).await
    }
}

/// The permission for one model call.
#[must_use = "a reservation that is not used holds an allowance for nothing"]
pub struct Reservation<'a> {
    meter: &'a Meter,
    alias: Arc<str>,
    held: Held,
    input_estimate: usize,
    affinity: u64,
    asker: Asker,
    record: Record,
}

impl<'a> Reservation<'a> {
    /// Asks the model.
    ///
    /// # Errors
    /// [`llm::error::Error`] when no answer began; nothing is charged. [`llm::error::Error::Withheld`]: nothing was sent.
    pub fn stream<'r>(
        mut self,
        request: &'r mut ChatRequest,
    ) -> impl Future<Output = Result<Metered<'a>, llm::error::Error>> + use<'a, 'r> {
        self.record.begins();
        // No `async fn`: its future would hold the reservation twice.
        async move {
            match self.begin(request).await {
                Ok((stream, filter)) => {
                    self.record.answers(stream.upstream());
                    Ok(Metered::begun(stream, self, filter))
                }
                Err(error) => {
                    self.record.failed(&error);
                    Err(error)
                }
            }
        }
    }

    async fn begin(&mut self, request: &mut ChatRequest) -> Result<(Answer, Option<Box<Filter>>), llm::error::Error> {
        request.most_output = self.held.most_output();
        request.identifier = match &self.asker {
            Asker::Member(identifier) => identifier.clone(),
            Asker::Service => None,
        };
        let sees = request.messages.iter().any(|message| !message.pictures.is_empty());
        let (affinity, input_tokens) = (self.affinity, self.input_estimate);
        let alias = Arc::clone(&self.alias);
        let wish = Wish { alias: Some(&alias), affinity, input_tokens, sees };
        let meter = self.meter;
        let cleared = ClearedRequest::through(&meter.house.guard, request);
        let (request, Findings { masks, hits, fresh }) = cleared.map_err(|Withheld(hits)| meter.refuse(&hits))?;
        meter.count(&hits, IN);
        if meter.house.moderator.is_some() {
            // Boxed: few have a moderator, and every turn would hold its future.
            Box::pin(meter.moderate(&fresh, IN)).await?;
        }
        drop(fresh);
        let stream = meter.router.stream(wish, &request, self.record.attempts()).await?;
        Ok((stream, Filter::new(masks, &meter.house.guard)))
    }
}
