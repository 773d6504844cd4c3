//! From an event to the inbox: the whole of what happens before WeCom is told yes.

use tokio::sync::mpsc;

use super::{command::Command, notices::Backlog, stops::Stops};
use crate::{
    clock::Clock,
    config,
    model::event::{Event, EventKind},
    store::{
        self, Store,
        inbox::{Accepted, Disposition},
    },
};

/// Accepts events.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    clock: Clock,
    stops: Stops,
    backlog: mpsc::Sender<Backlog>,
    welcomes: bool,
    backlog_notice: u32,
}

impl Intake {
    /// Accepts into `store`; tells `backlog` whose messages pile up.
    pub fn new(
        store: Store,
        clock: Clock,
        stops: Stops,
        backlog: mpsc::Sender<Backlog>,
        settings: &config::Chat,
    ) -> Self {
        let (welcomes, backlog_notice) = (settings.welcome.is_some(), settings.backlog_notice);
        Self { store, clock, stops, backlog, welcomes, backlog_notice }
    }

    /// Saves an event. When this returns, it is on the disk, and a worker knows of it.
    ///
    /// # Errors
    /// [`store::Error`]: it is not saved; WeCom must be told to send it again.
    pub async fn accept(&self, event: Event) -> Result<Accepted, store::Error> {
        let disposition = self.disposition(&event.kind);
        let for_notice = (disposition == Disposition::Handle && self.backlog_notice > 0).then(|| event.clone());
        let lane = event.lane();
        let accepted = self.store.accept(event, disposition, self.clock.now()).await?;
        if let Accepted::Fresh { seq, depth } = accepted {
            if disposition == Disposition::HandleAndStop {
                self.stops.request(&lane, seq);
            }
            if let Some(event) = for_notice
                && depth == self.backlog_notice
            {
                // Full: so many are told already that one more notice is not worth a wait.
                let _ = self.backlog.try_send(Backlog { seq, event, waiting: depth });
            }
        }
        Ok(accepted)
    }

    fn disposition(&self, kind: &EventKind) -> Disposition {
        match kind {
            EventKind::Text { content } => match Command::parse(content) {
                Some(Command::Stop) => Disposition::HandleAndStop,
                Some(Command::Help | Command::New) | None => Disposition::Handle,
            },
            EventKind::Image { .. }
            | EventKind::Voice { .. }
            | EventKind::Video { .. }
            | EventKind::Location { .. }
            | EventKind::Link { .. } => Disposition::Handle,
            EventKind::EnterAgent | EventKind::Subscribe if self.welcomes => Disposition::Handle,
            EventKind::EnterAgent
            | EventKind::Subscribe
            | EventKind::Unsubscribe
            | EventKind::Click { .. }
            | EventKind::CardClick { .. }
            | EventKind::Unknown { .. } => Disposition::Keep,
        }
    }
}
