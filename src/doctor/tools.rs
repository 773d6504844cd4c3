//! The servers of tools: who answers, and whether the tools that are allowed are there.

use super::{
    cause::{Cause, tools::Tools},
    finding::Outcome,
    wecom::link,
};
use crate::{
    clock::Clock,
    config,
    mcp::{
        client::McpError,
        servers::{Checked, Servers},
    },
};

/// One outcome for each server; none where none is set.
pub(super) async fn check(settings: &config::Tools, clock: &Clock) -> Vec<Outcome> {
    // A proxy that cannot be used has kept the daemon from starting, and says so there.
    let Ok(servers) = Servers::new(settings, clock.clone()) else { return Vec::new() };
    let limit = settings.timeout.as_secs();
    servers.check().await.into_iter().map(|checked| told(checked, limit)).collect()
}

fn told(Checked { name, at, way, outcome }: Checked, limit: u64) -> Outcome {
    let ill = |cause, about: String| Outcome::ill(Cause::Tools(cause), about);
    let outcome = match (outcome, way) {
        (Ok((missing, count)), _) if missing.is_empty() => {
            Outcome::well(format!("{at}，{count} 个工具"), format!("{at}, {count} tools"))
        }
        (Ok((missing, _)), _) => ill(Tools::Missing, missing.join(", ")),
        (Err(McpError::Unreachable(fault)), Some(way)) => link(fault, &way),
        (Err(McpError::Program(error)), _) => ill(Tools::Program, error.to_string()),
        (Err(McpError::Protocol(what)), _) => ill(Tools::NoProtocol, what.to_owned()),
        (Err(McpError::TimedOut), _) => ill(Tools::TooSlow, format!("{limit} s")),
        (Err(error), _) => ill(Tools::Refused, error.to_string()),
    };
    Outcome::of_server(&name, outcome)
}
