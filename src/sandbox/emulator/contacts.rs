//! The address book, as an application sees it: `user/get` and `department/get` (pages 90196 and 95351).

use std::{collections::HashMap, convert::Infallible, future, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    extract::{ConnectInfo, Query, State},
    response::{IntoResponse, Response},
    routing::get,
};
use serde_json::{Value, json};

use super::{Cloud, message::Refusal};
use crate::sandbox::journal::Kind;

type Parameters = Query<HashMap<String, String>>;
type Caller = ConnectInfo<SocketAddr>;

/// Who is in the address book, and what is wrong with it.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    /// Name and department of members, by their userid in lower case. Everybody else is called as their userid and is in
    /// the department that is the whole enterprise.
    pub(super) people: HashMap<String, (String, String)>,
    /// The errcode with which everybody is refused.
    pub(super) refused: Option<i64>,
    /// Calls are taken and never answered.
    pub(super) hang: bool,
    /// Calls of `user/get`.
    pub(super) asked: u64,
    /// An address book with departments, where one was entered.
    pub(super) book: Option<Book>,
}

/// An address book with departments, and the application's visible range in it.
#[derive(Clone, Debug, Default)]
pub struct Book {
    /// Number, number of the one above, name.
    pub departments: Vec<(u64, u64, String)>,
    /// Userid, name, numbers of departments.
    pub members: Vec<(String, String, Vec<u64>)>,
    /// Members who are named one by one in the visible range.
    pub visible_members: Vec<String>,
    /// Departments in it.
    pub visible_departments: Vec<u64>,
    /// Tags in it.
    pub visible_tags: Vec<u64>,
    /// The errcode with which a list of members of this department is refused.
    pub refused_department: Option<(u64, i64)>,
}

impl Book {
    fn member(&self, userid: &str) -> Option<Value> {
        let (userid, name, departments) = self.members.iter().find(|(id, ..)| id.eq_ignore_ascii_case(userid))?;
        Some(json!({"errcode": 0, "errmsg": "ok", "userid": userid, "name": name, "department": departments,
            "main_department": departments.first(), "position": "", "status": 1}))
    }

    fn department(&self, id: &str) -> Option<Value> {
        let (id, parent, name) = self.departments.iter().find(|(number, ..)| number.to_string() == id)?;
        Some(
            json!({"errcode": 0, "errmsg": "ok", "department": {"id": id, "name": name, "parentid": parent, "order": 1}}),
        )
    }

    /// The range, as `agent/get` has it.
    pub(super) fn range(&self) -> [Value; 3] {
        let users: Vec<_> = self.visible_members.iter().map(|userid| json!({"userid": userid})).collect();
        [json!(users), json!(self.visible_departments), json!(self.visible_tags)]
    }
}

pub(super) fn routes() -> Router<Arc<Cloud>> {
    Router::new()
        .route("/cgi-bin/user/get", get(user_get))
        .route("/cgi-bin/user/simplelist", get(user_simplelist))
        .route("/cgi-bin/department/get", get(department_get))
        .route("/cgi-bin/department/simplelist", get(department_simplelist))
}

/// Who is directly in a department (page 90200).
async fn user_simplelist(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    let found = |contacts: &Contacts, id: &str| {
        let book = contacts.book.clone().unwrap_or_default();
        if let Some((of, errcode)) = book.refused_department
            && of.to_string() == id
        {
            return json!({"errcode": errcode, "errmsg": "refused"});
        }
        let members = book.members.iter().filter(|(.., departments)| departments.iter().any(|of| of.to_string() == id));
        let members: Vec<_> = members
            .map(|(userid, name, departments)| json!({"userid": userid, "name": name, "department": departments}))
            .collect();
        json!({"errcode": 0, "errmsg": "ok", "userlist": members})
    };
    answer(&cloud, caller, &parameters, "department_id", "user/simplelist", found).await
}

/// The departments that the application sees (page 95350): those of its range, and all below.
async fn department_simplelist(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(mut parameters): Parameters,
) -> Response {
    parameters.entry("id".to_owned()).or_default();
    let found = |contacts: &Contacts, _: &str| {
        let book = contacts.book.clone().unwrap_or_default();
        let mut seen = book.visible_departments.clone();
        while let Some((id, ..)) =
            book.departments.iter().find(|(id, parent, _)| seen.contains(parent) && !seen.contains(id))
        {
            seen.push(*id);
        }
        let ids = book.departments.iter().filter(|(id, ..)| seen.contains(id));
        let ids: Vec<_> = ids.map(|(id, parent, _)| json!({"id": id, "parentid": parent, "order": 1})).collect();
        json!({"errcode": 0, "errmsg": "ok", "department_id": ids})
    };
    answer(&cloud, caller, &parameters, "id", "department/simplelist", found).await
}

async fn user_get(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    cloud.state().contacts.asked += 1;
    let found = |contacts: &Contacts, userid: &str| {
        if let Some(member) = contacts.book.as_ref().and_then(|book| book.member(userid)) {
            return member;
        }
        let key = userid.to_lowercase();
        let name = contacts.people.get(&key).map_or(userid, |(name, _)| name);
        // The number of a department is the place of its first member.
        let mut keys: Vec<_> = contacts.people.keys().collect();
        keys.sort();
        let department = keys.iter().position(|known| **known == key).map_or(1, |place| place + 2);
        json!({"errcode": 0, "errmsg": "ok", "userid": userid, "name": name, "department": [department],
            "main_department": department, "position": "", "status": 1})
    };
    answer(&cloud, caller, &parameters, "userid", "user/get", found).await
}

async fn department_get(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    let found = |contacts: &Contacts, id: &str| {
        if let Some(department) = contacts.book.as_ref().and_then(|book| book.department(id)) {
            return department;
        }
        let mut keys: Vec<_> = contacts.people.keys().collect();
        keys.sort();
        let member = id.parse::<usize>().ok().and_then(|id| keys.get(id.checked_sub(2)?).copied());
        let name = member.and_then(|member| contacts.people.get(member)).map_or("企业", |(_, department)| department);
        json!({"errcode": 0, "errmsg": "ok", "department": {"id": id, "name": name, "parentid": 1, "order": 1}})
    };
    answer(&cloud, caller, &parameters, "id", "department/get", found).await
}

async fn answer(
    cloud: &Cloud,
    caller: SocketAddr,
    parameters: &HashMap<String, String>,
    wanted: &str,
    api: &str,
    found: impl Fn(&Contacts, &str) -> Value,
) -> Response {
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    if cloud.state().contacts.hang {
        let never: Infallible = future::pending().await;
        match never {}
    }
    let now = cloud.clock.now();
    let outcome = {
        let state = &mut *cloud.state();
        state.authorise(parameters.get("access_token").map(String::as_str), caller.ip(), now).and_then(|()| {
            let of = parameters.get(wanted).ok_or(Refusal(41009))?;
            match state.contacts.refused {
                Some(errcode) => Err(Refusal(errcode)),
                None if wanted == "userid" && !state.sees(of) => Err(Refusal(60111)),
                None => Ok(found(&state.contacts, of)),
            }
        })
    };
    let answer = outcome.unwrap_or_else(|refusal| cloud.refused(refusal, caller.ip()));
    let request = format!("GET /cgi-bin/{api}?access_token=***");
    cloud.record(Kind::Send, "查询通讯录", "asked the address book", &request, &answer);
    Json(answer).into_response()
}
