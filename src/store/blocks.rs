//! To whom the bot does not listen. Kept until an operator takes it back, or the member is erased.

use rusqlite::{Connection, OptionalExtension, params};

use super::{Error, LeaseLost, Store, audit, inbox::Inbound};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Entry, Object, Shown},
        id::{CorpId, MemberId},
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
    /// Those of an enterprise, the newest first.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn blocked_members(&self, corp: &CorpId) -> Result<Vec<Blocked>, Error> {
        let corp = corp.as_str().to_owned();
        self.db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT userid, reason, at FROM blocked_member WHERE corp = ?1 ORDER BY at DESC, member",
                )?
                .query_map([corp], |row| {
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
        let (corp, member, reason) = (claim.event.corp.clone(), member.clone(), reason.to_owned());
        let actor = audit::sender(&claim.event);
        self.end_with(claim, now, move |conn| {
            let before = reason_of(conn, &corp, &member)?;
            block(conn, &corp, &member, &reason, now)?;
            let shown = |reason: Option<&String>| {
                reason.map_or(Shown::NOTHING, |reason| Shown::Of(member.clone(), reason.clone()))
            };
            let entry = Entry::new("member.block", Object::Member(corp.clone(), member.clone()));
            let entry = entry.changed("blocked", shown(before.as_ref()), shown(Some(&reason)));
            audit::record(conn, &actor, entry, now)?;
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
        let (actor, corp, member) = (audit::sender(&claim.event), claim.event.corp.clone(), member.clone());
        let work = move |conn: &Connection| {
            let before = reason_of(conn, &corp, &member)?;
            let was = unblock(conn, corp.as_str(), &member.key())?;
            if let Some(reason) = before {
                let entry = Entry::new("member.unblock", Object::Member(corp.clone(), member.clone()));
                let entry = entry.changed("blocked", Shown::Of(member.clone(), reason), Shown::NOTHING);
                audit::record(conn, &actor, entry, now)?;
            }
            Ok(words(was))
        };
        self.end_with(claim, now, work).await
    }
}

/// Why the bot does not listen to a member; `None`: it does.
fn reason_of(conn: &Connection, corp: &CorpId, member: &MemberId) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached("SELECT reason FROM blocked_member WHERE corp = ?1 AND member = ?2")?
        .query_row([corp.as_str(), &member.key()], |row| row.get(0))
        .optional()
}

/// The bot no longer listens to `member`. Blocked already: the reason is the new one, the time stays.
pub(super) fn block(
    conn: &Connection,
    corp: &CorpId,
    member: &MemberId,
    reason: &str,
    now: Timestamp,
) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "INSERT INTO blocked_member (corp, member, userid, reason, at) VALUES (?1, ?2, ?3, ?4, ?5)
         ON CONFLICT (corp, member) DO UPDATE SET reason = excluded.reason",
    )?
    .execute(params![corp.as_str(), member.key(), member.as_str(), reason, now.as_millis()])?;
    Ok(())
}

/// The bot listens again to a member, by their key. False when it did anyway.
pub(super) fn unblock(conn: &Connection, corp: &str, member: &str) -> Result<bool, rusqlite::Error> {
    let mut delete = conn.prepare_cached("DELETE FROM blocked_member WHERE corp = ?1 AND member = ?2")?;
    Ok(delete.execute([corp, member])? > 0)
}
