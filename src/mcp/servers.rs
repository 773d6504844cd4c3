//! Every server of tools that is configured, and what it offers at the moment.
//!
//! What they offer is asked in the background, so that no turn waits for it: at start, every few minutes, and more often
//! while a server does not answer. Only what the administrator allows is ever offered or called.

use std::{sync::Arc, time::Duration};

use serde_json::Value;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::client::{Called, Client, McpError, Tool};
use crate::{
    clock::Clock,
    config::{
        self,
        tools::{McpAddress, McpServer},
    },
    net::{self, link::Way},
};

/// How often a server that answers is asked what it offers.
const REFRESH: Duration = Duration::from_secs(300);
/// The same of one that does not.
const RETRY: Duration = Duration::from_secs(30);

/// All of them.
pub struct Servers {
    servers: Vec<Server>,
    clock: Clock,
    /// How often each has been asked; turns that begin before the first answer wait for it.
    rounds: watch::Sender<u64>,
}

struct Server {
    settings: McpServer,
    client: Client,
    /// What it offered last; `None`: it has not answered yet.
    offered: watch::Sender<Option<Arc<[Tool]>>>,
}

/// A tool that may be called.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Which server has it.
    pub server: Arc<str>,
    /// What it is.
    pub tool: Tool,
}

/// What the allow-list and the server say of each other.
#[derive(Debug)]
pub struct Checked {
    /// The server's name.
    pub name: Arc<str>,
    /// Where it is, to be shown; the program's name for a program.
    pub at: String,
    /// The way there; `None` for a program.
    pub way: Option<Way>,
    /// The allowed tools that it does not have, of how many that it has; or why it does not answer.
    pub outcome: Result<(Vec<String>, usize), McpError>,
}

impl Servers {
    /// For these settings. Nobody is called yet.
    ///
    /// # Errors
    /// A proxy or the TLS set-up is unusable.
    pub fn new(settings: &config::Tools, clock: Clock) -> Result<Self, net::Error> {
        let server = |server: &McpServer| {
            let client = Client::new(server, settings.timeout, clock.clone())?;
            Ok(Server { settings: server.clone(), client, offered: watch::Sender::new(None) })
        };
        let servers = settings.mcp.iter().map(server).collect::<Result<_, net::Error>>()?;
        Ok(Self { servers, clock, rounds: watch::Sender::new(0) })
    }

    /// Whether there are any.
    pub const fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }

    /// Asks the servers now and then what they offer, until `stop`.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        loop {
            let asked = async { futures_util::future::join_all(self.servers.iter().map(Server::refresh)).await };
            let all_well = tokio::select! {
                () = stop.cancelled() => return,
                well = asked => well.into_iter().all(|well| well),
            };
            self.rounds.send_modify(|rounds| *rounds += 1);
            // Without servers there is nothing to do, and a part of the process does not end by itself.
            let pause = if self.servers.is_empty() {
                stop.cancelled().await;
                return;
            } else if all_well {
                REFRESH
            } else {
                RETRY
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.clock.sleep(pause) => {}
            }
        }
    }

    /// What may be called for members of the application of this name, and the servers that have never answered. Waits
    /// until each server has been asked once.
    pub async fn offers(&self, app: Option<&str>) -> (Vec<Offer>, Vec<Arc<str>>) {
        let mut asked = self.rounds.subscribe();
        // The sender lives in `self`.
        let _ = asked.wait_for(|rounds| *rounds > 0).await;
        let (mut offers, mut silent) = (Vec::new(), Vec::new());
        for server in self.servers.iter().filter(|server| server.is_for(app)) {
            match &*server.offered.borrow() {
                None => silent.push(Arc::clone(&server.settings.name)),
                Some(tools) => offers.extend(
                    tools
                        .iter()
                        .filter(|tool| server.allows(&tool.name))
                        .map(|tool| Offer { server: Arc::clone(&server.settings.name), tool: tool.clone() }),
                ),
            }
        }
        (offers, silent)
    }

    /// Calls a tool of a server, once, if that is allowed.
    ///
    /// # Errors
    /// [`McpError`].
    pub async fn call(&self, server: &str, tool: &str, arguments: Value) -> Result<Called, McpError> {
        let server = self.servers.iter().find(|known| *known.settings.name == *server && known.allows(tool));
        match server {
            Some(server) => server.client.call(tool, arguments).await,
            None => Err(McpError::Refused { code: -32601, message: "not allowed here".to_owned() }),
        }
    }

    /// Asks each server what it has, for whoever examines the set-up.
    pub async fn check(&self) -> Vec<Checked> {
        let mut all = Vec::new();
        for server in &self.servers {
            all.push(server.check().await);
        }
        all
    }
}

impl Server {
    fn allows(&self, tool: &str) -> bool {
        self.settings.allow.iter().any(|allowed| allowed == tool)
    }

    fn is_for(&self, app: Option<&str>) -> bool {
        let apps = &self.settings.apps;
        apps.is_empty() || app.is_some_and(|app| apps.iter().any(|name| name == app))
    }

    async fn check(&self) -> Checked {
        let McpServer { name, allow, at, .. } = &self.settings;
        let way = self.client.way();
        let at = match (&way, at) {
            (Some(way), _) => way.server.clone(),
            (None, McpAddress::Command { command, .. }) => command.clone(),
            (None, McpAddress::Url { .. }) => String::new(),
        };
        let missing = |tools: Vec<Tool>| {
            let lacks = |allowed: &&String| !tools.iter().any(|tool| tool.name == **allowed);
            (allow.iter().filter(lacks).cloned().collect(), tools.len())
        };
        Checked { name: Arc::clone(name), at, way, outcome: self.client.tools().await.map(missing) }
    }

    /// Asks what it offers. What it offered before stays while it does not answer: calls then fail honestly.
    async fn refresh(&self) -> bool {
        let name = &self.settings.name;
        match self.client.tools().await {
            Ok(tools) => {
                let tools: Arc<[Tool]> = tools.into_iter().filter(|tool| self.allows(&tool.name)).collect();
                let before = self.offered.send_replace(Some(Arc::clone(&tools)));
                if before.is_none() {
                    info!(server = %name, tools = tools.len(), "a server of tools answers");
                }
                true
            }
            Err(error) => {
                warn!(server = %name, "a server of tools does not say what it offers: {error}");
                false
            }
        }
    }
}
