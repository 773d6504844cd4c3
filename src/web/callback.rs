//! The callback: WeCom's verification of the URL (GET), messages and events (POST).
//!
//! A POST is answered when the event is on the disk, and before anything else is done with it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{
    body::{Body, Bytes},
    extract::{Query, State},
    http::{HeaderMap, Uri, header},
    response::IntoResponse,
};
use bytes::BytesMut;
use http_body_util::BodyExt;
use tokio::sync::Semaphore;
use tracing::{debug, error, info, warn};

use super::error::Refused;
use crate::{
    chat::intake::Intake,
    clock::Clock,
    metrics::Metrics,
    model::{
        event::EventKind,
        id::{AgentId, CorpId},
    },
    store::{inbox::Accepted, sightings::Sightings},
    wecom::{
        accepted::{AcceptedKeys, Values},
        callback::{CallbackQuery, Payload, Rejection, SignedCallback},
        echo, event,
    },
};

/// The longest body that is read. The longest callback that WeCom documents is a text of some kilobytes.
const BODY_LIMIT: usize = 1024 * 1024;
/// Up to here a body is anybody's; what is longer needs one of [`LARGE_BODIES`] places. So callers who send a lot and
/// end nothing hold some megabytes, however many they are, and ordinary callbacks never wait for them.
const SMALL_BODY: usize = 64 * 1024;
/// Bodies beyond [`SMALL_BODY`] that are read at once.
const LARGE_BODIES: usize = 16;
/// How long a body may take to arrive; WeCom itself gives up after five seconds.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// What became of a callback; those that are on the disk, how long after their last byte.
#[derive(Clone, Copy)]
enum Noted {
    Accepted(Duration),
    Repeated(Duration),
    Verified,
    Refused(&'static str),
}

/// What the callback of one application needs.
#[derive(Debug)]
pub struct Callback {
    corp: CorpId,
    agent: AgentId,
    keys: AcceptedKeys,
    intake: Intake,
    clock: Clock,
    /// Across restarts, for `qimate doctor`; what the metrics count begins anew with each process.
    sightings: Arc<Sightings>,
    unknown: AtomicU64,
    /// Whether it was told that WeCom still uses the values of before, and that it uses those in force.
    told_previous: AtomicBool,
    told_current: AtomicBool,
    large_bodies: Semaphore,
}

/// What the handlers of one application's callbacks share.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    pub(super) callback: Arc<Callback>,
    pub(super) metrics: Arc<Metrics>,
}

impl Callback {
    /// Takes callbacks for this application into `intake`.
    pub const fn new(
        corp: CorpId,
        agent: AgentId,
        keys: AcceptedKeys,
        intake: Intake,
        clock: Clock,
        sightings: Arc<Sightings>,
    ) -> Self {
        let (told_previous, told_current) = (AtomicBool::new(false), AtomicBool::new(false));
        let large_bodies = Semaphore::const_new(LARGE_BODIES);
        let unknown = AtomicU64::new(0);
        Self { corp, agent, keys, intake, clock, sightings, unknown, told_previous, told_current, large_bodies }
    }

    fn open(&self, signed: SignedCallback) -> Result<Payload, Rejection> {
        let (payload, by) = self.keys.open(signed, &self.corp)?;
        if self.keys.is_changing() {
            self.tell_once(by);
        }
        Ok(payload)
    }

    /// While the Token or the key is being changed: how far WeCom is, each once.
    fn tell_once(&self, by: Values) {
        let told = match by {
            Values::Current => &self.told_current,
            Values::Previous => &self.told_previous,
        };
        if told.swap(true, Ordering::Relaxed) {
            return;
        }
        match by {
            Values::Current => info!(
                "a callback came with the new Token and EncodingAESKey; when every callback does, \
                 wecom.previous_callback_token and wecom.previous_encoding_aes_key can be emptied"
            ),
            Values::Previous => info!(
                "a callback still came with the previous Token or EncodingAESKey; save the new ones in the \
                 application's 接收消息 settings, and keep wecom.previous_... until then"
            ),
        }
    }

    async fn take(&self, uri: &Uri, headers: &HeaderMap, body: Body, metrics: &Metrics) -> Result<(), Refused> {
        let body = self.read(headers, body).await?;
        // Not the clock's time: its milliseconds are too coarse for this.
        let read_at = Instant::now();
        let event = SignedCallback::message(query(uri), &body)
            .and_then(|signed| self.open(signed))
            .and_then(|payload| event::parse(&payload, &self.corp, self.agent))
            .map_err(Refused::Rejected)?;
        if let EventKind::Unknown { name, .. } = &event.kind {
            let unknown = self.unknown.fetch_add(1, Ordering::Relaxed) + 1;
            info!(kind = %name, unknown, "kept a callback of a kind that is not known yet");
        }
        let member = event.from.clone();
        match self.intake.accept(event).await {
            Ok(Accepted::Fresh { seq, .. }) => {
                self.note(metrics, Noted::Accepted(read_at.elapsed()));
                debug!(inbox.seq = seq, "accepted a callback of {member}");
            }
            Ok(Accepted::Duplicate) => {
                self.note(metrics, Noted::Repeated(read_at.elapsed()));
                debug!("a callback of {member} was here before");
            }
            Err(cause) => {
                error!(%cause, "a callback could not be saved; WeCom is asked to send it again");
                return Err(Refused::NotSaved);
            }
        }
        Ok(())
    }

    /// What became of a callback, for both who ask.
    fn note(&self, metrics: &Metrics, noted: Noted) {
        let now = self.clock.now();
        match noted {
            Noted::Accepted(after) => metrics.callback_accepted(after),
            Noted::Repeated(after) => metrics.callback_repeated(after),
            Noted::Verified => metrics.callback_verified(),
            Noted::Refused(reason) => metrics.callback_refused(reason),
        }
        match noted {
            Noted::Accepted(_) | Noted::Repeated(_) => self.sightings.accepted(now),
            Noted::Verified => self.sightings.verified(now),
            Noted::Refused(reason) => self.sightings.refused(reason, now),
        }
    }

    /// Reads the body, as far as it may go.
    async fn read(&self, headers: &HeaderMap, body: Body) -> Result<Bytes, Refused> {
        let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: u64| length > BODY_LIMIT as u64) {
            return Err(Refused::TooLarge);
        }
        self.clock.timeout(BODY_TIMEOUT, self.collect(body)).await.unwrap_or(Err(Refused::Incomplete))
    }

    async fn collect(&self, mut body: Body) -> Result<Bytes, Refused> {
        let mut collected = BytesMut::new();
        let mut place = None;
        while let Some(frame) = body.frame().await {
            let Ok(data) = frame.map_err(|_| Refused::Incomplete)?.into_data() else { continue };
            let length = collected.len() + data.len();
            if length > BODY_LIMIT {
                return Err(Refused::TooLarge);
            }
            if length > SMALL_BODY && place.is_none() {
                place = Some(self.large_bodies.try_acquire().map_err(|_| Refused::Busy)?);
            }
            collected.extend_from_slice(&data);
        }
        Ok(collected.freeze())
    }
}

/// The URL verification: the decrypted echo, and nothing else, within a second.
pub(super) async fn verify(State(taken): State<Taken>, uri: Uri) -> Result<impl IntoResponse, Refused> {
    let Taken { callback, metrics } = &taken;
    let payload = SignedCallback::verification(query(&uri))
        .and_then(|signed| callback.open(signed))
        .map_err(|rejection| told(Refused::Rejected(rejection), &taken))?;
    if !echo::is_our_own(payload.bytes()) {
        callback.note(metrics, Noted::Verified);
        info!("WeCom verified the callback URL");
    }
    Ok(([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], payload.bytes().to_vec()))
}

/// A message or an event: 200 with an empty body when it is on the disk.
pub(super) async fn receive(
    State(taken): State<Taken>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Result<impl IntoResponse, Refused> {
    taken.callback.take(&uri, &headers, body, &taken.metrics).await.map_err(|refused| told(refused, &taken))
}

/// A query that cannot be read has no parameters: what is missing is then said by name.
pub(super) fn query(uri: &Uri) -> CallbackQuery {
    Query::try_from_uri(uri).map(|Query(query)| query).unwrap_or_default()
}

/// Puts the exact reason into the log, once, counts it, and remembers it.
fn told(refused: Refused, taken: &Taken) -> Refused {
    let reason = refused.reason();
    taken.callback.note(&taken.metrics, Noted::Refused(reason));
    match &refused {
        Refused::Rejected(rejection) => warn!(reason, "refused a callback: {rejection}"),
        Refused::TooLarge => {
            warn!(reason, "refused a callback: its body is over {BODY_LIMIT} bytes");
        }
        Refused::Incomplete => {
            warn!(reason, "refused a callback: its body did not arrive in {BODY_TIMEOUT:?}");
        }
        Refused::Busy => {
            warn!(reason, "refused a callback: {LARGE_BODIES} others over {SMALL_BODY} bytes are being read");
        }
        // Logged where it happened, with its cause.
        Refused::NotSaved => {}
    }
    refused
}
