//! One sentence for whoever waits long.

use tracing::warn;

use super::Answerer;
use crate::{
    chat::{render::render, texts::Text},
    model::{language::Language, preferences::Preferences, reply::Format},
    store::inbox::Inbound,
};

/// Tells the member once that it takes a while, when nothing of the answer could be said in time. What comes before the
/// answer (a voice message, a picture) has one of its own; what the store keeps of a notice makes them one.
pub(super) struct SlowNotice<'a> {
    answerer: &'a Answerer,
    claim: &'a Inbound,
    language: Language,
    pending: bool,
}

impl<'a> SlowNotice<'a> {
    pub(super) fn new(answerer: &'a Answerer, claim: &'a Inbound, preferences: &Preferences, has_parts: bool) -> Self {
        let language = preferences.language(answerer.settings.language);
        Self { answerer, claim, language, pending: !has_parts && answerer.settings.slow_notice.is_some() }
    }

    pub(super) const fn said_something(&mut self) {
        self.pending = false;
    }

    /// Runs `work`; says the sentence beside it when its time comes.
    pub(super) async fn beside<T>(&mut self, mut work: impl Future<Output = T> + Unpin) -> T {
        if let (true, Some(limit)) = (self.pending, self.answerer.settings.slow_notice) {
            let due = self.answerer.clock.sleep_until(self.claim.received_at + limit);
            tokio::select! {
                biased;
                output = &mut work => return output,
                () = due => {}
            }
            self.pending = false;
            let text = Text::Slow.render(self.language);
            for part in render(&text, Format::Text) {
                let Self { answerer, claim, .. } = *self;
                let now = answerer.clock.now();
                // Boxed: few wait so long, and every turn would hold its future.
                let told = Box::pin(answerer.store.notify(claim.seq, &claim.event, part, now)).await;
                if let Err(error) = told {
                    warn!(inbox.seq = claim.seq, %error, "could not tell the member that it takes a while");
                }
            }
        }
        work.await
    }
}
