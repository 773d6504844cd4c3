//! Lets `/stop` reach the answer that is under way, although it waits behind it in the inbox; and lets that answer know
//! that something came which may belong to its question.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, Ordering},
    },
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::model::id::Lane;

/// Which answers are under way, and which are to stop. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Stops {
    lanes: Arc<Mutex<HashMap<Lane, LaneStops>>>,
}

#[derive(Debug, Default)]
struct LaneStops {
    /// The newest `/stop` of the lane that is still in the inbox.
    stop: Option<i64>,
    /// The inbox row that is being answered.
    running: Option<(i64, CancellationToken)>,
    /// The newest `/stop` that stopped something.
    used: Option<i64>,
    /// What came since the lane was claimed.
    arrivals: Option<Arc<Arrivals>>,
}

/// The newest message that came while a lane was held.
#[derive(Debug, Default)]
struct Arrivals {
    newest: AtomicI64,
    changed: Notify,
}

/// A lane that a worker holds, until it is dropped: whoever is at it can be told of what comes.
#[derive(Debug)]
pub struct Held {
    stops: Stops,
    lane: Lane,
    arrivals: Arc<Arrivals>,
}

impl Stops {
    /// A `/stop` was accepted as inbox row `seq`: every answer to an earlier row of the lane stops now, or as soon as it
    /// begins.
    pub fn request(&self, lane: &Lane, seq: i64) {
        let mut lanes = self.lock();
        let entry = lanes.entry(lane.clone()).or_default();
        entry.stop = entry.stop.max(Some(seq));
        if let Some((running, token)) = &entry.running
            && *running < seq
        {
            entry.used = Some(seq);
            token.cancel();
        }
    }

    /// A lane was claimed. Called before anything can come that the claim did not see.
    pub fn claimed(&self, lane: &Lane) {
        self.lock().entry(lane.clone()).or_default().arrivals = Some(Arc::default());
    }

    /// A message was accepted as inbox row `seq`: whoever is at its lane is told.
    pub fn arrived(&self, lane: &Lane, seq: i64) {
        if let Some(arrivals) = self.lock().get(lane).and_then(|entry| entry.arrivals.as_ref()) {
            arrivals.newest.fetch_max(seq, Ordering::Relaxed);
            arrivals.changed.notify_one();
        }
    }

    /// A worker begins with a lane that was claimed for it.
    pub fn hold(&self, lane: &Lane) -> Held {
        let arrivals = Arc::clone(self.lock().entry(lane.clone()).or_default().arrivals.get_or_insert_default());
        Held { stops: self.clone(), lane: lane.clone(), arrivals }
    }

    /// An answer to inbox row `seq` begins; it ends when the result is dropped.
    pub fn begin(&self, lane: &Lane, seq: i64) -> Running {
        let token = CancellationToken::new();
        let mut lanes = self.lock();
        let entry = lanes.entry(lane.clone()).or_default();
        if let Some(stop) = entry.stop.filter(|stop| *stop > seq) {
            entry.used = Some(stop);
            token.cancel();
        }
        entry.running = Some((seq, token.clone()));
        Running { stops: self.clone(), lane: lane.clone(), token }
    }

    /// The `/stop` of inbox row `seq` has had its turn. Tells whether it stopped something.
    pub fn finish(&self, lane: &Lane, seq: i64) -> bool {
        let mut lanes = self.lock();
        let Some(entry) = lanes.get_mut(lane) else { return false };
        let used = entry.used.take_if(|used| *used >= seq).is_some();
        entry.stop.take_if(|stop| *stop <= seq);
        remove_if_idle(&mut lanes, lane);
        used
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Lane, LaneStops>> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneStops {
    const fn is_idle(&self) -> bool {
        self.stop.is_none() && self.running.is_none() && self.used.is_none() && self.arrivals.is_none()
    }
}

impl Held {
    /// Waits until a message has come after inbox row `seq`, and returns the newest. One at a time waits.
    pub async fn newer_than(&self, seq: i64) -> i64 {
        loop {
            let newest = self.newest();
            if newest > seq {
                return newest;
            }
            self.arrivals.changed.notified().await;
        }
    }

    /// The newest message that came since the lane was claimed; 0: none.
    pub fn newest(&self) -> i64 {
        self.arrivals.newest.load(Ordering::Relaxed)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut lanes = self.stops.lock();
        if let Some(entry) = lanes.get_mut(&self.lane) {
            // The lane may have been claimed again already.
            entry.arrivals.take_if(|arrivals| Arc::ptr_eq(arrivals, &self.arrivals));
        }
        remove_if_idle(&mut lanes, &self.lane);
    }
}

fn remove_if_idle(lanes: &mut HashMap<Lane, LaneStops>, lane: &Lane) {
    if lanes.get(lane).is_some_and(LaneStops::is_idle) {
        lanes.remove(lane);
    }
}

/// An answer that is under way.
#[derive(Debug)]
pub struct Running {
    stops: Stops,
    lane: Lane,
    token: CancellationToken,
}

impl Running {
    /// Waits until the answer is to stop.
    pub async fn stopped(&self) {
        self.token.cancelled().await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut lanes = self.stops.lock();
        if let Some(entry) = lanes.get_mut(&self.lane) {
            entry.running = None;
        }
        remove_if_idle(&mut lanes, &self.lane);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lane() -> Lane {
        Lane::from_stored("ww1/1/zhangsan".to_owned())
    }

    #[test]
    fn a_stop_reaches_the_answer_before_it_and_no_other() {
        let stops = Stops::default();
        let running = stops.begin(&lane(), 1);
        assert!(!running.token.is_cancelled());
        stops.request(&lane(), 2);
        assert!(running.token.is_cancelled());
        drop(running);
        assert!(stops.finish(&lane(), 2));
        assert!(!stops.begin(&lane(), 3).token.is_cancelled());
        assert!(stops.lock().is_empty(), "nothing is kept for an idle lane");
    }

    #[test]
    fn a_stop_that_came_before_the_answer_began_still_stops_it() {
        let stops = Stops::default();
        stops.request(&lane(), 5);
        assert!(stops.begin(&lane(), 4).token.is_cancelled());
        assert!(stops.finish(&lane(), 5));
        assert!(stops.lock().is_empty());
    }

    #[tokio::test]
    async fn whoever_holds_a_lane_is_told_of_what_came_since_it_was_claimed() {
        let stops = Stops::default();
        stops.arrived(&lane(), 1);
        assert!(stops.lock().is_empty(), "nobody is there to be told");
        stops.claimed(&lane());
        stops.arrived(&lane(), 3);
        let held = stops.hold(&lane());
        assert_eq!(held.newer_than(2).await, 3);
        // Claimed again before the one before has gone.
        stops.claimed(&lane());
        drop(held);
        stops.arrived(&lane(), 4);
        let held = stops.hold(&lane());
        assert_eq!(held.newest(), 4);
        drop(held);
        assert!(stops.lock().is_empty());
    }

    #[test]
    fn a_stop_with_nothing_to_stop_says_so() {
        let stops = Stops::default();
        stops.request(&lane(), 1);
        assert!(!stops.finish(&lane(), 1));
        assert!(stops.lock().is_empty());
    }
}
