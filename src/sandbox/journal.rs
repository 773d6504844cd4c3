//! What travelled between WeCom, the daemon and the model, step by step, in words for people and with every secret
//! starred.
//!
//! Knows nothing of the protocol: those who speak it write the steps. Bounded, so a demo can run for days. To add a
//! kind of step, add a variant to [`Kind`]; the page draws those that it does not know like the others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;
use tokio::sync::watch;

use crate::clock::{Clock, Timestamp};

/// How many steps are kept.
pub const KEPT: usize = 500;
/// How many bytes of a step's detail are kept; a model request can be long.
const DETAIL_LIMIT: usize = 6000;
/// Shorter than this, a secret would star half the journal.
const SHORTEST_SECRET: usize = 4;
/// What stands where a secret stood.
const STARS: &str = "***";

/// What a step is about; the page colours by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A callback as its author means it: the inner XML.
    Callback,
    /// A callback as it travels: URL, signature, ciphertext.
    Envelope,
    /// What the daemon answered to a callback.
    Acknowledged,
    /// `gettoken`.
    AccessToken,
    /// `message/send` and the other calls to WeCom's API.
    Send,
    /// A request to the model.
    ModelRequest,
    /// What the model streams: start, first piece, end.
    ModelStream,
    /// The daemon's process started or ended.
    Daemon,
    /// A line that the daemon logged.
    Log,
    /// A trouble was switched on or off.
    Trouble,
    /// Something was changed in WeCom's console.
    Console,
}

/// One step that was recorded.
#[derive(Clone, Debug, Serialize)]
pub struct Step {
    /// Counts from 1, without gaps.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// What it is about.
    pub kind: Kind,
    /// 中文
    pub title_zh: String,
    /// English
    pub title_en: String,
    /// XML, JSON, a URL: what stands behind the title. May be empty.
    pub detail: String,
    /// How long it took, in milliseconds, where that means something.
    pub duration_ms: Option<u64>,
    /// Whether it went wrong.
    pub failed: bool,
}

/// A step to be recorded.
#[derive(Debug)]
pub struct Entry {
    kind: Kind,
    title_zh: String,
    title_en: String,
    detail: String,
    duration: Option<Duration>,
    failed: bool,
}

impl Entry {
    /// With its title in Chinese and in English.
    pub fn new(kind: Kind, title_zh: impl Into<String>, title_en: impl Into<String>) -> Self {
        let (title_zh, title_en) = (title_zh.into(), title_en.into());
        Self { kind, title_zh, title_en, detail: String::new(), duration: None, failed: false }
    }

    /// With what stands behind the title.
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = detail.into();
        self
    }

    /// With how long it took.
    pub const fn took(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// Marks it as gone wrong, if it did.
    pub const fn failed(mut self, failed: bool) -> Self {
        self.failed = failed;
        self
    }
}

/// The list of steps. Clones write into the same one.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    pages: Mutex<Pages>,
    last: watch::Sender<u64>,
}

#[derive(Default)]
struct Pages {
    steps: VecDeque<Step>,
    next: u64,
    secrets: Vec<String>,
}

impl std::fmt::Debug for Pages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pages").field("steps", &self.steps.len()).finish_non_exhaustive()
    }
}

impl Journal {
    /// An empty one.
    pub fn new(clock: Clock) -> Self {
        let pages = Mutex::new(Pages { next: 1, ..Pages::default() });
        Self(Arc::new(Shared { clock, pages, last: watch::Sender::new(0) }))
    }

    /// From now on `secret` is starred wherever it stands in a step.
    pub fn star(&self, secret: &str) {
        let mut pages = self.pages();
        if secret.len() >= SHORTEST_SECRET && !pages.secrets.iter().any(|known| known == secret) {
            pages.secrets.push(secret.to_owned());
        }
    }

    /// Writes a step down.
    pub fn record(&self, entry: Entry) {
        let at = self.0.clock.now();
        let last = {
            let mut pages = self.pages();
            let seq = pages.next;
            pages.next += 1;
            let step = Step {
                seq,
                at,
                kind: entry.kind,
                title_zh: pages.starred(entry.title_zh),
                title_en: pages.starred(entry.title_en),
                detail: shortened(pages.starred(entry.detail)),
                duration_ms: entry.duration.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
                failed: entry.failed,
            };
            pages.steps.push_back(step);
            if pages.steps.len() > KEPT {
                pages.steps.pop_front();
            }
            seq
        };
        // Two writers can arrive here in the other order.
        self.0.last.send_if_modified(|newest| {
            last > *newest && {
                *newest = last;
                true
            }
        });
    }

    /// The kept steps after the one numbered `seq`, oldest first; 0 for all.
    pub fn after(&self, seq: u64) -> Vec<Step> {
        self.pages().steps.iter().filter(|step| step.seq > seq).cloned().collect()
    }

    /// Shows the number of the newest step, to those who wait for the next.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.last.subscribe()
    }

    /// Forgets the steps; numbers go on.
    pub fn clear(&self) {
        self.pages().steps.clear();
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // A panic cannot leave the list half written: every change is one push or one pop.
        self.0.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pages {
    fn starred(&self, text: String) -> String {
        self.secrets.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), STARS) } else { text }
        })
    }
}

fn shortened(mut detail: String) -> String {
    if detail.len() > DETAIL_LIMIT {
        detail.truncate(detail.floor_char_boundary(DETAIL_LIMIT));
        detail.push('…');
    }
    detail
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_starred_in_titles_and_details() {
        let journal = Journal::new(Clock::System);
        journal.star("s3cret-s3cret");
        journal.star("");
        journal.record(
            Entry::new(Kind::Send, "带 s3cret-s3cret", "with s3cret-s3cret").detail("?access_token=s3cret-s3cret&x=1"),
        );
        let step = &journal.after(0)[0];
        assert_eq!((step.title_zh.as_str(), step.title_en.as_str()), ("带 ***", "with ***"));
        assert_eq!(step.detail, "?access_token=***&x=1");
    }

    #[test]
    fn only_the_newest_steps_are_kept_and_numbers_go_on() {
        let journal = Journal::new(Clock::System);
        for n in 0..KEPT + 5 {
            journal.record(Entry::new(Kind::Log, n.to_string(), n.to_string()));
        }
        let steps = journal.after(0);
        assert_eq!((steps.len(), steps[0].seq), (KEPT, 6));
        assert_eq!(journal.after(KEPT as u64 + 3).len(), 2);
        assert_eq!(*journal.subscribe().borrow(), KEPT as u64 + 5);
    }

    #[test]
    fn a_long_detail_is_cut_between_characters() {
        let journal = Journal::new(Clock::System);
        journal.record(Entry::new(Kind::Log, "", "").detail("字".repeat(DETAIL_LIMIT)));
        let detail = &journal.after(0)[0].detail;
        assert!(detail.ends_with("字…") && detail.len() <= DETAIL_LIMIT + '…'.len_utf8());
    }
}
