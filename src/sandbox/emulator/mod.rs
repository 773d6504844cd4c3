//! WeCom's cloud: the API that the daemon calls, and the callbacks that call the daemon.
//!
//! Rules of WeCom stand in [`message`] (what one request may say) and in `state` (what follows from the requests
//! before it); `api` puts them on HTTP, [`callback`] is the way in, [`console`] is where an administrator sets up both.
//! Nobody here knows who the daemon is: it is a URL.
//!
//! To add an API call, add its handler to `api`; to add a kind of callback, add a function to [`callback`].

mod api;
pub mod callback;
mod card;
pub mod console;
pub mod contacts;
mod media;
mod menu;
pub mod message;
mod state;
pub mod upload;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use reqwest::Client;
use serde::Serialize;
use tokio::sync::watch;

use self::{
    state::State,
    upload::{ShownFile, UploadedFile},
};
use super::{Error, Served, envelope::Seal, journal::Journal, random, serve, trouble::Trouble};
use crate::{
    clock::{Clock, Timestamp},
    model::id::{AgentId, CorpId},
    net,
    secret::Secret,
};

/// The longest that a connection to the daemon may take to be made; the callback's own limit is shorter or equal.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// The application as WeCom's console shows it.
#[derive(Clone, Debug)]
pub struct EmulatorSettings {
    /// The enterprise.
    pub corp_id: CorpId,
    /// The application.
    pub agent_id: AgentId,
    /// The application's secret.
    pub secret: Secret<String>,
    /// The callback's Token.
    pub callback_token: Secret<String>,
    /// The callback's EncodingAESKey.
    pub encoding_aes_key: Secret<String>,
}

impl EmulatorSettings {
    /// An application of `corp_id` whose secrets are drawn anew.
    pub fn invent(corp_id: CorpId, agent_id: AgentId) -> Self {
        // The last of 43 characters carries four bits; `A` has none of the two that are left over.
        let encoding_aes_key = format!("{}A", &hex::encode(random::<21>())[..42]);
        Self {
            corp_id,
            agent_id,
            secret: Secret::new(hex::encode(random::<22>())),
            callback_token: Secret::new(hex::encode(random::<12>())),
            encoding_aes_key: Secret::new(encoding_aes_key),
        }
    }
}

/// A message that a member's phone shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivered {
    /// To whom, as the request wrote it.
    pub member: String,
    /// `text`, `markdown`, `image`, `voice`, `file` or `template_card`.
    pub msgtype: String,
    /// What it says, cut where WeCom cuts; of a file the id, of a card its JSON.
    pub content: String,
    /// When.
    pub at: Timestamp,
    /// WeCom's id of it.
    pub msgid: String,
    /// Its place among everything said in any chat.
    pub seq: u64,
}

/// One line of a chat, from either side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Its place among everything said in any chat; counts from 1.
    pub seq: u64,
    /// When.
    pub at: Timestamp,
    /// Whose chat it is in.
    pub member: String,
    /// Whether the member wrote it; else the application did.
    pub from_member: bool,
    /// `text`, `markdown`, `image`, `voice`, `file` or `template_card`; `card_update` where the application changed a
    /// card that stands above.
    pub msgtype: String,
    /// What it says; of a card its JSON.
    pub content: String,
    /// The file that it shows.
    pub file: Option<ShownFile>,
}

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// `gettoken` calls, refused ones among them.
    pub gettoken: u64,
    /// `message/send` calls, refused ones among them.
    pub sends: u64,
    /// `media/upload` calls, refused ones among them.
    pub uploads: u64,
    /// Messages that the duplicate check swallowed.
    pub duplicates: u64,
    /// Messages beyond 30 a minute or 1000 an hour to one member, swallowed.
    pub over_rate: u64,
    /// Messages longer than 2048 bytes, cut.
    pub cut: u64,
}

/// WeCom's cloud on a loopback port. Clones are the same cloud; it is gone with the last of them.
#[derive(Clone, Debug)]
pub struct Emulator {
    cloud: Arc<Cloud>,
    server: Arc<Served>,
}

/// What the handlers share.
#[derive(Debug)]
struct Cloud {
    settings: EmulatorSettings,
    /// What callbacks are sealed with, unless the console says otherwise.
    seal: Arc<Seal>,
    clock: Clock,
    http: Client,
    journal: Journal,
    state: Mutex<State>,
    /// The `seq` of the newest line of any chat.
    last_line: watch::Sender<u64>,
}

impl Emulator {
    /// Starts on a free loopback port, with a journal of its own.
    ///
    /// # Errors
    /// [`Error`] when no port can be had or the callback secrets are unusable.
    pub async fn start(settings: EmulatorSettings, clock: Clock) -> Result<Self, Error> {
        let journal = Journal::new(clock.clone());
        Self::start_with_journal(settings, clock, journal).await
    }

    /// Starts on a free loopback port and writes what happens into `journal`.
    ///
    /// # Errors
    /// [`Error`] when no port can be had or the callback secrets are unusable.
    pub async fn start_with_journal(settings: EmulatorSettings, clock: Clock, journal: Journal) -> Result<Self, Error> {
        net::install_crypto();
        let http = net::http_client(None, CONNECT_TIMEOUT).map_err(Error::Client)?;
        let EmulatorSettings { corp_id, agent_id, secret, callback_token, encoding_aes_key } = &settings;
        let seal = Seal::new(corp_id.clone(), *agent_id, callback_token.expose(), encoding_aes_key.expose())
            .map_err(Error::Secrets)?;
        for secret in [secret, callback_token, encoding_aes_key] {
            journal.star(secret.expose());
        }
        let cloud = Arc::new(Cloud {
            settings,
            seal: Arc::new(seal),
            clock,
            http,
            journal,
            state: Mutex::default(),
            last_line: watch::Sender::new(0),
        });
        let server = serve(api::router(Arc::clone(&cloud)), 0).await?;
        Ok(Self { cloud, server: Arc::new(server) })
    }

    /// Where the API is: what the daemon is given as `wecom.api_base`.
    pub fn api_base(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The application that is played.
    pub fn settings(&self) -> &EmulatorSettings {
        &self.cloud.settings
    }

    /// Where callbacks go from now on.
    pub fn set_callback_url(&self, url: impl Into<String>) {
        self.cloud.state().callback_url = Some(url.into());
    }

    /// How long to wait before a callback is tried again; none at first. WeCom does not say how long it waits.
    pub fn set_retry_pause(&self, pause: Duration) {
        self.cloud.state().retry_pause = pause;
    }

    /// Changes or reads what is wrong at the moment: `emulator.trouble(|trouble| trouble.refuse_ip(true))`.
    pub fn trouble<T>(&self, with: impl FnOnce(&mut Trouble) -> T) -> T {
        with(&mut self.cloud.state().trouble)
    }

    /// The steps that this cloud writes.
    pub fn journal(&self) -> &Journal {
        &self.cloud.journal
    }

    /// Everything that was delivered, in order.
    pub fn delivered(&self) -> Vec<Delivered> {
        self.cloud.state().delivered.clone()
    }

    /// What `member` was shown, in order. Members are compared without case, as WeCom does.
    pub fn messages_for(&self, member: &str) -> Vec<Delivered> {
        let key = member.to_lowercase();
        self.cloud.state().delivered.iter().filter(|message| message.member.to_lowercase() == key).cloned().collect()
    }

    /// Waits until what was delivered fulfils `condition`, and returns it. Waits forever if it never does: give it a
    /// limit where that can happen.
    pub async fn wait_delivered(&self, condition: impl Fn(&[Delivered]) -> bool) -> Vec<Delivered> {
        let mut last = self.cloud.last_line.subscribe();
        loop {
            last.mark_unchanged();
            let delivered = self.delivered();
            if condition(&delivered) {
                return delivered;
            }
            // The sender lives in `self`, so this wait cannot fail.
            let _ = last.changed().await;
        }
    }

    /// What was said in all chats after the line numbered `seq`, by members and by the application; 0 for all.
    pub fn lines_after(&self, seq: u64) -> Vec<Line> {
        self.cloud.state().lines.iter().filter(|line| line.seq > seq).cloned().collect()
    }

    /// Shows the number of the newest line, to those who wait for the next.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.cloud.last_line.subscribe()
    }

    /// A file that the daemon uploaded, by the id that it got.
    pub fn uploaded(&self, media_id: &str) -> Option<UploadedFile> {
        self.cloud.state().uploads.get(media_id).cloned()
    }

    /// Forgets what was uploaded, as WeCom does after three days.
    pub fn forget_uploads(&self) {
        self.cloud.state().uploads.clear();
    }

    /// Enters a member into the address book.
    pub fn enter_contact(&self, member: &str, name: &str, department: &str) {
        let entry = (name.to_owned(), department.to_owned());
        self.cloud.state().contacts.people.insert(member.to_lowercase(), entry);
    }

    /// Enters a whole address book, with the visible range of the application.
    pub fn set_book(&self, book: contacts::Book) {
        self.cloud.state().contacts.book = Some(book);
    }

    /// Refuses to say who somebody is with this errcode, until `None` is set.
    pub fn refuse_contacts(&self, errcode: Option<i64>) {
        self.cloud.state().contacts.refused = errcode;
    }

    /// Takes the question who somebody is, and never answers.
    pub fn hang_contacts(&self, on: bool) {
        self.cloud.state().contacts.hang = on;
    }

    /// How often it was asked who somebody is.
    pub fn contacts_asked(&self) -> u64 {
        self.cloud.state().contacts.asked
    }

    /// What was counted.
    pub fn counters(&self) -> Counters {
        self.cloud.state().counters
    }

    /// Empties the chats, as a member does on the phone. What was counted and the limits that were used up stay.
    pub fn clear_chats(&self) {
        let mut state = self.cloud.state();
        state.lines.clear();
        state.delivered.clear();
    }
}

impl Cloud {
    fn state(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything in it can panic; a test that panicked must not hide behind this.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells those who wait that there may be new lines.
    fn announce(&self) {
        let newest = self.state().last_seq;
        self.last_line.send_if_modified(|last| {
            newest > *last && {
                *last = newest;
                true
            }
        });
    }
}

#[cfg(test)]
mod tests;
