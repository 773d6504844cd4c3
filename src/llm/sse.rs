//! Server-sent events: bytes in, the data of each event out.
//!
//! Reads only what a model's stream uses: `data` lines, joined until an empty line. Comments (keep-alives) and other
//! fields are skipped. Knows nothing of what the data means.
//!
//! Written here because `sse-stream`, which does linear work too, keeps whatever comes until a line ends, without a
//! limit, and drops the last event of an upstream that forgets the final empty line. To read another field, add it to
//! [`Events::end_line`].

use bytes::{Buf, Bytes};
use memchr::memchr2;

/// The longest event, in bytes, its unfinished line included. A chunk of an answer has some hundred bytes; an answer
/// that was not streamed comes in one piece and has some ten thousand.
pub(super) const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// An event is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// The events of one stream. Every byte is looked at once and copied at most twice, in whatever pieces it comes.
#[derive(Debug, Default)]
pub(super) struct Events {
    input: Bytes,
    line: Vec<u8>,
    /// The lines of the event so far; `None` before its first `data` line.
    data: Option<Vec<u8>>,
    /// The last line ended in CR: a LF that follows belongs to it.
    after_cr: bool,
    /// A byte order mark may stand before the first line only.
    begun: bool,
}

impl Events {
    /// Takes in what came. [`Events::next`] must have taken everything out before.
    pub(super) fn feed(&mut self, bytes: Bytes) {
        debug_assert!(self.input.is_empty(), "events are taken out before more comes in");
        self.input = bytes;
    }

    /// The data of the next event; `None` when it has not come whole.
    ///
    /// # Errors
    /// [`TooLong`]; nothing can be read after it.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, TooLong> {
        while let Some(&first) = self.input.first() {
            if std::mem::take(&mut self.after_cr) && first == b'\n' {
                self.input.advance(1);
                continue;
            }
            let Some(end) = memchr2(b'\n', b'\r', &self.input) else {
                let part = std::mem::take(&mut self.input);
                self.extend_line(&part)?;
                break;
            };
            let part = self.input.split_to(end);
            self.after_cr = self.input.get_u8() == b'\r';
            self.extend_line(&part)?;
            if let Some(event) = self.end_line() {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The event that the end of the stream completes: some upstreams forget the last line ends.
    pub(super) fn finish(&mut self) -> Option<Vec<u8>> {
        if !self.line.is_empty() {
            self.end_line();
        }
        self.data.take()
    }

    fn extend_line(&mut self, part: &[u8]) -> Result<(), TooLong> {
        let held = self.line.len() + self.data.as_ref().map_or(0, Vec::len);
        if held + part.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.line.extend_from_slice(part);
        Ok(())
    }

    /// Takes the line as read. An empty one completes the event.
    fn end_line(&mut self) -> Option<Vec<u8>> {
        let mut line = self.line.as_slice();
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            self.line.clear();
            return self.data.take();
        }
        take_line(&mut self.data, line);
        self.line.clear();
        None
    }
}

/// Takes a line that is not empty into the data of its event.
pub(super) fn take_line(data: &mut Option<Vec<u8>>, line: &[u8]) {
    let value = match line.strip_prefix(b"data") {
        Some([]) => &[][..],
        Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
        _ => return,
    };
    match data {
        Some(data) => {
            data.push(b'\n');
            data.extend_from_slice(value);
        }
        None => *data = Some(value.to_vec()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The events of `pieces`, the one that the end completes included.
    fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut events = Events::default();
        let mut found = Vec::new();
        for piece in pieces {
            events.feed(Bytes::copy_from_slice(piece));
            while let Some(event) = events.next().expect("short events") {
                found.push(event);
            }
        }
        found.extend(events.finish());
        found.into_iter().map(|event| String::from_utf8(event).expect("UTF-8")).collect()
    }

    #[test]
    fn a_stream_cut_anywhere_gives_the_same_events() {
        let streams: [(&[u8], &[&str]); 6] = [
            (b"data: a\n\ndata:b\n\n", &["a", "b"]),
            (b"\xEF\xBB\xBFdata: a\r\ndata:  b\r\n\r\n: ping\r\n\r\nid: 7\r\n\r\ndata: c\r\n\r\n", &["a\n b", "c"]),
            (b"data: a\r\rdata\r\rdatum: x\r\r", &["a", ""]),
            (": \u{8fde}\n\ndata: \u{4f60}\u{597d}\n\n\n\n".as_bytes(), &["\u{4f60}\u{597d}"]),
            (b"event: error\nretry: 5\ndata: the end is missing", &["the end is missing"]),
            (b"", &[]),
        ];
        for (stream, expected) in streams {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let pieces = [&stream[..first], &stream[first..second], &stream[second..]];
                    assert_eq!(events(pieces), expected, "cut at {first} and {second}");
                }
            }
            assert_eq!(events(stream.chunks(1)), expected);
        }
    }

    #[test]
    fn a_long_line_in_small_pieces_is_never_looked_at_again() {
        let mut events = Events::default();
        events.feed(Bytes::from_static(b"data: "));
        assert_eq!(events.next(), Ok(None));
        let piece = Bytes::from(vec![b'x'; 4096]);
        for _ in 0..1024 {
            events.feed(piece.clone());
            assert_eq!(events.next(), Ok(None));
            // `next` searches `input` only, and nothing of what it has searched is left there.
            assert!(events.input.is_empty());
        }
        events.feed(Bytes::from_static(b"\n\n"));
        let event = events.next().expect("within the limit").expect("complete");
        assert_eq!(event.len(), 4 * 1024 * 1024);
    }

    #[test]
    fn what_never_ends_is_refused_at_the_limit() {
        for endless in [&b"data: xxxxxxxxx"[..], b"data: xxxxxxxx\n", b": xxxxxxxxxxxx"] {
            let mut events = Events::default();
            let piece = Bytes::from(endless.repeat(4096));
            let fed = (0..).take_while(|_| {
                events.feed(piece.clone());
                events.next() == Ok(None)
            });
            assert!(fed.count() * piece.len() <= 2 * MAX_EVENT_BYTES);
        }
    }
}
