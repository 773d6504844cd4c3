//! What somebody goes to an upstream for. To add one, say how it begins.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;

use super::{Answer, Attempts, Router, Wish, ticket::Ticket};
use crate::{
    llm::{
        cleared::ClearedRequest,
        client::Client,
        error::Error,
        relay::{Event, Made, Relayed, Whole, cleared::ClearedBody},
        stream::CompletionStream,
    },
    model::conversation::Usage,
};

/// One errand, which may be tried at several upstreams.
pub(super) trait Errand: Sync {
    /// What it brings.
    type Begun: Send;

    /// Asks one upstream, and waits until the answer begins.
    fn begin(
        &self,
        client: &Client,
        model: &str,
        deadline: Duration,
    ) -> impl Future<Output = Result<Self::Begun, Error>> + Send;
}

impl Errand for ClearedRequest<'_> {
    type Begun = Box<CompletionStream>;

    async fn begin(&self, client: &Client, model: &str, deadline: Duration) -> Result<Box<CompletionStream>, Error> {
        client.begin(model, self, deadline).await
    }
}

/// To pass a program's request on.
struct PassOn<'r> {
    request: &'r ClearedBody<'r>,
    most_output: Option<u64>,
}

impl Errand for PassOn<'_> {
    type Begun = Relayed;

    async fn begin(&self, client: &Client, model: &str, deadline: Duration) -> Result<Relayed, Error> {
        client.relay(model, self.request, self.most_output, deadline).await
    }
}

impl Router {
    /// Asks, and waits until the answer begins. Until then a failure leads to the next route and, when each has
    /// failed, after a pause to all of them again, up to `llm.max_retries` times; after it nothing is repeated. All of
    /// it must be over within `llm.answer_timeout` from now.
    ///
    /// Dropping the future or the stream closes the connection.
    ///
    /// # Errors
    /// [`Error`] of the last attempt; nothing of the answer has come then.
    pub async fn stream(
        &self,
        wish: Wish<'_>,
        request: &ClearedRequest<'_>,
        attempts: &mut Attempts,
    ) -> Result<Answer, Error> {
        let (stream, ticket) = self.go(wish, request, attempts).await?;
        Ok(Answer { stream, ticket })
    }

    /// Passes a program's request on in the same way; each answer may have at most `most_output` model tokens.
    ///
    /// # Errors
    /// As [`Router::stream`].
    pub async fn relay(
        &self,
        wish: Wish<'_>,
        request: &ClearedBody<'_>,
        most_output: Option<u64>,
        attempts: &mut Attempts,
    ) -> Result<RelayAnswer, Error> {
        let (relayed, ticket) = self.go(wish, &PassOn { request, most_output }, attempts).await?;
        Ok(RelayAnswer { relayed: Some(relayed), whole: None, by: By::Route(ticket) })
    }
}

/// What an upstream says to a program. Dropping it closes the connection.
#[must_use]
pub struct RelayAnswer {
    /// `None`: it was in one piece, which was given out.
    relayed: Option<Relayed>,
    whole: Option<(Option<Usage>, u64)>,
    by: By,
}

/// Who says it.
enum By {
    Route(Ticket),
    /// The only one that was asked, by its host.
    Place(Arc<str>),
}

/// What comes next of it.
#[derive(Debug)]
pub enum Next {
    /// All of it.
    Whole(Whole),
    /// Some events.
    Events(Vec<Event>),
    /// Some bytes.
    Bytes(Bytes),
}

impl RelayAnswer {
    pub(in crate::llm) const fn of_a_place(relayed: Relayed, host: Arc<str>) -> Self {
        Self { relayed: Some(relayed), whole: None, by: By::Place(host) }
    }

    /// The upstream that says it.
    pub fn upstream(&self) -> &Arc<str> {
        match &self.by {
            By::Route(ticket) => ticket.upstream(),
            By::Place(host) => host,
        }
    }

    /// What it comes as, where it is neither JSON in one piece nor events.
    pub fn content_type(&self) -> Option<&str> {
        match &self.relayed {
            Some(Relayed::Made(made)) => Some(made.content_type()),
            _ => None,
        }
    }

    /// What was made that is not words, as far as the upstream said so.
    pub fn made(&self) -> Made {
        match &self.relayed {
            Some(Relayed::Made(made)) => made.made(),
            Some(Relayed::Stream(stream)) => stream.made(),
            Some(Relayed::Whole(_)) | None => Made::default(),
        }
    }

    fn ticket(&mut self) -> Option<&mut Ticket> {
        match &mut self.by {
            By::Route(ticket) => Some(ticket),
            By::Place(_) => None,
        }
    }

    /// Whether it comes in events.
    pub const fn is_stream(&self) -> bool {
        matches!(self.relayed, Some(Relayed::Stream(_)))
    }

    /// What comes next; `None` after the last. Safe to drop before it is ready and to call again.
    ///
    /// # Errors
    /// [`Error`]: what came so far is part of an answer.
    pub async fn next(&mut self) -> Option<Result<Next, Error>> {
        if let Some(Relayed::Made(made)) = &mut self.relayed {
            return made.next().await.map(|bytes| bytes.map(Next::Bytes));
        }
        if let Some(Relayed::Stream(stream)) = &mut self.relayed {
            let next = stream.next().await;
            let output = stream.usage().map_or(0, |usage| usage.output);
            match (&next, self.ticket()) {
                (Some(Err(error)), Some(ticket)) => ticket.failed(error),
                (None, Some(ticket)) => ticket.wrote(output),
                _ => {}
            }
            return next.map(|events| events.map(Next::Events));
        }
        let Some(Relayed::Whole(whole)) = self.relayed.take() else { return None };
        self.whole = Some((whole.usage, whole.written));
        if let Some(ticket) = self.ticket() {
            ticket.wrote(whole.usage.map_or(0, |usage| usage.output));
        }
        Some(Ok(Next::Whole(whole)))
    }

    /// What it cost, as far as the upstream said so, and how many model tokens were written so far, about.
    pub fn seen(&self) -> (Option<Usage>, u64) {
        match &self.relayed {
            Some(Relayed::Stream(stream)) => (stream.usage(), stream.written()),
            Some(Relayed::Whole(whole)) => (whole.usage, whole.written),
            Some(Relayed::Made(_)) => (None, 0),
            None => self.whole.unwrap_or_default(),
        }
    }
}
