//! A webhook that the company runs: checks each signature, and remembers what came.

use std::sync::Arc;

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
};
use hmac::{Hmac, KeyInit, Mac};
use qimate::secret::Secret;
use serde_json::Value;
use sha2::Sha256;
use tokio::{net::TcpListener, sync::watch};

use crate::harness::within;

pub const SECRET: &str = "the-secret-of-the-hook";

/// A webhook at the socket. Clones are the same.
#[derive(Clone)]
pub struct Hook {
    url: String,
    told: Arc<Told>,
}

struct Told {
    posts: watch::Sender<Vec<Value>>,
    /// How many posts are still to be refused, and how many were.
    failing: watch::Sender<(usize, usize)>,
}

impl Hook {
    pub async fn start() -> Self {
        let told = Arc::new(Told { posts: watch::Sender::default(), failing: watch::Sender::default() });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook?key=token-of-the-hook", listener.local_addr().unwrap());
        let router = Router::new().fallback(receive).with_state(Arc::clone(&told));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, told }
    }

    pub fn url(&self) -> Secret<String> {
        Secret::new(self.url.clone())
    }

    pub fn secret(&self) -> Secret<String> {
        Secret::new(SECRET.to_owned())
    }

    /// Refuses the next posts.
    pub fn fail_next(&self, count: usize) {
        self.told.failing.send_replace((count, 0));
    }

    /// Waits until so many were refused.
    pub async fn refused(&self, count: usize) {
        let mut failing = self.told.failing.subscribe();
        within(failing.wait_for(|(_, refused)| *refused >= count)).await.unwrap();
    }

    /// Waits for so many posts, and returns all of them.
    pub async fn posts(&self, count: usize) -> Vec<Value> {
        let mut posts = self.told.posts.subscribe();
        within(posts.wait_for(|posts| posts.len() >= count)).await.unwrap().clone()
    }

    /// The conditions and states of what has come so far.
    pub fn seen(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        self.told.posts.borrow().iter().map(|post| (text(&post["condition"]), text(&post["state"]))).collect()
    }
}

async fn receive(State(told): State<Arc<Told>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let header = |name: &str| headers[name].to_str().unwrap().to_owned();
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(format!("{}.", header("x-qimate-timestamp")).as_bytes());
    mac.update(&body);
    let signature = hex::decode(header("x-qimate-signature").strip_prefix("sha256=").unwrap()).unwrap();
    if mac.verify_slice(&signature).is_err() {
        return StatusCode::UNAUTHORIZED;
    }
    let mut fails = false;
    told.failing.send_modify(|(left, refused)| {
        fails = *left > 0;
        *left = left.saturating_sub(1);
        *refused += usize::from(fails);
    });
    if fails {
        return StatusCode::BAD_GATEWAY;
    }
    told.posts.send_modify(|posts| posts.push(serde_json::from_slice(&body).unwrap()));
    StatusCode::NO_CONTENT
}
