//! The real daemon as a child process, which can be killed as a power cut kills and started again on the same data.
//!
//! Knows the daemon as an administrator does: its command, its environment variables, `/readyz` and what it logs.

use std::{
    collections::VecDeque,
    ffi::OsString,
    net::SocketAddr,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::Client;
use serde::Serialize;
use tokio::{
    io::{AsyncBufReadExt, AsyncRead, BufReader},
    net::TcpListener,
    process::{Child, Command},
    sync::{oneshot, watch},
};

use super::{
    Error,
    journal::{Entry, Journal, Kind},
};
use crate::{clock::Clock, net};

/// How long the daemon may take until it is ready.
const READY_LIMIT: Duration = Duration::from_secs(30);
/// How long to wait between two looks at `/readyz`.
const READY_PAUSE: Duration = Duration::from_millis(25);
/// How many of its last lines are kept for the case that it does not start.
const LAST_LINES: usize = 8;
/// How much of a line the title of a step shows, in characters.
const TITLE_LENGTH: usize = 140;

/// How the daemon is run.
#[derive(Clone, Debug)]
pub struct DaemonSettings {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// All of its environment; nothing is inherited.
    pub environment: Vec<(OsString, OsString)>,
    /// The directory it runs in.
    pub directory: PathBuf,
    /// Where it will listen.
    pub listen: SocketAddr,
}

/// How the process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum DaemonState {
    /// It was started and is not ready yet.
    Starting {
        /// The process id.
        pid: u32,
    },
    /// It is ready.
    Running {
        /// The process id.
        pid: u32,
    },
    /// There is no process.
    Stopped,
}

/// The process and its history.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct DaemonStatus {
    /// How it stands.
    #[serde(flatten)]
    pub state: DaemonState,
    /// How often it was started.
    pub starts: u32,
}

/// The daemon's process. Clones are the same process; it is killed at the latest when the runtime ends.
#[derive(Clone, Debug)]
pub struct Daemon(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: DaemonSettings,
    clock: Clock,
    journal: Journal,
    http: Client,
    status: watch::Sender<DaemonStatus>,
    last_lines: Mutex<VecDeque<String>>,
    kill: Mutex<Option<oneshot::Sender<()>>>,
    /// Held while the process is started or killed, so that two people pressing the button make one daemon.
    changing: tokio::sync::Mutex<()>,
}

impl Daemon {
    /// Prepares it; nothing runs yet.
    ///
    /// # Errors
    /// [`Error::Client`] when the HTTP client for `/readyz` cannot be built.
    pub fn new(settings: DaemonSettings, clock: Clock, journal: Journal) -> Result<Self, Error> {
        net::install_crypto();
        let http = net::http_client(None, Duration::from_secs(1)).map_err(Error::Client)?;
        let status = watch::Sender::new(DaemonStatus { state: DaemonState::Stopped, starts: 0 });
        let (last_lines, kill, changing) = (Mutex::default(), Mutex::default(), tokio::sync::Mutex::default());
        Ok(Self(Arc::new(Inner { settings, clock, journal, http, status, last_lines, kill, changing })))
    }

    /// Starts it if it does not run, and waits until it is ready. Gives how long that took.
    ///
    /// # Errors
    /// [`Error::Daemon`], with its last lines, when it cannot be run, ends, or is not ready within 30 seconds.
    pub async fn start(&self) -> Result<Duration, Error> {
        let _changing = self.0.changing.lock().await;
        if self.status().state != DaemonState::Stopped {
            return Ok(Duration::ZERO);
        }
        let started = self.0.clock.now();
        self.spawn()?;
        let ready = self.0.clock.timeout(READY_LIMIT, self.ready()).await.unwrap_or(false);
        let took = self.0.clock.now().since(started);
        if !ready {
            self.kill_and_wait().await;
            let lines: Vec<_> = lock(&self.0.last_lines).iter().cloned().collect();
            return Err(Error::Daemon(if lines.is_empty() { "it said nothing".to_owned() } else { lines.join("\n") }));
        }
        self.0.journal.record(Entry::new(Kind::Daemon, "企伴就绪", "Qimate is ready").took(took));
        Ok(took)
    }

    /// Kills it without a warning (SIGKILL), and waits until it is gone.
    pub async fn kill9(&self) {
        let _changing = self.0.changing.lock().await;
        self.kill_and_wait().await;
    }

    /// Kills it, if it runs, and starts it again.
    ///
    /// # Errors
    /// As [`Daemon::start`].
    pub async fn restart(&self) -> Result<Duration, Error> {
        self.kill9().await;
        self.start().await
    }

    /// How it stands.
    pub fn status(&self) -> DaemonStatus {
        *self.0.status.borrow()
    }

    /// Shows how it stands as that changes.
    pub fn subscribe(&self) -> watch::Receiver<DaemonStatus> {
        self.0.status.subscribe()
    }

    fn spawn(&self) -> Result<(), Error> {
        let DaemonSettings { program, arguments, environment, directory, .. } = &self.0.settings;
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| Error::Daemon(error.to_string()))?;
        let pid = child.id().unwrap_or_default();
        let (kill, killed) = oneshot::channel();
        *lock(&self.0.kill) = Some(kill);
        self.0.status.send_modify(|status| {
            status.state = DaemonState::Starting { pid };
            status.starts += 1;
        });
        self.0.journal.record(Entry::new(
            Kind::Daemon,
            format!("启动企伴进程 {pid}"),
            format!("started process {pid}"),
        ));
        if let Some(out) = child.stdout.take() {
            tokio::spawn(self.clone().forward(out));
        }
        if let Some(err) = child.stderr.take() {
            tokio::spawn(self.clone().forward(err));
        }
        tokio::spawn(self.clone().supervise(child, pid, killed));
        Ok(())
    }

    /// Waits until the process answers `/readyz` with 200; false when it ended before.
    async fn ready(&self) -> bool {
        let url = format!("http://{}/readyz", self.0.settings.listen);
        loop {
            let DaemonState::Starting { pid } = self.status().state else { return false };
            let answer = self.0.http.get(&url).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                // It may have ended between its answer and now.
                return self.0.status.send_if_modified(|status| {
                    let still_there = status.state == DaemonState::Starting { pid };
                    if still_there {
                        status.state = DaemonState::Running { pid };
                    }
                    still_there
                });
            }
            self.0.clock.sleep(READY_PAUSE).await;
        }
    }

    async fn kill_and_wait(&self) {
        let kill = lock(&self.0.kill).take();
        if let Some(kill) = kill {
            // Nobody listens any more when it has just ended by itself, which is as good.
            let _ = kill.send(());
        }
        let _ = self.0.status.subscribe().wait_for(|status| status.state == DaemonState::Stopped).await;
    }

    async fn supervise(self, mut child: Child, pid: u32, killed: oneshot::Receiver<()>) {
        let (by_us, ended) = tokio::select! {
            ended = child.wait() => (false, ended.ok()),
            _ = killed => {
                // Fails only when the process is gone already.
                let _ = child.start_kill();
                (true, child.wait().await.ok())
            }
        };
        let how = ended.map(|status: ExitStatus| status.to_string()).unwrap_or_default();
        let entry = if by_us {
            Entry::new(Kind::Daemon, format!("kill -9：进程 {pid} 没了"), format!("kill -9: process {pid} is gone"))
        } else {
            Entry::new(Kind::Daemon, format!("进程 {pid} 自己结束了"), format!("process {pid} ended by itself"))
        };
        self.0.journal.record(entry.detail(how).failed(true));
        self.0.status.send_modify(|status| status.state = DaemonState::Stopped);
    }

    async fn forward(self, stream: impl AsyncRead + Unpin) {
        let mut lines = BufReader::new(stream).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            let mut title: String = line.chars().take(TITLE_LENGTH).collect();
            let detail = if title.len() < line.len() {
                title.push('…');
                line.clone()
            } else {
                String::new()
            };
            // What an administrator would have to look at.
            let failed = [" ERROR ", " WARN "].iter().any(|level| line.contains(level));
            self.0.journal.record(Entry::new(Kind::Log, title.clone(), title).detail(detail).failed(failed));
            let mut last_lines = lock(&self.0.last_lines);
            last_lines.push_back(line);
            if last_lines.len() > LAST_LINES {
                last_lines.pop_front();
            }
        }
    }
}

/// A loopback address that is free now, and stays the daemon's over its restarts.
///
/// # Errors
/// [`Error::Listen`] when no port can be had.
pub async fn free_address() -> Result<SocketAddr, Error> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(Error::Listen)?;
    listener.local_addr().map_err(Error::Listen)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    async fn daemon(script: &str) -> Daemon {
        let settings = DaemonSettings {
            program: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("GREETING".into(), "hello from the child".into())],
            directory: std::env::temp_dir(),
            listen: free_address().await.expect("address"),
        };
        Daemon::new(settings, Clock::System, Journal::new(Clock::System)).expect("daemon")
    }

    #[tokio::test]
    async fn a_daemon_that_ends_at_once_is_reported_with_what_it_said() {
        let daemon = daemon("echo $GREETING; exit 2").await;
        let error = daemon.start().await.expect_err("never ready").to_string();
        assert!(error.contains("did not start"), "{error}");
        // Its lines may arrive after its end.
        let mut last = daemon.0.journal.subscribe();
        while !daemon.0.journal.after(0).iter().any(|step| step.title_en == "hello from the child") {
            last.changed().await.expect("journal");
        }
        assert_eq!(daemon.status(), DaemonStatus { state: DaemonState::Stopped, starts: 1 });
    }

    #[tokio::test]
    async fn a_running_daemon_is_killed_without_a_warning() {
        let daemon = daemon("trap '' TERM; while :; do sleep 60; done").await;
        daemon.spawn().expect("spawned");
        assert!(matches!(daemon.status().state, DaemonState::Starting { .. }));
        daemon.kill9().await;
        assert_eq!(daemon.status().state, DaemonState::Stopped);
        let steps = daemon.0.journal.after(0);
        assert!(steps.last().is_some_and(|step| step.title_en.starts_with("kill -9")), "{steps:?}");
        daemon.kill9().await;
    }
}
