//! From a model's alias to an answer, by whichever upstream can give it.
//!
//! A route is a key of an upstream with one of its models. The router chooses one (`choose`), remembers how each
//! answers (`health`), keeps to the upstreams' limits (`limit`), and goes on to the next one as long as nothing of the
//! answer has come. Knows nothing of members and quotas. To add an upstream, add it to the configuration.

mod aside;
mod attempts;
mod board;
mod choose;
mod errand;
mod health;
mod limit;
mod offers;
mod sample;
#[cfg(test)]
mod tests;
mod ticket;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;
use tracing::{error, warn};

pub use self::{
    aside::{SetAside, Trouble},
    attempts::{Attempts, Failed},
    errand::{Next, RelayAnswer},
    sample::Sample,
    ticket::Answer,
};
use self::{
    board::Board,
    choose::Candidate,
    errand::Errand,
    health::{Health, Standing, Verdict},
    limit::Limiter,
    offers::Choice,
    ticket::Ticket,
};
use super::{
    client::Client,
    error::Error,
    retry::{self, MAX_RETRY_AFTER, Pauses},
};
use crate::{
    clock::{Clock, Timestamp},
    config,
    metrics::Metrics,
    net,
};

/// What is wished for beside the words.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wish<'a> {
    /// The model's alias; `None`: `llm.model`.
    pub alias: Option<&'a str>,
    /// Requests with the same number like to go the same way: that of a conversation, whose beginning an upstream may
    /// have in its cache.
    pub affinity: u64,
    /// The request has pictures: only a model that sees will do.
    pub sees: bool,
    /// How many model tokens the request has, about.
    pub input_tokens: usize,
}

/// Knows every upstream. Clones share what they learn.
#[derive(Clone)]
pub struct Router(Arc<Inner>, Choice);

struct Inner {
    clock: Clock,
    answer_timeout: Duration,
    max_retries: u32,
    /// No upstreams are listed: there is one way, and nothing to learn about it. It is asked whenever somebody wants
    /// an answer, and whoever was refused is told so.
    only_way: bool,
    routes: Vec<Route>,
    upstreams: Vec<Limits>,
    board: Mutex<Board>,
    /// Something became free or well.
    changed: Notify,
}

/// A key of an upstream with one of its models.
struct Route {
    upstream: usize,
    name: Arc<str>,
    /// Which of the upstream's keys, counted from 1.
    key: usize,
    has_key: bool,
    alias: Arc<str>,
    model: String,
    sees: bool,
    weight: u32,
    client: Client,
}

struct Limits {
    max_concurrent: Option<u32>,
}

/// What to do next.
enum Pick {
    /// Go this way, not before that uptime.
    Go(Ticket, Duration),
    /// Nothing can be done before then; `None`: before something changes.
    Wait(Option<Duration>),
    /// Each way has been tried in this round.
    Exhausted,
}

impl Router {
    /// For the upstreams in `settings`, or the one that `llm.base_url` names. Calls nobody yet.
    ///
    /// # Errors
    /// A proxy is unusable.
    pub fn new(settings: &config::Llm, clock: Clock, metrics: Arc<Metrics>) -> Result<Self, net::Error> {
        let mut routes = Vec::new();
        let mut upstreams = Vec::new();
        let mut board = Board::default();
        for upstream in settings.all_upstreams() {
            let http = net::http_client(upstream.proxy.as_ref(), settings.connect_timeout)?;
            let keys: Vec<_> = match upstream.api_keys.is_empty() {
                true => vec![None],
                false => upstream.api_keys.iter().map(Some).collect(),
            };
            for (index, key) in keys.into_iter().enumerate() {
                let client = Client::new(http.clone(), settings, &upstream, key, clock.clone(), Arc::clone(&metrics));
                routes.extend(upstream.models.iter().map(|model| Route {
                    upstream: upstreams.len(),
                    name: Arc::clone(&upstream.name),
                    key: index + 1,
                    has_key: key.is_some(),
                    alias: Arc::clone(&model.alias),
                    model: model.name.clone(),
                    sees: model.vision,
                    weight: upstream.weight,
                    client: client.clone(),
                }));
            }
            board.requests.push(upstream.requests_per_minute.map(Limiter::new));
            board.tokens.push(upstream.tokens_per_minute.map(Limiter::new));
            upstreams.push(Limits { max_concurrent: upstream.max_concurrent });
        }
        board.health.resize(routes.len(), Health::default());
        board.aside.resize(routes.len(), None);
        board.in_flight.resize(routes.len(), 0);
        let inner = Inner {
            clock,
            answer_timeout: settings.answer_timeout,
            max_retries: settings.max_retries,
            only_way: settings.upstreams.is_empty(),
            routes,
            upstreams,
            board: Mutex::new(board),
            changed: Notify::new(),
        };
        Ok(Self(Arc::new(inner), Choice::all(&settings.model)))
    }

    /// Goes on an errand, as [`Router::stream`] says. What is tried stands in `attempts`, also where the future is dropped.
    async fn go<E: Errand>(
        &self,
        wish: Wish<'_>,
        errand: &E,
        attempts: &mut Attempts,
    ) -> Result<(E::Begun, Ticket), Error> {
        let (inner, wish) = (&self.0, Wish { alias: Some(wish.alias.unwrap_or(&self.1.default)), ..wish });
        let clock = &inner.clock;
        let deadline = clock.uptime().saturating_add(inner.answer_timeout);
        let mut pauses = Pauses::new(inner.max_retries);
        let mut tried = Vec::new();
        let mut last_error = None;
        loop {
            let mut changed = std::pin::pin!(inner.changed.notified());
            // From now on nothing is missed, also between the look and the wait.
            changed.as_mut().enable();
            match Inner::pick(inner, wish, &tried) {
                Pick::Go(ticket, not_before) => {
                    if not_before >= deadline {
                        return Err(Error::RateLimited {
                            retry_after: Some(not_before.saturating_sub(clock.uptime())),
                        });
                    }
                    let wait = not_before.saturating_sub(clock.uptime());
                    // Also no time at all is a millisecond to a timer.
                    if !wait.is_zero() {
                        clock.sleep(wait).await;
                    }
                    attempts.begins(clock.uptime());
                    match inner.attempt(ticket, errand, deadline).await {
                        Ok(begun) => return Ok(begun),
                        Err((route, error)) => {
                            attempts.failed(&inner.routes[route], &error, clock.uptime());
                            if Verdict::of(&error) == Verdict::Innocent {
                                return Err(error);
                            }
                            tried.push(route);
                            last_error = Some(error);
                        }
                    }
                }
                Pick::Wait(until) => {
                    let now = clock.uptime();
                    let longest = now + MAX_RETRY_AFTER;
                    let until = until.unwrap_or(longest);
                    if until > longest || until >= deadline {
                        let retry_after = Some(until.saturating_sub(now));
                        return Err(last_error.unwrap_or(Error::RateLimited { retry_after }));
                    }
                    tokio::select! {
                        () = changed => {}
                        () = clock.sleep(until.saturating_sub(now)) => {}
                    }
                }
                Pick::Exhausted => {
                    let Some(failed) = last_error.take() else { return Err(inner.no_such_model(wish)) };
                    let pause = retry::pause_after(&failed, &mut pauses)
                        .filter(|pause| clock.uptime().saturating_add(*pause) < deadline);
                    let Some(pause) = pause else { return Err(failed) };
                    warn!(llm.pause_ms = pause.as_millis(), kind = failed.kind(), "the model is asked again: {failed}");
                    last_error = Some(failed);
                    tried.clear();
                    clock.sleep(pause).await;
                }
            }
        }
    }

    /// The routes that wait for somebody to mend them: a wrong key, an unpaid bill, a model that is not there.
    pub fn set_aside(&self) -> Vec<SetAside> {
        let board = self.0.board();
        let aside = |(route, aside): (&Route, &Option<(Timestamp, Trouble)>)| {
            aside.map(|(since, trouble)| SetAside {
                upstream: Arc::clone(&route.name),
                key: route.key,
                alias: Arc::clone(&route.alias),
                since,
                trouble,
            })
        };
        self.0.routes.iter().zip(&board.aside).filter_map(aside).collect()
    }

    /// Takes back every route that was set aside or rests, because an operator says that it is mended. Returns how
    /// many there were.
    pub fn clear(&self) -> usize {
        let mut board = self.0.board();
        let mut cleared = 0;
        for health in &mut board.health {
            if *health != Health::Healthy {
                *health = Health::Healthy;
                cleared += 1;
            }
        }
        board.aside.fill(None);
        drop(board);
        self.0.changed.notify_waiters();
        cleared
    }

    /// What somebody who examines the set-up should try: the first key of each upstream with each of its models, and
    /// every further key with the first of them. The order is that of the configuration.
    pub fn samples(&self) -> Vec<Sample<'_>> {
        let routes = &self.0.routes;
        let is_first = |id: usize| {
            routes[..id].iter().all(|other| other.upstream != routes[id].upstream || other.key != routes[id].key)
        };
        (0..routes.len())
            .filter(|&id| routes[id].key == 1 || is_first(id))
            .map(|id| Sample { route: &routes[id], listed: !self.0.only_way })
            .collect()
    }
}

impl Inner {
    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn no_such_model(&self, wish: Wish<'_>) -> Error {
        Error::ModelNotFound { message: format!("no upstream offers {}", wish.alias.unwrap_or_default()) }
    }

    /// The best way that is not among `tried`, taken.
    fn pick(this: &Arc<Self>, wish: Wish<'_>, tried: &[usize]) -> Pick {
        let now = this.clock.uptime();
        let alias = wish.alias.unwrap_or_default();
        let mut board = this.board();
        let open: Vec<usize> =
            (0..this.routes.len()).filter(|&id| this.leads_to(id, alias, wish.sees) && !tried.contains(&id)).collect();
        if open.is_empty() {
            return Pick::Exhausted;
        }
        // A full upstream is no reason to ask it; somebody ends soon.
        let free: Vec<usize> = open.iter().copied().filter(|&id| this.has_place(&board, id)).collect();
        let standing = |board: &Board, id: usize| board.health[id].standing(now);
        let with = |board: &Board, wanted: &[Standing]| -> Vec<usize> {
            free.iter().copied().filter(|&id| wanted.contains(&standing(board, id))).collect()
        };
        let mut group = with(&board, &[Standing::Good, Standing::Probe]);
        if group.is_empty() {
            group = with(&board, &[Standing::Doubtful]);
        }
        if group.is_empty() {
            let closed = |id: &usize| match standing(&board, *id) {
                Standing::Closed(until) => Some(until),
                _ => None,
            };
            let until = free.iter().filter_map(closed).min();
            let somebody_ends =
                free.len() < open.len() || free.iter().any(|&id| standing(&board, id) == Standing::Waiting);
            if somebody_ends || until.is_some_and(|until| until <= now + MAX_RETRY_AFTER) {
                return Pick::Wait(until);
            }
            group = with(&board, &[Standing::Aside]);
            if group.is_empty() {
                return Pick::Wait(until);
            }
        }
        let candidates: Vec<Candidate> = group
            .iter()
            .map(|&id| Candidate { id, weight: this.routes[id].weight, in_flight: board.in_flight[id] })
            .collect();
        let order = choose::order(&candidates, wish.affinity);
        let free_at = |id: &usize| board.free_at(this.routes[*id].upstream, now);
        // The first that need not wait for its limit; otherwise the one that waits least.
        let Some(id) = order.iter().copied().min_by_key(free_at) else { return Pick::Exhausted };
        let not_before = board.take(this.routes[id].upstream, now, wish.input_tokens);
        board.in_flight[id] += 1;
        board.health[id] = board.health[id].gone(now);
        Pick::Go(Ticket { inner: Arc::clone(this), route: id, known: false }, not_before)
    }

    fn has_place(&self, board: &Board, id: usize) -> bool {
        let upstream = self.routes[id].upstream;
        let Some(most) = self.upstreams[upstream].max_concurrent else { return true };
        let of_upstream = self.routes.iter().zip(&board.in_flight).filter(|(route, _)| route.upstream == upstream);
        of_upstream.map(|(_, in_flight)| in_flight).sum::<u32>() < most
    }

    async fn attempt<E: Errand>(
        &self,
        mut ticket: Ticket,
        errand: &E,
        deadline: Duration,
    ) -> Result<(E::Begun, Ticket), (usize, Error)> {
        let route = &self.routes[ticket.route];
        match errand.begin(&route.client, &route.model, deadline).await {
            Ok(begun) => {
                ticket.well();
                Ok((begun, ticket))
            }
            Err(error) => {
                ticket.failed(&error);
                Err((ticket.route, error))
            }
        }
    }

    /// Remembers a failure, for all routes that it concerns.
    fn remember(&self, route: usize, error: &Error) {
        if self.only_way {
            return;
        }
        let (now, verdict) = (self.clock.uptime(), Verdict::of(error));
        let failed = &self.routes[route];
        let concerned = |other: &Route| {
            verdict == Verdict::KeyAside && other.upstream == failed.upstream && other.key == failed.key
        };
        let mut board = self.board();
        let was_aside = board.aside[route].is_some();
        for (id, other) in self.routes.iter().enumerate() {
            if id == route || concerned(other) {
                board.health[id] = board.health[id].failed(verdict, now);
                if let Some(trouble) = Trouble::of(error) {
                    let since = board.aside[id].map_or(self.clock.now(), |(since, _)| since);
                    board.aside[id] = Some((since, trouble));
                } else {
                    board.aside[id] = None;
                }
            }
        }
        drop(board);
        if matches!(verdict, Verdict::KeyAside | Verdict::ModelAside) && !was_aside {
            error!(llm.upstream = %failed.name, llm.key = failed.key, llm.model = %failed.alias,
                "set a model's key aside until it is mended: {error}");
        }
    }
}
