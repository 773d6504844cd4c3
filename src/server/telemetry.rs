//! The log.

use std::io::IsTerminal;

use anyhow::Context;
use tracing_subscriber::{EnvFilter, fmt};

use crate::config::{self, log::LogFormat};

/// Begins to log to standard error, once a process.
///
/// # Errors
/// `log.level` is no filter, or logging has begun before.
pub fn init(settings: &config::Log) -> anyhow::Result<()> {
    let filter =
        EnvFilter::try_new(&settings.level).context("log.level; expected such as info or info,qimate=debug")?;
    // Colours are for a person who looks on, not for a collector that reads.
    let colours = std::io::stderr().is_terminal();
    let log = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours);
    let begun = match settings.format {
        LogFormat::Text => log.try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
    begun.map_err(|error| anyhow::anyhow!("cannot log: {error}"))
}
