//! A phone with one chat on it, in the browser, and beside it what happens behind: a page and its API, on the loopback
//! interface only.
//!
//! Decides nothing: it presses the buttons of [`super::emulator`], [`super::model`] and [`super::daemon`] and shows
//! what they say. To add a switch, give it a name in `Switch`, follow the compiler, and add its words to
//! `page/words.js` and a line to `page/index.html`.

mod console;
mod events;
mod files;
mod sent;

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::{DefaultBodyLimit, Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{
    Error, Served,
    daemon::{Daemon, DaemonStatus},
    emulator::{Emulator, console::ConsoleView},
    journal::{Entry, Kind},
    model::{DemoModel, failure::Failure},
    serve,
};
use crate::model::id::MemberId;

/// The longest message that a member can write, in bytes.
const LONGEST_MESSAGE: usize = 8192;
/// The errcode of the rate-limit switch.
const RATE_LIMITED: i64 = 45009;
/// The page may load and call only what is served here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; media-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Whom the phone talks to.
#[derive(Clone, Debug)]
pub struct PhoneParts {
    /// WeCom.
    pub emulator: Emulator,
    /// The demo model, unless a real one answers.
    pub model: Option<DemoModel>,
    /// What the model is called.
    pub model_name: String,
    /// The daemon, if it is ours to kill.
    pub daemon: Option<Daemon>,
}

/// The phone on a loopback port; it is gone when this is dropped.
#[derive(Debug)]
pub struct Phone {
    server: Served,
}

impl Phone {
    /// Starts on `port` of the loopback interface; 0 takes a free one.
    ///
    /// # Errors
    /// [`Error::Listen`] when the port is taken.
    pub async fn start(parts: PhoneParts, port: u16) -> Result<Self, Error> {
        let desk = Arc::new(Desk { parts, switched: watch::Sender::new(0) });
        let router = Router::new()
            .route("/", get(|| asset("text/html; charset=utf-8", include_str!("page/index.html"))))
            .route("/app.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/app.js"))))
            .route("/bubbles.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/bubbles.js"))))
            .route("/share.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/share.js"))))
            .route("/menu.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/menu.js"))))
            .route("/words.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/words.js"))))
            .route("/style.css", get(|| asset("text/css; charset=utf-8", include_str!("page/style.css"))))
            .route("/console.js", get(|| asset("text/javascript; charset=utf-8", include_str!("page/console.js"))))
            .route("/console.css", get(|| asset("text/css; charset=utf-8", include_str!("page/console.css"))))
            .route("/api/state", get(state))
            .route("/api/console/secret", post(console::secret))
            .route("/api/console/callback", post(console::callback))
            .route("/api/console/trusted-ips", post(console::trusted_ips))
            .route("/api/console/visible", post(console::visible))
            .route("/api/events", get(events::events))
            .route("/api/say", post(say))
            .route("/api/send", post(sent::file).layer(DefaultBodyLimit::max(sent::LARGEST)))
            .route("/api/share", post(sent::shared))
            .route("/api/enter", post(enter))
            .route("/api/trouble", post(trouble))
            .route("/api/daemon", post(daemon))
            .route("/api/media/{id}", get(files::media))
            .route("/api/press", post(files::press))
            .route("/api/click", post(files::click))
            .route("/api/reset", post(reset))
            .layer(middleware::from_fn(only_from_here))
            .with_state(desk);
        Ok(Self { server: serve(router, port).await? })
    }

    /// Where to point the browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.server.address)
    }
}

struct Desk {
    parts: PhoneParts,
    /// Counts the turns of switches, for those who watch.
    switched: watch::Sender<u64>,
}

/// Everything that can be switched, as the page calls it.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Switch {
    RepeatCallbacks,
    ExpireAccessToken,
    RefuseIp,
    RateLimit,
    SlowModel,
    ModelError,
    ModelBusy,
    ModelKey,
    ModelSilent,
}

impl Switch {
    /// The model's failure that it switches.
    const fn failure(self) -> Option<Failure> {
        match self {
            Self::ModelError => Some(Failure::Error),
            Self::ModelBusy => Some(Failure::Busy),
            Self::ModelKey => Some(Failure::WrongKey),
            Self::ModelSilent => Some(Failure::Silent),
            _ => None,
        }
    }
}

/// What the page shows beside chat and journal.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Status {
    daemon: Option<DaemonStatus>,
    model: ModelStatus,
    trouble: Switches,
    /// What WeCom's console shows, where the set-up is practised.
    console: Option<ConsoleView>,
    /// The menu below the chat, as it was made.
    menu: Option<Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct ModelStatus {
    name: String,
    demo: bool,
    /// Answers being written now; unknown, and 0, for a real model.
    writing: u64,
}

/// The switches that stay. An access token expires once.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Switches {
    repeat_callbacks: bool,
    refuse_ip: bool,
    rate_limit: bool,
    slow_model: bool,
    model_error: bool,
    model_busy: bool,
    model_key: bool,
    model_silent: bool,
}

impl Desk {
    fn status(&self) -> Status {
        let PhoneParts { emulator, model, model_name, daemon } = &self.parts;
        let (slow_model, failure) = model.as_ref().map(DemoModel::trouble).unwrap_or_default();
        let trouble = emulator.trouble(|trouble| Switches {
            repeat_callbacks: trouble.repeats_callbacks(),
            refuse_ip: trouble.refuses_ip(),
            rate_limit: trouble.fails_sends_with(RATE_LIMITED),
            slow_model,
            model_error: failure == Some(Failure::Error),
            model_busy: failure == Some(Failure::Busy),
            model_key: failure == Some(Failure::WrongKey),
            model_silent: failure == Some(Failure::Silent),
        });
        let writing = model.as_ref().map_or(0, |model| model.load().in_flight);
        Status {
            daemon: daemon.as_ref().map(Daemon::status),
            model: ModelStatus { name: model_name.clone(), demo: model.is_some(), writing },
            trouble,
            console: emulator.console(),
            menu: emulator.menu(),
        }
    }

    /// Refuses what a member cannot do who does not see the application, or while WeCom has nowhere to send it.
    fn open_to(&self, member: &MemberId) -> Result<(), (StatusCode, Json<Value>)> {
        if self.parts.emulator.console().is_none() || self.parts.emulator.can_write(member.as_str()) {
            return Ok(());
        }
        let why = "WeCom does not let this member write: set up the callback, and the visible range";
        Err(refuse(StatusCode::CONFLICT, why))
    }

    /// Turns a switch; false when there is nothing to turn.
    fn turn(&self, switch: Switch, on: bool) -> bool {
        let PhoneParts { emulator, model, .. } = &self.parts;
        match (switch, model) {
            (Switch::RepeatCallbacks, _) => emulator.trouble(|trouble| trouble.repeat_callbacks(on)),
            (Switch::ExpireAccessToken, _) => emulator.trouble(|trouble| trouble.expire_access_token()),
            (Switch::RefuseIp, _) => emulator.trouble(|trouble| trouble.refuse_ip(on)),
            (Switch::RateLimit, _) => emulator.trouble(|trouble| trouble.fail_sends(on.then_some(RATE_LIMITED))),
            (Switch::SlowModel, Some(model)) => model.set_slow(on),
            (switch, model) => match (switch.failure(), model) {
                (Some(failure), Some(model)) => model.set_failure(failure, on),
                _ => return false,
            },
        }
        let (zh, en) = match switch {
            Switch::RepeatCallbacks => ("每个回调都发三次", "every callback three times"),
            Switch::ExpireAccessToken => ("access_token 提前作废", "the access token expires early"),
            Switch::RefuseIp => ("拒绝 IP（60020）", "refuse the IP (60020)"),
            Switch::RateLimit => ("频率限制（45009）", "rate limit (45009)"),
            Switch::SlowModel => ("模型变慢", "slow model"),
            Switch::ModelError => ("模型报错（500）", "model error (500)"),
            Switch::ModelBusy => ("模型限流（429）", "busy model (429)"),
            Switch::ModelKey => ("模型拒绝密钥（401）", "the model refuses the key (401)"),
            Switch::ModelSilent => ("模型不应答", "silent model"),
        };
        let (zh, en) = match (switch, on) {
            (Switch::ExpireAccessToken, _) => (zh.to_owned(), en.to_owned()),
            (_, true) => (format!("打开：{zh}"), format!("on: {en}")),
            (_, false) => (format!("关闭：{zh}"), format!("off: {en}")),
        };
        emulator.journal().record(Entry::new(Kind::Trouble, zh, en));
        self.switched.send_modify(|turns| *turns += 1);
        true
    }
}

type Shared = State<Arc<Desk>>;
type Answer = Result<Json<Value>, (StatusCode, Json<Value>)>;

fn refuse(status: StatusCode, why: &str) -> (StatusCode, Json<Value>) {
    (status, Json(json!({"error": why})))
}

async fn asset(content_type: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 5] = [
        (header::CONTENT_TYPE, content_type),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    (headers, text)
}

/// Lets only pages of this very address call: a foreign page could give its own name our address (DNS rebinding), or
/// post blindly.
async fn only_from_here(request: Request, next: Next) -> Response {
    if is_from_here(request.headers()) {
        next.run(request).await
    } else {
        refuse(StatusCode::FORBIDDEN, "this page answers only to http://127.0.0.1 and http://localhost").into_response()
    }
}

fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let Some(host) = text(header::HOST) else { return false };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, "80"));
    let is_loopback = matches!(name, "127.0.0.1" | "localhost") && port.parse::<u16>().is_ok();
    is_loopback && text(header::ORIGIN).is_none_or(|origin| origin.strip_prefix("http://") == Some(host))
}

async fn state(State(desk): Shared) -> Json<Value> {
    let PhoneParts { emulator, .. } = &desk.parts;
    Json(json!({
        "lines": emulator.lines_after(0), "steps": emulator.journal().after(0), "status": desk.status(),
    }))
}

#[derive(Deserialize)]
struct Say {
    member: String,
    text: String,
}

async fn say(State(desk): Shared, Json(Say { member, text }): Json<Say>) -> Answer {
    let member = parse_member(&member)?;
    if text.trim().is_empty() || text.len() > LONGEST_MESSAGE {
        return Err(refuse(StatusCode::BAD_REQUEST, "a message holds 1 to 8192 bytes that are not all blank"));
    }
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    // A page that is closed does not take back what was written.
    let said = tokio::spawn(async move { emulator.say(member.as_str(), &text).await });
    let receipt = said.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the message was not sent"))?;
    let took: u128 = receipt.attempts.last().map_or(0, |attempt| attempt.took.as_millis());
    Ok(Json(json!({"accepted": receipt.accepted(), "attempts": receipt.attempts.len(), "took_ms": took})))
}

#[derive(Deserialize)]
struct Enter {
    member: String,
}

async fn enter(State(desk): Shared, Json(Enter { member }): Json<Enter>) -> Answer {
    let member = parse_member(&member)?;
    desk.open_to(&member)?;
    let emulator = desk.parts.emulator.clone();
    let entered = tokio::spawn(async move { emulator.event(member.as_str(), "enter_agent").await });
    let receipt = entered.await.map_err(|_| refuse(StatusCode::INTERNAL_SERVER_ERROR, "the event was not sent"))?;
    Ok(Json(json!({"accepted": receipt.accepted()})))
}

fn parse_member(text: &str) -> Result<MemberId, (StatusCode, Json<Value>)> {
    MemberId::parse(text.trim()).map_err(|error| refuse(StatusCode::BAD_REQUEST, &error.to_string()))
}

#[derive(Deserialize)]
struct Turn {
    name: Switch,
    on: bool,
}

async fn trouble(State(desk): Shared, Json(Turn { name, on }): Json<Turn>) -> Answer {
    if !desk.turn(name, on) {
        return Err(refuse(StatusCode::CONFLICT, "the real model is not ours to trouble"));
    }
    Ok(Json(json!(desk.status())))
}

#[derive(Deserialize)]
struct Do {
    action: Action,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    /// SIGKILL.
    Kill,
    Start,
    /// SIGKILL, and start again.
    Restart,
}

async fn daemon(State(desk): Shared, Json(Do { action }): Json<Do>) -> Answer {
    let Some(daemon) = desk.parts.daemon.clone() else {
        return Err(refuse(StatusCode::CONFLICT, "the daemon does not run here"));
    };
    let done = tokio::spawn(async move {
        match action {
            Action::Kill => daemon.kill9().await,
            Action::Start => drop(daemon.start().await?),
            Action::Restart => drop(daemon.restart().await?),
        }
        Ok::<_, Error>(())
    });
    match done.await {
        Ok(Ok(())) => Ok(Json(json!(desk.status()))),
        Ok(Err(error)) => Err(refuse(StatusCode::BAD_GATEWAY, &error.to_string())),
        Err(_) => Err(refuse(StatusCode::INTERNAL_SERVER_ERROR, "the daemon could not be told")),
    }
}

async fn reset(State(desk): Shared) -> Json<Value> {
    desk.parts.emulator.clear_chats();
    desk.parts.emulator.journal().clear();
    Json(json!({}))
}

#[cfg(test)]
mod tests;
