//! Sends announcements beside the answers: a few members each second, and none while many wait.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;

use super::{commands::announced, render::plain};
use crate::{clock::Clock, model::language::Language, store::Store};

/// Members in one second.
const MEMBERS: usize = 20;
/// The second.
const PAUSE: Duration = Duration::from_secs(1);

/// Sends announcements.
#[derive(Debug)]
pub struct Announcer {
    store: Store,
    clock: Clock,
    language: Language,
}

impl Announcer {
    /// Sends those in `store`; operators are told the end in `language`.
    pub const fn new(store: Store, clock: Clock, language: Language) -> Self {
        Self { store, clock, language }
    }

    /// Works until `stop`. One that a stop interrupts goes on after the next start.
    pub async fn run(self, stop: CancellationToken) {
        let language = self.language;
        let mut failing = false;
        loop {
            let done = move |sent| plain(&announced(sent, language));
            let more = match self.store.announce_some(MEMBERS, done, self.clock.now()).await {
                Ok(more) => {
                    failing = false;
                    more
                }
                Err(error) => {
                    if !failing {
                        warn!(%error, "cannot go on with an announcement; trying again every second");
                    }
                    failing = true;
                    true
                }
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.store.announcements_ready(), if !more => {}
                () = self.clock.sleep(PAUSE), if more => {}
            }
        }
    }
}
