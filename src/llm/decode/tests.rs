//! Answers as upstreams stream them, however they are cut, and what is read in them.

use super::*;

/// The answer in `pieces` and how it ends: `finish <reason> <usage>` or the error.
fn answer<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (String, String) {
    let mut decoder = Decoder::new(Redactor::default());
    let mut pieces = pieces.into_iter();
    let mut text = String::new();
    loop {
        match decoder.step() {
            Ok(None) => match pieces.next() {
                Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
                None => decoder.end(Ok(())),
            },
            Ok(Some(Step::Unseen | Step::Thought(_))) => {}
            Ok(Some(Step::Text(more))) => {
                assert!(!more.is_empty());
                text.push_str(&more);
            }
            Ok(Some(Step::Finish(Finish { reason, usage, .. }))) => {
                let usage = usage.map(|usage| (usage.input, usage.output));
                return (text, format!("finish {reason:?} {usage:?}"));
            }
            Err(error) => return (text, error.to_string()),
        }
    }
}

const HI: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"你好"}}]}"#;
const STOP: &str = r#"data: {"choices":[{"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
const DONE: &str = "data: [DONE]";
const CUT: &str = "the answer was cut off";

#[test]
fn a_stream_cut_at_every_byte_gives_the_same_answer() {
    let think = r#"data: {"choices":[{"delta":{"reasoning_content":"hm","content":"<thi"}}]}"#;
    let thought = r#"data: {"choices":[{"delta":{"content":"nk>x</think>\n"},"finish_reason":""}]}"#;
    let length = r#"data: {"choices":[{"delta":{"content":"!"},"finish_reason":"length"}]}"#;
    let broken = r#"data: {"error":{"message":"out of\nmemory","code":null}}"#;
    let refusal = r#"data: {"choices":[{"delta":{"refusal":"no"},"finish_reason":"refused"}]}"#;
    let own_usage = r#"data: {"choices":[{"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":0,"completion_tokens":0}}],"usage":null}"#;
    for (lines, text, end) in [
        (&[": ping", HI, STOP, USAGE, DONE][..], "你好", "finish Stop Some((3, 2))"),
        (&[think, thought, HI, length, DONE], "你好!", "finish Length None"),
        (&[HI, own_usage], "你好", "finish Stop Some((0, 0))"),
        (&[HI, STOP], "你好", "finish Stop None"),
        (&[HI, DONE], "你好", "finish Stop None"),
        (&[think, DONE], "<thi", "finish Stop None"),
        (&[refusal, "data:"], "no", "finish Other(\"refused\") None"),
        (&[HI, HI], "你好你好", CUT),
        (&[HI, broken, DONE], "你好", "the upstream failed while it answered: out ofmemory"),
        (&[HI, "data: {'", DONE], "你好", "the upstream does not speak the protocol: an event that is not a chunk"),
        (&[], "", CUT),
    ] {
        let stream: String = lines.iter().map(|line| format!("{line}\n\n")).collect();
        let expected = (text.to_owned(), end.to_owned());
        for at in 0..=stream.len() {
            let (head, tail) = stream.as_bytes().split_at(at);
            assert_eq!(answer([head, tail]), expected, "{stream} cut at {at}");
        }
        assert_eq!(answer(stream.as_bytes().chunks(1)), expected, "{stream}");
    }
}

#[test]
fn a_stream_that_ends_anywhere_is_whole_only_after_its_finish_reason() {
    let stream = format!("{HI}\n\n{STOP}\n\n{USAGE}\n\n{DONE}\n\n");
    // The last brace of the chunk is enough: some upstreams forget the line ends.
    let whole_from = stream.find(USAGE).expect("usage") - 2;
    for at in 0..=stream.len() {
        let (_, end) = answer([&stream.as_bytes()[..at]]);
        assert_eq!(end.starts_with("finish Stop"), at >= whole_from, "ended at {at}: {end}");
        assert!(end.starts_with("finish") || end == CUT, "ended at {at}: {end}");
    }
}

#[test]
fn a_body_that_is_not_a_stream_is_an_answer_or_an_error() {
    for (body, text, end) in [
        (
            r#" {"choices":[{"message":{"content":"<think>x</think>好"},"finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":9}}"#,
            "好",
            "finish Length Some((1, 9))",
        ),
        (r#"{"choices":[{"message":{"content":"好"}}]}"#, "好", "finish Stop None"),
        (r#"{"choices":[{"message":{"content":"好"}"#, "", CUT),
        (r#"{"choices":[]}"#, "", "the upstream does not speak the protocol: a completion without an answer"),
        (r#"{"choices":7}"#, "", "the upstream does not speak the protocol: a body that is not a completion"),
        (r#"{"error":{"message":"busy","code":503}}"#, "", "the upstream failed with status 503: busy"),
        (r#"{"code":"x","message":"no such route"}"#, "", "the upstream failed while it answered: no such route"),
        ("\r\n<!doctype html>", "", "the upstream does not speak the protocol: a web page"),
    ] {
        let expected = (text.to_owned(), end.to_owned());
        assert_eq!(answer([body.as_bytes()]), expected, "{body}");
        assert_eq!(answer(body.as_bytes().chunks(1)), expected, "{body}");
    }
}

#[test]
fn calls_of_tools_come_with_the_end_however_the_stream_is_cut() {
    let asked = r#"{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\":"}}"#;
    let stream = format!(
        "data: {{\"choices\":[{{\"delta\":{{\"reasoning_content\":\"hm\",\"content\":\"看\"}}}}]}}\n\n\
         data: {{\"choices\":[{{\"delta\":{{\"content\":null,\"tool_calls\":[{asked}]}}}}]}}\n\n\
         data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":[{{\"index\":0,\"function\":{{\"arguments\":\"1}}\"}}}}]}}}}]}}\n\n\
         data: {{\"choices\":[{{\"delta\":{{\"tool_calls\":null}},\"finish_reason\":\"tool_calls\"}}]}}\n\ndata: [DONE]\n\n"
    );
    let whole = r#"{"choices":[{"message":{"content":"看","tool_calls":[{"id":"a","function":{"name":"f","arguments":{"x":1}}}]},"finish_reason":"stop"}]}"#;
    for (body, thought) in [(stream.as_str(), "hm"), (whole, "")] {
        for at in 0..=body.len() {
            let mut decoder = Decoder::new(Redactor::default()).keeping_thought(true);
            let (head, tail) = body.as_bytes().split_at(at);
            let mut pieces = [head, tail].into_iter();
            let (mut text, mut finish) = (String::new(), None);
            while finish.is_none() {
                match decoder.step().expect("an answer") {
                    None => match pieces.next() {
                        Some(piece) => decoder.feed(Bytes::copy_from_slice(piece)),
                        None => decoder.end(Ok(())),
                    },
                    Some(Step::Unseen | Step::Thought(_)) => {}
                    Some(Step::Text(more)) => text.push_str(&more),
                    Some(Step::Finish(end)) => finish = Some(end),
                }
            }
            let calls = finish.and_then(|finish| finish.calls).expect("calls");
            assert_eq!((text.as_str(), calls.thought.as_str(), calls.calls.len()), ("看", thought, 1), "cut at {at}");
            let call = &calls.calls[0];
            assert_eq!((call.id.as_str(), call.name.as_str(), call.arguments.as_str()), ("a", "f", "{\"x\":1}"));
        }
    }
}

#[test]
fn what_never_ends_is_refused_at_the_limit() {
    for start in ["{\"choices\":\"", "data: {\"choices\":\""] {
        let pieces = std::iter::once(start.as_bytes()).chain(std::iter::repeat_n(&[b'x'; 65536][..], 129));
        let expected = "the upstream does not speak the protocol: an event longer than 8 MiB";
        assert_eq!(answer(pieces).1, expected);
    }
}

/// What each upstream streams for the same greeting: what it thinks aloud, and how much of the question it had in its
/// cache (`None`: it tells no usage). Where each example has its shape from is in the `README.md` beside them.
const GREETINGS: &[(&str, &[u8], &str, Option<u64>)] = &[
    ("azure", include_bytes!("../../../tests/fixtures/upstreams/azure.sse"), "", Some(0)),
    ("deepseek", include_bytes!("../../../tests/fixtures/upstreams/deepseek.sse"), "用户在打招呼", Some(0)),
    ("qwen", include_bytes!("../../../tests/fixtures/upstreams/qwen.sse"), "用户在打招呼", Some(0)),
    ("glm", include_bytes!("../../../tests/fixtures/upstreams/glm.sse"), "用户在打招呼", Some(1)),
    ("moonshot", include_bytes!("../../../tests/fixtures/upstreams/moonshot.sse"), "用户在打招呼", Some(9)),
    ("vllm", include_bytes!("../../../tests/fixtures/upstreams/vllm.sse"), "用户在打招呼", Some(0)),
    ("ollama", include_bytes!("../../../tests/fixtures/upstreams/ollama.sse"), "用户在打招呼", Some(0)),
    ("plain", include_bytes!("../../../tests/fixtures/upstreams/plain.sse"), "", None),
];

/// The same where a tool is wanted; the last is whether what was thought goes back with the result: only what came as
/// `reasoning_content` does.
const CALLS: &[(&str, &[u8], &str, bool)] = &[
    ("deepseek", include_bytes!("../../../tests/fixtures/upstreams/deepseek-tools.sse"), "tool_calls", true),
    ("qwen", include_bytes!("../../../tests/fixtures/upstreams/qwen-tools.sse"), "tool_calls", false),
    ("moonshot", include_bytes!("../../../tests/fixtures/upstreams/moonshot-tools.sse"), "tool_calls", true),
    ("vllm", include_bytes!("../../../tests/fixtures/upstreams/vllm-tools.sse"), "stop", false),
    ("ollama", include_bytes!("../../../tests/fixtures/upstreams/ollama-tools.sse"), "tool_calls", false),
];

/// Text, thoughts and end of a stream that comes in one piece.
fn read(name: &str, stream: &'static [u8]) -> (String, String, Finish) {
    let mut decoder = Decoder::new(Redactor::default()).keeping_thought(true);
    decoder.feed(Bytes::from_static(stream));
    let (mut text, mut thought) = (String::new(), String::new());
    loop {
        match decoder.step().unwrap_or_else(|error| panic!("{name}: {error}")) {
            Some(Step::Text(more)) => text.push_str(&more),
            Some(Step::Thought(more)) => thought.push_str(&more),
            Some(Step::Finish(finish)) => return (text, thought, finish),
            Some(Step::Unseen) => {}
            None => decoder.end(Ok(())),
        }
    }
}

#[test]
fn every_upstreams_stream_gives_the_same_answer() {
    for &(name, stream, thinks, cached) in GREETINGS {
        let (text, thought, finish) = read(name, stream);
        assert_eq!((text.as_str(), thought.as_str(), finish.reason), ("你好！", thinks, FinishReason::Stop), "{name}");
        let usage = finish.usage.map(|usage| (usage.input, usage.output, usage.cached));
        assert_eq!(usage, cached.map(|cached| (9, 3, cached)), "{name}");
        assert_eq!(finish.calls, None, "{name}");
    }
}

#[test]
fn every_upstreams_call_of_a_tool_is_the_same_call() {
    for &(name, stream, reason, gives_back) in CALLS {
        let (text, _, finish) = read(name, stream);
        assert_eq!(text, "", "{name}");
        assert_eq!(FinishReason::parse(reason, &Redactor::default()), Some(finish.reason), "{name}");
        assert_eq!(finish.usage.map(|usage| (usage.input, usage.output)), Some((9, 3)), "{name}");
        let calls = finish.calls.unwrap_or_else(|| panic!("{name} has no call"));
        let [call] = calls.calls.as_slice() else { panic!("{name}: {calls:?}") };
        assert_eq!(call.name, "weather", "{name}");
        assert_eq!(call.arguments.replace(' ', ""), r#"{"city":"北京"}"#, "{name}");
        assert!(!call.id.is_empty(), "{name}");
        assert_eq!(calls.thought, if gives_back { "查天气" } else { "" }, "{name}");
    }
}

#[test]
fn what_a_filter_finds_after_the_end_was_still_filtered() {
    let stream = include_bytes!("../../../tests/fixtures/upstreams/azure-blocked.sse");
    let (text, _, finish) = read("azure", stream);
    assert_eq!((text.as_str(), finish.reason), ("你好！", FinishReason::ContentFilter));
    assert_eq!(finish.usage.map(|usage| (usage.input, usage.output)), Some((9, 3)));
    let noted = r#"data: {"choices":[{"content_filter_results":{"jailbreak":{"detected":true,"filtered":false}}}]}"#;
    let stream = format!("{HI}\n\n{noted}\n\n{STOP}\n\n{DONE}\n\n");
    assert_eq!(answer([stream.as_bytes()]).1, "finish Stop None", "a filter that only notes");
}

#[test]
fn an_upstream_that_says_it_broke_off_has_not_answered() {
    for (word, end) in [
        ("network_error", CUT),
        ("insufficient_system_resource", CUT),
        ("sensitive", "finish ContentFilter None"),
        ("model_context_window_exceeded", "finish Length None"),
    ] {
        let last = format!(r#"{{"choices":[{{"delta":{{"content":"！"}},"finish_reason":"{word}"}}]}}"#);
        for stream in [format!("{HI}\n\ndata: {last}\n\n{DONE}\n\n"), format!("{HI}\n\ndata: {last}")] {
            assert_eq!(answer([stream.as_bytes()]), ("你好！".to_owned(), end.to_owned()), "{stream}");
        }
        let whole = last.replace("delta", "message");
        assert_eq!(answer([whole.as_bytes()]), ("！".to_owned(), end.to_owned()), "{whole}");
    }
}
