//! What members asked to be remembered. What may be, says `model::fact`; only the worker that holds a lane changes its
//! facts, so what it decided on is still so when it is written.

use rusqlite::{Connection, params};

use super::{Error, LeaseLost, Store, inbox::Inbound, lane::end_rows, outbox};
use crate::{
    clock::Timestamp,
    model::{
        fact::{Change, Fact},
        id::Lane,
        reply::ReplyPart,
    },
};

impl Store {
    /// What is remembered of a lane's member, oldest first.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn facts(&self, lane: &Lane) -> Result<Vec<Fact>, Error> {
        let lane = lane.clone();
        self.db.read(move |conn| of_lane(conn, &lane)).await
    }

    /// Ends the claim of a command with the change that it asked for and what is said about it, in one transaction: a
    /// command that is done again after a crash was not done before.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written; the claim stands and may be ended later.
    pub async fn change_facts(
        &self,
        claim: &Inbound,
        change: Change,
        parts: Vec<ReplyPart>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease, seq) = (claim.lane.clone(), claim.lease(), claim.seq);
        let (to, mode) = (outbox::Recipient::of(&claim.event), self.modes.of(&claim.lane));
        let work = move |conn: &Connection| {
            if !end_rows(conn, &lane, lease, seq..=seq, "done", mode, now)? {
                return Ok(Err(LeaseLost));
            }
            apply(conn, &lane, &change, now)?;
            outbox::insert(conn, &lane, &to, seq, 0, &parts, now)?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_both(&claim.lane)).await
    }
}

pub(super) fn of_lane(conn: &Connection, lane: &Lane) -> Result<Vec<Fact>, rusqlite::Error> {
    conn.prepare_cached("SELECT id, text, at FROM fact WHERE lane = ?1 ORDER BY id")?
        .query_map([lane.as_str()], |row| {
            Ok(Fact { id: row.get(0)?, text: row.get(1)?, at: Timestamp::from_millis(row.get(2)?) })
        })?
        .collect()
}

fn apply(conn: &Connection, lane: &Lane, change: &Change, now: Timestamp) -> Result<(), rusqlite::Error> {
    match change {
        Change::Remember(text) => {
            conn.prepare_cached("INSERT INTO fact (lane, text, at) VALUES (?1, ?2, ?3)")?.execute(params![
                lane.as_str(),
                text,
                now.as_millis()
            ])?;
        }
        Change::Forget(ids) => {
            let mut delete = conn.prepare_cached("DELETE FROM fact WHERE lane = ?1 AND id = ?2")?;
            for id in ids {
                delete.execute(params![lane.as_str(), id])?;
            }
        }
    }
    Ok(())
}
