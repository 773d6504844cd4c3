//! The log.
//!
//! No text of a message and no secret is in it, at any level, unless `log.message_text` allows the texts. Our own lines
//! hold none; this file sees to those that are not ours.

mod lines;

use std::{io::IsTerminal, panic::PanicHookInfo};

use anyhow::Context;
use tracing::{Level, Metadata, error, warn};
use tracing_subscriber::{EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use self::lines::OneLine;
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
    let lines = fmt::layer().with_writer(OneLine { inner: std::io::stderr, has_colours: colours }).with_ansi(colours);
    let lines = match settings.format {
        LogFormat::Text => lines.boxed(),
        LogFormat::Json => lines.json().flatten_event(true).with_span_list(false).boxed(),
    };
    tracing_subscriber::registry()
        .with(lines.with_filter(filter_fn(may_be_written)))
        .with(filter)
        .try_init()
        .map_err(|error| anyhow::anyhow!("cannot log: {error}"))?;
    std::panic::set_hook(Box::new(log_panic));
    if settings.message_text {
        warn!("log.message_text is on: what employees write and are answered is logged at the level debug");
    }
    Ok(())
}

/// Whatever `log.level` says: of libraries nothing below info. Their debug and trace lines quote requests: WeCom wants
/// its secrets in URLs, and what is sent is what employees say.
fn may_be_written(line: &Metadata<'_>) -> bool {
    const OURS: &str = "qimate";
    let target = line.target();
    target == OURS || target.starts_with("qimate::") || *line.level() <= Level::INFO
}

/// Says where something broke. What it said is shown only where it was written in the source: a text that was made when
/// it broke may quote a message, as that of a string cut within a character does.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let location = panic.location().map(ToString::to_string).unwrap_or_default();
    let reason =
        panic.payload().downcast_ref::<&'static str>().copied().unwrap_or("(not shown: it may quote a message)");
    error!(location, reason, "a part of the program broke");
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The process has one hook for all its tests, so it is set here for those threads alone that write to `written`.
    #[test]
    fn a_panic_shows_its_place_and_no_words_that_were_made_up() {
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            tracing_subscriber::registry().with(fmt::layer().with_ansi(false).with_writer(move || writer.clone()));
        let ours = std::thread::current().id();
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::thread::current().id() == ours { log_panic(panic) } else { before(panic) }
        }));
        tracing::subscriber::with_default(subscriber, || {
            let said = String::from("隐秘的话");
            let cut = std::panic::catch_unwind(|| said[1..].len());
            let literal = std::panic::catch_unwind(|| assert!(said.is_empty(), "it is written in the source"));
            assert!(cut.is_err() && literal.is_err());
        });
        let log = String::from_utf8(written.0.lock().unwrap_or_else(PoisonError::into_inner).clone()).expect("text");
        assert!(!log.contains("隐秘") && log.contains("it may quote a message"), "{log}");
        assert!(log.contains("it is written in the source") && log.matches("telemetry.rs").count() == 2, "{log}");
    }
}
