//! A company in a test: the daemon, WeCom's cloud, a model, and a clock that only the test moves.

use std::{
    collections::BTreeMap,
    future::Future,
    net::SocketAddr,
    path::Path,
    sync::{Arc, Mutex, Once},
    time::Duration,
};

use qimate::{
    clock::{Clock, ManualClock, Timestamp},
    config::{Config, Environment},
    model::id::{AgentId, CorpId},
    sandbox::{
        emulator::{Delivered, Emulator, EmulatorSettings},
        model::DemoModel,
    },
    server::{self, Stop},
};
use rusqlite::Connection;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tracing_subscriber::{filter::dynamic_filter_fn, layer::SubscriberExt};

/// What a test waits for comes in milliseconds; a test that waits this long has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// The daemon with everything around it.
pub struct App {
    pub wecom: Emulator,
    pub model: DemoModel,
    pub clock: ManualClock,
    pub dir: TempDir,
    pub config: Config,
    running: Option<Running>,
}

struct Running {
    address: SocketAddr,
    operations: SocketAddr,
    stop: Stop,
    task: JoinHandle<anyhow::Result<()>>,
}

/// WeCom's cloud and a model that writes at once, both by this clock.
pub async fn cloud(clock: &Clock) -> (Emulator, DemoModel) {
    let app = EmulatorSettings::invent(CorpId::parse("ww1436e0e65a779aee").unwrap(), AgentId::new(1_000_002));
    let wecom = Emulator::start(app, clock.clone()).await.unwrap();
    let model = DemoModel::start(clock.clone()).await.unwrap();
    model.set_delta_delay(Duration::ZERO);
    (wecom, model)
}

/// What is at `url`, for whoever has the operator's `key`: the status and the text.
pub async fn get(url: String, key: Option<&str>) -> (u16, String) {
    let mut request = reqwest::Client::new().get(url);
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    let answer = within(request.send()).await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

/// A port that nobody has, a moment ago.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl App {
    /// A daemon with the defaults.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// A daemon whose configuration was changed.
    pub async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let clock = ManualClock::new(Timestamp::from_secs(1_790_000_000));
        // The daemon's clock can be set without setting those of the others.
        let handed_in = Clock::Manual(clock.beside());
        let (wecom, model) = cloud(&handed_in).await;
        let dir = tempfile::tempdir().unwrap();
        let mut config = configuration(&wecom, &model, dir.path(), &[]);
        change(&mut config);
        let mut app = Self { wecom, model, clock, dir, config, running: None };
        app.launch().await;
        app
    }

    /// Starts the daemon on its data; it must not be running.
    pub async fn launch(&mut self) {
        assert!(self.running.is_none(), "it is running");
        let built = Box::pin(server::build(self.config.clone(), Clock::Manual(self.clock.clone())));
        let server = built.await.unwrap();
        let address = server.local_addr().unwrap();
        let operations = server.operations_addr().unwrap();
        let stop = Stop::new();
        let task = tokio::spawn(server.run(stop.clone()));
        self.wecom.set_callback_url(format!("http://{address}/wxcomapp"));
        self.running = Some(Running { address, operations, stop, task });
    }

    /// Stops the daemon as SIGTERM does, and waits until it is gone.
    pub async fn stop(&mut self) {
        let running = self.running.take().expect("it is running");
        running.stop.request();
        within(running.task).await.unwrap().unwrap();
    }

    /// Stops the daemon as a second SIGTERM does: whoever is at work is dropped.
    pub async fn drop_everything(&mut self) {
        let running = self.running.take().expect("it is running");
        running.stop.request();
        running.stop.request();
        within(running.task).await.unwrap().unwrap();
    }

    /// Where the daemon listens.
    pub fn address(&self) -> SocketAddr {
        self.running.as_ref().expect("it is running").address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// The same, on the operators' address.
    pub fn operations_url(&self, path: &str) -> String {
        let running = self.running.as_ref().expect("it is running");
        format!("http://{}{path}", running.operations)
    }

    /// A member writes, and WeCom is told yes.
    pub async fn say(&self, member: &str, text: &str) {
        let receipt = within(self.wecom.say(member, text)).await;
        assert!(receipt.accepted(), "{receipt:?}");
    }

    /// Waits until `member` has got `count` messages, and returns their texts.
    pub async fn texts(&self, member: &str, count: usize) -> Vec<String> {
        let of_member = |all: &[Delivered]| all.iter().filter(|one| one.member.eq_ignore_ascii_case(member)).count();
        within(self.wecom.wait_delivered(|all| of_member(all) >= count)).await;
        self.wecom.messages_for(member).iter().map(|message| as_seen(&message.content)).collect()
    }

    /// Waits until nothing is left to be handled or sent: no member is owed anything.
    pub async fn settled(&self) {
        self.none_left(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                  + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')",
        )
        .await;
    }

    /// Waits until all that was said has left, WeCom's answers to it included: a call that is on its way when the clock
    /// is moved by more than its limit is given up, and tried again at a time that nobody moves the clock to.
    pub async fn sent(&self) {
        self.none_left("SELECT COUNT(*) FROM outbox WHERE state = 'waiting'").await;
    }

    /// Waits until every message has its answer, and every answer was tried to be sent: from then on it is WeCom that
    /// keeps somebody waiting.
    pub async fn tried(&self) {
        self.none_left(
            "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open')
                  + (SELECT COUNT(*) FROM outbox WHERE state = 'waiting' AND attempts = 0)",
        )
        .await;
    }

    async fn none_left(&self, sql: &str) {
        let conn = self.database();
        let left = || -> i64 { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
        let empty = async {
            while left() > 0 {
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        };
        if tokio::time::timeout(PATIENCE, empty).await.is_err() {
            panic!("it took too long; left are: {}", self.waiting());
        }
    }

    /// What waits to be sent, and why.
    fn waiting(&self) -> String {
        let sql =
            "SELECT group_concat(member || ' ' || attempts || ' ' || coalesce(reason, '') || ' ' || content, '; ')
                   FROM outbox WHERE state = 'waiting'";
        let rows: Option<String> = self.database().query_row(sql, [], |row| row.get(0)).unwrap();
        rows.unwrap_or_default()
    }

    /// The daemon's database, to be looked into.
    pub fn database(&self) -> Connection {
        let conn = Connection::open(self.dir.path().join("qimate.db")).unwrap();
        conn.busy_timeout(PATIENCE).unwrap();
        conn
    }

    /// One number from the database.
    pub fn count(&self, sql: &str) -> i64 {
        self.database().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// Waits until one number from the database is this.
    pub async fn comes_to(&self, sql: &str, wanted: i64) {
        within(async {
            while self.count(sql) != wanted {
                tokio::task::spawn_blocking(std::thread::yield_now).await.unwrap();
            }
        })
        .await;
    }

    /// Lets the second pass within which a running daemon feels a command.
    pub async fn felt(&self) {
        let pause = Duration::from_secs(1);
        for _ in 0..2 {
            within(self.clock.sleeper_of(pause)).await;
            self.clock.advance(pause);
        }
        within(self.clock.sleeper_of(pause)).await;
    }

    /// Moves the time to the end of a wait that lies within these seconds, once somebody waits so.
    pub async fn advance_to_sleeper(&self, seconds: std::ops::RangeInclusive<f64>) -> Duration {
        let range = Duration::from_secs_f64(*seconds.start())..=Duration::from_secs_f64(*seconds.end());
        let duration = within(self.clock.sleeper_within(range)).await;
        self.clock.advance(duration);
        duration
    }
}

impl Drop for App {
    /// A story ends with everybody served, unless it stopped the daemon itself.
    fn drop(&mut self) {
        if std::thread::panicking() || self.running.is_none() {
            return;
        }
        let open = self.count("SELECT COUNT(*) FROM inbox WHERE state = 'open'");
        assert_eq!(open, 0, "messages were left unanswered");
    }
}

/// The configuration of a daemon between these two, read as the daemon reads it, with more variables.
pub fn configuration(wecom: &Emulator, model: &DemoModel, dir: &Path, more: &[(&str, &str)]) -> Config {
    let variables = variables(wecom, model, dir, more);
    Config::load(None, &Environment::from_pairs(variables)).expect("configuration").config
}

/// The environment of a daemon between these two.
pub fn variables(wecom: &Emulator, model: &DemoModel, dir: &Path, more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let app = wecom.settings();
    let ours = [
        ("QIMATE_SERVER__LISTEN", "127.0.0.1:0".to_owned()),
        ("QIMATE_SERVER__OPERATIONS_LISTEN", "127.0.0.1:0".to_owned()),
        // What is asked at start would be among what a test counts.
        ("QIMATE_SERVER__CHECK_AT_START", "false".to_owned()),
        ("QIMATE_MENU__ENABLED", "false".to_owned()),
        ("QIMATE_TEAM__SYNC_HOURS", "0".to_owned()),
        ("QIMATE_WECOM__CORP_ID", app.corp_id.to_string()),
        ("QIMATE_WECOM__AGENT_ID", app.agent_id.to_string()),
        ("QIMATE_WECOM__SECRET", app.secret.expose().clone()),
        ("QIMATE_WECOM__CALLBACK_TOKEN", app.callback_token.expose().clone()),
        ("QIMATE_WECOM__ENCODING_AES_KEY", app.encoding_aes_key.expose().clone()),
        ("QIMATE_WECOM__API_BASE", wecom.api_base()),
        ("QIMATE_LLM__BASE_URL", model.base_url()),
        ("QIMATE_LLM__MODEL", "qimate-demo".to_owned()),
        // Most stories are about one message at a time, and write quickly.
        ("QIMATE_CHAT__JOIN_SECONDS", "0".to_owned()),
        ("QIMATE_STORAGE__DATA_DIR", dir.display().to_string()),
    ];
    let ours = ours.into_iter().map(|(name, value)| (name.to_owned(), value));
    ours.chain(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).collect()
}

/// A text as a member sees it: without the invisible mark of a repetition.
fn as_seen(content: &str) -> String {
    content.trim_end_matches(['\u{200B}', '\u{200C}']).to_owned()
}

/// What the bot says to a message.
pub async fn ask(app: &App, member: &str, text: &str) -> String {
    let before = app.wecom.messages_for(member).len();
    app.say(member, text).await;
    app.texts(member, before + 1).await;
    app.settled().await;
    app.texts(member, before + 1).await[before..].join("\n")
}

/// Waits, but not for ever.
pub async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future).await.expect("it took too long")
}

/// The same, for what a test of a whole process waits for.
pub async fn within_seconds<F: Future>(seconds: u64, future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(seconds), future).await.expect("it took too long")
}

/// What the daemon logs while this lives. For tests on one thread, as `#[tokio::test]` makes them.
pub struct Logs {
    lines: Arc<Mutex<Vec<u8>>>,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Logs {
    pub fn capture() -> Self {
        Self::capture_up_to(tracing::Level::TRACE)
    }

    /// Only what is at least as important as `level`: for stories that are long.
    pub fn capture_up_to(level: tracing::Level) -> Self {
        // Whether a line is wanted is remembered for the whole process by whoever logs it first, who may be a test that
        // captures nothing. With somebody who always says "perhaps", it is asked each time.
        static PERHAPS: Once = Once::new();
        PERHAPS.call_once(|| {
            let perhaps = tracing_subscriber::registry().with(dynamic_filter_fn(|_, _| false));
            tracing::subscriber::set_global_default(perhaps).expect("nobody else sets one");
        });
        let lines = Arc::new(Mutex::new(Vec::new()));
        let writer = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_ansi(false)
            .with_writer(move || LogWriter(Arc::clone(&writer)))
            .finish();
        Self { lines, _guard: tracing::subscriber::set_default(subscriber) }
    }

    /// The lines that hold all of `words`.
    pub fn with(&self, words: &[&str]) -> Vec<String> {
        let text = String::from_utf8_lossy(&self.lines.lock().unwrap()).into_owned();
        text.lines().filter(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned).collect()
    }
}

struct LogWriter(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
