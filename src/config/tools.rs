//! `[tools]`: what the model may call while it answers.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{
    fault::Wrong,
    llm::headers,
    reader::{self, NOT_SET, Reader, Reported},
    setting::Value,
    table::{self, Table, missing},
    url,
};
use crate::{net::link::Way, secret::Secret};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Tools {
    /// Whether the model may read web pages.
    pub web: bool,
    /// Whether members are shown in a line what is called.
    pub show_calls: bool,
    /// Calls for one answer.
    pub max_calls: u32,
    /// How long one call may take.
    pub timeout: Duration,
    /// Characters of a result that the model is shown.
    pub max_result_chars: usize,
    /// Where further tools are.
    pub mcp: Vec<McpServer>,
}

/// A server of tools.
#[derive(Clone, Debug)]
pub struct McpServer {
    /// Its name in logs, in names of tools and before members.
    pub name: Arc<str>,
    /// How it is spoken to.
    pub at: McpAddress,
    /// Its tools that may be called; at least one.
    pub allow: Vec<String>,
    /// The applications whose members may have them called; empty: all.
    pub apps: Vec<String>,
}

/// How a server of tools is spoken to.
#[derive(Clone, Debug)]
pub enum McpAddress {
    /// Over HTTP.
    Url {
        /// Its endpoint. Some have their key in it.
        url: Secret<String>,
        /// Sent with every request.
        headers: BTreeMap<String, Secret<String>>,
        /// Through which it is reached.
        proxy: Option<Secret<String>>,
    },
    /// A program that is started, over its standard input and output.
    Command {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Its environment beside `PATH` and `HOME`.
        env: BTreeMap<String, Secret<String>>,
    },
}

const SERVER: [&str; 9] = ["name", "url", "headers", "proxy", "command", "args", "env", "allow", "apps"];

impl Tools {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let web = reader.flag("tools.web");
        let show_calls = reader.flag("tools.show_calls");
        let max_calls = reader.whole("tools.max_calls", 1..=50);
        let timeout = reader.whole("tools.timeout_seconds", 1..=600);
        let max_result_chars = reader.whole("tools.max_result_chars", 200..=500_000);
        let mcp = reader.take("tools.mcp", servers);
        Ok(Self {
            web: web?,
            show_calls: show_calls?,
            max_calls: max_calls?,
            timeout: Duration::from_secs(timeout?),
            max_result_chars: max_result_chars?,
            mcp: mcp?,
        })
    }
}

fn servers(value: &Value) -> Result<(Vec<McpServer>, String), Wrong> {
    let servers = table::list(value, "tools.mcp", server)?;
    table::all_differ(servers.iter().map(|server| &*server.name), "每个服务应有自己的名字")?;
    let shown = |server: &McpServer| {
        let at = match &server.at {
            McpAddress::Url { url, .. } => Way::new(url.expose(), None).server,
            McpAddress::Command { command, .. } => command.clone(),
        };
        format!("{} ({at}: {})", server.name, server.allow.join(", "))
    };
    let shown = servers.iter().map(shown).collect::<Vec<_>>().join("; ");
    Ok((servers, if shown.is_empty() { NOT_SET.to_owned() } else { shown }))
}

fn server(value: &Value) -> Result<McpServer, Wrong> {
    let table = Table::new(value, &SERVER)?;
    let name = table.text("name")?.ok_or_else(|| missing("name", ["自己起的短名字", "a short name of your own"]))?;
    let is_short = name.len() <= 24 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !is_short {
        let right = ["应为不超过 24 个字母、数字、- 或 _", "expected at most 24 letters, digits, - or _"];
        return Err(Wrong::new(["不能用作名字", "cannot be a name"], right).within("name"));
    }
    let texts = |key: &str| -> Result<Vec<String>, Wrong> {
        let texts = table.list(key)?.iter().map(|item| item.text().map(str::to_owned)).collect::<Result<_, _>>();
        texts.map_err(|wrong| wrong.within(key))
    };
    let allow = texts("allow")?;
    if allow.is_empty() {
        let right = ["允许调用的工具名，如 [\"search\"]", "the tools that may be called, such as [\"search\"]"];
        return Err(missing("allow", right));
    }
    let at = match (table.text("url")?, table.text("command")?) {
        (Some(text), None) => McpAddress::Url {
            url: Secret::new(url::any_http(text).map_err(|wrong| wrong.within("url"))?),
            headers: match table.get("headers") {
                Some(value) => headers(value).map_err(|wrong| wrong.within("headers"))?,
                None => BTreeMap::new(),
            },
            proxy: table
                .text("proxy")?
                .map(url::proxy)
                .transpose()
                .map_err(|wrong| wrong.within("proxy"))?
                .map(|proxy| proxy.url),
        },
        (None, Some(command)) => {
            let env =
                table.get("env").map(|value| reader::texts(value, "tools.mcp").map_err(|wrong| wrong.within("env")));
            let env = env.transpose()?.unwrap_or_default().into_iter();
            let env = env.map(|(name, value)| (name, Secret::new(value))).collect();
            McpAddress::Command { command: command.to_owned(), args: texts("args")?, env }
        }
        (Some(_), Some(_)) => {
            return Err(Wrong::new(
                ["既有 url 又有 command", "has both url and command"],
                ["二者只能有一个", "expected one of the two"],
            ));
        }
        (None, None) => return Err(missing("url", ["MCP 服务的地址", "the address of the MCP server"])),
    };
    Ok(McpServer { name: name.into(), at, allow, apps: texts("apps")? })
}
