//! How the running instance is doing, at a glance: what `qimate status` shows.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use axum::{Json, extract::State};
use serde::{Deserialize, Serialize};

use super::{Figures, Readiness, Web};
use crate::{
    chat::{
        delivery::Delivery,
        lately::{Glance, Lately, ModelError},
        models::{self, Models},
        way::Pause,
    },
    clock::{Clock, Timestamp},
    metrics::{Depth, Metrics, machine},
    model::{directory::Reading, id::AppKey},
    store::{figures::OfApp as Waits, people::directory::Unread},
};

/// Everything at a glance. Ages and waits are in seconds; a field that is `null` is not known, or never happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Which Qimate it is.
    pub version: String,
    /// Since when it runs, in seconds since the epoch.
    pub started_at: u64,
    /// For how long.
    pub uptime_seconds: u64,
    /// `null` when the next message could be saved; otherwise why not.
    pub not_ready: Option<String>,
    /// Callbacks since the start.
    pub callbacks: Callbacks,
    /// Messages that are not handled yet.
    pub inbox: Option<Waiting>,
    /// Parts of answers that are not delivered yet.
    pub outbox: Option<Waiting>,
    /// Parts of answers that were given up.
    pub dead_letters: Option<u64>,
    /// Questions of the last hour.
    pub turns: Turns,
    /// The way to WeCom; of several applications, that of the first.
    pub wecom: Wecom,
    /// The applications, where there are several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apps: Vec<OfApp>,
    /// What waits of applications that are not configured any more: nobody works on it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_alone: Vec<Left>,
    /// Address books that could not be read the last time; nobody's access changed by that.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread_directories: Vec<UnreadDirectory>,
    /// The model.
    pub model: Model,
    /// Bytes that are free on the disk with the database.
    pub disk_free_bytes: Option<u64>,
    /// Bytes of memory that the process holds.
    pub memory_bytes: Option<u64>,
    /// Where the audit log ends, as `qimate audit head` prints it.
    #[serde(default)]
    pub audit_head: Option<String>,
}

/// Callbacks since the start.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Callbacks {
    /// Messages and events that were saved.
    pub accepted: u64,
    /// Repeated ones.
    pub duplicate: u64,
    /// Verifications of the URL.
    pub verified: u64,
    /// Refused ones by reason.
    pub refused: BTreeMap<String, u64>,
    /// How long ago the last was saved that is still kept, before the start too.
    pub last_accepted_seconds_ago: Option<f64>,
}

/// What waits in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// How many.
    pub messages: u64,
    /// How long the oldest has waited.
    pub oldest_seconds: f64,
}

/// Questions of the last hour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turns {
    /// How far back this looks: an hour, or to the start.
    pub window_seconds: u64,
    /// Answers that are being written now.
    pub running: i64,
    /// How many ended how.
    pub by_result: BTreeMap<String, u64>,
    /// From the question to the first part of its answer in the outbox.
    pub first_part: Option<FirstPart>,
}

/// How long members waited.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FirstPart {
    /// Over how many answers: the newest of the window, at most a thousand.
    pub answers: usize,
    /// Half of them waited no longer.
    pub p50_seconds: f64,
    /// 95 of 100 waited no longer.
    pub p95_seconds: f64,
}

/// The way to WeCom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Wecom {
    /// `null` when messages can be sent.
    pub paused: Option<Paused>,
    /// How long ago the access token was fetched.
    pub access_token_age_seconds: Option<f64>,
}

/// One of several applications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OfApp {
    /// Its name; corp id and AgentId of that of `[wecom]`.
    pub name: String,
    /// Messages that are not handled yet; `null` when that cannot be found out.
    pub inbox: Option<u64>,
    /// Members for whom something waits to be sent; the same.
    pub outbox: Option<u64>,
    /// Its way to WeCom.
    pub wecom: Wecom,
}

/// What waits of an application that is not configured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Left {
    /// Corp id and AgentId.
    pub app: String,
    /// Messages that are not handled.
    pub inbox: u64,
    /// Members for whom something waits to be sent.
    pub outbox: u64,
}

/// An address book that could not be read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UnreadDirectory {
    /// For which application.
    pub app: String,
    /// How long ago that was.
    pub seconds_ago: f64,
    /// WeCom's, where it refused.
    pub errcode: Option<i64>,
    /// Why, where it did not.
    pub message: Option<String>,
}

/// Nothing can be sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Paused {
    /// A word that never changes.
    pub reason: String,
    /// The reason as a sentence, with what to do where that is known.
    pub message: String,
    /// For how long.
    pub since_seconds: f64,
    /// When it is tried again; `null` while it is being tried.
    pub again_in_seconds: Option<f64>,
}

/// The model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// How long ago an answer was last complete, since the start.
    pub last_answer_seconds_ago: Option<f64>,
    /// The last failure since the start.
    pub last_error: Option<LastError>,
    /// Keys that are set aside until somebody mends something; always empty where no upstreams are listed.
    #[serde(default)]
    pub set_aside: Vec<SetAside>,
}

/// A key of an upstream that is not asked, with one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SetAside {
    /// The upstream's name.
    pub upstream: String,
    /// Which of its keys, counted from 1.
    pub key: usize,
    /// The model's alias.
    pub model: String,
    /// A word that never changes: `key_refused`, `no_credit` or `settings`.
    pub reason: String,
    /// For how long.
    pub since_seconds: f64,
}

/// A failure of the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LastError {
    /// How long ago.
    pub seconds_ago: f64,
    /// A word that never changes.
    pub kind: String,
    /// What happened.
    pub message: String,
}

/// Puts the status together.
#[derive(Debug)]
pub struct Overview {
    /// The time.
    pub clock: Clock,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What has to be asked for.
    pub figures: Arc<Figures>,
    /// Whether the next message could be saved.
    pub readiness: Arc<Readiness>,
    /// The last hour.
    pub lately: Arc<Lately>,
    /// The applications, at least one.
    pub apps: Vec<Served>,
    /// The models.
    pub models: Models,
}

/// An application that is served.
#[derive(Debug)]
pub struct Served {
    /// As an operator knows it.
    pub name: String,
    /// Its place in the store.
    pub app: AppKey,
    /// The way to WeCom.
    pub delivery: Arc<Delivery>,
    /// What is counted of it.
    pub metrics: Metrics,
}

impl Overview {
    async fn now(&self) -> Status {
        let (asked, ready) = tokio::join!(self.figures.now(), self.readiness.check());
        let now = self.clock.now();
        let ago = |at: Timestamp| now.since(at).as_secs_f64();
        let started = self.metrics.started();
        let machine_now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let Glance { window, turns, first_part, last_answer, last_model_error } = self.lately.glance();
        let waiting = |depth: Depth| Waiting { messages: depth.messages, oldest_seconds: depth.oldest.as_secs_f64() };
        let paused = |Pause { since, until, reason, message }| Paused {
            reason: reason.word().to_owned(),
            message,
            since_seconds: ago(since),
            again_in_seconds: until.map(|until| until.since(now).as_secs_f64()),
        };
        let aside = |models::SetAside { upstream, key, model, reason, since }| SetAside {
            upstream,
            key,
            model,
            reason: reason.to_owned(),
            since_seconds: ago(since),
        };
        let token_age = |since_epoch: Duration| ago(Timestamp::default() + since_epoch);
        let wecom = |served: &Served| Wecom {
            paused: served.delivery.pause().map(paused),
            access_token_age_seconds: served.metrics.access_token_since().map(token_age),
        };
        let of = |app: &AppKey| asked.by_app.iter().flatten().find(|one| one.app == *app);
        let count = |app: &AppKey, count: fn(&Waits) -> u64| asked.by_app.as_ref().map(|_| of(app).map_or(0, count));
        let several = |served: &Served| OfApp {
            name: served.name.clone(),
            inbox: count(&served.app, |one| one.inbox),
            outbox: count(&served.app, |one| one.outbox),
            wecom: wecom(served),
        };
        let is_left = |one: &&Waits| self.apps.iter().all(|served| served.app != one.app);
        let left = |one: &Waits| Left { app: one.app.to_string(), inbox: one.inbox, outbox: one.outbox };
        let unread = |one: &Unread| {
            let served = self.apps.iter().find(|served| served.app == one.app)?;
            let (errcode, message) = match &one.reading {
                Reading::Refused(errcode) => (Some(*errcode), None),
                Reading::Failed(why) => (None, Some(why.clone())),
                Reading::Whole | Reading::Partly => return None,
            };
            Some(UnreadDirectory { app: served.name.clone(), seconds_ago: ago(one.at), errcode, message })
        };
        let failed =
            |ModelError { at, kind, message }| LastError { seconds_ago: ago(at), kind: kind.to_owned(), message };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: started.as_secs(),
            uptime_seconds: machine_now.saturating_sub(started).as_secs(),
            not_ready: ready.err().map(|error| error.to_string()),
            callbacks: Callbacks { last_accepted_seconds_ago: asked.last_accepted.map(ago), ..counted(&self.metrics) },
            inbox: asked.sample.inbox.map(waiting),
            outbox: asked.sample.outbox.map(waiting),
            dead_letters: asked.sample.dead_letters,
            turns: Turns {
                window_seconds: window.as_secs(),
                running: self.metrics.running_turns(),
                by_result: turns.into_iter().map(|(result, count)| (result.word().to_owned(), count)).collect(),
                first_part: first_part.map(|waits| FirstPart {
                    answers: waits.answers,
                    p50_seconds: waits.p50.as_secs_f64(),
                    p95_seconds: waits.p95.as_secs_f64(),
                }),
            },
            wecom: self.apps.first().map(wecom).unwrap_or_default(),
            apps: if self.apps.len() > 1 { self.apps.iter().map(several).collect() } else { Vec::new() },
            left_alone: asked.by_app.iter().flatten().filter(is_left).map(left).collect(),
            unread_directories: asked.unread.iter().filter_map(unread).collect(),
            model: Model {
                last_answer_seconds_ago: last_answer.map(ago),
                last_error: last_model_error.map(failed),
                set_aside: self.models.set_aside().into_iter().map(aside).collect(),
            },
            disk_free_bytes: asked.sample.disk_free,
            memory_bytes: machine::resident_memory(),
            audit_head: asked.audit.map(|head| head.to_string()),
        }
    }
}

fn counted(metrics: &Metrics) -> Callbacks {
    let mut callbacks = Callbacks::default();
    for (result, reason, count) in metrics.callbacks() {
        match result {
            "accepted" => callbacks.accepted = count,
            "duplicate" => callbacks.duplicate = count,
            "verified" => callbacks.verified = count,
            _ => {
                callbacks.refused.insert(reason.to_owned(), count);
            }
        }
    }
    callbacks
}

/// How the running instance is doing, as JSON.
pub(super) async fn status(State(web): State<Web>) -> Json<Status> {
    Json(web.overview.now().await)
}
