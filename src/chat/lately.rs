//! What the bot did in the last hour, for whoever looks at it now, and how the last questions ended, for the alerts. Counts it in the metrics too, so that a turn is
//! reported in one place. Kept in memory: after a restart it begins anew, and says since when.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::{
    alert::observation::{Answer, End},
    clock::{Clock, Timestamp},
    metrics::{Metrics, RunningTurn, TurnResult},
};

/// How far back is looked.
pub const WINDOW: Duration = Duration::from_secs(3600);
/// Turns that end within one of these are counted together, so that an hour costs the same however busy it was.
const SLOT: Duration = Duration::from_secs(60);
/// Waits for a first part that are remembered one by one, the newest: enough for an honest 95th percentile.
const WAITS: usize = 1000;
/// Ends of questions that are remembered one by one, however old: alerts look for failures in a row.
const ENDS: usize = 64;

/// What the bot did lately.
#[derive(Debug)]
pub struct Lately {
    clock: Clock,
    metrics: Arc<Metrics>,
    began: Timestamp,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    slots: VecDeque<Slot>,
    waits: VecDeque<(Timestamp, Duration)>,
    ends: VecDeque<Answer>,
    last_answer: Option<Timestamp>,
    last_model_error: Option<ModelError>,
}

#[derive(Debug)]
struct Slot {
    begins: Timestamp,
    counts: [u64; TurnResult::ALL.len()],
}

/// The last failure of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelError {
    /// When.
    pub at: Timestamp,
    /// A word that never changes.
    pub kind: &'static str,
    /// What happened, with its causes, without secrets.
    pub message: String,
}

/// How long members waited for the first part of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Of how many answers: the newest of the window, at most a thousand.
    pub answers: usize,
    /// Half of them waited no longer.
    pub p50: Duration,
    /// All but one in twenty waited no longer.
    pub p95: Duration,
}

/// The last hour at a glance.
#[derive(Clone, Debug)]
pub struct Glance {
    /// How far back it looks: an hour, or to the start of the process. To the minute.
    pub window: Duration,
    /// How many questions ended how; only what happened.
    pub turns: Vec<(TurnResult, u64)>,
    /// How long members waited; `None` when nobody did.
    pub first_part: Option<Waits>,
    /// When an answer was last complete, since the start of the process.
    pub last_answer: Option<Timestamp>,
    /// The last failure of the model since the start of the process.
    pub last_model_error: Option<ModelError>,
}

impl Lately {
    /// Nothing has happened yet.
    pub fn new(clock: Clock, metrics: Arc<Metrics>) -> Self {
        Self { began: clock.now(), clock, metrics, memory: Mutex::default() }
    }

    /// A turn begins; it runs until the guard is dropped.
    pub fn turn_begins(&self) -> RunningTurn<'_> {
        self.metrics.turn_begins()
    }

    /// The first word of an answer came; the model was asked at `asked_at`.
    pub fn first_delta(&self, asked_at: Timestamp) {
        self.metrics.first_delta(self.clock.now().since(asked_at));
    }

    /// The first part of an answer is in the outbox; its question was accepted at `received_at`.
    pub fn first_part(&self, received_at: Timestamp) {
        let now = self.clock.now();
        let waited = now.since(received_at);
        self.metrics.first_part(waited);
        let mut memory = self.lock();
        push(&mut memory.waits, WAITS, (now, waited));
    }

    /// It is known how a question ends, as far as alerts care.
    pub fn question_ended(&self, end: End) {
        let at = self.clock.now();
        push(&mut self.lock().ends, ENDS, Answer { at, end });
    }

    /// How the last questions ended, oldest first: at most 64, and none that says nothing about the whole.
    pub fn ends(&self) -> Vec<Answer> {
        self.lock().ends.iter().copied().collect()
    }

    /// The model failed, as the member is told.
    pub fn model_failed(&self, kind: &'static str, message: String) {
        self.lock().last_model_error = Some(ModelError { at: self.clock.now(), kind, message });
    }

    /// A turn ended; its question was accepted at `received_at`.
    pub fn turn_ended(&self, result: TurnResult, received_at: Timestamp) {
        let now = self.clock.now();
        self.metrics.turn_ended(result, now.since(received_at));
        let mut memory = self.lock();
        if result == TurnResult::Answered {
            memory.last_answer = Some(now);
        }
        forget_old(&mut memory.slots, now);
        // A clock that was set back goes on in the slot that is there.
        if memory.slots.back().is_none_or(|slot| now.since(slot.begins) >= SLOT) {
            memory.slots.push_back(Slot { begins: now, counts: Default::default() });
        }
        let place = TurnResult::ALL.iter().position(|other| *other == result);
        if let (Some(slot), Some(place)) = (memory.slots.back_mut(), place) {
            slot.counts[place] += 1;
        }
    }

    /// What there is to see now.
    pub fn glance(&self) -> Glance {
        let now = self.clock.now();
        let mut memory = self.lock();
        forget_old(&mut memory.slots, now);
        let count = |place: usize| memory.slots.iter().map(|slot| slot.counts[place]).sum::<u64>();
        let turns = TurnResult::ALL.into_iter().enumerate().map(|(place, result)| (result, count(place)));
        Glance {
            window: now.since(self.began).min(WINDOW),
            turns: turns.filter(|(_, count)| *count > 0).collect(),
            first_part: waits(&memory.waits, now),
            last_answer: memory.last_answer,
            last_model_error: memory.last_model_error.clone(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn push<T>(last: &mut VecDeque<T>, most: usize, item: T) {
    if last.len() == most {
        last.pop_front();
    }
    last.push_back(item);
}

fn forget_old(slots: &mut VecDeque<Slot>, now: Timestamp) {
    while slots.front().is_some_and(|slot| now.since(slot.begins) >= WINDOW) {
        slots.pop_front();
    }
}

fn waits(all: &VecDeque<(Timestamp, Duration)>, now: Timestamp) -> Option<Waits> {
    let recent = all.iter().filter(|(at, _)| now.since(*at) < WINDOW);
    let mut sorted: Vec<Duration> = recent.map(|(_, waited)| *waited).collect();
    sorted.sort_unstable();
    // The smallest that so many of them do not exceed: a wait that somebody had, and none in between.
    let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1)).copied();
    Some(Waits { answers: sorted.len(), p50: rank(50)?, p95: rank(95)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    fn lately() -> (ManualClock, Lately) {
        let manual = ManualClock::new(Timestamp::from_secs(1_700_000_000));
        let lately = Lately::new(Clock::Manual(manual.clone()), Arc::default());
        (manual, lately)
    }

    #[test]
    fn an_hour_is_remembered_and_no_more() {
        let (manual, lately) = lately();
        let ended = |result| lately.turn_ended(result, lately.clock.now());
        ended(TurnResult::Answered);
        manual.advance(Duration::from_secs(30));
        ended(TurnResult::Answered);
        ended(TurnResult::Model);
        assert_eq!(lately.glance().turns, [(TurnResult::Answered, 2), (TurnResult::Model, 1)]);
        assert_eq!(lately.glance().window, Duration::from_secs(30));
        manual.advance(WINDOW - Duration::from_secs(31));
        ended(TurnResult::Stopped);
        assert_eq!(lately.glance().turns.len(), 3);
        manual.advance(Duration::from_secs(1));
        assert_eq!(lately.glance().turns, [(TurnResult::Stopped, 1)]);
        assert_eq!(lately.glance().window, WINDOW);
        assert!(lately.glance().last_answer.is_some(), "that stays");
    }

    #[test]
    fn percentiles_are_waits_that_somebody_had() {
        let (manual, lately) = lately();
        assert_eq!(lately.glance().first_part, None);
        for seconds in 1..=20 {
            lately.first_part(lately.clock.now() - Duration::from_secs(seconds));
        }
        let waits = lately.glance().first_part.expect("some waited");
        let seconds = Duration::from_secs;
        assert_eq!((waits.answers, waits.p50, waits.p95), (20, seconds(10), seconds(19)));
        for _ in 0..WAITS {
            lately.first_part(lately.clock.now());
        }
        let waits = lately.glance().first_part.expect("some waited");
        assert_eq!((waits.answers, waits.p95), (WAITS, Duration::ZERO), "the newest");
        manual.advance(WINDOW);
        assert_eq!(lately.glance().first_part, None);
    }
}
