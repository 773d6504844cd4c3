//! Certificates that are fetched by themselves, from Let's Encrypt's test server (pebble) as a process of its own.

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use qimate::config::{Config, tls};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use reqwest::{Certificate, Client};
use tokio::{
    net::UdpSocket,
    process::{Child, Command},
};

use crate::harness::{App, Logs, free_port, within};

const DOMAIN: &str = "bot.example.com";

/// A name server that knows some names, all of them on this machine.
struct Names {
    address: SocketAddr,
    known: Arc<Mutex<BTreeSet<String>>>,
}

impl Names {
    async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let known = Arc::new(Mutex::new(BTreeSet::new()));
        let names = Arc::clone(&known);
        tokio::spawn(async move {
            let mut query = [0; 1500];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let answer = Self::answer(&query[..length], &names.lock().unwrap());
                socket.send_to(&answer, from).await.unwrap();
            }
        });
        Self { address, known }
    }

    fn learn(&self, name: &str) {
        self.known.lock().unwrap().insert(name.to_owned());
    }

    /// An answer with one address to a question for it (type A); none to all others.
    fn answer(query: &[u8], known: &BTreeSet<String>) -> Vec<u8> {
        let (mut labels, mut at) = (Vec::new(), 12);
        while query[at] != 0 {
            let end = at + 1 + usize::from(query[at]);
            labels.push(String::from_utf8_lossy(&query[at + 1..end]).to_lowercase());
            at = end;
        }
        let question = &query[12..at + 5];
        let is_known = known.contains(&labels.join("."));
        let has_address = is_known && query[at + 1..at + 3] == [0, 1];
        let mut answer = query[..2].to_vec();
        answer.extend([0x81, if is_known { 0x80 } else { 0x83 }, 0, 1, 0, u8::from(has_address), 0, 0, 0, 0]);
        answer.extend(question);
        if has_address {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
            answer.extend(Ipv4Addr::LOCALHOST.octets());
        }
        answer
    }
}

/// The certificate authority.
struct Pebble {
    dir: tempfile::TempDir,
    names: Names,
    acme: u16,
    management: u16,
    /// Where it asks who answers for a domain: our main address.
    checks: u16,
    /// Trusts its API.
    client: Client,
    process: Option<Child>,
}

impl Pebble {
    /// `None`, said aloud, where pebble is not installed.
    async fn start() -> Option<Self> {
        if std::process::Command::new("pebble").arg("-version").output().is_err() {
            assert!(std::env::var_os("QIMATE_TEST_ALL").is_none(), "pebble is not installed (apt-get install pebble)");
            let note = b"skipped: fetching certificates needs pebble (apt-get install pebble)\n";
            std::io::Write::write_all(&mut std::io::stderr(), note).unwrap();
            return None;
        }
        qimate::net::install_crypto();
        let dir = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let key = KeyPair::generate().unwrap();
        let own = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        for (name, pem) in [("root.pem", authority.pem()), ("own.pem", own.pem()), ("own-key.pem", key.serialize_pem())]
        {
            std::fs::write(dir.path().join(name), pem).unwrap();
        }
        let root = Certificate::from_pem(authority.pem().as_bytes()).unwrap();
        let client = Client::builder().tls_certs_only([root]).build().unwrap();
        let [acme, management, checks] = [free_port(), free_port(), free_port()];
        let names = Names::start().await;
        let mut pebble = Self { dir, names, acme, management, checks, client, process: None };
        pebble.launch().await;
        Some(pebble)
    }

    /// Starts the process, which knows nothing of the one before.
    async fn launch(&mut self) {
        let config = serde_json::json!({"pebble": {
            "listenAddress": format!("127.0.0.1:{}", self.acme),
            "managementListenAddress": format!("127.0.0.1:{}", self.management),
            "certificate": self.dir.path().join("own.pem"),
            "privateKey": self.dir.path().join("own-key.pem"),
            "httpPort": 1,
            "tlsPort": self.checks,
        }});
        let file = self.dir.path().join("pebble.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let mut command = Command::new("pebble");
        command.arg("-strict").arg("-dnsserver").arg(self.names.address.to_string()).arg("-config").arg(file);
        command.env("PEBBLE_VA_NOSLEEP", "1").stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        self.process = Some(command.spawn().unwrap());
        within(async {
            for url in [self.directory(), self.root_url()] {
                while self.client.get(&url).send().await.is_err() {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
            }
        })
        .await;
    }

    async fn kill(&mut self) {
        self.process.take().unwrap().kill().await.unwrap();
    }

    fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.acme)
    }

    fn root_url(&self) -> String {
        format!("https://127.0.0.1:{}/roots/0", self.management)
    }

    fn configure(&self, config: &mut Config) {
        config.server.listen = SocketAddr::from((Ipv4Addr::LOCALHOST, self.checks));
        config.tls = tls::Tls::Acme(tls::Acme {
            domains: vec![DOMAIN.to_owned(), "www.example.com".to_owned()],
            email: Some("it@example.com".to_owned()),
            directory: self.directory(),
            root: Some(self.dir.path().join("root.pem")),
        });
    }

    /// A browser that trusts what this authority signs, and new connections only.
    async fn browser(&self) -> Client {
        let root = within(self.client.get(self.root_url()).send()).await.unwrap().bytes().await.unwrap();
        let ours = SocketAddr::from((Ipv4Addr::LOCALHOST, self.checks));
        let browser =
            Client::builder().tls_certs_only([Certificate::from_pem(&root).unwrap()]).pool_max_idle_per_host(0);
        browser.resolve(DOMAIN, ours).resolve("www.example.com", ours).build().unwrap()
    }
}

/// One request to each domain; how many were answered.
async fn answered(browser: &Client) -> usize {
    let mut answered = 0;
    for domain in [DOMAIN, "www.example.com"] {
        let answer = within(browser.get(format!("https://{domain}/healthz")).send()).await;
        answered += usize::from(answer.is_ok_and(|answer| answer.status() == 200));
    }
    answered
}

/// Waits until `count` lines of the log hold all of `words`.
async fn logged(logs: &Logs, words: &[&str], count: usize) {
    within(async {
        while logs.with(words).len() < count {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

const FETCHED: [&str; 3] = ["INFO", "got a certificate", DOMAIN];

#[tokio::test]
async fn a_certificate_is_fetched_served_kept_and_renewed() {
    let Some(mut pebble) = Pebble::start().await else { return };
    pebble.names.learn(DOMAIN);
    pebble.names.learn("www.example.com");
    let logs = Logs::capture();
    let mut app = App::start_with(|config| pebble.configure(config)).await;
    logged(&logs, &FETCHED, 1).await;
    let browser = pebble.browser().await;
    assert_eq!(answered(&browser).await, 2, "both domains");

    let dir = app.dir.path().join("acme");
    for name in ["account.json", "certificate.json"] {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(dir.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 2, "nothing else is left there");

    // The authority is gone: whoever asked it for anything would fail.
    app.stop().await;
    pebble.kill().await;
    app.launch().await;
    let six_hours = Duration::from_secs(6 * 3600);
    within(app.clock.sleeper_within(six_hours..=six_hours)).await;
    assert_eq!(answered(&browser).await, 2, "what was kept is served");
    assert_eq!(logs.with(&["serving the certificate that was kept", DOMAIN]).len(), 1);
    assert_eq!(logs.with(&FETCHED).len(), 1, "no new order");
    assert!(logs.with(&["ERROR qimate"]).is_empty() && logs.with(&["was not renewed"]).is_empty());

    // An authority that has forgotten us; and most of the certificate's five years are over.
    pebble.launch().await;
    app.clock.advance(Duration::from_secs(4 * 365 * 24 * 3600));
    logged(&logs, &FETCHED, 2).await;
    assert_eq!(answered(&pebble.browser().await).await, 2, "the new one is served");
    // It is due as it comes, by this clock: even so, nobody is asked without end.
    let pause = Duration::from_secs(45 * 60);
    within(app.clock.sleeper_within(pause..=pause)).await;
    assert_eq!(logs.with(&FETCHED).len(), 2);
    app.stop().await;
    for secret in ["PRIVATE KEY", "key_pkcs8"] {
        assert!(logs.with(&[secret]).is_empty(), "a key is in the log");
    }
}

#[tokio::test]
async fn a_domain_that_leads_nowhere_is_told_once_with_what_helps_and_tried_again() {
    let Some(pebble) = Pebble::start().await else { return };
    pebble.names.learn(DOMAIN);
    let logs = Logs::capture();
    let mut app = App::start_with(|config| pebble.configure(config)).await;
    let told = ["ERROR", "no certificate for", "www.example.com", "A or AAAA record", "next attempt in 2 min"];
    logged(&logs, &told, 1).await;

    // Meanwhile it runs: asked by address it is well, asked by its domain there is nothing to show.
    assert_eq!(answered(&pebble.browser().await).await, 0);
    let by_address = Client::builder().tls_danger_accept_invalid_certs(true).build().unwrap();
    let answer = within(by_address.get(format!("https://{}/readyz", app.address())).send()).await.unwrap();
    assert_eq!(answer.status(), 200);

    for (pause, again) in [(120, 1), (240, 2)] {
        app.advance_to_sleeper(f64::from(pause)..=f64::from(pause)).await;
        logged(&logs, &["DEBUG", "again no certificate"], again).await;
    }
    assert_eq!(logs.with(&["no certificate for"]).len(), 1, "told once");

    pebble.names.learn("www.example.com");
    app.advance_to_sleeper(480.0..=480.0).await;
    logged(&logs, &FETCHED, 1).await;
    assert_eq!(answered(&pebble.browser().await).await, 2);
    app.stop().await;
}

#[tokio::test]
async fn an_authority_out_of_reach_is_told_and_a_broken_root_is_refused() {
    let logs = Logs::capture();
    let nowhere = tls::Acme {
        domains: vec![DOMAIN.to_owned()],
        email: None,
        directory: format!("https://127.0.0.1:{}/dir", free_port()),
        root: None,
    };
    let mut app = App::start_with(|config| config.tls = tls::Tls::Acme(nowhere.clone())).await;
    logged(&logs, &["ERROR", "no certificate for bot.example.com", "tls.acme_directory", "refused"], 1).await;
    app.stop().await;

    let root = app.dir.path().join("root.pem");
    std::fs::write(&root, "not PEM").unwrap();
    let mut config = crate::harness::configuration(&app.wecom, &app.model, app.dir.path(), &[]);
    config.tls = tls::Tls::Acme(tls::Acme { root: Some(root), ..nowhere });
    let error = qimate::server::build(config, qimate::clock::Clock::Manual(app.clock.clone())).await.err().unwrap();
    let said = format!("{error:#}");
    assert!(said.contains("tls.acme_root") && said.contains("root.pem: holds no certificate"), "{said}");
}
