//! Which rows leave together in one message: decided once, before the first attempt, and the same ever after.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};
use tracing::error;

use super::{DUPLICATE_CHECK, MERGE_ROWS, OutboundClaim, Recipient, stored};
use crate::{
    clock::Timestamp,
    model::{
        id::{AgentId, CorpId, Lane, MemberId},
        outbound::{Outbound, REPETITIONS},
        pace::{self, Pace},
        reply::ReplyPart,
    },
};

/// What there is to do for a lane.
pub(super) enum Next {
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

/// The next message of a lane, as the pace allows it.
pub(super) fn next_message(conn: &Connection, lane: &str, lease: i64, now: Timestamp) -> Result<Next, rusqlite::Error> {
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
    let Waiting { readable, set_aside } = waiting(conn, lane, now)?;
    let mut rows = readable.into_iter();
    let Some(head) = rows.next() else {
        // More may wait behind what was set aside.
        return Ok(if set_aside { Next::RestUntil(now) } else { Next::Nothing });
    };

    // Tried before: the same rows again. Never tried: those that fit, if it is to be merged.
    let (mut part, mut joined) = (head.part.clone(), Vec::new());
    for row in rows {
        let together = if head.batch.is_some() { row.batch == head.batch } else { merge && row.batch.is_none() };
        let Some(merged) = together.then(|| part.merge(&row.part)).flatten() else { break };
        part = merged;
        joined.push(row.seq);
    }
    let repetition = match head.batch {
        Some(_) => {
            conn.prepare_cached("UPDATE outbox SET attempts = attempts + 1, attempted_at = ?2 WHERE seq = ?1")?
                .execute(params![head.seq, now.as_millis()])?;
            head.repetition
        }
        None => begin_batch(conn, lane, head.seq, &joined, &part, now)?,
    };
    let Recipient { corp, agent, member } = head.to;
    Ok(Next::Message(Box::new(OutboundClaim {
        lane: Lane::from_stored(lane.to_owned()),
        message: Outbound::new(corp, agent, member, part, repetition),
        attempts: head.attempts + 1,
        created_at: head.created_at,
        unsure_since: head.unsure_since,
        cause: head.cause,
        batch: head.seq,
        joined,
        lease,
    })))
}

/// The first rows that wait on a lane, and whether some of them had to be set aside.
struct Waiting {
    readable: Vec<Row>,
    set_aside: bool,
}

/// The first rows that wait on a lane. One that this version cannot read (a newer one wrote it) becomes a dead letter,
/// so that it holds nobody up.
fn waiting(conn: &Connection, lane: &str, now: Timestamp) -> Result<Waiting, rusqlite::Error> {
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
    let set_aside = !unreadable.is_empty();
    for (seq, error) in unreadable {
        error!(outbox.seq = seq, %error, "set aside an answer that this version cannot read");
        conn.prepare_cached("UPDATE outbox SET state = 'dead', reason = 'unreadable', ended_at = ?2 WHERE seq = ?1")?
            .execute(params![seq, now.as_millis()])?;
    }
    Ok(Waiting { readable, set_aside })
}

/// Binds `joined` to `head` as one message, numbers it among the equal messages before it, and notes its
/// first attempt.
fn begin_batch(
    conn: &Connection,
    lane: &str,
    head: i64,
    joined: &[i64],
    part: &ReplyPart,
    now: Timestamp,
) -> Result<u32, rusqlite::Error> {
    let digest = digest(part);
    let before: Option<u32> = conn
        .prepare_cached(
            "SELECT repetition FROM outbox WHERE lane = ?1 AND attempted_at > ?2 AND batch = seq AND digest = ?3
             ORDER BY attempted_at DESC LIMIT 1",
        )?
        .query_row(params![lane, (now - DUPLICATE_CHECK).as_millis(), digest], |row| row.get(0))
        .optional()?;
    // One on from the last, not a count: the check looks back from each message, and a count would come round again.
    let repetition = before.map_or(0, |last| (last + 1) % REPETITIONS);
    conn.prepare_cached(
        "UPDATE outbox SET batch = ?1, digest = ?2, repetition = ?3, attempts = attempts + 1, attempted_at = ?4
         WHERE seq = ?1",
    )?
    .execute(params![head, digest, repetition, now.as_millis()])?;
    for seq in joined {
        conn.prepare_cached("UPDATE outbox SET batch = ?2 WHERE seq = ?1")?.execute([*seq, head])?;
    }
    Ok(repetition)
}

/// A number that equal parts share and others, for all that matters here, do not: a false match costs an invisible
/// character, or an upload.
fn digest(part: &ReplyPart) -> i64 {
    let (_, content) = stored::columns(part);
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
    let part = stored::part(row.get_ref(5)?.as_str()?, row.get(6)?)
        .ok_or_else(|| corrupt(5)("no part that this version knows".into()))?;
    Ok(Row {
        seq: row.get(0)?,
        cause: row.get(1)?,
        to: Recipient {
            corp: CorpId::parse(row.get_ref(2)?.as_str()?).map_err(|error| corrupt(2)(error.into()))?,
            agent: AgentId::new(row.get::<_, i64>(3)?.cast_unsigned()),
            member: MemberId::parse(row.get_ref(4)?.as_str()?).map_err(|error| corrupt(4)(error.into()))?,
        },
        part,
        batch: row.get(7)?,
        repetition: row.get(8)?,
        attempts: row.get(9)?,
        unsure_since: row.get::<_, Option<i64>>(10)?.map(Timestamp::from_millis),
        created_at: Timestamp::from_millis(row.get(11)?),
    })
}
