//! One event, one line: what an event quotes cannot begin a line of its own, nor write on a terminal.

use std::{
    fmt::Write as _,
    io::{self, Write},
};

use tracing_subscriber::fmt::MakeWriter;

/// Writes each event to what `inner` makes, as one line.
#[derive(Clone, Debug)]
pub(super) struct OneLine<M> {
    pub(super) inner: M,
    /// Whether the formatter colours: then what only colours may pass.
    pub(super) has_colours: bool,
}

/// Of one event.
#[derive(Debug)]
pub(super) struct Line<W> {
    inner: W,
    has_colours: bool,
}

impl<'a, M: MakeWriter<'a>> MakeWriter<'a> for OneLine<M> {
    type Writer = Line<M::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        Line { inner: self.inner.make_writer(), has_colours: self.has_colours }
    }
}

/// The formatter gives a whole event at once, with the end of its line. It is written at once too, so that no other comes
/// between.
impl<W: Write> Write for Line<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let (line, end) = event.strip_suffix(b"\n").map_or((event, ""), |line| (line, "\n"));
        let text = String::from_utf8_lossy(line);
        if text.chars().any(breaks) {
            self.inner.write_all((self.harmless(&text) + end).as_bytes())?;
        } else {
            self.inner.write_all(event)?;
        }
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<W> Line<W> {
    fn harmless(&self, text: &str) -> String {
        let mut written = String::with_capacity(text.len() + 16);
        for (at, c) in text.char_indices() {
            if breaks(c) && !(self.has_colours && colours(&text[at..])) {
                // As JSON has it, so that a line of JSON stays one.
                let _ = write!(written, "\\u{:04x}", u32::from(c));
            } else {
                written.push(c);
            }
        }
        written
    }
}

/// Whether a text begins with an order to a terminal that sets a colour, and nothing else.
fn colours(text: &str) -> bool {
    let order = text.strip_prefix("\u{1b}[").and_then(|rest| rest.split_once('m'));
    order.is_some_and(|(numbers, _)| numbers.bytes().all(|byte| byte.is_ascii_digit() || byte == b';'))
}

/// Ends a line, is an order to a terminal, or changes the order in which what stands beside it is shown.
fn breaks(c: char) -> bool {
    c.is_control() && c != '\t'
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex, PoisonError};

    use tracing::{info, warn};
    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::*;

    /// What was written, each time.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<Vec<u8>>>>);

    impl Written {
        /// All of it, and in how many pieces.
        fn log(&self) -> (String, usize) {
            let pieces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            (String::from_utf8(pieces.concat()).expect("text"), pieces.len())
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes.to_vec());
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_an_event_quotes_begins_no_line_of_its_own() {
        let forged =
            "x\r\n2026-01-01T00:00:00Z  INFO an operator logged in operator=owner\u{2028}\u{202e}\u{1b}[2J\u{0}y";
        for colours in [false, true] {
            let written = Written::default();
            let writer = written.clone();
            let lines = fmt::layer()
                .with_ansi(colours)
                .with_writer(OneLine { inner: move || writer.clone(), has_colours: colours });
            tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
                warn!(name = %forged, quoted = forged, "refused {forged}");
                info!("你好\tand a second");
            });
            let (log, pieces) = written.log();
            assert_eq!((log.lines().count(), pieces), (2, 2), "nothing comes between a line and its end: {log:?}");
            assert!(log.contains(r"x\u000d\u000a2026-01-01") && log.contains(r"\u2028\u202e\u001b[2J"), "{log:?}");
            assert!(log.contains("你好\tand a second") && !log.contains("\u{1b}[2J"), "{log:?}");
            assert!(
                log.starts_with(if colours { "\u{1b}[2m20" } else { "20" }) && log.contains('Z'),
                "by UTC: {log:?}"
            );
        }
    }

    #[test]
    fn a_line_of_json_stays_one_and_says_the_same() {
        let forged = "x\r\n{}\u{2028}\u{202e}\u{1b}[2J\u{7f}\u{85}\u{0}y";
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer().json().flatten_event(true);
        let lines = lines.with_writer(OneLine { inner: move || writer.clone(), has_colours: false });
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || {
            warn!(name = %forged, quoted = forged, "refused {forged}");
        });
        let (log, _) = written.log();
        assert!(log.ends_with('\n') && !log.trim_end_matches('\n').chars().any(breaks), "{log:?}");
        let line: serde_json::Value = serde_json::from_str(&log).expect("JSON");
        assert_eq!((&line["name"], &line["quoted"]), (&forged.into(), &forged.into()));
        assert_eq!(line["message"], format!("refused {forged}"));
    }
}
