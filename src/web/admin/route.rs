//! An address with all that is to be known of it: who may, what it takes, what it answers. Of this the router, the guard
//! and the OpenAPI document are made, so that none of them knows an address which the others do not.

use std::future::Future;

use axum::{
    extract::{Request, State},
    http::Method,
    response::IntoResponse,
    routing::{self, MethodFilter, MethodRouter},
};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::DeserializeOwned;

use super::{Administration, ask::Ask, body::Body, problem::Problem};
use crate::model::operator::Scope;

/// How a type is described.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// How this type is described.
pub(super) fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// Everybody: it is how somebody gets in.
    Nobody,
    /// Any operator; the handler may ask for more.
    Login,
    /// Who has this.
    Scope(Scope),
}

impl From<Scope> for Needs {
    fn from(scope: Scope) -> Self {
        Self::Scope(scope)
    }
}

/// What a handler takes as a body.
pub(super) trait Takes: Sized + Send {
    /// How it is described; `None`: nothing is taken.
    const SCHEMA: Option<SchemaOf>;

    /// Reads it.
    fn take(request: Request, here: &Administration) -> impl Future<Output = Result<Self, Problem>> + Send;
}

impl Takes for () {
    const SCHEMA: Option<SchemaOf> = None;

    async fn take(_: Request, _: &Administration) -> Result<Self, Problem> {
        Ok(())
    }
}

impl<T: DeserializeOwned + JsonSchema + Send> Takes for Body<T> {
    const SCHEMA: Option<SchemaOf> = Some(schema_of::<T>);

    async fn take(request: Request, here: &Administration) -> Result<Self, Problem> {
        <Self as axum::extract::FromRequest<Administration>>::from_request(request, here).await
    }
}

/// What a handler answers when all is well.
pub(super) trait Answers: IntoResponse {
    /// All that it may be.
    fn said() -> Vec<Answer>;

    /// Whether it is a page of a list.
    const IS_PAGE: bool = false;
}

/// What answers at an address: an async function of an [`Ask`].
pub(super) trait Handles<T>: Clone + Send + Sync + 'static {
    /// What it answers when all is well.
    type Answer: Answers + 'static;

    /// Answers.
    fn handle(&self, ask: Ask<T>) -> impl Future<Output = Result<Self::Answer, Problem>> + Send + 'static;
}

impl<T, F, Fut, A> Handles<T> for F
where
    F: Fn(Ask<T>) -> Fut + Clone + Send + Sync + 'static,
    Fut: Future<Output = Result<A, Problem>> + Send + 'static,
    A: Answers + 'static,
{
    type Answer = A;

    fn handle(&self, ask: Ask<T>) -> impl Future<Output = Result<A, Problem>> + Send + 'static {
        self(ask)
    }
}

/// One answer.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) says: &'static str,
    pub(super) schema: Option<SchemaOf>,
    /// Names of headers beside those that every answer has.
    pub(super) headers: &'static [&'static str],
}

/// An address and a method.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) needs: Needs,
    /// A name for it that never changes.
    pub(super) id: &'static str,
    /// What it does, in a sentence or two; the first is its summary.
    pub(super) says: &'static str,
    pub(super) takes: Option<SchemaOf>,
    pub(super) answers: Vec<Answer>,
    /// What may be asked of a list: names, and what they mean.
    pub(super) filters: Vec<(&'static str, &'static str)>,
    pub(super) is_page: bool,
    /// Whether what is to be changed can be compared with what was seen.
    pub(super) compares: bool,
    /// Whether that must be said of what is there.
    pub(super) must_compare: bool,
    /// Whether its handler takes an [`Ask`].
    pub(super) is_asked: bool,
    pub(super) handler: MethodRouter<Administration>,
}

impl Route {
    /// Looks, and changes nothing. `says` is a name that never changes, and what it does.
    pub(super) fn get(
        path: &'static str,
        needs: impl Into<Needs>,
        says: (&'static str, &'static str),
        handler: impl Handles<()>,
    ) -> Self {
        Self::asked((Method::GET, MethodFilter::GET), path, needs.into(), says, handler)
    }

    /// Makes or does something. A request with an `Idempotency-Key` does it once.
    pub(super) fn post<T: Takes + 'static>(
        path: &'static str,
        needs: impl Into<Needs>,
        says: (&'static str, &'static str),
        handler: impl Handles<T>,
    ) -> Self {
        Self::asked((Method::POST, MethodFilter::POST), path, needs.into(), says, handler)
    }

    /// Brings the thing of this address to what is told.
    pub(super) fn put<T: Takes + 'static>(
        path: &'static str,
        needs: impl Into<Needs>,
        says: (&'static str, &'static str),
        handler: impl Handles<T>,
    ) -> Self {
        Self::asked((Method::PUT, MethodFilter::PUT), path, needs.into(), says, handler)
    }

    /// Changes of the thing of this address what is told.
    pub(super) fn patch<T: Takes + 'static>(
        path: &'static str,
        needs: impl Into<Needs>,
        says: (&'static str, &'static str),
        handler: impl Handles<T>,
    ) -> Self {
        Self::asked((Method::PATCH, MethodFilter::PATCH), path, needs.into(), says, handler)
    }

    /// Takes the thing of this address away.
    pub(super) fn delete(
        path: &'static str,
        needs: impl Into<Needs>,
        says: (&'static str, &'static str),
        handler: impl Handles<()>,
    ) -> Self {
        Self::asked((Method::DELETE, MethodFilter::DELETE), path, needs.into(), says, handler)
    }

    fn asked<T: Takes + 'static, H: Handles<T>>(
        (method, filter): (Method, MethodFilter),
        path: &'static str,
        needs: Needs,
        says: (&'static str, &'static str),
        handler: H,
    ) -> Self {
        let handler = move |State(here): State<Administration>, request: Request| {
            let handler = handler.clone();
            async move { handler.handle(Ask::of(here, request).await?).await }
        };
        let route = Self::plain(method, path, needs, says, routing::on(filter, handler));
        Self { takes: T::SCHEMA, answers: H::Answer::said(), is_page: H::Answer::IS_PAGE, is_asked: true, ..route }
    }

    /// Where a handler needs more of HTTP than an [`Ask`] has, as cookies: what it takes and answers is told beside it.
    pub(super) fn plain(
        method: Method,
        path: &'static str,
        needs: Needs,
        (id, says): (&'static str, &'static str),
        handler: MethodRouter<Administration>,
    ) -> Self {
        Self {
            method,
            path,
            needs,
            id,
            says,
            takes: None,
            answers: Vec::new(),
            filters: Vec::new(),
            is_page: false,
            compares: false,
            must_compare: false,
            is_asked: false,
            handler,
        }
    }

    /// Takes this, where the handler does not tell.
    pub(super) fn taking<T: JsonSchema>(self) -> Self {
        Self { takes: Some(schema_of::<T>), ..self }
    }

    /// Answers this, where the handler does not tell.
    pub(super) fn answering(mut self, status: u16, says: &'static str, schema: Option<SchemaOf>) -> Self {
        self.answers.push(Answer { status, says, schema, headers: &[] });
        self
    }

    /// The list takes `?name=`.
    pub(super) fn filter(mut self, name: &'static str, says: &'static str) -> Self {
        self.filters.push((name, says));
        self
    }

    /// It is about one enterprise: `?corp=` says which.
    pub(super) fn of_corp(self) -> Self {
        self.filter("corp", "the enterprise, where several are served")
    }

    /// Takes `If-Match`: the handler makes its change in [`Ask::on`].
    pub(super) fn compares(self) -> Self {
        Self { compares: true, ..self }
    }

    /// Does not change what is there without `If-Match`: the handler makes its change in [`Ask::on_seen`].
    pub(super) fn must_compare(self) -> Self {
        Self { compares: true, must_compare: true, ..self }
    }

    /// What may stand behind the `?`.
    pub(super) fn parameters(&self) -> Vec<&'static str> {
        let of_pages: &[&str] = if self.is_page { &["limit", "cursor"] } else { &[] };
        of_pages.iter().copied().chain(self.filters.iter().map(|(name, _)| *name)).collect()
    }

    /// Whether an `Idempotency-Key` makes it happen once.
    pub(super) fn is_once(&self) -> bool {
        self.is_asked && self.method == Method::POST
    }
}
