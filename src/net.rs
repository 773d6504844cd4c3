//! How this process talks to others over HTTP: one way to build a client, for WeCom and for models alike, and one to read
//! pages that somebody else chose ([`fetch`]).

mod address;
pub mod fetch;
pub mod link;
mod page;
mod trust;

use std::time::Duration;

use reqwest::{Client, ClientBuilder, Proxy, redirect};

pub use self::trust::Trust;
use crate::secret::Secret;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proxy's URL is not one. The URL stays out of the message: it may hold a password.
    #[error("the proxy URL is not usable; expected http://, https:// or socks5:// with host and port")]
    Proxy,
    /// The TLS set-up failed.
    #[error("TLS could not be set up")]
    Tls(#[source] rustls::Error),
    /// The rest of it failed.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Builds an HTTP client that goes through `proxy` for every call, or straight where there is none: proxies from the
/// environment are the configuration's business, so that every value in force can be shown.
///
/// It believes whom [`Trust::Usual`] believes. Redirects are not followed: an API that redirects is not the API. Small
/// writes leave at once (`TCP_NODELAY`).
///
/// Call [`install_crypto`] first.
///
/// # Errors
/// [`Error`] when the proxy URL or the TLS set-up is unusable.
pub fn http_client(proxy: Option<&Secret<String>>, connect_timeout: Duration) -> Result<Client, Error> {
    http_client_builder(proxy, connect_timeout, Trust::Usual)?.build().map_err(Error::Client)
}

/// The same before it is built, for who believes others or sets further limits. What the builder itself can set of TLS
/// has no effect.
///
/// # Errors
/// [`Error::Proxy`], [`Error::Tls`].
pub fn http_client_builder(
    proxy: Option<&Secret<String>>,
    connect_timeout: Duration,
    trust: Trust,
) -> Result<ClientBuilder, Error> {
    let builder = Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        // Who asks knows whether to ask again; a client that may do it keeps a copy of each request.
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .user_agent(concat!("qimate/", env!("CARGO_PKG_VERSION")));
    trust.of(match proxy {
        Some(url) => builder.proxy(Proxy::all(url.expose()).map_err(|_| Error::Proxy)?),
        None => builder.no_proxy(),
    })
}

/// Chooses the process's TLS implementation (ring). Safe to call more than once; the first call counts.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
