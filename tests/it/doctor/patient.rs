//! A company whose set-up is examined: everything around it is well until a test seeds one fault.

use std::{
    collections::BTreeMap, fmt::Write as _, fs, net::SocketAddr, path::PathBuf, process::Output, time::Duration,
};

use qimate::{
    clock::Clock,
    config::{Config, Environment},
    sandbox::{emulator::Emulator, model::DemoModel},
    server::{self, Stop},
    store::{Store, sightings::Sightings},
};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::Command;

use crate::harness::{self, within_seconds};

/// Set it to write the golden files anew instead of comparing.
const UPDATE: &str = "QIMATE_UPDATE_FIXTURES";

pub struct Patient {
    pub wecom: Emulator,
    pub model: DemoModel,
    pub dir: TempDir,
    /// What the doctor is told; a fault is seeded by changing it.
    pub variables: BTreeMap<String, String>,
    pub daemon: SocketAddr,
    stop: Stop,
}

impl Patient {
    /// In good health, with a running daemon that WeCom has called.
    pub async fn healthy() -> Self {
        Self::with_daemon(|_| {}).await
    }

    /// The same, with a daemon of another configuration than the doctor's.
    pub async fn with_daemon(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Self {
        let patient = Self::never_called(change).await;
        let now = Clock::System.now();
        let (verified, accepted) = (now - Duration::from_secs(7200), now - Duration::from_secs(300));
        patient
            .remember(|sightings| {
                sightings.verified(verified);
                sightings.accepted(accepted);
            })
            .await;
        patient
    }

    /// The same; WeCom has not called yet.
    pub async fn never_called(change: impl FnOnce(&mut BTreeMap<String, String>)) -> Self {
        let (wecom, model) = harness::cloud(&Clock::System).await;
        let dir = tempfile::tempdir().unwrap();
        let mut variables = harness::variables(&wecom, &model, dir.path(), &[]);
        // Wherever the tests run: a volume holds the data.
        variables.insert("RAILWAY_ENVIRONMENT".to_owned(), "production".to_owned());
        variables.insert("RAILWAY_VOLUME_MOUNT_PATH".to_owned(), dir.path().display().to_string());
        variables.insert("QIMATE_LLM__API_KEY".to_owned(), "sk-0123456789".to_owned());

        // Nothing here asks what a power cut leaves.
        variables.insert("QIMATE_STORAGE__SYNCHRONOUS".to_owned(), "normal".to_owned());

        let mut daemons = variables.clone();
        change(&mut daemons);
        let config = Config::load(None, &Environment::from_pairs(daemons)).unwrap().config;
        let server = server::build(config, Clock::System).await.unwrap();
        let daemon = server.local_addr().unwrap();
        let stop = Stop::new();
        tokio::spawn(server.run(stop.clone()));
        variables.insert("QIMATE_SERVER__LISTEN".to_owned(), daemon.to_string());
        variables.insert("QIMATE_SERVER__PUBLIC_URL".to_owned(), format!("http://{daemon}"));
        Self { wecom, model, dir, variables, daemon, stop }
    }

    pub fn set(&mut self, variable: &str, value: impl Into<String>) {
        self.variables.insert(format!("QIMATE_{variable}"), value.into());
    }

    /// Puts into the store what a daemon saw of callbacks.
    pub async fn remember(&self, with: impl FnOnce(&Sightings)) {
        let sightings = Sightings::default();
        with(&sightings);
        let config = Config::load(None, &Environment::from_pairs(self.variables.clone())).unwrap().config;
        sightings.save(&Store::open_beside(&config.storage).unwrap()).await.unwrap();
    }

    /// Runs the real binary.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qimate"));
        command.arg("doctor").args(arguments).env_clear().envs(&self.variables).current_dir(self.dir.path());
        within_seconds(60, command.kill_on_drop(true).output()).await.unwrap()
    }

    /// All findings, as the binary prints them.
    pub async fn findings(&self) -> Vec<Value> {
        let output = self.run(&["--json", "--send-to", "zhangsan"]).await;
        let findings: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let broken = findings.iter().any(|finding| finding["status"] == "problem");
        assert_eq!(output.status.code(), Some(i32::from(broken)), "{findings:#?}");
        findings
    }
}

impl Drop for Patient {
    fn drop(&mut self) {
        self.stop.request();
        self.stop.request();
    }
}

/// What the doctor said about each of several seeded faults, to be compared with a file.
pub struct Golden {
    name: &'static str,
    text: String,
}

impl Golden {
    pub fn new(name: &'static str) -> Self {
        Self { name, text: String::new() }
    }

    /// Asserts that `cause` is the one thing that is named, and by the check `id`.
    pub fn take(&mut self, patient: &Patient, findings: &[Value], id: &str, cause: &str) {
        let named: Vec<_> = findings.iter().filter(|finding| finding["code"].is_string()).collect();
        let codes: Vec<_> =
            named.iter().map(|finding| (finding["id"].as_str().unwrap(), finding["code"].as_str().unwrap())).collect();
        assert_eq!(codes, [(id, cause)], "{named:#?}");
        let text = |field: &str| named[0][field].as_str().unwrap().to_owned();
        let mark = if named[0]["status"] == "advice" { "!" } else { "✗" };
        let _ = writeln!(self.text, "[{cause}]\n{mark} {}", text("found"));
        for (name, field) in [("原因", "cause"), ("办法", "remedy"), ("位置", "where")] {
            if !text(field).is_empty() {
                let _ = writeln!(self.text, "  {name} {}", text(field));
            }
        }
        // What could not be checked because of it.
        let label = |finding: &Value| finding["id"].as_str().unwrap().to_owned();
        let skipped: Vec<_> = findings.iter().filter(|finding| finding["status"] == "skipped").map(label).collect();
        if !skipped.is_empty() {
            let _ = writeln!(self.text, "– {}", skipped.join(" "));
        }
        self.text.push('\n');
        self.text = self.text.replace(&patient.dir.path().display().to_string(), "DIR");
    }

    /// Seeds one fault in a healthy company and examines it.
    pub async fn seeded(&mut self, id: &str, cause: &str, seed: impl AsyncFnOnce(&mut Patient)) {
        let mut patient = Patient::healthy().await;
        seed(&mut patient).await;
        let findings = patient.findings().await;
        self.take(&patient, &findings, id, cause);
    }

    /// Compares with `tests/fixtures/doctor/NAME.txt`, whose ports are all the same.
    pub fn compare(self) {
        let text = without_ports(&self.text);
        let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/doctor/{}.txt", self.name));
        if std::env::var_os(UPDATE).is_some() {
            fs::write(&path, &text).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert!(text == golden, "{} differs; with {UPDATE}=1 it is written anew. Now:\n{text}", path.display());
    }
}

fn without_ports(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) =
        ["127.0.0.1:", "localhost:"].iter().filter_map(|host| Some(rest.find(host)? + host.len())).min()
    {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        out.push_str("PORT");
    }
    out + rest
}

impl Patient {
    /// Puts a message into the store that WeCom took once.
    pub fn sent_once(&self) {
        let conn = rusqlite::Connection::open(self.dir.path().join("qimate.db")).unwrap();
        conn.execute(
            "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at, ended_at)
             VALUES (?1, 1, 0, 'c', 1, 'm', 'text', 't', 'sent', 1, 1)",
            [format!("{}/{}/m", self.variables["QIMATE_WECOM__CORP_ID"], self.variables["QIMATE_WECOM__AGENT_ID"])],
        )
        .unwrap();
    }
}
