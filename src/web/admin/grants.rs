//! What somebody may use beyond a plan: what `qimate grant` does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    answer::{Gone, One, Page},
    ask::Ask,
    body::Body,
    plans::{Whom, holder},
    problem::Problem,
    route::Route,
};
use crate::{
    model::{
        json::grant::{Grant, WantedAmounts},
        operator::Scope,
    },
    store::{grants, plans::Holder},
};

pub(super) fn routes() -> Vec<Route> {
    let all = "/admin/api/grants";
    let revoke_says = "Takes a grant back. What was used by it stays used.";
    vec![
        Route::get(all, Scope::Read, ("listGrants", "Every grant that is not over, the first to end first."), list),
        Route::post(all, Scope::Plans, ("grant", "Lets somebody use more than the plan, for some days."), make)
            .of_corp(),
        Route::delete("/admin/api/grants/{id}", Scope::Plans, ("revokeGrant", revoke_says), revoke),
    ]
}

/// More for somebody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// For whom; not for everyone.
    #[serde(rename = "for")]
    whom: Whom,
    /// How much, and for how long.
    more: WantedAmounts,
}

async fn list(ask: Ask) -> Result<Page<Grant>, Problem> {
    let paging = ask.paging("grants")?;
    let rules = ask.store().rules(ask.now).await?;
    let place = |grant: &&grants::Grant| format!("{:020}/{:020}", grant.until.as_millis(), grant.id);
    let found =
        rules.grants().into_iter().filter(|grant| paging.after.as_ref().is_none_or(|after| place(grant) > *after));
    Ok(paging
        .page(found, place, |grant| Grant::of(grant.id, &grant.subject, grant.amounts, grant.until, &grant.reason)))
}

async fn make(ask: Ask<Body<Wanted>>) -> Result<One<Grant>, Problem> {
    let Wanted { whom, more } = &ask.body.0;
    let Holder::One(subject) = holder(&ask, whom, "/for").await? else {
        return Err(Problem::invalid("/for", "a grant is for one: company, department, member or key"));
    };
    let (amounts, until) = more.parse(ask.now).map_err(|wrong| {
        let slash = if wrong.field.is_empty() { "" } else { "/" };
        Problem::invalid(&format!("/more{slash}{}", wrong.field), wrong.right)
    })?;
    let id = ask.anew().grant(&ask.actor(), &subject, amounts, until, &more.reason, ask.now).await?;
    Ok(One::unversioned(Grant::of(id, &subject.to_string(), amounts, until, &more.reason)))
}

async fn revoke(ask: Ask) -> Result<Gone, Problem> {
    let none = || Problem::not_there("there is no such grant; GET /admin/api/grants lists them");
    let id = ask.path("id")?.parse().map_err(|_| none())?;
    if ask.anew().revoke_grant(&ask.actor(), id, ask.now).await? { Ok(Gone) } else { Err(none()) }
}
