//! Template cards (pages 90236 and 94888): what may be sent, what a press brings to the daemon, and how the daemon then
//! changes the card.

use std::{collections::HashMap, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Json,
    body::Bytes,
    extract::{ConnectInfo, Query, State},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{
    Cloud, Emulator,
    callback::Receipt,
    message::{Refusal, SendRequest},
};
use crate::{
    clock::Timestamp,
    sandbox::{
        envelope::cdata,
        journal::{Entry, Kind},
        random,
    },
};

/// How long a code updates its card.
const CODE_LIFE: Duration = Duration::from_secs(72 * 60 * 60);

/// The cards that were sent, and the codes that were given out for them.
#[derive(Debug, Default)]
pub(super) struct Cards {
    /// The kind of each card, by its task.
    kinds: HashMap<String, String>,
    codes: HashMap<String, Code>,
}

#[derive(Debug)]
struct Code {
    task_id: String,
    member: String,
    given_at: Timestamp,
    used: bool,
}

impl Cards {
    /// Notes a card that is sent; a task is one card.
    pub(super) fn take(&mut self, request: &SendRequest) -> Result<(), Refusal> {
        if request.msgtype != "template_card" {
            return Ok(());
        }
        let card: Value = serde_json::from_str(&request.content).map_err(|_| Refusal(40058))?;
        let Some(task_id) = card["task_id"].as_str() else { return Ok(()) };
        let kind = card["card_type"].as_str().unwrap_or_default().to_owned();
        match self.kinds.insert(task_id.to_owned(), kind) {
            Some(_) => Err(Refusal(42014)),
            None => Ok(()),
        }
    }

    /// A code for a card that `member` pressed.
    fn give_code(&mut self, task_id: &str, member: &str, now: Timestamp) -> String {
        let code = hex::encode(random::<16>());
        let (task_id, member) = (task_id.to_owned(), member.to_owned());
        self.codes.insert(code.clone(), Code { task_id, member, given_at: now, used: false });
        code
    }

    /// The task and the member of a code, which works once.
    fn use_code(&mut self, code: &str, now: Timestamp) -> Result<(String, String), Refusal> {
        let code = self.codes.get_mut(code).filter(|code| now.since(code.given_at) < CODE_LIFE);
        match code {
            None => Err(Refusal(42016)),
            Some(Code { used: true, .. }) => Err(Refusal(42022)),
            Some(code) => {
                code.used = true;
                Ok((code.task_id.clone(), code.member.clone()))
            }
        }
    }
}

/// The JSON of a card that WeCom would take.
pub(super) fn check(card: Option<&Value>) -> Result<String, Refusal> {
    let card = card.filter(|card| card.is_object()).ok_or(Refusal(40058))?;
    let kind = card["card_type"].as_str().unwrap_or_default();
    let has = |path: &str| card.pointer(path).is_some_and(|value| !value.is_null() && value != "");
    let task_id = card["task_id"].as_str().unwrap_or_default();
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-@".contains(&byte));
    let needs_task = !matches!(kind, "text_notice" | "news_notice") || has("/action_menu");
    if task_id.len() > 128 || !is_id(task_id) || (needs_task && task_id.is_empty()) {
        return Err(Refusal(42014));
    }
    let list = |path: &str| card.pointer(path).and_then(Value::as_array).map_or(0, Vec::len);
    match kind {
        "text_notice" | "news_notice" if !has("/card_action/type") => return Err(Refusal(42045)),
        "text_notice" | "news_notice" => {}
        "button_interaction" if !has("/main_title/title") => return Err(Refusal(42033)),
        "button_interaction" if !(1..=6).contains(&list("/button_list")) => return Err(Refusal(42037)),
        "button_interaction" => {
            for button in card["button_list"].as_array().into_iter().flatten() {
                if button["text"].as_str().is_none_or(str::is_empty) {
                    return Err(Refusal(42038));
                }
                if button["key"].as_str().is_none_or(|key| key.is_empty() || key.len() > 1024) {
                    return Err(Refusal(42039));
                }
            }
        }
        "vote_interaction" if !(1..=20).contains(&list("/checkbox/option_list")) => return Err(Refusal(42037)),
        "vote_interaction" => check_question(&card["checkbox"])?,
        "multiple_interaction" if !(1..=3).contains(&list("/select_list")) => return Err(Refusal(42047)),
        "multiple_interaction" => {
            for question in card["select_list"].as_array().into_iter().flatten() {
                if !(1..=10).contains(&question["option_list"].as_array().map_or(0, Vec::len)) {
                    return Err(Refusal(42037));
                }
                check_question(question)?;
            }
        }
        _ => return Err(Refusal(42031)),
    }
    let asks = matches!(kind, "vote_interaction" | "multiple_interaction");
    if asks && !has("/main_title/title") {
        return Err(Refusal(42033));
    }
    if asks && !has("/submit_button/key") {
        return Err(Refusal(42046));
    }
    Ok(card.to_string())
}

/// The key of a question, and the ids and texts of what can be chosen.
fn check_question(question: &Value) -> Result<(), Refusal> {
    let fits = |text: &Value, bytes| text.as_str().is_some_and(|text| !text.is_empty() && text.len() <= bytes);
    if !fits(&question["question_key"], 1024) {
        return Err(Refusal(42043));
    }
    for option in question["option_list"].as_array().into_iter().flatten() {
        if !fits(&option["id"], 128) {
            return Err(Refusal(42040));
        }
        if !fits(&option["text"], usize::MAX) {
            return Err(Refusal(42041));
        }
    }
    Ok(())
}

/// Changes a card that was pressed.
pub(super) async fn update_template_card(
    State(cloud): State<Arc<Cloud>>,
    ConnectInfo(caller): ConnectInfo<SocketAddr>,
    Query(parameters): Query<HashMap<String, String>>,
    body: Bytes,
) -> Response {
    if let Err(response) = cloud.in_good_order().await {
        return response;
    }
    let now = cloud.clock.now();
    let outcome = {
        let state = &mut *cloud.state();
        let access_token = parameters.get("access_token").map(String::as_str);
        state.authorise(access_token, caller.ip(), now).and_then(|()| {
            let request: Value = serde_json::from_slice(&body).map_err(|_| Refusal(40058))?;
            if request["agentid"].as_u64() != Some(cloud.settings.agent_id.get()) {
                return Err(Refusal(40056));
            }
            let change = match (request.get("button"), request.get("template_card")) {
                (Some(button), None) if button["replace_name"].is_string() => json!({"button": button}),
                (None, card @ Some(whole)) => check(card).map(|_| json!({"card": whole}))?,
                _ => return Err(Refusal(40058)),
            };
            let (task_id, member) = state.cards.use_code(request["response_code"].as_str().unwrap_or_default(), now)?;
            let mut update = change;
            update["task_id"] = task_id.into();
            state.line(member, false, "card_update", &update.to_string(), now);
            Ok(())
        })
    };
    let (answer, zh, en) = match outcome {
        Ok(()) => (json!({"errcode": 0, "errmsg": "ok", "invaliduser": []}), "更新卡片", "updated a card"),
        Err(refusal) => (cloud.refused(refusal, caller.ip()), "更新卡片：被拒绝", "updating a card: refused"),
    };
    let request =
        format!("POST /cgi-bin/message/update_template_card?access_token=***\n{}", String::from_utf8_lossy(&body));
    cloud.record(Kind::Send, zh, en, &request, &answer);
    cloud.announce();
    Json(answer).into_response()
}

impl Emulator {
    /// `member` presses `key` on the card `task_id`; where the card asks something, with what was chosen: a question's
    /// key and the ids of its options. Returns once the daemon has taken it, with the code that updates the card.
    pub async fn press(
        &self,
        member: &str,
        task_id: &str,
        key: &str,
        chosen: &[(&str, Vec<&str>)],
    ) -> (Receipt, String) {
        let now = self.cloud.clock.now();
        let (code, kind) = {
            let cards = &mut self.cloud.state().cards;
            let kind = cards.kinds.get(task_id).cloned().unwrap_or_else(|| "button_interaction".to_owned());
            (cards.give_code(task_id, member, now), kind)
        };
        let items: String = chosen
            .iter()
            .map(|(question, options)| {
                let options: String = options.iter().map(|id| format!("<OptionId>{}</OptionId>", cdata(id))).collect();
                let question = cdata(question);
                format!(
                    "<SelectedItem><QuestionKey>{question}</QuestionKey><OptionIds>{options}</OptionIds></SelectedItem>"
                )
            })
            .collect();
        let fields = format!(
            "<Event><![CDATA[template_card_event]]></Event><EventKey>{}</EventKey><TaskId>{}</TaskId>\
             <CardType>{}</CardType><ResponseCode>{}</ResponseCode>\
             <SelectedItems>{items}</SelectedItems>",
            cdata(key),
            cdata(task_id),
            cdata(&kind),
            cdata(&code)
        );
        let xml = self.inner_xml(member, now, "event", &fields);
        let (zh, en) = (format!("{member} 点了卡片：{key}"), format!("{member} pressed a card: {key}"));
        (self.deliver(Entry::new(Kind::Callback, zh, en), &xml).await, code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(option: Value, submit: &str) -> Value {
        let checkbox = json!({"question_key": "q", "mode": 0, "option_list": [option]});
        json!({"card_type": "vote_interaction", "task_id": "t", "main_title": {"title": "选"}, "checkbox": checkbox,
            "submit_button": {"text": "好", "key": submit}})
    }

    #[test]
    fn a_card_that_lacks_something_is_refused_by_its_errcode() {
        let cases = [
            (
                json!({"card_type": "button_interaction", "task_id": "t", "main_title": {"title": "选"},
                    "button_list": [{"text": "好", "key": "ok"}]}),
                Ok(()),
            ),
            (
                json!({"card_type": "button_interaction", "main_title": {"title": "选"},
                    "button_list": [{"text": "好", "key": "ok"}]}),
                Err(42014),
            ),
            (json!({"card_type": "button_interaction", "task_id": "a b"}), Err(42014)),
            (json!({"card_type": "button_interaction", "task_id": "t"}), Err(42033)),
            (json!({"card_type": "button_interaction", "task_id": "t", "main_title": {"title": "选"}}), Err(42037)),
            (
                json!({"card_type": "button_interaction", "task_id": "t", "main_title": {"title": "选"},
                    "button_list": [{"text": "好"}]}),
                Err(42039),
            ),
            (json!({"card_type": "text_notice"}), Err(42045)),
            (json!({"card_type": "text_notice", "card_action": {"type": 1, "url": "https://a.cn"}}), Ok(())),
            (json!({"card_type": "hologram", "task_id": "t"}), Err(42031)),
            (json!({"card_type": "vote_interaction", "task_id": "t", "checkbox": {"option_list": [{}]}}), Err(42043)),
            (vote(json!({"id": "", "text": "a"}), "ok"), Err(42040)),
            (vote(json!({"id": "a".repeat(129), "text": "a"}), "ok"), Err(42040)),
            (vote(json!({"id": "a"}), "ok"), Err(42041)),
            (vote(json!({"id": "a", "text": "a"}), ""), Err(42046)),
            (vote(json!({"id": "a", "text": "a"}), "ok"), Ok(())),
        ];
        for (card, expected) in cases {
            assert_eq!(check(Some(&card)).map(drop).map_err(|refusal| refusal.0), expected, "{card}");
        }
    }

    #[test]
    fn a_code_updates_its_card_once_within_three_days() {
        let mut cards = Cards::default();
        let now = Timestamp::from_secs(1_700_000_000);
        let code = cards.give_code("t", "ann", now);
        assert_eq!(cards.use_code("other", now), Err(Refusal(42016)));
        assert_eq!(cards.use_code(&code, now), Ok(("t".to_owned(), "ann".to_owned())));
        assert_eq!(cards.use_code(&code, now), Err(Refusal(42022)));
        let late = cards.give_code("t", "ann", now);
        assert_eq!(cards.use_code(&late, now + CODE_LIFE), Err(Refusal(42016)));
    }
}
