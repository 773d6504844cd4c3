//! Who administers.

use super::{answer::Page, ask::Ask, problem::Problem, route::Route};
use crate::{
    admin::shown::{self, Account},
    model::operator::Scope,
};

pub(super) fn routes() -> Vec<Route> {
    let says = "Every operator, oldest first. Those that are disabled too.";
    vec![Route::get("/admin/api/operators", Scope::Read, ("listOperators", says), list)]
}

async fn list(ask: Ask) -> Result<Page<Account>, Problem> {
    let paging = ask.paging("operators")?;
    let after = paging.after_number()?;
    let found = ask.here.admin.operators().await?.into_iter().filter(|one| one.number > after);
    Ok(paging.page(found, |one| one.number.to_string(), |one| shown::account(&one, ask.now)))
}
