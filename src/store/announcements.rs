//! Announcements of operators: seen first, then sent to every member of the application, some at a time.
//!
//! Members are taken in the order of their lanes, and how far an announcement has come is remembered in the transaction
//! that puts it into the outbox: a restart neither repeats nor forgets it.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, LeaseLost, Store, audit,
    inbox::Inbound,
    member::MEMBER_OF_LANE,
    outbox,
    people::{APP_OF_LANE, CORP_OF_LANE},
};
use crate::{
    clock::Timestamp,
    model::{
        audit::Entry,
        id::{AgentId, CorpId, Lane, MemberId},
        reply::{Format, ReplyPart},
    },
};

/// How long an announcement that was shown can be sent.
pub const VALID: Duration = Duration::from_secs(10 * 60);
/// Members of the application who wait in the outbox from which on an announcement waits too: answers go first.
const BUSY: i64 = 32;
/// The causes of announcements in the outbox are below this, those of alerts above.
const CAUSES: i64 = -(1 << 40);
/// The most parts that one announcement has; `part` is the member's place times this, and the part.
const MOST_PARTS: i64 = 8;

/// What an operator does about an announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Show it, with this text.
    Show(String),
    /// Send what was shown: this one or, without an id, the last one.
    Send(Option<i64>),
    /// Take back what was shown, or the rest of what is being sent: of this one or, without an id, of all.
    Cancel(Option<i64>),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stepped {
    /// It was shown, and would go to so many.
    Shown {
        /// Its id, by which its card is known.
        id: i64,
        /// How many members.
        recipients: u64,
        /// What it says.
        text: String,
    },
    /// It is being sent to so many.
    Sending {
        /// How many members.
        recipients: u64,
    },
    /// It was taken back; so many had got it.
    Cancelled {
        /// How many members.
        sent: u64,
    },
    /// There is nothing that was shown in time.
    Nothing,
    /// This one is being sent already, or was sent to everybody.
    Already,
    /// This one was shown too long ago, was taken back, or another one was shown since.
    Stale,
}

impl Store {
    /// Ends the command of an operator with a step of their announcement and what is said about it.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn step_announcement(
        &self,
        claim: &Inbound,
        step: Step,
        words: impl Fn(Stepped) -> Vec<ReplyPart> + Send + 'static,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, actor) = (claim.lane.clone(), audit::sender(&claim.event));
        self.end_with(claim, now, move |conn| {
            let stepped = take_step(conn, &lane, &step, now)?;
            if let Some(entry) = entry(&lane, &step, &stepped) {
                audit::record(conn, &actor, entry, now)?;
            }
            Ok(words(stepped))
        })
        .await
    }

    /// Puts an announcement that is being sent into the outbox for the next of its members, up to `limit`, unless answers
    /// wait. Returns whether something is left to be sent, now or later.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn announce_some(
        &self,
        limit: usize,
        done: impl Fn(u64) -> Vec<ReplyPart> + Send + 'static,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let work = move |conn: &Connection| announce_some(conn, limit, &done, now);
        let signals = Arc::clone(&self.signals);
        self.db.write_then(work, move |_| signals.wake_all()).await
    }
}

/// What the audit log says of a step: how long the announcement is and how many it goes to, not what it says.
fn entry(lane: &Lane, step: &Step, stepped: &Stepped) -> Option<Entry> {
    let entry = |action| Entry::named(action, format!("announcement/{}", lane.app()));
    let id = match step {
        Step::Show(_) => None,
        Step::Send(id) | Step::Cancel(id) => *id,
    };
    let entry = match stepped {
        Stepped::Shown { id, recipients, text } => {
            entry("announcement.show").with("id", *id).with("recipients", *recipients).with("bytes", text.len())
        }
        Stepped::Sending { recipients } => entry("announcement.send").with("id", id).with("recipients", *recipients),
        Stepped::Cancelled { sent } => entry("announcement.cancel").with("id", id).with("sent", *sent),
        Stepped::Nothing | Stepped::Already | Stepped::Stale => return None,
    };
    Some(entry)
}

fn take_step(conn: &Connection, lane: &Lane, step: &Step, now: Timestamp) -> Result<Stepped, rusqlite::Error> {
    let set = |from: &str, to: &str| {
        conn.prepare_cached("UPDATE announcement SET state = ?3 WHERE lane = ?1 AND state = ?2")?.execute([
            lane.as_str(),
            from,
            to,
        ])
    };
    match step {
        Step::Show(text) => {
            set("shown", "cancelled")?;
            conn.prepare_cached("INSERT INTO announcement (lane, text, state, shown_at) VALUES (?1, ?2, 'shown', ?3)")?
                .execute(params![lane.as_str(), text, now.as_millis()])?;
            let id = conn.last_insert_rowid();
            Ok(Stepped::Shown { id, recipients: recipients(conn, lane)?, text: text.clone() })
        }
        Step::Send(Some(id)) => send_this(conn, lane, *id, now),
        Step::Cancel(Some(id)) => cancel_this(conn, lane, *id),
        Step::Send(None) => {
            let valid = (now - VALID).as_millis();
            let recipients = recipients(conn, lane)?;
            let sends = conn
                .prepare_cached(
                    "UPDATE announcement SET state = 'sending' WHERE lane = ?1 AND state = 'shown' AND shown_at > ?2",
                )?
                .execute(params![lane.as_str(), valid])?;
            Ok(if sends > 0 { Stepped::Sending { recipients } } else { Stepped::Nothing })
        }
        Step::Cancel(None) => {
            let sent: Option<i64> = conn
                .prepare_cached("SELECT SUM(sent) FROM announcement WHERE lane = ?1 AND state IN ('shown', 'sending')")?
                .query_row([lane.as_str()], |row| row.get(0))?;
            set("shown", "cancelled")?;
            set("sending", "cancelled")?;
            Ok(sent.map_or(Stepped::Nothing, |sent| Stepped::Cancelled { sent: sent.unsigned_abs() }))
        }
    }
}

/// Sends the one of `lane` with this id, once.
fn send_this(conn: &Connection, lane: &Lane, id: i64, now: Timestamp) -> Result<Stepped, rusqlite::Error> {
    let recipients = recipients(conn, lane)?;
    let sends = conn
        .prepare_cached(
            "UPDATE announcement SET state = 'sending'
             WHERE id = ?1 AND lane = ?2 AND state = 'shown' AND shown_at > ?3",
        )?
        .execute(params![id, lane.as_str(), (now - VALID).as_millis()])?;
    if sends > 0 {
        return Ok(Stepped::Sending { recipients });
    }
    Ok(match state_of(conn, lane, id)?.as_deref() {
        Some("sending" | "sent") => Stepped::Already,
        _ => Stepped::Stale,
    })
}

/// Takes back the one of `lane` with this id, or the rest of it.
fn cancel_this(conn: &Connection, lane: &Lane, id: i64) -> Result<Stepped, rusqlite::Error> {
    let sent: Option<i64> = conn
        .prepare_cached(
            "UPDATE announcement SET state = 'cancelled'
             WHERE id = ?1 AND lane = ?2 AND state IN ('shown', 'sending') RETURNING sent",
        )?
        .query_row(params![id, lane.as_str()], |row| row.get(0))
        .optional()?;
    Ok(match (sent, state_of(conn, lane, id)?.as_deref()) {
        (Some(sent), _) => Stepped::Cancelled { sent: sent.unsigned_abs() },
        (None, Some("sent")) => Stepped::Already,
        (None, _) => Stepped::Stale,
    })
}

fn state_of(conn: &Connection, lane: &Lane, id: i64) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached("SELECT state FROM announcement WHERE id = ?1 AND lane = ?2")?
        .query_row(params![id, lane.as_str()], |row| row.get(0))
        .optional()
}

/// Members who wrote to the application of `lane`, are not blocked, and have not left it.
fn whom() -> String {
    format!(
        "FROM known_member k WHERE k.lane > ?1 AND k.lane < ?2
             AND NOT EXISTS (SELECT 1 FROM blocked_member b
                             WHERE b.corp = {CORP_OF_LANE} AND b.member = {MEMBER_OF_LANE})
             AND NOT EXISTS (SELECT 1 FROM visible v
                             WHERE v.app IN ({APP_OF_LANE}, {CORP_OF_LANE})
                               AND v.member = {MEMBER_OF_LANE} AND v.is_in = 0)"
    )
}

/// Where the lanes of an application begin and end.
fn bounds(lane: &Lane) -> (String, String) {
    let application = lane.app();
    // What follows a slash.
    (format!("{application}/"), format!("{application}0"))
}

fn recipients(conn: &Connection, lane: &Lane) -> Result<u64, rusqlite::Error> {
    let (from, to) = bounds(lane);
    let count: i64 =
        conn.prepare_cached(&format!("SELECT COUNT(*) {}", whom()))?.query_row([from, to], |row| row.get(0))?;
    Ok(count.unsigned_abs())
}

fn announce_some(
    conn: &Connection,
    limit: usize,
    done: &impl Fn(u64) -> Vec<ReplyPart>,
    now: Timestamp,
) -> Result<bool, rusqlite::Error> {
    let first: Option<(i64, String, String, String, i64)> = conn
        .prepare_cached(
            "SELECT id, lane, text, reached, sent FROM announcement WHERE state = 'sending' ORDER BY id LIMIT 1",
        )?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?)))
        .optional()?;
    let Some((id, operator, text, reached, sent)) = first else { return Ok(false) };
    let waiting: i64 = conn
        .prepare_cached("SELECT COUNT(*) FROM (SELECT 1 FROM outbox_lane WHERE app = ?2 LIMIT ?1)")?
        .query_row(params![BUSY, Lane::from_stored(operator.clone()).app()], |row| row.get(0))?;
    if waiting >= BUSY {
        return Ok(true);
    }
    let operator = Lane::from_stored(operator);
    let (from, to) = bounds(&operator);
    let next: Vec<String> = conn
        .prepare_cached(&format!("SELECT k.lane {} ORDER BY k.lane LIMIT ?3", whom()))?
        .query_map(params![reached.max(from), to, limit], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let cause = CAUSES - id;
    let mut place = sent;
    for lane in &next {
        for (part, content) in (0..MOST_PARTS).zip(pieces(&text)) {
            if let (Some(to), Ok(content)) = (recipient(lane), ReplyPart::new(Format::Text, content)) {
                let number = place * MOST_PARTS + part;
                outbox::insert_part(conn, &Lane::from_stored(lane.clone()), &to, cause, number, &content, now)?;
            }
        }
        place += 1;
    }
    conn.prepare_cached("UPDATE announcement SET reached = COALESCE(?2, reached), sent = ?3 WHERE id = ?1")?
        .execute(params![id, next.last(), place])?;
    if next.len() < limit {
        conn.prepare_cached("UPDATE announcement SET state = 'sent' WHERE id = ?1")?.execute([id])?;
        if let Some(to) = recipient(operator.as_str()) {
            for (part, content) in (1..).zip(done(place.unsigned_abs())) {
                outbox::insert_part(conn, &operator, &to, cause, -part, &content, now)?;
            }
        }
    }
    let more = "SELECT 1 FROM announcement WHERE state = 'sending' LIMIT 1";
    conn.prepare_cached(more)?.exists([])
}

/// To whom a lane belongs. WeCom compares userids without case, so that the key will do.
fn recipient(lane: &str) -> Option<outbox::Recipient> {
    let mut parts = lane.splitn(3, '/');
    let corp = CorpId::parse(parts.next()?).ok()?;
    let agent = AgentId::new(parts.next()?.parse().ok()?);
    Some(outbox::Recipient::new(corp, agent, MemberId::parse(parts.next()?).ok()?))
}

/// The text in pieces that fit into a message.
fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, behind) = rest.split_at(rest.floor_char_boundary(crate::model::reply::PART_LIMIT));
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
