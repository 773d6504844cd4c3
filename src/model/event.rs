//! What a member did: the meaning of one callback.

use serde::{Deserialize, Serialize};

use super::{
    directory::ContactChange,
    id::{AgentId, CorpId, Lane, MemberId},
    preferences::Client,
};
use crate::clock::Timestamp;

/// One thing that a member did in the chat with the application.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Event {
    /// The enterprise.
    pub corp: CorpId,
    /// The application it was done in.
    pub agent: AgentId,
    /// Who did it.
    pub from: MemberId,
    /// When, by WeCom's clock (whole seconds).
    pub at: Timestamp,
    /// What tells it from every other event.
    pub dedup: DedupKey,
    /// What it was.
    pub kind: EventKind,
}

impl Event {
    /// The lane on which this event keeps its place.
    pub fn lane(&self) -> Lane {
        Lane::new(&self.corp, self.agent, &self.from)
    }
}

/// The key under which a repeated callback is recognised (WeCom sends one up to three times, page 90238).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DedupKey(String);

impl DedupKey {
    /// For a message: its `MsgId`, which is only unique within corp, agent and sender. The time stands first, so that
    /// the keys of a second lie side by side in the store's index; WeCom repeats a message with its first `CreateTime`.
    pub fn of_message(corp: &CorpId, agent: AgentId, from: &MemberId, at: Timestamp, msg_id: &str) -> Self {
        Self(format!("{}:m:{corp}:{agent}:{}:{msg_id}", at.as_secs(), from.key()))
    }

    /// For an event, which has no `MsgId`: two different events of one second differ in `name` or `detail` (the
    /// `EventKey`, and the `TaskId` of a card).
    pub fn of_event(corp: &CorpId, agent: AgentId, from: &MemberId, at: Timestamp, name: &str, detail: &str) -> Self {
        Self(format!("{}:e:{corp}:{agent}:{}:{name}:{detail}", at.as_secs(), from.key()))
    }

    /// The key as the store keeps it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What a member did. Types that WeCom invents later are [`EventKind::Unknown`], never an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// Wrote a text.
    Text {
        /// What was written.
        content: String,
    },
    /// Sent a picture.
    Image {
        /// For `media/get`, three days.
        media_id: String,
        /// A direct link.
        pic_url: String,
    },
    /// Spoke.
    Voice {
        /// For `media/get`, three days.
        media_id: String,
        /// `amr`, `speex`, ...
        format: String,
    },
    /// Sent a video.
    Video {
        /// For `media/get`, three days.
        media_id: String,
        /// The still picture, for `media/get`.
        thumb_media_id: String,
    },
    /// Sent a place.
    Location {
        /// Degrees north, as WeCom wrote them.
        latitude: String,
        /// Degrees east, as WeCom wrote them.
        longitude: String,
        /// The address in words.
        label: String,
        /// With what it was sent, where that was said.
        #[serde(default)]
        client: Client,
    },
    /// Shared a link.
    Link {
        /// Its title.
        title: String,
        /// Its description.
        description: String,
        /// Where it leads.
        url: String,
    },
    /// Opened the chat with the application.
    EnterAgent,
    /// Came into the application's visible range.
    Subscribe,
    /// Left the application's visible range.
    Unsubscribe,
    /// Nothing: somebody changed the address book.
    ContactChange(ContactChange),
    /// Chose a menu entry.
    Click {
        /// The key of the menu entry.
        key: String,
    },
    /// Pressed a button of a template card, or chose on it and sent that.
    CardClick {
        /// The key of the button.
        key: String,
        /// The card's task.
        task_id: String,
        /// Lets the card be updated, once, for 72 hours.
        response_code: String,
        /// The ids of what was chosen, in the order of the card; empty where it asks nothing.
        #[serde(default)]
        chosen: Vec<String>,
    },
    /// Anything else that carried the common fields.
    Unknown {
        /// `MsgType`, or `event:` and the `Event`.
        name: String,
        /// The decrypted XML.
        raw: String,
    },
}

impl EventKind {
    /// The client that the member surely did this with; `None` where it does not tell.
    pub const fn client(&self) -> Option<Client> {
        match self {
            Self::Location { client: Client::Unknown, .. } => None,
            Self::Location { client, .. } => Some(*client),
            // The WeChat plugin shows no cards (page 90236).
            Self::CardClick { .. } => Some(Client::WeCom),
            _ => None,
        }
    }

    /// A word for the log and for counting. Never content.
    pub fn name(&self) -> &str {
        match self {
            Self::Text { .. } => "text",
            Self::Image { .. } => "image",
            Self::Voice { .. } => "voice",
            Self::Video { .. } => "video",
            Self::Location { .. } => "location",
            Self::Link { .. } => "link",
            Self::EnterAgent => "enter_agent",
            Self::Subscribe => "subscribe",
            Self::Unsubscribe => "unsubscribe",
            Self::ContactChange(_) => "change_contact",
            Self::Click { .. } => "click",
            Self::CardClick { .. } => "card_click",
            Self::Unknown { .. } => "unknown",
        }
    }
}
