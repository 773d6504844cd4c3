//! An endpoint for this room's tests, at a real socket, and the configuration that leads there.

use std::sync::{Arc, Mutex};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode, Uri, header},
};
use tokio::net::TcpListener;

use crate::{
    config::{Config, Environment},
    net,
};

/// What was asked: the path, the header `Authorization`, and the body.
pub(super) type Asked = Arc<Mutex<Vec<(String, String, Bytes)>>>;

/// An endpoint that always answers so: its base URL, and what it was asked.
pub(super) async fn endpoint(status: u16, body: &'static str) -> (String, Asked) {
    net::install_crypto();
    let asked = Asked::default();
    let seen = Arc::clone(&asked);
    let answer = move |State(asked): State<Asked>, uri: Uri, headers: HeaderMap, bytes: Bytes| async move {
        let key = headers.get(header::AUTHORIZATION).and_then(|key| key.to_str().ok()).unwrap_or_default();
        asked.lock().unwrap().push((uri.path().to_owned(), key.to_owned(), bytes));
        (StatusCode::from_u16(status).expect("a status"), body)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base_url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer).with_state(seen)).await });
    (base_url, asked)
}

/// The configuration of these variables, and those of WeCom that there must be.
pub(super) fn config(more: &[(&str, &str)]) -> Config {
    let needed = [
        ("QIMATE_WECOM__CORP_ID", "ww1436e0e65a779aee"),
        ("QIMATE_WECOM__AGENT_ID", "1"),
        ("QIMATE_WECOM__SECRET", "s"),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "t"),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQ"),
    ];
    let environment = Environment::from_pairs(needed.iter().chain(more).copied());
    Config::load(None, &environment).unwrap_or_else(|faults| panic!("{faults}")).config
}
