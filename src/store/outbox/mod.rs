//! The outbox: what is to be said, in order, one message of a member at a time.
//!
//! Which rows leave together in one message is decided once, before its first attempt, and committed with it: every
//! later attempt says exactly the same, so that WeCom's duplicate check shows it once.

mod batch;
mod stored;
pub mod uploads;

use std::time::Duration;

use rusqlite::{Connection, params};

use self::batch::{Next, next_message};
use super::{
    Error, LeaseLost, Store,
    inbox::Claimed,
    lane::{Queue, lease_lanes, next_lease, next_ready},
    privacy,
};
use crate::{
    clock::Timestamp,
    model::{
        event::Event,
        id::{AgentId, AppKey, CorpId, Lane, MemberId},
        outbound::Outbound,
        reply::ReplyPart,
    },
};

/// How long WeCom's duplicate check looks back: the most that `duplicate_check_interval` takes (page 90236).
pub const DUPLICATE_CHECK: Duration = Duration::from_secs(4 * 60 * 60);
/// Waiting rows that are looked at when a message is put together.
const MERGE_ROWS: usize = 16;

/// A worker's hold on one message and on its whole lane. Ends with [`Store::delivered`], [`Store::retry`] or
/// [`Store::give_up`].
#[derive(Debug)]
pub struct OutboundClaim {
    /// The lane that is held.
    pub lane: Lane,
    /// What is to be said, to whom.
    pub message: Outbound,
    /// How often it was tried, this time included.
    pub attempts: u32,
    /// Since when it waits.
    pub created_at: Timestamp,
    /// When the first attempt was made whose outcome is not known.
    pub unsure_since: Option<Timestamp>,
    /// The inbox row that it answers; below zero: the alert that it is about.
    pub cause: i64,
    /// Its first row, which names it.
    batch: i64,
    /// Its further rows; mostly none.
    joined: Vec<i64>,
    lease: i64,
}

/// To whom outbox rows are addressed.
#[derive(Debug)]
pub(super) struct Recipient {
    corp: CorpId,
    agent: AgentId,
    member: MemberId,
}

impl Recipient {
    pub(super) const fn new(corp: CorpId, agent: AgentId, member: MemberId) -> Self {
        Self { corp, agent, member }
    }

    pub(super) fn of(event: &Event) -> Self {
        Self { corp: event.corp.clone(), agent: event.agent, member: event.from.clone() }
    }
}

/// The part number of the notice that an answer takes a while. Its row is unique, so it is said once.
const NOTICE_PART: i64 = -1;
/// The part number of the sentence that says what WeCom refused. Said once for an answer, however many parts it refuses,
/// and this sentence too.
const REFUSED_PART: i64 = -2;

/// Puts parts into the outbox. A part that is there already, from before a crash, stays as it is.
pub(super) fn insert(
    conn: &Connection,
    lane: &Lane,
    to: &Recipient,
    cause: i64,
    first: u32,
    parts: &[ReplyPart],
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    for (number, part) in (i64::from(first)..).zip(parts) {
        insert_part(conn, lane, to, cause, number, part, now)?;
    }
    Ok(())
}

/// Puts one part into the outbox, unless it is there.
pub(super) fn insert_part(
    conn: &Connection,
    lane: &Lane,
    to: &Recipient,
    cause: i64,
    number: i64,
    part: &ReplyPart,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    let (format, content) = stored::columns(part);
    conn.prepare_cached(
        "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'waiting', ?9) ON CONFLICT (cause, part) DO NOTHING",
    )?
    .execute(params![
        lane.as_str(),
        cause,
        number,
        to.corp.as_str(),
        to.agent.get().cast_signed(),
        to.member.as_str(),
        format,
        content,
        now.as_millis(),
    ])?;
    conn.prepare_cached("INSERT INTO outbox_lane (lane, ready_at) VALUES (?1, ?2) ON CONFLICT (lane) DO NOTHING")?
        .execute(params![lane.as_str(), now.as_millis()])?;
    Ok(())
}

/// What is known of an attempt that did not deliver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It may have arrived.
    Unsure,
    /// WeCom refused this message for now.
    Refused,
    /// Nothing of the application gets through; it says nothing about this message, and does not count.
    Blocked,
}

impl Store {
    /// Says something about an inbox row beside its answer: once, and only while the row is open and nothing of its
    /// answer has been said.
    ///
    /// # Errors
    /// [`Error`]: it is not said.
    pub async fn notify(&self, cause: i64, event: &Event, part: ReplyPart, now: Timestamp) -> Result<(), Error> {
        let (lane, to) = (event.lane(), Recipient::of(event));
        let wake = self.wake_outbox(&lane);
        let work = move |conn: &Connection| {
            let still_of_use = conn
                .prepare_cached(
                    "SELECT 1 FROM inbox WHERE seq = ?1 AND state = 'open'
                     AND NOT EXISTS (SELECT 1 FROM outbox WHERE cause = ?1 AND part >= 0)",
                )?
                .exists([cause])?;
            if still_of_use { insert_part(conn, &lane, &to, cause, NOTICE_PART, &part, now) } else { Ok(()) }
        };
        self.db.write_then(work, wake).await
    }

    /// Takes the next message of each of up to `limit` free lanes of an application. Where the pace forbids one, the lane rests.
    ///
    /// # Errors
    /// [`Error`]: nothing was taken.
    pub async fn claim_outbound(
        &self,
        app: &AppKey,
        limit: usize,
        now: Timestamp,
    ) -> Result<Claimed<OutboundClaim>, Error> {
        let (lease, app) = (next_lease(), app.clone());
        self.db
            .write(move |conn| {
                let lanes = lease_lanes(conn, Queue::Outbox, &app, lease, limit, now)?;
                let mut claims = Vec::with_capacity(lanes.len());
                for (lane, _) in lanes {
                    match next_message(conn, &lane, lease, now)? {
                        Next::Message(claim) => claims.push(*claim),
                        Next::RestUntil(at) => set_free(conn, &lane, lease, Some(at))?,
                        Next::Nothing => set_free(conn, &lane, lease, None)?,
                    }
                }
                Ok(Claimed { claims, next_at: next_ready(conn, Queue::Outbox, &app)? })
            })
            .await
    }

    /// Ends a message that WeCom took.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn delivered(
        &self,
        claim: &OutboundClaim,
        msg_id: &str,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let msg_id = Some(msg_id.to_owned());
        self.end(claim, "sent", msg_id, None, None, now).await
    }

    /// Ends a message that cannot be delivered: it becomes a dead letter.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn give_up(
        &self,
        claim: &OutboundClaim,
        reason: &str,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        self.end(claim, "dead", None, Some(reason.to_owned()), None, now).await
    }

    /// The same, and says `instead` to the member, unless that was said about this answer before.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn give_up_saying(
        &self,
        claim: &OutboundClaim,
        reason: &str,
        instead: ReplyPart,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        self.end(claim, "dead", None, Some(reason.to_owned()), Some(instead), now).await
    }

    /// Gives a message back, to be tried again at `at`, with nothing of its lane before it.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn retry(
        &self,
        claim: &OutboundClaim,
        reason: &str,
        attempt: Attempt,
        at: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, batch, reason) = (claim.lane.clone(), claim.lease, claim.batch, reason.to_owned());
        let work = move |conn: &Connection| {
            if !is_held(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            set_free(conn, lane.as_str(), lease, Some(at))?;
            conn.prepare_cached(
                "UPDATE outbox SET reason = ?2, attempts = attempts - ?4,
                     unsure_since = CASE WHEN ?3 THEN COALESCE(unsure_since, attempted_at) ELSE unsure_since END
                 WHERE seq = ?1",
            )?
            .execute(params![batch, reason, attempt == Attempt::Unsure, attempt == Attempt::Blocked])?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_outbox(&claim.lane)).await
    }

    async fn end(
        &self,
        claim: &OutboundClaim,
        state: &'static str,
        msg_id: Option<String>,
        reason: Option<String>,
        instead: Option<ReplyPart>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, cause) = (claim.lane.clone(), claim.lease, claim.cause);
        let (batch, joined) = (claim.batch, claim.joined.clone());
        let Outbound { corp, agent, to, .. } = claim.message.clone();
        let to = Recipient { corp, agent, member: to };
        let (mode, shelf) = (self.modes.of(&claim.lane), self.shelf.clone());
        let goes = state == "sent" && !mode.keeps_texts();
        let work = move |conn: &Connection| {
            if !is_held(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            let mut end = conn.prepare_cached(
                "UPDATE outbox SET state = ?2, msg_id = ?3, reason = COALESCE(?4, reason), ended_at = ?5,
                     content = iif(?6, '', content)
                 WHERE seq = ?1 AND state = 'waiting'",
            )?;
            for seq in std::iter::once(&batch).chain(&joined) {
                end.execute(params![seq, state, msg_id, reason, now.as_millis(), goes])?;
            }
            if let Some(part) = &instead {
                insert_part(conn, &lane, &to, cause, REFUSED_PART, part, now)?;
            }
            let more = conn
                .prepare_cached("SELECT 1 FROM outbox WHERE lane = ?1 AND state = 'waiting' LIMIT 1")?
                .exists([lane.as_str()])?;
            set_free(conn, lane.as_str(), lease, more.then_some(now))?;
            privacy::tidy(conn, mode, &shelf, &lane).map(Ok)
        };
        self.db.write_then(work, self.wake_outbox(&claim.lane)).await
    }
}

fn is_held(conn: &Connection, lane: &Lane, lease: i64) -> Result<bool, rusqlite::Error> {
    conn.prepare_cached("SELECT 1 FROM outbox_lane WHERE lane = ?1 AND lease = ?2")?
        .exists(params![lane.as_str(), lease])
}

/// Frees a leased lane: until `ready_at`, or for good when nothing of it waits.
fn set_free(conn: &Connection, lane: &str, lease: i64, ready_at: Option<Timestamp>) -> Result<(), rusqlite::Error> {
    match ready_at {
        Some(at) => conn
            .prepare_cached("UPDATE outbox_lane SET lease = NULL, ready_at = ?3 WHERE lane = ?1 AND lease = ?2")?
            .execute(params![lane, lease, at.as_millis()])?,
        None => conn
            .prepare_cached("DELETE FROM outbox_lane WHERE lane = ?1 AND lease = ?2")?
            .execute(params![lane, lease])?,
    };
    Ok(())
}
