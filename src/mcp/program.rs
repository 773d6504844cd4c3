//! The protocol with a program of this machine: a message a line, over its standard input and output.
//!
//! The program is started by the first request, and again by the next one after it ended. One request is under way at a
//! time; one that is given up ends the program, because what it would still say belongs to nobody. Of this process's
//! environment it gets `PATH` and `HOME` alone: there are secrets in the rest.

use std::{collections::BTreeMap, io, process::Stdio};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, ChildStdin, ChildStdout, Command},
    sync::Mutex,
};

use super::{client::McpError, wire};
use crate::secret::Secret;

pub(super) struct Program {
    command: String,
    args: Vec<String>,
    env: BTreeMap<String, Secret<String>>,
    running: Mutex<Option<Running>>,
}

struct Running {
    /// Killed when it is dropped.
    _child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    next_id: u64,
}

impl Program {
    pub(super) fn new(command: &str, args: &[String], env: &BTreeMap<String, Secret<String>>) -> Self {
        Self { command: command.to_owned(), args: args.to_vec(), env: env.clone(), running: Mutex::new(None) }
    }

    pub(super) async fn request(&self, method: &str, params: &Value) -> Result<Value, McpError> {
        let mut place = self.running.lock().await;
        // Taken out: if this future is dropped in the middle, so is the program.
        let mut running = match place.take() {
            Some(running) => running,
            None => self.start().await?,
        };
        let answer = running.ask(method, params).await;
        if matches!(answer, Ok(_) | Err(McpError::Refused { .. })) {
            *place = Some(running);
        }
        answer
    }

    async fn start(&self) -> Result<Running, McpError> {
        let inherited = ["PATH", "HOME"].into_iter();
        let mut command = Command::new(&self.command);
        command.args(&self.args).env_clear();
        command.envs(inherited.filter_map(|name| Some((name, crate::config::inherited(name)?))));
        command.envs(self.env.iter().map(|(name, value)| (name, value.expose())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().map_err(McpError::Program)?;
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(McpError::Program(io::Error::other("no pipes")));
        };
        let mut running = Running { _child: child, input, output: BufReader::new(output), next_id: 1 };
        wire::version(&running.ask("initialize", &wire::hello()).await?)?;
        running.say(&wire::notification("notifications/initialized")).await?;
        Ok(running)
    }
}

impl Running {
    async fn ask(&mut self, method: &str, params: &Value) -> Result<Value, McpError> {
        let id = self.next_id;
        self.next_id += 1;
        self.say(&wire::request(id, method, params)).await?;
        loop {
            let mut line = Vec::new();
            let most = wire::MOST_BYTES as u64;
            let read = (&mut self.output).take(most).read_until(b'\n', &mut line).await;
            if read.map_err(McpError::Program)? == 0 {
                return Err(McpError::Program(io::ErrorKind::UnexpectedEof.into()));
            }
            if !line.ends_with(b"\n") && line.len() == wire::MOST_BYTES {
                return Err(McpError::Protocol("more than 4 MiB"));
            }
            // Some programs greet people on the line that belongs to the protocol.
            if line.trim_ascii_start().starts_with(b"{")
                && let Some(answer) = wire::answer(&line, id)
            {
                return answer;
            }
        }
    }

    async fn say(&mut self, message: &Value) -> Result<(), McpError> {
        self.input.write_all(format!("{message}\n").as_bytes()).await.map_err(McpError::Program)?;
        self.input.flush().await.map_err(McpError::Program)
    }
}
