//! The answer of a model, on its way to a program.

use std::{io, sync::Arc};

use axum::{
    body::Body,
    extract::Request,
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::OwnedSemaphorePermit;
use tracing::info;

use super::{Programs, body, refusal::Refusal};
use crate::{
    api::{Answering, Asked, Caller, Fault, Form},
    metrics::ProgramCall,
};

/// What a call has to its end.
type Place = (OwnedSemaphorePermit, ProgramCall);

/// Reads the request, asks, and answers as the upstream does.
pub(super) async fn ask(programs: &Programs, caller: &Caller, asked: Asked, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(place) = Arc::clone(&programs.places).try_acquire_owned() else {
        return Refusal::full().into_response();
    };
    let place = (place, programs.metrics.program_calls());
    let answered = async {
        let (body, held) = body::read(programs, &parts.headers, body).await?;
        let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let body = (content_type.unwrap_or_default(), body);
        let answering = programs.api.ask(caller, asked, body, held).await;
        answering.map_err(|refused| Refusal::of(refused, programs))
    };
    match answered.await {
        Ok(answering) => match answering.form.clone() {
            Form::Whole => whole(answering).await,
            Form::Events => streamed(asked, answering, place),
            Form::Bytes(content_type) => bytes(&content_type, answering, place),
        },
        Err(refusal) => {
            info!(key.id = %caller.key.id, reason = refusal.reason(), "refused a program");
            refusal.into_response()
        }
    }
}

async fn whole(Answering { mut pieces, .. }: Answering) -> Response {
    let first = pieces.recv().await;
    // All was settled when the task let go of its end.
    let _ = pieces.recv().await;
    match first {
        Some(Ok(body)) => {
            ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response()
        }
        Some(Err(fault)) => Refusal::fault(&fault).into_response(),
        None => Refusal::fault(&Fault::Failed).into_response(),
    }
}

/// What goes wrong now breaks the connection: nothing else tells a program that what it has is not all.
fn bytes(content_type: &str, Answering { pieces, .. }: Answering, place: Place) -> Response {
    let pieces = stream::unfold((pieces, place), |(mut pieces, place)| async move {
        let piece = pieces.recv().await?.map_err(|_| io::Error::from(io::ErrorKind::ConnectionAborted));
        Some((piece, (pieces, place)))
    });
    let content_type = HeaderValue::try_from(content_type);
    let content_type = content_type.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    ([(header::CONTENT_TYPE, content_type)], Body::from_stream(pieces)).into_response()
}

/// What goes wrong now is an event: the status has left. The call has its `place` to the end.
fn streamed(asked: Asked, Answering { pieces, .. }: Answering, place: Place) -> Response {
    let pieces = stream::unfold((pieces, place), move |(mut pieces, place)| async move {
        let piece = match pieces.recv().await? {
            Ok(piece) => piece,
            Err(fault) => broken(asked, &fault),
        };
        Some((Ok::<_, std::convert::Infallible>(piece), (pieces, place)))
    });
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8")),
        // Proxies that gather what they pass on make one lump of a stream.
        (header::HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// An event that says why nothing follows. In a stream of a response it stands in its own words, which have no envelope,
/// and in the envelope, which is what OpenAI's packages look for.
fn broken(asked: Asked, fault: &Fault) -> Bytes {
    let mut envelope = Refusal::envelope_of(fault);
    if asked != Asked::Responses {
        return format!("data: {envelope}\n\n").into();
    }
    for field in ["code", "message", "param"] {
        envelope[field] = envelope["error"][field].clone();
    }
    envelope["type"] = "error".into();
    format!("event: error\ndata: {envelope}\n\n").into()
}
