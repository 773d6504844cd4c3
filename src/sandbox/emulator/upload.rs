//! `media/upload` (page 90253): what the daemon gives WeCom before it sends it, and what may be sent of it.

use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::json;

use super::{Cloud, api::end_by, message::Refusal};
use crate::{
    clock::Timestamp,
    sandbox::{journal::Kind, random},
};

/// The longest request that is read: the largest file and what stands around it.
pub(super) const REQUEST_LIMIT: usize = 21 * 1024 * 1024;
/// How long what was uploaded can be sent.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// A file must have more bytes than this.
const LEAST: usize = 5;

/// A file that the daemon gave WeCom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedFile {
    /// `image`, `voice` or `file`: as what it can be sent.
    pub kind: String,
    /// Its name, as the request wrote it.
    pub name: String,
    /// What is in it.
    pub bytes: Bytes,
    /// When it came.
    pub at: Timestamp,
}

/// A file as the phone shows it: the bytes are fetched by the id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ShownFile {
    /// WeCom's id of it.
    pub media_id: String,
    /// Its name.
    pub name: String,
    /// How many bytes it has.
    pub bytes: usize,
}

/// Takes a file.
pub(super) async fn media_upload(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): ConnectInfo<std::net::SocketAddr>,
    Query(parameters): Query<HashMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    cloud.state().counters.uploads += 1;
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let kind = parameters.get("type").map(String::as_str).unwrap_or_default();
    let now = cloud.clock.now();
    let (outcome, lost) = {
        let state = &mut *cloud.state();
        let outcome = state
            .authorise(parameters.get("access_token").map(String::as_str), caller.ip(), now)
            .and_then(|()| match state.trouble.take_upload_failure() {
                Some(errcode) => Err(Refusal(errcode)),
                None => read(kind, &headers, &body),
            })
            .map(|(name, bytes)| {
                let media_id = format!("3{}", hex::encode(random::<32>()));
                let file = UploadedFile { kind: kind.to_owned(), name: name.clone(), bytes, at: now };
                state.uploads.insert(media_id.clone(), file);
                (name, media_id)
            });
        let lost = if outcome.is_ok() { state.trouble.take_lost_upload() } else { None };
        (outcome, lost)
    };
    let (answer, name, zh, en) = match outcome {
        Ok((name, media_id)) => {
            // The time is a string here, unlike everywhere else.
            let created_at = now.as_secs().to_string();
            let answer =
                json!({"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id, "created_at": created_at});
            (answer, name, "上传文件", "uploaded a file")
        }
        Err(refusal) => {
            (cloud.refused(refusal, caller.ip()), String::new(), "上传文件：被拒绝", "uploading a file: refused")
        }
    };
    let request = format!("POST /cgi-bin/media/upload?access_token=***&type={kind}\n{name} · {} bytes", body.len());
    cloud.record(Kind::Send, zh, en, &request, &answer);
    match lost {
        Some(breakage) => end_by(breakage).await,
        None => Json(answer).into_response(),
    }
}

/// The name and the bytes of the file in a request, where WeCom takes it.
fn read(kind: &str, headers: &HeaderMap, body: &Bytes) -> Result<(String, Bytes), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let boundary = content_type.strip_prefix("multipart/form-data; boundary=").ok_or(Refusal(41005))?;
    let (name, bytes) = media_part(boundary.trim_matches('"'), body).ok_or(Refusal(41005))?;
    let (limit, is_right): (usize, bool) = match kind {
        "image" => (10, bytes.starts_with(b"\xff\xd8\xff") || bytes.starts_with(b"\x89PNG")),
        "voice" => (2, bytes.starts_with(b"#!AMR\n")),
        "file" => (20, true),
        _ => return Err(Refusal(40004)),
    };
    if bytes.len() <= LEAST {
        return Err(Refusal(40006));
    }
    if bytes.len() > limit * 1024 * 1024 {
        return Err(Refusal(45001));
    }
    // What a file is shows in its name.
    if !is_right || !name.contains('.') {
        return Err(Refusal(40004));
    }
    Ok((name, bytes))
}

/// The part `media` of a request, with the name that stands between quotes: a name of RFC 5987 is none to WeCom.
fn media_part(boundary: &str, body: &Bytes) -> Option<(String, Bytes)> {
    let find = |from: usize, what: &[u8]| {
        body.get(from..)?.windows(what.len()).position(|window| window == what).map(|at| from + at)
    };
    let (open, close) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}"));
    let mut from = find(0, open.as_bytes())? + open.len();
    loop {
        let head_end = find(from, b"\r\n\r\n")?;
        let end = find(head_end + 4, close.as_bytes())?;
        let head = String::from_utf8(body.get(from..head_end)?.to_vec()).ok()?;
        if head.contains("name=\"media\"") {
            let (_, name) = head.split_once("filename=\"")?;
            let (name, _) = name.split_once('"')?;
            return Some((name.to_owned(), body.slice(head_end + 4..end)));
        }
        from = end + close.len() + 2;
    }
}

impl UploadedFile {
    /// Whether a message of `msgtype` can show it at `now`.
    pub(super) fn can_be_sent(&self, msgtype: &str, now: Timestamp) -> bool {
        self.kind == msgtype && now.since(self.at) < KEPT
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(head: &str, bytes: &[u8]) -> Bytes {
        let other = "--B\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\n1\r\n";
        let head = format!("{other}--B\r\nContent-Disposition: form-data; {head}\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n--B--\r\n"].concat().into()
    }

    #[test]
    fn a_file_is_taken_as_it_stands_and_each_fault_has_its_errcode() {
        let mut headers = HeaderMap::new();
        let errcode = |kind: &str, headers: &HeaderMap, head: &str, bytes: &[u8]| {
            read(kind, headers, &request(head, bytes)).map(|(name, bytes)| (name, bytes.len())).map_err(|no| no.0)
        };
        let named = "name=\"media\"; filename=\"订单.csv\"";
        assert_eq!(errcode("file", &headers, named, b"123456"), Err(41005));
        headers.insert(header::CONTENT_TYPE, "multipart/form-data; boundary=B".parse().expect("value"));
        assert_eq!(errcode("file", &headers, named, b"1\r\n\r\n-"), Ok(("订单.csv".to_owned(), 6)));
        assert_eq!(errcode("file", &headers, named, b"12345"), Err(40006));
        assert_eq!(errcode("image", &headers, named, b"123456"), Err(40004));
        assert_eq!(errcode("video", &headers, named, b"123456"), Err(40004));
        assert_eq!(errcode("voice", &headers, named, &vec![0; 2 * 1024 * 1024 + 1]), Err(45001));
        assert_eq!(errcode("file", &headers, "name=\"media\"; filename*=utf-8''%E8.csv", b"123456"), Err(41005));
        assert_eq!(errcode("file", &headers, "name=\"file\"; filename=\"a.csv\"", b"123456"), Err(41005));
    }
}
