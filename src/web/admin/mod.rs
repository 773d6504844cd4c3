//! `/admin/api`: administration over HTTP. There only while there is an operator (`qimate operator create`).
//!
//! # How to add a resource
//!
//! Give it a file with a `routes()`, and a line in `routes`. A route is told once, and all follows from it: the router,
//! who is let in, which parameters are refused, and the OpenAPI document (`QIMATE_UPDATE_DOCS=1 cargo test --test it docs`
//! writes `docs/openapi.json` anew).
//!
//! ```text
//! Route::get("/admin/api/lamps", Scope::Read, ("listLamps", "Every lamp, oldest first."), list)
//!     .filter("room", "those of this room alone"),
//! Route::get("/admin/api/lamps/{id}", Scope::Read, ("getLamp", "One lamp."), get),
//! Route::post("/admin/api/lamps", Scope::People, ("makeLamp", "Makes a lamp."), make),
//! Route::put("/admin/api/lamps/{id}", Scope::People, ("putLamp", "Makes or changes a lamp."), put).must_compare(),
//! Route::delete("/admin/api/lamps/{id}", Scope::People, ("removeLamp", "Removes a lamp."), remove).compares(),
//! ```
//!
//! The scope is who may: `Read` for what only looks; a change needs the one that it is called by. The sentence up to the
//! first full stop is the summary.
//!
//! **A handler** takes an `Ask`, `Ask<Body<Wanted>>` where it takes a body, and gives one of the types of
//! `answer` or a `Problem`; both describe themselves. It reads what is asked, calls one function, the one that the
//! command calls too, and shows what came of it:
//!
//! ```text
//! async fn list(ask: Ask) -> Result<Page<Lamp>, Problem> {
//!     let paging = ask.paging("lamps")?;                       // ?limit= and ?cursor=
//!     let found = ask.store().lamps_after(paging.after_number()?, paging.most()).await?;
//!     Ok(paging.page(found, |lamp| lamp.number.to_string(), |lamp| Lamp::of(&lamp)))
//! }
//!
//! async fn put(ask: Ask<Body<WantedLamp>>) -> Result<Saved<Lamp>, Problem> {
//!     let Body(wanted) = &ask.body;
//!     let lamp = wanted.parse().map_err(|wrong| Problem::invalid("/watts", wrong.to_string()))?;
//!     let store = ask.on_seen(Thing::Lamp(ask.path("id")?.to_owned()));
//!     let is_new = store.save_lamp(&ask.actor(), &lamp, ask.now).await?;
//!     Ok(Saved { is_new, version: Version::of_lamp(&lamp), thing: Lamp::of(&lamp) })
//! }
//! ```
//!
//! - **What is shown** is a type with `Serialize` and `JsonSchema` in the room of its noun, which the command's `--json`
//!   prints too. What is taken has `Deserialize`, `JsonSchema` and `deny_unknown_fields`. Comments of fields are their
//!   descriptions. Times are epoch milliseconds, `..._ms`.
//! - **A change is made in a store under terms**: `ask.on(Thing)` (`.compares()`), `ask.on_seen(Thing)`
//!   (`.must_compare()`: what is there is not overwritten unseen), or `ask.anew()`, where nothing can be compared. The
//!   store's function stays as it is: `If-Match` and the `Idempotency-Key` are looked at in its transaction. For another
//!   thing add a variant of [`Thing`](crate::store::terms::Thing), and what its version is.
//! - **The audit log** has the change by [`Operator::actor`](crate::admin::Operator::actor) (`ask.actor()`).
//! - **What is in memory** (keys, rules, operators) is read again before the answer is sent: nothing is to be done for it.
//! - **A secret that is shown once** is a `ShownOnce`: it is in no record of the request.
//! - **Two things are tested by the document**, for each route that changes something: that an auditor is refused, and,
//!   with the example that `tests/it/administration/every.rs` has of it, that it is in the audit log and compares. A route
//!   without an example fails there.
//!
//! It need not look who asks, nor at Origin, CSRF, ETags or parameters that nobody knows: that does `guard`.

mod answer;
mod ask;
mod body;
mod condition;
mod grants;
pub(super) mod guard;
mod keys;
mod me;
mod members;
mod once;
pub mod openapi;
mod operators;
mod plans;
mod problem;
mod route;
mod secrets;
mod served;
mod session;
mod usage;

use std::sync::Arc;

use axum::{Router, extract::FromRequestParts, http::request::Parts, middleware, routing};

use self::{guard::Guard, problem::Problem, route::Route};
pub use self::{once::UnderWay, served::Served};
use super::v1::from;
use crate::{
    admin::{Admin, Caller, felt::Felt},
    clock::Clock,
    model::network::Network,
    store::Store,
    vault::MasterKeys,
};

/// What the handlers need.
#[derive(Clone, Debug)]
pub struct Administration {
    /// Who may.
    pub admin: Admin,
    /// What is administered.
    pub store: Store,
    /// Lets a change be felt.
    pub felt: Felt,
    /// Requests that are being carried out once.
    pub under_way: UnderWay,
    /// What is served here.
    pub served: Arc<Served>,
    /// What encrypts secrets in the database; `None`: none can be stored.
    pub master_keys: Option<Arc<MasterKeys>>,
    /// For how long a body may take.
    pub clock: Clock,
    /// What Qimate is called from outside: the origin of its pages.
    pub public_url: Option<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
}

/// Every address below `/admin/api`.
fn routes() -> Vec<Route> {
    let resources = [
        grants::routes(),
        keys::routes(),
        me::routes(),
        members::routes(),
        openapi::own_routes(),
        operators::routes(),
        plans::routes(),
        secrets::routes(),
        session::routes(),
        usage::routes(),
    ];
    resources.into_iter().flatten().collect()
}

/// What is asked below `/admin/api`.
pub(super) fn router(here: &Administration) -> Router {
    let nothing = || routing::any(async || Problem::no_such_address());
    let routes = routes();
    let guard = Guard::new(here.clone(), &routes);
    let known = routes.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.handler));
    known
        .method_not_allowed_fallback(async || Problem::method())
        .route("/admin/api", nothing())
        .route("/admin/api/", nothing())
        .route("/admin/api/{*path}", nothing())
        // Not in front of what is not there: that is everybody's.
        .route_layer(middleware::from_fn_with_state(guard, guard::guarded))
        .with_state(here.clone())
}

impl FromRequestParts<Administration> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, here: &Administration) -> Result<Self, Problem> {
        let agent = parts.headers.get(axum::http::header::USER_AGENT).and_then(|agent| agent.to_str().ok());
        Ok(Self { address: from::address(parts, &here.proxies), agent: agent.unwrap_or_default().to_owned() })
    }
}
