//! What models cost, by upstream and over time.

use std::{cmp::Reverse, collections::BTreeSet, sync::Arc};

use super::amounts::Price;
use crate::{clock::Timestamp, model::conversation::Usage};

/// What a model costs at one upstream, in micro-units for a million model tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    /// Of what the upstream has not in its cache, and of the answer.
    pub price: Price,
    /// Of what it has in its cache.
    pub cached: u64,
}

impl Rate {
    /// What a call cost; a part of a micro-unit counts as a whole one.
    pub fn of(self, usage: Usage) -> u64 {
        let cached = usage.cached.min(usage.input);
        let whole = u128::from(self.price.input) * u128::from(usage.input - cached)
            + u128::from(self.cached) * u128::from(cached)
            + u128::from(self.price.output) * u128::from(usage.output);
        u64::try_from(whole.div_ceil(1_000_000)).unwrap_or(u64::MAX)
    }
}

/// A rate that holds from a moment on, until another of the same model at the same upstream does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// The model's alias.
    pub alias: Arc<str>,
    /// Who offers it.
    pub upstream: Arc<str>,
    /// Since when.
    pub from: Timestamp,
    /// What it costs since then.
    pub rate: Rate,
}

/// All rates. A model that is not among them costs nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prices(Vec<Listed>);

impl Prices {
    /// These.
    pub fn new(mut listed: Vec<Listed>) -> Self {
        // The first that has begun is the one that holds.
        listed.sort_by_key(|listed| Reverse(listed.from));
        Self(listed)
    }

    /// What a model costs at an upstream at `now`.
    pub fn of(&self, upstream: &str, alias: &str, now: Timestamp) -> Rate {
        let holds = |listed: &&Listed| *listed.upstream == *upstream && *listed.alias == *alias && listed.from <= now;
        self.0.iter().find(holds).map(|listed| listed.rate).unwrap_or_default()
    }

    /// The most that a model costs at `now` whoever answers: what must be held for a call.
    pub fn highest(&self, alias: &str, now: Timestamp) -> Price {
        let offering = self.0.iter().filter(|listed| *listed.alias == *alias);
        let upstreams: BTreeSet<&str> = offering.map(|listed| &*listed.upstream).collect();
        let rates = upstreams.into_iter().map(|upstream| self.of(upstream, alias, now));
        rates.fold(Price::default(), |highest, Rate { price, cached }| Price {
            input: highest.input.max(price.input).max(cached),
            output: highest.output.max(price.output),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_price_that_holds_counts_and_the_highest_is_held() {
        let rate = |input, cached, output| Rate { price: Price { input, output }, cached };
        let listed = |upstream: &str, from, rate| Listed {
            alias: "m".into(),
            upstream: upstream.into(),
            from: Timestamp::from_secs(from),
            rate,
        };
        let prices = Prices::new(vec![
            listed("a", 0, rate(1_000_000, 500_000, 2_000_000)),
            listed("a", 100, rate(3_000_000, 0, 4_000_000)),
            listed("b", 0, rate(2_000_000, 2_000_000, 1_000_000)),
        ]);
        let usage = Usage { input: 10, cached: 4, output: 3, estimated: false };
        for (upstream, now, cost) in [("a", 99, 6 + 2 + 6), ("a", 100, 18 + 12), ("b", 100, 12 + 8 + 3), ("c", 100, 0)]
        {
            assert_eq!(prices.of(upstream, "m", Timestamp::from_secs(now)).of(usage), cost, "{upstream} at {now}");
        }
        let highest = |now| prices.highest("m", Timestamp::from_secs(now));
        assert_eq!(highest(0), Price { input: 2_000_000, output: 2_000_000 });
        assert_eq!(highest(100), Price { input: 3_000_000, output: 4_000_000 });
        assert_eq!(prices.highest("other", Timestamp::from_secs(0)), Price::default());
    }
}
