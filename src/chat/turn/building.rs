//! The workers' tools, put together as the settings say. Knows nothing of what is done with them.

use std::{sync::Arc, time::Duration};

use super::{Speaking, Turns};
use crate::{
    chat::{
        album::Album, answer::Answerer, hearing::Hearing, joining::Joining, lately::Lately, memory::Memory,
        models::Models, profiles::Profiles, prompt::SystemPrompt, seeing::Seeing, stops::Stops, summaries::Wishes,
        tooling::Tooling,
    },
    clock::Clock,
    config,
    meter::{Meter, own_keys::OwnKeys},
    model::id::MemberId,
    net::fetch::Fetcher,
    store::Store,
    wecom::client::Client,
};

impl Turns {
    /// Puts the workers' tools together.
    pub fn new(
        store: Store,
        clock: Clock,
        settings: config::Chat,
        system_prompt: String,
        stops: Stops,
        meter: Arc<Meter>,
        lately: Arc<Lately>,
    ) -> Self {
        let began = clock.uptime();
        let (models, shared) = (Models::new(meter.router().clone()), Arc::clone(&meter));
        let memory = Memory::new(store.clone(), &settings);
        let reports = Arc::clone(&lately);
        let system = SystemPrompt::new(&system_prompt, &settings);
        let album = Album::new(store.clone(), 0);
        let answerer = Answerer::new(store.clone(), clock.clone(), settings.clone(), system, meter, reports, album);
        let joining = Joining::new(store.clone(), settings.join, Duration::ZERO);
        Self {
            store,
            clock,
            settings,
            stops,
            memory,
            answerer,
            lately,
            hearing: None,
            summaries: None,
            seeing: None,
            joining,
            speaking: None,
            gallery: None,
            models,
            wecom: None,
            operators: Vec::new(),
            meter: shared,
            began,
            team: config::Team::default(),
            own_keys: None,
            speaks: false,
            log_texts: false,
        }
    }

    /// Speaks of allowances in these words.
    pub fn with_team(self, team: config::Team) -> Self {
        Self { team, ..self }
    }

    /// Offers members these keys, where they may make some.
    pub fn with_own_keys(self, own_keys: Option<OwnKeys>) -> Self {
        Self { own_keys, ..self }
    }

    /// Whether questions and answers are logged, at the level debug (`log.message_text`).
    pub fn with_texts_in_the_log(self, log_texts: bool) -> Self {
        Self { log_texts, ..self }
    }

    /// Lets members choose by cards, which this client changes when they are pressed.
    pub fn with_cards(self, wecom: Client) -> Self {
        Self { wecom: Some(wecom), ..self }
    }

    /// Lets these members do what operators do.
    pub fn with_operators(self, operators: Vec<MemberId>) -> Self {
        Self { operators, ..self }
    }

    /// Hears voice messages with this, where there is one.
    pub fn with_hearing(self, hearing: Option<Hearing>) -> Self {
        Self { hearing, ..self }
    }

    /// Knows members by these, where the instructions name them.
    pub fn with_profiles(self, profiles: Option<Profiles>) -> Self {
        Self { answerer: self.answerer.with_profiles(profiles), ..self }
    }

    /// Has what no longer fits summed up.
    pub fn with_summaries(self, summaries: Option<Wishes>) -> Self {
        Self { summaries, ..self }
    }

    /// Looks at pictures, which it fetches with `wecom`.
    pub fn with_pictures(self, wecom: Client, settings: &config::Pictures) -> Self {
        let joining = Joining::new(self.store.clone(), self.settings.join, settings.question);
        let album = Album::new(self.store.clone(), settings.shown_again);
        let seeing = Some(Seeing::new(wecom, self.store.clone(), self.clock.clone(), settings.clone()));
        Self { answerer: self.answerer.with_album(album), joining, seeing, ..self }
    }

    /// Speaks answers with this, where there is one.
    pub fn with_speaking(self, speaking: Option<Speaking>) -> Self {
        Self { speaks: speaking.is_some(), speaking, ..self }
    }

    /// Fetches with this the pictures that the model makes and does not send along.
    pub fn with_gallery(self, gallery: Option<Fetcher>) -> Self {
        Self { gallery, ..self }
    }

    /// Reads and calls with this what answers need.
    pub fn with_tooling(self, tooling: Tooling) -> Self {
        Self { answerer: self.answerer.with_tooling(tooling), ..self }
    }

    /// Continues an answer that reaches the limit of its length so many times.
    pub fn with_continuations(self, most: u32) -> Self {
        Self { answerer: self.answerer.with_continuations(most), ..self }
    }
}
