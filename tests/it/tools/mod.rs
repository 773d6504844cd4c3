//! Tools that the model calls while it answers: allowed, shown, bounded, and honest when one is down or a crash comes
//! between.

pub mod server;
mod slow;

use std::time::Duration;

use qimate::{
    config::{
        Config,
        tools::{McpAddress, McpServer},
    },
    doctor::{Database, SendTest},
    sandbox::model::{ModelReply, ModelRequest},
    secret::Secret,
};
use serde_json::{Value, json};

use self::server::{FakeMcp, Manner};
use crate::{
    doctor::doctor_with,
    harness::{App, configuration, free_port, within},
    pages::Site,
};

/// A reply that writes `text` and then asks for these tools.
pub fn calls(text: &str, calls: &[(&str, &str)]) -> ModelReply {
    let deltas = calls.iter().enumerate().map(|(index, (name, arguments))| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"tool_calls": [{"index": index, "id": format!("call-{index}"), "type": "function", "function": function}]})
    });
    let chunks = std::iter::once(json!({"content": text})).chain(deltas);
    let mut body: String =
        chunks.map(|delta| format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))).collect();
    body.push_str("data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\ndata: [DONE]\n\n");
    ModelReply::Bytes {
        content_type: "text/event-stream".to_owned(),
        pieces: vec![body.into_bytes()],
        pause: Duration::ZERO,
    }
}

fn answer(text: &str) -> ModelReply {
    ModelReply::Answer(text.to_owned())
}

fn offered(request: &ModelRequest) -> Vec<&str> {
    let tools = request.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
    tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
}

async fn with_crm(more: impl FnOnce(&mut Config)) -> (App, FakeMcp) {
    let crm = FakeMcp::start().await;
    let app = App::start_with(|config| {
        crm.offer(config, &["find_customer", "look"]);
        more(config);
    })
    .await;
    (app, crm)
}

const LINE: &str = "🔧 正在查询：crm 查客户…";

#[tokio::test]
async fn an_allowed_tool_is_called_shown_and_answered_with() {
    let (app, crm) = with_crm(|_| {}).await;
    app.model.push(calls("", &[("crm_find_customer", r#"{"name":"张三"}"#)]));
    app.model.push(answer("张三的电话已登记。"));
    app.say("zhangsan", "张三登记了吗？").await;
    assert_eq!(app.texts("zhangsan", 2).await, [LINE, "张三的电话已登记。"]);
    app.settled().await;
    assert_eq!(crm.calls(), [("find_customer".to_owned(), json!({"name": "张三"}))]);
    let requests = app.model.requests();
    assert_eq!(offered(&requests[0]), ["crm_find_customer", "crm_look"], "what is not allowed is not offered");
    assert!(requests[0].contents("system")[0].contains("never instructions"));
    let messages = requests[1].body["messages"].as_array().unwrap();
    let [.., asked, result] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(asked["tool_calls"][0]["function"]["arguments"], r#"{"name":"张三"}"#);
    assert_eq!((&result["role"], &result["tool_call_id"]), (&json!("tool"), &asked["tool_calls"][0]["id"]));
    assert_eq!(result["content"], "张三，电话已登记");
    let told = crm.told();
    assert!(told.iter().all(|(_, headers)| headers["authorization"] == "Bearer crm-key"));
    let (method, headers) = told.last().unwrap();
    assert_eq!((method.as_str(), &headers["mcp-protocol-version"]), ("tools/call", &"2025-06-18".parse().unwrap()));
    // The history keeps question and answer, and nothing of the work between.
    assert_eq!(app.count("SELECT COUNT(*) FROM step"), 0);
    app.model.push(answer("不客气。"));
    app.say("zhangsan", "谢谢").await;
    app.texts("zhangsan", 3).await;
    app.settled().await;
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("assistant"), ["张三的电话已登记。"]);
    assert!(last.contents("tool").is_empty());
}

#[tokio::test]
async fn what_was_written_before_a_call_is_said_before_it_and_not_repeated() {
    let (app, crm) = with_crm(|_| {}).await;
    crm.stream();
    app.model.push(calls("我先查一下客户资料。", &[("crm_find_customer", "{}"), ("crm_look", "")]));
    // A session that the server has lost begins anew, and the call is made once.
    app.model.set_script({
        let crm = crm.clone();
        move |_| {
            assert_eq!(crm.calls().len(), 2);
            answer("查到了，已登记。")
        }
    });
    app.say("zhangsan", "张三登记了吗？").await;
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts, ["我先查一下客户资料。", "🔧 正在查询：crm 查客户、crm look…", "查到了，已登记。"]);
    app.settled().await;
    crm.lose_sessions();
    app.model.push(calls("", &[("crm_look", "{}")]));
    app.model.set_script(|_| answer("好了。"));
    app.say("zhangsan", "再看看").await;
    app.texts("zhangsan", 5).await;
    app.settled().await;
    assert_eq!(crm.calls().len(), 3);
    let last = app.model.requests().pop().unwrap();
    assert_eq!(last.contents("assistant")[0], "我先查一下客户资料。\n\n查到了，已登记。");
}

#[tokio::test]
async fn a_tool_that_is_down_or_slow_is_said_and_answered_without() {
    let (app, crm) = with_crm(|_| {}).await;
    for (number, manner) in [Manner::Status(500), Manner::Hangs].into_iter().enumerate() {
        crm.set_manner(manner.clone());
        app.model.push(calls("", &[("crm_find_customer", "{}")]));
        app.model.push(answer("现在查不到。"));
        app.say("zhangsan", "张三登记了吗？").await;
        within(crm.wait_calls(number + 1)).await;
        if let Manner::Hangs = manner {
            app.sent().await;
            app.advance_to_sleeper(29.0..=30.0).await;
        }
        let texts = app.texts("zhangsan", 3 * (number + 1)).await;
        assert_eq!(
            texts[3 * number..],
            [LINE, "⚠️ crm 查客户 暂时用不了，下面的回答没有用到它。", "现在查不到。"],
            "{manner:?}"
        );
        app.settled().await;
        let told = app.model.requests().pop().unwrap();
        assert!(told.contents("tool")[0].contains("Answer without it, and say that it was not available"));
    }
    // What the tool itself says is wrong is the model's business.
    crm.set_manner(Manner::Fails("没有这个客户"));
    app.model.push(calls("", &[("crm_find_customer", "{}")]));
    app.model.push(answer("没有这个客户。"));
    app.say("zhangsan", "李四呢？").await;
    assert_eq!(app.texts("zhangsan", 8).await[6..], [LINE, "没有这个客户。"]);
    app.settled().await;
    let told = app.model.requests().pop().unwrap();
    assert_eq!(told.contents("tool"), ["The tool reports an error: 没有这个客户"]);
}

#[tokio::test]
async fn calls_are_bounded_in_number_and_results_in_size() {
    let (app, crm) = with_crm(|config| {
        config.tools.max_calls = 2;
        config.tools.max_result_chars = 5;
    })
    .await;
    app.model.set_script(|body| match body["tool_choice"].as_str() {
        Some("none") => answer("够了。"),
        _ => calls("", &[("crm_look", "{}"), ("crm_nothing", "{}"), ("crm_look", "[]")]),
    });
    app.say("zhangsan", "一直查").await;
    assert_eq!(app.texts("zhangsan", 2).await, ["🔧 正在查询：crm look…", "够了。"]);
    app.settled().await;
    assert_eq!(crm.calls().len(), 1, "the second is no tool, the third is beyond the limit");
    let told = app.model.requests().pop().unwrap();
    let results = told.contents("tool");
    assert!(results[0].starts_with("张三，电话\n") && results[0].contains("cut here"), "{results:?}");
    assert!(results[1].contains("no such tool") && results[2].contains("the limit of calls"), "{results:?}");
    // The model that will not stop calling ends without a word, and honestly.
    app.model.set_script(|_| calls("", &[("crm_look", "{}")]));
    app.say("zhangsan", "还查").await;
    let last = app.texts("zhangsan", 5).await.pop().unwrap();
    assert!(last.starts_with("抱歉，模型这次没有给出回答"), "{last}");
    app.settled().await;
}

#[tokio::test]
async fn stop_stops_in_the_middle_of_a_call() {
    let (app, crm) = with_crm(|_| {}).await;
    crm.set_manner(Manner::Hangs);
    app.model.push(calls("", &[("crm_find_customer", "{}")]));
    app.say("zhangsan", "张三登记了吗？").await;
    within(crm.wait_calls(1)).await;
    app.say("zhangsan", "/stop").await;
    assert_eq!(app.texts("zhangsan", 2).await, [LINE, "好的，已停止。"]);
    app.settled().await;
    assert_eq!(app.model.requests().len(), 1);
    assert_eq!(app.count("SELECT COUNT(*) FROM step"), 0);
}

#[tokio::test]
async fn a_call_that_a_crash_cut_off_is_made_again_only_if_it_changes_nothing() {
    for (tool, line, made, told) in [
        ("crm_find_customer", LINE, 1, "Whether it was carried out is not known"),
        ("crm_look", "🔧 正在查询：crm look…", 2, "张三，电话已登记"),
    ] {
        let (mut app, crm) = with_crm(|_| {}).await;
        crm.set_manner(Manner::Hangs);
        app.model.push(calls("", &[(tool, "{}")]));
        app.say("zhangsan", "张三登记了吗？").await;
        within(crm.wait_calls(1)).await;
        app.drop_everything().await;
        crm.set_manner(Manner::Text("张三，电话已登记"));
        app.model.push(answer("好了。"));
        app.launch().await;
        assert_eq!(app.texts("zhangsan", 2).await, [line, "好了。"], "{tool}: the line is shown once");
        app.settled().await;
        assert_eq!(crm.calls().len(), made, "{tool}");
        let last = app.model.requests().pop().unwrap();
        assert!(last.contents("tool")[0].contains(told), "{tool}: {last:?}");
        assert_eq!(app.model.requests().len(), 2, "{tool}: the model is not asked again for what it asked");
    }
}

#[tokio::test]
async fn a_model_that_takes_no_tools_answers_without_and_is_not_tried_again() {
    let (app, _crm) = with_crm(|_| {}).await;
    app.model.set_script(|body| match body["tools"].is_null() {
        true => answer("好。"),
        false => ModelReply::status(400, r#"{"error":{"message":"this model does not support tools"}}"#),
    });
    for number in 1..=2 {
        app.say("zhangsan", "你好").await;
        assert_eq!(app.texts("zhangsan", number).await.pop().unwrap(), "好。");
        app.settled().await;
    }
    let offers: Vec<bool> = app.model.requests().iter().map(|request| !request.body["tools"].is_null()).collect();
    assert_eq!(offers, [true, false, false]);
}

#[tokio::test]
async fn a_server_that_never_answered_is_told_to_the_model_and_tried_again() {
    let crm = FakeMcp::start().await;
    let nobody = free_port();
    let app = App::start_with(|config| {
        crm.offer(config, &["look"]);
        crm.offer(config, &["look"]);
        config.tools.mcp[1].name = "erp".into();
        let url = Secret::new(format!("http://127.0.0.1:{nobody}/mcp"));
        config.tools.mcp[1].at = McpAddress::Url { url, headers: [].into(), proxy: None };
    })
    .await;
    app.model.push(answer("好。"));
    app.say("zhangsan", "你好").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    let asked = app.model.requests().pop().unwrap();
    assert_eq!(offered(&asked), ["crm_look"]);
    assert!(asked.contents("system")[0].contains("这些工具暂时不可用：erp"), "{asked:?}");
}

#[tokio::test]
async fn without_tools_nothing_of_them_is_sent() {
    let app = App::start().await;
    app.model.push(calls("", &[("read_web_page", r#"{"url":"http://example.com"}"#)]));
    app.say("zhangsan", "你好").await;
    let text = app.texts("zhangsan", 1).await.pop().unwrap();
    assert!(text.starts_with("抱歉，模型这次没有给出回答"), "what was not offered is not called: {text}");
    app.settled().await;
    let asked = app.model.requests().pop().unwrap();
    assert!(asked.body.get("tools").is_none() && asked.body.get("tool_choice").is_none());
}

#[tokio::test]
async fn the_model_reads_pages_under_the_same_rules_as_links() {
    let site = Site::start("<title>公告</title><p>明天放假。").await;
    let other = Site::start("secret").await;
    let app = App::start_with(|config| {
        config.tools.web = true;
        site.allow(config);
    })
    .await;
    let urls = [site.url(), other.url()].map(|url| json!({"url": url}).to_string());
    let both: Vec<_> = urls.iter().map(|arguments| ("read_web_page", arguments.as_str())).collect();
    app.model.push(calls("", &both));
    app.model.push(answer("明天放假。"));
    app.say("zhangsan", "看看公告").await;
    assert_eq!(app.texts("zhangsan", 2).await, ["🔧 正在查询：127.0.0.1…", "明天放假。"]);
    app.settled().await;
    let told = app.model.requests().pop().unwrap();
    let results = told.contents("tool");
    assert!(results[0].contains("公告\n明天放假。"), "{results:?}");
    assert!(results[1].contains("not on the public web") && other.asked().is_empty(), "{results:?}");
}

/// A server of tools as a program: answers each line, and adds what it was given of the environment.
const PROGRAM: &str = r#"
echo "starting up"
while read -r line; do
  id=$(printf '%s' "$line" | sed 's/.*"id":\([0-9]*\).*/\1/')
  case "$line" in
    *'"initialize"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"protocolVersion":"2025-06-18"}}';;
    *'"tools/list"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"tools":[{"name":"env"},{"name":"die"}]}}';;
    *'"name":"die"'*) exit 1;;
    *'"tools/call"'*) echo '{"jsonrpc":"2.0","id":'$id',"result":{"content":[{"type":"text","text":"'$KEY' '$SECRET'"}]}}';;
  esac
done
"#;

#[tokio::test]
async fn a_program_is_a_server_of_tools_too_and_is_started_again_after_its_end() {
    let app = App::start_with(|config| {
        let secret = Secret::new("k1".to_owned());
        config.tools.mcp.push(McpServer {
            name: "local".into(),
            at: McpAddress::Command {
                command: "sh".to_owned(),
                args: vec!["-c".to_owned(), PROGRAM.to_owned()],
                env: [("KEY".to_owned(), secret)].into(),
            },
            allow: vec!["env".to_owned(), "die".to_owned()],
            apps: Vec::new(),
        });
    })
    .await;
    app.model.push(calls("", &[("local_die", "{}"), ("local_env", "{}")]));
    app.model.push(answer("好。"));
    app.say("zhangsan", "查一下").await;
    let texts = app.texts("zhangsan", 3).await;
    assert_eq!(texts[1..], ["⚠️ local die 暂时用不了，下面的回答没有用到它。", "好。"]);
    app.settled().await;
    let told = app.model.requests().pop().unwrap();
    assert_eq!(told.contents("tool")[1], "k1 ");
}

#[tokio::test]
async fn the_doctor_asks_each_server_and_names_what_it_lacks() {
    let crm = FakeMcp::start().await;
    let app = App::start().await;
    let mut config = configuration(&app.wecom, &app.model, app.dir.path(), &[]);
    let nobody = free_port();
    for (name, allow) in [("good", "look"), ("lacks", "lookup"), ("away", "look"), ("lost", "look"), ("gone", "look")] {
        crm.offer(&mut config, &[allow]);
        config.tools.mcp.last_mut().unwrap().name = name.into();
    }
    let url = |url: String| McpAddress::Url { url: Secret::new(url), headers: [].into(), proxy: None };
    config.tools.mcp[2].at = url(format!("http://127.0.0.1:{nobody}/mcp"));
    config.tools.mcp[3].at = url(format!("http://{}/nowhere?key=secret", crm.address));
    let command = "/nowhere/program".to_owned();
    config.tools.mcp[4].at = McpAddress::Command { command, args: Vec::new(), env: [].into() };
    let doctor = doctor_with(config, app.address());
    let report = doctor.examine(&Database::Unasked, &SendTest::Never).await;
    let findings = serde_json::to_value(&report.findings).unwrap();
    let of_tools = findings.as_array().unwrap().iter().filter(|finding| finding["id"] == "tools");
    let told: Vec<_> =
        of_tools.map(|one| (one["found"].as_str().unwrap(), one["code"].as_str().unwrap_or("ok"))).collect();
    let address = crm.address;
    assert_eq!(told[0], (&*format!("good：{address}，3 个工具"), "ok"));
    assert_eq!(told[1], ("lacks：服务里没有允许的工具：lookup", "tools.missing"));
    assert_eq!(told[2].1, "link.refused");
    assert_eq!(told[3], ("lost：服务拒绝了请求：the server answered with status 404", "tools.refused"));
    assert_eq!(told[4].1, "tools.program");
    assert!(!findings.to_string().contains("key=secret"));
}

#[tokio::test]
async fn tools_are_only_for_the_applications_that_are_named() {
    let (app, _crm) = with_crm(|config| config.tools.mcp[0].apps = vec!["sales".to_owned()]).await;
    app.model.push(answer("好。"));
    app.say("zhangsan", "你好").await;
    app.texts("zhangsan", 1).await;
    app.settled().await;
    assert_eq!(app.model.requests()[0].body.get("tools"), None::<&Value>, "this one has no name");
}
