//! The outbox: what is to be said, in order, one message of a member at a time.
//!
//! Which rows leave together in one message is decided once, before its first attempt, and committed with it: every
//! later attempt says exactly the same, so that WeCom's duplicate check shows it once.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tracing::error;

use super::{
    Error, LeaseLost, Store,
    inbox::{Claimed, Queue, lease_lanes, next_lease, next_ready},
};
use crate::{
    clock::Timestamp,
    model::{
        event::Event,
        id::{AgentId, CorpId, Lane, MemberId},
        outbound::{Outbound, REPETITIONS},
        pace::{self, Pace},
        reply::{Format, ReplyPart},
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
    /// The inbox row that it answers.
    pub cause: i64,
    batch: i64,
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
    pub(super) fn of(event: &Event) -> Self {
        Self { corp: event.corp.clone(), agent: event.agent, member: event.from.clone() }
    }
}

/// The part number of the notice that an answer takes a while. Its row is unique, so it is said once.
const NOTICE_PART: i64 = -1;

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

fn insert_part(
    conn: &Connection,
    lane: &Lane,
    to: &Recipient,
    cause: i64,
    number: i64,
    part: &ReplyPart,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
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
        part.format().as_str(),
        part.content(),
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
        let work = move |conn: &Connection| {
            let still_of_use = conn
                .prepare_cached(
                    "SELECT 1 FROM inbox WHERE seq = ?1 AND state = 'open'
                     AND NOT EXISTS (SELECT 1 FROM outbox WHERE cause = ?1 AND part >= 0)",
                )?
                .exists([cause])?;
            if still_of_use { insert_part(conn, &lane, &to, cause, NOTICE_PART, &part, now) } else { Ok(()) }
        };
        self.db.write_then(work, self.wake_outbox()).await
    }

    /// Takes the next message of each of up to `limit` free lanes. Where the pace forbids one, the lane rests.
    ///
    /// # Errors
    /// [`Error`]: nothing was taken.
    pub async fn claim_outbound(&self, limit: usize, now: Timestamp) -> Result<Claimed<OutboundClaim>, Error> {
        let lease = next_lease();
        self.db
            .write(move |conn| {
                let lanes = lease_lanes(conn, Queue::Outbox, lease, limit, now)?;
                let mut claims = Vec::with_capacity(lanes.len());
                for lane in lanes {
                    match next_message(conn, &lane, lease, now)? {
                        Next::Message(claim) => claims.push(*claim),
                        Next::RestUntil(at) => set_free(conn, &lane, lease, Some(at))?,
                        Next::Nothing => set_free(conn, &lane, lease, None)?,
                    }
                }
                Ok(Claimed { claims, next_at: next_ready(conn, Queue::Outbox)? })
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
        self.end(claim, "sent", msg_id, None, now).await
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
        self.end(claim, "dead", None, Some(reason.to_owned()), now).await
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
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, batch, reason) = (claim.lane.clone(), claim.lease, claim.batch, reason.to_owned());
        let work = move |conn: &Connection| {
            if !is_held(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            set_free(conn, lane.as_str(), lease, Some(at))?;
            conn.prepare_cached(
                "UPDATE outbox SET reason = ?2, unsure_since = COALESCE(unsure_since, ?3), attempts = attempts - ?4
                 WHERE seq = ?1",
            )?
            .execute(params![
                batch,
                reason,
                (attempt == Attempt::Unsure).then_some(now.as_millis()),
                attempt == Attempt::Blocked,
            ])?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_outbox()).await
    }

    async fn end(
        &self,
        claim: &OutboundClaim,
        state: &'static str,
        msg_id: Option<String>,
        reason: Option<String>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, batch) = (claim.lane.clone(), claim.lease, claim.batch);
        let work = move |conn: &Connection| {
            if !is_held(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            // A message is made of neighbours: looking further would read all that waits for a flooded member.
            conn.prepare_cached(
                "UPDATE outbox SET state = ?3, msg_id = ?4, reason = COALESCE(?5, reason), ended_at = ?6
                 WHERE seq IN (SELECT seq FROM outbox WHERE lane = ?1 AND state = 'waiting' ORDER BY seq LIMIT ?7)
                   AND batch = ?2",
            )?
            .execute(params![lane.as_str(), batch, state, msg_id, reason, now.as_millis(), MERGE_ROWS])?;
            let more = conn
                .prepare_cached("SELECT 1 FROM outbox WHERE lane = ?1 AND state = 'waiting' LIMIT 1")?
                .exists([lane.as_str()])?;
            set_free(conn, lane.as_str(), lease, more.then_some(now))?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_outbox()).await
    }
}

enum Next {
    Message(Box<OutboundClaim>),
    RestUntil(Timestamp),
    Nothing,
}

struct Row {
    seq: i64,
    cause: i64,
    to: Recipient,
    part: ReplyPart,
    batch: Option<i64>,
    repetition: u32,
    attempts: u32,
    unsure_since: Option<Timestamp>,
    created_at: Timestamp,
}

fn next_message(conn: &Connection, lane: &str, lease: i64, now: Timestamp) -> Result<Next, rusqlite::Error> {
    let recent: Vec<Timestamp> = conn
        .prepare_cached(
            "SELECT attempted_at FROM outbox WHERE lane = ?1 AND attempted_at > ?2 AND batch = seq
             ORDER BY attempted_at",
        )?
        .query_map(params![lane, (now - Duration::from_secs(3600)).as_millis()], |row| {
            row.get(0).map(Timestamp::from_millis)
        })?
        .collect::<Result<_, _>>()?;
    let merge = match pace::pace(&recent, now) {
        Pace::Wait { until } => return Ok(Next::RestUntil(until)),
        Pace::Now { merge } => merge,
    };
    let mut rows = waiting(conn, lane, now)?.into_iter();
    let Some(head) = rows.next() else { return Ok(Next::Nothing) };

    // Tried before: the same rows again. Never tried: those that fit, if it is to be merged.
    let (mut part, mut last) = (head.part.clone(), head.seq);
    for row in rows {
        let together = if head.batch.is_some() { row.batch == head.batch } else { merge && row.batch.is_none() };
        let Some(merged) = together.then(|| part.merge(&row.part)).flatten() else { break };
        (part, last) = (merged, row.seq);
    }
    let repetition = match head.batch {
        Some(_) => head.repetition,
        None => begin_batch(conn, lane, head.seq, last, &part, now)?,
    };
    conn.prepare_cached("UPDATE outbox SET attempts = attempts + 1, attempted_at = ?2 WHERE seq = ?1")?
        .execute(params![head.seq, now.as_millis()])?;
    let Recipient { corp, agent, member } = head.to;
    Ok(Next::Message(Box::new(OutboundClaim {
        lane: Lane::from_stored(lane.to_owned()),
        message: Outbound::new(corp, agent, member, part, repetition),
        attempts: head.attempts + 1,
        created_at: head.created_at,
        unsure_since: head.unsure_since,
        cause: head.cause,
        batch: head.seq,
        lease,
    })))
}

/// The first rows that wait on a lane. One that this version cannot read (a newer one wrote it) becomes a dead letter,
/// so that it holds nobody up.
fn waiting(conn: &Connection, lane: &str, now: Timestamp) -> Result<Vec<Row>, rusqlite::Error> {
    let (mut readable, mut unreadable) = (Vec::new(), Vec::new());
    let mut select = conn.prepare_cached(
        "SELECT seq, cause, corp, agent, member, format, content, batch, repetition, attempts, unsure_since, created_at
         FROM outbox WHERE lane = ?1 AND state = 'waiting' ORDER BY seq LIMIT ?2",
    )?;
    let mut rows = select.query(params![lane, MERGE_ROWS])?;
    while let Some(row) = rows.next()? {
        match read_row(row) {
            Ok(row) => readable.push(row),
            Err(error) => unreadable.push((row.get::<_, i64>(0)?, error)),
        }
    }
    for (seq, error) in unreadable {
        error!(outbox.seq = seq, %error, "set aside an answer that this version cannot read");
        conn.prepare_cached("UPDATE outbox SET state = 'dead', reason = 'unreadable', ended_at = ?2 WHERE seq = ?1")?
            .execute(params![seq, now.as_millis()])?;
    }
    Ok(readable)
}

/// Binds the rows from `head` to `last` into one message and numbers it among the equal messages before it.
fn begin_batch(
    conn: &Connection,
    lane: &str,
    head: i64,
    last: i64,
    part: &ReplyPart,
    now: Timestamp,
) -> Result<u32, rusqlite::Error> {
    let digest = digest(part.content());
    let before: Option<u32> = conn
        .prepare_cached(
            "SELECT repetition FROM outbox WHERE lane = ?1 AND attempted_at > ?2 AND batch = seq AND digest = ?3
             ORDER BY attempted_at DESC LIMIT 1",
        )?
        .query_row(params![lane, (now - DUPLICATE_CHECK).as_millis(), digest], |row| row.get(0))
        .optional()?;
    // One on from the last, not a count: the check looks back from each message, and a count would come round again.
    let repetition = before.map_or(0, |last| (last + 1) % REPETITIONS);
    conn.prepare_cached("UPDATE outbox SET digest = ?2, repetition = ?3 WHERE seq = ?1")?
        .execute(params![head, digest, repetition])?;
    conn.prepare_cached(
        "UPDATE outbox SET batch = ?2 WHERE lane = ?1 AND state = 'waiting' AND seq BETWEEN ?2 AND ?3",
    )?
    .execute(params![lane, head, last])?;
    Ok(repetition)
}

/// A number that equal texts share and others, for all that matters here, do not: a false match costs an invisible
/// character.
fn digest(content: &str) -> i64 {
    // FNV-1a, 64 bits: it must give the same in every build, as the standard library's hasher need not.
    content
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
        .cast_signed()
}

fn read_row(row: &rusqlite::Row<'_>) -> Result<Row, rusqlite::Error> {
    let corrupt = |column| {
        move |error: Box<dyn std::error::Error + Send + Sync>| {
            rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, error)
        }
    };
    let format = match row.get_ref(5)?.as_str()? {
        "text" => Format::Text,
        "markdown" => Format::Markdown,
        _ => return Err(corrupt(5)("unknown format".into())),
    };
    Ok(Row {
        seq: row.get(0)?,
        cause: row.get(1)?,
        to: Recipient {
            corp: CorpId::parse(row.get_ref(2)?.as_str()?).map_err(|error| corrupt(2)(error.into()))?,
            agent: AgentId::new(row.get::<_, i64>(3)?.cast_unsigned()),
            member: MemberId::parse(row.get_ref(4)?.as_str()?).map_err(|error| corrupt(4)(error.into()))?,
        },
        part: ReplyPart::new(format, row.get::<_, String>(6)?).map_err(|error| corrupt(6)(error.into()))?,
        batch: row.get(7)?,
        repetition: row.get(8)?,
        attempts: row.get(9)?,
        unsure_since: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.get(11)?),
    })
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
