//! From an event to the inbox: the whole of what happens before WeCom is told yes.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{commands, joining::Piece, notices::Backlog, stops::Stops};
use crate::{
    clock::Clock,
    config,
    meter::allowances::Allowances,
    model::{
        command::{Asked, Command},
        event::{Event, EventKind},
    },
    store::{
        self, Store,
        inbox::{Accepted, Disposition},
        people::directory::concerns_people,
    },
};

/// Accepts events.
#[derive(Clone, Debug)]
pub struct Intake {
    store: Store,
    clock: Clock,
    stops: Stops,
    backlogs: mpsc::Sender<Backlog>,
    welcomes: bool,
    backlog_notice: u32,
    allowances: Arc<Allowances>,
}

impl Intake {
    /// Accepts into `store`; tells `backlogs` whose messages pile up.
    pub fn new(
        store: Store,
        clock: Clock,
        stops: Stops,
        backlogs: mpsc::Sender<Backlog>,
        settings: &config::Chat,
        allowances: Arc<Allowances>,
    ) -> Self {
        let (welcomes, backlog_notice) = (settings.welcome.is_some(), settings.backlog_notice);
        Self { store, clock, stops, backlogs, welcomes, backlog_notice, allowances }
    }

    /// Saves an event. When this returns, it is on the disk, and a worker knows of it.
    ///
    /// # Errors
    /// [`store::Error`]: it is not saved; WeCom must be told to send it again.
    pub async fn accept(&self, event: Event) -> Result<Accepted, store::Error> {
        let event = Arc::new(event);
        let disposition = self.disposition(&event.kind);
        let joins = Piece::may_be(&event.kind);
        let (stops, backlogs) = (self.stops.clone(), self.backlogs.clone());
        let lane = event.lane();
        let about = Arc::clone(&event);
        let people = concerns_people(&event.kind).then(|| Arc::clone(&self.allowances));
        // Runs even if the caller hangs up: a message that is saved is handled, and a stop that is saved stops.
        let accepted = move |accepted: &Accepted| {
            let Accepted::Fresh { seq, backlog } = *accepted else { return };
            if let Some(allowances) = people {
                let renamed = match &about.kind {
                    EventKind::ContactChange(change) => change.renamed(),
                    _ => None,
                };
                allowances.directory_changed(&about.corp, renamed);
            }
            if disposition == Disposition::HandleAndStop {
                stops.request(&lane, seq);
            }
            if joins {
                stops.arrived(&lane, seq);
            }
            if let Some(waiting) = backlog {
                // Full: so many are told already that one more notice is not worth a wait.
                let _ = backlogs.try_send(Backlog { seq, event: about, waiting });
            }
        };
        self.store.accept(event, disposition, self.backlog_notice, self.clock.now(), accepted).await
    }

    fn disposition(&self, kind: &EventKind) -> Disposition {
        match kind {
            EventKind::Text { content } => match Command::parse(content) {
                Some(Asked { command: Command::Stop, .. }) => Disposition::HandleAndStop,
                _ => Disposition::Handle,
            },
            EventKind::Image { .. }
            | EventKind::Voice { .. }
            | EventKind::Video { .. }
            | EventKind::Location { .. }
            | EventKind::Link { .. } => Disposition::Handle,
            EventKind::Click { key } => match Command::of_key(key) {
                Some(Asked { command: Command::Stop, .. }) => Disposition::HandleAndStop,
                Some(_) => Disposition::Handle,
                None => Disposition::Keep,
            },
            EventKind::CardClick { task_id, .. } if commands::is_ours(task_id) => Disposition::Handle,
            EventKind::CardClick { .. } => Disposition::Keep,
            EventKind::EnterAgent | EventKind::Subscribe if self.welcomes => Disposition::Handle,
            EventKind::EnterAgent
            | EventKind::Subscribe
            | EventKind::Unsubscribe
            | EventKind::ContactChange(_)
            | EventKind::Unknown { .. } => Disposition::Keep,
        }
    }
}
