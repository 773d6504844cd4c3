//! `/key/TOKEN`: the page on which a member gets a key that they make themselves. Only there where members may.
//!
//! Looking at a link changes nothing: chats, scanners and browsers look at links before people do. The key is made by the
//! button on the page, once, and shown in the answer to that. A link that is not good, whyever, gets one sentence.
//!
//! The token stands in the path, so nothing here writes a path down.

mod html;

use axum::{
    Router,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, request::Parts},
    middleware,
    response::{Html, IntoResponse, Response},
    routing,
};
use tracing::{error, info};

use super::{admin::guard::is_own, v1::from};
use crate::{
    api::{HandOut, HandedOut},
    clock::zone::Zone,
    model::network::Network,
    store,
};

/// What the page needs.
#[derive(Clone, Debug)]
pub struct Page {
    /// Who gives the keys.
    pub hand_out: HandOut,
    /// The calendar in which ends are shown.
    pub zone: Zone,
    /// Whose `X-Forwarded-For` is believed.
    pub proxies: Vec<Network>,
}

/// What is asked below `/key`.
pub(super) fn router(page: &Page) -> Router {
    Router::new()
        .route("/key/{token}", routing::get(show).post(take))
        .route_layer(middleware::map_response(private))
        .with_state(page.clone())
}

/// Beside what every answer tells ([`super::with_headers`]): what of the page may be run, and that nobody frames or finds it.
async fn private(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, html::policy()),
        (header::X_FRAME_OPTIONS, "DENY"),
        (HeaderName::from_static("x-robots-tag"), "noindex, nofollow"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What the link is for, and a button. Changes nothing.
async fn show(State(page): State<Page>, Path(token): Path<String>, parts: Parts) -> Response {
    match page.hand_out.look(&token).await {
        Ok(Some(link)) => Html(html::offer(&link.wish)).into_response(),
        Ok(None) => page.gone(&parts),
        Err(error) => unavailable(&error),
    }
}

/// Makes the key, and shows it this once. Nothing of the body is read.
async fn take(State(page): State<Page>, Path(token): Path<String>, parts: Parts) -> Response {
    if is_from_elsewhere(&parts.headers, page.hand_out.base()) {
        let address = from::address(&parts, &page.proxies);
        info!(%address, "refused to make a member's key: the request comes from a page of another origin");
        return (StatusCode::FORBIDDEN, "this comes from another page than that behind the link\n").into_response();
    }
    let link = match page.hand_out.look(&token).await {
        Ok(Some(link)) => link,
        Ok(None) => return page.gone(&parts),
        Err(error) => return unavailable(&error),
    };
    match page.hand_out.take(&link).await {
        Ok(HandedOut::Key(handed)) => {
            Html(html::key(&handed, page.hand_out.base(), &page.zone, &link.wish)).into_response()
        }
        Ok(HandedOut::Not(hindrance)) => {
            let text = html::hindered(hindrance, page.hand_out.most(), link.wish.language);
            (StatusCode::CONFLICT, Html(text)).into_response()
        }
        Ok(HandedOut::Gone) => page.gone(&parts),
        Err(error) => unavailable(&error),
    }
}

/// Whether another page sends it. The token is what opens; this keeps others from having a browser press the button.
///
/// A browser says `null` for a form of a page that tells no referrer, as ours does, and also for a page that it does not
/// want to name; newer ones say beside it whether it was our own.
fn is_from_elsewhere(headers: &HeaderMap, base: &str) -> bool {
    let site = headers.get("sec-fetch-site");
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let is_other = |origin: &HeaderValue| origin != "null" && !is_own(origin, headers, Some(base));
    headers.get_all(header::ORIGIN).iter().any(is_other)
}

impl Page {
    /// The same for every link that opens nothing: who tries some learns nothing.
    fn gone(&self, parts: &Parts) -> Response {
        let address = from::address(parts, &self.proxies);
        info!(%address, "a link for an API key was asked for that opens nothing");
        (StatusCode::NOT_FOUND, Html(html::gone())).into_response()
    }
}

fn unavailable(error: &store::Error) -> Response {
    error!(%error, "cannot give a member their key; the link is good as before");
    (StatusCode::SERVICE_UNAVAILABLE, Html(html::unavailable())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_page_presses_the_button() {
        let ours = "https://qimate.example.com";
        for (origin, site, elsewhere) in [
            (None, None, false),
            (Some(ours), Some("same-origin"), false),
            (Some(ours), None, false),
            (Some("null"), Some("same-origin"), false),
            (Some("null"), None, false),
            (None, Some("none"), false),
            (Some("null"), Some("cross-site"), true),
            (Some(ours), Some("same-site"), true),
            (Some("https://evil.example"), None, true),
            (Some("https://evil.example"), Some("same-origin"), true),
            (None, Some("cross-site"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("qimate.example.com"));
            let mut say = |name: &'static str, value: Option<&'static str>| {
                if let Some(value) = value {
                    headers.insert(name, HeaderValue::from_static(value));
                }
            };
            say("origin", origin);
            say("sec-fetch-site", site);
            assert_eq!(is_from_elsewhere(&headers, ours), elsewhere, "{origin:?} {site:?}");
        }
    }
}
