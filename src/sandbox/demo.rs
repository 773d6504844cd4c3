//! `qimate demo`: WeCom, a model and the real daemon on one desk, with a phone in the browser or one exchange in the
//! terminal.
//!
//! Only puts the sandbox's parts together and tells what they do. Reads no environment: what the daemon and the real
//! model need is handed in.

use std::{ffi::OsString, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::{
    Error,
    daemon::{Daemon, DaemonSettings, free_address},
    emulator::{Emulator, EmulatorSettings, Line},
    journal::{Journal, Kind, Step},
    model::{self, DemoModel, answer::ENDINGS},
    phone::{Phone, PhoneParts},
    random,
};
use crate::{
    clock::{Clock, Timestamp},
    model::id::{AgentId, CorpId},
    secret::Secret,
};

/// The member who writes in the terminal; the first one on the phone.
const MEMBER: &str = "ZhangWei";
/// Where the daemon takes callbacks.
const CALLBACK_PATH: &str = "/wxcomapp";
/// How long WeCom's side waits before it tries a callback again: time enough for a daemon to come back.
const RETRY_PAUSE: Duration = Duration::from_secs(4);
/// How long the first message of an answer may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(30);
/// Nothing more is expected after this long a silence.
const QUIET: Duration = Duration::from_secs(3);
/// How many ports are tried after the one that was asked for.
const MORE_PORTS: u16 = 50;
/// How much of a ciphertext is shown, in characters.
const SHOWN: usize = 72;

/// What to show.
#[derive(Clone, Debug)]
pub struct Options {
    /// One exchange in the terminal instead of the phone.
    pub say: Option<String>,
    /// The phone's port; the next free one is taken where it is not free.
    pub port: u16,
    /// The real model, instead of the demo model.
    pub real_model: Option<RealModel>,
    /// Environment variables that the daemon is given as they are, beside its configuration: `PATH`, `SSL_CERT_FILE`.
    /// Nothing else of the environment reaches it.
    pub environment: Vec<(OsString, OsString)>,
}

/// A real upstream. What is not given is left to the daemon's defaults.
#[derive(Clone, Debug)]
pub struct RealModel {
    /// Its key.
    pub api_key: Secret<String>,
    /// Where it is.
    pub base_url: Option<String>,
    /// Its name.
    pub model: Option<String>,
}

/// Shows it, until one exchange is over or somebody presses Ctrl-C. Nothing is left behind.
///
/// # Errors
/// When a part cannot be started, or no answer came to what was said.
pub async fn run(options: Options) -> Result<()> {
    let stage = Stage::set(&options).await?;
    let shown = tokio::select! {
        shown = stage.show(&options) => shown,
        () = stop_signal() => Ok(()),
    };
    stage.clear().await?;
    shown
}

/// Everything that stands on the desk.
struct Stage {
    directory: TempDir,
    clock: Clock,
    journal: Journal,
    emulator: Emulator,
    demo_model: Option<DemoModel>,
    model_name: String,
    daemon: Daemon,
}

impl Stage {
    async fn set(options: &Options) -> Result<Self> {
        let clock = Clock::System;
        let journal = Journal::new(clock.clone());
        let corp_id = CorpId::parse(&format!("ww{}", hex::encode(random::<8>())))?;
        let settings = EmulatorSettings::invent(corp_id, AgentId::new(1_000_002));
        let emulator = Emulator::start_with_journal(settings, clock.clone(), journal.clone()).await?;
        emulator.set_retry_pause(RETRY_PAUSE);

        let demo_model = match &options.real_model {
            Some(real) => {
                journal.star(real.api_key.expose());
                None
            }
            None => {
                let model = DemoModel::start_with_journal(clock.clone(), journal.clone()).await?;
                model.set_delta_delay(model::READING_PACE);
                Some(model)
            }
        };
        let model_name = match &options.real_model {
            Some(real) => real.model.clone().unwrap_or_else(|| "OpenAI".to_owned()),
            None => model::NAME.to_owned(),
        };

        let directory = tempfile::Builder::new().prefix("qimate-demo-").tempdir().context("no temporary directory")?;
        let listen = free_address().await?;
        emulator.set_callback_url(format!("http://{listen}{CALLBACK_PATH}"));
        let mut environment = options.environment.clone();
        let mut set = |name: &str, value: &str| environment.push((name.into(), value.into()));
        let EmulatorSettings { corp_id, agent_id, secret, callback_token, encoding_aes_key } = emulator.settings();
        set("QIMATE_SERVER__LISTEN", &listen.to_string());
        set("QIMATE_SERVER__OPERATIONS_LISTEN", "127.0.0.1:0");
        // The page shows what a message causes, and nothing else.
        set("QIMATE_SERVER__CHECK_AT_START", "false");
        set("QIMATE_TEAM__SYNC_HOURS", "0");
        set("QIMATE_SERVER__CALLBACK_PATH", CALLBACK_PATH);
        set("QIMATE_WECOM__CORP_ID", corp_id.as_str());
        set("QIMATE_WECOM__AGENT_ID", &agent_id.to_string());
        set("QIMATE_WECOM__SECRET", secret.expose());
        set("QIMATE_WECOM__CALLBACK_TOKEN", callback_token.expose());
        set("QIMATE_WECOM__ENCODING_AES_KEY", encoding_aes_key.expose());
        set("QIMATE_WECOM__API_BASE", &emulator.api_base());
        set("QIMATE_LOG__FORMAT", "text");
        // The page shows lines as they are; colours would be noise.
        set("NO_COLOR", "1");
        match (&demo_model, &options.real_model) {
            (Some(demo), _) => {
                set("QIMATE_LLM__BASE_URL", &demo.base_url());
                set("QIMATE_LLM__API_KEY", "demo");
                set("QIMATE_LLM__MODEL", model::NAME);
                // It can say how large a picture is, and has a sentence for what is spoken.
                set("QIMATE_LLM__VISION", "true");
                set("QIMATE_VOICE__TRANSCRIPTION_MODEL", model::NAME);
                set("QIMATE_VOICE__SPEECH_MODEL", model::NAME);
                set("QIMATE_VOICE__ANSWERS", "true");
                set("QIMATE_IMAGES__MODEL", model::NAME);
            }
            (None, Some(real)) => {
                set("QIMATE_LLM__API_KEY", real.api_key.expose());
                if let Some(base_url) = &real.base_url {
                    set("QIMATE_LLM__BASE_URL", base_url);
                }
                if let Some(model) = &real.model {
                    set("QIMATE_LLM__MODEL", model);
                }
            }
            (None, None) => {}
        }
        environment.push(("QIMATE_STORAGE__DATA_DIR".into(), directory.path().join("data").into()));

        let settings = DaemonSettings {
            program: std::env::current_exe().context("cannot tell where this program is")?,
            arguments: vec!["serve".into()],
            environment,
            directory: directory.path().to_owned(),
            listen,
        };
        let daemon = Daemon::new(settings, clock.clone(), journal.clone())?;
        Ok(Self { directory, clock, journal, emulator, demo_model, model_name, daemon })
    }

    async fn show(&self, options: &Options) -> Result<()> {
        println!("企伴演示：企业微信在您桌上 · Qimate demo: WeCom on your desk\n");
        // Only the page is written as a link: it is the one to open.
        println!("  ✓ 企业微信（模拟） · WeCom (emulated)   {}", bare(&self.emulator.api_base()));
        match &self.demo_model {
            Some(demo) => println!("  ✓ 演示模型（不是人工智能） · demo model (no AI)   {}", bare(&demo.base_url())),
            None => println!("  ✓ 真正的模型 · the real model   {}", self.model_name),
        }
        let took = self.daemon.start().await?.as_millis();
        println!("  ✓ 企伴就绪，{took} 毫秒 · Qimate is ready after {took} ms");
        // The second try is for a machine that was too busy for WeCom's one second.
        let verified = self.emulator.verify_url().await || self.emulator.verify_url().await;
        ensure!(verified, "the daemon did not pass the verification of its callback URL");
        println!("  ✓ 回调地址通过验证 · the callback URL is verified\n");

        match &options.say {
            Some(text) => self.exchange(text).await,
            None => self.serve_phone(options.port).await,
        }
    }

    async fn serve_phone(&self, port: u16) -> Result<()> {
        let parts = PhoneParts {
            emulator: self.emulator.clone(),
            model: self.demo_model.clone(),
            model_name: self.model_name.clone(),
            daemon: Some(self.daemon.clone()),
        };
        let phone = open_phone(parts, port).await?;
        println!("  打开 · open      {}", phone.url());
        println!("  结束 · to end    Ctrl-C");
        std::future::pending().await
    }

    /// One question with its answer, told as it happens.
    async fn exchange(&self, text: &str) -> Result<()> {
        let mut teller = Teller::new(self);
        let (mut steps, mut lines) = (self.journal.subscribe(), self.emulator.subscribe());
        let asked = self.clock.now();
        let mut saying = Box::pin(self.emulator.say(MEMBER, text));
        let mut said = false;
        loop {
            teller.catch_up();
            if teller.is_over() {
                println!("\n  ✓ 完成，{} 条消息 · done, {} messages", teller.messages, teller.messages);
                return Ok(());
            }
            let deadline = match teller.last_message {
                None => asked + ANSWER_LIMIT,
                Some(at) => at + QUIET,
            };
            tokio::select! {
                receipt = &mut saying, if !said => {
                    said = true;
                    ensure!(receipt.accepted(), "the daemon did not take the message");
                }
                _ = steps.changed() => {}
                _ = lines.changed() => {}
                () = self.clock.sleep_until(deadline) => match teller.last_message {
                    None => bail!("no answer within {} seconds", ANSWER_LIMIT.as_secs()),
                    Some(_) if self.is_writing() => teller.last_message = Some(self.clock.now()),
                    Some(_) => teller.quiet = true,
                },
            }
        }
    }

    fn is_writing(&self) -> bool {
        self.demo_model.as_ref().is_some_and(|model| model.load().in_flight > 0)
    }

    async fn clear(self) -> Result<()> {
        // First the process, which writes into the directory.
        self.daemon.kill9().await;
        self.directory.close().context("the temporary directory could not be removed")
    }
}

/// Tells in the terminal what is new in journal and chat.
struct Teller<'a> {
    stage: &'a Stage,
    began: Timestamp,
    step: u64,
    line: u64,
    messages: usize,
    last_message: Option<Timestamp>,
    ended: bool,
    quiet: bool,
}

impl<'a> Teller<'a> {
    /// Begins with what comes after this moment.
    fn new(stage: &'a Stage) -> Self {
        let (step, line) = (*stage.journal.subscribe().borrow(), *stage.emulator.subscribe().borrow());
        let began = stage.clock.now();
        Self { stage, began, step, line, messages: 0, last_message: None, ended: false, quiet: false }
    }

    /// The demo model's answers end in known words; a real one's in silence.
    const fn is_over(&self) -> bool {
        self.ended || self.quiet
    }

    fn catch_up(&mut self) {
        for step in self.stage.journal.after(self.step) {
            self.step = step.seq;
            self.tell_step(&step);
        }
        for line in self.stage.emulator.lines_after(self.line) {
            self.line = line.seq;
            self.tell_line(&line);
        }
    }

    fn tell_step(&self, step: &Step) {
        if step.kind == Kind::Log && !step.failed {
            return;
        }
        if step.kind == Kind::Log {
            let line = if step.detail.is_empty() { &step.title_zh } else { &step.detail };
            println!("{:>7} ms ✗ {line}", self.since(step.at));
            return;
        }
        let mark = if step.failed { "✗" } else { "·" };
        let took = step.duration_ms.map(|took| format!("  ({took} ms)")).unwrap_or_default();
        println!("{:>7} ms {mark} {} · {}{took}", self.since(step.at), step.title_zh, step.title_en);
        if step.kind == Kind::Envelope {
            let (url, body) = step.detail.split_once("\n\n").unwrap_or((&step.detail, ""));
            println!("             {}", shortened(url));
            let sealed = body.split_once("<Encrypt><![CDATA[").map_or(body, |(_, sealed)| sealed);
            println!("             {}", shortened(sealed));
        }
    }

    fn tell_line(&mut self, line: &Line) {
        if line.from_member {
            return;
        }
        self.messages += 1;
        self.last_message = Some(line.at);
        self.ended |= self.stage.demo_model.is_some() && ENDINGS.iter().any(|ending| line.content.contains(ending));
        println!("{:>7} ms ↓ 手机收到第 {n} 条 · message {n} on the phone", self.since(line.at), n = self.messages);
        for text in line.content.lines() {
            println!("           │ {text}");
        }
    }

    fn since(&self, at: Timestamp) -> u128 {
        at.since(self.began).as_millis()
    }
}

/// Opens the page on `port`, or on the next free one.
pub(super) async fn open_phone(parts: PhoneParts, port: u16) -> Result<Phone> {
    let mut last = port;
    loop {
        match Phone::start(parts.clone(), last).await {
            Ok(phone) => return Ok(phone),
            Err(Error::Listen(_)) if last < port.saturating_add(MORE_PORTS) => last += 1,
            Err(error) => return Err(error.into()),
        }
    }
}

/// A URL without its scheme: not to be taken for a link.
pub(super) fn bare(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}… ({} B)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

/// Waits for Ctrl-C or, where there are signals, for a polite request to end.
pub(super) async fn stop_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}
