//! What the network sees. Each handler extracts, calls one thing and answers; what it calls knows nothing of HTTP.
//!
//! To add an endpoint, give it a file with its handler, and a line in [`router`].

mod callback;
mod error;
mod health;

use std::sync::Arc;

use axum::{Router, routing};

pub use self::{callback::Callback, health::Readiness};

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Web {
    /// The callback's keys, and where its events go.
    pub callback: Arc<Callback>,
    /// For the health checks.
    pub readiness: Arc<Readiness>,
}

/// All endpoints. `callback_path` answers with and without a trailing slash.
pub fn router(web: Web, callback_path: &str) -> Router {
    let callback = routing::get(callback::verify).post(callback::receive);
    let mut router =
        Router::new().route("/healthz", routing::get(health::healthz)).route("/readyz", routing::get(health::readyz));
    let path = callback_path.trim_end_matches('/');
    if !path.is_empty() {
        router = router.route(path, callback.clone());
    }
    router.route(&format!("{path}/"), callback).with_state(web)
}
