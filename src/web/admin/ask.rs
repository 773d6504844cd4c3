//! What a handler is asked: by whom, about what, and under which terms.

use std::sync::{Arc, atomic::AtomicBool};

use axum::{
    extract::{FromRequestParts, Query, RawPathParams, Request},
    http::StatusCode,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{Administration, answer::Page, condition, problem::Problem, route::Takes};
use crate::{
    admin::Operator,
    clock::Timestamp,
    model::audit::Actor,
    store::{
        Store,
        terms::{Expected, Once, Terms, Thing},
    },
};

/// How many are on a page where it is not said.
pub(super) const PAGE: usize = 50;
/// The most that may be on a page.
pub(super) const MOST_ON_A_PAGE: usize = 200;

/// A request that was let in.
#[derive(Debug)]
pub(super) struct Ask<T = ()> {
    pub(super) here: Administration,
    /// Who asks.
    pub(super) operator: Operator,
    /// What they sent.
    pub(super) body: T,
    /// When.
    pub(super) now: Timestamp,
    path: Vec<(String, String)>,
    query: Vec<(String, String)>,
    expected: Option<Expected>,
    change: Change,
}

/// Tells whoever let a request in whether it changed something.
#[derive(Clone, Debug, Default)]
pub(super) struct Change {
    /// Set when the change is on the disk.
    pub(super) made: Arc<AtomicBool>,
    /// It is asked for once, however often the request comes.
    pub(super) once: Option<Once>,
}

impl<T: Takes> Ask<T> {
    pub(super) async fn of(here: Administration, request: Request) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let operator = Operator::from_request_parts(&mut parts, &here).await?;
        let unreadable = |detail: &str| Problem::new(StatusCode::BAD_REQUEST, "bad-request", detail);
        let path = RawPathParams::from_request_parts(&mut parts, &here).await;
        let path = path.map_err(|_| unreadable("the address is not UTF-8, percent-encoded"))?;
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let Query(query) =
            Query::try_from_uri(&parts.uri).map_err(|_| unreadable("what stands behind ? is no query"))?;
        let expected = if parts.method.is_safe() { None } else { condition::expected(&parts.headers)? };
        let change = parts.extensions.get::<Change>().cloned().unwrap_or_default();
        let body = T::take(Request::from_parts(parts, body), &here).await?;
        let now = here.clock.now();
        Ok(Self { here, operator, body, now, path, query, expected, change })
    }
}

impl<T> Ask<T> {
    /// What stands at this place of the address.
    pub(super) fn path(&self, name: &str) -> Result<&str, Problem> {
        let found = self.path.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).ok_or_else(Problem::no_such_address)
    }

    /// What stands behind the `?` for this.
    pub(super) fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// Who asks, for the audit log.
    pub(super) fn actor(&self) -> Actor {
        self.operator.actor()
    }

    /// The store, to look into.
    pub(super) const fn store(&self) -> &Store {
        &self.here.store
    }

    /// The store, to make something new.
    pub(super) fn anew(&self) -> Store {
        self.under(Vec::new())
    }

    /// The store, to change this: only where it is as the request expects it.
    pub(super) fn on(&self, thing: Thing) -> Store {
        self.under(self.expected.clone().map(|expected| (thing, expected)).into_iter().collect())
    }

    /// The store, to make this, or to change it where the request says what it expects.
    pub(super) fn on_seen(&self, thing: Thing) -> Store {
        self.under(vec![(thing, self.expected.clone().unwrap_or(Expected::Unsaid))])
    }

    /// The store, to change something while this is so.
    pub(super) fn under(&self, conditions: Vec<(Thing, Expected)>) -> Store {
        let Change { made, once } = self.change.clone();
        self.here.store.under(Terms::new(conditions, once, made))
    }

    /// Which page of a list of this name is asked for.
    pub(super) fn paging(&self, list: &'static str) -> Result<Paging, Problem> {
        let limit = match self.query("limit") {
            None => PAGE,
            Some(text) => {
                text.parse().ok().filter(|limit| (1..=MOST_ON_A_PAGE).contains(limit)).ok_or_else(|| {
                    Problem::parameter("limit", format!("expected a number from 1 to {MOST_ON_A_PAGE}"))
                })?
            }
        };
        let after = self.query("cursor").map(|text| read(text, list)).transpose()?;
        Ok(Paging { list, limit, after })
    }
}

/// Which part of a list is asked for. The cursor tells behind which item it begins, so what is added or taken away
/// meanwhile shows no item twice and leaves none out.
#[derive(Clone, Debug)]
pub(super) struct Paging {
    list: &'static str,
    limit: usize,
    /// The place of the last item that was shown.
    pub(super) after: Option<String>,
}

impl Paging {
    /// The number behind which it begins; 0 at the beginning.
    pub(super) fn after_number(&self) -> Result<i64, Problem> {
        self.after.as_ref().map_or(Ok(0), |text| text.parse().map_err(|_| no_cursor()))
    }

    /// How many to look for: one more than is shown tells whether there is more.
    pub(super) const fn most(&self) -> usize {
        self.limit + 1
    }

    /// The page of these, which begin behind the cursor. `place` tells where one stands in the list.
    pub(super) fn page<I, T>(
        &self,
        found: impl IntoIterator<Item = I>,
        place: impl Fn(&I) -> String,
        shown: impl FnMut(I) -> T,
    ) -> Page<T> {
        let mut found: Vec<I> = found.into_iter().take(self.most()).collect();
        let has_more = found.len() > self.limit;
        found.truncate(self.limit);
        let next = found.last().filter(|_| has_more).map(|last| write(self.list, &place(last)));
        Page { items: found.into_iter().map(shown).collect(), next }
    }
}

fn write(list: &str, place: &str) -> String {
    URL_SAFE_NO_PAD.encode(format!("{list}:{place}"))
}

fn read(cursor: &str, list: &str) -> Result<String, Problem> {
    let text = URL_SAFE_NO_PAD.decode(cursor).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.as_deref().and_then(|text| text.strip_prefix(list)?.strip_prefix(':')).map(str::to_owned);
    place.ok_or_else(no_cursor)
}

fn no_cursor() -> Problem {
    Problem::parameter("cursor", "expected what stood in `next` of the page before, of the same list")
}
