//! What every answer tells a browser.
//!
//! Qimate answers programs and has no page that loads anything. An answer that somebody opens as one runs nothing, is
//! framed by nobody, is kept nowhere and tells no other site where it was opened. A handler whose answer is a page says
//! otherwise in its own headers, which stay as they are.

use axum::{
    Router,
    http::{HeaderName, HeaderValue, header},
    middleware,
    response::Response,
};

/// Whether browsers are told to come by HTTPS alone, for a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Https {
    /// It is not known that the address is HTTPS from outside.
    Unknown,
    /// It is, by a proxy (`server.public_url`). The name may have others below it that are not, so it alone is meant.
    Outside,
    /// It is spoken here: the name is ours, with all that is below it.
    Here,
}

impl Https {
    const fn policy(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Outside => Some("max-age=31536000"),
            Self::Here => Some("max-age=31536000; includeSubDomains"),
        }
    }
}

/// What nobody may do with an answer that is opened as a page: run, load, send, embed or be embedded.
const POLICY: &str = "default-src 'none'; base-uri 'none'; object-src 'none'; form-action 'none'; \
                      frame-ancestors 'none'; sandbox";

const EVERYWHERE: [(HeaderName, &str); 5] = [
    (header::CACHE_CONTROL, "no-store"),
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::REFERRER_POLICY, "no-referrer"),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// The same router, each of its answers with these headers, that for an address that is not there too.
pub fn with_headers(router: Router, https: Https) -> Router {
    router.layer(middleware::map_response(move |mut response: Response| async move {
        let headers = response.headers_mut();
        let strict = https.policy().map(|policy| (header::STRICT_TRANSPORT_SECURITY, policy));
        for (name, value) in EVERYWHERE.into_iter().chain(strict) {
            headers.entry(name).or_insert(HeaderValue::from_static(value));
        }
        response
    }))
}
