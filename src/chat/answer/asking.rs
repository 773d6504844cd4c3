//! Asks the model: puts the question, what was said before it and the pictures that it may see into a request, and has
//! that paid for. Knows nothing of what becomes of the answer.

use std::borrow::Cow;

use tracing::{debug, warn};

use super::{Answerer, Asked};
use crate::{
    chat::{
        album::Shown,
        allowance::payer,
        context::{self, Parts},
        outcome::Outcome,
        tooling::Work,
    },
    llm::client::ChatRequest,
    meter::{MediaReservation, Medium, Metered, Purpose, allowances::Refusal},
    model::{call::Kind, conversation::Exchange, profile::Profile},
    store::{conversation::TurnRecord, inbox::Inbound},
};

impl Answerer {
    /// Opens the pictures of the conversation and asks; without them where the model turns out not to see.
    pub(super) async fn begin<'a>(
        &'a self,
        asked: Asked<'a>,
        turn: &TurnRecord,
        answer_so_far: String,
        (purpose, work): (Purpose, Option<&Work>),
    ) -> Result<Metered<'a>, Outcome> {
        let own = &turn.exchange.pictures;
        let shown = if self.sees(asked.preferences) {
            // Rare, so not in every turn's future.
            Box::pin(self.album.open(own, &asked.conversation.exchanges)).await.unwrap_or_default()
        } else if own.is_empty() {
            Shown::default()
        } else {
            return Err(Outcome::Blind);
        };
        if shown.of(own).1 > 0 {
            return Err(Outcome::Gone);
        }
        let so_far = (answer_so_far.as_str(), purpose, work);
        let refused = match self.ask(asked, turn, so_far, &shown).await {
            Err(Outcome::Model(error)) if !shown.is_empty() && error.refuses_pictures() => error,
            begun => return begun,
        };
        warn!(inbox.seq = asked.claim.seq, turn.id = %turn.id, error = %refused,
            "the model takes no pictures; is llm.vision right?");
        if !own.is_empty() {
            return Err(Outcome::Blind);
        }
        let blank = Shown::default();
        Box::pin(self.ask(asked, turn, so_far, &blank)).await
    }

    async fn ask<'a>(
        &'a self,
        asked: Asked<'a>,
        turn: &TurnRecord,
        (answer_so_far, purpose, work): (&str, Purpose, Option<&Work>),
        shown: &Shown<'_>,
    ) -> Result<Metered<'a>, Outcome> {
        let Asked { claim, preferences, .. } = asked;
        let profile = match &self.profiles {
            Some(profiles) => Box::pin(profiles.of(claim)).await,
            None => Profile::default(),
        };
        let (mut request, tokens) = self.request(asked, &turn.exchange, &profile, (answer_so_far, work), shown);
        drop(profile);
        debug!(inbox.seq = claim.seq, turn.id = %turn.id, tokens.input = tokens, messages = request.messages.len(),
            "asking the model");
        let reserved = self.meter.reserve(payer(claim), (Kind::Chat, purpose), preferences.model.as_deref(), tokens);
        let reservation = reserved.await.map_err(Outcome::Quota)?;
        reservation.stream(&mut request).await.map_err(Outcome::of)
    }

    /// What the model is sent, and about how many model tokens it has. What it is made of is not kept while the model
    /// answers.
    fn request(
        &self,
        Asked { conversation, preferences, .. }: Asked<'_>,
        Exchange { question, pictures, .. }: &Exchange,
        profile: &Profile,
        (answer_so_far, work): (&str, Option<&Work>),
        shown: &Shown<'_>,
    ) -> (ChatRequest, usize) {
        let mut system = self.system.tell(preferences, conversation, profile, self.clock.now());
        let mut question = Cow::Borrowed(question.as_str());
        if let Some(work) = work {
            (system, question) = (work.system(&system), work.question(&question).into());
        }
        let question = &*question;
        let parts =
            Parts { system: &system, exchanges: &conversation.exchanges, question, pictures, shown, answer_so_far };
        let prompt = context::prompt(parts, self.settings.context_tokens, self.meter.counter());
        let (request, further) = match work {
            Some(work) => work.request(prompt.messages),
            None => (ChatRequest::of(prompt.messages), 0),
        };
        (request, prompt.tokens + further)
    }

    /// The permission for one call that brings no words.
    pub(in crate::chat) async fn reserve_media(
        &self,
        claim: &Inbound,
        medium: Medium,
    ) -> Result<MediaReservation<'_>, Refusal> {
        self.meter.reserve_media(payer(claim), medium).await
    }
}
