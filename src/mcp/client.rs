//! Speaks to one server of tools. A session begins with the first call and, where the server has lost it, anew.

use std::time::Duration;

use serde_json::{Value, json};

pub use super::wire::{Called, Tool};
use super::{http::Http, program::Program, wire};
use crate::{
    clock::Clock,
    config::tools::{McpAddress, McpServer},
    net::{
        self,
        link::{LinkFault, Way},
    },
};

/// Pages of a list of tools.
const MOST_PAGES: usize = 16;

/// What a server did not do. Says nothing of what was asked.
#[derive(Debug, thiserror::Error)]
pub enum McpError {
    /// No connection, or it broke.
    #[error("the server cannot be reached")]
    Unreachable(LinkFault),
    /// The program cannot be started, or has ended.
    #[error("the program cannot be run")]
    Program(#[source] std::io::Error),
    /// A status that is not success.
    #[error("the server answered with status {0}")]
    Status(u16),
    /// What comes is not the protocol.
    #[error("the server does not speak the protocol: {0}")]
    Protocol(&'static str),
    /// It says no.
    #[error("the server refuses with code {code}: {message}")]
    Refused {
        /// The code of JSON-RPC.
        code: i64,
        /// Its words, on one line.
        message: String,
    },
    /// It took too long.
    #[error("the server did not answer in time")]
    TimedOut,
    /// The session is not known any more; nothing was done.
    #[error("the server has lost the session")]
    Expired,
}

/// One server.
pub struct Client {
    transport: Transport,
    clock: Clock,
    limit: Duration,
}

enum Transport {
    Http(Box<Http>),
    Program(Box<Program>),
}

impl Client {
    /// For the server of these settings; each call may take `limit`. Nobody is called yet.
    ///
    /// # Errors
    /// The proxy or the TLS set-up is unusable.
    pub fn new(server: &McpServer, limit: Duration, clock: Clock) -> Result<Self, net::Error> {
        let transport = match &server.at {
            McpAddress::Url { url, headers, proxy } => {
                Transport::Http(Box::new(Http::new(url, headers, proxy.as_ref())?))
            }
            McpAddress::Command { command, args, env } => {
                Transport::Program(Box::new(Program::new(command, args, env)))
            }
        };
        Ok(Self { transport, clock, limit })
    }

    /// The way there; `None` for a program.
    pub fn way(&self) -> Option<Way> {
        match &self.transport {
            Transport::Http(http) => Some(http.way()),
            Transport::Program(_) => None,
        }
    }

    /// What the server offers.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn tools(&self) -> Result<Vec<Tool>, McpError> {
        let listed = async {
            let (mut tools, mut cursor) = (Vec::new(), None);
            for _ in 0..MOST_PAGES {
                let params = cursor.map_or_else(|| json!({}), |cursor: String| json!({"cursor": cursor}));
                let (more, next) = wire::tools(&self.request("tools/list", &params).await?);
                tools.extend(more);
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            Ok(tools)
        };
        self.clock.timeout(self.limit, listed).await.unwrap_or(Err(McpError::TimedOut))
    }

    /// Calls a tool once.
    ///
    /// # Errors
    /// [`McpError`]: unless it is [`McpError::Refused`], it may have been done all the same.
    pub async fn call(&self, tool: &str, arguments: Value) -> Result<Called, McpError> {
        let params = json!({"name": tool, "arguments": arguments});
        let called = async { Ok(wire::called(&self.request("tools/call", &params).await?)) };
        self.clock.timeout(self.limit, called).await.unwrap_or(Err(McpError::TimedOut))
    }

    async fn request(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        match self.request_once(method, params).await {
            // Whoever has no session has done nothing with what was asked.
            Err(McpError::Expired) => self.request_once(method, params).await,
            other => other,
        }
    }

    async fn request_once(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        match &self.transport {
            Transport::Http(http) => http.request(method, params).await,
            Transport::Program(program) => program.request(method, params).await,
        }
    }
}
