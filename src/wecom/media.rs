//! Files that members send: `media/get` (page 96486).
//!
//! Knows what one call can come to; whether to try again is the caller's. WeCom answers a refusal with 200 and JSON, and
//! a file with its own type and a `Content-Disposition`: what has neither of the file's marks is a refusal.

use std::time::Duration;

use bytes::Bytes;
use reqwest::{
    Response,
    header::{CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_TYPE, RANGE},
};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    answer::{Outcome, Refusal, Trouble},
    client::Client,
    errcode::{Class, Errcode},
    token::{AccessToken, TokenError},
};

/// Bytes that a refusal may have; more is no refusal of WeCom's.
const REFUSAL_LIMIT: usize = 64 * 1024;

/// Bytes that are asked for at once. Beyond 20 MB WeCom gives nothing in one piece (errcode 830002).
const PIECE: u64 = 16 * 1024 * 1024;

/// A file did not come.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// Ask for no more: WeCom has it no longer (three days), or never had it.
    #[error("WeCom has no such file any more (errcode {errcode})")]
    Gone {
        /// What WeCom said.
        errcode: Errcode,
    },
    /// Ask for no more: it is larger than it may be.
    #[error("the file is larger than {limit} bytes")]
    TooLarge {
        /// What it may have.
        limit: u64,
    },
    /// It could not be put where it was to go.
    #[error("the file could not be written")]
    Sink(#[source] std::io::Error),
    /// Try again a few times.
    #[error("WeCom is busy (errcode {errcode})")]
    Busy {
        /// What WeCom said.
        errcode: Errcode,
    },
    /// WeCom does not give it: the application, its address or its pace is refused. Trying again at once does not help.
    #[error("WeCom does not give the file")]
    Refused(#[source] Refusal),
    /// Try again a few times: no answer of WeCom's came, or not all of it.
    #[error("the file could not be fetched")]
    Trouble(#[source] Trouble),
    /// There is no access token.
    #[error("the file could not be asked for")]
    Token(#[from] TokenError),
}

impl MediaError {
    /// Whether it may be there in a moment.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Trouble(_) | Self::Token(TokenError::Unreachable(_)))
    }
}

impl From<Refusal> for MediaError {
    fn from(refusal: Refusal) -> Self {
        let errcode = refusal.errcode;
        match errcode.class() {
            Class::BadMedia => Self::Gone { errcode },
            // A fresh access token that is stale again is WeCom's trouble.
            Class::Busy | Class::TokenStale | Class::Unknown => Self::Busy { errcode },
            _ => Self::Refused(refusal),
        }
    }
}

impl From<Trouble> for MediaError {
    fn from(trouble: Trouble) -> Self {
        Self::Trouble(trouble)
    }
}

/// What came of one call.
enum Answer {
    File(Bytes),
    Said(Outcome),
}

impl Client {
    /// The file of this id, of at most `limit` bytes, all within `wecom.timeout`. Where WeCom does not take the access
    /// token any more, a new one is fetched and the same is asked again; nothing else is repeated.
    ///
    /// # Errors
    /// [`MediaError`].
    pub async fn media(&self, media_id: &str, limit: usize) -> Result<Bytes, MediaError> {
        let mut access_token = self.tokens.get().await?;
        let mut answer = self.ask_for_media(&access_token, media_id, limit).await?;
        if matches!(&answer, Answer::Said(outcome) if outcome.class() == Class::TokenStale) {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await?;
            answer = self.ask_for_media(&access_token, media_id, limit).await?;
        }
        match answer {
            Answer::File(bytes) => Ok(bytes),
            Answer::Said(outcome) => match outcome.refusal(access_token.expose()) {
                Some(refusal) => Err(refusal.into()),
                None => Err(Trouble::Incomplete("the file").into()),
            },
        }
    }

    async fn ask_for_media(
        &self,
        access_token: &AccessToken,
        media_id: &str,
        limit: usize,
    ) -> Result<Answer, MediaError> {
        let query = [("access_token", access_token.expose()), ("media_id", media_id)];
        let request = self.http.get(format!("{}/cgi-bin/media/get", self.api_base)).query(&query);
        let whole = async {
            let response = request.send().await.map_err(Trouble::from)?;
            if !response.status().is_success() {
                return Err(Trouble::Status(response.status().as_u16()).into());
            }
            if is_file(&response) {
                return read(response, limit).await.map(Answer::File);
            }
            let said = match read(response, REFUSAL_LIMIT).await {
                Err(MediaError::TooLarge { .. }) => return Err(Trouble::TooLong.into()),
                said => said?,
            };
            serde_json::from_slice(&said).map(Answer::Said).map_err(|error| Trouble::NotJson(error).into())
        };
        self.clock.timeout(self.timeout, whole).await.map_err(|_| Trouble::TimedOut(self.timeout))?
    }
}

/// What came of asking for a piece.
enum Piece {
    /// So many bytes were written.
    Written {
        bytes: u64,
        /// Of the whole file, where it says so.
        of: Option<u64>,
    },
    Said(Outcome),
}

impl Client {
    /// Writes the file of this id, of at most `limit` bytes, into `sink`, a piece at a time, all within `timeout`; never
    /// holds more of it than what came last. Returns its size. Access tokens as in [`Client::media`].
    ///
    /// # Errors
    /// [`MediaError`]. What was written until then is of no use.
    pub async fn media_into<W: AsyncWrite + Unpin>(
        &self,
        media_id: &str,
        limit: u64,
        timeout: Duration,
        sink: &mut W,
    ) -> Result<u64, MediaError> {
        let whole = self.clock.timeout(timeout, self.pieces_into(media_id, limit, sink));
        whole.await.map_err(|_| Trouble::TimedOut(timeout))?
    }

    async fn pieces_into<W: AsyncWrite + Unpin>(
        &self,
        media_id: &str,
        limit: u64,
        sink: &mut W,
    ) -> Result<u64, MediaError> {
        let mut access_token = self.tokens.get().await?;
        let (mut written, mut renewed) = (0, false);
        loop {
            let outcome = match self.piece_into(&access_token, media_id, written, limit, sink).await? {
                Piece::Written { bytes, of } => {
                    written += bytes;
                    match of {
                        Some(of) if written < of && bytes > 0 => continue,
                        Some(of) if written < of => return Err(Trouble::Incomplete("the rest of the file").into()),
                        _ => break,
                    }
                }
                Piece::Said(outcome) => outcome,
            };
            if outcome.class() == Class::TokenStale && !renewed {
                renewed = true;
                self.tokens.invalidate(&access_token);
                access_token = self.tokens.get().await?;
                continue;
            }
            return match outcome.refusal(access_token.expose()) {
                Some(refusal) => Err(refusal.into()),
                None => Err(Trouble::Incomplete("the file").into()),
            };
        }
        sink.flush().await.map_err(MediaError::Sink)?;
        Ok(written)
    }

    async fn piece_into<W: AsyncWrite + Unpin>(
        &self,
        access_token: &AccessToken,
        media_id: &str,
        from: u64,
        limit: u64,
        sink: &mut W,
    ) -> Result<Piece, MediaError> {
        let query = [("access_token", access_token.expose()), ("media_id", media_id)];
        let range = format!("bytes={from}-{}", from + PIECE - 1);
        let request = self.http.get(format!("{}/cgi-bin/media/get", self.api_base)).query(&query).header(RANGE, range);
        let mut response = request.send().await.map_err(Trouble::from)?;
        if !response.status().is_success() {
            return Err(Trouble::Status(response.status().as_u16()).into());
        }
        if !is_file(&response) {
            let said = match read(response, REFUSAL_LIMIT).await {
                Err(MediaError::TooLarge { .. }) => return Err(Trouble::TooLong.into()),
                said => said?,
            };
            let said = serde_json::from_slice(&said).map_err(Trouble::NotJson)?;
            return Ok(Piece::Said(said));
        }
        let of = size_of_whole(&response);
        if of.or(response.content_length()).is_some_and(|size| size > limit) {
            return Err(MediaError::TooLarge { limit });
        }
        let mut bytes = 0;
        while let Some(chunk) = response.chunk().await.map_err(Trouble::from)? {
            bytes += chunk.len() as u64;
            if from + bytes > limit {
                return Err(MediaError::TooLarge { limit });
            }
            sink.write_all(&chunk).await.map_err(MediaError::Sink)?;
        }
        Ok(Piece::Written { bytes, of })
    }
}

/// Of `Content-Range: bytes 0-99/1234` the last number. Absent where the whole file came at once.
fn size_of_whole(response: &Response) -> Option<u64> {
    let range = response.headers().get(CONTENT_RANGE)?.to_str().ok()?;
    range.rsplit_once('/')?.1.parse().ok()
}

fn is_file(response: &Response) -> bool {
    let headers = response.headers();
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    headers.contains_key(CONTENT_DISPOSITION)
        || !(kind.is_empty() || kind.eq_ignore_ascii_case("application/json") || kind.starts_with("text/"))
}

async fn read(mut response: Response, limit: usize) -> Result<Bytes, MediaError> {
    let too_large = MediaError::TooLarge { limit: limit as u64 };
    if response.content_length().is_some_and(|length| length > limit as u64) {
        return Err(too_large);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(Trouble::from)? {
        if body.len() + chunk.len() > limit {
            return Err(too_large);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.into())
}
