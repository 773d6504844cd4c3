//! Accounts, tokens and sessions as they are at this moment.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::{
    clock::Timestamp,
    model::{
        key::KeyId,
        operator::{Account, OperatorName, Session, Token},
    },
    store::{self, Store},
    vault::Sealed,
};

/// Everything of one moment.
#[derive(Debug, Default)]
pub(super) struct Roll {
    /// Whether anybody may administer.
    pub(super) has_operators: bool,
    accounts: HashMap<i64, Arc<Account>>,
    pub(super) tokens: HashMap<KeyId, Token>,
    pub(super) sessions: HashMap<KeyId, Session>,
    places: HashSet<(i64, String)>,
    /// Second factors, sealed.
    pub(super) seeds: Sealed,
}

impl Roll {
    /// An account of which anything is good.
    pub(super) fn good_account(&self, number: i64) -> Option<&Arc<Account>> {
        self.accounts.get(&number).filter(|account| account.disabled_at.is_none())
    }

    /// The same by its name.
    pub(super) fn named(&self, name: &OperatorName) -> Option<&Arc<Account>> {
        self.accounts.values().find(|account| account.name == *name && account.disabled_at.is_none())
    }

    /// Whoever could log in by their password.
    pub(super) fn with_password(&self) -> impl Iterator<Item = &Arc<Account>> {
        self.accounts.values().filter(|account| account.disabled_at.is_none() && account.password.is_some())
    }

    /// Who has a code of this public part.
    pub(super) fn invited(&self, id: &KeyId) -> Option<&Arc<Account>> {
        let has_it = |account: &&Arc<Account>| account.invitation.as_ref().is_some_and(|code| code.id == *id);
        self.accounts.values().find(has_it).filter(|account| account.disabled_at.is_none())
    }

    /// Whether an operator logged in from there before.
    pub(super) fn knows(&self, operator: i64, place: &str) -> bool {
        self.places.contains(&(operator, place.to_owned()))
    }
}

/// What is known, and what is not yet saved of it.
#[derive(Debug, Default)]
pub(super) struct Rolls {
    now: RwLock<Arc<Roll>>,
    /// One at a time, so that what was read earlier never replaces what was read later.
    reloading: tokio::sync::Mutex<()>,
    /// Whether the last reading failed, so that what is known may be of before a change.
    is_stale: AtomicBool,
    tokens_used: Mutex<HashMap<i64, Timestamp>>,
    sessions_used: Mutex<HashMap<KeyId, Used>>,
}

/// When a session was used last, and whether that is saved.
#[derive(Clone, Copy, Debug)]
struct Used {
    at: Timestamp,
    is_saved: bool,
}

impl Rolls {
    pub(super) async fn open(store: &Store) -> Result<Self, store::Error> {
        let rolls = Self::default();
        rolls.reload(store).await?;
        Ok(rolls)
    }

    pub(super) async fn reload(&self, store: &Store) -> Result<(), store::Error> {
        let _one_at_a_time = self.reloading.lock().await;
        self.is_stale.store(true, Ordering::Relaxed);
        let store::operators::Roll { accounts, tokens, sessions, places, seeds } = store.roll().await?;
        let roll = Roll {
            has_operators: accounts.iter().any(|account| account.disabled_at.is_none()),
            accounts: accounts.into_iter().map(|account| (account.number, Arc::new(account))).collect(),
            tokens: tokens.into_iter().map(|token| (token.id.clone(), token)).collect(),
            sessions: sessions.into_iter().map(|session| (session.id.clone(), session)).collect(),
            places: places.into_iter().collect(),
            seeds,
        };
        lock(&self.sessions_used).retain(|id, _| roll.sessions.contains_key(id));
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(roll);
        self.is_stale.store(false, Ordering::Relaxed);
        Ok(())
    }

    pub(super) fn is_stale(&self) -> bool {
        self.is_stale.load(Ordering::Relaxed)
    }

    pub(super) fn now(&self) -> Arc<Roll> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn token_used(&self, number: i64, now: Timestamp) {
        lock(&self.tokens_used).insert(number, now);
    }

    pub(super) fn session_used(&self, id: &KeyId, now: Timestamp) {
        lock(&self.sessions_used).insert(id.clone(), Used { at: now, is_saved: false });
    }

    /// A session with when it was used last, saved or not.
    pub(super) fn as_used(&self, session: &Session) -> Session {
        let used = lock(&self.sessions_used).get(&session.id).map_or(session.used_at, |used| used.at);
        Session { used_at: session.used_at.max(used), ..session.clone() }
    }

    /// When sessions were used stays known until they end: their rows here are of the last reading.
    pub(super) async fn save_used(&self, store: &Store) -> Result<(), store::Error> {
        let tokens = std::mem::take(&mut *lock(&self.tokens_used));
        if !tokens.is_empty() {
            store.tokens_used(tokens.into_iter().collect()).await?;
        }
        let sessions: Vec<_> = {
            let used = lock(&self.sessions_used);
            used.iter().filter(|(_, used)| !used.is_saved).map(|(id, used)| (id.clone(), used.at)).collect()
        };
        if sessions.is_empty() {
            return Ok(());
        }
        store.sessions_used(sessions.clone()).await?;
        let mut used = lock(&self.sessions_used);
        for (id, at) in sessions {
            if let Some(used) = used.get_mut(&id).filter(|used| used.at == at) {
                used.is_saved = true;
            }
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
