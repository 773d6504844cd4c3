//! The card below an announcement that is shown: its buttons send that one or take it back. The text above it says how
//! to do so in writing, for clients that show no cards.

use serde_json::json;
use tracing::info;

use super::{
    cards::{PREFIX, mark},
    words::Words,
};
use crate::{
    chat::{cause::chain, turn::Turns},
    model::{
        language::Language,
        person::{Power, Reach},
        reply::{Card, ReplyPart},
    },
    store::{announcements::Step, inbox::Inbound},
};

/// What stands behind the prefix in the tasks of these cards.
pub(super) const WORD: &str = "announce";
/// The key of the button that sends.
const SEND: &str = "qimate:send";
/// The key of the button that takes back.
const CANCEL: &str = "qimate:cancel";

/// What the card of an announcement needs beside its id.
#[derive(Clone, Debug)]
pub(super) struct Confirmation {
    of: String,
    at: i64,
    language: Language,
}

impl Confirmation {
    /// For the operator who wrote `claim`.
    pub(super) fn of(claim: &Inbound, language: Language) -> Self {
        Self { of: mark(&claim.lane), at: claim.received_at.as_millis(), language }
    }

    /// The card of the announcement `id`, which would go to so many.
    pub(super) fn part(&self, id: i64, recipients: u64) -> Option<ReplyPart> {
        let (title, about, send, cancel) = match self.language {
            Language::Chinese => ("发送上面的公告？", format!("将发给 {recipients} 人，10 分钟内有效"), "发送", "取消"),
            Language::English => {
                ("Send the announcement?", format!("To {recipients}; within 10 minutes"), "Send", "Cancel")
            }
        };
        // The same after a crash, and no other card's: ids may come again with another database, but not at that time.
        let task = format!("{PREFIX}-{WORD}-{}-{id}-{}", self.of, self.at);
        let card = json!({
            "card_type": "button_interaction",
            "main_title": { "title": title, "desc": about },
            "button_list": [
                { "text": send, "key": SEND, "style": 1 },
                { "text": cancel, "key": CANCEL, "style": 2 },
            ],
        });
        Card::new(task, card).ok().map(|card| ReplyPart::Card(Box::new(card)))
    }
}

impl Turns {
    /// A button below the announcement `id` was pressed. What it does is done once, in the transaction that ends the
    /// press; the card is changed after it, so one that could not be changed can be pressed again, and then says what
    /// became of its announcement.
    pub(super) async fn confirm(&self, claim: &Inbound, id: i64, key: &str, response_code: &str) {
        let role = Box::pin(self.role_of(claim, &claim.event.from)).await;
        if role.reach(Power::Announce) == Reach::Nobody {
            return self.reply(claim, Words::ForOperators).await;
        }
        let step = if key == SEND { Step::Send(Some(id)) } else { Step::Cancel(Some(id)) };
        self.step(claim, step, None).await;
        let done = match self.language(claim).await {
            Language::Chinese => "已处理",
            Language::English => "Done",
        };
        let Some(wecom) = &self.wecom else { return };
        if let Err(error) = wecom.update_card(&claim.event.from, response_code, done).await {
            info!(inbox.seq = claim.seq, error = %chain(&error), "the card of an announcement was not changed");
        }
    }
}
