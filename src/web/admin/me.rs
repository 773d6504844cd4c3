//! Who asks, and what they may.

use super::{
    answer::One,
    ask::Ask,
    problem::Problem,
    route::{Needs, Route},
};
use crate::admin::shown::Me;

pub(super) fn routes() -> Vec<Route> {
    let says = "Who asks. What they are, what they may, and by what they are known.";
    vec![Route::get("/admin/api/me", Needs::Login, ("getMe", says), me)]
}

async fn me(ask: Ask) -> Result<One<Me>, Problem> {
    Ok(One::unversioned(Me::of(&ask.operator)))
}
