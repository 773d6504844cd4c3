//! `[log]`: what is written where.

use tracing_subscriber::EnvFilter;

use super::{
    fault::Wrong,
    reader::{Reader, Reported},
};

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The section's values.
#[derive(Clone, Debug)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// A `tracing` filter, such as `info` or `info,qimate::chat=debug`.
    pub level: String,
    /// Whether the text of messages may be logged (at debug).
    pub message_text: bool,
}

impl Log {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let format = reader.choice("log.format", &[("text", LogFormat::Text), ("json", LogFormat::Json)]);
        let level = reader.text("log.level", filter);
        let message_text = reader.flag("log.message_text");
        Ok(Self { format: format?, level: level?, message_text: message_text? })
    }
}

/// The filter's own parser takes any bare word for the name of a module, so that `verbose` would silence the log.
fn filter(text: &str) -> Result<String, Wrong> {
    const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];
    let levels_or_rules =
        text.split(',').all(|word| word.contains('=') || LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word)));
    if levels_or_rules && EnvFilter::builder().parse(text).is_ok() {
        Ok(text.to_owned())
    } else {
        let right = [
            "应为 error、warn、info、debug 或 trace，或 info,qimate::chat=debug 这样的写法",
            "expected error, warn, info, debug or trace, or such as info,qimate::chat=debug",
        ];
        Err(Wrong::new(["不是日志级别", "is not a level"], right))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_a_known_one() {
        for good in ["info", "WARN", "off", "info,qimate::chat=debug", "qimate=trace"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["verbose", "info,qimate::chat", "qimate=loud", "info,"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
