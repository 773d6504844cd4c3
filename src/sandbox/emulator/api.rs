//! The API that the daemon calls: `gettoken`, `message/send`, `agent/get`. HTTP 200 whatever happens; the truth is in
//! `errcode`.

use std::{
    collections::HashMap,
    convert::Infallible,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{ConnectInfo, DefaultBodyLimit, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::future;
use serde_json::{Value, json};

use super::{
    Cloud,
    card::update_template_card,
    contacts,
    media::media_get,
    menu,
    message::{Refusal, SendRequest},
    state::{Fate, Taken},
    upload::{REQUEST_LIMIT, media_upload},
};
use crate::sandbox::{
    cut_connection,
    journal::{Entry, Kind},
    trouble::Breakage,
};

/// The address that WeCom says the call came from where there is no console to enter it in: from a range that is kept
/// for documentation.
const FROM_IP: &str = "203.0.113.7";

pub(super) type Parameters = Query<HashMap<String, String>>;
pub(super) type Caller = ConnectInfo<SocketAddr>;

pub(super) fn router(cloud: Arc<Cloud>) -> Router {
    Router::new()
        .route("/cgi-bin/gettoken", get(gettoken))
        .route("/cgi-bin/message/send", post(message_send))
        .route("/cgi-bin/agent/get", get(agent_get))
        .route("/cgi-bin/message/update_template_card", post(update_template_card))
        .route("/cgi-bin/media/get", get(media_get))
        .route("/cgi-bin/media/upload", post(media_upload).layer(DefaultBodyLimit::max(REQUEST_LIMIT)))
        .merge(contacts::routes())
        .merge(menu::routes())
        .with_state(cloud)
}

async fn gettoken(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    cloud.state().counters.gettoken += 1;
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let given = |name: &str| parameters.get(name).map(String::as_str).filter(|value| !value.is_empty());
    let checked = match (given("corpid"), given("corpsecret")) {
        (None, _) => Err(Refusal(41002)),
        (_, None) => Err(Refusal(41004)),
        (Some(corp), _) if corp != cloud.settings.corp_id.as_str() => Err(Refusal(40013)),
        (_, Some(secret)) if secret != cloud.settings.secret.expose() => Err(Refusal(40001)),
        _ => Ok(()),
    };
    let answer = match checked {
        Ok(()) => {
            let now = cloud.clock.now();
            let (value, life) = cloud.state().access_token(now);
            cloud.journal.star(&value);
            json!({"errcode": 0, "errmsg": "ok", "access_token": value, "expires_in": life.as_secs()})
        }
        Err(refusal) => cloud.refused(refusal, caller.ip()),
    };
    let request = format!(
        "GET /cgi-bin/gettoken?corpid={}&corpsecret=***",
        parameters.get("corpid").map(String::as_str).unwrap_or_default()
    );
    cloud.record(Kind::AccessToken, "领取 access_token", "fetched an access token", &request, &answer);
    Json(answer).into_response()
}

async fn message_send(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
    body: Bytes,
) -> Response {
    cloud.state().counters.sends += 1;
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let (outcome, lost) = cloud.take(parameters.get("access_token").map(String::as_str), caller.ip(), &body);

    let (answer, zh, en) = match outcome {
        Ok(Taken { msgid, invalid, fate }) => {
            let answer = json!({
                "errcode": 0, "errmsg": "ok", "invaliduser": invalid.join("|"), "invalidparty": "", "invalidtag": "",
                "unlicenseduser": "", "msgid": msgid,
            });
            let (zh, en) = match fate {
                Fate::Shown => ("发送消息：已送达", "sent a message: delivered"),
                Fate::Cut => ("发送消息：超过 2048 字节，被截断", "sent a message: cut at 2048 bytes"),
                Fate::Duplicate => ("发送消息：重复，不再显示", "sent a message: a duplicate, not shown again"),
                Fate::OverRate => ("发送消息：超过频率，被悄悄丢弃", "sent a message: over the rate, silently dropped"),
            };
            (answer, zh, en)
        }
        Err(refusal) => (cloud.refused(refusal, caller.ip()), "发送消息：被拒绝", "sent a message: refused"),
    };
    let request = format!(
        "POST /cgi-bin/message/send{}\n{}",
        if parameters.contains_key("access_token") { "?access_token=***" } else { "" },
        String::from_utf8_lossy(&body)
    );
    let (zh, en) =
        if lost.is_some() { ("已送达，但应答丢失", "delivered, but the answer was lost") } else { (zh, en) };
    cloud.record(Kind::Send, zh, en, &request, &answer);
    // After the journal, so that a message is not seen before the step that brought it.
    cloud.announce();
    match lost {
        Some(breakage) => end_by(breakage).await,
        None => Json(answer).into_response(),
    }
}

async fn agent_get(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): Caller,
    Query(parameters): Parameters,
) -> Response {
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let now = cloud.clock.now();
    let agent = cloud.settings.agent_id.get();
    let access_token = parameters.get("access_token").map(String::as_str);
    let checked =
        cloud.state().authorise(access_token, caller.ip(), now).and_then(|()| match parameters.get("agentid") {
            None => Err(Refusal(41011)),
            Some(id) if id.parse() == Ok(agent) => Ok(()),
            Some(id) if id.parse::<u64>().is_ok() => Err(Refusal(301002)),
            Some(_) => Err(Refusal(40056)),
        });
    let visible = cloud.state().visible().map(<[String]>::to_vec);
    // Without a console, everybody: the first department is the whole enterprise.
    let (disabled, unseen) = {
        let trouble = &cloud.state().trouble;
        (u8::from(trouble.agent_disabled), trouble.agent_unseen)
    };
    let departments = if visible.is_some() || unseen { vec![] } else { vec![1] };
    let users: Vec<_> = visible.iter().flatten().map(|member| json!({"userid": member})).collect();
    let range = [json!(users), json!(departments), json!([])];
    let [users, departments, tags] = cloud.state().contacts.book.as_ref().map_or(range, contacts::Book::range);
    let answer = match checked {
        Ok(()) => json!({
            "errcode": 0, "errmsg": "ok", "agentid": agent, "name": "企伴", "square_logo_url": "",
            "description": "Qimate", "allow_userinfos": {"user": users}, "allow_partys": {"partyid": departments},
            "allow_tags": {"tagid": tags}, "close": disabled, "redirect_domain": "", "report_location_flag": 0,
            "isreportenter": 1, "home_url": "",
        }),
        Err(refusal) => cloud.refused(refusal, caller.ip()),
    };
    let request = format!("GET /cgi-bin/agent/get?access_token=***&agentid={agent}");
    cloud.record(Kind::Send, "查询应用信息", "asked about the application", &request, &answer);
    Json(answer).into_response()
}

/// Ends a call without WeCom's answer.
pub(super) async fn end_by(breakage: Breakage) -> Response {
    match breakage {
        Breakage::Cut => cut_connection(),
        Breakage::Hang => {
            let never: Infallible = future::pending().await;
            match never {}
        }
        Breakage::Page(status) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let html = format!("<html><head><title>{status}</title></head><body><h1>{status}</h1></body></html>");
            (status, [(header::CONTENT_TYPE, "text/html")], html).into_response()
        }
    }
}

impl Cloud {
    /// Lets the call through, or gives what comes instead of an answer.
    pub(super) async fn in_good_order(&self) -> Result<(), Response> {
        let (broken, delay) = {
            let trouble = &self.state().trouble;
            (trouble.broken_calls, trouble.answer_delay)
        };
        if !delay.is_zero() {
            self.clock.sleep(delay).await;
        }
        if let Some(breakage) = broken {
            return Err(end_by(breakage).await);
        }
        Ok(())
    }

    /// Decides about a send; the second value says what comes instead of its answer.
    fn take(
        &self,
        access_token: Option<&str>,
        from: IpAddr,
        body: &[u8],
    ) -> (Result<Taken, Refusal>, Option<Breakage>) {
        let now = self.clock.now();
        let state = &mut *self.state();
        let mut is_file = false;
        let outcome = state.authorise(access_token, from, now).and_then(|()| {
            if let Some(errcode) = state.trouble.take_send_failure() {
                return Err(Refusal(errcode));
            }
            let request = SendRequest::parse(body, self.settings.agent_id)?;
            is_file = request.is_file();
            match if is_file { state.trouble.take_file_failure() } else { None } {
                Some(errcode) => Err(Refusal(errcode)),
                None => state.take(request, now),
            }
        });
        let lost = match &outcome {
            Err(_) => None,
            Ok(_) if is_file => state.trouble.take_lost_file().or_else(|| state.trouble.take_lost_answer()),
            Ok(_) => state.trouble.take_lost_answer(),
        };
        (outcome, lost)
    }

    /// A refusal in WeCom's words.
    pub(super) fn refused(&self, Refusal(errcode): Refusal, caller: IpAddr) -> Value {
        let hint = self.clock.now().as_millis();
        let text = Refusal(errcode).text();
        let from = if self.state().console.is_some() { caller.to_string() } else { FROM_IP.to_owned() };
        let errmsg = format!(
            "{text}, hint: [{hint}203011307], from ip: {from}, more info at \
             https://open.work.weixin.qq.com/devtool/query?e={errcode}"
        );
        json!({"errcode": errcode, "errmsg": errmsg})
    }

    pub(super) fn record(&self, kind: Kind, zh: &str, en: &str, request: &str, answer: &Value) {
        let errcode = answer["errcode"].as_i64().unwrap_or_default();
        let number = if errcode == 0 { String::new() } else { format!(" · errcode {errcode}") };
        self.journal.record(
            Entry::new(kind, format!("{zh}{number}"), format!("{en}{number}"))
                .detail(format!("{request}\n\n{answer}"))
                .failed(errcode != 0),
        );
    }
}
