//! What was open when the backup was made: it may have been answered since, by whoever went on serving.

use rusqlite::{Connection, params};

use super::SURELY_REMEMBERED;
use crate::{
    clock::Timestamp,
    store::{Error, dead_letters::QUESTION},
};

/// What is to happen with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WhatIsOpen {
    /// The default. Soon after the backup: messages that waited are sent, and WeCom hides those that had arrived;
    /// questions are answered. Later than [`SURELY_REMEMBERED`]: all become dead letters, for people to decide.
    ByAge,
    /// Everything is answered and sent: nothing is lost, and what had been answered is answered twice.
    Answer,
    /// Everything becomes a dead letter: nothing is said twice by itself.
    Hold,
}

/// Something that became a dead letter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The dead letter's id.
    pub id: i64,
    /// Whose it is.
    pub member: String,
    /// Since when it waits.
    pub at: Timestamp,
    /// A question that is not answered, or an answer that is not delivered.
    pub is_question: bool,
}

/// Why it is a dead letter.
const ANSWER_HELD: &str = "restored from a backup: it may have been delivered since";
const QUESTION_HELD: &str = "a question, restored from a backup: it may have been answered since";

/// Decides over the open rows of a restored database, and makes the lanes anew. Nobody works in it yet.
pub(super) fn settle(
    conn: &Connection,
    what_is_open: WhatIsOpen,
    since: Timestamp,
    now: Timestamp,
) -> Result<Vec<Held>, Error> {
    let hold = match what_is_open {
        WhatIsOpen::ByAge => now.since(since) >= SURELY_REMEMBERED,
        WhatIsOpen::Answer => false,
        WhatIsOpen::Hold => true,
    };
    let tx = conn.unchecked_transaction()?;
    if hold {
        tx.execute(
            "UPDATE outbox SET state = 'dead', reason = ?1, ended_at = ?2 WHERE state = 'waiting'",
            params![ANSWER_HELD, now.as_millis()],
        )?;
        hold_questions(&tx, now)?;
    } else if what_is_open == WhatIsOpen::Answer {
        // As `dead-letters retry` does: however long it was unsure, it is sent.
        tx.execute(
            "UPDATE outbox SET attempts = 0, unsure_since = NULL, created_at = ?1 WHERE state = 'waiting'",
            [now.as_millis()],
        )?;
    } else {
        // An upload that was made since is not known here, so WeCom would not know the message again.
        tx.execute(
            "UPDATE outbox SET state = 'dead', reason = ?1, ended_at = ?2
             WHERE state = 'waiting' AND format IN ('image', 'voice', 'file')",
            params![ANSWER_HELD, now.as_millis()],
        )?;
        // From the moment of the backup on somebody may have sent it, and what was under way then, before.
        tx.execute(
            "UPDATE outbox SET unsure_since = COALESCE(unsure_since,
                 CASE WHEN lane IN (SELECT lane FROM outbox_lane WHERE lease IS NOT NULL) THEN attempted_at END, ?1)
             WHERE state = 'waiting'",
            [since.as_millis()],
        )?;
    }
    let held = {
        let mut select = tx.prepare(
            "SELECT seq, member, created_at, format = ?2 FROM outbox WHERE state = 'dead' AND ended_at = ?1
               AND reason IN (?3, ?4) ORDER BY seq",
        )?;
        let rows = select.query_map(params![now.as_millis(), QUESTION, ANSWER_HELD, QUESTION_HELD], |row| {
            Ok(Held {
                id: row.get(0)?,
                member: row.get(1)?,
                at: Timestamp::from_millis(row.get(2)?),
                is_question: row.get(3)?,
            })
        })?;
        rows.collect::<Result<Vec<_>, _>>()?
    };
    tx.execute_batch(
        "DELETE FROM inbox_lane;
         INSERT INTO inbox_lane (lane, depth, ready_at)
             SELECT lane, COUNT(*), MIN(received_at) FROM inbox WHERE state = 'open' GROUP BY lane;
         DELETE FROM outbox_lane;
         INSERT INTO outbox_lane (lane, ready_at)
             SELECT lane, MIN(created_at) FROM outbox WHERE state = 'waiting' GROUP BY lane;",
    )?;
    tx.commit()?;
    Ok(held)
}

/// The part number of the dead letter that stands for a question: below all that `outbox` gives to what is said about
/// one, because a question that is half answered may have those as well.
const QUESTION_PART: i64 = -100;

/// Each open question gets a dead letter that stands for it; its text stays where it is. Of greetings, stops and what
/// cannot be read there is nothing to decide.
fn hold_questions(conn: &Connection, now: Timestamp) -> Result<(), rusqlite::Error> {
    conn.execute(
        "UPDATE inbox SET state = 'done'
         WHERE state = 'open' AND (stops = 1 OR kind IN ('enter_agent', 'subscribe') OR NOT json_valid(event))",
        [],
    )?;
    conn.execute(
        "INSERT INTO outbox (lane, cause, part, corp, agent, member, format, content, state, created_at, ended_at, reason)
         SELECT lane, seq, ?4, json_extract(event, '$.corp'), json_extract(event, '$.agent'),
                json_extract(event, '$.from'), ?1, '', 'dead', received_at, ?2, ?3
         FROM inbox WHERE state = 'open' ORDER BY seq",
        params![QUESTION, now.as_millis(), QUESTION_HELD, QUESTION_PART],
    )?;
    conn.execute("UPDATE inbox SET state = 'held' WHERE state = 'open'", [])?;
    Ok(())
}

/// How many questions and messages are open.
pub(super) fn count(conn: &Connection) -> Result<(usize, usize), Error> {
    Ok(conn.query_row(
        "SELECT (SELECT COUNT(*) FROM inbox WHERE state = 'open'), (SELECT COUNT(*) FROM outbox WHERE state = 'waiting')",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?)
}
