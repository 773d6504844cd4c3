//! What the page shows beside words: files by their id, cards that are pressed, and the menu.

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderName, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Shared, parse_member, refuse};
use crate::{media::voice, sandbox::emulator::upload::UploadedFile};

/// A file that the application or a member sent. Voice comes as WAV: browsers do not play AMR. Whatever else could be a page is
/// offered to be saved, never shown.
pub(super) async fn media(State(desk): Shared, Path(id): Path<String>) -> Response {
    let Some(UploadedFile { kind, name, bytes, .. }) =
        desk.parts.emulator.uploaded(&id).or_else(|| desk.parts.emulator.sent(&id))
    else {
        return refuse(StatusCode::NOT_FOUND, "there is no such file").into_response();
    };
    let nosniff: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    match kind.as_str() {
        "image" => {
            let kind = if bytes.starts_with(b"\x89PNG") { "image/png" } else { "image/jpeg" };
            ([(header::CONTENT_TYPE, kind), nosniff], bytes).into_response()
        }
        "voice" => {
            let decoded = tokio::task::spawn_blocking(move || voice::decode(&bytes).map(|said| said.to_wav())).await;
            match decoded {
                Ok(Ok(wav)) => ([(header::CONTENT_TYPE, "audio/wav"), nosniff], wav).into_response(),
                _ => refuse(StatusCode::UNPROCESSABLE_ENTITY, "the recording is broken").into_response(),
            }
        }
        _ => {
            let name: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
            let disposition = format!("attachment; filename*=UTF-8''{name}");
            let headers = [(header::CONTENT_TYPE, "application/octet-stream".to_owned())];
            (headers, [(header::CONTENT_DISPOSITION, disposition)], [nosniff], bytes).into_response()
        }
    }
}

#[derive(Deserialize)]
pub(super) struct Press {
    member: String,
    task_id: String,
    key: String,
    /// Each question's key with the ids of what was chosen.
    #[serde(default)]
    chosen: Vec<(String, Vec<String>)>,
}

/// A member presses a button of a card.
pub(super) async fn press(State(desk): Shared, Json(Press { member, task_id, key, chosen }): Json<Press>) -> Answer {
    let member = parse_member(&member)?;
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    let pressed = tokio::spawn(async move {
        let chosen: Vec<(&str, Vec<&str>)> = chosen
            .iter()
            .map(|(question, ids)| (question.as_str(), ids.iter().map(String::as_str).collect()))
            .collect();
        emulator.press(member.as_str(), &task_id, &key, &chosen).await.0
    });
    let receipt = pressed.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the event was not sent"))?;
    Ok(Json(json!({"accepted": receipt.accepted()})))
}

#[derive(Deserialize)]
pub(super) struct Click {
    member: String,
    key: String,
}

/// A member chooses an entry of the menu.
pub(super) async fn click(State(desk): Shared, Json(Click { member, key }): Json<Click>) -> Answer {
    let member = parse_member(&member)?;
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    let clicked = tokio::spawn(async move { emulator.click(member.as_str(), &key).await });
    let receipt = clicked.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the event was not sent"))?;
    Ok(Json(json!({"accepted": receipt.accepted()})))
}
