//! Somebody is on a route, and what becomes of it: the place is given back, and what was learnt is remembered.

use std::sync::Arc;

use tracing::info;

use super::{Inner, health::Health};
use crate::llm::{
    error::Error,
    stream::{CompletionStream, Delta},
};

/// Somebody is on a route. Gives the place back when it is dropped.
pub(super) struct Ticket {
    pub(super) inner: Arc<Inner>,
    pub(super) route: usize,
    /// Whether the route is known to answer, or not to.
    pub(super) known: bool,
}

impl Ticket {
    /// Whose route it is.
    pub(super) fn upstream(&self) -> &Arc<str> {
        &self.inner.routes[self.route].name
    }

    pub(super) fn well(&mut self) {
        self.known = true;
        let mut board = self.inner.board();
        let before = board.health[self.route];
        board.health[self.route] = before.well();
        board.aside[self.route] = None;
        drop(board);
        if before != Health::Healthy {
            let route = &self.inner.routes[self.route];
            info!(llm.upstream = %route.name, llm.key = route.key, llm.model = %route.alias, "a model answers again");
            self.inner.changed.notify_waiters();
        }
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.known = true;
        self.inner.remember(self.route, error);
    }

    /// What was written counts for the limit too.
    pub(super) fn wrote(&self, tokens: u64) {
        let mut board = self.inner.board();
        let now = self.inner.clock.uptime();
        if let Some(limit) = &mut board.tokens[self.inner.routes[self.route].upstream] {
            limit.take(now, tokens);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut board = self.inner.board();
        board.in_flight[self.route] -= 1;
        if !self.known {
            board.health[self.route] = board.health[self.route].unknown(self.inner.clock.uptime());
        }
        drop(board);
        self.inner.changed.notify_waiters();
    }
}

/// An answer that is being written, and by whom. Dropping it closes the connection.
#[must_use]
pub struct Answer {
    pub(super) stream: Box<CompletionStream>,
    pub(super) ticket: Ticket,
}

impl Answer {
    /// As [`CompletionStream::next`].
    ///
    /// # Errors
    /// As [`CompletionStream::next`].
    pub async fn next(&mut self) -> Option<Result<Delta, Error>> {
        let next = self.stream.next().await;
        match &next {
            Some(Err(error)) => self.ticket.failed(error),
            Some(Ok(Delta::Finish(finish))) => {
                if let Some(usage) = finish.usage {
                    self.ticket.wrote(usage.output);
                }
            }
            _ => {}
        }
        next
    }

    /// The upstream that writes it.
    pub fn upstream(&self) -> &Arc<str> {
        self.ticket.upstream()
    }

    /// The alias of the model.
    pub fn model(&self) -> &Arc<str> {
        &self.ticket.inner.routes[self.ticket.route].alias
    }
}
