//! To whom the bot does not listen, at hand: no message costs a read for it. The store has the truth.

use std::{
    collections::HashSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::store::{self, Store, inbox::Inbound};

/// The blocked members.
#[derive(Debug)]
pub(super) struct Blocks {
    store: Store,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// As read at an epoch ([`Inbound::epoch`]); `None`: to be read.
    known: Option<(i64, HashSet<(String, String)>)>,
    /// How often it was changed here.
    changes: u64,
}

impl Blocks {
    pub(super) fn new(store: Store) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// Whether the bot does not listen to the member of a claim. Reads after each change, and after another process
    /// changed the database.
    ///
    /// # Errors
    /// [`store::Error`] when it cannot be read.
    pub(super) async fn holds(&self, claim: &Inbound) -> Result<bool, store::Error> {
        let who = (claim.event.corp.as_str().to_owned(), claim.event.from.key());
        loop {
            let changes = {
                let state = self.lock();
                if let Some((epoch, blocked)) = &state.known
                    && *epoch == claim.epoch
                {
                    return Ok(blocked.contains(&who));
                }
                state.changes
            };
            let all = self.store.all_blocked().await?;
            let blocked = all.contains(&who);
            let mut state = self.lock();
            // Changed while it was read: what was read may be of before.
            if state.changes == changes {
                state.known = Some((claim.epoch, all));
                return Ok(blocked);
            }
        }
    }

    /// Somebody was blocked, or no longer is.
    pub(super) fn changed(&self) {
        let mut state = self.lock();
        state.known = None;
        state.changes += 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
