//! To whom the bot does not listen. Kept until an operator takes it back, or the member is erased.

use std::collections::HashSet;

use rusqlite::{Connection, params};

use super::{Error, LeaseLost, Store, inbox::Inbound};
use crate::{
    clock::Timestamp,
    model::{
        id::{Lane, MemberId},
        reply::ReplyPart,
    },
};

/// A member to whom the bot does not listen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// Who, as the operator wrote it.
    pub member: String,
    /// Why, as the operator wrote it; may be empty. Only operators see it.
    pub reason: String,
    /// Since when.
    pub at: Timestamp,
}

impl Store {
    /// The lanes of all members to whom the bot does not listen.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn blocked_lanes(&self) -> Result<HashSet<Lane>, Error> {
        self.db
            .read(|conn| {
                conn.prepare_cached("SELECT lane FROM blocked_member")?
                    .query_map([], |row| row.get(0).map(Lane::from_stored))?
                    .collect()
            })
            .await
    }

    /// Those of the application to which a lane belongs, the newest first.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn blocked_members(&self, beside: &Lane, limit: usize) -> Result<Vec<Blocked>, Error> {
        let application = beside.app().to_owned();
        self.db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT member, reason, at FROM blocked_member
                     WHERE lane >= ?1 || '/' AND lane < ?1 || '0' ORDER BY at DESC, lane LIMIT ?2",
                )?
                .query_map(params![application, limit], |row| {
                    Ok(Blocked { member: row.get(0)?, reason: row.get(1)?, at: Timestamp::from_millis(row.get(2)?) })
                })?
                .collect()
            })
            .await
    }

    /// Ends the command of an operator by which the bot no longer listens to `member`.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn block(
        &self,
        claim: &Inbound,
        member: &MemberId,
        reason: &str,
        parts: Vec<ReplyPart>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let lane = Lane::new(&claim.event.corp, claim.event.agent, member);
        let (member, reason) = (member.as_str().to_owned(), reason.to_owned());
        self.end_with(claim, now, move |conn| {
            conn.prepare_cached(
                "INSERT INTO blocked_member (lane, member, reason, at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (lane) DO UPDATE SET reason = excluded.reason",
            )?
            .execute(params![lane.as_str(), member, reason, now.as_millis()])?;
            Ok(parts.clone())
        })
        .await
    }

    /// Ends the command of an operator by which the bot listens to `member` again. `words` are given whether it did not.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn unblock(
        &self,
        claim: &Inbound,
        member: &MemberId,
        words: impl Fn(bool) -> Vec<ReplyPart> + Send + 'static,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let lane = Lane::new(&claim.event.corp, claim.event.agent, member);
        let work = move |conn: &Connection| {
            let was = conn.prepare_cached("DELETE FROM blocked_member WHERE lane = ?1")?.execute([lane.as_str()])?;
            Ok(words(was > 0))
        };
        self.end_with(claim, now, work).await
    }
}
