//! The real binary as a person runs it: with lines to read, and with everything kept that it says.

use std::{
    path::Path,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::watch,
};

use crate::harness::within_seconds;

/// A program whose every output is kept.
pub struct Program {
    child: Child,
    said: Arc<Mutex<String>>,
    lines: watch::Sender<()>,
}

impl Program {
    /// Starts `words` in `dir`, without any environment but what a program needs to run, and with these lines to read.
    pub async fn start(words: &[&str], dir: &Path, variables: &[(&str, &str)], answers: &str) -> Self {
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(dir).env_clear().envs(variables.iter().copied()).kill_on_drop(true);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(answers.as_bytes()).await.unwrap();
        let (said, lines) = (Arc::default(), watch::Sender::new(()));
        let streams: [Box<dyn AsyncRead + Send + Unpin>; 2] =
            [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for stream in streams {
            let (said, lines): (Arc<Mutex<String>>, _) = (Arc::clone(&said), lines.clone());
            tokio::spawn(async move {
                let mut read = BufReader::new(stream).lines();
                while let Ok(Some(line)) = read.next_line().await {
                    said.lock().unwrap().push_str(&format!("{line}\n"));
                    lines.send_replace(());
                }
            });
        }
        Self { child, said, lines }
    }

    pub async fn init(arguments: &[&str], dir: &Path, answers: &str) -> Self {
        let words: Vec<&str> = [env!("CARGO_BIN_EXE_qimate"), "init"].iter().chain(arguments).copied().collect();
        Self::start(&words, dir, &[], answers).await
    }

    pub fn said(&self) -> String {
        self.said.lock().unwrap().clone()
    }

    /// Waits until it has said all of `words` in one line, and gives the line.
    pub async fn says(&self, words: &[&str]) -> String {
        let mut lines = self.lines.subscribe();
        let found = async {
            loop {
                lines.mark_unchanged();
                let line =
                    self.said().lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned);
                if let Some(line) = line {
                    return line;
                }
                let _ = lines.changed().await;
            }
        };
        match tokio::time::timeout(Duration::from_secs(40), found).await {
            Ok(line) => line,
            Err(_) => panic!("never said {words:?}: {}", self.said()),
        }
    }

    pub async fn ends(&mut self) -> ExitStatus {
        let status = within_seconds(40, self.child.wait()).await.unwrap();
        // What it said last may still be on its way: the streams end when the process has.
        within_seconds(10, async {
            while self.lines.sender_count() > 1 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        status
    }

    pub fn signal(&self, signal: &str) {
        let pid = self.child.id().unwrap().to_string();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }
}

/// What stands after `name` in what was said.
pub fn value_of(said: &str, name: &str) -> String {
    let mut found = said.lines().filter_map(|line| line.trim().strip_prefix(name)).map(str::trim);
    found.next().unwrap_or_else(|| panic!("no {name}: {said}")).to_owned()
}
