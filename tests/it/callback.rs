//! What WeCom, and anybody else, can send to `/wxcomapp`.

use std::time::Duration;

use qimate::{
    config::Config,
    model::id::{AgentId, CorpId},
    secret::Secret,
    wecom::crypto::{self, CallbackToken, EncodingAesKey},
};
use reqwest::{Client, Response, StatusCode};
use serde::Deserialize;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::harness::{App, Logs, within};

#[derive(Deserialize)]
struct Vector {
    id: String,
    token: String,
    encoding_aes_key: String,
    receive_id: String,
    msg_signature: String,
    timestamp: String,
    nonce: String,
    encrypt: String,
    plaintext: String,
}

impl Vector {
    fn all() -> Vec<Self> {
        serde_json::from_str(include_str!("../fixtures/vectors.json")).unwrap()
    }

    fn get(id: &str) -> Self {
        Self::all().into_iter().find(|vector| vector.id == id).unwrap()
    }

    fn configure(&self, config: &mut Config) {
        config.apps.first.wecom.callback_token = Secret::new(self.token.clone());
        config.apps.first.wecom.encoding_aes_key = Secret::new(self.encoding_aes_key.clone());
        if let Ok(corp) = CorpId::parse(&self.receive_id) {
            config.apps.first.wecom.corp_id = corp;
        }
        let agent = self.plaintext.split_once("<AgentID>").and_then(|(_, rest)| rest.split_once("</AgentID>"));
        if let Some(agent) = agent.and_then(|(agent, _)| agent.parse().ok()) {
            config.apps.first.wecom.agent_id = AgentId::new(agent);
        }
    }

    fn query(&self) -> [(&str, &str); 3] {
        [("msg_signature", &self.msg_signature), ("timestamp", &self.timestamp), ("nonce", &self.nonce)]
    }

    fn envelope(&self) -> String {
        format!(
            "<xml><ToUserName><![CDATA[{}]]></ToUserName><Encrypt><![CDATA[{}]]></Encrypt></xml>",
            self.receive_id, self.encrypt
        )
    }
}

/// Somebody who knows the application's callback secrets: WeCom, or a test.
struct Sender<'a> {
    app: &'a App,
    http: Client,
}

impl<'a> Sender<'a> {
    fn new(app: &'a App) -> Self {
        Self { app, http: Client::new() }
    }

    fn signed(&self, encrypt: &str) -> String {
        let token = CallbackToken::parse(self.app.wecom.settings().callback_token.expose()).unwrap();
        let signature = crypto::signature(&token, "1790000000", "nonce", encrypt);
        format!("?msg_signature={signature}&timestamp=1790000000&nonce=nonce")
    }

    fn encrypt(&self, receive_id: &str, message: &[u8]) -> String {
        let key = EncodingAesKey::parse(self.app.wecom.settings().encoding_aes_key.expose()).unwrap();
        crypto::encrypt(&key, receive_id, message, [7; 16])
    }

    async fn post(&self, query: &str, body: impl Into<reqwest::Body>) -> Response {
        let url = self.app.url(&format!("/wxcomapp{query}"));
        within(self.http.post(url).body(body).send()).await.unwrap()
    }

    async fn post_envelope(&self, envelope: &str, encrypt: &str) -> Response {
        self.post(&self.signed(encrypt), envelope.replace("ENC", encrypt)).await
    }

    /// Posts a payload in an envelope that is right in every way.
    async fn post_payload(&self, payload: &[u8]) -> Response {
        let encrypt = self.encrypt(self.app.wecom.settings().corp_id.as_str(), payload);
        self.post_envelope("<xml><Encrypt><![CDATA[ENC]]></Encrypt></xml>", &encrypt).await
    }
}

#[tokio::test]
async fn every_golden_vector_is_answered_with_its_plaintext() {
    for vector in Vector::all() {
        let app = App::start_with(|config| vector.configure(config)).await;
        let request = Client::new().get(app.url("/wxcomapp")).query(&vector.query());
        let answer = within(request.query(&[("echostr", &vector.encrypt)]).send()).await.unwrap();
        if vector.receive_id.is_empty() {
            // An AI bot's callback: signed and encrypted alike, but for no enterprise.
            assert_eq!(answer.status(), StatusCode::BAD_REQUEST, "{}", vector.id);
            continue;
        }
        assert_eq!(answer.status(), StatusCode::OK, "{}", vector.id);
        assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(answer.bytes().await.unwrap(), vector.plaintext.as_bytes(), "{}", vector.id);
    }
}

#[tokio::test]
async fn the_published_messages_are_accepted() {
    for (id, member) in [("B", "mycreate"), ("E", "ChenJiaShun")] {
        let vector = Vector::get(id);
        let mut app = App::start_with(|config| vector.configure(config)).await;
        let request = Client::new().post(app.url("/wxcomapp/")).query(&vector.query()).body(vector.envelope());
        let answer = within(request.send()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{id}, with a trailing slash");
        assert_eq!(answer.bytes().await.unwrap(), "");
        let saved = format!("SELECT COUNT(*) FROM inbox WHERE kind = 'text' AND event LIKE '%\"from\":\"{member}\"%'");
        assert_eq!(app.count(&saved), 1);
        // The emulator is another application than the one in the vector: nothing can be sent there.
        app.drop_everything().await;
    }
}

#[tokio::test]
async fn a_plus_that_a_proxy_turned_into_a_space_is_a_plus() {
    let vector = Vector::get("D");
    assert!(vector.encrypt.contains('+'));
    let app = App::start_with(|config| vector.configure(config)).await;
    let [(_, signature), (_, timestamp), (_, nonce)] = vector.query();
    let echostr = vector.encrypt.replace('/', "%2F").replace('=', "%3D");
    let url =
        app.url(&format!("/wxcomapp?msg_signature={signature}&timestamp={timestamp}&nonce={nonce}&echostr={echostr}"));
    let answer = within(Client::new().get(url).send()).await.unwrap();
    assert_eq!(answer.text().await.unwrap(), vector.plaintext);
}

#[tokio::test]
async fn a_refusal_has_its_status_its_reason_in_the_log_once_and_no_effect() {
    let logs = Logs::capture();
    let app = App::start().await;
    let sender = Sender::new(&app);
    let corp = app.wecom.settings().corp_id.as_str().to_owned();
    let good = sender.encrypt(&corp, b"<xml></xml>");
    let envelope = "<xml><Encrypt>ENC</Encrypt></xml>";
    let bomb = "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]><xml><Encrypt>&b;</Encrypt></xml>";
    let nested = "<a>".repeat(50_000);
    let lying = {
        // A length beyond the end of what was encrypted.
        let key = EncodingAesKey::parse(app.wecom.settings().encoding_aes_key.expose()).unwrap();
        crypto::encrypt(&key, "", &[0xff; 64], [0xff; 16])
    };
    let other = sender.encrypt("ww0000000000000000", b"<xml></xml>");
    let payload_bomb = sender.encrypt(&corp, bomb.as_bytes());
    let not_utf8 = sender.encrypt(&corp, b"<xml><FromUserName>\xff\xfe</FromUserName></xml>");
    let truncated = &good[..good.len() - 3];

    let cases: Vec<(&str, String, Vec<u8>, u16, &str)> = vec![
        ("no query", String::new(), envelope.into(), 400, "missing_parameter"),
        ("no Encrypt", sender.signed(&good), b"<xml></xml>".to_vec(), 400, "missing_encrypt"),
        ("foreign signature", sender.signed("x"), envelope.replace("ENC", &good).into(), 403, "wrong_signature"),
        ("empty body", sender.signed(&good), Vec::new(), 400, "malformed_xml"),
        ("not XML", sender.signed(&good), b"{\"encrypt\":\"x\"}".to_vec(), 400, "malformed_xml"),
        ("invalid UTF-8", sender.signed(&good), b"<xml>\xc3\x28</xml>".to_vec(), 400, "malformed_xml"),
        ("entity bomb", sender.signed(&good), bomb.into(), 400, "dtd_present"),
        ("nested", sender.signed(&good), nested.into(), 400, "malformed_xml"),
        ("truncated base64", sender.signed(truncated), envelope.replace("ENC", truncated).into(), 400, "undecryptable"),
        ("lying length", sender.signed(&lying), envelope.replace("ENC", &lying).into(), 400, "other_receiver"),
        ("other enterprise", sender.signed(&other), envelope.replace("ENC", &other).into(), 400, "other_receiver"),
        (
            "bomb inside",
            sender.signed(&payload_bomb),
            envelope.replace("ENC", &payload_bomb).into(),
            400,
            "dtd_present",
        ),
        ("bytes inside", sender.signed(&not_utf8), envelope.replace("ENC", &not_utf8).into(), 400, "malformed_xml"),
        ("too large", sender.signed(&good), vec![b' '; 1024 * 1024 + 1], 413, "too_large"),
    ];
    for (name, query, body, status, reason) in cases {
        let before = logs.with(&["refused a callback"]).len();
        let answer = sender.post(&query, body).await;
        assert_eq!(answer.status().as_u16(), status, "{name}");
        let lines = logs.with(&["refused a callback"]);
        assert_eq!(lines.len(), before + 1, "{name}: logged once");
        assert!(lines[before].contains(&format!("reason=\"{reason}\"")), "{name}: {}", lines[before]);
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox"), 0);
    for setting in ["callback_token", "encoding_aes_key", "corp_id"] {
        assert!(!logs.with(&["refused", setting]).is_empty(), "the log names {setting}");
    }
    let secrets = app.wecom.settings();
    for secret in [&secrets.callback_token, &secrets.encoding_aes_key, &secrets.secret] {
        assert!(logs.with(&[secret.expose()]).is_empty(), "a secret is in the log");
    }
}

#[tokio::test]
async fn a_chunked_body_without_a_length_is_cut_off_at_the_limit() {
    let app = App::start().await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"POST /wxcomapp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n").await.unwrap();
    let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
    let mut sent = 0_usize;
    while sent < 32 * 1024 * 1024 && stream.write_all(chunk.as_bytes()).await.is_ok() {
        sent += 0x10000;
    }
    let mut answer = Vec::new();
    // The connection may be reset while we still write; what matters is that it does not take 32 MiB.
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(sent < 32 * 1024 * 1024, "everything was read");
    app.say("zhangsan", "/help").await;
    app.texts("zhangsan", 1).await;
}

#[tokio::test]
async fn half_sent_requests_hold_nobody_up_and_end() {
    let app = App::start().await;
    let mut slow = Vec::new();
    for n in 0..64 {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let half = if n % 2 == 0 {
            "POST /wxcomapp?msg_signature=a HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n<xml>"
        } else {
            "POST /wxcomapp HTTP/1.1\r\nHost:"
        };
        stream.write_all(half.as_bytes()).await.unwrap();
        slow.push(stream);
    }
    app.say("zhangsan", "/help").await;
    app.texts("zhangsan", 1).await;
    // Those with a head wait for their body on our clock.
    app.clock.sleeper_within(Duration::from_secs(10)..=Duration::from_secs(10)).await;
    app.clock.advance(Duration::from_secs(10));
    let mut answer = String::new();
    within(slow[0].read_to_string(&mut answer)).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn many_large_bodies_that_never_end_hold_little_and_nobody_up() {
    let app = App::start().await;
    let mut half_sent = Vec::new();
    let mut refused = 0;
    for _ in 0..24 {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        let head = "POST /wxcomapp HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&[b' '; 100_000]).await.unwrap();
        half_sent.push(stream);
    }
    for stream in &mut half_sent {
        let mut answer = [0; 12];
        let answered = tokio::time::timeout(Duration::from_millis(50), stream.read_exact(&mut answer)).await;
        if answered.is_ok_and(|read| read.is_ok()) {
            assert_eq!(&answer, b"HTTP/1.1 503");
            refused += 1;
        }
    }
    assert_eq!(refused, 24 - 16, "sixteen are read at once");
    app.say("zhangsan", "/help").await;
    app.texts("zhangsan", 1).await;
}

#[tokio::test]
async fn unknown_kinds_are_taken_kept_and_counted() {
    let logs = Logs::capture();
    let app = App::start().await;
    let sender = Sender::new(&app);
    let common = "<ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
                  <CreateTime>1790000000</CreateTime><AgentID>1000002</AgentID>";
    let message = format!("<xml>{common}<MsgType>hologram</MsgType><MsgId>1</MsgId><Beam>x</Beam></xml>");
    let event = format!("<xml>{common}<MsgType>event</MsgType><Event>levitate</Event></xml>");
    for payload in [&message, &event] {
        let answer = sender.post_payload(payload.as_bytes()).await;
        assert_eq!((answer.status(), answer.bytes().await.unwrap().len()), (StatusCode::OK, 0));
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox WHERE kind = 'unknown' AND state = 'done'"), 2);
    let kept: String = app
        .database()
        .query_row("SELECT event FROM inbox WHERE event LIKE '%hologram%'", [], |row| row.get(0))
        .unwrap();
    assert!(kept.contains("<Beam>x</Beam>"), "{kept}");
    assert_eq!(logs.with(&["not known yet", "unknown=2"]).len(), 1);
}

#[tokio::test]
async fn events_that_need_no_answer_are_kept_and_not_answered() {
    let app = App::start().await;
    for event in ["unsubscribe", "enter_agent", "view"] {
        assert!(app.wecom.event("zhangsan", event).await.accepted());
    }
    let rows: Vec<String> = app
        .database()
        .prepare("SELECT dedup FROM inbox")
        .unwrap()
        .query_map([], |r| r.get(0))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows.len(), 3, "{rows:?}");
    assert_eq!(app.count("SELECT COUNT(*) FROM outbox"), 0);
}

#[tokio::test]
async fn saving_the_url_in_the_console_works() {
    let app = App::start().await;
    assert!(app.wecom.verify_url().await);
}

#[tokio::test]
async fn the_path_can_be_another() {
    let app = App::start_with(|config| config.server.callback_path = "/hooks/wecom".to_owned()).await;
    for path in ["/hooks/wecom", "/hooks/wecom/"] {
        app.wecom.set_callback_url(app.url(path));
        assert!(app.wecom.verify_url().await, "{path}");
    }
    let answer = within(Client::new().get(app.url("/wxcomapp")).send()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_callback_waits_for_nothing_but_the_disk() {
    let app = App::start().await;
    // Neither the model nor WeCom's API answers anything.
    app.model.push(qimate::sandbox::model::ModelReply::Hang);
    app.wecom.trouble(|trouble| trouble.hang(true));
    for n in 0..20 {
        app.say("zhangsan", &format!("{n}")).await;
    }
    assert_eq!(app.count("SELECT COUNT(*) FROM inbox"), 20);
    let mut app = app;
    app.drop_everything().await;
}
