//! What is done beside the turns, a few at a time. Knows nothing of what it is.

use std::{collections::HashMap, future::Future};

use tokio::{
    sync::mpsc,
    task::{self, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Does what comes by `wanted` with `work`, up to `at_once` at a time, until `stop`, and then leaves what it is at. What
/// comes while one `about` the same is under way is dropped: whoever still wants it asks again.
pub(super) async fn run<W, K, F>(
    mut wanted: mpsc::Receiver<W>,
    at_once: usize,
    stop: CancellationToken,
    about: impl Fn(&W) -> K,
    work: impl Fn(W) -> F,
) where
    K: PartialEq,
    F: Future<Output = ()> + Send + 'static,
{
    let mut at_work = JoinSet::new();
    let mut under_way: HashMap<task::Id, K> = HashMap::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            Some(ended) = at_work.join_next_with_id(), if !at_work.is_empty() => {
                // Where one broke is in the log.
                under_way.remove(&ended.map_or_else(|error| error.id(), |(id, ())| id));
            }
            Some(one) = wanted.recv(), if at_work.len() < at_once => {
                let key = about(&one);
                if !under_way.values().any(|other| *other == key) {
                    let task = at_work.spawn(work(one));
                    under_way.insert(task.id(), key);
                }
            }
        }
    }
}
