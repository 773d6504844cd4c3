//! What programs have made that is not words: held by what it will probably cost, settled by what was made.

use std::time::Duration;

use crate::{
    llm::relay::{
        Made,
        body::{Body, Call},
        place::Places,
    },
    meter::{
        Charge, Meter, Purpose, Units,
        allowances::{Held, Refusal},
        by_key::owner_of,
        other::Medium,
        record::Record,
    },
    model::{
        conversation::Usage,
        key::ApiKey,
        quota::{
            amounts::{MediaPrices, Price},
            book::Ask,
            prices::Rate,
        },
    },
};

/// What is asked for, so many times.
#[derive(Clone, Copy, Debug)]
pub(super) struct Beside {
    pub(super) medium: Medium,
    times: u64,
    /// How much it is is known before it is made.
    is_exact: bool,
}

impl Meter {
    /// Has what is not words made at `places`.
    pub fn with_places(self, places: Places) -> Self {
        Self { places, ..self }
    }

    /// The model that makes what a call asks for; `None`: none is set.
    pub fn maker_of(&self, call: Call) -> Option<&str> {
        self.places.model(call).map(|model| &**model)
    }

    /// Holds what it will probably cost. Each call counts as one: nothing else of it would.
    pub(super) async fn hold_beside(&self, key: &ApiKey, beside: Beside) -> Result<Held, Refusal> {
        if let Some(payer) = owner_of(key) {
            self.admit(payer, Purpose::Question, None).await?;
        }
        let ask = Ask {
            requests: 1,
            input: 0,
            output: 0,
            least_output: 0,
            price: Price::default(),
            beside: beside.cost(self.media_prices),
        };
        self.allowances.reserve_media_by(key, beside.medium.right(), ask).await
    }
}

impl Beside {
    /// What a request asks for; `None`: words.
    pub(super) fn of(body: &Body) -> Option<Self> {
        let (medium, is_exact) = match body.call {
            Call::Images => (Medium::Drawing, false),
            Call::Speech => (Medium::Speech(body.characters()), true),
            Call::Transcription => {
                let (length, is_exact) = body.sound();
                (Medium::Sound(length), is_exact)
            }
            Call::Chat | Call::Responses | Call::Embeddings => return None,
        };
        Some(Self { medium, times: body.answers, is_exact })
    }

    fn cost(self, prices: MediaPrices) -> u64 {
        self.medium.cost(prices).saturating_mul(self.times)
    }

    /// As what was made says or, where it does not, as it was asked for, and marked as estimated.
    pub(super) fn settle(self, meter: &Meter, held: Held, mut record: Record, (made, wish): (Made, u64)) -> Charge {
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let (settled, usage, units) = match self.medium {
            Medium::Drawing => {
                // A wish for three of which one came is paid for one.
                let times = made.pictures.map_or(self.times, |came| came.min(self.times));
                let estimated = Usage { input: wish, cached: 0, output: 0, estimated: true };
                let units = Units { pictures: number(times), ..Units::default() };
                (Self { times, ..self }, made.usage.unwrap_or(estimated), units)
            }
            Medium::Speech(characters) => {
                let units = Units { spoken: number(characters as u64), ..Units::default() };
                (self, Usage::default(), units)
            }
            Medium::Sound(length) => {
                let estimated = made.heard.is_none() && !self.is_exact;
                let length = made.heard.map_or(length, |heard| heard.max(Duration::from_millis(1)));
                let units = Units { heard: number(length.as_secs()), ..Units::default() };
                (Self { medium: Medium::Sound(length), ..self }, Usage { estimated, ..Usage::default() }, units)
            }
        };
        meter.metrics.tokens_used(usage.input, usage.output, usage.estimated);
        let (used, nearly_used) = held.costs_beside(settled.cost(meter.media_prices)).settle(usage, Rate::default());
        record.costs(usage, used.amounts.money);
        Charge { usage, units, used, nearly_used }
    }
}
