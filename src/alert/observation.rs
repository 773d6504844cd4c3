//! What the watcher saw, in plain values: all that an alert is decided from.

use std::sync::Arc;

use crate::clock::Timestamp;

/// Everything at one moment. What cannot be found out is as it was found last.
#[derive(Clone, Debug)]
pub struct Observation {
    /// When it was seen.
    pub now: Timestamp,
    /// Since when this process runs.
    pub started_at: Timestamp,
    /// Whether the process before ended without being told to.
    pub crashed: bool,
    /// Whether messages of the application that tells the operators get through to WeCom.
    pub wecom: Wecom,
    /// Where there are several applications: what that one is called, for a name is to be told then.
    pub app: Option<Arc<str>>,
    /// Whether messages of the others get through, by what each is called.
    pub others: Vec<(Arc<str>, Wecom)>,
    /// How the last questions ended, oldest first.
    pub answers: Vec<Answer>,
    /// Keys of models that are set aside until somebody mends something, while others may still answer.
    pub set_aside: Vec<SetAside>,
    /// Since when the question waits that has waited longest for a worker.
    pub inbox_waiting_since: Option<Timestamp>,
    /// Since when the message waits that has waited longest to be sent while WeCom took messages.
    pub outbox_waiting_since: Option<Timestamp>,
    /// Free bytes on the disk of the database; `None`: the system does not say.
    pub disk_free: Option<u64>,
    /// How large the database is; `None`: its size is not limited.
    pub size: Option<Size>,
    /// Whether the database can be written.
    pub database: Database,
    /// Messages to members that were given up within [`DEAD_LETTER_NEWS`](super::judge::DEAD_LETTER_NEWS) and are still
    /// there; `None`: none.
    pub dead_letters: Option<DeadLetters>,
    /// The certificate that is served; `None`: there is none, or somebody else looks after it.
    pub certificate: Option<Certificate>,
    /// Rules that fitted within the last hour and that operators want to hear of; `None`: none.
    pub safety: Option<SafetyHits>,
}

impl Observation {
    /// Whether nothing gets through of any application.
    pub(super) fn is_blocked(&self) -> bool {
        let all = self.others.iter().map(|(_, wecom)| wecom).chain([&self.wecom]);
        all.into_iter().all(|wecom| matches!(wecom, Wecom::Blocked { .. }))
    }
}

/// Whether messages get through to WeCom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wecom {
    /// They do, or nothing says that they do not.
    Works {
        /// Since when.
        since: Timestamp,
    },
    /// They do not.
    Blocked {
        /// Since when.
        since: Timestamp,
        /// Why.
        reason: Block,
    },
}

/// Why nothing gets through to WeCom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Block {
    /// WeCom refuses the application.
    Refused {
        /// WeCom's number for it.
        errcode: i64,
        /// What mends it, in a few English words.
        remedy: Option<&'static str>,
    },
    /// WeCom does not trust the address.
    Address(Option<String>),
    /// WeCom does not answer, or not in a way that tells whether it took the message.
    Unreachable,
    /// WeCom wants fewer calls.
    SlowDown,
}

impl Block {
    /// A word that never changes, for the metrics and the status.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Refused { .. } => "misconfigured",
            Self::Address(_) => "ip_refused",
            Self::Unreachable => "unreachable",
            Self::SlowDown => "slow_down",
        }
    }
}

/// How a question ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// When.
    pub at: Timestamp,
    /// How.
    pub end: End,
}

/// A key of a model that is set aside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetAside {
    /// Since when.
    pub since: Timestamp,
    /// How the last question to it ended.
    pub end: End,
    /// The upstream's name.
    pub upstream: String,
    /// Which of its keys, counted from 1.
    pub key: usize,
    /// The alias of the model.
    pub model: String,
}

/// How a question ended, as far as alerts care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The model answered.
    Answered,
    /// The model refused the API key.
    KeyRefused,
    /// The account has nothing left.
    NoCredit,
    /// The settings make no request that the model takes.
    Misconfigured,
    /// The model could not be reached, failed, or refused for another reason.
    ModelFailed,
    /// Something else kept the answer away: the model gave no word, or a worker broke.
    OtherwiseFailed,
}

/// Whether the database can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Database {
    /// It can.
    Writable {
        /// Since when.
        since: Timestamp,
    },
    /// It cannot.
    Failing {
        /// Since when.
        since: Timestamp,
        /// What the store says.
        error: String,
    },
}

/// How large the database is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Bytes in use.
    pub used: u64,
    /// Bytes that it may have.
    pub limit: u64,
}

/// Messages that were given up lately, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeadLetters {
    /// How many.
    pub count: u64,
    /// When the last was given up.
    pub newest_at: Timestamp,
}

/// The certificate that is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Since when it is good.
    pub begins_at: Timestamp,
    /// Until when it is good.
    pub ends_at: Timestamp,
    /// Whether it should renew itself.
    pub renews_itself: bool,
}

/// Rules of `[safety]` that fitted lately, at least once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SafetyHits {
    /// How often.
    pub count: u64,
    /// The last time.
    pub newest_at: Timestamp,
}
