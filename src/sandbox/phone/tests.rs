use std::{error::Error as StdError, time::Duration};

use futures_util::StreamExt;

use super::*;
use crate::{
    clock::Clock,
    model::id::{AgentId, CorpId},
    net,
    sandbox::emulator::EmulatorSettings,
};

type Result<T = ()> = std::result::Result<T, Box<dyn StdError>>;

async fn phone() -> Result<(Phone, Emulator, reqwest::Client)> {
    let settings = EmulatorSettings::invent(CorpId::parse("wwdemo")?, AgentId::new(7));
    let emulator = Emulator::start(settings, Clock::System).await?;
    let model = Some(DemoModel::start(Clock::System).await?);
    let parts = PhoneParts { emulator: emulator.clone(), model, model_name: "demo".to_owned(), daemon: None };
    Ok((Phone::start(parts, 0).await?, emulator, net::http_client(None, Duration::from_secs(5))?))
}

#[tokio::test]
async fn only_a_page_of_this_address_may_call() -> Result {
    let (phone, _, http) = phone().await?;
    let url = phone.url();
    let own = url.trim_end_matches('/').to_owned();
    let cases = [
        (None, None, 200),
        (Some("localhost:8787"), Some("http://localhost:8787"), 200),
        (None, Some(own.as_str()), 200),
        (Some("evil.example"), None, 403),
        (Some("127.0.0.1.evil.example:8787"), None, 403),
        (Some("evil.example:127.0.0.1"), None, 403),
        (None, Some("http://evil.example"), 403),
        (None, Some("null"), 403),
        (Some("127.0.0.1:8787"), Some("http://127.0.0.1:9999"), 403),
    ];
    for (host, origin, status) in cases {
        let mut request = http.get(format!("{url}api/state"));
        for (name, value) in [(header::HOST, host), (header::ORIGIN, origin)] {
            if let Some(value) = value {
                request = request.header(name, value);
            }
        }
        assert_eq!(request.send().await?.status(), status, "{host:?} {origin:?}");
    }
    let blind = http.post(format!("{url}api/say")).body(r#"{"member":"ann","text":"hi"}"#).send().await?;
    assert_eq!(blind.status(), 415, "a form of a foreign page cannot say that it is JSON");
    Ok(())
}

#[tokio::test]
async fn the_page_may_load_nothing_from_elsewhere() -> Result {
    let (phone, _, http) = phone().await?;
    for path in ["", "app.js", "console.js", "console.css", "words.js", "style.css"] {
        let answer = http.get(format!("{}{path}", phone.url())).send().await?;
        assert_eq!(answer.headers()[header::CONTENT_SECURITY_POLICY], POLICY);
        let text = answer.text().await?.replace("http://www.w3.org/2000/svg", "");
        assert!(!text.contains("http://") && !text.contains("https://") && !text.contains("innerHTML"), "{path}");
    }
    Ok(())
}

#[tokio::test]
async fn what_happens_is_pushed_and_switches_reach_wecom() -> Result {
    let (phone, emulator, http) = phone().await?;
    let url = phone.url();
    let mut events = http.get(format!("{url}api/events")).send().await?.bytes_stream();
    let post = |path: &str, body: Value| http.post(format!("{url}api/{path}")).json(&body).send();

    let said: Value = post("say", json!({"member": "张伟", "text": "你好"})).await?.json().await?;
    assert_eq!((&said["accepted"], &said["attempts"]), (&json!(false), &json!(3)), "nobody listens");
    for bad in [json!({"member": "a|b", "text": "x"}), json!({"member": "ann", "text": " "})] {
        assert_eq!(post("say", bad).await?.status(), 400);
    }
    assert_eq!(post("daemon", json!({"action": "kill"})).await?.status(), 409);
    let status: Value = post("trouble", json!({"name": "refuse_ip", "on": true})).await?.json().await?;
    assert_eq!(status["trouble"]["refuse_ip"], true);
    assert!(emulator.trouble(|trouble| trouble.refuses_ip()));

    let mut seen = String::new();
    while !(seen.contains("event: message")
        && seen.contains("on: refuse the IP")
        && seen.contains("\"refuse_ip\":true"))
    {
        seen.push_str(std::str::from_utf8(&events.next().await.ok_or("ended")??)?);
    }
    assert!(seen.contains("\"content\":\"你好\""), "{seen}");
    Ok(())
}
