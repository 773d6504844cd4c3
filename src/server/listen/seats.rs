//! No address takes all the places: who opens connections and says little must be many to keep WeCom out.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{admin::place, model::network::Network};

/// How many connections each address has.
#[derive(Clone, Debug)]
pub(super) struct Seats(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// For each address; of IPv6, for its /64.
    most: usize,
    /// Those behind whom everybody may be.
    proxies: Vec<Network>,
    taken: Mutex<HashMap<String, usize>>,
}

/// A connection of an address, until it is dropped.
#[derive(Debug)]
pub(super) struct Seat(Option<(Arc<Inner>, String)>);

impl Seats {
    /// So many for each address that is not this machine's, nor one of `proxies`.
    pub(super) fn new(most: usize, proxies: Vec<Network>) -> Self {
        Self(Arc::new(Inner { most, proxies, taken: Mutex::default() }))
    }

    /// A seat, unless the address has as many as it may.
    pub(super) fn take(&self, from: IpAddr) -> Option<Seat> {
        let Self(inner) = self;
        let from = from.to_canonical();
        if from.is_loopback() || inner.proxies.iter().any(|network| network.holds(from)) {
            return Some(Seat(None));
        }
        let place = place(from);
        let mut taken = inner.lock();
        let count = taken.entry(place.clone()).or_insert(0);
        if *count >= inner.most {
            return None;
        }
        *count += 1;
        Some(Seat(Some((Arc::clone(inner), place))))
    }
}

impl Inner {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, usize>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let Some((inner, place)) = self.0.take() else { return };
        let mut taken = inner.lock();
        if let Some(count) = taken.get_mut(&place) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&place);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    #[test]
    fn an_address_has_so_many_and_others_theirs() {
        let seats = Seats::new(3, vec![Network::parse("10.0.0.0/8").expect("network")]);
        let held: Vec<_> = (0..3).map(|_| seats.take(address("192.0.2.1")).expect("a seat")).collect();
        assert!(seats.take(address("192.0.2.1")).is_none() && seats.take(address("::ffff:192.0.2.1")).is_none());
        assert!(seats.take(address("192.0.2.2")).is_some(), "others have theirs");
        let _network: Vec<_> =
            (1..=3).map(|n| seats.take(address(&format!("2001:db8::{n}"))).expect("a seat")).collect();
        assert!(seats.take(address("2001:db8::ffff")).is_none(), "an IPv6 address counts with its network");
        let _behind: Vec<_> = (0..9)
            .map(|n| seats.take(address(if n % 2 == 0 { "10.1.2.3" } else { "127.0.0.1" })).expect("a seat"))
            .collect();
        drop(held);
        assert!(seats.take(address("192.0.2.1")).is_some(), "what is closed is free again");
        assert!(!seats.0.lock().contains_key("192.0.2.1"), "and nothing of it is kept");
    }
}
