//! The keys as they are at this moment. They are in memory, so that whoever tries keys costs no database anything.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::{
    clock::Timestamp,
    model::key::{ApiKey, KeyHash, KeyId, Standing},
    store::{self, Store},
};

/// All keys.
#[derive(Debug)]
pub struct Keys {
    all: RwLock<HashMap<KeyId, Arc<ApiKey>>>,
    /// When they were used since that was saved last.
    used: Mutex<HashMap<i64, Timestamp>>,
    changed: watch::Sender<()>,
}

impl Keys {
    /// Reads them.
    ///
    /// # Errors
    /// [`store::Error`] when they cannot be read.
    pub async fn open(store: &Store) -> Result<Self, store::Error> {
        let keys = Self { all: RwLock::default(), used: Mutex::default(), changed: watch::Sender::new(()) };
        keys.reload(store).await?;
        Ok(keys)
    }

    pub(super) async fn reload(&self, store: &Store) -> Result<(), store::Error> {
        let all = store.keys().await?.into_iter().map(|key| (key.id.clone(), Arc::new(key))).collect();
        *self.all.write().unwrap_or_else(PoisonError::into_inner) = all;
        self.changed.send_replace(());
        Ok(())
    }

    /// The key that this secret opens.
    pub(super) fn opened_by(&self, id: &KeyId, hash: &KeyHash, now: Timestamp) -> Option<Arc<ApiKey>> {
        let key = self.all.read().unwrap_or_else(PoisonError::into_inner).get(id).cloned();
        key.filter(|key| key.is_opened_by(hash, now))
    }

    /// Whether the key that this secret opened is still good.
    pub(super) fn is_good(&self, id: &KeyId, hash: &KeyHash, now: Timestamp) -> bool {
        self.opened_by(id, hash, now).is_some_and(|key| key.standing(now) == Standing::Good)
    }

    /// Tells when keys may have changed.
    pub(super) fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// A key is used.
    pub(super) fn note(&self, number: i64, now: Timestamp) {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(number, now);
    }

    pub(super) async fn save_used(&self, store: &Store) -> Result<(), store::Error> {
        let used = std::mem::take(&mut *self.used.lock().unwrap_or_else(PoisonError::into_inner));
        if used.is_empty() {
            return Ok(());
        }
        store.keys_used(used.into_iter().collect()).await
    }
}
