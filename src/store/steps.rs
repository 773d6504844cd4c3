//! What a turn that is being answered has read and called, so that a crash neither loses it nor does it twice. The rows
//! of a turn go with its end (two triggers in the migration): what a page or a tool said is kept no longer than needed.

use rusqlite::{Connection, params};

use super::{
    Error, LeaseLost, Store,
    conversation::{TurnRecord, holds},
    inbox::Inbound,
    outbox,
};
use crate::{clock::Timestamp, model::reply::ReplyPart};

/// One thing that was read or called.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Step {
    /// Its place within the turn, from 0.
    pub number: u32,
    /// Calls that the model asked for at once have the same.
    pub round: u32,
    /// What was called, by the name that the model knows.
    pub tool: String,
    /// The upstream's name for the call.
    pub call: String,
    /// JSON.
    pub arguments: String,
    /// What the model thought before the round, where it must be given back.
    pub thought: String,
    /// What came of it; `None`: it is under way, or was when the process ended.
    pub result: Option<String>,
}

impl Store {
    /// Commits a step that begins or has ended, with the turn so far and what the member is told of it.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written.
    pub async fn record_step(
        &self,
        claim: &Inbound,
        turn: TurnRecord,
        first_part: u32,
        parts: Vec<ReplyPart>,
        step: Step,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, seq, lease) = (claim.lane.clone(), claim.seq, claim.lease());
        let to = outbox::Recipient::of(&claim.event);
        let work = move |conn: &Connection| {
            if !holds(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            turn.write(conn, seq, now)?;
            conn.prepare_cached(
                "INSERT INTO step (cause, number, round, tool, call, arguments, thought, result)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
                 ON CONFLICT (cause, number) DO UPDATE SET result = excluded.result",
            )?
            .execute(params![
                seq,
                step.number,
                step.round,
                step.tool,
                step.call,
                step.arguments,
                step.thought,
                step.result,
            ])?;
            outbox::insert(conn, &lane, &to, seq, first_part, &parts, now)?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_outbox(&claim.lane)).await
    }

    /// The steps of the turn that answers inbox row `cause`, in their order.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_steps(&self, cause: i64) -> Result<Vec<Step>, Error> {
        let read = move |conn: &Connection| {
            conn.prepare_cached(
                "SELECT number, round, tool, call, arguments, thought, result FROM step
                 WHERE cause = ?1 ORDER BY number",
            )?
            .query_map([cause], |row| {
                Ok(Step {
                    number: row.get(0)?,
                    round: row.get(1)?,
                    tool: row.get(2)?,
                    call: row.get(3)?,
                    arguments: row.get(4)?,
                    thought: row.get(5)?,
                    result: row.get(6)?,
                })
            })?
            .collect()
        };
        self.db.read(read).await
    }
}
