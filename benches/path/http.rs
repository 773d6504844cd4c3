//! As little HTTP/1.1 as the two sides need: whoever measures should take as little of the machine as possible.

use std::{
    io,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::ensure;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
};

const HEAD_END: &[u8] = b"\r\n\r\n";
const LAST_CHUNK: &[u8] = b"\r\n0\r\n\r\n";
const CONTENT_LENGTH: &[u8] = b"content-length: ";

/// A connection on which requests are written as they are.
#[derive(Debug)]
pub(crate) struct Caller {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Caller {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1024) })
    }

    /// Writes a whole request, reads the whole answer, and returns its status.
    pub(crate) async fn call(&mut self, request: &[u8]) -> io::Result<u16> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        loop {
            read_more(&mut self.stream, &mut self.buffer).await?;
            if let Some(end) = whole(&self.buffer) {
                debug_assert_eq!(end, self.buffer.len(), "nothing comes unasked");
                let status = self.buffer.get(9..12).and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
                return status.ok_or_else(|| io::ErrorKind::InvalidData.into());
            }
        }
    }
}

/// An answer, or as much of it as has come.
#[derive(Debug)]
pub(crate) struct Answer<'c> {
    caller: &'c mut Caller,
}

impl Caller {
    /// Writes a whole request, and waits until `mark` has come of its answer.
    pub(crate) async fn begin(&mut self, request: &[u8], mark: &[u8]) -> io::Result<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        while find(&self.buffer, mark).is_none() {
            read_more(&mut self.stream, &mut self.buffer).await?;
        }
        Ok(Answer { caller: self })
    }
}

impl Answer<'_> {
    /// Waits for more, which must not be the end.
    pub(crate) async fn more(&mut self) -> io::Result<()> {
        read_more(&mut self.caller.stream, &mut self.caller.buffer).await
    }

    /// Whether an answer in chunks has come to its end.
    pub(crate) fn is_over(&self) -> bool {
        self.caller.buffer.ends_with(LAST_CHUNK)
    }

    /// All that has come.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.caller.buffer
    }
}

/// Kept-alive connections to one address, of which each call takes a free one.
#[derive(Debug)]
pub(crate) struct Callers {
    free: Semaphore,
    idle: Mutex<Vec<Caller>>,
}

impl Callers {
    pub(crate) async fn connect(address: SocketAddr, connections: usize) -> io::Result<Self> {
        let mut idle = Vec::with_capacity(connections);
        for _ in 0..connections {
            idle.push(Caller::connect(address).await?);
        }
        Ok(Self { free: Semaphore::new(connections), idle: Mutex::new(idle) })
    }

    /// Makes the call, and tells how long its answer took, which must be 200.
    pub(crate) async fn call(&self, request: &[u8]) -> anyhow::Result<Duration> {
        let _permit = self.free.acquire().await?;
        let mut caller = self.idle().pop().ok_or_else(|| anyhow::anyhow!("a connection broke"))?;
        let begun = Instant::now();
        let status = caller.call(request).await?;
        let took = begun.elapsed();
        self.idle().push(caller);
        ensure!(status == 200, "a callback was answered with {status}");
        Ok(took)
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Caller>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection on which requests come in, one after the other.
#[derive(Debug)]
pub(crate) struct Incoming {
    stream: TcpStream,
    buffer: Vec<u8>,
    taken: usize,
}

impl Incoming {
    pub(crate) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::new(), taken: 0 })
    }

    /// The next whole request, head and body; `None` when the other side has gone.
    pub(crate) async fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.drain(..std::mem::take(&mut self.taken));
        loop {
            if let Some(end) = whole(&self.buffer) {
                self.taken = end;
                return Ok(Some(&self.buffer[..end]));
            }
            match read_more(&mut self.stream, &mut self.buffer).await {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                other => other?,
            }
        }
    }

    /// Writes an answer, or a part of one, as it is.
    pub(crate) async fn answer(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Waits until the other side has gone.
    pub(crate) async fn closed(&mut self) -> io::Result<()> {
        while self.stream.read(&mut [0; 64]).await? > 0 {}
        Ok(())
    }
}

/// Where `needle` is.
pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

async fn read_more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    match stream.read_buf(buffer).await? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(()),
    }
}

/// Where the first message in `bytes` ends, if it is all there. Neither side of ours is sent chunks.
fn whole(bytes: &[u8]) -> Option<usize> {
    let body = find(bytes, HEAD_END)? + HEAD_END.len();
    let length = find(&bytes[..body], CONTENT_LENGTH).map_or(0, |at| {
        let digits = bytes[at + CONTENT_LENGTH.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        digits.fold(0, |number, digit| number * 10 + usize::from(digit - b'0'))
    });
    (bytes.len() >= body + length).then_some(body + length)
}
