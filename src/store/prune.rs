//! Deletes by age what is finished. Every table that grows is here; dead letters stay until somebody decides over them,
//! because each is a promise that was not kept.
//!
//! What is deleted is overwritten (`secure_delete`), and its room is used again. The file itself does not shrink: a
//! backup is compact, and so is the database that is restored from it.

use std::time::Duration;

use rusqlite::params;

use super::{Error, db::Db, member::TOMBSTONE_KEPT, terms::KNOWN_FOR};
use crate::clock::Timestamp;

/// Rows in one transaction: few enough that a callback in the same commit does not feel it. 500 turns of 6 KB took 27 to
/// 99 ms on a busy machine of two cores, most of it for overwriting them.
const BATCH: usize = 200;

/// A table whose rows age in the order of their key.
struct Aged {
    /// The first key that stays: of the first young row or, where all are old, after the last. Rows that come between
    /// this look and the deletion are beyond it. Reads no more than what is old.
    first_young: &'static str,
    /// Deletes rows below that key that ended before the time. Some of them may have ended just now.
    delete: &'static str,
}

const AGED: [Aged; 3] = [
    Aged {
        first_young: "SELECT COALESCE((SELECT seq FROM inbox WHERE received_at >= ?1 ORDER BY seq LIMIT 1),
                      (SELECT MAX(seq) + 1 FROM inbox), 0)",
        delete: "DELETE FROM inbox WHERE seq IN
                 (SELECT seq FROM inbox WHERE seq < ?1 AND state NOT IN ('open', 'held') AND received_at < ?3
                  ORDER BY seq LIMIT ?2)",
    },
    Aged {
        first_young: "SELECT COALESCE((SELECT seq FROM outbox WHERE created_at >= ?1 ORDER BY seq LIMIT 1),
                      (SELECT MAX(seq) + 1 FROM outbox), 0)",
        delete: "DELETE FROM outbox WHERE seq IN
                 (SELECT seq FROM outbox WHERE seq < ?1 AND state = 'sent' AND ended_at < ?3
                  ORDER BY seq LIMIT ?2)",
    },
    Aged {
        first_young: "SELECT COALESCE((SELECT cause FROM turn WHERE ended_at >= ?1 ORDER BY cause LIMIT 1),
                      (SELECT MAX(cause) + 1 FROM turn), 0)",
        delete: "DELETE FROM turn WHERE cause IN
                 (SELECT cause FROM turn WHERE cause < ?1 AND (ended_at < ?3 OR ended_at IS NULL
                      AND NOT EXISTS (SELECT 1 FROM inbox WHERE seq = cause AND state IN ('open', 'held')))
                  ORDER BY cause LIMIT ?2)",
    },
];

/// Tables with a row for each member or conversation: few enough to be looked through.
const UNORDERED: [&str; 12] = [
    // Taken back long ago: whoever tries it is told the same as of one that never was.
    "DELETE FROM api_key WHERE number IN (SELECT number FROM api_key WHERE ?1 > 0 AND revoked_at < ?3 LIMIT ?2)",
    "DELETE FROM operator_token WHERE number IN
     (SELECT number FROM operator_token WHERE ?1 > 0 AND revoked_at < ?3 LIMIT ?2)",
    // Over after half a day, and forgotten at the next login.
    "DELETE FROM operator_session WHERE number IN
     (SELECT number FROM operator_session WHERE ?1 > 0 AND used_at < ?3 LIMIT ?2)",
    "DELETE FROM operator_place WHERE (operator, address) IN
     (SELECT operator, address FROM operator_place WHERE ?1 > 0 AND last_at < ?3 LIMIT ?2)",
    "DELETE FROM renamed WHERE id IN (SELECT id FROM renamed WHERE id < ?1 AND at < ?3 LIMIT ?2)",
    "DELETE FROM quota_request WHERE id IN (SELECT id FROM quota_request WHERE id < ?1 AND asked_at < ?3 LIMIT ?2)",
    "DELETE FROM announcement WHERE id IN
     (SELECT id FROM announcement WHERE id < ?1 AND state <> 'sending' AND shown_at < ?3 LIMIT ?2)",
    "DELETE FROM conversation WHERE id IN
     (SELECT id FROM conversation WHERE id < ?1 AND closed_at < ?3
      AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.conversation = conversation.id)
      ORDER BY closed_at LIMIT ?2)",
    // Of a member who has long been silent: nothing is left in it, and nothing is about to be.
    "DELETE FROM conversation WHERE id IN
     (SELECT id FROM conversation WHERE id < ?1 AND closed_at IS NULL AND last_at < ?3
      AND NOT EXISTS (SELECT 1 FROM turn WHERE turn.conversation = conversation.id)
      AND NOT EXISTS (SELECT 1 FROM inbox_lane WHERE inbox_lane.lane = conversation.lane) LIMIT ?2)",
    // Of a conversation that is gone, however young.
    "DELETE FROM summary WHERE conversation IN
     (SELECT conversation FROM summary WHERE ?1 > 0 AND ?3 = ?3
      AND NOT EXISTS (SELECT 1 FROM conversation WHERE id = summary.conversation) LIMIT ?2)",
    // Of a member who has long been silent: it would be asked again.
    "DELETE FROM profile WHERE lane IN (SELECT lane FROM profile WHERE ?1 > 0 AND fetched_at < ?3 LIMIT ?2)",
    // A member is welcomed once a day; older than that, the row says nothing.
    "DELETE FROM welcome WHERE lane IN (SELECT lane FROM welcome WHERE ?1 > 0 AND welcomed_at < ?3 LIMIT ?2)",
];

/// What is left of erased messages; their keys lie together.
const TOMBSTONES: &str = "DELETE FROM inbox WHERE seq IN
     (SELECT seq FROM inbox WHERE seq < ?1 AND dedup >= 'x:' AND dedup < 'x;' AND received_at < ?3 LIMIT ?2)";

/// Links that nobody used in time.
const LINKS: &str =
    "DELETE FROM key_link WHERE id IN (SELECT id FROM key_link WHERE id < ?1 AND expires_at <= ?3 LIMIT ?2)";

/// What WeCom no longer has. Nothing is named by it any more: what may have been sent is given up long before.
const UPLOADS: &str = "DELETE FROM upload WHERE (corp, hash, kind, name, repetition) IN
     (SELECT corp, hash, kind, name, repetition FROM upload WHERE ?1 > 0 AND uploaded_at < ?3 LIMIT ?2)";
/// How long WeCom has it, and a day.
const UPLOAD_KEPT: Duration = Duration::from_secs(4 * 24 * 60 * 60);

/// Requests that are no longer known again.
const REQUESTS: &str = "DELETE FROM idempotency WHERE id IN
     (SELECT id FROM idempotency WHERE ?1 > 0 AND at < ?3 LIMIT ?2)";

/// What was used is kept for the longest window that looks back at it, a month, and as long again.
const USED_KEPT: Duration = Duration::from_secs(62 * 24 * 60 * 60);
const USED: [&str; 2] = [
    "DELETE FROM used WHERE (subject, quarter) IN
     (SELECT subject, quarter FROM used WHERE ?1 > 0 AND quarter >= 0 AND quarter < ?3 LIMIT ?2)",
    "DELETE FROM allowance WHERE id IN (SELECT id FROM allowance WHERE ?1 > 0 AND until < ?3 LIMIT ?2)",
];

pub(super) async fn prune(db: &Db, now: Timestamp, keep: Duration) -> Result<usize, Error> {
    let before = now - keep;
    let mut total = in_batches(db, TOMBSTONES, i64::MAX, now - TOMBSTONE_KEPT).await?;
    total += in_batches(db, LINKS, i64::MAX, now).await?;
    total += in_batches(db, UPLOADS, i64::MAX, now - UPLOAD_KEPT).await?;
    total += in_batches(db, REQUESTS, i64::MAX, now - KNOWN_FOR).await?;
    for Aged { first_young, delete } in AGED {
        let below: i64 = db
            .read(move |conn| conn.prepare_cached(first_young)?.query_row([before.as_millis()], |row| row.get(0)))
            .await?;
        total += in_batches(db, delete, below, before).await?;
    }
    for delete in USED {
        total += in_batches(db, delete, i64::MAX, now - USED_KEPT).await?;
    }
    for delete in UNORDERED {
        total += in_batches(db, delete, i64::MAX, before).await?;
    }
    Ok(total)
}

async fn in_batches(db: &Db, delete: &'static str, below: i64, before: Timestamp) -> Result<usize, Error> {
    let mut total = 0;
    loop {
        let deleted = db
            .write(move |conn| conn.prepare_cached(delete)?.execute(params![below, BATCH, before.as_millis()]))
            .await?;
        total += deleted;
        if deleted < BATCH {
            return Ok(total);
        }
    }
}
