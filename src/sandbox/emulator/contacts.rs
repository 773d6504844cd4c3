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
}

pub(super) fn routes() -> Router<Arc<Cloud>> {
    Router::new().route("/cgi-bin/user/get", get(user_get)).route("/cgi-bin/department/get", get(department_get))
}

async fn user_get(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    cloud.state().contacts.asked += 1;
    let found = |contacts: &Contacts, userid: &str| {
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
