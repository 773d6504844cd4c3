//! Lets `/stop` reach the answer that is under way, although it waits behind it in the inbox.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

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

fn remove_if_idle(lanes: &mut HashMap<Lane, LaneStops>, lane: &Lane) {
    if lanes.get(lane).is_some_and(|entry| entry.stop.is_none() && entry.running.is_none() && entry.used.is_none()) {
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

    #[test]
    fn a_stop_with_nothing_to_stop_says_so() {
        let stops = Stops::default();
        stops.request(&lane(), 1);
        assert!(!stops.finish(&lane(), 1));
        assert!(stops.lock().is_empty());
    }
}
