//! Who administers.

use axum::{Json, Router, extract::State, routing};
use serde_json::{Value, json};

use super::{
    Administration,
    guard::{May, Read},
    problem::Problem,
};
use crate::admin::shown;

pub(super) fn routes() -> Router<Administration> {
    Router::new().route("/admin/api/operators", routing::get(list))
}

async fn list(State(here): State<Administration>, _: May<Read>) -> Result<Json<Value>, Problem> {
    let now = here.clock.now();
    let items: Vec<Value> = here.admin.operators().await?.iter().map(|one| shown::account(one, now)).collect();
    Ok(Json(json!({ "items": items })))
}
