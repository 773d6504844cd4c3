//! What the member of a message chose, as a turn asks for it, and the bot's own sentences in their language.

use std::{sync::Arc, time::Duration};

use tracing::debug;

use super::{allowance::payer, persist::persist, render::render, texts::Text, turn::Turns};
use crate::{
    model::{
        command::Command,
        event::EventKind,
        person::Denied,
        preferences::Preferences,
        reply::{Format, ReplyPart},
    },
    store::inbox::{Ending, Inbound},
};

/// A member is welcomed at most once in this time.
const WELCOME_WINDOW: Duration = Duration::from_secs(24 * 60 * 60);

impl Turns {
    /// Greets whoever opens the chat, where that is wished and was not done lately.
    pub(super) async fn welcome(&self, claim: &Inbound) {
        let now = self.clock.now();
        let welcomed = persist(&self.clock, || self.store.was_welcomed(&claim.lane, WELCOME_WINDOW, now)).await;
        let ending = match &self.settings.welcome {
            Some(text) if !welcomed => {
                Ending::Welcomes(render(text, self.preferences(claim).await.format(self.settings.output)))
            }
            _ => Ending::Silent,
        };
        self.finish(claim, ending).await;
    }

    pub(super) async fn own_words(&self, claim: &Inbound, text: Text<'_>) -> Vec<ReplyPart> {
        let language = self.preferences(claim).await.language(self.settings.language);
        render(&text.render(language), Format::Text)
    }

    /// Why nothing is done about a message. Outside the service hours commands are, and what asks the model is not.
    pub(super) async fn denied(&self, claim: &Inbound) -> Option<Denied> {
        let denied = self.people().denied(payer(claim), claim.epoch).await?;
        let asks_nothing = match &claim.event.kind {
            EventKind::Text { content } => Command::parse(content).is_some_and(|asked| !asked.command.asks_the_model()),
            EventKind::Click { key } => Command::of_key(key).is_none_or(|asked| !asked.command.asks_the_model()),
            EventKind::EnterAgent | EventKind::Subscribe | EventKind::CardClick { .. } => true,
            _ => false,
        };
        // What was begun in time is ended.
        let goes_on = claim.claims > 1 || asks_nothing;
        (!goes_on || !matches!(denied, Denied::Closed { .. })).then_some(denied)
    }

    /// Says to a member why they are not answered. Opening the chat says nothing.
    pub(super) async fn turn_away(&self, claim: &Inbound, denied: Denied) {
        match &claim.event.kind {
            EventKind::EnterAgent | EventKind::Subscribe => self.finish(claim, Ending::Silent).await,
            _ => {
                let preferences = self.preferences(claim).await;
                let text = self.wording(&preferences).denied(denied, None);
                self.finish(claim, Ending::Says(render(&text, Format::Text))).await;
            }
        }
    }

    /// What the member chose.
    pub(super) async fn preferences(&self, claim: &Inbound) -> Arc<Preferences> {
        persist(&self.clock, || self.memory.preferences(claim)).await
    }

    /// The same without what is no longer offered: that is taken back, and the member told once.
    pub(super) async fn offered(&self, claim: &Inbound) -> Arc<Preferences> {
        let chosen = self.preferences(claim).await;
        let there = |name: &Arc<str>| self.settings.personas.iter().any(|persona| persona.name == *name);
        let model_gone = chosen.model.as_ref().filter(|alias| !self.models.offers(alias));
        let persona_gone = chosen.persona.as_ref().filter(|name| !there(name));
        let text = match (model_gone, persona_gone) {
            (None, None) => return chosen,
            (Some(alias), _) => Text::ModelGone(alias),
            (None, Some(name)) => Text::PersonaGone(name),
        };
        // Said first: after a crash between the two it is said once all the same.
        let text = self.own_words(claim, text).await;
        for part in text {
            persist(&self.clock, || self.store.notify(claim.seq, &claim.event, part.clone(), self.clock.now())).await;
        }
        let mut offered = Preferences::clone(&chosen);
        offered.model.take_if(|_| model_gone.is_some());
        offered.persona.take_if(|_| persona_gone.is_some());
        let saved = persist(&self.clock, || self.memory.prefer(claim, offered.clone(), self.clock.now())).await;
        if let Err(lost) = saved {
            debug!(inbox.seq = claim.seq, %lost, "nobody is there to choose another model");
        }
        Arc::new(offered)
    }
}
