//! The forms in which an answer is written: chat completions and responses.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::State,
    http::{HeaderMap, header},
    response::Response,
};
use serde_json::{Value, json};

use super::{Performance, refusal};
use crate::sandbox::{
    journal::{Entry, Kind},
    model::{Desk, ModelRequest, answer::size_of_prompt},
};

/// In which words an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `/chat/completions`
    Chat,
    /// `/responses`
    Responses,
}

impl Form {
    pub(super) fn id(self, number: u64) -> String {
        match self {
            Self::Chat => format!("chatcmpl-demo-{number}"),
            Self::Responses => format!("resp_demo_{number}"),
        }
    }

    /// In characters.
    pub(super) fn size_of_prompt(self, request: &Value) -> usize {
        match self {
            Self::Chat => size_of_prompt(&request["messages"]),
            Self::Responses => request["input"].to_string().chars().count(),
        }
    }
}

/// As `/chat/completions`, in the words of `/responses`.
pub(super) async fn responses(State(desk): State<Arc<Desk>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refusal("the body is not JSON");
    };
    let authorization = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).map(str::to_owned);
    desk.journal.record(
        Entry::new(Kind::ModelRequest, "问模型（responses）".to_owned(), "asked the model (responses)".to_owned())
            .detail(format!("POST /v1/responses\n\n{body:#}")),
    );
    let reply = desk.take(ModelRequest { body: body.clone(), authorization });
    Performance::new(desk, Form::Responses, &body, reply).play(body["stream"] == true).await
}

/// What is written, in the form in which it was asked.
impl Performance {
    pub(super) fn opening(&self) -> Bytes {
        if self.form == Form::Chat {
            return event(&self.chunk(json!({"role": "assistant", "content": ""}), Value::Null));
        }
        let response = self.response("in_progress", &Value::Null, &json!([]));
        let item =
            json!({"id": "msg_demo", "type": "message", "role": "assistant", "status": "in_progress", "content": []});
        let part = json!({"type": "output_text", "text": "", "annotations": [], "logprobs": []});
        [
            self.told("response.created", json!({"response": response})),
            self.told("response.output_item.added", json!({"output_index": 0, "item": item})),
            self.told("response.content_part.added", self.of_the_text(json!({"part": part}))),
        ]
        .concat()
        .into()
    }

    pub(super) fn thought(&self, text: &str) -> Bytes {
        match self.form {
            Form::Chat => event(&self.chunk(json!({"reasoning_content": text}), Value::Null)),
            Form::Responses => {
                let thought = json!({"item_id": "rs_demo", "output_index": 0, "content_index": 0, "delta": text});
                self.told("response.reasoning_text.delta", thought).into()
            }
        }
    }

    pub(super) fn piece(&self, text: &str) -> Bytes {
        match self.form {
            Form::Chat => event(&self.chunk(json!({"content": text}), Value::Null)),
            Form::Responses => {
                self.told("response.output_text.delta", self.of_the_text(json!({"delta": text, "logprobs": []}))).into()
            }
        }
    }

    pub(super) fn ending(&self, reason: String, usage: bool) -> Bytes {
        if self.form == Form::Chat {
            let mut bytes = event(&self.chunk(json!({}), Value::String(reason))).to_vec();
            if usage && self.asked_for_usage {
                let mut last = self.chunk(json!({}), Value::Null);
                last["choices"] = json!([]);
                last["usage"] = self.usage();
                bytes.extend_from_slice(&event(&last));
            }
            bytes.extend_from_slice(b"data: [DONE]\n\n");
            return bytes.into();
        }
        let whole = self.answer(&self.said, "", &reason, usage);
        let item = &whole["output"][0];
        let kind = if reason == "stop" { "response.completed" } else { "response.incomplete" };
        [
            self.told("response.output_text.done", self.of_the_text(json!({"text": self.said, "logprobs": []}))),
            self.told("response.content_part.done", self.of_the_text(json!({"part": item["content"][0]}))),
            self.told("response.output_item.done", json!({"output_index": 0, "item": item})),
            self.told(kind, json!({"response": whole})),
        ]
        .concat()
        .into()
    }

    /// The whole answer as one JSON object.
    pub(super) fn answer(&self, text: &str, thoughts: &str, reason: &str, usage: bool) -> Value {
        if self.form == Form::Responses {
            let usage = if usage { self.usage() } else { Value::Null };
            let text = json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []});
            let item = json!({"id": "msg_demo", "type": "message", "role": "assistant", "status": "completed", "content": [text]});
            return match reason {
                "stop" => self.response("completed", &usage, &json!([item])),
                reason => {
                    let mut response = self.response("incomplete", &usage, &json!([item]));
                    response["incomplete_details"] = json!({"reason": reason});
                    response
                }
            };
        }
        let mut message = json!({"role": "assistant", "content": text});
        if !thoughts.is_empty() {
            message["reasoning_content"] = thoughts.into();
        }
        let mut answer = json!({
            "id": self.id, "object": "chat.completion", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        });
        if usage {
            answer["usage"] = self.usage();
        }
        answer
    }

    fn chunk(&self, delta: Value, finish_reason: Value) -> Value {
        let mut chunk = json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
        });
        if self.asked_for_usage {
            chunk["usage"] = Value::Null;
        }
        chunk
    }

    fn response(&self, status: &str, usage: &Value, output: &Value) -> Value {
        json!({
            "id": self.id, "object": "response", "created_at": self.created, "model": self.model, "status": status,
            "error": null, "incomplete_details": null, "instructions": null, "metadata": {}, "output": output,
            "parallel_tool_calls": true, "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
            "usage": usage,
        })
    }

    fn of_the_text(&self, mut event: Value) -> Value {
        event["item_id"] = "msg_demo".into();
        event["output_index"] = 0.into();
        event["content_index"] = 0.into();
        event
    }

    fn told(&self, kind: &str, mut event: Value) -> String {
        event["type"] = kind.into();
        event["sequence_number"] = self.written.into();
        format!("event: {kind}\ndata: {event}\n\n")
    }

    /// Invented, but the same for the same request: two characters a token.
    fn usage(&self) -> Value {
        let (prompt, completion) = (self.prompt_size.div_ceil(2), self.written.div_ceil(2));
        match self.form {
            Form::Chat => {
                json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
            }
            Form::Responses => json!({
                "input_tokens": prompt, "input_tokens_details": {"cached_tokens": 0}, "output_tokens": completion,
                "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": prompt + completion,
            }),
        }
    }
}

fn event(chunk: &Value) -> Bytes {
    format!("data: {chunk}\n\n").into()
}
