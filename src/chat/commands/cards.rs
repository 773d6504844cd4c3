//! Choosing by a template card, where the member's client shows one: only WeCom's own does.
//!
//! A card's task names what is chosen and for whom, so a press is understood after any restart, and one by somebody else
//! is not. A press is done again after a crash, or pressed twice, without harm.

use serde_json::json;
use sha1::{Digest, Sha1};
use tracing::info;

use super::{
    confirm, more,
    words::{Choice, Words},
};
use crate::{
    chat::{cause::chain, turn::Turns},
    model::{
        id::Lane,
        language::Language,
        preferences::Client,
        reply::{Card, ReplyPart},
    },
    store::inbox::{Ending, Inbound},
};

/// The most buttons that a card has (page 90236). Beyond it the card is a list to choose from, with one button.
const MOST_BUTTONS: usize = 6;
/// The most that are listed so. A card would hold twenty, but nobody looks through them; beyond it the choice is a list
/// in text.
const MOST: usize = 10;
/// The longest id of something to choose, in bytes (page 90236).
const LONGEST_ID: usize = 128;
/// What the tasks of our cards begin with.
pub(super) const PREFIX: &str = "qimate";
/// The key of the button for no persona.
pub(super) const NONE: &str = "qimate:none";

/// The key of the one button below a list.
const CHOOSE: &str = "qimate:choose";
/// What the list of a card is called. It has only one.
const QUESTION: &str = "choice";

/// What was chosen on a card of ours: the button that was pressed or, below a list, what was picked there.
pub(in crate::chat) fn chosen_on_card<'a>(key: &'a str, chosen: &'a [String]) -> &'a str {
    chosen.first().filter(|_| key == CHOOSE).map_or(key, String::as_str)
}

/// What a card is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Model,
    Persona,
}

impl Subject {
    const fn word(self) -> &'static str {
        match self {
            Self::Model => "model",
            Self::Persona => "persona",
        }
    }
}

/// Whether a card's task is one of ours.
pub(in crate::chat) fn is_ours(task_id: &str) -> bool {
    Task::parse(task_id).is_some()
}

/// What a card's task says.
struct Task<'a> {
    asks: Asks,
    /// Whose card it is, as [`mark`] has it.
    of: &'a str,
}

/// What a card asks.
enum Asks {
    /// To choose.
    Choice(Subject),
    /// Whether the announcement with this id is to be sent.
    Announcement(i64),
    /// Whether more is given to the member who asked: the request's id, and when it was asked, in epoch milliseconds.
    Request(i64, i64),
}

impl<'a> Task<'a> {
    fn parse(task_id: &'a str) -> Option<Self> {
        let mut parts = task_id.split('-');
        let (prefix, word, of, number) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let asks = match [Subject::Model, Subject::Persona].into_iter().find(|subject| subject.word() == word) {
            Some(subject) => Asks::Choice(subject),
            None if word == confirm::WORD => Asks::Announcement(number.parse().ok()?),
            None if word == more::WORD => Asks::Request(number.parse().ok()?, parts.next()?.parse().ok()?),
            None => return None,
        };
        (prefix == PREFIX).then_some(Self { asks, of })
    }
}

/// What of a lane is in a task's name: a userid may hold what no task id can.
pub(super) fn mark(lane: &Lane) -> String {
    hex::encode(Sha1::digest(lane.as_str()))
}

impl Turns {
    /// Shows a card with these options and the current one, where the member's client shows cards and they fit on one.
    /// `false`: nothing was said.
    pub(super) async fn show_card(&self, claim: &Inbound, subject: Subject, options: &[&str], current: &str) -> bool {
        let shown = self.shows_cards(claim).await && (2..=MOST).contains(&options.len());
        let language = self.language(claim).await;
        let Some(card) = shown.then(|| card(claim, subject, options, current, language)).flatten() else {
            return false;
        };
        self.finish(claim, Ending::Says(vec![ReplyPart::Card(Box::new(card))])).await;
        true
    }

    /// Whether the member's client shows cards, as far as that is known.
    pub(super) async fn shows_cards(&self, claim: &Inbound) -> bool {
        self.wecom.is_some() && self.preferences(claim).await.client == Client::WeCom
    }

    /// A button was pressed.
    pub(in crate::chat) async fn press(&self, claim: &Inbound, key: &str, task_id: &str, response_code: &str) {
        let Some(Task { asks, of }) = Task::parse(task_id) else { return self.finish(claim, Ending::Silent).await };
        let subject = match asks {
            Asks::Announcement(id) => return Box::pin(self.confirm(claim, id, key, response_code)).await,
            Asks::Request(id, at) => {
                return Box::pin(self.decide_by_card(claim, (id, at), key, response_code)).await;
            }
            Asks::Choice(_) if of != mark(&claim.lane) => return self.reply(claim, Words::NotYourCard).await,
            Asks::Choice(subject) => subject,
        };
        if key == CHOOSE {
            return self.reply(claim, Words::NothingChosen).await;
        }
        let there = match subject {
            Subject::Model => self.models.offers(key),
            Subject::Persona => key == NONE || self.settings.personas.iter().any(|persona| *persona.name == *key),
        };
        if !there {
            return self.reply(claim, Words::GoneFromCard).await;
        }
        // The card may be older than what the member may use.
        if subject == Subject::Model && self.is_not_for(claim, &key.into()).await {
            return;
        }
        let (choice, name) = match subject {
            Subject::Model => {
                self.prefer(claim, |chosen| chosen.model = Some(key.into())).await;
                (Choice::Model(key), key)
            }
            Subject::Persona => {
                let persona = (key != NONE).then_some(key);
                self.prefer(claim, |chosen| chosen.persona = persona.map(Into::into)).await;
                (Choice::Persona(persona), key)
            }
        };
        let done = match (self.language(claim).await, name) {
            (Language::Chinese, NONE) => "已取消".to_owned(),
            (Language::English, NONE) => "None".to_owned(),
            (Language::Chinese, name) => format!("已选 {name}"),
            (Language::English, name) => format!("Chosen {name}"),
        };
        let updated = match &self.wecom {
            Some(wecom) => wecom.update_card(&claim.event.from, response_code, &done).await,
            None => return self.reply(claim, Words::Chosen(choice)).await,
        };
        match updated {
            Ok(()) => self.finish(claim, Ending::Silent).await,
            Err(error) => {
                info!(inbox.seq = claim.seq, error = %chain(&error), "a card was not changed; its choice is told in text");
                self.reply(claim, Words::Chosen(choice)).await;
            }
        }
    }
}

fn card(claim: &Inbound, subject: Subject, options: &[&str], current: &str, language: Language) -> Option<Card> {
    let (title, hint, none) = match (subject, language) {
        (Subject::Model, Language::Chinese) => ("选择模型", "以后由它回答你", ""),
        (Subject::Model, Language::English) => ("Choose a model", "It answers you from now on", ""),
        (Subject::Persona, Language::Chinese) => ("选择角色", "从下一个问题起生效", "不扮演"),
        (Subject::Persona, Language::English) => ("Choose a part", "From your next question on", "None"),
    };
    let text = |key: &str| if key == NONE { none.to_owned() } else { key.to_owned() };
    // The same after a crash, and no other card's: the row may come again with another database, but not at that time.
    let at = claim.received_at.as_millis();
    let task = format!("{PREFIX}-{}-{}-{}-{at}", subject.word(), mark(&claim.lane), claim.seq);
    let title = json!({ "title": title, "desc": hint });
    let card = if options.len() <= MOST_BUTTONS {
        // 1 is filled, 2 is not.
        let style = |key: &str| if key == current { 1 } else { 2 };
        let button = |key: &&str| json!({ "text": text(key), "key": *key, "style": style(key) });
        let buttons: Vec<_> = options.iter().map(button).collect();
        json!({ "card_type": "button_interaction", "main_title": title, "button_list": buttons })
    } else {
        if options.iter().any(|id| id.len() > LONGEST_ID) {
            return None;
        }
        let option = |id: &&str| json!({ "id": *id, "text": text(id), "is_checked": *id == current });
        let options: Vec<_> = options.iter().map(option).collect();
        let choose = match language {
            Language::Chinese => "确定",
            Language::English => "Choose",
        };
        json!({
            "card_type": "vote_interaction",
            "main_title": title,
            // 0: one of them.
            "checkbox": { "question_key": QUESTION, "mode": 0, "option_list": options },
            "submit_button": { "text": choose, "key": CHOOSE },
        })
    };
    Card::new(task, card).ok()
}
