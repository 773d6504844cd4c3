//! Members and departments: what `qimate member` and `qimate department` do.

use super::{
    answer::{One, Page, Saved},
    ask::Ask,
    body::Body,
    problem::Problem,
    route::Route,
};
use crate::{
    model::{
        id::{CorpId, MemberId},
        json::member::{Department, Hours, Member, WantedMember, WrongMember},
        operator::Scope,
        person::Person,
        quota::subject::Subject,
    },
    store::terms::{Thing, Version},
};

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/admin/api/members", "/admin/api/members/{userid}");
    let (departments, hours) = ("/admin/api/departments", "/admin/api/departments/{number}/hours");
    let change_says = "Changes a member: what is left out stays as it is. Somebody who is not known yet comes to be, so that \
                       rules can be made before their first message.";
    let hours_say = "Sets when questions of a department's members are answered, or takes that back. Department 0 is \
                     everybody without other hours.";
    let routes = [
        Route::get(all, Scope::Read, ("listMembers", "Every member that is known, by userid."), list),
        Route::get(one, Scope::Read, ("getMember", "One member."), get),
        Route::patch(one, Scope::People, ("changeMember", change_says), change).compares(),
        Route::get(departments, Scope::Read, ("listDepartments", "Every department, by WeCom's number."), of_corp),
        Route::put(hours, Scope::People, ("setHours", hours_say), set_hours),
    ];
    routes.into_iter().map(Route::of_corp).collect()
}

async fn list(ask: Ask) -> Result<Page<Member>, Problem> {
    let paging = ask.paging("members")?;
    let people = ask.store().people(&ask.here.served.corp(ask.query("corp"))?).await?;
    let found = people.iter().filter(|person| paging.after.as_ref().is_none_or(|after| person.member.key() > *after));
    Ok(paging.page(found, |person| person.member.key(), |person| shown(&ask, person)))
}

async fn get(ask: Ask) -> Result<One<Member>, Problem> {
    let (corp, member) = named(&ask)?;
    let person = ask.store().find_person(&corp, &member).await?.ok_or_else(|| {
        Problem::not_there(format!("{member} is not known; a member is from their first message, or a change, on"))
    })?;
    Ok(One::of(shown(&ask, &person), Version::of_person(&person)))
}

async fn change(ask: Ask<Body<WantedMember>>) -> Result<Saved<Member>, Problem> {
    let (corp, member) = named(&ask)?;
    let edit = ask.body.0.parse(member.clone(), &ask.here.served.zone).map_err(wrong)?;
    let is_new = ask.store().find_person(&corp, &member).await?.is_none();
    let store = ask.on(Thing::Member(corp.clone(), member.clone()));
    store.change_people(&ask.actor(), &corp, vec![edit], ask.now).await?;
    let person = ask.store().find_person(&corp, &member).await?.ok_or_else(Problem::internal)?;
    Ok(Saved { is_new, thing: shown(&ask, &person), version: Version::of_person(&person) })
}

async fn of_corp(ask: Ask) -> Result<Page<Department>, Problem> {
    let paging = ask.paging("departments")?;
    let after = paging.after_number()?;
    let departments = ask.store().departments(&ask.here.served.corp(ask.query("corp"))?).await?;
    let found = departments.iter().filter(|department| i64::try_from(department.id).is_ok_and(|id| id > after));
    let shown = |department: &crate::store::people::change::Department| Department {
        id: department.id,
        parent: department.parent,
        name: department.name.clone(),
        members: department.members,
        hours: department.hours.as_ref().map(ToString::to_string),
    };
    Ok(paging.page(found, |department| department.id.to_string(), shown))
}

async fn set_hours(ask: Ask<Body<Hours>>) -> Result<One<Hours>, Problem> {
    let corp = ask.here.served.corp(ask.query("corp"))?;
    let hours = ask.body.0.parse().map_err(wrong)?;
    let number = ask.path("number")?.parse().ok();
    let subject = match number {
        Some(0) => Subject::company(&corp),
        Some(number) if ask.store().departments(&corp).await?.iter().any(|known| known.id == number) => {
            Subject::department(&corp, number)
        }
        _ => return Err(Problem::not_there("there is no such department; GET /admin/api/departments lists them")),
    };
    ask.anew().set_hours(&ask.actor(), &subject, hours.as_ref(), ask.now).await?;
    Ok(One::unversioned(Hours::of(hours.as_ref())))
}

fn named<T>(ask: &Ask<T>) -> Result<(CorpId, MemberId), Problem> {
    let member =
        MemberId::parse(ask.path("userid")?).map_err(|wrong| Problem::parameter("userid", wrong.to_string()))?;
    Ok((ask.here.served.corp(ask.query("corp"))?, member))
}

fn shown<T>(ask: &Ask<T>, person: &Person) -> Member {
    Member::of(person, &ask.here.served.zone)
}

fn wrong(wrong: WrongMember) -> Problem {
    Problem::invalid(&format!("/{}", wrong.field), wrong.to_string())
}
