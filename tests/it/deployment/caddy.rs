//! `deploy/Caddyfile`, by a real Caddy: what passes, and what does not.

use std::{
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use qimate::sandbox::model::ModelReply;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    process::Child,
    sync::mpsc,
};

use super::{installed, output_of, read, root, skipped, yaml};
use crate::{
    company::Company,
    harness::{free_port, within_seconds},
};

/// What stands in front of Qimate.
const FILE: &str = "deploy/Caddyfile";

/// What stands between Qimate and WeCom.
const RELAY: &str = "deploy/relay.Caddyfile";

/// Caddy with one of the files as it stands, for one address without and one with TLS.
struct Caddy {
    plain: u16,
    tls: u16,
    _process: Child,
}

impl Caddy {
    async fn start(dir: &Path, file: &str, upstream: u16, more: &[(&str, &str)]) -> Self {
        let (plain, tls) = (free_port(), free_port());
        // A test must not listen on port 80, and not add a certificate authority to the machine.
        let here = "{\n\tauto_https disable_redirects\n\tskip_install_trust\n";
        let copy = dir.join("Caddyfile");
        std::fs::write(&copy, read(file).replacen("{\n", here, 1)).unwrap();
        let mut command = tokio::process::Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config"]).arg(&copy).env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", dir).env("XDG_DATA_HOME", dir).env("XDG_CONFIG_HOME", dir);
        command.env("DOMAIN", format!("http://127.0.0.1:{plain}, https://localhost:{tls}"));
        command.env("UPSTREAM", format!("127.0.0.1:{upstream}"));
        command.envs(more.iter().copied());
        command.stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let process = command.spawn().unwrap();
        let caddy = Self { plain, tls, _process: process };
        // Until it listens, and has made itself a certificate.
        for url in [caddy.url("/"), format!("https://localhost:{tls}/")] {
            within_seconds(30, async {
                while client().get(&url).send().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            })
            .await;
        }
        caddy
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.plain)
    }
}

/// Trusts everybody: the certificate is of the test's own authority.
fn client() -> reqwest::Client {
    qimate::net::install_crypto();
    reqwest::Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap()
}

/// Whether the Caddy is there that `deploy/compose.caddy.yml` names: older ones lose the body of a callback that they
/// try again (caddyserver/caddy#7546).
fn caddy_is_there(story: &str) -> bool {
    if !installed("caddy", story) {
        return false;
    }
    let compose = yaml("deploy/compose.caddy.yml");
    let image = compose["services"]["caddy"]["image"].as_str().unwrap().to_owned();
    let wanted = image.trim_start_matches("caddy:").trim_end_matches("-alpine");
    let found = output_of(Command::new("caddy").arg("version"));
    found.starts_with(&format!("v{wanted} ")) || skipped(&format!("{story} needs caddy {wanted}"))
}

/// Answers every request with 200 and says what was asked for.
async fn anything() -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut stream = BufReader::new(stream);
                let (mut head, mut length) = (String::new(), 0);
                while !head.ends_with("\r\n\r\n") && stream.read_line(&mut head).await.is_ok_and(|bytes| bytes > 0) {
                    let line = head.lines().last().unwrap_or_default().to_ascii_lowercase();
                    length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
                }
                // Whoever sends half a body gets no answer.
                if stream.read_exact(&mut vec![0; length]).await.is_err() {
                    return;
                }
                let _ = asked.send(head.lines().next().unwrap_or_default().to_owned());
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").await;
            });
        }
    });
    (port, requests)
}

#[tokio::test]
async fn only_what_wecom_and_a_watcher_ask_for_passes() {
    if !caddy_is_there("only_what_wecom_and_a_watcher_ask_for_passes") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (upstream, mut requests) = anything().await;
    let caddy = Caddy::start(dir.path(), FILE, upstream, &[("CALLBACK_PATH", "/callback")]).await;
    let client = client();
    let passes = ["/callback", "/callback?msg_signature=a&nonce=b", "/callback/", "/healthz", "/WW_verify_AbC123.txt"];
    for path in passes {
        for origin in [format!("http://127.0.0.1:{}", caddy.plain), format!("https://localhost:{}", caddy.tls)] {
            let answer = client.post(format!("{origin}{path}")).body("<xml/>").send().await.unwrap();
            assert_eq!(answer.status(), 200, "{origin}{path}");
            assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains");
            assert_eq!(requests.recv().await.unwrap(), format!("POST {path} HTTP/1.1"));
        }
    }
    let stays = [
        "/",
        "/metrics",
        "/status",
        "/status?x=/callback",
        "/readyz",
        "/readyz?verbose",
        "/callback/../metrics",
        "/callback/metrics",
        "/healthz/../readyz",
        "//metrics",
        "/wxcomapp",
        "/WW_verify_AbC123.txt/../metrics",
        "/robots.txt",
    ];
    for path in stays {
        // By hand: a client would resolve the dots itself.
        let mut stream = TcpStream::connect(("127.0.0.1", caddy.plain)).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1:{}\r\nconnection: close\r\n\r\n", caddy.plain);
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).await.unwrap();
        assert!(line.starts_with("HTTP/1.1 404 "), "{path}: {line}");
    }
    let large = client.post(caddy.url("/callback")).body(vec![b'x'; 1_100_000]).send().await.unwrap();
    assert!(!large.status().is_success(), "{}", large.status());
    assert!(requests.try_recv().is_err(), "nothing of that reached Qimate");
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_a_message_is_answered_and_a_restart_refuses_none() {
    const KEY: &str = "0123456789abcdef0123456789abcdef";
    if !caddy_is_there("behind_caddy_a_message_is_answered_and_a_restart_refuses_none") {
        return;
    }
    let mut company = Company::open(&[("QIMATE_SERVER__OPERATOR_KEY", KEY)]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let dir = tempfile::tempdir().unwrap();
    let caddy = Caddy::start(dir.path(), FILE, company.port(), &[]).await;
    company.wecom.set_callback_url(caddy.url("/wxcomapp"));
    company.start().await;
    assert!(company.wecom.say("zhangsan", "一").await.accepted());
    within_seconds(60, company.wecom.wait_delivered(|all| all.len() == 1)).await;

    // To whoever has the key, Qimate itself would show it.
    let client = client();
    let ask = async |url: String| client.get(url).bearer_auth(KEY).send().await.unwrap().status().as_u16();
    assert_eq!(ask(format!("http://127.0.0.1:{}/metrics", company.port())).await, 200);
    assert_eq!(ask(caddy.url("/metrics")).await, 404);
    assert_eq!(ask(caddy.url("/healthz")).await, 200);

    // A callback that finds nobody waits until Qimate is there again, and is accepted at the first attempt.
    assert!(company.terminate().await.success());
    let wecom = company.wecom.clone();
    let waiting = tokio::spawn(async move { wecom.say("zhangsan", "二").await });
    company.start().await;
    let receipt = within_seconds(60, waiting).await.unwrap();
    assert!(receipt.accepted() && receipt.attempts.len() == 1, "{receipt:?}");
    within_seconds(60, company.wecom.wait_delivered(|all| all.len() == 2)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn through_the_relay_a_message_is_answered_and_without_its_word_nothing_is_there() {
    if !caddy_is_there("through_the_relay_a_message_is_answered_and_without_its_word_nothing_is_there") {
        return;
    }
    let mut company = Company::open(&[]).await;
    company.model.set_script(|_| ModelReply::Answer("好".to_owned()));
    let api = company.wecom.api_base();
    let port = api.rsplit(':').next().unwrap().parse().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let relay = Caddy::start(dir.path(), RELAY, port, &[("WORD", "a-long-random-word")]).await;
    company.set("QIMATE_WECOM__API_BASE", &relay.url("/a-long-random-word"));
    company.start().await;
    assert!(company.wecom.say("zhangsan", "喂").await.accepted());
    within_seconds(60, company.wecom.wait_delivered(|all| all.len() == 1)).await;

    let calls = company.wecom.counters().gettoken;
    for path in ["/cgi-bin/gettoken?corpid=ww1&corpsecret=x", "/another-word/cgi-bin/gettoken", "/"] {
        assert_eq!(client().get(relay.url(path)).send().await.unwrap().status(), 404, "{path}");
    }
    assert_eq!(company.wecom.counters().gettoken, calls, "WeCom was asked nothing");
}

#[test]
fn caddy_takes_the_files_as_they_stand() {
    if !caddy_is_there("caddy_takes_the_files_as_they_stand") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wanted = [
        (FILE, &["qimate:8080", "/wxcomapp", "qimate.example.com"][..]),
        (RELAY, &["qyapi.weixin.qq.com:443", "/word/*", "qimate.example.com"]),
    ];
    for (file, words) in wanted {
        let caddy = |arguments: &[&str]| {
            let mut command = Command::new("caddy");
            command.args(arguments).arg(root().join(file)).env("DOMAIN", "qimate.example.com").env("WORD", "word");
            output_of(command.env("HOME", dir.path()))
        };
        assert_eq!(caddy(&["fmt"]), read(file));
        let adapted = caddy(&["adapt", "--validate", "--adapter", "caddyfile", "--config"]);
        for word in words {
            assert!(adapted.contains(word), "{word}: {adapted}");
        }
    }
}
