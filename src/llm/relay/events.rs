//! Server-sent events with their bytes: what is passed on is what came.

use bytes::{Bytes, BytesMut};

use crate::llm::sse::take_line;

/// The longest event, in bytes, unfinished ones included.
pub(super) const MAX_EVENT_BYTES: usize = 8 * 1024 * 1024;

/// An event is longer than [`MAX_EVENT_BYTES`].
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooLong;

/// One event: its bytes, and its data where it has any.
pub(super) type Raw = (Bytes, Option<Vec<u8>>);

/// Cuts a stream at the ends of its events. Each byte is looked at once.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    held: BytesMut,
    /// Up to here `held` was looked at; its line began at `line`.
    seen: usize,
    line: usize,
    data: Option<Vec<u8>>,
    begun: bool,
}

impl Splitter {
    /// Takes in what came.
    ///
    /// # Errors
    /// [`TooLong`]; nothing can be read after it.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.held.len() + bytes.len() > MAX_EVENT_BYTES {
            return Err(TooLong);
        }
        self.held.extend_from_slice(bytes);
        Ok(())
    }

    /// The next event that has come whole.
    pub(super) fn next(&mut self) -> Option<Raw> {
        while let Some(byte) = self.held.get(self.seen) {
            match byte {
                b'\n' => {
                    let end = self.seen;
                    if let Some(event) = self.end_line(end, end + 1) {
                        return Some(event);
                    }
                }
                // A line feed behind it belongs to it; whether there is one must be known.
                b'\r' => match self.held.get(self.seen + 1) {
                    None => return None,
                    next => {
                        let (end, width) = (self.seen, if next == Some(&b'\n') { 2 } else { 1 });
                        if let Some(event) = self.end_line(end, end + width) {
                            return Some(event);
                        }
                    }
                },
                _ => self.seen += 1,
            }
        }
        None
    }

    /// What is left at the end of the stream: some upstreams forget the last line ends.
    pub(super) fn finish(&mut self) -> Option<Raw> {
        if self.held.is_empty() {
            return None;
        }
        let end = self.held.len() - usize::from(self.held.ends_with(b"\r"));
        if end > self.line {
            let _ = self.end_line(end, self.held.len());
        }
        Some((self.held.split().freeze(), self.data.take()))
    }

    /// Takes the line as read that ends before `end` and whose end goes up to `next`.
    fn end_line(&mut self, end: usize, next: usize) -> Option<Raw> {
        let mut line = &self.held[self.line..end];
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        if line.is_empty() {
            (self.seen, self.line) = (0, 0);
            return Some((self.held.split_to(next).freeze(), self.data.take()));
        }
        take_line(&mut self.data, line);
        (self.seen, self.line) = (next, next);
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> (Vec<String>, Vec<u8>) {
        let mut splitter = Splitter::default();
        let (mut data, mut raw) = (Vec::new(), Vec::new());
        let mut take = |event: Raw| {
            raw.extend_from_slice(&event.0);
            data.extend(event.1.map(|data| String::from_utf8(data).expect("UTF-8")));
        };
        for piece in pieces {
            splitter.feed(piece).expect("short");
            while let Some(event) = splitter.next() {
                take(event);
            }
        }
        if let Some(event) = splitter.finish() {
            take(event);
        }
        (data, raw)
    }

    #[test]
    fn however_it_is_cut_every_byte_is_kept_and_the_same_is_read() {
        for (stream, expected) in [
            (&b"data: a\n\n: ping\n\ndata:b\n\n"[..], &["a", "b"][..]),
            (b"\xEF\xBB\xBFdata: a\r\ndata:  b\r\n\r\nid: 7\r\n\r\ndata: c\r\n\r\n", &["a\n b", "c"]),
            (b"data: a\r\rdata\r\rdatum: x\r\r", &["a", ""]),
            (b"event: error\ndata: the end is missing", &["the end is missing"]),
            (b"data: a\n\ndata: [DONE]\n", &["a", "[DONE]"]),
            (b"\n\n\n", &[]),
            (b"", &[]),
        ] {
            for first in 0..=stream.len() {
                for second in first..=stream.len() {
                    let (data, raw) = split(&[&stream[..first], &stream[first..second], &stream[second..]]);
                    assert_eq!(
                        (data.as_slice(), raw.as_slice()),
                        (expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>().as_slice(), stream)
                    );
                }
            }
        }
    }

    #[test]
    fn what_never_ends_is_refused() {
        let mut splitter = Splitter::default();
        let piece = vec![b'x'; 1024 * 1024];
        let fed = (0..).take_while(|_| splitter.feed(&piece).is_ok() && splitter.next().is_none()).count();
        assert_eq!(fed, 8);
    }
}
