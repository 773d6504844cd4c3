//! What the page sends beside texts: pictures, recordings, places and links.

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    http::StatusCode,
};
use serde::Deserialize;
use serde_json::json;

use super::{Answer, Shared, parse_member, refuse};

/// Bytes that a file may have: more than the daemon takes as it is set, so that this can be tried too.
pub(super) const LARGEST: usize = 64 * 1024 * 1024;

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    Image,
    Voice,
}

#[derive(Deserialize)]
pub(super) struct Sender {
    member: String,
    kind: Kind,
}

/// A member sends a file: the body.
pub(super) async fn file(State(desk): Shared, Query(Sender { member, kind }): Query<Sender>, body: Bytes) -> Answer {
    let member = parse_member(&member)?;
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    let sent = tokio::spawn(async move {
        match kind {
            Kind::Image => emulator.show(member.as_str(), Some(body.into())).await,
            Kind::Voice => emulator.speak(member.as_str(), Some(body.into())).await,
        }
    });
    let receipt = sent.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the file was not sent"))?;
    Ok(Json(json!({"accepted": receipt.accepted()})))
}

#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Thing {
    Place { member: String, latitude: String, longitude: String, label: String },
    Link { member: String, title: String, description: String, url: String },
}

/// A member shares a place or a link.
pub(super) async fn shared(State(desk): Shared, Json(shared): Json<Thing>) -> Answer {
    let (Thing::Place { member, .. } | Thing::Link { member, .. }) = &shared;
    let member = parse_member(member)?;
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    let sent = tokio::spawn(async move {
        match shared {
            Thing::Place { latitude, longitude, label, .. } => {
                emulator.locate(member.as_str(), &latitude, &longitude, &label).await
            }
            Thing::Link { title, description, url, .. } => {
                emulator.link(member.as_str(), &title, &description, &url).await
            }
        }
    });
    let receipt = sent.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "it was not sent"))?;
    Ok(Json(json!({"accepted": receipt.accepted()})))
}
