//! A program's request as it leaves the house.
//!
//! Every string in it goes through the guard, wherever it stands: in a message, a tool's description, a field that nobody
//! here knows. Only pictures, recordings and files pass unread. Without rules nothing is looked at.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{
    Asker,
    body::{Body, Call},
    form::Form,
    strings::{self, NoText, is_data},
};
use crate::safety::guard::{ABOUT_PLACEHOLDERS, Cleared, Clearing, Findings, Guard, Origin, Withheld};

/// Why a request must not be sent.
#[derive(Debug)]
pub enum NotCleared {
    /// The rules refuse it.
    Withheld(Withheld),
    /// A string in it is no text, so nobody can tell what an upstream would read.
    NoText,
}

impl From<Withheld> for NotCleared {
    fn from(withheld: Withheld) -> Self {
        Self::Withheld(withheld)
    }
}

impl From<NoText> for NotCleared {
    fn from(NoText: NoText) -> Self {
        Self::NoText
    }
}

/// A request that has been through the guard: no other is passed on.
#[derive(Debug)]
pub struct ClearedBody<'r> {
    body: &'r Body,
    asker: &'r Asker,
    /// Fields that are sent in another form, by their place.
    changed: Vec<(usize, String)>,
    /// A field that is sent beside.
    added: Option<(&'static str, String)>,
}

/// Words of the protocol, which nobody needs to look at.
const PROTOCOL: [&str; 16] = [
    "role",
    "content",
    "type",
    "text",
    "user",
    "system",
    "assistant",
    "tool",
    "developer",
    "function",
    "name",
    "arguments",
    "tool_calls",
    "tool_call_id",
    "image_url",
    "url",
];

impl<'r> ClearedBody<'r> {
    /// Clears `body`, asked in the name of `asker`, with `guard`. New is what came since the model wrote last, and
    /// whatever is no message.
    ///
    /// # Errors
    /// [`NotCleared`]: it must not be sent.
    pub fn through(guard: &Guard, body: &'r Body, asker: &'r Asker) -> Result<(Self, Findings), NotCleared> {
        let mut clearing = guard.begin();
        let mut changed = Vec::new();
        if guard.is_idle() {
            return Ok((Self { body, asker, changed, added: None }, clearing.finish()));
        }
        for (index, text) in body.form.iter().flat_map(Form::texts).enumerate() {
            if let Cow::Owned(text) = clearing.clear(text, Origin::New).map(Cleared::into_inner)? {
                changed.push((index, text));
            }
        }
        let mut messages = None;
        for (index, (name, raw)) in body.fields().enumerate() {
            match name {
                "model" => {}
                _ if body.call.has_items() && name == body.call.content() && raw.starts_with('[') => {
                    messages = Some((index, clear_messages(&mut clearing, body)?));
                }
                _ => {
                    if let Cow::Owned(text) = clear(&mut clearing, raw, Origin::New)? {
                        changed.push((index, text));
                    }
                }
            }
        }
        let findings = clearing.finish();
        let mut added = None;
        if body.call == Call::Responses && !findings.masks.is_empty() {
            added = instruct(body, &mut changed);
        }
        if let Some((index, mut messages)) = messages {
            if body.call == Call::Chat && !findings.masks.is_empty() {
                explain(&mut messages);
            }
            if messages.iter().any(|message| matches!(message, Cow::Owned(_))) {
                changed.push((index, format!("[{}]", messages.join(","))));
            }
        }
        Ok((Self { body, asker, changed, added }, findings))
    }

    /// The request.
    pub(in crate::llm) const fn body(&self) -> &'r Body {
        self.body
    }

    /// In whose name it is asked.
    pub(in crate::llm) const fn asker(&self) -> &'r Asker {
        self.asker
    }

    /// The field that is sent beside those that are there.
    pub(in crate::llm) fn added(&self) -> Option<(&'static str, &str)> {
        self.added.as_ref().map(|(name, raw)| (*name, raw.as_str()))
    }

    /// The form that is sent, where it is one.
    pub(in crate::llm) fn form(&self) -> Option<(&str, Bytes)> {
        self.body.form.as_ref().map(|form| (form.content_type(), form.with(&self.changed)))
    }

    /// What is sent for the field at this place; `None`: what stands there.
    pub(in crate::llm) fn field(&self, index: usize) -> Option<&str> {
        self.changed.iter().find(|(changed, _)| *changed == index).map(|(_, text)| text.as_str())
    }
}

fn clear_messages<'r>(clearing: &mut Clearing, body: &'r Body) -> Result<Vec<Cow<'r, str>>, NotCleared> {
    let items = body.items().unwrap_or_default();
    let roles: Vec<Option<String>> = items.iter().map(|item| role(item)).collect();
    let is = |index: usize, role: &str| roles[index].as_deref() == Some(role);
    let new_from = (0..items.len()).rev().find(|index| is(*index, "assistant")).map_or(0, |last| last + 1);
    let message = |(index, item): (usize, &'r str)| {
        // What a program says that the model said, nobody knows: it is held to the rules as what was said before.
        let origin = match roles[index].as_deref() {
            Some("assistant") => Origin::Earlier,
            Some("user" | "tool" | "function") if index < new_from => Origin::Earlier,
            _ => Origin::New,
        };
        clear(clearing, item, origin)
    };
    items.into_iter().enumerate().map(message).collect()
}

/// Who says it; `None` where that is not clear.
fn role(message: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Said {
        role: String,
    }
    serde_json::from_str::<Said>(message).ok().map(|said| said.role)
}

fn clear<'j>(clearing: &mut Clearing, json: &'j str, origin: Origin) -> Result<Cow<'j, str>, NotCleared> {
    strings::rewrite(json, |text| {
        if PROTOCOL.contains(&text) || is_data(text) {
            return Ok(None);
        }
        Ok(match clearing.clear(text, origin).map(Cleared::into_inner)? {
            Cow::Owned(changed) => Some(changed),
            Cow::Borrowed(_) => None,
        })
    })
}

/// Tells the model what placeholders are, behind the instructions that there are.
fn explain(messages: &mut Vec<Cow<'_, str>>) {
    let first = messages.first().and_then(|first| serde_json::from_str::<Map<String, Value>>(first).ok());
    if let Some(mut first) = first.filter(|first| first.get("role").is_some_and(|role| role == "system"))
        && let Some(Value::String(content)) = first.get_mut("content")
    {
        content.push_str("\n\n");
        content.push_str(ABOUT_PLACEHOLDERS);
        messages[0] = Cow::Owned(Value::Object(first).to_string());
        return;
    }
    let told = serde_json::json!({"role": "system", "content": ABOUT_PLACEHOLDERS});
    messages.insert(0, Cow::Owned(told.to_string()));
}

/// The same for a response, behind the instructions that there are; gives the field where there is none.
fn instruct(body: &Body, changed: &mut Vec<(usize, String)>) -> Option<(&'static str, String)> {
    const NAME: &str = "instructions";
    let Some((index, (_, raw))) = body.fields().enumerate().find(|(_, (name, _))| *name == NAME) else {
        return Some((NAME, Value::from(ABOUT_PLACEHOLDERS).to_string()));
    };
    let cleared = changed.iter().position(|(place, _)| *place == index).map(|at| changed.swap_remove(at).1);
    let text = serde_json::from_str::<String>(cleared.as_deref().unwrap_or(raw)).unwrap_or_default();
    let told = if text.is_empty() { ABOUT_PLACEHOLDERS.to_owned() } else { format!("{text}\n\n{ABOUT_PLACEHOLDERS}") };
    changed.push((index, Value::from(told).to_string()));
    None
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        llm::{dialect::Dialect, relay::send::Manner},
        safety::{personal::Kind, rules::Rules},
    };

    fn sent(guard: &Guard, json: &str, most_output: Option<u64>) -> String {
        let body = Body::parse(Call::Chat, json.as_bytes().to_vec()).expect("a request");
        let (cleared, _) = ClearedBody::through(guard, &body, &Asker::Service).expect("cleared");
        let extra = Map::from_iter([("store".to_owned(), Value::Bool(false))]);
        let dialect = Dialect::of(None, "http://model");
        String::from_utf8(cleared.written(Manner { model: "real", dialect, told_in: None, extra: &extra, most_output }))
            .expect("UTF-8")
    }

    #[test]
    fn without_rules_only_the_model_and_what_is_asked_for_us_change() {
        let json =
            r#"{"messages":[ {"role":"user", "content":"13812345678 \u0061"} ],"model":"a","x":1.0e2,"store":true}"#;
        let expected = r#"{"messages":[ {"role":"user", "content":"13812345678 \u0061"} ],"model":"real","x":1.0e2,"store":false}"#;
        assert_eq!(sent(&Guard::default(), json, None), expected);
        let streamed = r#"{"model":"a","messages":[{}],"stream":true,"stream_options":{"include_usage":false,"y":1}}"#;
        let expected = r#"{"model":"real","messages":[{}],"stream":true,"stream_options":{"include_usage":true,"y":1},"store":false}"#;
        assert_eq!(sent(&Guard::default(), streamed, None), expected);
    }

    #[test]
    fn a_limit_is_never_more_than_what_is_left() {
        for (given, expected) in [
            ("", r#""max_tokens":50"#),
            (r#","max_tokens":90"#, r#""max_tokens":50"#),
            (r#","max_tokens":9"#, r#""max_tokens":9"#),
            (r#","max_completion_tokens":90,"max_tokens":null"#, r#""max_completion_tokens":50"#),
        ] {
            let sent = sent(&Guard::default(), &format!(r#"{{"model":"a","messages":[{{}}]{given}}}"#), Some(50));
            assert!(sent.contains(expected) && sent.matches("tokens").count() == 1, "{sent}");
        }
    }

    #[test]
    fn every_string_is_looked_at_wherever_it_stands() {
        let guard = Guard::new(Kind::ALL.into_iter().collect(), Arc::new(Rules::default()));
        let json = r#"{"model":"a","user":"13812345678","messages":[{"role":"system","content":"s"},
            {"role":"user","content":[{"type":"text","text":"\u0031\u0033812345678"}],"content":"13987654321"},
            {"role":"assistant","tool_calls":[{"function":{"arguments":"{\"to\":\"13812345678\"}"}}]}],
            "tools":[{"function":{"description":"call 13812345678"}}],"new_field":{"13987654321":["13812345678"]}}"#;
        let sent = sent(&guard, json, None);
        assert!(!sent.contains("138123") && !sent.contains("139876") && !sent.contains("u0031"), "{sent}");
        let read: Value = serde_json::from_str(&sent).expect("JSON");
        assert!(read["messages"][0]["content"].as_str().expect("told").contains(ABOUT_PLACEHOLDERS), "{sent}");
    }

    #[test]
    fn what_nobody_can_read_is_not_sent_where_there_are_rules() {
        let guard = Guard::new(Kind::ALL.into_iter().collect(), Arc::new(Rules::default()));
        let json = br#"{"model":"a","messages":[{"role":"user","content":"\ud800"}]}"#;
        let body = Body::parse(Call::Chat, json.to_vec()).expect("a request");
        assert!(matches!(ClearedBody::through(&guard, &body, &Asker::Service), Err(NotCleared::NoText)));
        assert!(ClearedBody::through(&Guard::default(), &body, &Asker::Service).is_ok());
    }
}
