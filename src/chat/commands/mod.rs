//! What becomes of a command. Each group has its file; what is said has its words in `words`.
//!
//! A command is done before its row ends, so it may be done twice after a crash: each is such that this is no harm.

mod cards;
mod choose;
mod confirm;
mod facts;
mod figures;
mod glance;
mod key;
mod lists;
mod more;
mod operator;
mod words;

pub(super) use self::cards::{chosen_on_card, is_ours};
use self::words::Words;
use super::{persist::persist, render::plain, texts::Text, turn::Turns};
use crate::{
    model::{
        command::{Argument, Asked, Command, Who},
        language::Language,
        person::Role,
    },
    store::inbox::{Ending, Inbound},
};

impl Turns {
    /// Does what a member asked for.
    pub(super) async fn command(&self, claim: &Inbound, asked: Asked<'_>) {
        let Asked { command, argument } = asked;
        let role = if command == Command::Help || command.row().who != Who::Members {
            Box::pin(self.role_of(claim, &claim.event.from)).await
        } else {
            Role::Member
        };
        if !command.row().who.includes(role) {
            return self.reply(claim, Words::ForOperators).await;
        }
        if argument.is_empty() && matches!(command.row().argument, Argument::Must(..)) {
            return self.reply(claim, Words::Lacks(command)).await;
        }
        match command {
            Command::Help => {
                let keys = Box::pin(self.makes_keys(claim)).await;
                let (privacy, days) = (self.settings.privacy, self.settings.keep_days());
                self.say(claim, Text::Help { role, privacy, days, keys }).await;
            }
            Command::Retry | Command::History | Command::Export | Command::Remember
                if !self.settings.privacy.keeps_texts() =>
            {
                self.reply(claim, Words::NotKept).await;
            }
            Command::New => {
                persist(&self.clock, || self.memory.close(&claim.lane, self.clock.now())).await;
                self.say(claim, Text::NewConversation).await;
            }
            Command::Stop if self.stops.finish(&claim.lane, claim.seq) => self.say(claim, Text::Stopped).await,
            Command::Stop => self.say(claim, Text::NothingToStop).await,
            Command::Retry => self.retry(claim).await,
            Command::Image if self.draws() => Box::pin(self.draw(claim, argument)).await,
            Command::Image => self.reply(claim, Words::NoPictures).await,
            Command::Model => self.choose_model(claim, argument).await,
            Command::Persona => self.choose_persona(claim, argument).await,
            Command::Lang => self.choose_language(claim, argument).await,
            Command::Voice => self.choose_voice(claim, argument).await,
            Command::Markdown => self.choose_output(claim, argument).await,
            Command::Usage => self.show_usage(claim).await,
            Command::More => Box::pin(self.ask_for_more(claim, argument)).await,
            Command::History => self.show_history(claim).await,
            Command::Export => self.export(claim).await,
            Command::Remember => self.remember(claim, argument).await,
            Command::Memory => self.show_facts(claim).await,
            Command::Forget => self.forget(claim, argument).await,
            Command::Key => Box::pin(self.own_keys(claim, argument)).await,
            Command::Status => self.show_status(claim).await,
            Command::Block => Box::pin(self.block(claim, role, argument)).await,
            Command::Unblock => Box::pin(self.unblock(claim, role, argument)).await,
            Command::Blocked => Box::pin(self.show_blocked(claim, role)).await,
            Command::Announce => self.announce(claim, argument).await,
            Command::Grant | Command::Deny => Box::pin(self.decide_in_writing(claim, command, argument)).await,
        }
    }

    /// Asks the last question of the conversation again. Its answer is no longer part of the conversation, once there
    /// is another.
    async fn retry(&self, claim: &Inbound) {
        let last = persist(&self.clock, || self.store.replace_last_turn(claim)).await;
        match last {
            Some(last) => Box::pin(self.turn_for(claim, Some(Box::new(last)))).await,
            None => self.reply(claim, Words::NothingToRetry).await,
        }
    }

    /// Ends the command with these words.
    async fn reply(&self, claim: &Inbound, words: Words<'_>) {
        let language = self.language(claim).await;
        self.finish(claim, Ending::Says(plain(&words.render(language)))).await;
    }

    /// In which language the member is spoken to.
    pub(super) async fn language(&self, claim: &Inbound) -> Language {
        self.preferences(claim).await.language(self.settings.language)
    }
}

/// What an operator is told when everybody has their announcement.
pub(super) fn announced(sent: u64, language: Language) -> String {
    Words::Announced(sent).render(language)
}
