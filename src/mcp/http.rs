//! The protocol over streamable HTTP: each request is a POST, its answer JSON or a stream of events.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use reqwest::{
    Client, Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{client::McpError, wire};
use crate::{
    net::{self, link::Way},
    secret::Secret,
};

const CONNECT: Duration = Duration::from_secs(5);
const SESSION: &str = "mcp-session-id";
const VERSION: &str = "mcp-protocol-version";

/// One endpoint.
pub(super) struct Http {
    http: Client,
    url: Secret<String>,
    way: Way,
    headers: HeaderMap,
    next_id: AtomicU64,
    session: Mutex<Option<Session>>,
}

#[derive(Clone)]
struct Session {
    /// `None`: the server keeps none.
    id: Option<HeaderValue>,
    version: HeaderValue,
}

impl Http {
    pub(super) fn new(
        url: &Secret<String>,
        headers: &BTreeMap<String, Secret<String>>,
        proxy: Option<&Secret<String>>,
    ) -> Result<Self, net::Error> {
        let sensitive = |(name, value): (&String, &Secret<String>)| {
            let mut value = HeaderValue::try_from(value.expose()).ok()?;
            value.set_sensitive(true);
            Some((HeaderName::try_from(name).ok()?, value))
        };
        Ok(Self {
            http: net::http_client(proxy, CONNECT)?,
            way: Way::new(url.expose(), proxy),
            url: url.clone(),
            // The configuration has seen that each of them is one.
            headers: headers.iter().filter_map(sensitive).collect(),
            next_id: AtomicU64::new(1),
            session: Mutex::new(None),
        })
    }

    pub(super) fn way(&self) -> Way {
        self.way.clone()
    }

    pub(super) async fn request(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        let session = self.session().await?;
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let sent = self.send(&wire::request(id, method, params), Some(&session)).await;
        match sent {
            Ok(response) => self.answer(response, id).await,
            // A session that ran out is answered with 404 (or, by some, 400): the next request begins another.
            Err(McpError::Status(400 | 404)) if session.id.is_some() => {
                *self.session.lock().await = None;
                Err(McpError::Expired)
            }
            Err(error) => Err(error),
        }
    }

    /// The session in use, or a new one. Whoever comes meanwhile waits for it.
    async fn session(&self) -> Result<Session, McpError> {
        let mut session = self.session.lock().await;
        if let Some(session) = &*session {
            return Ok(session.clone());
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let response = self.send(&wire::request(id, "initialize", &wire::hello()), None).await?;
        let session_id = response.headers().get(SESSION).cloned();
        let version = wire::version(&self.answer(response, id).await?)?;
        let version = HeaderValue::try_from(version).map_err(|_| McpError::Protocol("a strange version"))?;
        let begun = Session { id: session_id, version };
        self.send(&wire::notification("notifications/initialized"), Some(&begun)).await?;
        Ok(session.insert(begun).clone())
    }

    async fn send(&self, message: &Value, session: Option<&Session>) -> Result<Response, McpError> {
        let request = self.http.post(self.url.expose()).headers(self.headers.clone());
        let request = request
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"))
            .body(message.to_string());
        let request = match session {
            None => request,
            Some(Session { id, version }) => {
                let request = request.header(VERSION, version);
                match id {
                    Some(id) => request.header(SESSION, id),
                    None => request,
                }
            }
        };
        let response = request.send().await.map_err(|error| McpError::Unreachable(self.way.fault_of(&error)))?;
        match response.status().as_u16() {
            200..=299 => Ok(response),
            status => Err(McpError::Status(status)),
        }
    }

    /// Reads until the answer to request `id` has come.
    async fn answer(&self, mut response: Response, id: u64) -> Result<Value, McpError> {
        const MISSING: McpError = McpError::Protocol("no answer to what was asked");
        let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let streams = kind.to_ascii_lowercase().starts_with("text/event-stream");
        let (mut read, mut body, mut events) = (0, Vec::new(), Events::default());
        while let Some(bytes) =
            response.chunk().await.map_err(|error| McpError::Unreachable(self.way.fault_of(&error)))?
        {
            read += bytes.len();
            if read > wire::MOST_BYTES {
                return Err(McpError::Protocol("more than 4 MiB"));
            }
            if streams {
                for event in events.feed(&bytes) {
                    if let Some(answer) = wire::answer(&event, id) {
                        return answer;
                    }
                }
            } else {
                body.extend_from_slice(&bytes);
            }
        }
        if streams {
            return events.end().and_then(|event| wire::answer(&event, id)).unwrap_or(Err(MISSING));
        }
        wire::answer(&body, id).unwrap_or(Err(MISSING))
    }
}

/// Server-sent events, of which only the data counts.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    data: Vec<u8>,
}

impl Events {
    fn feed(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut events = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
            } else if let Some(event) = self.end_line() {
                events.push(event);
            }
        }
        events
    }

    fn end_line(&mut self) -> Option<Vec<u8>> {
        let line = std::mem::take(&mut self.line);
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            let event = std::mem::take(&mut self.data);
            return (!event.is_empty()).then_some(event);
        }
        if let Some(data) = line.strip_prefix(b"data:") {
            if !self.data.is_empty() {
                self.data.push(b'\n');
            }
            self.data.extend_from_slice(data.strip_prefix(b" ").unwrap_or(data));
        }
        None
    }

    /// An event whose empty line was forgotten.
    fn end(&mut self) -> Option<Vec<u8>> {
        self.end_line();
        let event = std::mem::take(&mut self.data);
        (!event.is_empty()).then_some(event)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_read_however_they_are_cut() {
        let stream = b": ping\r\nevent: message\r\ndata: {\"a\":\r\ndata: 1}\r\n\r\nid: 3\ndata:two\n\ndata: last";
        for size in 1..stream.len() {
            let mut events = Events::default();
            let mut all: Vec<Vec<u8>> = stream.chunks(size).flat_map(|bytes| events.feed(bytes)).collect();
            all.extend(events.end());
            assert_eq!(all, [b"{\"a\":\n1}".to_vec(), b"two".to_vec(), b"last".to_vec()], "{size}");
        }
    }
}
