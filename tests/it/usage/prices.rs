//! What a model costs changes: the price counts that holds when the answer has ended.

use std::time::Duration;

use qimate::{
    config::{Config, Environment},
    sandbox::model::ModelReply,
};

use super::calls;
use crate::harness::{App, variables};

/// An answer of ten model tokens, to a prompt of 1000 of which the upstream had 400 in its cache.
fn answer() -> ModelReply {
    let stream = r#"data: {"choices":[{"delta":{"content":"好"},"finish_reason":"stop"}],
"usage":{"prompt_tokens":1000,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":400}}}"#;
    ModelReply::Bytes {
        content_type: "text/event-stream".to_owned(),
        pieces: vec![format!("{}\n\ndata: [DONE]\n\n", stream.replace('\n', "")).into_bytes()],
        pause: Duration::ZERO,
    }
}

/// The upstreams of a list, read as the daemon reads them.
fn with_models(app: &App, models: &str) -> Result<Config, String> {
    let list = format!(r#"[{{"name":"up","base_url":"{}","models":[{models}]}}]"#, app.model.base_url());
    let more = [("QIMATE_LLM__UPSTREAMS", list.as_str()), ("QIMATE_CHAT__LANGUAGE", "en")];
    let variables = variables(&app.wecom, &app.model, app.dir.path(), &more);
    Config::load(None, &Environment::from_pairs(variables))
        .map(|loaded| loaded.config)
        .map_err(|faults| faults.to_string())
}

#[tokio::test]
async fn a_price_counts_from_its_day_on_and_what_was_cached_costs_less() {
    let mut app = App::start().await;
    app.stop().await;
    // It is 22:13 on 21 September 2026 in Shanghai.
    app.config = with_models(
        &app,
        r#"{"name":"qimate-demo","input_price":1000,"cached_price":100,"output_price":2000,
            "prices":[{"from":"2026-09-22","input_price":3000},{"from":"2026-09-23","cached_price":0,"output_price":0}]}"#,
    )
    .unwrap();
    app.launch().await;
    app.model.set_script(|_| answer());
    for day in 1..=3 {
        app.say("li", "喂").await;
        app.texts("li", day).await;
        app.settled().await;
        app.clock.advance(Duration::from_secs(if day == 1 { 2 * 3600 } else { 86_400 }));
    }
    app.stop().await;
    assert_eq!(
        calls(&app, "input, cached, output, money"),
        ["1000 400 10 660000", "1000 400 10 1860000", "1000 400 10 1800000"],
        "600 at the price of input, 400 at that of what is cached, 10 at that of output"
    );
    let used = app.count("SELECT money FROM used WHERE quarter = -1 AND subject LIKE 'member/%'");
    assert_eq!(used, 660_000 + 1_860_000 + 1_800_000, "quotas count the same");
}

#[tokio::test]
async fn what_is_no_day_is_told() {
    let app = App::start().await;
    for (prices, told) in [
        (
            r#"[{"from":"1.12.2026","input_price":1}]"#,
            "prices: from: is no date; expected a date such as \"2026-12-01\"",
        ),
        (r#"[{"from":"2026-12-01"},{"from":"2026-12-01"}]"#, "prices: from: is there twice"),
        (r#"[{"input_price":1}]"#, "prices: lacks from; expected a date such as \"2026-12-01\""),
    ] {
        let wrong = with_models(&app, &format!(r#"{{"name":"qimate-demo","prices":{prices}}}"#)).unwrap_err();
        assert!(wrong.contains(told), "{wrong}");
    }
}
