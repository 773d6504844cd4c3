//! How often passwords may be tried: slower and slower for who fails, and never for ever.
//!
//! Two things slow a try down. The *address* it comes from: after some failures it waits, twice as long each time. And
//! the *account* it is for: while others fail at it, an address from which nobody logged in to it before is told to come
//! back after a short while, and is then looked at, however much the others go on. So who tries many names from one
//! address is slowed down, who tries one name from many addresses is too, and whose name it is gets in: at once from
//! where they were before, and elsewhere after at most that short while.
//!
//! Tries count before they are looked at, and are taken back when they were right, so that many at once are no way
//! around. What is remembered is bounded; where it is full, what is oldest is forgotten.

use std::{
    collections::HashMap,
    hash::Hash,
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sha2::{Digest, Sha256};

/// Failures of an address before it waits.
const FREE_OF_ADDRESS: u32 = 5;
/// The longest that an address waits.
const LONGEST_OF_ADDRESS: Duration = Duration::from_secs(15 * 60);
/// The longest that an address waits from which somebody logged in to that account before.
const LONGEST_OF_KNOWN: Duration = Duration::from_secs(30);
/// Failures at an account before other addresses wait.
const FREE_OF_ACCOUNT: u32 = 10;
/// The longest that they wait.
const LONGEST_OF_ACCOUNT: Duration = Duration::from_secs(30);
/// After so long without a failure nothing is remembered.
const FORGOTTEN: Duration = Duration::from_secs(60 * 60);
/// Addresses, accounts, and addresses that were told to come back: so many of each are remembered.
const REMEMBERED: usize = 8192;

/// An address as tries are counted: whoever has an IPv6 address has 2^64 of them.
pub fn place(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

/// A try, as far as it matters here.
#[derive(Clone, Debug)]
pub(super) struct Try {
    place: String,
    /// Of the name, whether or not anybody has it: somebody may have typed a password there.
    account: [u8; 32],
    is_known: bool,
}

impl Try {
    /// At this name from this place; `is_known` where that one has logged in from there before.
    pub(super) fn new(name: &str, place: String, is_known: bool) -> Self {
        Self { place, account: Sha256::digest(name.to_lowercase()).into(), is_known }
    }

    /// Whether somebody logged in to it from there before.
    pub(super) const fn is_known(&self) -> bool {
        self.is_known
    }
}

#[derive(Debug, Default)]
pub(super) struct Throttle(Mutex<Tables>);

#[derive(Debug, Default)]
struct Tables {
    addresses: Bounded<String, Failures>,
    accounts: Bounded<[u8; 32], Failures>,
    /// From when on who was told to come back is looked at.
    told: Bounded<([u8; 32], String), Duration>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Failures {
    count: u32,
    last: Duration,
}

impl Failures {
    /// How long to wait after the last failure.
    fn wait(self, free: u32, longest: Duration) -> Duration {
        match self.count.checked_sub(free) {
            None => Duration::ZERO,
            Some(beyond) => Duration::from_secs(1_u64 << beyond.min(20)).min(longest),
        }
    }

    fn at(self, now: Duration) -> Self {
        if now.saturating_sub(self.last) >= FORGOTTEN { Self::default() } else { self }
    }

    fn and_one(self, now: Duration) -> Self {
        Self { count: self.at(now).count.saturating_add(1), last: now }
    }
}

impl Throttle {
    /// Lets a try be looked at, and counts it as a failure until [`Throttle::succeeded`].
    ///
    /// # Errors
    /// How long it is too early.
    pub(super) fn admit(&self, this: &Try, now: Duration) -> Result<(), Duration> {
        let mut tables = self.lock();
        let of_address = tables.addresses.get(&this.place).unwrap_or_default().at(now);
        let longest = if this.is_known { LONGEST_OF_KNOWN } else { LONGEST_OF_ADDRESS };
        let until = of_address.last + of_address.wait(FREE_OF_ADDRESS, longest);
        if now < until {
            return Err(until - now);
        }
        if !this.is_known {
            tables.admit_stranger(this, now)?;
            let of_account = tables.accounts.get(&this.account).unwrap_or_default();
            tables.accounts.put(this.account, of_account.and_one(now), |one| one.last);
        }
        tables.addresses.put(this.place.clone(), of_address.and_one(now), |one| one.last);
        Ok(())
    }

    /// The try was right, or was not looked at.
    pub(super) fn succeeded(&self, this: &Try) {
        let mut tables = self.lock();
        tables.addresses.change(&this.place, |one| one.count = one.count.saturating_sub(1));
        if !this.is_known {
            tables.accounts.change(&this.account, |one| one.count = one.count.saturating_sub(1));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// Each address has a place in time of its own, which nobody else can take.
    fn admit_stranger(&mut self, this: &Try, now: Duration) -> Result<(), Duration> {
        let of_account = self.accounts.get(&this.account).unwrap_or_default().at(now);
        let wait = of_account.wait(FREE_OF_ACCOUNT, LONGEST_OF_ACCOUNT);
        if wait.is_zero() {
            return Ok(());
        }
        let key = (this.account, this.place.clone());
        match self.told.get(&key) {
            // Good for one try; who was told long ago is told anew.
            Some(from) if now >= from => {
                self.told.remove(&key);
                if now - from < FORGOTTEN { Ok(()) } else { self.tell(key, now, wait) }
            }
            Some(from) => Err(from - now),
            None => self.tell(key, now, wait),
        }
    }

    fn tell(&mut self, key: ([u8; 32], String), now: Duration, wait: Duration) -> Result<(), Duration> {
        self.told.put(key, now + wait, |from| *from);
        Err(wait)
    }
}

/// A table of at most [`REMEMBERED`].
#[derive(Debug)]
struct Bounded<K, V>(HashMap<K, V>);

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Clone + Eq + Hash, V: Copy> Bounded<K, V> {
    fn get(&self, key: &K) -> Option<V> {
        self.0.get(key).copied()
    }

    fn change(&mut self, key: &K, change: impl FnOnce(&mut V)) {
        if let Some(value) = self.0.get_mut(key) {
            change(value);
        }
    }

    fn remove(&mut self, key: &K) {
        self.0.remove(key);
    }

    /// Where it is full, the older half by `age` goes.
    fn put(&mut self, key: K, value: V, age: impl Fn(&V) -> Duration) {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(&key) {
            let mut ages: Vec<_> = self.0.values().map(&age).collect();
            let middle = ages.len() / 2;
            let (_, middle, _) = ages.select_nth_unstable(middle);
            let middle = *middle;
            self.0.retain(|_, value| age(value) > middle);
        }
        self.0.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn strangers(name: &str, n: usize) -> Try {
        Try::new(name, format!("192.0.2.{n}/{name}"), false)
    }

    #[test]
    fn an_address_that_fails_waits_twice_as_long_each_time_and_never_longer_than_a_quarter_of_an_hour() {
        let (throttle, mut now, mut waits) = (Throttle::default(), Duration::ZERO, Vec::new());
        for n in 0..20 {
            // Another name each time: it is the address that counts.
            let this = Try::new(&format!("name{n}"), "192.0.2.1".to_owned(), false);
            if let Err(wait) = throttle.admit(&this, now) {
                waits.push(wait.as_secs());
                assert_eq!(throttle.admit(&this, now + wait - SECOND / 2), Err(SECOND / 2));
                now += wait;
                assert_eq!(throttle.admit(&this, now), Ok(()));
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900, 900, 900]);
        let again = Try::new("name", "192.0.2.1".to_owned(), false);
        assert_eq!(throttle.admit(&again, now + FORGOTTEN), Ok(()));
        assert_eq!(throttle.admit(&again, now + FORGOTTEN), Ok(()), "and begins anew");
    }

    #[test]
    fn whoever_hammers_a_name_keeps_its_owner_out_nowhere() {
        let (throttle, mut now) = (Throttle::default(), Duration::ZERO);
        for n in 0..500 {
            let _ = throttle.admit(&strangers("li", n % 100), now);
            now += SECOND / 10;
        }
        let at_home = Try::new("LI", "203.0.113.1".to_owned(), true);
        assert_eq!(throttle.admit(&at_home, now), Ok(()), "from where they were before, at once");
        let on_the_way = Try::new("li", "203.0.113.2".to_owned(), false);
        let wait = throttle.admit(&on_the_way, now).expect_err("told to come back");
        assert!(wait <= LONGEST_OF_ACCOUNT, "{wait:?}");
        for n in 0..500 {
            let _ = throttle.admit(&strangers("li", n), now + wait / 2);
        }
        assert_eq!(throttle.admit(&on_the_way, now + wait), Ok(()), "whatever the others do meanwhile");
        assert_eq!(throttle.admit(&strangers("wang", 1), now), Ok(()), "and others are not concerned");
    }

    #[test]
    fn a_known_address_that_fails_waits_too_but_shortly() {
        let (throttle, at_home) = (Throttle::default(), Try::new("li", "203.0.113.1".to_owned(), true));
        let mut now = Duration::ZERO;
        for _ in 0..40 {
            if let Err(wait) = throttle.admit(&at_home, now) {
                assert!(wait <= LONGEST_OF_KNOWN);
                now += wait;
            }
        }
        assert!(throttle.admit(&at_home, now).and_then(|()| throttle.admit(&at_home, now)).is_err());
    }

    #[test]
    fn many_at_once_are_no_way_around_and_right_ones_cost_nothing() {
        let throttle = Throttle::default();
        let at_once = (0..50).filter(|_| throttle.admit(&strangers("li", 1), SECOND).is_ok()).count();
        assert_eq!(at_once, 5);
        for _ in 0..100 {
            assert_eq!(throttle.admit(&strangers("wang", 2), SECOND), Ok(()));
            throttle.succeeded(&strangers("wang", 2));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        for n in 0..50_000 {
            let _ = throttle.admit(&strangers("li", n), Duration::from_millis(n as u64));
            let _ = throttle.admit(&strangers(&n.to_string(), n), Duration::from_millis(n as u64));
        }
        let tables = throttle.lock();
        assert!(tables.addresses.0.len() <= REMEMBERED && tables.accounts.0.len() <= REMEMBERED);
        assert!(tables.told.0.len() <= REMEMBERED);
    }

    #[test]
    fn an_ipv6_address_counts_with_its_network() {
        let places = ["2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1", "::ffff:192.0.2.1", "192.0.2.1"]
            .map(|text| place(text.parse().expect("address")));
        assert!(places[0] == places[1] && places[1] != places[2] && places[3] == places[4], "{places:?}");
    }
}
