//! Choosing by a template card, where the member's client shows one: only WeCom's own does.
//!
//! A card's task names what is chosen and for whom, so a press is understood after any restart, and one by somebody else
//! is not. A press is done again after a crash, or pressed twice, without harm.

use serde_json::json;
use sha1::{Digest, Sha1};
use tracing::info;

use super::words::{Choice, Words};
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

/// The most buttons that a card has (page 90236). Beyond it the choice is a list in text.
const MOST: usize = 6;
/// What the tasks of our cards begin with.
const PREFIX: &str = "qimate";
/// The key of the button for no persona.
pub(super) const NONE: &str = "qimate:none";

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
    subject_of(task_id).is_some()
}

fn subject_of(task_id: &str) -> Option<(Subject, &str)> {
    let mut parts = task_id.split('-');
    let (prefix, word, of) = (parts.next()?, parts.next()?, parts.next()?);
    let subject = [Subject::Model, Subject::Persona].into_iter().find(|subject| subject.word() == word)?;
    (prefix == PREFIX).then_some((subject, of))
}

/// What of a lane is in a task's name: a userid may hold what no task id can.
fn mark(lane: &Lane) -> String {
    hex::encode(Sha1::digest(lane.as_str()))
}

impl Turns {
    /// Shows a card with these options and the current one, where the member's client shows cards and they fit on one.
    /// `false`: nothing was said.
    pub(super) async fn show_card(&self, claim: &Inbound, subject: Subject, options: &[&str], current: &str) -> bool {
        let chosen = self.preferences(claim).await;
        let shown = chosen.client == Client::WeCom && self.wecom.is_some() && (2..=MOST).contains(&options.len());
        let language = chosen.language(self.settings.language);
        let Some(card) = shown.then(|| card(claim, subject, options, current, language)).flatten() else {
            return false;
        };
        self.finish(claim, Ending::Says(vec![ReplyPart::Card(Box::new(card))])).await;
        true
    }

    /// A button was pressed.
    pub(in crate::chat) async fn press(&self, claim: &Inbound, key: &str, task_id: &str, response_code: &str) {
        let Some((subject, of)) = subject_of(task_id) else { return self.finish(claim, Ending::Silent).await };
        if of != mark(&claim.lane) {
            return self.reply(claim, Words::NotYourCard).await;
        }
        let there = match subject {
            Subject::Model => self.models.offers(key),
            Subject::Persona => key == NONE || self.settings.personas.iter().any(|persona| *persona.name == *key),
        };
        if !there {
            return self.reply(claim, Words::GoneFromCard).await;
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
    let button = |key: &&str| {
        let text = if *key == NONE { none } else { *key };
        // 1 is filled, 2 is not.
        json!({ "text": text, "key": *key, "style": if *key == current { 1 } else { 2 } })
    };
    // The same after a crash, and no other card's: the row may come again with another database, but not at that time.
    let at = claim.received_at.as_millis();
    let task = format!("{PREFIX}-{}-{}-{}-{at}", subject.word(), mark(&claim.lane), claim.seq);
    let card = json!({
        "card_type": "button_interaction",
        "main_title": { "title": title, "desc": hint },
        "button_list": options.iter().map(button).collect::<Vec<_>>(),
    });
    Card::new(task, card).ok()
}
