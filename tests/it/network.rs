//! The way out: proxies and relays are obeyed by every call, and the way in: health checks.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{Request, State},
    response::Response,
};
use qimate::{sandbox::model::ModelReply, secret::Secret};
use tokio::net::TcpListener;

use crate::harness::{App, within};

/// A forward proxy that remembers what went through it.
pub struct Proxy {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    pub async fn start() -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://user:proxy-password@{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(forward).with_state(Arc::clone(&seen));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, seen }
    }

    fn paths(&self) -> Vec<String> {
        self.seen.lock().unwrap().iter().map(|seen| seen.split('?').next().unwrap().to_owned()).collect()
    }

    /// The access tokens that went through it.
    pub fn access_tokens(&self) -> BTreeSet<String> {
        let of = |seen: &String| seen.split_once("access_token=").map(|(_, token)| token.to_owned());
        self.seen.lock().unwrap().iter().filter_map(of).collect()
    }
}

async fn forward(State(seen): State<Arc<Mutex<Vec<String>>>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    assert!(parts.headers.contains_key("proxy-authorization"), "the proxy's password is sent");
    seen.lock().unwrap().push(parts.uri.path_and_query().unwrap().to_string());
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut onward = client.request(parts.method, parts.uri.to_string()).body(body);
    for name in ["content-type", "authorization"] {
        if let Some(value) = parts.headers.get(name) {
            onward = onward.header(name, value);
        }
    }
    let answer = onward.send().await.unwrap();
    let content_type = answer.headers()["content-type"].clone();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    Response::builder().status(status).header("content-type", content_type).body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn every_call_obeys_its_proxy() {
    let (to_wecom, to_model) = (Proxy::start().await, Proxy::start().await);
    let app = App::start_with(|config| {
        config.apps.first.wecom.proxy = Some(Secret::new(to_wecom.url.clone()));
        config.llm.proxy = Some(Secret::new(to_model.url.clone()));
    })
    .await;
    app.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    for n in 0..3 {
        app.say(&format!("m{n}"), "喂").await;
        app.texts(&format!("m{n}"), 1).await;
    }
    app.settled().await;
    let counters = app.wecom.counters();
    assert_eq!(to_wecom.paths().len() as u64, counters.gettoken + counters.sends, "gettoken too");
    assert_eq!(to_wecom.paths()[..2], ["/cgi-bin/gettoken", "/cgi-bin/message/send"]);
    assert_eq!(to_model.paths(), ["/v1/chat/completions"; 3]);
}

#[tokio::test]
async fn the_process_answers_and_says_whether_it_is_ready() {
    let app = App::start().await;
    for path in ["/healthz", "/readyz"] {
        let answer = within(reqwest::get(app.url(path))).await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
    }
    let answer = within(reqwest::get(app.url("/"))).await.unwrap();
    assert_eq!(answer.status(), 404);
}

/// An API that redirects is not the API: what was meant for it, its key too, goes nowhere else.
#[tokio::test]
async fn a_redirect_is_not_followed() {
    let target = App::start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let to = target.url("/healthz");
    let router = Router::new().fallback(move || async move { axum::response::Redirect::temporary(&to) });
    tokio::spawn(async move { axum::serve(listener, router).await });
    qimate::net::install_crypto();
    let client = qimate::net::http_client(None, std::time::Duration::from_secs(5)).unwrap();
    assert_eq!(within(client.post(url).bearer_auth("sk-x").body("x").send()).await.unwrap().status(), 307);
}
