//! `/admin/api`: administration over HTTP. There only while there is an operator (`qimate operator create`).
//!
//! To add a resource, give it a file with a `routes()` of full paths, and a line in `router`. A handler says by an
//! argument `May<...>` what it needs, takes bodies as `Body<...>`, calls one function of `store` or of a room beneath, and
//! answers JSON or a `Problem`. It need not look who asks, nor at Origin, CSRF or the query: whatever is below
//! `/admin/api` is behind `guard`.

mod body;
pub(super) mod guard;
mod me;
mod operators;
mod problem;
mod session;

use axum::{Router, extract::FromRequestParts, http::request::Parts, middleware, routing};

use self::problem::Problem;
use super::v1::from;
use crate::{
    admin::{Admin, Caller},
    clock::Clock,
    model::network::Network,
};

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct Administration {
    /// Who may.
    pub admin: Admin,
    /// For how long a body may take.
    pub clock: Clock,
    /// What Qimate is called from outside: the origin of its pages.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
}

/// What is asked below `/admin/api`.
pub(super) fn router(here: &Administration) -> Router {
    let nothing = || routing::any(async || Problem::no_such_address());
    Router::new()
        .merge(me::routes())
        .merge(operators::routes())
        .merge(session::routes())
        .method_not_allowed_fallback(async || Problem::method())
        .route("/admin/api", nothing())
        .route("/admin/api/", nothing())
        .route("/admin/api/{*path}", nothing())
        // Not in front of what is not there: that is everybody's.
        .route_layer(middleware::from_fn_with_state(here.clone(), guard::guarded))
        .with_state(here.clone())
}

impl FromRequestParts<Administration> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, here: &Administration) -> Result<Self, Problem> {
        let agent = parts.headers.get(axum::http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self { address: from::address(parts, &here.proxies), agent: agent.unwrap_or_default().to_owned() })
    }
}
