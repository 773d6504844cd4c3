//! What handlers answer: JSON with an ETag, pages of lists, and secrets that are shown once.

use axum::{
    body::{Body, Bytes},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    condition::tag,
    problem::Problem,
    route::{Answer, Answers, schema_of},
};
use crate::store::terms::Version;

/// A thing as it is (200).
#[derive(Debug)]
pub(super) struct One<T> {
    thing: T,
    version: Option<Version>,
}

impl<T> One<T> {
    /// With its version, where it can be compared.
    pub(super) const fn of(thing: T, version: Version) -> Self {
        Self { thing, version: Some(version) }
    }

    /// Of what nobody changes by its address.
    pub(super) const fn unversioned(thing: T) -> Self {
        Self { thing, version: None }
    }
}

impl<T: Serialize + JsonSchema> Answers for One<T> {
    fn said() -> Vec<Answer> {
        vec![Answer { status: 200, says: "as it is", schema: Some(schema_of::<T>), headers: &["ETag"] }]
    }
}

impl<T: Serialize> IntoResponse for One<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, self.version.as_ref(), &self.thing, None)
    }
}

/// A thing as a request made it: new (201) or changed (200).
#[derive(Debug)]
pub(super) struct Saved<T> {
    pub(super) is_new: bool,
    pub(super) thing: T,
    pub(super) version: Version,
}

impl<T: Serialize + JsonSchema> Answers for Saved<T> {
    fn said() -> Vec<Answer> {
        let answer = |status, says| Answer { status, says, schema: Some(schema_of::<T>), headers: &["ETag"] };
        vec![answer(200, "changed"), answer(201, "made")]
    }
}

impl<T: Serialize> IntoResponse for Saved<T> {
    fn into_response(self) -> Response {
        let status = if self.is_new { StatusCode::CREATED } else { StatusCode::OK };
        json(status, Some(&self.version), &self.thing, None)
    }
}

/// It is gone (204).
#[derive(Debug)]
pub(super) struct Gone;

impl Answers for Gone {
    fn said() -> Vec<Answer> {
        vec![Answer { status: 204, says: "it is so from now on", schema: None, headers: &[] }]
    }
}

impl IntoResponse for Gone {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}

/// A thing with a secret that is shown this once.
#[derive(Debug)]
pub(super) struct ShownOnce<T> {
    /// Where it is; `None`: it was there before.
    pub(super) location: Option<String>,
    /// With the secret.
    pub(super) thing: T,
    /// The same without it: what whoever repeats the request is answered, with 200.
    pub(super) without: T,
    pub(super) version: Option<Version>,
}

impl<T: Serialize + JsonSchema> Answers for ShownOnce<T> {
    fn said() -> Vec<Answer> {
        let answer = |status, says, headers| Answer { status, says, schema: Some(schema_of::<T>), headers };
        vec![
            answer(200, "it was there; a secret that is new is shown this once", &["ETag"][..]),
            answer(201, "made; its secret is shown this once", &["ETag", "Location"]),
        ]
    }
}

/// What is kept of an answer to be given again, in the place of its body.
#[derive(Clone, Debug)]
pub(super) struct Without(pub(super) Bytes);

impl<T: Serialize> IntoResponse for ShownOnce<T> {
    fn into_response(self) -> Response {
        let Ok(without) = serde_json::to_vec(&self.without) else { return Problem::internal().into_response() };
        let location = self.location.and_then(|path| HeaderValue::try_from(path).ok());
        let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let mut response = json(status, None, &self.thing, location);
        if let Some(tag) = tag(self.version.as_ref(), &without) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response.extensions_mut().insert(Without(without.into()));
        response
    }
}

/// A part of a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub(super) struct Page<T> {
    /// What is in it, in the order of the list.
    pub(super) items: Vec<T>,
    /// The `cursor` of the next page; `null`: this is the last.
    pub(super) next: Option<String>,
}

impl<T: Serialize + JsonSchema> Answers for Page<T> {
    fn said() -> Vec<Answer> {
        vec![Answer { status: 200, says: "a page", schema: Some(schema_of::<Self>), headers: &["ETag"] }]
    }

    const IS_PAGE: bool = true;
}

impl<T: Serialize> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, None, &self, None)
    }
}

fn json(
    status: StatusCode,
    version: Option<&Version>,
    body: &impl Serialize,
    location: Option<HeaderValue>,
) -> Response {
    let Ok(body) = serde_json::to_vec(body) else { return Problem::internal().into_response() };
    let tag = tag(version, &body);
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(tag.map(|tag| (header::ETAG, tag)));
    headers.extend(location.map(|path| (header::LOCATION, path)));
    response
}
