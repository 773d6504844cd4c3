//! What members send beside texts, and `media/get`, where the daemon fetches it (page 96486).

use std::{ops::Range, sync::Arc, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{ConnectInfo, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::stream;
use serde_json::json;

use super::{
    Cloud, Emulator,
    api::{Caller, Parameters},
    callback::Receipt,
    message::Refusal,
    upload::{ShownFile, UploadedFile},
};
use crate::{
    clock::Timestamp,
    sandbox::{
        cut_connection,
        envelope::cdata,
        journal::{Entry, Kind},
        random,
    },
};

/// For how long WeCom keeps what a member sent.
const KEPT: Duration = Duration::from_secs(3 * 24 * 60 * 60);
/// What comes in one answer at most: 20 MB (errcode 830002).
const MOST_AT_ONCE: u64 = 20 * 1024 * 1024;

/// A file that a member sent.
#[derive(Clone, Debug)]
pub(super) struct SentFile {
    content: Bytes,
    name: String,
    expires_at: Timestamp,
}

impl Emulator {
    /// `member` speaks. `recording` is what `media/get` gives for it, an AMR file; `None`: WeCom has it no longer.
    pub async fn speak(&self, member: &str, recording: Option<Vec<u8>>) -> Receipt {
        let media_id = self.keep(recording, "voice.amr");
        let fields = format!("<MediaId>{}</MediaId><Format>{}</Format>", cdata(&media_id), cdata("amr"));
        self.send_kind(member, "voice", &media_id, &fields, ["发来语音", "speaks"]).await
    }

    /// `member` sends a picture. `file` is what `media/get` gives for it; `None`: WeCom has it no longer.
    pub async fn show(&self, member: &str, file: Option<Vec<u8>>) -> Receipt {
        let media_id = self.keep(file, "picture.jpg");
        let pic_url = format!("{}/picture/{media_id}", self.api_base());
        let fields = format!("<PicUrl>{}</PicUrl><MediaId>{}</MediaId>", cdata(&pic_url), cdata(&media_id));
        self.send_kind(member, "image", &media_id, &fields, ["发来图片", "sends a picture"]).await
    }

    /// `member` sends a place.
    pub async fn locate(&self, member: &str, latitude: &str, longitude: &str, label: &str) -> Receipt {
        let fields = format!(
            "<Location_X>{latitude}</Location_X><Location_Y>{longitude}</Location_Y><Scale>15</Scale>\
             <Label>{}</Label><AppType><![CDATA[wxwork]]></AppType>",
            cdata(label)
        );
        self.send_kind(member, "location", label, &fields, ["发来位置", "sends a place"]).await
    }

    /// `member` shares a link.
    pub async fn link(&self, member: &str, title: &str, description: &str, url: &str) -> Receipt {
        let fields = format!(
            "<Title>{}</Title><Description>{}</Description><Url>{}</Url><PicUrl><![CDATA[]]></PicUrl>",
            cdata(title),
            cdata(description),
            cdata(url)
        );
        self.send_kind(member, "link", title, &fields, ["分享链接", "shares a link"]).await
    }

    /// Refuses the next call of `media/get` that has no refusal yet with this errcode.
    pub fn refuse_media(&self, errcode: i64) {
        self.cloud.state().media_refusals.push_back(errcode);
    }

    /// Gives the first half of a file in the next call of `media/get`, and then neither more nor an end.
    pub fn stall_media(&self) {
        self.cloud.state().media_stalls += 1;
    }

    /// How often `media/get` was called.
    pub fn media_asked(&self) -> u64 {
        self.cloud.state().media_asked
    }

    fn keep(&self, content: Option<Vec<u8>>, name: &str) -> String {
        let media_id = hex::encode(random::<16>());
        if let Some(content) = content {
            let expires_at = self.cloud.clock.now() + KEPT;
            let file = SentFile { content: content.into(), name: name.to_owned(), expires_at };
            self.cloud.state().media.insert(media_id.clone(), file);
        }
        media_id
    }

    /// A file that a member sent, for the page that shows it.
    pub fn sent(&self, media_id: &str) -> Option<UploadedFile> {
        let file = self.cloud.state().media.get(media_id).cloned()?;
        let SentFile { content: bytes, name, expires_at } = file;
        let kind = if name.ends_with(".amr") { "voice" } else { "image" };
        Some(UploadedFile { kind: kind.to_owned(), name, bytes, at: expires_at - KEPT })
    }

    async fn send_kind(&self, member: &str, kind: &str, shown: &str, fields: &str, words: [&str; 2]) -> Receipt {
        let now = self.cloud.clock.now();
        let msg_id = {
            let mut state = self.cloud.state();
            let file = state.media.get(shown).map(|SentFile { content, name, .. }| ShownFile {
                media_id: shown.to_owned(),
                name: name.clone(),
                bytes: content.len(),
            });
            // An id says nothing to people.
            let shown = if matches!(kind, "image" | "voice") { "" } else { shown };
            state.line_with(member.to_owned(), true, kind, shown, now, file);
            state.next_msg_id()
        };
        self.cloud.announce();
        let xml = self.inner_xml(member, now, kind, &format!("{fields}<MsgId>{msg_id}</MsgId>"));
        let [zh, en] = words.map(|words| format!("{member} {words}"));
        let mut receipt = self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await;
        receipt.msg_id = Some(msg_id);
        receipt
    }
}

pub(super) async fn media_get(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
    headers: HeaderMap,
) -> Response {
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let now = cloud.clock.now();
    let outcome = {
        let state = &mut *cloud.state();
        state.media_asked += 1;
        state.authorise(parameters.get("access_token").map(String::as_str), caller.ip(), now).and_then(|()| {
            if let Some(errcode) = state.media_refusals.pop_front() {
                return Err(Refusal(errcode));
            }
            let id = parameters.get("media_id").ok_or(Refusal(41006))?;
            let file = state.media.get(id).filter(|file| file.expires_at > now).cloned().ok_or(Refusal(40007))?;
            let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
            let range = range.and_then(|range| piece(range, file.content.len() as u64));
            let length = range.as_ref().map_or(file.content.len() as u64, |range| range.end - range.start);
            if length > MOST_AT_ONCE {
                return Err(Refusal(830002));
            }
            let stalls = state.media_stalls > 0;
            state.media_stalls = state.media_stalls.saturating_sub(1);
            Ok((file, range, stalls))
        })
    };
    let request = "GET /cgi-bin/media/get?access_token=***&media_id=…";
    match outcome {
        Ok((SentFile { content, name, .. }, range, stalls)) => {
            cloud.record(Kind::Send, "取走文件", "fetched a file", request, &json!({"bytes": content.len()}));
            let headers = [
                (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
                (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
                (header::ACCEPT_RANGES, "bytes".to_owned()),
            ];
            if stalls {
                return (headers, half_of(content)).into_response();
            }
            let Some(Range { start, end }) = range else { return (headers, content).into_response() };
            let whole = content.len();
            let (Ok(from), Ok(to)) = (usize::try_from(start), usize::try_from(end)) else { return cut_connection() };
            let at = [(header::CONTENT_RANGE, format!("bytes {start}-{}/{whole}", end.saturating_sub(1)))];
            (StatusCode::PARTIAL_CONTENT, headers, at, content.slice(from..to)).into_response()
        }
        Err(refusal) => {
            let answer = cloud.refused(refusal, caller.ip());
            cloud.record(Kind::Send, "取走文件：被拒绝", "fetching a file: refused", request, &answer);
            // JSON either way; WeCom does not always say so (page 96486).
            match answer["errcode"].as_i64() {
                Some(40007) => ([(header::CONTENT_TYPE, "text/plain")], answer.to_string()).into_response(),
                _ => Json(answer).into_response(),
            }
        }
    }
}

/// Of `bytes=0-99` what there is of it. `None`: it is no such range, so the whole is given.
fn piece(range: &str, length: u64) -> Option<Range<u64>> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to): (u64, u64) = (from.parse().ok()?, to.parse().ok()?);
    (from < length && from <= to).then(|| from..(to + 1).min(length))
}

fn half_of(content: Bytes) -> Body {
    let half = content.slice(..content.len() / 2);
    let first = stream::once(async move { Ok::<_, std::convert::Infallible>(half) });
    Body::from_stream(stream::StreamExt::chain(first, stream::pending()))
}
