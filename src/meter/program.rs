//! What a model writes, on its way to a program: originals put back, rules held to. Everything else in an event stays as
//! it is; where there is nothing to put back and no rule, no event comes here.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::{Map, Value, json};

use super::filter::Way;
use crate::safety::{
    guard::{Guard, Hit, Hits},
    masks::Masks,
};

/// What a model says.
const TEXTS: [&str; 4] = ["content", "reasoning_content", "reasoning", "refusal"];
/// How an answer ends whose rest is held back.
const FILTERED: &str = "content_filter";

/// On the way of one answer.
#[derive(Debug)]
pub(super) struct ProgramFilter {
    masks: Arc<Masks>,
    guard: Arc<Guard>,
    /// The texts of each choice, by their field.
    texts: BTreeMap<(u64, &'static str), Way>,
    /// The arguments of each choice's calls.
    arguments: BTreeMap<(u64, u64), Way>,
    /// What was shown, where somebody wants to look at it.
    said: Option<String>,
}

impl ProgramFilter {
    /// Puts back what `masks` has, and holds to the rules of `guard`; keeps what was said where it is to be `judged`.
    pub(super) fn new(masks: Masks, guard: &Arc<Guard>, judged: bool) -> Self {
        Self {
            masks: Arc::new(masks),
            guard: Arc::clone(guard),
            texts: BTreeMap::new(),
            arguments: BTreeMap::new(),
            said: judged.then(String::new),
        }
    }

    /// A part of the answer as it may be shown; `None` where it is no object.
    pub(super) fn event(&mut self, json: &[u8]) -> Option<Value> {
        let mut chunk: Value = serde_json::from_slice(json).ok()?;
        for choice in chunk.get_mut("choices").and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(choice) = choice.as_object_mut() else { continue };
            self.choice(choice);
        }
        Some(chunk)
    }

    /// What is still held back when the answer ends without saying so; `None`: nothing.
    pub(super) fn rest(&mut self) -> Option<Value> {
        let indexes: std::collections::BTreeSet<u64> = self.texts.keys().map(|(index, _)| *index).collect();
        let mut choices = Vec::new();
        for index in indexes {
            let mut delta = Map::new();
            self.flush(index, &mut delta);
            if !delta.is_empty() {
                choices.push(json!({"index": index, "delta": delta, "finish_reason": null}));
            }
        }
        (!choices.is_empty()).then(|| json!({"object": "chat.completion.chunk", "choices": choices}))
    }

    /// What was shown so far, for somebody's look.
    pub(super) fn said(&mut self) -> Option<String> {
        self.said.as_mut().map(std::mem::take)
    }

    /// What the rules found.
    pub(super) fn hits(&self) -> Hits {
        self.texts.values().flat_map(|way| way.hits().iter().collect::<Vec<Hit>>()).collect()
    }

    fn choice(&mut self, choice: &mut Map<String, Value>) {
        let index = choice.get("index").and_then(Value::as_u64).unwrap_or(0);
        // The same words once more, in pieces that nobody could put back.
        choice.remove("logprobs");
        let is_whole = choice.contains_key("message");
        let ends = is_whole || choice.get("finish_reason").is_some_and(Value::is_string);
        if ends && !is_whole {
            choice.entry("delta").or_insert_with(|| json!({}));
        }
        let key = if is_whole { "message" } else { "delta" };
        if let Some(said) = choice.get_mut(key).and_then(Value::as_object_mut) {
            self.hear(index, said);
            if ends {
                self.flush(index, said);
            }
        }
        let is_refused = TEXTS.iter().any(|field| self.texts.get(&(index, *field)).is_some_and(Way::is_refused));
        if is_refused && ends {
            choice.insert("finish_reason".to_owned(), FILTERED.into());
            // What would be called was thought out beside what must not be said.
            if let Some(said) = choice.get_mut(key).and_then(Value::as_object_mut) {
                said.remove("tool_calls");
            }
        }
    }
}

/// The texts of one choice.
impl ProgramFilter {
    fn hear(&mut self, index: u64, said: &mut Map<String, Value>) {
        for field in TEXTS {
            match said.get_mut(field) {
                Some(Value::String(text)) => *text = self.show(index, field, text),
                Some(Value::Array(parts)) => {
                    for part in parts {
                        if let Some(Value::String(text)) = part.get_mut("text") {
                            *text = self.show(index, field, text);
                        }
                    }
                }
                _ => {}
            }
        }
        for call in said.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
            let number = call.get("index").and_then(Value::as_u64);
            let Some(Value::String(arguments)) = call.pointer_mut("/function/arguments") else { continue };
            *arguments = match number {
                Some(number) => {
                    let masks = &self.masks;
                    let way = self.arguments.entry((index, number)).or_insert_with(|| Way::of_json(masks));
                    way.push(arguments)
                }
                None => self.masks.restore_json(arguments),
            };
        }
    }

    fn show(&mut self, index: u64, field: &'static str, text: &str) -> String {
        let (masks, guard) = (&self.masks, &self.guard);
        let way = self.texts.entry((index, field)).or_insert_with(|| Way::new(masks, guard));
        let shown = way.push(text);
        if let Some(said) = &mut self.said {
            said.push_str(&shown);
        }
        shown
    }

    /// Puts what was held back of a choice behind what it says last.
    fn flush(&mut self, index: u64, said: &mut Map<String, Value>) {
        for field in TEXTS {
            let rest = self.texts.get_mut(&(index, field)).map(Way::finish).unwrap_or_default();
            if rest.is_empty() {
                continue;
            }
            if let Some(kept) = &mut self.said {
                kept.push_str(&rest);
            }
            match said.get_mut(field) {
                Some(Value::String(text)) => text.push_str(&rest),
                Some(Value::Array(parts)) => parts.push(json!({"type": "text", "text": rest})),
                _ => {
                    said.insert(field.to_owned(), rest.into());
                }
            }
        }
        for ((_, number), way) in self.arguments.range_mut((index, 0)..=(index, u64::MAX)) {
            let rest = way.finish();
            if rest.is_empty() {
                continue;
            }
            let call = json!({"index": number, "function": {"arguments": rest}});
            if let Some(calls) = said.entry("tool_calls").or_insert_with(|| json!([])).as_array_mut() {
                calls.push(call);
            }
        }
    }
}
