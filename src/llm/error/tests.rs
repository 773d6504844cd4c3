//! What upstreams say when they refuse, and what is made of it.

use super::*;

fn refused(status: u16, body: &str) -> Error {
    let status = StatusCode::from_u16(status).expect("a status");
    Error::refused(status, None, body.as_bytes(), &Redactor::default())
}

#[test]
fn a_refusal_is_named_by_what_can_be_done_about_it() {
    for (status, body, expected) in [
        (
            401,
            r#"{"error":{"message":"bad key","code":"invalid_api_key"}}"#,
            "the upstream refuses the API key: bad key",
        ),
        (
            402,
            r#"{"error":{"message":"Insufficient Balance"}}"#,
            "the account at the upstream has nothing left: Insufficient Balance",
        ),
        (403, "", "the upstream refuses the API key: Forbidden"),
        (
            404,
            r#"{"error":{"message":"model 'x' not found"}}"#,
            "the upstream does not know the model: model 'x' not found",
        ),
        (404, r#"{"detail":"Not Found"}"#, "the upstream refuses the request with status 404: Not Found"),
        (
            400,
            r#"{"error":{"message":"long","code":"context_length_exceeded"}}"#,
            "the conversation is too long for the model",
        ),
        (
            400,
            r#"{"message":"This model's maximum context length is 4096 tokens."}"#,
            "the conversation is too long for the model",
        ),
        (400, r#"{"error":{"message":"x","code":"content_filter"}}"#, "the upstream's content filter stepped in"),
        (400, r#"{"error":{"message":"pay","code":"Arrearage"}}"#, "the account at the upstream has nothing left: pay"),
        (413, "<html>", "the conversation is too long for the model"),
        (
            422,
            r#"{"detail":[{"loc":1}]}"#,
            "the upstream refuses the request with status 422: {\"detail\":[{\"loc\":1}]}",
        ),
        (
            429,
            r#"{"error":{"type":"insufficient_quota"}}"#,
            "the account at the upstream has nothing left: Too Many Requests",
        ),
        (429, r#"{"error":{"type":"requests"}}"#, "the upstream is asked too often"),
        (502, "\n<html><h1>Bad", "the upstream failed with status 502: Bad Gateway"),
        (503, "no workers", "the upstream failed with status 503: no workers"),
        (302, "", "the upstream refuses the request with status 302: Found"),
    ] {
        assert_eq!(refused(status, body).to_string(), expected, "{status} {body}");
    }
}

#[test]
fn a_refusal_is_understood_in_the_words_of_each_vendor() {
    for line in include_str!("../../../tests/fixtures/upstreams/refusals.jsonl").lines() {
        let case: serde_json::Value = serde_json::from_str(line).expect(line);
        let status = case["status"].as_u64().and_then(|status| u16::try_from(status).ok()).expect("a status");
        let error = refused(status, &case["body"].to_string());
        assert_eq!(Some(error.kind()), case["means"].as_str(), "{line}");
    }
}

#[test]
fn what_is_too_much_for_a_minute_may_come_back_when_the_upstream_says() {
    let body = br#"{"error":{"code":"insufficient_quota","message":"Allocated quota exceeded, please wait"}}"#;
    let wait = Some(Duration::from_secs(7));
    let error = Error::refused(StatusCode::TOO_MANY_REQUESTS, wait, body, &Redactor::default());
    assert_eq!((error.kind(), error.retry_after()), ("rate_limited", wait));
}

#[test]
fn a_refusal_of_tools_is_known_by_its_words() {
    for (status, message, about) in [
        (400, "registry.ollama.ai/library/gemma:2b does not support tools", true),
        (400, "\"auto\" tool choice requires --enable-auto-tool-choice and --tool-call-parser to be set", true),
        (404, "No endpoints found that support tool use for this model", true),
        (422, "body.tools: extra fields not permitted", true),
        (400, "Function call is not supported for this model.", true),
        (400, "temperature must be 1", false),
        (500, "tools", false),
    ] {
        let body = format!(r#"{{"error":{{"message":{message:?}}}}}"#);
        assert_eq!(refused(status, &body).is_about_tools(), about, "{message}");
    }
}

#[test]
fn only_what_may_pass_is_worth_another_try() {
    for (status, transient) in
        [(400, false), (401, false), (404, false), (408, true), (409, true), (413, false), (429, true), (500, true)]
    {
        assert_eq!(refused(status, "").is_transient(), transient, "{status}");
    }
    assert!(!refused(429, r#"{"error":{"code":"insufficient_quota"}}"#).is_transient());
}

#[test]
fn an_error_in_a_stream_may_carry_the_status_of_the_one_behind() {
    let in_stream = |code: &str| {
        let complaint = Complaint { message: "m".to_owned(), codes: vec![code.to_owned()] };
        Error::in_stream(&complaint, &Redactor::default())
    };
    assert!(matches!(in_stream("429"), Error::RateLimited { retry_after: None }));
    assert!(matches!(in_stream("502"), Error::Upstream { status: 502, .. }));
    assert!(matches!(in_stream("content_filter"), Error::ContentFiltered));
    for code in ["200", "1302", "server_error"] {
        assert!(matches!(in_stream(code), Error::StreamError { message } if message == "m"), "{code}");
    }
}
