//! The daemon: the real binary, in a process and a directory of its own.

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    path::Path,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::{http::Caller, wecom};

/// The binary that is measured.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_qimate");

/// A daemon that runs. It is killed, and its directory deleted, when this is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    child: Child,
    dir: TempDir,
}

impl Daemon {
    /// Starts one on an empty directory. It need not listen yet when this returns.
    pub(crate) fn spawn(wecom: &str, model: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        // Beside the binary, and not in the system's place for such: that may be memory, on which a commit costs nothing.
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(BINARY)
            .arg("serve")
            .current_dir(dir.path())
            .env_clear()
            .envs(wecom::variables())
            .env("QIMATE_SERVER__LISTEN", address.to_string())
            .env("QIMATE_SERVER__OPERATIONS_LISTEN", "127.0.0.1:0")
            .env("QIMATE_SERVER__CHECK_AT_START", "false")
            .env("QIMATE_TEAM__SYNC_HOURS", "0")
            .env("QIMATE_WECOM__API_BASE", wecom)
            .env("QIMATE_LLM__BASE_URL", model)
            .env("QIMATE_LLM__MODEL", "bench")
            .env("QIMATE_STORAGE__DATA_DIR", dir.path().join("data"))
            .envs(more.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("log"))?)
            .kill_on_drop(true)
            .spawn()
            .context("cannot start the daemon")?;
        Ok(Self { address, child, dir })
    }

    /// Starts one, and waits until it listens.
    pub(crate) async fn start(wecom: &str, model: &str, more: &[(&str, &str)]) -> anyhow::Result<Self> {
        let mut daemon = Self::spawn(wecom, model, more)?;
        daemon.listening().await?;
        Ok(daemon)
    }

    /// Waits until it listens, and returns a connection to it.
    pub(crate) async fn listening(&mut self) -> anyhow::Result<Caller> {
        loop {
            if let Ok(caller) = Caller::connect(self.address).await {
                return Ok(caller);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("the daemon ended with {status}:\n{}", self.log());
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Memory that it has in use, in MiB.
    pub(crate) fn rss_mib(&self) -> anyhow::Result<f64> {
        let pid = self.child.id().context("the daemon has ended")?;
        let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
        let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok());
        kib.map(|kib: f64| kib / 1024.0).context("the system does not say how much memory a process uses")
    }

    /// What a command says that is given beside it.
    pub(crate) async fn command(&self, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
        let output = Command::new(BINARY)
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .envs(wecom::variables())
            .env("QIMATE_LLM__MODEL", "bench")
            .env("QIMATE_LLM__BASE_URL", "http://127.0.0.1:9/v1")
            .env("QIMATE_STORAGE__DATA_DIR", self.dir.path().join("data"))
            .output()
            .await?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(output.stdout)
    }

    /// What it logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    /// Ends it.
    pub(crate) async fn kill(mut self) -> anyhow::Result<()> {
        Ok(self.child.kill().await?)
    }
}
