//! JSON-RPC and the three methods, read tolerantly.

use serde::Deserialize;
use serde_json::{Value, json};

use super::client::McpError;

/// The version that is asked for, and those that say the same of tools.
pub(super) const VERSIONS: [&str; 4] = ["2025-06-18", "2025-11-25", "2025-03-26", "2024-11-05"];
/// Bytes of a message. More is no result that anybody reads.
pub(super) const MOST_BYTES: usize = 4 * 1024 * 1024;
/// Tools of one server.
const MOST_TOOLS: usize = 256;

/// A tool of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Its name at the server.
    pub name: String,
    /// Its name for people, where it has one.
    pub title: Option<String>,
    /// What it does, for the model.
    pub description: String,
    /// The JSON Schema of its arguments.
    pub parameters: Value,
    /// The server says that calling it changes nothing, so that it may be called again.
    pub read_only: bool,
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Called {
    /// In words for the model.
    pub text: String,
    /// The tool itself says that it failed; the words say why.
    pub failed: bool,
}

pub(super) fn request(id: u64, method: &str, params: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
}

pub(super) fn notification(method: &str) -> Value {
    json!({"jsonrpc": "2.0", "method": method})
}

pub(super) fn hello() -> Value {
    json!({
        "protocolVersion": VERSIONS[0],
        "capabilities": {},
        "clientInfo": {"name": "qimate", "version": env!("CARGO_PKG_VERSION")},
    })
}

/// The version that the server speaks.
pub(super) fn version(welcome: &Value) -> Result<String, McpError> {
    let version = welcome["protocolVersion"].as_str().unwrap_or_default();
    match VERSIONS.contains(&version) {
        true => Ok(version.to_owned()),
        false => Err(McpError::Protocol("a version of the protocol that is not known")),
    }
}

/// A message that came.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Incoming {
    id: Value,
    result: Option<Value>,
    error: Option<Complaint>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Complaint {
    code: Value,
    message: String,
}

/// The answer to request `id`, if `message` is that.
pub(super) fn answer(message: &[u8], id: u64) -> Option<Result<Value, McpError>> {
    let messages = match serde_json::from_slice::<Value>(message) {
        // Older servers put several into one.
        Ok(Value::Array(messages)) => messages,
        Ok(message) => vec![message],
        Err(_) => return Some(Err(McpError::Protocol("something that is no JSON"))),
    };
    let of_it = |message| {
        let Incoming { id: of, result, error } = serde_json::from_value(message).ok()?;
        let is_it = of.as_u64() == Some(id) || of.as_str().is_some_and(|of| of == id.to_string());
        match (error, result) {
            _ if !is_it => None,
            (Some(Complaint { code, message }), _) => {
                let message = message.chars().filter(|char| !char.is_control()).take(300).collect();
                Some(Err(McpError::Refused { code: code.as_i64().unwrap_or_default(), message }))
            }
            (None, Some(result)) => Some(Ok(result)),
            (None, None) => Some(Err(McpError::Protocol("an answer without a result"))),
        }
    };
    messages.into_iter().find_map(of_it)
}

/// The tools of one page of a list, and where the next page begins.
pub(super) fn tools(page: &Value) -> (Vec<Tool>, Option<String>) {
    let tool = |tool: &Value| {
        let name = tool["name"].as_str().filter(|name| !name.is_empty())?;
        let annotations = &tool["annotations"];
        let title = tool["title"].as_str().or_else(|| annotations["title"].as_str());
        let parameters = match &tool["inputSchema"] {
            schema @ Value::Object(_) => schema.clone(),
            _ => json!({"type": "object", "properties": {}}),
        };
        Some(Tool {
            name: name.to_owned(),
            title: title.filter(|title| !title.trim().is_empty()).map(str::to_owned),
            description: tool["description"].as_str().unwrap_or_default().to_owned(),
            parameters,
            read_only: annotations["readOnlyHint"] == true,
        })
    };
    let tools = page["tools"].as_array().into_iter().flatten().take(MOST_TOOLS).filter_map(tool).collect();
    let next = page["nextCursor"].as_str().filter(|cursor| !cursor.is_empty()).map(str::to_owned);
    (tools, next)
}

/// What a tool gave, as text: pictures and sounds are only named.
pub(super) fn called(result: &Value) -> Called {
    let part = |part: &Value| match part["type"].as_str() {
        Some("text") => part["text"].as_str().unwrap_or_default().to_owned(),
        Some("resource") => match part["resource"]["text"].as_str() {
            Some(text) => text.to_owned(),
            None => format!("[a file: {}]", part["resource"]["uri"].as_str().unwrap_or("unnamed")),
        },
        Some("resource_link") => format!("[a link: {}]", part["uri"].as_str().unwrap_or_default()),
        Some(other) => format!("[{other}, which cannot be shown here]"),
        None => String::new(),
    };
    let parts: Vec<String> = result["content"].as_array().into_iter().flatten().map(part).collect();
    let mut text = parts.join("\n");
    if text.trim().is_empty() {
        text = match &result["structuredContent"] {
            Value::Null => "(no result)".to_owned(),
            structured => structured.to_string(),
        };
    }
    Called { text, failed: result["isError"] == true }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_among_what_a_server_says() {
        let said = |message: &str| match answer(message.as_bytes(), 7) {
            None => "none".to_owned(),
            Some(Ok(value)) => value.to_string(),
            Some(Err(error)) => error.to_string(),
        };
        for (message, expected) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"a":1}}"#, r#"{"a":1}"#),
            (r#"{"jsonrpc":"2.0","id":"7","result":{}}"#, "{}"),
            (r#"[{"id":6,"result":{}},{"id":7,"result":{"b":2}}]"#, r#"{"b":2}"#),
            (r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#, "none"),
            (r#"{"id":8,"result":{}}"#, "none"),
            (r#"{"id":7,"error":{"code":-32601,"message":"no\nsuch"}}"#, "the server refuses with code -32601: nosuch"),
            (r#"{"id":7}"#, "the server does not speak the protocol: an answer without a result"),
            ("<html>", "the server does not speak the protocol: something that is no JSON"),
        ] {
            assert_eq!(said(message), expected, "{message}");
        }
    }

    #[test]
    fn results_become_words() {
        for (result, text, failed) in [
            (json!({"content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}), "a\nb", false),
            (json!({"content":[{"type":"text","text":"no"}],"isError":true}), "no", true),
            (json!({"content":[],"structuredContent":{"x":1}}), "{\"x\":1}", false),
            (json!({"content":[{"type":"image","data":"…"}]}), "[image, which cannot be shown here]", false),
            (json!({"content":[{"type":"resource","resource":{"uri":"u","text":"t"}}]}), "t", false),
            (json!({}), "(no result)", false),
        ] {
            assert_eq!(called(&result), Called { text: text.to_owned(), failed }, "{result}");
        }
    }

    #[test]
    fn tools_are_read_with_what_they_lack_filled_in() {
        let page = json!({"tools":[
            {"name":"f","title":"Find","description":"finds","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":true}},
            {"name":"g"},
            {"description":"nameless"},
        ],"nextCursor":"2"});
        let (tools, next) = tools(&page);
        assert_eq!(next.as_deref(), Some("2"));
        assert_eq!((tools.len(), tools[0].read_only, tools[1].read_only), (2, true, false));
        assert_eq!((tools[0].title.as_deref(), tools[1].parameters["type"].as_str()), (Some("Find"), Some("object")));
    }
}
