//! HTTPS on the main address, with a certificate in files.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use qimate::{
    clock::{Clock, ManualClock, Timestamp},
    config::{Config, Environment, tls::Tls},
    net::Trust,
    sandbox::model::ModelReply,
    server,
    wecom::crypto::{self, CallbackToken, EncodingAesKey},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};
use reqwest::{Certificate, Client};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    company::Company,
    harness::{App, Logs, within},
    v1::{Scene, question},
};

const DOMAIN: &str = "bot.example.com";

/// A certificate authority that a test trusts.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate and its key, good until the first day of `year`.
    fn issue(&self, year: i32) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![DOMAIN.to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 1, 1);
        params.not_after = date_time_ymd(year, 1, 1);
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn client(&self, address: SocketAddr) -> Client {
        qimate::net::install_crypto();
        let root = Certificate::from_pem(self.0.pem().as_bytes()).unwrap();
        Client::builder().tls_certs_only([root]).resolve(DOMAIN, address).pool_max_idle_per_host(0).build().unwrap()
    }
}

/// The two files, in a directory of their own.
struct Files {
    dir: tempfile::TempDir,
}

impl Files {
    fn with((certificate, key): &(String, String)) -> Self {
        let files = Self { dir: tempfile::tempdir().unwrap() };
        files.write_certificate(certificate);
        files.write_key(key);
        files
    }

    fn certificate(&self) -> PathBuf {
        self.dir.path().join("fullchain.pem")
    }

    fn key(&self) -> PathBuf {
        self.dir.path().join("privkey.pem")
    }

    fn write_certificate(&self, pem: &str) {
        std::fs::write(self.certificate(), pem).unwrap();
    }

    fn write_key(&self, pem: &str) {
        std::fs::write(self.key(), pem).unwrap();
    }

    fn configure(&self, config: &mut Config) {
        config.tls = Tls::Files { certificate: self.certificate(), private_key: self.key() };
    }
}

/// One request by a new connection; `Err` when the handshake fails.
async fn healthz(client: &Client) -> Result<u16, reqwest::Error> {
    let answer = within(client.get(format!("https://{DOMAIN}/healthz")).send()).await;
    answer.map(|answer| answer.status().as_u16())
}

/// Lets the daemon look at the files once more, and waits until it has.
async fn look(app: &App) {
    let a_look_ahead = Duration::from_secs(25)..=Duration::from_secs(25);
    within(app.clock.sleeper_within(a_look_ahead.clone())).await;
    app.clock.advance(Duration::from_secs(25));
    within(app.clock.sleeper_within(a_look_ahead)).await;
}

#[tokio::test]
async fn the_whole_callback_story_goes_over_https() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let client = authority.client(app.address());
    let settings = app.wecom.settings();
    let token = CallbackToken::parse(settings.callback_token.expose()).unwrap();
    let key = EncodingAesKey::parse(settings.encoding_aes_key.expose()).unwrap();
    let corp = settings.corp_id.as_str();
    let query = |encrypt: &str| {
        let signature = crypto::signature(&token, "1790000000", "nonce", encrypt);
        [("msg_signature", signature), ("timestamp", "1790000000".to_owned()), ("nonce", "nonce".to_owned())]
    };
    let url = format!("https://{DOMAIN}/wxcomapp");

    let echo = crypto::encrypt(&key, corp, b"4711", [7; 16]);
    let verification = client.get(&url).query(&query(&echo)).query(&[("echostr", &echo)]);
    let answer = within(verification.send()).await.unwrap();
    assert_eq!(answer.version(), reqwest::Version::HTTP_11);
    assert_eq!(answer.text().await.unwrap(), "4711");

    let message = format!(
        "<xml><ToUserName>{corp}</ToUserName><FromUserName>zhangsan</FromUserName><CreateTime>1790000000</CreateTime>\
         <MsgType>text</MsgType><Content>/help</Content><MsgId>1</MsgId><AgentID>1000002</AgentID></xml>"
    );
    let encrypt = crypto::encrypt(&key, corp, message.as_bytes(), [8; 16]);
    let envelope = format!("<xml><Encrypt>{encrypt}</Encrypt></xml>");
    let answer = within(client.post(&url).query(&query(&encrypt)).body(envelope).send()).await.unwrap();
    assert_eq!((answer.status().as_u16(), answer.bytes().await.unwrap().len()), (200, 0));
    assert!(app.texts("zhangsan", 1).await[0].contains("/new"));
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    for version in [reqwest::tls::Version::TLS_1_2, reqwest::tls::Version::TLS_1_3] {
        let root = Certificate::from_pem(authority.0.pem().as_bytes()).unwrap();
        let client = Client::builder()
            .tls_certs_only([root])
            .tls_version_min(version)
            .tls_version_max(version)
            .resolve(DOMAIN, app.address());
        assert_eq!(healthz(&client.build().unwrap()).await.unwrap(), 200, "{version:?}");
    }
}

/// Neither is asked anything: a key or a question would be on the way before it is known to whom.
#[tokio::test]
async fn no_call_goes_to_a_certificate_that_nobody_vouches_for_or_that_is_anothers() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let patience = Duration::from_secs(5);
    let url = format!("https://{DOMAIN}:{}/healthz", app.address().port());
    let ours = |trust| {
        let builder = qimate::net::http_client_builder(None, patience, trust).unwrap();
        builder.resolve(DOMAIN, app.address()).build().unwrap()
    };
    let error = within(ours(Trust::Usual).get(&url).send()).await.expect_err("nobody vouches for it");
    assert!(format!("{error:?}").contains("UnknownIssuer"), "{error:?}");
    let trusting = ours(Trust::UsualAnd(vec![authority.0.der().clone()]));
    assert_eq!(within(trusting.get(&url).send()).await.unwrap().status(), 200);
    let by_number = format!("https://{}/healthz", app.address());
    let error = within(trusting.get(by_number).send()).await.expect_err("it is for another name");
    assert!(format!("{error:?}").contains("NotValidForName"), "{error:?}");
}

#[tokio::test]
async fn browsers_are_told_to_come_by_https_alone_where_it_is_spoken() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let client = authority.client(app.address());
    for path in ["/healthz", "/nothing", "/wxcomapp"] {
        let answer = within(client.get(format!("https://{DOMAIN}{path}")).send()).await.unwrap();
        assert_eq!(answer.headers()["strict-transport-security"], "max-age=31536000; includeSubDomains", "{path}");
    }
    for (public_url, policy) in [
        (Some("https://bot.example.com"), Some("max-age=31536000")),
        (Some("http://bot.example.com"), None),
        (None, None),
    ] {
        let app = App::start_with(|config| config.server.public_url = public_url.map(str::to_owned)).await;
        let answer = within(Client::new().get(app.url("/healthz")).send()).await.unwrap();
        let given = answer.headers().get("strict-transport-security").map(|value| value.to_str().unwrap());
        assert_eq!(given, policy, "{public_url:?}");
    }
}

#[tokio::test]
async fn renewed_files_are_served_without_a_restart() {
    let logs = Logs::capture();
    let (before, after) = (Authority::new(), Authority::new());
    let files = Files::with(&before.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let (trusts_before, trusts_after) = (before.client(app.address()), after.client(app.address()));
    assert_eq!(healthz(&trusts_before).await.unwrap(), 200);
    assert!(healthz(&trusts_after).await.is_err());

    // Whoever renews writes one file after the other; in between they are no pair.
    let (certificate, key) = after.issue(2031);
    files.write_certificate(&certificate);
    look(&app).await;
    assert_eq!(healthz(&trusts_before).await.unwrap(), 200);
    files.write_key(&key);
    look(&app).await;
    assert_eq!(healthz(&trusts_after).await.unwrap(), 200);
    // A new client: the one of before may resume its session.
    assert!(healthz(&before.client(app.address())).await.is_err());
    assert_eq!(logs.with(&["serving a new certificate", DOMAIN, "01 Jan 2031"]).len(), 1);
    assert!(logs.with(&["was not renewed"]).is_empty(), "a renewal under way is no failure");
}

#[tokio::test]
async fn broken_files_change_nothing_and_are_told_once() {
    let logs = Logs::capture();
    let (before, after) = (Authority::new(), Authority::new());
    let files = Files::with(&before.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let client = before.client(app.address());
    let (certificate, key) = after.issue(2031);
    let half = &certificate[..certificate.len() / 2];
    for (broken, telling) in [(half, "not complete"), ("", "holds no certificate"), (&certificate, "does not fit")] {
        files.write_certificate(broken);
        for _ in 0..4 {
            look(&app).await;
            assert_eq!(healthz(&client).await.unwrap(), 200, "{telling}");
        }
        let told = logs.with(&["the certificate was not renewed", telling, "01 Jan 2030"]);
        assert_eq!(told.len(), 1, "{telling}: {told:?}");
    }
    std::fs::remove_file(files.certificate()).unwrap();
    for _ in 0..3 {
        look(&app).await;
    }
    assert_eq!(logs.with(&["the certificate was not renewed", "fullchain.pem", "No such file"]).len(), 1);

    // Somebody repairs it.
    files.write_certificate(&certificate);
    files.write_key(&key);
    look(&app).await;
    assert_eq!(healthz(&after.client(app.address())).await.unwrap(), 200);
    assert!(logs.with(&[key.lines().nth(1).unwrap()]).is_empty(), "the key is in the log");
}

#[tokio::test]
async fn an_expired_certificate_is_served_and_told() {
    let authority = Authority::new();
    let logs = Logs::capture();
    let files = Files::with(&authority.issue(2025));
    let app = App::start_with(|config| files.configure(config)).await;
    assert_eq!(logs.with(&["WARN", "fullchain.pem", "expired", "01 Jan 2025"]).len(), 1);
    look(&app).await;
    assert_eq!(logs.with(&["expired"]).len(), 1, "once");
    // It is served: what is refused is for the client to decide.
    let error = healthz(&authority.client(app.address())).await.expect_err("refused");
    assert!(format!("{error:?}").contains("Expired"), "{error:?}");
}

#[tokio::test]
async fn a_certificate_that_ends_is_told_in_time() {
    let logs = Logs::capture();
    let files = Files::with(&Authority::new().issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    look(&app).await;
    assert!(logs.with(&["WARN", "certificate"]).is_empty());
    // 2029-12-25, a week before.
    let week_before = Timestamp::from_secs(1_892_851_200);
    app.clock.advance(week_before.since(Clock::Manual(app.clock.clone()).now()));
    look(&app).await;
    look(&app).await;
    assert_eq!(logs.with(&["WARN", "ends soon", "01 Jan 2030"]).len(), 1);
}

/// What a daemon says that does not start with these files.
async fn refusal(certificate: &Path, key: &Path) -> String {
    refusal_of(&[
        ("QIMATE_TLS__CERTIFICATE", certificate.to_str().unwrap()),
        ("QIMATE_TLS__PRIVATE_KEY", key.to_str().unwrap()),
    ])
    .await
}

/// What a daemon says that does not start with these variables.
async fn refusal_of(tls: &[(&str, &str)]) -> String {
    let dir = tempfile::tempdir().unwrap();
    let pairs = [
        ("QIMATE_SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("QIMATE_SERVER__OPERATIONS_LISTEN", String::new()),
        ("QIMATE_WECOM__CORP_ID", "ww1436e0e65a779aee".to_owned()),
        ("QIMATE_WECOM__AGENT_ID", "1000002".to_owned()),
        ("QIMATE_WECOM__SECRET", "secretsecretsecret".to_owned()),
        ("QIMATE_WECOM__CALLBACK_TOKEN", "Token".to_owned()),
        ("QIMATE_WECOM__ENCODING_AES_KEY", "6qkdMrq68nTKduznJYO1A37W2oEgpkMUvkttRToqhUt".to_owned()),
        ("QIMATE_LLM__BASE_URL", "http://127.0.0.1:9/v1".to_owned()),
        ("QIMATE_STORAGE__DATA_DIR", dir.path().display().to_string()),
    ];
    let tls = tls.iter().map(|(name, value)| (*name, (*value).to_owned()));
    let pairs = pairs.into_iter().chain(tls).map(|(name, value)| (name.to_owned(), value));
    let config = Config::load(None, &Environment::from_pairs(pairs)).expect("configuration").config;
    let clock = Clock::Manual(ManualClock::new(Timestamp::from_secs(1_790_000_000)));
    let error = server::build(config, clock).await.err().expect("it must not start");
    format!("{error:#}")
}

#[tokio::test]
async fn a_broken_file_at_start_is_named_with_what_is_wrong() {
    let authority = Authority::new();
    let (right, other) = (authority.issue(2030), authority.issue(2030));
    let (certificate, key) = &right;
    let cases = [
        ("not PEM", key.as_str(), "tls.certificate", "fullchain.pem holds no certificate"),
        (certificate, "not PEM", "tls.private_key", "privkey.pem holds no private key"),
        (certificate, &other.1, "tls.private_key", "privkey.pem does not fit the certificate"),
        (certificate, &key[..key.len() / 2], "tls.private_key", "privkey.pem is damaged or not complete"),
    ];
    for (certificate, key, setting, telling) in cases {
        let files = Files::with(&(certificate.to_owned(), key.to_owned()));
        let said = refusal(&files.certificate(), &files.key()).await;
        assert!(said.contains(setting) && said.contains(telling), "{said}");
    }
    let files = Files::with(&right);
    let missing = files.dir.path().join("missing.pem");
    let said = refusal(&missing, &files.key()).await;
    assert!(
        said.contains("tls.certificate") && said.contains("missing.pem") && said.contains("No such file"),
        "{said}"
    );
}

#[cfg(not(feature = "acme"))]
#[tokio::test]
async fn without_acme_in_the_build_its_settings_are_refused() {
    let said = refusal_of(&[("QIMATE_TLS__ACME_DOMAINS", DOMAIN)]).await;
    assert!(said.contains("tls.acme_domains") && said.contains("built without ACME"), "{said}");
}

#[tokio::test]
async fn plain_http_on_the_tls_port_is_closed() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let app = App::start_with(|config| files.configure(config)).await;
    let mut stream = TcpStream::connect(app.address()).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // Closed, or reset because of what was not read.
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert!(!answer.windows(4).any(|window| window == b"HTTP"), "{answer:?}");
    assert_eq!(healthz(&authority.client(app.address())).await.unwrap(), 200);
}

#[tokio::test]
async fn clients_that_never_finish_the_handshake_hold_nobody_up_and_are_closed() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let mut app = App::start_with(|config| files.configure(config)).await;
    let mut stuck = Vec::new();
    for n in 0..64 {
        let mut stream = TcpStream::connect(app.address()).await.unwrap();
        if n % 2 == 0 {
            // The beginning of a hello that announces 512 bytes.
            stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0]).await.unwrap();
        }
        stuck.push(stream);
    }
    assert_eq!(healthz(&authority.client(app.address())).await.unwrap(), 200);
    within(app.clock.sleeper_within(Duration::from_secs(10)..=Duration::from_secs(10))).await;
    app.clock.advance(Duration::from_secs(10));
    for stream in &mut stuck {
        let _ = within(stream.read_to_end(&mut Vec::new())).await;
    }
    // One more when the daemon stops: it does not wait for it.
    let mut late = TcpStream::connect(app.address()).await.unwrap();
    within(app.clock.sleeper_within(Duration::from_secs(10)..=Duration::from_secs(10))).await;
    app.stop().await;
    let _ = within(late.read_to_end(&mut Vec::new())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_healthcheck_asks_over_tls() {
    let files = Files::with(&Authority::new().issue(2025));
    let (certificate, key) = (files.certificate(), files.key());
    let mut company = Company::open(&[
        ("QIMATE_TLS__CERTIFICATE", certificate.to_str().unwrap()),
        ("QIMATE_TLS__PRIVATE_KEY", key.to_str().unwrap()),
    ])
    .await;
    assert!(!company.run(&["healthcheck"]).await.status.success(), "nobody is there");
    company.start().await;
    let output = company.run(&["healthcheck"]).await;
    assert!(output.status.success(), "{output:?}");
    assert_eq!(output.stdout, b"ready\n");
    assert!(company.terminate().await.success());
}

#[tokio::test]
async fn programs_are_answered_over_https() {
    let authority = Authority::new();
    let files = Files::with(&authority.issue(2030));
    let scene = Scene::open_with(|config| files.configure(config)).await;
    scene.app.model.set_script(|_| ModelReply::Answer("hello".to_owned()));
    let client = authority.client(scene.app.address());
    for stream in [false, true] {
        let mut body = question("喂");
        body["stream"] = stream.into();
        let url = format!("https://{DOMAIN}/v1/chat/completions");
        let response = within(client.post(url).bearer_auth(&scene.key).json(&body).send()).await.unwrap();
        assert_eq!(response.status(), 200);
        let text = within(response.text()).await.unwrap();
        assert!(text.contains("hello"), "{text}");
        assert_eq!(text.ends_with("data: [DONE]\n\n"), stream);
    }
    let plain = format!("http://{}/v1/models", scene.app.address());
    let answer = within(reqwest::Client::new().get(plain).bearer_auth(&scene.key).send()).await;
    assert!(answer.is_err(), "a key is not taken in clear");
}
