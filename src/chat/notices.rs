//! Tells members that they wait: those whose messages pile up, and those for whom no worker has been free.

use std::{sync::Arc, time::Duration};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{render::render, texts::Text};
use crate::{
    clock::Clock,
    config,
    model::{event::Event, id::AppKey, reply::Format},
    store::Store,
};

/// A member whose messages pile up.
#[derive(Debug)]
pub struct Backlog {
    /// The newest message.
    pub seq: i64,
    /// Its event.
    pub event: Arc<Event>,
    /// How many wait before it.
    pub waiting: u32,
}

/// How many are told in one go.
const BATCH: usize = 200;

/// Tells members that they wait. Lives beside the path: nothing on it waits for this.
#[derive(Debug)]
pub struct Notices {
    store: Store,
    clock: Clock,
    app: AppKey,
    settings: config::Chat,
    backlog: mpsc::Receiver<Backlog>,
}

impl Notices {
    /// Tells those that `backlog` names, and members of `app` who have waited for a worker longer than
    /// `settings.slow_notice`.
    pub const fn new(
        store: Store,
        clock: Clock,
        app: AppKey,
        settings: config::Chat,
        backlog: mpsc::Receiver<Backlog>,
    ) -> Self {
        Self { store, clock, app, settings, backlog }
    }

    /// Works until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        let pause = self.settings.slow_notice.map(|limit| limit.div_f64(4.0).max(Duration::from_secs(1)));
        let mut look_at = pause.map(|pause| self.clock.now() + pause);
        loop {
            let overdue = async {
                match look_at {
                    // Never longer than the pause, also when the clock was set back meanwhile.
                    Some(at) => self.clock.sleep_until(at.min(self.clock.now() + pause.unwrap_or_default())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                () = overdue => {
                    self.tell_overdue().await;
                    look_at = pause.map(|pause| self.clock.now() + pause);
                }
                Some(Backlog { seq, event, waiting }) = self.backlog.recv() => {
                    self.tell(seq, &event, Text::Backlog(waiting)).await;
                }
            }
        }
    }

    async fn tell_overdue(&self) {
        let Some(limit) = self.settings.slow_notice else { return };
        match self.store.overdue(&self.app, self.clock.now() - limit, BATCH).await {
            Ok(waiting) => {
                for (seq, event) in waiting {
                    self.tell(seq, &event, Text::Slow).await;
                }
            }
            Err(error) => debug!(%error, "could not look for members who wait"),
        }
    }

    async fn tell(&self, seq: i64, event: &Event, text: Text<'_>) {
        let language = match self.store.find_preferences(&event.lane()).await {
            Ok(preferences) => preferences.language(self.settings.language),
            Err(_) => self.settings.language,
        };
        for part in render(&text.render(language), Format::Text) {
            if let Err(error) = self.store.notify(seq, event, part, self.clock.now()).await {
                warn!(inbox.seq = seq, %error, "could not tell {} that they wait", event.from);
            }
        }
    }
}
