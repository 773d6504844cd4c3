//! Who asks, and what they may.

use axum::{Json, Router, routing};
use serde_json::{Value, json};

use super::Administration;
use crate::{
    admin::{By, Operator, shown},
    clock::Timestamp,
};

pub(super) fn routes() -> Router<Administration> {
    Router::new().route("/admin/api/me", routing::get(async |operator: Operator| Json(in_json(&operator))))
}

/// An operator to themselves. The token against forged requests is shown to pages of our own origin alone: no other can
/// read an answer.
pub(super) fn in_json(operator: &Operator) -> Value {
    let by = match &operator.by {
        By::Token { id, expires_at } => {
            json!({"kind": "token", "id": id.as_str(), "expires_ms": expires_at.map(Timestamp::as_millis)})
        }
        By::Session { id, csrf, ends_at } => json!({
            "kind": "session", "id": id.as_str(), "expires_ms": ends_at.as_millis(), "csrf_token": csrf.expose(),
        }),
    };
    json!({
        "name": operator.name.as_str(), "role": operator.role.as_str(),
        "scopes": shown::scopes(&operator.scopes), "by": by,
    })
}
