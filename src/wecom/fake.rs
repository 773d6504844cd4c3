//! WeCom's API for this room's tests: a real socket, answers as told.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::{net::TcpListener, sync::watch};

use crate::{
    config,
    model::id::{AgentId, CorpId},
    net,
    secret::Secret,
};

/// The application's secret in [`FakeWecom::settings`].
pub(super) const SECRET: &str = "s3cret-of-the-app";

/// What to answer.
#[derive(Debug)]
pub(super) enum Reply {
    Json(Value),
    Text(&'static str),
    Status(u16),
    /// Breaks the connection in the middle of the answer.
    Reset,
    /// More than anybody should read.
    Endless,
    /// Nothing, ever.
    Hang,
}

impl Reply {
    /// An answer with `errcode`, in the words that WeCom uses.
    pub(super) fn errcode(errcode: i64) -> Self {
        let errmsg = format!("no, hint: [1688706313500611129503023], from ip: 203.0.113.9, more info at e={errcode}");
        Self::Json(json!({"errcode": errcode, "errmsg": errmsg}))
    }

    async fn into_response(self) -> Response {
        match self {
            // WeCom does not label its JSON as such everywhere.
            Self::Json(value) => value.to_string().into_response(),
            Self::Text(text) => text.into_response(),
            Self::Status(302) => (StatusCode::FOUND, [(header::LOCATION, "/login")]).into_response(),
            Self::Status(status) => StatusCode::from_u16(status).expect("a status").into_response(),
            Self::Reset => {
                let pieces = [Ok("{\"errcode\":0,"), Err(io::Error::other("reset"))];
                Body::from_stream(stream::iter(pieces)).into_response()
            }
            Self::Endless => Body::from_stream(stream::repeat_with(|| Ok::<_, io::Error>("    "))).into_response(),
            Self::Hang => std::future::pending().await,
        }
    }
}

/// One `message/send`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Post {
    pub(super) access_token: String,
    pub(super) body: String,
}

/// Listens on a free port until it is dropped with its runtime.
pub(super) struct FakeWecom {
    base: String,
    told: Arc<Told>,
}

struct Told {
    gettoken: Mutex<VecDeque<Reply>>,
    send: Mutex<VecDeque<Reply>>,
    /// How many `gettoken` calls came.
    gettokens: watch::Sender<usize>,
    posts: watch::Sender<Vec<Post>>,
    /// Whether `gettoken` may answer.
    gate: watch::Sender<bool>,
}

impl FakeWecom {
    /// Gives the access tokens T1, T2, ... by the number of the call, and takes every message, unless told otherwise.
    pub(super) async fn start() -> Self {
        net::install_crypto();
        let told = Arc::new(Told {
            gettoken: Mutex::default(),
            send: Mutex::default(),
            gettokens: watch::Sender::new(0),
            posts: watch::Sender::default(),
            gate: watch::Sender::new(true),
        });
        let router = Router::new()
            .route("/cgi-bin/gettoken", get(gettoken))
            .route("/cgi-bin/message/send", post(send))
            .with_state(Arc::clone(&told));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { base, told }
    }

    /// A base where nobody listens.
    pub(super) async fn nowhere() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        format!("http://{}", listener.local_addr().expect("an address"))
    }

    pub(super) fn http(&self) -> reqwest::Client {
        net::http_client(None, Duration::from_secs(5)).expect("a client")
    }

    pub(super) fn settings(&self) -> config::Wecom {
        config::Wecom {
            corp_id: CorpId::parse("ww1436e0e65a779aee").expect("corp id"),
            agent_id: AgentId::new(1_000_002),
            secret: Secret::new(SECRET.to_owned()),
            callback_token: Secret::default(),
            encoding_aes_key: Secret::default(),
            previous_callback_token: None,
            previous_encoding_aes_key: None,
            api_base: self.base.clone(),
            proxy: None,
            timeout: Duration::from_secs(10),
            max_concurrent_sends: 8,
        }
    }

    pub(super) fn next_gettoken(&self, reply: Reply) {
        self.told.gettoken.lock().expect("lock").push_back(reply);
    }

    pub(super) fn next_send(&self, reply: Reply) {
        self.told.send.lock().expect("lock").push_back(reply);
    }

    pub(super) fn gettokens(&self) -> usize {
        *self.told.gettokens.borrow()
    }

    pub(super) fn posts(&self) -> Vec<Post> {
        self.told.posts.borrow().clone()
    }

    pub(super) async fn saw_gettoken(&self, count: usize) {
        let mut gettokens = self.told.gettokens.subscribe();
        gettokens.wait_for(|seen| *seen >= count).await.expect("the fake lives");
    }

    pub(super) async fn saw_posts(&self, count: usize) {
        let mut posts = self.told.posts.subscribe();
        posts.wait_for(|seen| seen.len() >= count).await.expect("the fake lives");
    }

    pub(super) fn gettoken_waits(&self) {
        self.told.gate.send_replace(false);
    }

    pub(super) fn gettoken_goes_on(&self) {
        self.told.gate.send_replace(true);
    }
}

#[derive(Deserialize)]
struct Credentials {
    corpid: String,
    corpsecret: String,
}

async fn gettoken(State(told): State<Arc<Told>>, Query(credentials): Query<Credentials>) -> Response {
    assert_eq!((credentials.corpid.as_str(), credentials.corpsecret.as_str()), ("ww1436e0e65a779aee", SECRET));
    let mut number = 0;
    told.gettokens.send_modify(|count| {
        *count += 1;
        number = *count;
    });
    told.gate.subscribe().wait_for(|open| *open).await.expect("the fake lives");
    let reply = told.gettoken.lock().expect("lock").pop_front();
    let usual = || {
        Reply::Json(json!({
            "errcode": 0, "errmsg": "ok", "access_token": format!("T{number}"), "expires_in": 7200,
        }))
    };
    reply.unwrap_or_else(usual).into_response().await
}

#[derive(Deserialize)]
struct SendQuery {
    access_token: String,
}

async fn send(State(told): State<Arc<Told>>, Query(query): Query<SendQuery>, body: Bytes) -> Response {
    let body = String::from_utf8(body.to_vec()).expect("UTF-8");
    told.posts.send_modify(|posts| posts.push(Post { access_token: query.access_token, body }));
    let reply = told.send.lock().expect("lock").pop_front();
    let usual = || Reply::Json(json!({"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": "m"}));
    reply.unwrap_or_else(usual).into_response().await
}
