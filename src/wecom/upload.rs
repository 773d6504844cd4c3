//! Bytes that go out: `media/upload` (page 90253). What it gives is valid for three days, for every application of the
//! enterprise, and is what `message/send` names.
//!
//! What WeCom takes as a picture or a voice message is little; the rest goes as a file, which it always takes up to 20 MB.

use std::time::Duration;

use bytes::Bytes;
use reqwest::multipart::{Form, Part};
use serde::Deserialize;

use super::{
    answer::{Outcome, Trouble, ask},
    client::{Client, SendError},
    errcode::{Class, Errcode},
    token::AccessToken,
};
use crate::{
    media::amr,
    model::{file_name::FileName, reply::AttachmentKind},
};

/// How long WeCom keeps what was uploaded.
pub const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);

/// A file must have more bytes than this, whatever it is.
const LEAST: usize = 5;
/// Bytes that a picture may have.
const IMAGE_LIMIT: usize = 10 * 1024 * 1024;
/// Bytes that a voice message may have.
const VOICE_LIMIT: usize = 2 * 1024 * 1024;
/// How long a voice message may be.
const VOICE_LONGEST: Duration = Duration::from_secs(60);
/// Bytes that anything may have.
const FILE_LIMIT: usize = 20 * 1024 * 1024;
/// The slowest line that is waited for, in bytes a second: `wecom.timeout` is meant for small requests.
const SLOWEST: f64 = 256.0 * 1024.0;
/// WeCom's "too large". Its page of errors knows smaller limits than the page of the API.
const TOO_LARGE: Errcode = Errcode(45001);

/// What WeCom has now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uploaded {
    /// As what: it may have become a file.
    pub kind: AttachmentKind,
    /// WeCom's name for it.
    pub media_id: String,
}

/// Nothing was uploaded.
#[derive(Debug, thiserror::Error)]
pub enum UploadError {
    /// WeCom does not take files of this size at all.
    #[error("WeCom takes files of {} bytes to {FILE_LIMIT}, and this one has {bytes}", LEAST + 1)]
    Unfit {
        /// How many it has.
        bytes: usize,
    },
    /// As with a message, but for one thing: an upload whose outcome is not known does no harm, and may be repeated.
    #[error("WeCom did not take a file")]
    Failed(#[source] SendError),
}

impl<E: Into<SendError>> From<E> for UploadError {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

#[derive(Deserialize)]
struct UploadAnswer {
    #[serde(flatten)]
    outcome: Outcome,
    #[serde(default)]
    media_id: String,
}

impl Client {
    /// Gives WeCom `bytes`, once, as what is wished if it takes them as such, else as a file. Where WeCom does not take
    /// the access token any more, a new one is fetched and the same is uploaded again; where it finds a picture or a
    /// voice message too large, that goes as a file.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn upload(&self, wish: AttachmentKind, name: &FileName, bytes: Bytes) -> Result<Uploaded, UploadError> {
        if !(LEAST + 1..=FILE_LIMIT).contains(&bytes.len()) {
            return Err(UploadError::Unfit { bytes: bytes.len() });
        }
        let mut kind = fitting(wish, &bytes);
        let mut access_token = self.tokens.get().await?;
        let mut answer = self.post_file(&access_token, kind, name, &bytes).await?;
        if answer.outcome.class() == Class::TokenStale {
            self.tokens.invalidate(&access_token);
            access_token = self.tokens.get().await?;
            answer = self.post_file(&access_token, kind, name, &bytes).await?;
        }
        if answer.outcome.errcode() == TOO_LARGE && kind != AttachmentKind::File {
            kind = AttachmentKind::File;
            answer = self.post_file(&access_token, kind, name, &bytes).await?;
        }
        if let Some(refusal) = answer.outcome.refusal(access_token.expose()) {
            return Err(refusal.into());
        }
        if answer.media_id.is_empty() {
            return Err(Trouble::Incomplete("media_id").into());
        }
        Ok(Uploaded { kind, media_id: answer.media_id })
    }

    async fn post_file(
        &self,
        access_token: &AccessToken,
        kind: AttachmentKind,
        name: &FileName,
        bytes: &Bytes,
    ) -> Result<UploadAnswer, Trouble> {
        let length = bytes.len() as u64;
        let part = Part::stream_with_length(bytes.clone(), length).file_name(name.as_str().to_owned());
        let part = part.mime_str("application/octet-stream")?;
        // WeCom reads the name as it stands between the quotes: not by percents, not as RFC 5987 has it.
        let form = Form::new().part("media", part).percent_encode_noop();
        let query = [("access_token", access_token.expose()), ("type", kind.as_str())];
        let request = self.http.post(format!("{}/cgi-bin/media/upload", self.api_base)).query(&query).multipart(form);
        let limit = self.timeout + Duration::from_secs_f64(length as f64 / SLOWEST);
        ask(&self.clock, limit, request).await
    }
}

/// As what WeCom takes these bytes.
fn fitting(wish: AttachmentKind, bytes: &[u8]) -> AttachmentKind {
    let is_picture = || bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG\r\n\x1a\n");
    let is_voice = || amr::duration(bytes).is_some_and(|long| !long.is_zero() && long <= VOICE_LONGEST);
    match wish {
        AttachmentKind::Image if bytes.len() <= IMAGE_LIMIT && is_picture() => AttachmentKind::Image,
        AttachmentKind::Voice if bytes.len() <= VOICE_LIMIT && is_voice() => AttachmentKind::Voice,
        _ => AttachmentKind::File,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::voice::Recording;

    #[test]
    fn what_is_no_picture_or_voice_for_wecom_is_a_file() {
        use AttachmentKind::{File, Image, Voice};
        let amr = |seconds: usize| {
            Recording { sample_rate: 8000, samples: vec![1; 8000 * seconds] }.to_amr().expect("encoded")
        };
        let (minute, longer) = (amr(60), amr(61));
        let mut large = b"\x89PNG\r\n\x1a\n".to_vec();
        large.resize(IMAGE_LIMIT, 0);
        assert_eq!(fitting(Image, &large), Image);
        large.push(0);
        let cases: [(AttachmentKind, &[u8], AttachmentKind); 9] = [
            (Image, b"\xff\xd8\xff\xe0 a JPEG", Image),
            (Image, &large, File),
            (Image, b"GIF89a", File),
            (Image, b"RIFF....WEBP", File),
            (Voice, &minute, Voice),
            (Voice, &longer, File),
            (Voice, b"#!AMR\n", File),
            (Voice, b"RIFF....WAVE", File),
            (File, b"\xff\xd8\xff\xe0 a JPEG", File),
        ];
        for (wish, bytes, kind) in cases {
            assert_eq!(fitting(wish, bytes), kind, "{wish:?} {:?}", &bytes[..6]);
        }
    }
}
