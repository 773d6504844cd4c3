//! A server of tools, played at the socket: streamable HTTP with sessions, JSON or events.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use qimate::{
    config::{
        Config,
        tools::{McpAddress, McpServer},
    },
    secret::Secret,
};
use serde_json::{Value, json};
use tokio::sync::watch;

/// How it answers a call.
#[derive(Clone, Debug)]
pub enum Manner {
    /// With this text.
    Text(&'static str),
    /// With this text as an error of the tool.
    Fails(&'static str),
    /// With this status.
    Status(u16),
    /// Not at all.
    Hangs,
    /// With this text, after this time.
    After(Duration, &'static str),
}

/// The server. Clones are the same one.
#[derive(Clone)]
pub struct FakeMcp {
    pub address: SocketAddr,
    desk: Arc<Desk>,
}

struct Desk {
    manner: Mutex<Manner>,
    streams: Mutex<bool>,
    session: Mutex<u32>,
    calls: watch::Sender<Vec<(String, Value)>>,
    told: Mutex<Vec<(String, HeaderMap)>>,
}

impl FakeMcp {
    pub async fn start() -> Self {
        let desk = Arc::new(Desk {
            manner: Mutex::new(Manner::Text("张三，电话已登记")),
            streams: Mutex::new(false),
            session: Mutex::new(1),
            calls: watch::Sender::new(Vec::new()),
            told: Mutex::default(),
        });
        let router = Router::new().route("/mcp", post(answer)).with_state(Arc::clone(&desk));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, desk }
    }

    pub fn set_manner(&self, manner: Manner) {
        *self.desk.manner.lock().unwrap() = manner;
    }

    /// Answers with events from now on.
    pub fn stream(&self) {
        *self.desk.streams.lock().unwrap() = true;
    }

    /// Knows nobody any more.
    pub fn lose_sessions(&self) {
        *self.desk.session.lock().unwrap() += 1;
    }

    /// The calls that came, with their arguments.
    pub fn calls(&self) -> Vec<(String, Value)> {
        self.desk.calls.borrow().clone()
    }

    /// Waits until so many calls have come.
    pub async fn wait_calls(&self, count: usize) {
        self.desk.calls.subscribe().wait_for(|calls| calls.len() >= count).await.unwrap();
    }

    /// Waits until a call with these arguments has come.
    pub async fn wait_call(&self, arguments: &Value) {
        let came = |calls: &Vec<(String, Value)>| calls.iter().any(|(_, with)| with == arguments);
        self.desk.calls.subscribe().wait_for(came).await.unwrap();
    }

    /// The methods that were asked for, each with its headers.
    pub fn told(&self) -> Vec<(String, HeaderMap)> {
        self.desk.told.lock().unwrap().clone()
    }

    /// Lets the daemon call these tools of it.
    pub fn offer(&self, config: &mut Config, allow: &[&str]) {
        let secret = |text: &str| Secret::new(text.to_owned());
        config.tools.mcp.push(McpServer {
            name: "crm".into(),
            at: McpAddress::Url {
                url: secret(&format!("http://{}/mcp", self.address)),
                headers: [("authorization".to_owned(), secret("Bearer crm-key"))].into(),
                proxy: None,
            },
            allow: allow.iter().map(|&name| name.to_owned()).collect(),
            apps: Vec::new(),
        });
    }
}

async fn answer(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let message: Value = serde_json::from_slice(&body).unwrap();
    let method = message["method"].as_str().unwrap().to_owned();
    desk.told.lock().unwrap().push((method.clone(), headers.clone()));
    let session = format!("session-{}", desk.session.lock().unwrap());
    let known = headers.get("mcp-session-id").is_some_and(|id| id.to_str().unwrap() == session);
    if method != "initialize" && !known {
        return StatusCode::NOT_FOUND.into_response();
    }
    let result = match method.as_str() {
        "initialize" => json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {}}),
        "tools/list" if message["params"]["cursor"].is_null() => json!({"nextCursor": "2", "tools": [
            {"name": "find_customer", "title": "查客户", "description": "Finds a customer",
             "inputSchema": {"type": "object", "properties": {"name": {"type": "string"}}}},
        ]}),
        "tools/list" => json!({"tools": [
            {"name": "look", "description": "Looks only", "annotations": {"readOnlyHint": true}},
            {"name": "delete_all", "description": "Deletes everything"},
        ]}),
        "tools/call" => {
            let params = &message["params"];
            let call = (params["name"].as_str().unwrap().to_owned(), params["arguments"].clone());
            desk.calls.send_modify(|calls| calls.push(call));
            let manner = desk.manner.lock().unwrap().clone();
            match manner {
                Manner::Text(text) => json!({"content": [{"type": "text", "text": text}]}),
                Manner::Fails(text) => json!({"content": [{"type": "text", "text": text}], "isError": true}),
                Manner::Status(status) => return StatusCode::from_u16(status).unwrap().into_response(),
                Manner::Hangs => std::future::pending().await,
                Manner::After(time, text) => {
                    tokio::time::sleep(time).await;
                    json!({"content": [{"type": "text", "text": text}]})
                }
            }
        }
        _ => return StatusCode::ACCEPTED.into_response(),
    };
    let answer = json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string();
    let session = [("mcp-session-id", session)];
    if *desk.streams.lock().unwrap() {
        let progress = json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {}});
        let events = format!(": hello\n\nevent: message\ndata: {progress}\n\nevent: message\ndata: {answer}\n\n");
        (session, [("content-type", "text/event-stream")], events).into_response()
    } else {
        (session, [("content-type", "application/json")], answer).into_response()
    }
}
