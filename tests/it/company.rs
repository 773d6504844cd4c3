//! A company in a test whose daemon is the real binary, as a child process.

use std::{
    collections::BTreeMap,
    process::{ExitStatus, Output, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use qimate::{
    clock::Clock,
    sandbox::{
        emulator::{Emulator, callback::Receipt},
        model::DemoModel,
    },
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use crate::harness::{self, free_port, within_seconds};

/// A company whose daemon is a process of its own, on the machine's clock.
pub struct Company {
    pub wecom: Emulator,
    pub model: DemoModel,
    pub dir: TempDir,
    port: u16,
    more: Vec<(String, String)>,
    pub daemon: Option<Child>,
    /// What all of its processes have said.
    log: Arc<Mutex<String>>,
}

impl Company {
    pub async fn open(more: &[(&str, &str)]) -> Self {
        let (wecom, model) = harness::cloud(&Clock::System).await;
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        wecom.set_callback_url(format!("http://127.0.0.1:{port}/wxcomapp"));
        let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { wecom, model, dir, port, more, daemon: None, log: Arc::default() }
    }

    /// Adds a variable to what the next start, and every command, is given.
    pub fn set(&mut self, name: &str, value: &str) {
        self.more.push((name.to_owned(), value.to_owned()));
    }

    /// The port of the daemon's main address.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The environment of the daemon and of every command.
    pub fn variables(&self) -> BTreeMap<String, String> {
        let mut variables = harness::variables(&self.wecom, &self.model, self.dir.path(), &[]);
        variables.insert("QIMATE_SERVER__LISTEN".to_owned(), format!("127.0.0.1:{}", self.port));
        variables.extend(self.more.iter().cloned());
        variables
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qimate"));
        command.args(arguments).env_clear().envs(self.variables()).current_dir(self.dir.path()).kill_on_drop(true);
        command
    }

    /// Starts the daemon and waits until it is ready.
    pub async fn start(&mut self) {
        self.start_by(self.command(&["serve"])).await;
    }

    /// The same with a configuration file of the directory, and of the environment only where things are here.
    pub async fn start_with_file(&mut self, name: &str) {
        let mut command = self.command(&["serve", "--config", name]);
        command.env_clear().env("QIMATE_SERVER__LISTEN", format!("127.0.0.1:{}", self.port));
        command.env("QIMATE_SERVER__OPERATIONS_LISTEN", "127.0.0.1:0");
        // Its question would be among those that a story counts.
        command.env("QIMATE_SERVER__CHECK_AT_START", "false").env("QIMATE_TEAM__SYNC_HOURS", "0");
        command.env("QIMATE_WECOM__API_BASE", self.wecom.api_base());
        self.start_by(command).await;
    }

    /// Starts the daemon by this command and waits until it is ready.
    pub async fn start_by(&mut self, mut command: Command) {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        within_seconds(30, async {
            loop {
                let line = log.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended: {seen:#?}"));
                if line.contains("listening") {
                    return;
                }
                seen.push(line);
            }
        })
        .await;
        let said = Arc::clone(&self.log);
        said.lock().unwrap().push_str(&seen.join("\n"));
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                let mut said = said.lock().unwrap();
                said.push('\n');
                said.push_str(&line);
            }
        });
        self.daemon = Some(child);
    }

    /// Whether one of its processes has said this.
    pub fn has_logged(&self, words: &str) -> bool {
        self.log.lock().unwrap().contains(words)
    }

    /// The process that runs.
    pub fn pid(&self) -> u32 {
        self.daemon.as_ref().expect("it runs").id().unwrap()
    }

    /// SIGKILL: the process gets no chance to do anything.
    pub async fn kill(&mut self) {
        self.daemon.take().expect("it runs").kill().await.unwrap();
    }

    /// SIGTERM, and waits for the end.
    pub async fn terminate(&mut self) -> ExitStatus {
        let mut child = self.daemon.take().expect("it runs");
        let pid = child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        within_seconds(40, child.wait()).await.unwrap()
    }

    /// Waits for the end that somebody else brought about.
    pub async fn ended(&mut self) -> ExitStatus {
        within_seconds(40, self.daemon.take().expect("it runs").wait()).await.unwrap()
    }

    /// A command beside the daemon, in English unless the company's variables say otherwise.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        if !self.variables().iter().any(|(name, _)| name == "QIMATE_CHAT__LANGUAGE") {
            command.env("QIMATE_CHAT__LANGUAGE", "en");
        }
        within_seconds(30, command.output()).await.unwrap()
    }

    /// A command and its words: whether it went well, and all that it said.
    pub async fn tell(&self, line: &str) -> (bool, String) {
        let output = self.run(&line.split(' ').collect::<Vec<_>>()).await;
        (output.status.success(), said(&output))
    }

    /// What a command that must go well answers with `--json`.
    pub async fn json(&self, line: &str) -> serde_json::Value {
        let output = self.run(&line.split(' ').chain(["--json"]).collect::<Vec<_>>()).await;
        assert!(output.status.success(), "{line}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// The same with other variables.
    pub async fn run_with(&self, arguments: &[&str], more: &[(&str, &str)]) -> Output {
        let mut command = self.command(arguments);
        within_seconds(30, command.envs(more.iter().copied()).output()).await.unwrap()
    }

    /// The same where nobody reads what it prints.
    pub async fn run_unread(&self, arguments: &[&str]) -> Output {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = self.command(arguments);
        let child = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn().unwrap();
        within_seconds(30, child.wait_with_output()).await.unwrap()
    }

    /// Fills a database of at most 16 MiB with events of an unknown kind, which are kept whole and need no answer. Gives
    /// what became of the last, which had no place.
    pub async fn fill(&self) -> Receipt {
        let mut taken = 0;
        for bytes in [600_000, 30_000, 500] {
            while self.filler(taken, bytes).await.accepted() {
                taken += 1;
                assert!(taken < 200, "a file of 16 MiB took more than it can hold");
            }
        }
        self.filler(taken, 500).await
    }

    async fn filler(&self, n: usize, bytes: usize) -> Receipt {
        let event = format!(
            "<xml><ToUserName>ww1436e0e65a779aee</ToUserName><FromUserName>zhangsan</FromUserName>\
             <CreateTime>1790000000</CreateTime><MsgType>filler</MsgType><MsgId>{n}</MsgId>\
             <AgentID>1000002</AgentID><Pad>{}</Pad></xml>",
            "x".repeat(bytes)
        );
        self.wecom.raw("zhangsan", &event).await
    }

    pub async fn ready(&self) -> (u16, String) {
        let answer = reqwest::get(format!("http://127.0.0.1:{}/readyz", self.port)).await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    }

    pub fn database(&self) -> Connection {
        let conn = Connection::open(self.dir.path().join("qimate.db")).unwrap();
        conn.busy_timeout(Duration::from_secs(20)).unwrap();
        conn
    }

    /// Waits until `sql` gives `wanted`.
    pub async fn until(&self, sql: &str, wanted: i64) {
        let conn = self.database();
        within_seconds(60, async {
            while conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() != wanted {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}

/// All that a command said.
pub fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
