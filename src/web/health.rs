//! Whether the process lives, and whether it can take messages.

use axum::{extract::State, http::StatusCode};

use super::Web;

/// The process answers.
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// The store can be written: the next message would be saved.
pub(super) async fn readyz(State(web): State<Web>) -> (StatusCode, String) {
    match web.store.check_writable().await {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {error}\n")),
    }
}
