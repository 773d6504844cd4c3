//! Bodies of programs: bounded each, bounded together, and bounded in time.

use std::{sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, header},
};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Programs, refusal::Refusal};
use crate::clock::Clock;

/// Up to here a body is anybody's who has a key; what is longer takes of what all bodies may have together.
const SMALL_BODY: usize = 64 * 1024;
/// How long a body may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(60);
/// Of a body that nobody reads, so much is taken in, and forgotten.
const POURED: (usize, Duration) = (1024 * 1024, Duration::from_secs(2));

/// What a body holds of what all may have together; small ones nothing.
pub(super) type Held = Option<OwnedSemaphorePermit>;

/// Reads a body, as far as it may go.
pub(super) async fn read(programs: &Programs, headers: &HeaderMap, body: Body) -> Result<(Vec<u8>, Held), Refusal> {
    let most = programs.settings.max_body;
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refusal::encoded());
    }
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > most as u64) {
        pour_away(&programs.clock, body).await;
        return Err(Refusal::too_large(most));
    }
    let collected = programs.clock.timeout(BODY_TIMEOUT, collect(&programs.memory, most, body)).await;
    collected.unwrap_or_else(|_| Err(Refusal::too_slow()))
}

async fn collect(memory: &Arc<Semaphore>, most: usize, mut body: Body) -> Result<(Vec<u8>, Held), Refusal> {
    let mut collected = Vec::new();
    let mut held: Held = None;
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Refusal::too_slow())?.into_data() else { continue };
        let length = collected.len() + data.len();
        if length > most {
            return Err(Refusal::too_large(most));
        }
        if length > SMALL_BODY {
            let has = held.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
            let more = u32::try_from(length.div_ceil(1024).saturating_sub(has)).unwrap_or(u32::MAX);
            let more = Arc::clone(memory).try_acquire_many_owned(more).map_err(|_| Refusal::full())?;
            match &mut held {
                Some(held) => held.merge(more),
                None => held = Some(more),
            }
        }
        collected.extend_from_slice(&data);
    }
    Ok((collected, held))
}

/// Takes in some of a body that nobody reads: who is still sending hears no answer.
pub(super) async fn pour_away(clock: &Clock, mut body: Body) {
    let (most, limit) = POURED;
    let pour = async {
        let mut poured = 0;
        while let Some(Ok(frame)) = body.frame().await {
            poured += frame.data_ref().map_or(0, bytes::Bytes::len);
            if poured > most {
                return;
            }
        }
    };
    let _ = clock.timeout(limit, pour).await;
}
