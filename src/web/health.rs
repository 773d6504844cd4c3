//! Whether the process lives, and whether it can take messages.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use axum::{
    extract::State,
    http::{HeaderMap, StatusCode, Uri},
};

use super::{Web, operations::has_the_operator_key};
use crate::{
    clock::{Clock, Timestamp},
    doctor::render::Look,
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

/// The store can be written: the next message would be saved. With `?verbose` and the operator key, also how the set-up
/// was found.
pub(super) async fn readyz(State(web): State<Web>, uri: Uri, headers: HeaderMap) -> (StatusCode, String) {
    let verbose = is_verbose(&uri) && has_the_operator_key(&web, &headers);
    ready(&web, verbose).await
}

/// The same, where only operators can ask.
pub(super) async fn readyz_for_operators(State(web): State<Web>, uri: Uri) -> (StatusCode, String) {
    ready(&web, is_verbose(&uri)).await
}

fn is_verbose(uri: &Uri) -> bool {
    let mut pairs = uri.query().unwrap_or_default().split('&');
    pairs.any(|pair| matches!(pair.split_once('=').unwrap_or((pair, "")), ("verbose", value) if !matches!(value, "0" | "false")))
}

async fn ready(web: &Web, verbose: bool) -> (StatusCode, String) {
    let (status, mut text) = plain(web).await;
    if verbose {
        text.push('\n');
        match web.standing.ask() {
            None => text.push_str("the set-up is being checked; ask again in some seconds\n"),
            Some((report, age)) => {
                text.push_str(&format!("checked {} s ago\n\n{}", age.as_secs(), report.render(Look::Plain)));
            }
        }
    }
    (status, text)
}

async fn plain(web: &Web) -> (StatusCode, String) {
    match web.readiness.check().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}
