//! How this process talks to others over HTTP: one way to build a client, for WeCom and for models alike, and one to read
//! pages that somebody else chose ([`fetch`]).

mod address;
pub mod fetch;
pub mod link;
mod page;

use std::time::Duration;

use reqwest::{Certificate, Client, ClientBuilder, Proxy, redirect};

use crate::secret::Secret;

/// The client could not be built.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The proxy's URL is not one. The URL stays out of the message: it may hold a password.
    #[error("the proxy URL is not usable; expected http://, https:// or socks5:// with host and port")]
    Proxy,
    /// The TLS set-up failed.
    #[error("the HTTP client could not be set up")]
    Client(#[source] reqwest::Error),
}

/// Builds an HTTP client that goes through `proxy` for every call, or straight where there is none: proxies from the
/// environment are the configuration's business, so that every value in force can be shown.
///
/// Trusts the machine's root certificates and, beside them, Mozilla's, so that it works in an image without any.
/// Redirects are not followed: an API that redirects is not the API. Small writes leave at once (`TCP_NODELAY`).
///
/// Call [`install_crypto`] first. Building reads the certificates (some milliseconds): build once, clone the result.
///
/// # Errors
/// [`Error`] when the proxy URL or the TLS set-up is unusable.
pub fn http_client(proxy: Option<&Secret<String>>, connect_timeout: Duration) -> Result<Client, Error> {
    http_client_builder(proxy, connect_timeout)?.build().map_err(Error::Client)
}

/// The same before it is built, for who trusts one more root certificate or sets further limits.
///
/// # Errors
/// [`Error::Proxy`].
pub fn http_client_builder(proxy: Option<&Secret<String>>, connect_timeout: Duration) -> Result<ClientBuilder, Error> {
    let roots = webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().filter_map(|der| Certificate::from_der(der).ok());
    let builder = Client::builder()
        .connect_timeout(connect_timeout)
        .redirect(redirect::Policy::none())
        // Who asks knows whether to ask again; a client that may do it keeps a copy of each request.
        .retry(reqwest::retry::never())
        .tcp_nodelay(true)
        .tls_certs_merge(roots)
        .user_agent(concat!("qimate/", env!("CARGO_PKG_VERSION")));
    Ok(match proxy {
        Some(url) => builder.proxy(Proxy::all(url.expose()).map_err(|_| Error::Proxy)?),
        None => builder.no_proxy(),
    })
}

/// Chooses the process's TLS implementation (ring). Safe to call more than once; the first call counts.
pub fn install_crypto() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
