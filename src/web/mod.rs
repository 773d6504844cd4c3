//! What the network sees. Each handler extracts, calls one thing and answers; what it calls knows nothing of HTTP.
//!
//! To add an endpoint, give it a file with its handler, and a line in [`router`].

pub mod admin;
mod callback;
mod domain_files;
mod error;
mod figures;
pub mod hand_out;
mod headers;
mod health;
mod operations;
pub mod status;
pub mod v1;
mod verification;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use axum::{Router, middleware, routing, routing::MethodRouter};

use self::callback::Taken;
pub use self::{
    callback::Callback,
    figures::Figures,
    headers::{Https, with_headers},
    health::Readiness,
    operations::{Cleared, USER},
    status::Overview,
    verification::{Expected, Knock, verification_router},
};
use crate::{doctor::standing::Standing, metrics::Metrics, model::network::Network, secret::Secret, store::Store};

/// What handlers share.
#[derive(Clone, Debug)]
pub struct Web {
    /// For the health checks.
    pub readiness: Arc<Readiness>,
    /// For the people who run Qimate.
    pub metrics: Arc<Metrics>,
    /// Everything at a glance.
    pub overview: Arc<Overview>,
    /// What opens their pages on the main address.
    pub operator_key: Option<Secret<String>>,
    /// The last examination of the set-up.
    pub standing: Arc<Standing>,
    /// For what is written down of operators.
    pub store: Store,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
    /// What Qimate is called from outside.
    pub public_url: Option<String>,
}

impl Web {
    /// Whether this is the name by which Qimate is called from outside.
    fn is_asked_as(&self, host: &str) -> bool {
        let ours = self.public_url.as_deref().and_then(|url| url.split_once("://"));
        ours.is_some_and(|(_, ours)| ours.eq_ignore_ascii_case(host))
    }
}

/// The main address. Each of the `callbacks` answers on its path, with and without a trailing slash; `domain_files`
/// (names and contents) are answered at the root, `programs`, where there are any, below `/v1`, members who get a key
/// below `/key`, where they make some, and operators below `/admin/api`.
pub fn router<'a>(
    web: Web,
    callbacks: impl IntoIterator<Item = (&'a str, Arc<Callback>)>,
    domain_files: &BTreeMap<String, String>,
    programs: Option<&v1::Programs>,
    hand_out: Option<&hand_out::Page>,
    administration: &admin::Administration,
) -> Router {
    let mut router = health(routing::get(health::readyz));
    for (path, callback) in callbacks {
        let taken = Taken { callback, metrics: Arc::clone(&web.metrics) };
        let callback = routing::get(callback::verify).post(callback::receive).with_state(taken);
        let path = path.trim_end_matches('/');
        if !path.is_empty() {
            router = router.route(path, callback.clone());
        }
        router = router.route(&format!("{path}/"), callback);
    }
    let guarded =
        operations().route_layer(middleware::from_fn_with_state(web.clone(), operations::with_the_operator_key));
    let files = domain_files::routes(domain_files);
    let router = router.merge(guarded).merge(files).with_state(web).merge(admin::router(administration));
    let of_members = [programs.map(v1::router), hand_out.map(hand_out::router)];
    of_members.into_iter().flatten().fold(router, Router::merge)
}

/// The address for the people who run Qimate, as it is listened on.
pub fn operations_router(web: Web, listen: IpAddr) -> Router {
    let router = health(routing::get(health::readyz_for_operators)).merge(operations()).with_state(web.clone());
    if listen.is_loopback() {
        router.layer(middleware::from_fn_with_state(web, operations::by_a_name_of_this_machine))
    } else {
        router
    }
}

fn health(readyz: MethodRouter<Web>) -> Router<Web> {
    Router::new().route("/healthz", routing::get(health::healthz)).route("/readyz", readyz)
}

fn operations() -> Router<Web> {
    Router::new()
        .route("/metrics", routing::get(operations::metrics))
        .route("/status", routing::get(status::status))
        .route("/upstreams/clear", routing::post(operations::clear_upstreams))
}
