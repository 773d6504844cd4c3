//! As `program`, for the events of `/responses`: originals put back, rules held to.
//!
//! A response says everything several times: in pieces, whole when a part ends, and whole again at its end. Each time it
//! goes through, so that what is held back in one place is not told in another.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use crate::{
    meter::filter::Way,
    safety::{
        guard::{Guard, Hit, Hits},
        masks::Masks,
    },
};

/// Fields in which a model says something.
const TEXTS: [&str; 5] = ["text", "refusal", "delta", "transcript", "output_text"];
/// Fields in which it says JSON, or what goes to a tool.
const ARGUMENTS: [&str; 2] = ["arguments", "input"];
/// Parts of an answer by which it would call something.
const CALLS: &str = "_call";

/// On the way of one response.
#[derive(Debug)]
pub(in crate::meter) struct ResponseFilter {
    masks: Arc<Masks>,
    guard: Arc<Guard>,
    /// What is being written, by what and where it is; with the event that came last of it.
    open: BTreeMap<String, (Way, Value)>,
    /// What was shown, where somebody wants to look at it.
    said: Option<String>,
    hits: Vec<Hit>,
    /// A rule refuses the rest.
    refused: bool,
}

impl ResponseFilter {
    /// As [`crate::meter::program::ProgramFilter::new`].
    pub(super) fn new(masks: Masks, guard: &Arc<Guard>, judged: bool) -> Self {
        Self {
            masks: Arc::new(masks),
            guard: Arc::clone(guard),
            open: BTreeMap::new(),
            said: judged.then(String::new),
            hits: Vec::new(),
            refused: false,
        }
    }

    /// What is shown for an event: nothing, the event, or what was held back before it too.
    pub(super) fn event(&mut self, json: &[u8]) -> Vec<Value> {
        let Ok(mut event) = serde_json::from_slice::<Value>(json) else { return Vec::new() };
        let kind = event["type"].as_str().unwrap_or_default().to_owned();
        if let (Some(of), true) = (kind.strip_suffix(".delta"), event["delta"].is_string() && !kind.contains("audio."))
        {
            return self.delta(place(of, &event), of, event).into_iter().collect();
        }
        let ends = matches!(kind.as_str(), "response.completed" | "response.incomplete" | "response.failed");
        let mut shown = match kind.strip_suffix(".done") {
            Some(of) => self.flush(Some(&place(of, &event))),
            None if ends => self.flush(None),
            None => Vec::new(),
        };
        self.put_back(&mut event, false);
        if self.refused && is_call(&kind, &event) {
            return shown;
        }
        if ends && self.refused {
            withhold(&mut event["response"]);
            event["type"] = "response.incomplete".into();
        }
        shown.push(event);
        shown
    }

    /// An answer in one piece; `None` where it is no object.
    pub(super) fn whole(&mut self, json: &[u8]) -> Option<Value> {
        let mut answer = serde_json::from_slice::<Value>(json).ok().filter(Value::is_object)?;
        self.put_back(&mut answer, true);
        if self.refused {
            withhold(&mut answer);
        }
        Some(answer)
    }

    /// What is still held back when the answer ends without saying so.
    pub(super) fn rest(&mut self) -> Vec<Value> {
        self.flush(None)
    }

    /// What was shown so far, for somebody's look.
    pub(super) fn said(&mut self) -> Option<String> {
        self.said.as_mut().map(std::mem::take)
    }

    /// What the rules found.
    pub(super) fn hits(&self) -> Hits {
        let open = self.open.values().flat_map(|(way, _)| way.hits().iter().collect::<Vec<Hit>>());
        self.hits.iter().cloned().chain(open).collect()
    }

    fn delta(&mut self, place: String, of: &str, mut event: Value) -> Option<Value> {
        if self.refused && of.contains(CALLS) {
            return None;
        }
        let (masks, guard) = (&self.masks, &self.guard);
        let new = || if of.contains("arguments") { Way::of_json(masks) } else { Way::new(masks, guard) };
        // The same words once more, in pieces that nobody could put back.
        if let Some(probabilities) = event.get_mut("logprobs") {
            *probabilities = json!([]);
        }
        let (way, last) = self.open.entry(place).or_insert_with(|| (new(), Value::Null));
        let text = way.push(event["delta"].as_str().unwrap_or_default());
        self.refused |= way.is_refused();
        if let Some(said) = &mut self.said {
            said.push_str(&text);
        }
        last.clone_from(&event);
        event["delta"] = Value::String(text);
        (event["delta"] != "").then_some(event)
    }

    /// Ends what is written at `place`, or everywhere.
    fn flush(&mut self, place: Option<&str>) -> Vec<Value> {
        let ended = match place {
            Some(place) => self.open.remove_entry(place).into_iter().collect(),
            None => std::mem::take(&mut self.open),
        };
        let mut shown = Vec::new();
        for (_, (mut way, mut event)) in ended {
            let text = way.finish();
            self.refused |= way.is_refused();
            self.hits.extend(way.hits().iter());
            if !text.is_empty() {
                if let Some(said) = &mut self.said {
                    said.push_str(&text);
                }
                event["delta"] = Value::String(text);
                shown.push(event);
            }
        }
        shown
    }

    /// Puts originals back wherever they stand; what is said is held to the rules too. What is told once more does not
    /// `count` once more.
    fn put_back(&mut self, value: &mut Value, count: bool) {
        match value {
            Value::Object(fields) => self.put_back_in(fields, count),
            Value::Array(items) => items.iter_mut().for_each(|item| self.put_back(item, count)),
            Value::String(text) => *text = self.masks.restore(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn put_back_in(&mut self, fields: &mut Map<String, Value>, count: bool) {
        if let Some(probabilities) = fields.get_mut("logprobs").filter(|value| value.is_array()) {
            *probabilities = json!([]);
        }
        for (name, value) in fields.iter_mut() {
            match value {
                Value::String(text) if TEXTS.contains(&name.as_str()) => {
                    let mut way = Way::new(&self.masks, &self.guard);
                    let shown = way.push(text) + &way.finish();
                    self.refused |= way.is_refused();
                    if count {
                        self.hits.extend(way.hits().iter());
                        if let Some(said) = &mut self.said {
                            said.push_str(&shown);
                        }
                    }
                    *text = shown;
                }
                Value::String(text) if ARGUMENTS.contains(&name.as_str()) => *text = self.masks.restore_json(text),
                other => self.put_back(other, count),
            }
        }
    }
}

/// What is written where.
fn place(of: &str, event: &Value) -> String {
    let index = |name: &str| event[name].as_u64().unwrap_or_default();
    format!("{of} {} {} {}", index("output_index"), index("content_index"), index("summary_index"))
}

/// Whether it is about a call of something.
fn is_call(kind: &str, event: &Value) -> bool {
    kind.contains(CALLS) || event["item"]["type"].as_str().is_some_and(|kind| kind.ends_with(CALLS))
}

/// Says that the rest is held back, as upstreams say it.
fn withhold(response: &mut Value) {
    let Some(response) = response.as_object_mut() else { return };
    response.insert("status".to_owned(), "incomplete".into());
    response.insert("incomplete_details".to_owned(), json!({"reason": "content_filter"}));
    if let Some(Value::Array(output)) = response.get_mut("output") {
        // What would be called was thought out beside what must not be said.
        output.retain(|item| !item["type"].as_str().is_some_and(|kind| kind.ends_with(CALLS)));
    }
}
