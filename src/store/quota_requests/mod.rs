//! Requests of members for more than a limit allows: passed on to operators, one of whom decides.
//!
//! Each is passed on in the transaction that saves it, and decided in the one that grants it: neither happens twice. Knows
//! nothing of how it is said; whoever asks hands in the words.

mod asked;
mod decided;

use std::{collections::HashSet, sync::Arc, time::Duration};

use rusqlite::{Connection, OptionalExtension, params};

use self::{
    asked::{ask, operators},
    decided::decide,
};
use super::{
    Error, LeaseLost, Store,
    inbox::Inbound,
    outbox::{Recipient, insert_part},
    preferences,
};
use crate::{
    clock::{Timestamp, zone::Zone},
    model::{
        id::{AgentId, CorpId, Lane, MemberId},
        preferences::Preferences,
        quota::plan::Limit,
        reply::ReplyPart,
    },
};

/// For how long a request is not passed on again.
pub const WAITS: Duration = Duration::from_secs(24 * 60 * 60);
/// The causes in the outbox are below this; those of announcements are above.
const CAUSES: i64 = -(1 << 41);
/// Causes of one request: one for each operator, and the last for the member.
const PLACES: i64 = 64;

/// Messages about the requests of the member `?1`.
pub(super) const MESSAGES_ERASED: &str = "DELETE FROM outbox WHERE cause < -(1 << 41) AND
    (-(1 << 41) - cause) / 64 IN (SELECT id FROM quota_request WHERE member = ?1)";
/// The name of whoever decided, where it is `?1`.
pub(super) const DECIDER_ERASED: &str =
    "UPDATE quota_request SET decided_by = '' WHERE lower(decided_by) = ?1 AND decided_at IS NOT NULL";

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The limit.
    pub limit: Limit,
    /// What may be used, with what was granted.
    pub allowed: u64,
    /// What has been used of it.
    pub used: u64,
    /// Why; may be empty.
    pub reason: String,
}

/// A request as it is saved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QuotaRequest {
    /// Names it.
    pub id: i64,
    /// The enterprise.
    pub corp: CorpId,
    /// The application in which it was asked.
    pub agent: AgentId,
    /// Who asks, as WeCom wrote it.
    pub member: MemberId,
    /// The member's name, where it is known.
    pub name: Option<String>,
    /// What for.
    pub wanted: Wanted,
    /// When.
    pub asked_at: Timestamp,
}

/// What became of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// It was passed on to so many operators.
    PassedOn(usize),
    /// The same was passed on then, and nobody has decided yet.
    Waits {
        /// When.
        since: Timestamp,
    },
    /// The same was asked for within [`WAITS`], and not granted.
    Denied,
    /// No operator can be reached: nothing is saved.
    Nobody,
}

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The same amount again until the window ends, by the calendar of this zone; a day where it has no end.
    Rest(Zone),
    /// The same amount again for so many days.
    Days(u32),
    /// No.
    No,
}

/// What was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted {
    /// How much more.
    pub more: u64,
    /// What may be used now, with all that was granted.
    pub allowed: u64,
    /// Until when.
    pub until: Timestamp,
}

/// What became of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decided {
    /// This one counts. `None`: it was not granted.
    Now(Box<QuotaRequest>, Option<Granted>),
    /// Somebody decided before.
    Before {
        /// The operator's userid; `None`: nobody did, and the member asked anew.
        by: Option<String>,
        /// Whether it was granted.
        granted: bool,
    },
    /// There is no such request.
    Nothing,
}

impl Store {
    /// Ends a member's command with a request that is passed on to the operators: `configured` and those whose role is
    /// stored, each in the application that they use.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn ask_for_more(
        &self,
        claim: &Inbound,
        wanted: Wanted,
        configured: Vec<MemberId>,
        words: Arc<Words>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let served: HashSet<String> = self.signals.lock().keys().map(|app| app.as_str().to_owned()).collect();
        let (lane, event) = (claim.lane.clone(), claim.event.clone());
        let work = move |conn: &Connection| {
            let request = QuotaRequest {
                id: 0,
                corp: event.corp.clone(),
                agent: event.agent,
                member: event.from.clone(),
                name: name_of(conn, &event.corp, &event.from, &lane)?,
                wanted: wanted.clone(),
                asked_at: now,
            };
            let operators = operators(conn, &request, &configured, &served)?;
            let asked = ask(conn, request, &operators, &words, now)?;
            Ok((words.member)(asked))
        };
        let ended = self.end_with(claim, now, work).await;
        // Operators may use another application than the member.
        self.signals.wake_all();
        ended
    }

    /// Decides about a request, with the grant in the same transaction. What the operator of `claim` decided in this very
    /// row before, as before a crash, is told again. With `at`, only one that was asked then: ids may come again with
    /// another database.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn decide_request(
        &self,
        claim: &Inbound,
        id: i64,
        at: Option<i64>,
        verdict: Verdict,
        now: Timestamp,
    ) -> Result<Decided, Error> {
        let (corp, by, seq) = (claim.event.corp.clone(), claim.event.from.clone(), claim.seq);
        self.db.write(move |conn| decide(conn, &corp, id, at, &verdict, (&by, seq), now)).await
    }

    /// Ends the row in which an operator decided, and tells the member, once.
    ///
    /// # Errors
    /// [`Error`]: nothing was written; the claim stands.
    pub async fn tell_decision(
        &self,
        claim: &Inbound,
        parts: Vec<ReplyPart>,
        member: Option<(QuotaRequest, Telling)>,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let work = move |conn: &Connection| {
            if let Some((request, telling)) = &member {
                let QuotaRequest { corp, agent, member, id, .. } = request;
                let lane = Lane::new(corp, *agent, member);
                let to = Recipient::new(corp.clone(), *agent, member.clone());
                let cause = CAUSES - id * PLACES - (PLACES - 1);
                for (part, content) in (0..).zip(telling(&preferences::find(conn, &lane)?)) {
                    insert_part(conn, &lane, &to, cause, part, &content, now)?;
                }
            }
            Ok(parts.clone())
        };
        let ended = self.end_with(claim, now, work).await;
        self.signals.wake_all();
        ended
    }

    /// What an operator is to read instead of a card that WeCom does not take; `None` where an outbox row of this cause
    /// is about something else.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn request_in_words(&self, cause: i64) -> Result<Option<String>, Error> {
        let beyond = CAUSES - cause;
        if beyond < PLACES || beyond % PLACES == PLACES - 1 {
            return Ok(None);
        }
        self.db
            .read(move |conn| {
                conn.prepare_cached("SELECT words FROM quota_request WHERE id = ?1")?
                    .query_row([beyond / PLACES], |row| row.get(0))
                    .optional()
            })
            .await
    }
}

/// What a member is told of a decision, by their preferences.
pub type Telling = Arc<dyn Fn(&Preferences) -> Vec<ReplyPart> + Send + Sync>;

/// What an operator is told of a request; `None`: nothing that could be sent.
pub type ToOperator = Box<dyn Fn(&QuotaRequest, &Lane, &Preferences) -> Option<ReplyPart> + Send + Sync>;

/// What is said about a request when it is asked.
pub struct Words {
    /// To the member.
    pub member: Box<dyn Fn(Asked) -> Vec<ReplyPart> + Send + Sync>,
    /// To an operator, on their lane and by their preferences.
    pub operator: ToOperator,
    /// To an operator who gets no card.
    pub plain: Box<dyn Fn(&QuotaRequest) -> String + Send + Sync>,
}

/// The name of a member as the address book has it or, where it does not, as WeCom gave it for their chat.
fn name_of(
    conn: &Connection,
    corp: &CorpId,
    member: &MemberId,
    lane: &Lane,
) -> Result<Option<String>, rusqlite::Error> {
    conn.prepare_cached(
        "SELECT COALESCE((SELECT name FROM member WHERE corp = ?1 AND member = ?2),
                         (SELECT name FROM profile WHERE lane = ?3))",
    )?
    .query_row(params![corp.as_str(), member.key(), lane.as_str()], |row| row.get(0))
}
