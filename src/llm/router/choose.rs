//! Which route goes first: each conversation keeps to its own as long as that one is not much busier than the others.
//!
//! Weighted rendezvous hashing with bounded loads: the same conversation prefers the same route, so that an upstream's
//! prompt cache helps; routes get conversations by their weights; and when one is taken out, only its own move.

use std::hash::{DefaultHasher, Hash, Hasher};

/// A route may be this much busier than its share before a conversation leaves it.
const SLACK: f64 = 1.25;

/// A route that could be taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    /// Which one; stays the same as long as the process runs.
    pub(super) id: usize,
    /// Its share of the load.
    pub(super) weight: u32,
    /// Answers that it writes at the moment.
    pub(super) in_flight: u32,
}

/// The candidates' ids, the one to take first at the front.
pub(super) fn order(candidates: &[Candidate], affinity: u64) -> Vec<usize> {
    let (weights, load) = candidates
        .iter()
        .fold((0.0, 0.0), |(weights, load), one| (weights + f64::from(one.weight), load + f64::from(one.in_flight)));
    let mut scored: Vec<(bool, f64, usize)> = candidates
        .iter()
        .map(|one| {
            // What it may carry with this answer: its share of all, with some slack.
            let bound = (SLACK * (load + 1.0) * f64::from(one.weight) / weights).ceil();
            (f64::from(one.in_flight) >= bound, score(one, affinity), one.id)
        })
        .collect();
    scored.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
    scored.into_iter().map(|(.., id)| id).collect()
}

fn score(candidate: &Candidate, affinity: u64) -> f64 {
    let mut hasher = DefaultHasher::new();
    (affinity, candidate.id).hash(&mut hasher);
    // In (0, 1): the high 52 bits, never zero.
    let fraction = ((hasher.finish() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64;
    -f64::from(candidate.weight) / fraction.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(weights_and_load: &[(u32, u32)]) -> Vec<Candidate> {
        let route =
            |(id, (weight, in_flight)): (usize, &(u32, u32))| Candidate { id, weight: *weight, in_flight: *in_flight };
        weights_and_load.iter().enumerate().map(route).collect()
    }

    #[test]
    fn conversations_are_spread_by_weight_and_stay() {
        let three = routes(&[(1, 0), (2, 0), (3, 0)]);
        let mut counts = [0_u32; 3];
        for affinity in 0..6000 {
            let first = order(&three, affinity)[0];
            assert_eq!(first, order(&three, affinity)[0]);
            counts[first] += 1;
        }
        for (count, expected) in counts.into_iter().zip([1000_u32, 2000, 3000]) {
            assert!(count.abs_diff(expected) < 200, "{counts:?}");
        }
    }

    #[test]
    fn who_loses_a_route_moves_and_nobody_else() {
        let three = routes(&[(1, 0), (1, 0), (1, 0)]);
        for affinity in 0..500 {
            let before = order(&three, affinity);
            let without = order(&three[..2], affinity);
            if before[0] != 2 {
                assert_eq!(before[0], without[0], "{affinity}");
            }
        }
    }

    #[test]
    fn a_route_much_busier_than_its_share_is_passed_over() {
        for affinity in 0..100 {
            assert_eq!(order(&routes(&[(1, 50), (1, 3)]), affinity)[0], 1);
            // With three times the weight it may carry three times as much.
            assert_eq!(order(&routes(&[(3, 50), (1, 49)]), affinity)[0], 0);
        }
    }
}
