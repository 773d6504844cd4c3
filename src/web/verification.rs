//! The callback's address while the callback is being set up: answers WeCom's verification, and says of every request
//! what is right or wrong with it. Takes no messages: there is nobody yet to answer them.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, Uri, header},
    response::{IntoResponse, Response},
    routing,
};
use tokio::sync::mpsc;

use super::{
    callback::query,
    error::Refused,
    headers::{Https, with_headers},
    health,
};
use crate::{
    model::id::CorpId,
    wecom::{
        callback::{Rejection, SignedCallback},
        crypto::{CallbackToken, EncodingAesKey},
        echo,
    },
};

/// Requests that can wait to be told; what comes beyond while nobody looks is not.
const WAITING: usize = 64;
/// The longest path that is told, in characters.
const PATH_SHOWN: usize = 80;

/// One request, as an administrator should hear of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Knock {
    /// WeCom verified the URL: Token, EncodingAESKey and corp id are the same here and there.
    Verified,
    /// It came to the right path and was refused.
    Refused(Rejection),
    /// It came to the right path without any of WeCom's parameters: a browser, a scanner, or a proxy that drops them.
    Bare,
    /// It is a message or an event; WeCom was asked to send it again.
    Message,
    /// It has WeCom's parameters, and another path.
    WrongPath {
        /// The path, as it was asked for, cut to 80 characters.
        path: String,
    },
    /// It has another path and nothing of WeCom's.
    Stranger,
}

/// Who WeCom's verification is expected from.
#[derive(Debug)]
pub struct Expected {
    /// The enterprise.
    pub corp: CorpId,
    /// The callback's Token.
    pub token: CallbackToken,
    /// The callback's EncodingAESKey.
    pub key: EncodingAesKey,
}

#[derive(Debug)]
struct Gate {
    expected: Expected,
    knocks: mpsc::Sender<Knock>,
}

/// The address, and what comes to it. `callback_path` answers with and without a trailing slash, as in the daemon.
pub fn verification_router(expected: Expected, callback_path: &str) -> (Router, mpsc::Receiver<Knock>) {
    let (knocks, received) = mpsc::channel(WAITING);
    let callback = routing::get(verify).post(message);
    let path = callback_path.trim_end_matches('/');
    let mut router = Router::new().route("/healthz", routing::get(health::healthz));
    if !path.is_empty() {
        router = router.route(path, callback.clone());
    }
    let router = router.route(&format!("{path}/"), callback).fallback(elsewhere);
    (with_headers(router.with_state(Arc::new(Gate { expected, knocks })), Https::Unknown), received)
}

impl Gate {
    fn tell(&self, knock: Knock) {
        let _ = self.knocks.try_send(knock);
    }
}

async fn verify(State(gate): State<Arc<Gate>>, uri: Uri) -> Result<Response, Refused> {
    let Expected { corp, token, key } = &gate.expected;
    let opened = SignedCallback::verification(query(&uri))
        .and_then(|signed| signed.verify(token))
        .and_then(|verified| verified.decrypt(key, corp));
    match opened {
        Ok(payload) => {
            // `qimate doctor`, asked meanwhile, or the daemon before this one: it knows the keys, and is not WeCom.
            if !echo::is_our_own(payload.bytes()) {
                gate.tell(Knock::Verified);
            }
            Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], payload.bytes().to_vec()).into_response())
        }
        Err(rejection) => {
            gate.tell(if is_wecoms(&uri) { Knock::Refused(rejection.clone()) } else { Knock::Bare });
            Err(Refused::Rejected(rejection))
        }
    }
}

async fn message(State(gate): State<Arc<Gate>>, uri: Uri) -> Refused {
    gate.tell(if is_wecoms(&uri) { Knock::Message } else { Knock::Bare });
    Refused::NotSaved
}

async fn elsewhere(State(gate): State<Arc<Gate>>, uri: Uri) -> StatusCode {
    // Shown in a terminal, to which some characters are orders.
    let path = uri.path().chars().filter(|c| !c.is_control()).take(PATH_SHOWN).collect();
    gate.tell(if is_wecoms(&uri) { Knock::WrongPath { path } } else { Knock::Stranger });
    StatusCode::NOT_FOUND
}

/// Whether any of the parameters is there that WeCom sends.
fn is_wecoms(uri: &Uri) -> bool {
    let query = query(uri);
    query.msg_signature.is_some() || query.echostr.is_some()
}
