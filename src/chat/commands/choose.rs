//! What members choose: model, persona, language, form, voice.

use std::sync::Arc;

use super::{
    cards::{NONE, Subject},
    words::{Choice, Words},
};
use crate::{
    chat::{persist::persist, turn::Turns},
    model::{
        language::Language,
        preferences::{Output, Preferences},
    },
    store::inbox::{Ending, Inbound},
};

/// What takes a choice back.
const USUAL: [&str; 5] = ["default", "默认", "none", "无", "0"];

impl Turns {
    pub(super) async fn choose_model(&self, claim: &Inbound, argument: &str) {
        let aliases = self.answerer.models_for(claim).await;
        let chosen = self.offered(claim).await;
        let current = chosen.model.clone().unwrap_or_else(|| self.models.usual());
        let found = match argument {
            "" if !aliases.is_empty() => {
                let options: Vec<&str> = aliases.iter().map(|alias| &**alias).collect();
                if !self.show_card(claim, Subject::Model, &options, &current).await {
                    self.reply(claim, Words::Models { aliases: &aliases, current: &current, unknown: None }).await;
                }
                return;
            }
            // Without any that is for the member, it is said why the usual one is not.
            argument if argument.is_empty() || is_usual(argument) => None,
            argument => match find(&aliases, argument).or_else(|| named(&self.models.aliases(), argument)) {
                Some(alias) => Some(alias),
                None => {
                    let words = Words::Models { aliases: &aliases, current: &current, unknown: Some(argument) };
                    return self.reply(claim, words).await;
                }
            },
        };
        let name = found.clone().unwrap_or_else(|| self.models.usual());
        if self.is_not_for(claim, &name).await {
            return;
        }
        self.prefer(claim, |chosen| chosen.model = found.clone()).await;
        self.reply(claim, Words::Chosen(Choice::Model(&name))).await;
    }

    /// Whether a model is not for the member, who has been told why.
    pub(super) async fn is_not_for(&self, claim: &Inbound, alias: &Arc<str>) -> bool {
        let Err(refusal) = self.answerer.permit_model(claim, alias).await else { return false };
        let why = self.not_allowed(claim, &refusal, &*self.preferences(claim).await).await;
        self.finish(claim, Ending::Says(why)).await;
        true
    }

    pub(super) async fn choose_persona(&self, claim: &Inbound, argument: &str) {
        let personas = &self.settings.personas;
        if personas.is_empty() {
            return self.reply(claim, Words::NoPersonas).await;
        }
        let chosen = self.offered(claim).await;
        let current = chosen.persona.as_deref();
        let names: Vec<Arc<str>> = personas.iter().map(|persona| Arc::clone(&persona.name)).collect();
        let found = match argument {
            "" => {
                let options: Vec<&str> = std::iter::once(NONE).chain(names.iter().map(|name| &**name)).collect();
                if !self.show_card(claim, Subject::Persona, &options, current.unwrap_or(NONE)).await {
                    self.reply(claim, Words::Personas { personas, current, unknown: None }).await;
                }
                return;
            }
            argument if is_usual(argument) => None,
            argument => match find(&names, argument) {
                Some(name) => Some(name),
                None => {
                    return self.reply(claim, Words::Personas { personas, current, unknown: Some(argument) }).await;
                }
            },
        };
        self.prefer(claim, |chosen| chosen.persona = found.clone()).await;
        self.reply(claim, Words::Chosen(Choice::Persona(found.as_deref()))).await;
    }

    pub(super) async fn choose_language(&self, claim: &Inbound, argument: &str) {
        let language = match argument.to_lowercase().as_str() {
            "zh" | "cn" | "chinese" | "中文" | "汉语" => Language::Chinese,
            "en" | "english" | "英文" | "英语" => Language::English,
            _ => return self.reply(claim, Words::HowToLang).await,
        };
        self.prefer(claim, |chosen| chosen.language = Some(language)).await;
        self.reply(claim, Words::Chosen(Choice::Language(language))).await;
    }

    pub(super) async fn choose_voice(&self, claim: &Inbound, argument: &str) {
        let now = self.preferences(claim).await.voice_answers.unwrap_or_else(|| self.speaks_unasked());
        let on = match switch(argument) {
            Some(on) => on,
            None => return self.reply(claim, Words::HowToVoice { now: self.speaks.then_some(now) }).await,
        };
        self.prefer(claim, |chosen| chosen.voice_answers = Some(on)).await;
        self.reply(claim, Words::Chosen(Choice::Voice { on, offered: self.speaks })).await;
    }

    pub(super) async fn choose_output(&self, claim: &Inbound, argument: &str) {
        let output = match (switch(argument), argument.to_lowercase().as_str()) {
            (Some(true), _) => Output::Markdown,
            (Some(false), _) => Output::Text,
            (None, "auto" | "自动") => Output::Auto,
            (None, _) => {
                let now = self.preferences(claim).await.output.unwrap_or(self.settings.output);
                return self.reply(claim, Words::HowToOutput { now }).await;
            }
        };
        self.prefer(claim, |chosen| chosen.output = Some(output)).await;
        self.reply(claim, Words::Chosen(Choice::Output(output))).await;
    }

    /// Changes what the member chose, from now on. Of a claim that was lost nothing is kept, nor will its reply be.
    pub(super) async fn prefer(&self, claim: &Inbound, change: impl Fn(&mut Preferences)) {
        let mut chosen = Preferences::clone(&*self.preferences(claim).await);
        change(&mut chosen);
        let saved = persist(&self.clock, || self.memory.prefer(claim, chosen.clone(), self.clock.now())).await;
        if let Err(lost) = saved {
            tracing::debug!(inbox.seq = claim.seq, %lost, "nobody is there to choose");
        }
    }
}

fn is_usual(argument: &str) -> bool {
    USUAL.contains(&argument.to_lowercase().as_str())
}

/// The one of `names` that is meant: by its place, from 1, or by its name, however it is written.
fn find(names: &[Arc<str>], argument: &str) -> Option<Arc<str>> {
    let by_place = || argument.parse::<usize>().ok().and_then(|place| names.get(place.checked_sub(1)?)).cloned();
    named(names, argument).or_else(by_place)
}

/// The one of `names` that is meant by its name.
fn named(names: &[Arc<str>], argument: &str) -> Option<Arc<str>> {
    names.iter().find(|name| name.to_lowercase() == argument.to_lowercase()).cloned()
}

/// On, off, or neither.
fn switch(argument: &str) -> Option<bool> {
    match argument.to_lowercase().as_str() {
        "on" | "开" | "打开" | "开启" => Some(true),
        "off" | "关" | "关闭" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_goes_before_a_place() {
        let names: Vec<Arc<str>> = ["GPT-4o", "2", "smart"].map(Arc::from).to_vec();
        for (argument, meant) in [
            ("gpt-4O", Some("GPT-4o")),
            ("1", Some("GPT-4o")),
            ("2", Some("2")),
            ("3", Some("smart")),
            ("0", None),
            ("4", None),
            ("s", None),
        ] {
            assert_eq!(find(&names, argument).as_deref(), meant, "{argument}");
        }
    }
}
