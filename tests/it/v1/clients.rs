//! OpenAI's own packages for Python and Node, which know nothing of Qimate. `.ci/run` puts them below `target/tools`.

use std::{path::Path, process::Stdio, time::Duration};

use qimate::sandbox::model::{ModelReply, Transcript};
use serde_json::{Value, json};
use tokio::process::Command;

use super::{Scene, new_key, plan};
use crate::harness::within_seconds;

/// What the fake model says to what the scripts ask.
fn reply(body: &Value) -> ModelReply {
    let streams = body["stream"] == true;
    let call = json!([{"index": 0, "id": "c", "type": "function",
        "function": {"name": "weather", "arguments": "{\"city\":\"Kunming\"}"}}]);
    let bytes = |text: String, content_type: &str| ModelReply::Bytes {
        content_type: content_type.to_owned(),
        pieces: vec![text.into_bytes()],
        pause: Duration::ZERO,
    };
    if let Some(reply) = to_a_response(body) {
        return reply;
    }
    match &body["messages"][0]["content"] {
        Value::Array(_) => ModelReply::Answer("a picture".to_owned()),
        content if *content == "tool" && streams => {
            let delta = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {"role": "assistant", "tool_calls": call}, "finish_reason": null}]});
            let end = json!({"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]});
            bytes(format!("data: {delta}\n\ndata: {end}\n\ndata: [DONE]\n\n"), "text/event-stream")
        }
        content if *content == "tool" => {
            let message = json!({"role": "assistant", "content": null, "tool_calls": call});
            let answer = json!({"id": "x", "object": "chat.completion", "created": 1, "model": "m",
                "choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
            bytes(answer.to_string(), "application/json")
        }
        content if *content == "too long" => {
            ModelReply::status(400, r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#)
        }
        content if *content == "broken" => ModelReply::status(500, ""),
        content if *content == "cut" => ModelReply::CutAfter("hello there, and".to_owned()),
        _ => ModelReply::Answer("hello there".to_owned()),
    }
}

/// The same where the script asks for a response.
fn to_a_response(body: &Value) -> Option<ModelReply> {
    Some(match body.get("input")? {
        Value::Array(_) => ModelReply::Answer("a picture".to_owned()),
        input if *input == "tool" => {
            let call = json!({"type": "function_call", "id": "fc", "call_id": "c", "status": "completed",
                "name": "weather", "arguments": "{\"city\":\"Kunming\"}"});
            let answer = json!({"id": "r", "object": "response", "created_at": 1, "model": "m", "status": "completed",
                "error": null, "output": [call], "tools": [], "parallel_tool_calls": true, "tool_choice": "auto"});
            ModelReply::Bytes {
                content_type: "application/json".to_owned(),
                pieces: vec![answer.to_string().into_bytes()],
                pause: Duration::ZERO,
            }
        }
        input if *input == "cut" => ModelReply::CutAfter("hello there, and".to_owned()),
        _ => ModelReply::Answer("hello there".to_owned()),
    })
}

/// Runs the script; `has` is what fails where the package is not there.
async fn run(program: &str, has: [&str; 2], script: &str) {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    let command = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).env("PYTHONPATH", tools.join("python")).env("NODE_PATH", tools.join("node_modules"));
        command.stdin(Stdio::null()).kill_on_drop(true);
        command
    };
    if !command(&has).output().await.is_ok_and(|output| output.status.success()) {
        assert!(std::env::var_os("QIMATE_TEST_ALL").is_none(), "{program} with the package openai is needed here");
        let said = format!("skipped: {script} needs {program} with the package openai\n");
        let _ = std::io::Write::write_all(&mut std::io::stderr(), said.as_bytes());
        return;
    }
    let scene = Scene::open_with(super::made::set_up).await;
    scene.app.model.set_script(reply);
    scene.app.model.push_transcript(Transcript::Text("what was said".to_owned()));
    let poor = scene.make(new_key()).await;
    let holder = super::Holder::One(super::Subject::key(&super::corp(), &super::KeyText::parse(&poor).unwrap().id));
    scene.attach(&holder, "one", &plan(&["requests=1/day"])).await;
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/v1/clients").join(script);
    let output = command(&[path.to_str().unwrap()])
        .env("BASE_URL", scene.app.url("/v1"))
        .env("KEY", &scene.key)
        .env("POOR_KEY", &poor)
        .env("NO_PROXY", "*")
        .output();
    let output = within_seconds(120, output).await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains("ok"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_for_python_finds_everything_as_it_expects() {
    run("python3", ["-c", "import openai"], "programs.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_package_for_node_finds_everything_as_it_expects() {
    run("node", ["-e", "require('openai')"], "programs.js").await;
}
