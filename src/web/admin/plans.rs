//! Plans, and who has them: what `qimate plan` does.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    answer::{Gone, One, Page, Saved},
    ask::Ask,
    body::Body,
    problem::Problem,
    route::Route,
};
use crate::{
    model::{
        id::MemberId,
        json::plan::{Plan, WantedPlan},
        key::KeyId,
        operator::Scope,
        quota::{plan::is_plan_name, subject::Subject},
    },
    store::{
        plans::{Holder, Removed, Rules},
        terms::{Expected, Thing, Unmet, Version},
    },
};

pub(super) fn routes() -> Vec<Route> {
    let all = "/admin/api/plans";
    let one = "/admin/api/plans/{name}";
    let put_says = "Makes a plan, or puts another in its place. One that is there is changed only with its ETag in If-Match, \
                    or `*`. It holds from the next call on.";
    let detach_says = "Takes the plan away from there. 404 where it is not attached there.";
    vec![
        Route::get(all, Scope::Read, ("listPlans", "Every plan by its name, and who has it."), list),
        Route::get(one, Scope::Read, ("getPlan", "One plan, and who has it."), get),
        Route::put(one, Scope::Plans, ("putPlan", put_says), put).must_compare(),
        Route::delete(one, Scope::Plans, ("removePlan", "Removes a plan. 409 while somebody has it."), remove)
            .compares(),
        Route::post(
            "/admin/api/plans/{name}/attach",
            Scope::Plans,
            ("attachPlan", "Attaches the plan, instead of the one that was attached there."),
            attach,
        )
        .of_corp(),
        Route::post("/admin/api/plans/{name}/detach", Scope::Plans, ("detachPlan", detach_says), detach).of_corp(),
    ]
}

async fn list(ask: Ask) -> Result<Page<Plan>, Problem> {
    let paging = ask.paging("plans")?;
    let rules = ask.store().rules(ask.now).await?;
    let attachments = rules.attachments();
    let found = rules.plans.iter().filter(|(name, _)| paging.after.as_ref().is_none_or(|after| *name > after));
    Ok(paging.page(found, |(name, _)| (*name).clone(), |(name, plan)| Plan::of(name, plan).held(&attachments)))
}

async fn get(ask: Ask) -> Result<One<Plan>, Problem> {
    shown(&ask.store().rules(ask.now).await?, ask.path("name")?)
}

async fn put(ask: Ask<Body<WantedPlan>>) -> Result<Saved<Plan>, Problem> {
    let (name, Body(wanted)) = (ask.path("name")?, &ask.body);
    if !is_plan_name(name) {
        return Err(Problem::parameter("name", "a plan's name has 1 to 40 letters, digits, _ or -"));
    }
    let plan = wanted.parse(&ask.here.served.models);
    let plan = plan.map_err(|wrong| Problem::invalid(&wrong.pointer(), wrong.to_string()))?;
    let store = ask.on_seen(Thing::Plan(name.to_owned()));
    let is_new = store.save_plan(&ask.actor(), name, &plan, ask.now).await?;
    let attachments = ask.store().rules(ask.now).await?;
    let thing = Plan::of(name, &plan).held(&attachments.attachments());
    Ok(Saved { is_new, thing, version: Version::of_plan(&plan) })
}

async fn remove(ask: Ask) -> Result<Gone, Problem> {
    let name = ask.path("name")?;
    match ask.on(Thing::Plan(name.to_owned())).remove_plan(&ask.actor(), name, ask.now).await? {
        Removed::Yes => Ok(Gone),
        Removed::NotThere => Err(no_such(name)),
        Removed::Attached(holders) => {
            Err(Problem::conflict(format!("{name} is attached in {holders} places; detach it first")))
        }
    }
}

/// Whom a plan is for: one of these.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Whom {
    /// `true`: each member without a plan of their own.
    everyone: bool,
    /// `true`: all members of the enterprise together.
    company: bool,
    /// All members of a department together, those below it included, by WeCom's number.
    department: Option<u64>,
    /// One member, by their userid.
    member: Option<String>,
    /// One API key, by its id.
    key: Option<String>,
}

async fn attach(ask: Ask<Body<Whom>>) -> Result<One<Plan>, Problem> {
    let (name, holder) = (ask.path("name")?, holder(&ask, &ask.body.0, "").await?);
    if !ask.anew().attach_plan(&ask.actor(), &holder, name, ask.now).await? {
        return Err(no_such(name));
    }
    shown(&ask.store().rules(ask.now).await?, name)
}

async fn detach(ask: Ask<Body<Whom>>) -> Result<One<Plan>, Problem> {
    let (name, holder) = (ask.path("name")?, holder(&ask, &ask.body.0, "").await?);
    let is_this = Expected::OneOf(vec![Version::of_name(name)]);
    let store = ask.under(vec![(Thing::Attached(holder.clone()), is_this)]);
    match store.detach_plan(&ask.actor(), &holder, ask.now).await {
        Err(crate::store::Error::Unmet(Unmet::Changed)) | Ok(false) => {
            Err(Problem::not_there(format!("the plan {name} is not attached there")))
        }
        Err(error) => Err(error.into()),
        Ok(true) => shown(&ask.store().rules(ask.now).await?, name),
    }
}

/// The holder that is meant; `place` is where that stands in the body.
pub(super) async fn holder<T>(ask: &Ask<T>, whom: &Whom, place: &str) -> Result<Holder, Problem> {
    let corp = || ask.here.served.corp(ask.query("corp"));
    let one = |subject| Ok(Holder::One(subject));
    match whom {
        Whom { everyone: true, company: false, department: None, member: None, key: None } => Ok(Holder::EveryMember),
        Whom { everyone: false, company: true, department: None, member: None, key: None } => {
            one(Subject::company(&corp()?))
        }
        Whom { everyone: false, company: false, department: Some(number), member: None, key: None } => {
            one(Subject::department(&corp()?, *number))
        }
        Whom { everyone: false, company: false, department: None, member: Some(member), key: None } => {
            let member = MemberId::parse(member)
                .map_err(|wrong| Problem::invalid(&format!("{place}/member"), wrong.to_string()))?;
            one(Subject::member(&corp()?, &member))
        }
        Whom { everyone: false, company: false, department: None, member: None, key: Some(id) } => {
            // Not quoted: somebody may have given a whole key.
            let unknown =
                || Problem::invalid(&format!("{place}/key"), "there is no such key; expected the 12 digits of its id");
            let id = KeyId::parse(id).map_err(|_| unknown())?;
            let key = ask.store().key(&id).await?.ok_or_else(unknown)?;
            one(Subject::key(&key.corp, &key.id))
        }
        _ => Err(Problem::invalid(place, "say whom, by one of: everyone, company, department, member, key")),
    }
}

fn shown(rules: &Rules, name: &str) -> Result<One<Plan>, Problem> {
    let plan = rules.plans.get(name).ok_or_else(|| no_such(name))?;
    Ok(One::of(Plan::of(name, plan).held(&rules.attachments()), Version::of_plan(plan)))
}

fn no_such(name: &str) -> Problem {
    Problem::not_there(format!("there is no plan {name}"))
}
