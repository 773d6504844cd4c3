//! The files by which WeCom checks that a domain is the company's (可信域名): fetched from the root of the domain, over
//! HTTP or HTTPS, and compared byte for byte.
//!
//! Knows only what the configuration names, and looks at no directory: nobody gets a web server by this.

use std::collections::BTreeMap;

use axum::{
    Router,
    http::{StatusCode, header},
    routing,
};

/// A route for each of `files`, which are names and contents. Whatever else is asked of them is not there.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(files: &BTreeMap<String, String>) -> Router<S> {
    files.iter().fold(Router::new(), |router, (name, content)| {
        let content = content.clone();
        // The content exactly as WeCom gave it: a line end more, and it is another file.
        let answer = || async move { ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], content) };
        router.route(&format!("/{name}"), routing::get(answer).fallback(async || StatusCode::NOT_FOUND))
    })
}
