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
    for path in
        ["", "app.js", "bubbles.js", "menu.js", "share.js", "console.js", "console.css", "words.js", "style.css"]
    {
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

#[tokio::test]
async fn files_are_shown_as_what_they_are_and_cards_can_be_pressed() -> Result {
    let (phone, emulator, http) = phone().await?;
    let api = format!("{}/cgi-bin", emulator.api_base());
    let EmulatorSettings { corp_id, secret, .. } = emulator.settings();
    let query = [("corpid", corp_id.as_str()), ("corpsecret", secret.expose())];
    let token: Value = http.get(format!("{api}/gettoken")).query(&query).send().await?.json().await?;
    let token = token["access_token"].as_str().ok_or("no token")?;
    let amr = crate::media::voice::Recording { sample_rate: 8000, samples: vec![9; 8000] }.to_amr()?;
    let page = b"<script>alert(1)</script>".to_vec();
    let shown = [
        ("image", "a.png", b"\x89PNG\r\n\x1a\n...".to_vec(), "image/png", "\u{FFFD}PNG"),
        ("voice", "a.amr", amr, "audio/wav", "RIFF"),
        ("file", "页.html", page, "application/octet-stream", "<script>"),
    ];
    for (kind, name, bytes, content_type, begins) in shown {
        let part = reqwest::multipart::Part::bytes(bytes).file_name(name);
        let form = reqwest::multipart::Form::new().part("media", part).percent_encode_noop();
        let upload = http.post(format!("{api}/media/upload")).query(&[("access_token", token), ("type", kind)]);
        let uploaded: Value = upload.multipart(form).send().await?.json().await?;
        let id = uploaded["media_id"].as_str().ok_or_else(|| uploaded.to_string())?;
        let message = json!({"touser": "ann", "agentid": 7, "msgtype": kind, kind: {"media_id": id}});
        let send = http.post(format!("{api}/message/send")).query(&[("access_token", token)]);
        let sent: Value = send.json(&message).send().await?.json().await?;
        assert_eq!(sent["errcode"], 0, "{sent}");
        let line = emulator.lines_after(0).pop().ok_or("no line")?;
        assert_eq!(line.file.map(|file| (file.media_id, file.name)), Some((id.to_owned(), name.to_owned())));

        let answer = http.get(format!("{}api/media/{id}", phone.url())).send().await?;
        assert_eq!(answer.headers()[header::CONTENT_TYPE], content_type);
        assert_eq!(answer.headers().contains_key(header::CONTENT_DISPOSITION), kind == "file", "a page is never shown");
        assert!(String::from_utf8_lossy(&answer.bytes().await?).starts_with(begins));
    }
    assert_eq!(http.get(format!("{}api/media/none", phone.url())).send().await?.status(), 404);

    let press = json!({"member": "ann", "task_id": "t1", "key": "stop", "chosen": [["q", ["1"]]]});
    let pressed: Value = http.post(format!("{}api/press", phone.url())).json(&press).send().await?.json().await?;
    assert_eq!(pressed["accepted"], false, "nobody listens");
    let steps = serde_json::to_string(&emulator.journal().after(0))?;
    assert!(steps.contains("template_card_event") && steps.contains("<OptionId>"), "{steps}");
    Ok(())
}
