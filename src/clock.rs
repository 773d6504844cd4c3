//! Time is handed in: [`Clock::System`] in production, [`Clock::Manual`] where a test moves it.

pub mod setting;
pub mod zone;

use std::{
    collections::BTreeMap,
    fmt,
    ops::{Add, RangeInclusive, Sub},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

/// Milliseconds since the Unix epoch, UTC. The only form in which Qimate stores a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From epoch milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From epoch seconds, the unit of WeCom's `CreateTime`. Saturates.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Epoch milliseconds.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Epoch seconds, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// How long after `earlier` this is; zero when it is not after (clocks are set back at times).
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, rhs: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, rhs: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(rhs.as_millis()).unwrap_or(i64::MAX)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A future did not finish in the time it was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("took too long")]
pub struct Elapsed;

/// Where the time comes from.
#[derive(Clone, Debug, Default)]
pub enum Clock {
    /// The machine's clock.
    #[default]
    System,
    /// A clock that stands still until it is told to move.
    Manual(ManualClock),
}

impl Clock {
    /// The time now.
    pub fn now(&self) -> Timestamp {
        match self {
            Self::System => {
                let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                Timestamp::default() + since_epoch
            }
            Self::Manual(manual) => manual.now(),
        }
    }

    /// How long this clock has run since some moment: what setting the time does not change.
    pub fn uptime(&self) -> Duration {
        static STARTED: OnceLock<Instant> = OnceLock::new();
        match self {
            Self::System => STARTED.get_or_init(Instant::now).elapsed(),
            Self::Manual(manual) => manual.uptime().since(Timestamp::default()),
        }
    }

    /// Waits until `duration` has passed on this clock.
    pub async fn sleep(&self, duration: Duration) {
        match self {
            Self::System => tokio::time::sleep(duration).await,
            // Boxed, as below: the daemon has no such clock, and each of its waits would have the room for it.
            Self::Manual(manual) => Box::pin(manual.sleep_until(manual.now() + duration)).await,
        }
    }

    /// Waits until this clock shows `deadline`. The wait is measured once, from now: setting the clock neither hastens
    /// nor hinders it.
    pub async fn sleep_until(&self, deadline: Timestamp) {
        match self {
            Self::System => tokio::time::sleep(deadline.since(self.now())).await,
            Self::Manual(manual) => Box::pin(manual.sleep_until(deadline)).await,
        }
    }

    /// Gives `future` at most `limit`.
    ///
    /// # Errors
    /// [`Elapsed`] when the limit passed first; the future is dropped.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            output = future => Ok(output),
            () = self.sleep(limit) => Err(Elapsed),
        }
    }
}

/// Until when somebody sleeps, and how long in all.
type Sleep = (Timestamp, Duration);

/// A clock that a test moves. Clones show and move the same time.
#[derive(Clone, Debug)]
pub struct ManualClock {
    /// Milliseconds since the clock was made. Only ever grows, and is what waits are measured by.
    uptime: Arc<watch::Sender<Timestamp>>,
    /// What the clock shows at uptime 0, in epoch milliseconds.
    began: Arc<AtomicI64>,
    /// How many sleep until which uptime, by how long they sleep in all.
    sleepers: Arc<watch::Sender<BTreeMap<Sleep, usize>>>,
}

impl ManualClock {
    /// Starts at `start`.
    pub fn new(start: Timestamp) -> Self {
        let began = Arc::new(AtomicI64::new(start.as_millis()));
        Self { uptime: Arc::default(), began, sleepers: Arc::default() }
    }

    /// The clock of another machine: it shows the same time now and runs alike, but setting one does not set the other.
    #[must_use]
    pub fn beside(&self) -> Self {
        let began = Arc::new(AtomicI64::new(self.began.load(Ordering::Relaxed)));
        Self { uptime: Arc::clone(&self.uptime), began, sleepers: Arc::clone(&self.sleepers) }
    }

    /// Moves the time on and wakes everyone whose wait is over.
    pub fn advance(&self, by: Duration) {
        self.uptime.send_modify(|uptime| *uptime = *uptime + by);
    }

    /// Sets the clock forward without time passing: nobody's wait ends.
    pub fn set_forward(&self, by: Duration) {
        self.set(self.now() + by);
    }

    /// Sets the clock back.
    pub fn set_back(&self, by: Duration) {
        self.set(self.now() - by);
    }

    fn set(&self, now: Timestamp) {
        self.began.store(now.as_millis() - self.uptime().as_millis(), Ordering::Relaxed);
    }

    fn uptime(&self) -> Timestamp {
        *self.uptime.borrow()
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.began.load(Ordering::Relaxed) + self.uptime().as_millis())
    }

    /// Waits until somebody sleeps for a time within `range` from now, and returns how long: the moment at which a test
    /// may move the time, because the one it means is there.
    pub async fn sleeper_within(&self, range: RangeInclusive<Duration>) -> Duration {
        let now = self.uptime();
        let range = (now + *range.start(), Duration::ZERO)..=(now + *range.end(), Duration::MAX);
        let (deadline, _) = self.sleeper_found(|sleepers| sleepers.range(range.clone()).next()).await;
        deadline.since(now)
    }

    /// Waits until somebody sleeps who sleeps this long in all. Others whose wait may end at the same time are not meant.
    pub async fn sleeper_of(&self, duration: Duration) {
        let now = self.uptime();
        self.sleeper_found(|sleepers| sleepers.iter().find(|((until, of), _)| *until > now && *of == duration)).await;
    }

    async fn sleeper_found(&self, found: impl Fn(&BTreeMap<Sleep, usize>) -> Option<(&Sleep, &usize)>) -> Sleep {
        let mut sleepers = self.sleepers.subscribe();
        loop {
            if let Some((sleep, _)) = found(&sleepers.borrow_and_update()) {
                return *sleep;
            }
            // The sender lives in `self`.
            let _ = sleepers.changed().await;
        }
    }

    async fn sleep_until(&self, deadline: Timestamp) {
        let duration = deadline.since(self.now());
        let deadline = self.uptime() + duration;
        let _sleeper = self.sleeper((deadline, duration));
        let mut uptime = self.uptime.subscribe();
        // The sender lives in `self`, so waiting cannot fail while we are borrowed.
        let _ = uptime.wait_for(|uptime| *uptime >= deadline).await;
    }

    /// How many sleep on this clock at this moment.
    pub fn sleepers(&self) -> usize {
        self.sleepers.borrow().values().sum()
    }

    fn sleeper(&self, sleep: Sleep) -> Sleeper<'_> {
        self.sleepers.send_modify(|sleepers| *sleepers.entry(sleep).or_default() += 1);
        Sleeper { clock: self, sleep }
    }
}

/// Somebody who sleeps.
struct Sleeper<'a> {
    clock: &'a ManualClock,
    sleep: Sleep,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        self.clock.sleepers.send_modify(|sleepers| {
            if let Some(count) = sleepers.get_mut(&self.sleep) {
                *count -= 1;
                if *count == 0 {
                    sleepers.remove(&self.sleep);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_manual_clock_wakes_sleepers_only_when_moved() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let clock = Clock::Manual(manual.clone());
        let sleeper = {
            let clock = clock.clone();
            tokio::spawn(async move {
                clock.sleep(Duration::from_secs(60)).await;
                clock.now()
            })
        };
        let minute = Duration::from_secs(60);
        assert_eq!(manual.sleeper_within(Duration::ZERO..=minute).await, minute);
        manual.advance(Duration::from_secs(59));
        tokio::task::yield_now().await;
        assert!(!sleeper.is_finished());
        manual.advance(Duration::from_secs(1));
        assert_eq!(sleeper.await.expect("sleeper"), Timestamp::from_secs(1_700_000_060));
    }

    #[tokio::test]
    async fn setting_a_clock_ends_no_wait_and_leaves_the_clock_beside_alone() {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let (clock, beside) = (Clock::Manual(manual.clone()), Clock::Manual(manual.beside()));
        let second = Duration::from_secs(1);
        let wait = clock.sleep(second);
        tokio::pin!(wait);
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
        manual.set_forward(Duration::from_secs(3600));
        assert!(futures_util::poll!(wait.as_mut()).is_pending());
        manual.set_back(Duration::from_secs(7200));
        manual.advance(second);
        assert!(futures_util::poll!(wait.as_mut()).is_ready());
        assert_eq!(clock.now(), Timestamp::from_secs(1_700_000_001 - 3600));
        assert_eq!(beside.now(), Timestamp::from_secs(1_700_000_001));
        assert_eq!((clock.uptime(), beside.uptime()), (second, second));
    }

    #[test]
    fn a_clock_set_back_gives_no_negative_time() {
        assert_eq!(Timestamp::from_secs(1).since(Timestamp::from_secs(5)), Duration::ZERO);
        assert_eq!(Timestamp::from_millis(-1).as_secs(), -1);
    }
}
