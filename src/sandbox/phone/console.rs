//! WeCom's console on the page: what an administrator enters there, and what it says to it.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Answer, Desk, Shared, refuse};
use crate::sandbox::emulator::console::NotSaved;

/// The application's Secret, for whoever presses 查看.
pub(super) async fn secret(State(desk): Shared) -> Answer {
    let emulator = &desk.parts.emulator;
    if emulator.console().is_none() {
        return Err(not_saved(&NotSaved::NoConsole));
    }
    Ok(Json(json!({"secret": emulator.settings().secret.expose()})))
}

#[derive(Deserialize)]
pub(super) struct Callback {
    url: String,
    token: String,
    encoding_aes_key: String,
}

/// 接收消息 → 保存.
pub(super) async fn callback(State(desk): Shared, Json(form): Json<Callback>) -> Answer {
    let emulator = desk.parts.emulator.clone();
    // A page that is closed does not stop a verification half-way.
    let saving =
        tokio::spawn(async move { emulator.save_callback(&form.url, &form.token, &form.encoding_aes_key).await });
    let saved = saving.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "it was not saved"))?;
    answer(&desk, saved)
}

#[derive(Deserialize)]
pub(super) struct List {
    list: String,
}

/// 企业可信IP → 确定.
pub(super) async fn trusted_ips(State(desk): Shared, Json(List { list }): Json<List>) -> Answer {
    let saved = desk.parts.emulator.save_trusted_ips(&list);
    answer(&desk, saved)
}

/// 可见范围 → 确定.
pub(super) async fn visible(State(desk): Shared, Json(List { list }): Json<List>) -> Answer {
    let saved = desk.parts.emulator.save_visible(&list);
    answer(&desk, saved)
}

fn answer(desk: &Desk, saved: Result<(), NotSaved>) -> Answer {
    saved.map_err(|error| not_saved(&error))?;
    desk.switched.send_modify(|turns| *turns += 1);
    Ok(Json::<Value>(json!(desk.status())))
}

fn not_saved(error: &NotSaved) -> (StatusCode, Json<Value>) {
    refuse(StatusCode::CONFLICT, &error.to_string())
}
