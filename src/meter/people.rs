//! Whose question is answered at all, as it stands at this moment. At hand, so that no question costs a read for it; read
//! again after each change, by whomever it was made.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use moka::future::Cache;
use tracing::warn;

use super::Payer;
use crate::{
    clock::{Clock, zone::Zone},
    model::{
        id::{CorpId, MemberId},
        person::{Access, Denied, Role},
    },
    store::{Error, Store, people::standing::Standings},
};

/// How long the store is left alone after it failed.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Members whose departments are remembered.
const KNOWN: u64 = 10_000;

/// Shared by all applications.
#[derive(Debug)]
pub struct People {
    store: Store,
    clock: Clock,
    zone: Zone,
    state: Mutex<State>,
    /// The departments of members who asked lately, by corp and userid.
    departments: Cache<(String, String), Arc<[u64]>>,
}

#[derive(Debug, Default)]
struct State {
    /// `None`: to be read.
    known: Option<Arc<Standings>>,
    /// The epoch of the claim for which it was read ([`crate::store::inbox::Inbound::epoch`]), where it was for one.
    epoch: Option<i64>,
    /// How often it was changed.
    changes: u64,
    /// Whether an event changed the address book since somebody asked: a new userid takes plans and keys along. Or a
    /// member changed a key.
    by_event: bool,
}

impl People {
    /// Reads from `store`; hours are those of `zone`.
    pub(super) fn new(store: Store, clock: Clock, zone: Zone) -> Self {
        Self { store, clock, zone, state: Mutex::default(), departments: Cache::new(KNOWN) }
    }

    /// Somebody's standing was changed, or may have been.
    pub fn changed(&self) {
        let mut state = self.lock();
        (state.known, state.epoch) = (None, None);
        state.changes += 1;
        self.departments.invalidate_all();
    }

    /// The same, by an event.
    pub(super) fn directory_changed(&self) {
        self.changed();
        self.lock().by_event = true;
    }

    /// A member changed a key of theirs: they are read again soon ([`People::take_changed`]).
    pub(super) fn keys_changed(&self) {
        self.lock().by_event = true;
    }

    /// Whether an event changed the address book, or a member a key of theirs, since this was asked.
    pub fn take_changed(&self) -> bool {
        std::mem::take(&mut self.lock().by_event)
    }

    /// What somebody may do beyond asking, as of a claim's epoch.
    pub async fn role_of(&self, corp: &CorpId, member: &MemberId, epoch: i64) -> Role {
        self.standings(Some(epoch)).await.role_of(corp, member)
    }

    /// Whether somebody of an enterprise is stored as one who decides about requests, as of a claim's epoch.
    pub async fn has_operators(&self, corp: &CorpId, epoch: i64) -> bool {
        self.standings(Some(epoch)).await.has_operators(corp)
    }

    /// The access of somebody, as of a claim's epoch; `None`: as it was read last.
    pub async fn access_of(&self, payer: Payer<'_>, epoch: Option<i64>) -> Access {
        let standings = self.standings(epoch).await;
        let Payer { corp, agent, member } = payer;
        let mut access = standings.access_of(corp, agent, member);
        if standings.asks_departments(corp, member) {
            let chains = self.until_read("the departments", || self.store.chains_of(corp, member)).await;
            access.hours = standings.hours_by(corp, &chains);
        }
        access
    }

    /// Why a question of somebody's is not answered at this moment, as of a claim's epoch.
    pub async fn denied(&self, payer: Payer<'_>, epoch: i64) -> Option<Denied> {
        self.access_of(payer, Some(epoch)).await.at(self.clock.now(), &self.zone).err()
    }

    /// The departments of somebody with those above them.
    pub async fn departments_of(&self, corp: &CorpId, member: &MemberId) -> Arc<[u64]> {
        if !self.standings(None).await.has_departments() {
            return Arc::default();
        }
        let key = (corp.as_str().to_owned(), member.key());
        if let Some(known) = self.departments.get(&key).await {
            return known;
        }
        let changes = self.lock().changes;
        let read = self.until_read("the departments", || self.store.departments_of(corp, member)).await;
        let departments: Arc<[u64]> = read.into();
        // Changed while it was read: what was read may be of before.
        if self.lock().changes == changes {
            self.departments.insert(key, Arc::clone(&departments)).await;
        }
        departments
    }

    /// Decides at the door: the hours count for a question, not for what goes on with its answer.
    pub(super) async fn admit(&self, payer: Payer<'_>, begins: bool, premium: bool) -> Result<(), Denied> {
        let access = self.access_of(payer, None).await;
        let now = self.clock.now();
        if begins { access.at(now, &self.zone) } else { access.standing(now) }?;
        if premium { access.premium_at(now) } else { Ok(()) }
    }

    async fn standings(&self, epoch: Option<i64>) -> Arc<Standings> {
        loop {
            let changes = {
                let state = self.lock();
                if let Some(known) = &state.known
                    && (epoch.is_none() || state.epoch == epoch)
                {
                    return Arc::clone(known);
                }
                state.changes
            };
            let read = Arc::new(self.until_read("who may ask", || self.store.standings()).await);
            let mut state = self.lock();
            // Changed while it was read: what was read may be of before.
            if state.changes == changes {
                (state.known, state.epoch) = (Some(Arc::clone(&read)), epoch);
                return read;
            }
        }
    }

    /// Asks until the store answers: nobody must slip through because a disk was full.
    pub(super) async fn until_read<T, F: Future<Output = Result<T, Error>>>(
        &self,
        what: &str,
        read: impl Fn() -> F,
    ) -> T {
        let mut told = false;
        loop {
            match read().await {
                Ok(value) => return value,
                Err(error) if !told => {
                    warn!(%error, "cannot read {what}; trying again every second");
                    told = true;
                }
                Err(_) => {}
            }
            self.clock.sleep(AFTER_FAILURE).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
