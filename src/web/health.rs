//! Whether the process lives, and whether it can take messages.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{extract::State, http::StatusCode};

use super::Web;
use crate::{
    clock::{Clock, Timestamp},
    store::{self, Store},
};

/// How long a good answer stands: asking writes to the disk, and anybody may ask.
const FRESH: Duration = Duration::from_secs(1);

/// Knows whether the next message could be saved.
#[derive(Debug)]
pub struct Readiness {
    store: Store,
    clock: Clock,
    written_at: Mutex<Option<Timestamp>>,
}

impl Readiness {
    /// Asks `store`.
    pub const fn new(store: Store, clock: Clock) -> Self {
        Self { store, clock, written_at: Mutex::new(None) }
    }

    /// Whether the next message could be saved.
    pub(super) async fn check(&self) -> Result<(), store::Error> {
        let written_at = *self.written_at.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        if written_at.is_some_and(|at| at <= now && now.since(at) < FRESH) {
            return Ok(());
        }
        self.store.check_writable().await?;
        *self.written_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(now);
        Ok(())
    }
}

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store can be written: the next message would be saved.
pub(super) async fn readyz(State(web): State<Web>) -> (StatusCode, String) {
    match web.readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}
