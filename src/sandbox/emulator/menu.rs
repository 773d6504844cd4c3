//! The menu below the chat: `menu/create` and `menu/get` (page 90231), and the click of a member.

use std::{collections::HashMap, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, Query, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

use super::{Cloud, Emulator, callback::Receipt, message::Refusal};
use crate::sandbox::{
    envelope::cdata,
    journal::{Entry, Kind},
};

type Parameters = Query<HashMap<String, String>>;
type Caller = ConnectInfo<SocketAddr>;

/// The menu, and what happened to it.
#[derive(Debug, Default)]
pub(super) struct Menus {
    menu: Option<Value>,
    /// Calls of `menu/get` and of `menu/create` that were answered.
    asked: (u64, u64),
    /// The errcode with which everybody is refused.
    refused: Option<i64>,
}

pub(super) fn routes() -> Router<Arc<Cloud>> {
    Router::new().route("/cgi-bin/menu/get", get(menu_get)).route("/cgi-bin/menu/create", post(menu_create))
}

async fn menu_get(cloud: State<Arc<Cloud>>, caller: Caller, parameters: Parameters) -> Response {
    let found = |menus: &mut Menus| {
        menus.asked.0 += 1;
        let mut answer = menus.menu.clone().ok_or(Refusal(46003))?;
        answer["errcode"] = json!(0);
        answer["errmsg"] = json!("ok");
        Ok(answer)
    };
    answer(cloud, caller, parameters, ("GET", "get", "查询应用菜单", "asked for the menu"), "", found).await
}

async fn menu_create(cloud: State<Arc<Cloud>>, caller: Caller, parameters: Parameters, body: Bytes) -> Response {
    let made = |menus: &mut Menus| {
        menus.asked.1 += 1;
        let menu: Value = serde_json::from_slice(&body).map_err(|_| Refusal(40035))?;
        check(&menu)?;
        menus.menu = Some(menu);
        Ok(json!({"errcode": 0, "errmsg": "ok"}))
    };
    let said = String::from_utf8_lossy(&body);
    answer(cloud, caller, parameters, ("POST", "create", "创建应用菜单", "made the menu"), &said, made).await
}

async fn answer(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
    (method, call, zh, en): (&str, &str, &str, &str),
    body: &str,
    outcome: impl FnOnce(&mut Menus) -> Result<Value, Refusal>,
) -> Response {
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let (now, agent) = (cloud.clock.now(), cloud.settings.agent_id.get());
    let outcome = {
        let state = &mut *cloud.state();
        let access_token = parameters.get("access_token").map(String::as_str);
        let checked = state.authorise(access_token, caller.ip(), now).and_then(|()| match parameters.get("agentid") {
            None => Err(Refusal(41011)),
            Some(id) if id.parse() == Ok(agent) => Ok(()),
            Some(_) => Err(Refusal(301002)),
        });
        checked.and_then(|()| match state.menus.refused {
            Some(errcode) => Err(Refusal(errcode)),
            None => outcome(&mut state.menus),
        })
    };
    let answer = outcome.unwrap_or_else(|refusal| cloud.refused(refusal, caller.ip()));
    let request = format!("{method} /cgi-bin/menu/{call}?access_token=***&agentid={agent}\n{body}");
    cloud.record(Kind::Send, zh, en, &request, &answer);
    Json(answer).into_response()
}

/// The numbers and lengths of page 90231.
fn check(menu: &Value) -> Result<(), Refusal> {
    let buttons = menu["button"].as_array().ok_or(Refusal(40035))?;
    if !(1..=3).contains(&buttons.len()) {
        return Err(Refusal(40016));
    }
    let fits = |button: &Value, field: &str, bytes| {
        button[field].as_str().is_some_and(|text| !text.is_empty() && text.len() <= bytes)
    };
    let does = |button: &Value| match button["type"].as_str() {
        Some("click") => fits(button, "key", 128),
        Some("view") => fits(button, "url", 1024),
        kind => kind.is_some(),
    };
    for button in buttons {
        let entries = button["sub_button"].as_array().map(Vec::as_slice).unwrap_or_default();
        let right = match entries {
            [] => does(button),
            entries => entries.len() <= 5 && entries.iter().all(|entry| fits(entry, "name", 40) && does(entry)),
        };
        if !right || !fits(button, "name", 16) {
            return Err(Refusal(40058));
        }
    }
    Ok(())
}

impl Emulator {
    /// The menu that there is, as it was made.
    pub fn menu(&self) -> Option<Value> {
        self.cloud.state().menus.menu.clone()
    }

    /// An administrator makes a menu in the console, or deletes it.
    pub fn set_menu(&self, menu: Option<Value>) {
        self.cloud.state().menus.menu = menu;
    }

    /// Refuses calls about the menu with this errcode from now on; `None` takes them again.
    pub fn refuse_menu(&self, errcode: Option<i64>) {
        self.cloud.state().menus.refused = errcode;
    }

    /// How many calls of `menu/get` and of `menu/create` came through.
    pub fn menu_calls(&self) -> (u64, u64) {
        self.cloud.state().menus.asked
    }

    /// `member` chooses the entry of the menu with this key.
    pub async fn click(&self, member: &str, key: &str) -> Receipt {
        let fields = format!("<Event><![CDATA[click]]></Event><EventKey>{}</EventKey>", cdata(key));
        let xml = self.inner_xml(member, self.cloud.clock.now(), "event", &fields);
        let (zh, en) = (format!("{member} 点了菜单：{key}"), format!("{member} chose from the menu: {key}"));
        self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await
    }
}
