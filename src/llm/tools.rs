//! Tools in a chat completion: what is offered to the model, what it asks for, and what came of it.
//!
//! Knows the wire and nothing of what a tool does. What upstreams send is read tolerantly: pieces without an index or an
//! id, arguments that are `null` or an object, one call in one chunk or in fifty.

use std::sync::Arc;

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    ser::{SerializeMap, SerializeSeq},
};
use serde_json::{Value, json};

use super::client::Message;

/// Bytes of arguments and thoughts of one round. More is no call that anybody meant.
const MOST_BYTES: usize = 256 * 1024;
/// Calls that a model may ask for at once; how many are made is decided elsewhere.
const MOST_CALLS: usize = 64;

/// A tool as the model is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolSpec {
    /// 1 to 64 letters, digits, `_` and `-`: what every upstream takes.
    pub name: String,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
}

impl Serialize for ToolSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { name, description, parameters } = self;
        let function = json!({"name": name, "description": description, "parameters": parameters});
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("type", "function")?;
        map.serialize_entry("function", &function)?;
        map.end()
    }
}

/// A tool that the model wants to be called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    /// The upstream's name for the call; ours where it gave none.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// JSON, as the model wrote it: it may be broken.
    pub arguments: String,
}

/// What the model wants to know before it goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// In the order in which it asks, at least one.
    pub calls: Vec<ToolCall>,
    /// What it thought before, where the upstream tells it as `reasoning_content`: DeepSeek and Moonshot want it back.
    pub thought: String,
}

/// Calls that were made, with what came of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Round {
    /// What the model wrote before it asked.
    pub text: String,
    /// As [`Calls::thought`].
    pub thought: String,
    /// Each call with its result, in words for the model.
    pub results: Vec<(ToolCall, String)>,
}

/// The tools of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tooling {
    /// What is offered.
    pub offers: Arc<[ToolSpec]>,
    /// What has been called for this answer already.
    pub rounds: Vec<Round>,
    /// No more calls are made: the model must answer with what it has.
    pub enough: bool,
}

/// The messages of a request as they are sent, the rounds after them.
#[derive(Debug)]
pub(super) struct Messages<'a> {
    pub(super) messages: &'a [Message],
    pub(super) rounds: &'a [Round],
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(None)?;
        for message in self.messages {
            list.serialize_element(message)?;
        }
        for Round { text, thought, results } in self.rounds {
            let call = |(ToolCall { id, name, arguments }, _): &(ToolCall, String)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}});
            let calls: Vec<Value> = results.iter().map(call).collect();
            // An empty text, not null: templates of models that people run themselves break on null.
            let mut asked = json!({"role": "assistant", "content": text, "tool_calls": calls});
            if !thought.is_empty() {
                asked["reasoning_content"] = Value::from(thought.as_str());
            }
            list.serialize_element(&asked)?;
            for (call, result) in results {
                list.serialize_element(&json!({"role": "tool", "tool_call_id": call.id, "content": result}))?;
            }
        }
        list.end()
    }
}

/// A piece of a call, as it stands in a chunk.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct CallPiece {
    index: Option<usize>,
    id: Option<String>,
    function: Option<FunctionPiece>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FunctionPiece {
    name: Option<String>,
    #[serde(deserialize_with = "arguments")]
    arguments: String,
}

impl CallPiece {
    /// What the model wrote in it, without the name.
    pub(super) fn written(&self) -> &str {
        self.function.as_ref().map_or("", |function| &function.arguments)
    }
}

/// A string, `null`, or, from upstreams that read the model's JSON already, the object itself.
fn arguments<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => String::new(),
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// More than anybody means.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

/// Puts calls together from their pieces.
#[derive(Debug, Default)]
pub(super) struct Assembly {
    calls: Vec<(Option<usize>, ToolCall)>,
    thought: String,
    bytes: usize,
}

impl Assembly {
    /// The model thinks on.
    pub(super) fn think(&mut self, thought: &str) {
        // What is too long is not given back at all: a part of it would be worse than none.
        if self.thought.len() + thought.len() <= MOST_BYTES {
            self.thought.push_str(thought);
        }
    }

    /// A piece came.
    ///
    /// # Errors
    /// [`TooMuch`].
    pub(super) fn push(&mut self, piece: CallPiece) -> Result<(), TooMuch> {
        let CallPiece { index, id, function } = piece;
        let FunctionPiece { name, arguments } = function.unwrap_or_default();
        let (id, name) = (id.unwrap_or_default(), name.unwrap_or_default());
        self.bytes += arguments.len() + name.len() + id.len();
        let at = match index {
            Some(index) => self.calls.iter().rposition(|(of, _)| *of == Some(index)),
            None => self.calls.len().checked_sub(1),
        };
        // Some upstreams number every call 0, or none: another id, or a name after the arguments, begins another call.
        let goes_on = |call: &ToolCall| {
            let numbered = index.is_some() || !id.is_empty();
            (id.is_empty() || call.id.is_empty() || call.id == id)
                && (name.is_empty() || call.name.is_empty() || call.name == name && numbered)
        };
        match at.filter(|at| goes_on(&self.calls[*at].1)) {
            Some(at) => {
                let call = &mut self.calls[at].1;
                call.arguments.push_str(&arguments);
                if call.id.is_empty() {
                    call.id = id;
                }
                if call.name.is_empty() {
                    call.name = name;
                }
            }
            None => self.calls.push((index, ToolCall { id, name, arguments })),
        }
        if self.bytes > MOST_BYTES || self.calls.len() > MOST_CALLS { Err(TooMuch) } else { Ok(()) }
    }

    /// What the model asks for; `None`: nothing.
    pub(super) fn finish(&mut self) -> Option<Calls> {
        let Self { calls, thought, .. } = std::mem::take(self);
        let named = calls.into_iter().map(|(_, call)| call).filter(|call| !call.name.is_empty());
        let calls: Vec<ToolCall> = named
            .enumerate()
            .map(|(number, mut call)| {
                if call.id.is_empty() {
                    call.id = format!("call_{}", number + 1);
                }
                if call.arguments.trim().is_empty() {
                    call.arguments = "{}".to_owned();
                }
                call
            })
            .collect();
        (!calls.is_empty()).then_some(Calls { calls, thought })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assembled(pieces: &[Value]) -> Vec<(String, String, String)> {
        let mut assembly = Assembly::default();
        for piece in pieces {
            assembly.push(serde_json::from_value(piece.clone()).expect("a piece")).expect("not too much");
        }
        let calls = assembly.finish().unwrap_or_default().calls;
        calls.into_iter().map(|ToolCall { id, name, arguments }| (id, name, arguments)).collect()
    }

    #[test]
    fn calls_are_put_together_however_an_upstream_cuts_them() {
        let one = |id: &str, name: &str, arguments: &str| (id.to_owned(), name.to_owned(), arguments.to_owned());
        for (manner, pieces, expected) in [
            (
                "OpenAI: the name first, then the arguments in pieces",
                vec![
                    json!({"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}),
                    json!({"index":0,"function":{"arguments":"{\"x\""}}),
                    json!({"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}),
                    json!({"index":0,"function":{"arguments":":1}"}}),
                    json!({"index":1,"function":{"arguments":"{}"}}),
                ],
                vec![one("a", "f", "{\"x\":1}"), one("b", "g", "{}")],
            ),
            (
                "Qwen: empty id and name in what follows",
                vec![
                    json!({"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\""}}),
                    json!({"index":0,"id":"","function":{"name":"","arguments":":1}"}}),
                ],
                vec![one("a", "f", "{\"x\":1}")],
            ),
            (
                "everything in one chunk, each numbered 0",
                vec![
                    json!({"index":0,"id":"a","function":{"name":"f","arguments":"{}"}}),
                    json!({"index":0,"id":"b","function":{"name":"f","arguments":"{\"y\":2}"}}),
                ],
                vec![one("a", "f", "{}"), one("b", "f", "{\"y\":2}")],
            ),
            (
                "no index and no id, arguments as an object or null",
                vec![
                    json!({"function":{"name":"f","arguments":{"x":1}}}),
                    json!({"function":{"name":"f","arguments":null}}),
                ],
                vec![one("call_1", "f", "{\"x\":1}"), one("call_2", "f", "{}")],
            ),
            (
                "no index, pieces without an id",
                vec![
                    json!({"id":"a","function":{"name":"f"}}),
                    json!({"id":null,"function":{"arguments":"{\"x\":"}}),
                    json!({"function":{"name":null,"arguments":"1}"}}),
                ],
                vec![one("a", "f", "{\"x\":1}")],
            ),
            (
                "the id and name repeated in each piece",
                vec![
                    json!({"index":0,"id":"a","function":{"name":"f","arguments":"{\"x\":"}}),
                    json!({"index":0,"id":"a","function":{"name":"f","arguments":"1}"}}),
                ],
                vec![one("a", "f", "{\"x\":1}")],
            ),
            ("nothing that has a name", vec![json!({"index":0}), json!({"function":null})], vec![]),
        ] {
            assert_eq!(assembled(&pieces), expected, "{manner}");
        }
    }

    #[test]
    fn what_never_ends_is_refused() {
        let piece = |n: usize| {
            let arguments = "x".repeat(1024);
            serde_json::from_value(
                json!({"index": n, "id": n.to_string(), "function": {"name": "f", "arguments": arguments}}),
            )
            .expect("a piece")
        };
        let mut long = Assembly::default();
        assert!((0..300).any(|_| long.push(piece(0)) == Err(TooMuch)));
        let mut many = Assembly::default();
        assert!((0..65).any(|n| many.push(piece(n)) == Err(TooMuch)));
    }

    #[test]
    fn rounds_stand_behind_the_messages_with_each_result_under_its_call() {
        let messages = [Message::user("?")];
        let call = ToolCall { id: "a".to_owned(), name: "f".to_owned(), arguments: "{}".to_owned() };
        let round = |thought: &str| Round {
            text: "let me see".to_owned(),
            thought: thought.to_owned(),
            results: vec![(call.clone(), "42".to_owned())],
        };
        let rounds = [round(""), round("hm")];
        let sent = serde_json::to_value(Messages { messages: &messages, rounds: &rounds }).expect("JSON");
        assert_eq!(sent.as_array().map(Vec::len), Some(5));
        assert_eq!(
            sent[1],
            json!({"role":"assistant","content":"let me see",
                   "tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]})
        );
        assert_eq!(sent[2], json!({"role":"tool","tool_call_id":"a","content":"42"}));
        assert_eq!(sent[3]["reasoning_content"], "hm");
    }
}
