//! Conversations and their turns.

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, LeaseLost, Store, facts,
    inbox::Inbound,
    outbox, summaries,
    used::{self, Use},
};
use crate::{
    clock::Timestamp,
    model::{
        conversation::{Conversation, Exchange, Made, TurnState, Unfinished, Usage},
        fact::Fact,
        id::{Lane, TurnId},
        media::MediaId,
        reply::ReplyPart,
    },
    secret::Secret,
};

/// A turn as it is saved.
#[derive(Clone, Debug)]
pub struct TurnRecord {
    /// Names it.
    pub id: TurnId,
    /// The conversation it belongs to.
    pub conversation: i64,
    /// What was asked and what was answered, as far as the answer came.
    pub exchange: Exchange,
    /// The inbox row of the last message that it answers; that of its cause, where it answers one.
    pub through: i64,
    /// How many parts of the answer are in the outbox, those included that are saved with it.
    pub parts: u32,
    /// How it stands.
    pub state: TurnState,
    /// What its model calls count for; saved when it ends.
    pub used: Option<Box<Use>>,
}

impl TurnRecord {
    /// Writes the turn that answers inbox row `cause`, anew or over its earlier state.
    pub(super) fn write(&self, conn: &Connection, cause: i64, now: Timestamp) -> Result<(), rusqlite::Error> {
        // Until a turn ends, there is no reason for its end: the column holds what was made.
        let made = match &self.state {
            TurnState::Sealed { made: Some(Made::Here(media)), .. } => Some(media.to_string()),
            TurnState::Sealed { made: Some(Made::At(url)), .. } => Some(url.expose().clone()),
            _ => None,
        };
        let (state, reason, usage, ended) = match &self.state {
            TurnState::Running => ("running", None, None, false),
            TurnState::Sealed { usage, .. } => ("sealed", made.as_deref(), Some(*usage), false),
            TurnState::Answered { usage } => ("answered", None, Some(*usage), true),
            TurnState::Failed { reason, usage } => ("failed", Some(reason.as_str()), Some(*usage), true),
            TurnState::Stopped { usage } => ("stopped", None, Some(*usage), true),
        };
        let tokens = |of: fn(Usage) -> u64| usage.map(|usage| i64::try_from(of(usage)).unwrap_or(i64::MAX));
        let (id, pictures) = (self.id.to_string(), names_of(&self.exchange.pictures));
        let (ended_at, through) = (ended.then_some(now.as_millis()), (self.through > cause).then_some(self.through));
        let values = params![
            cause,
            self.exchange.question,
            self.exchange.answer,
            self.parts,
            state,
            reason,
            tokens(|usage| usage.input),
            tokens(|usage| usage.output),
            usage.map(|usage| usage.estimated),
            ended_at,
            pictures,
            through,
            id,
            self.conversation,
        ];
        // Most turns are written once. An upsert would be ready to be taken back each time, because of the triggers.
        let is_new = conn
            .prepare_cached(
                "INSERT INTO turn (cause, question, answer, parts, state, reason, input_tokens, output_tokens, estimated,
                                   ended_at, pictures, through, id, conversation)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) ON CONFLICT (cause) DO NOTHING",
            )?
            .execute(values)?;
        if is_new == 0 {
            conn.prepare_cached(
                "UPDATE turn SET question = ?2, answer = ?3, parts = ?4, state = ?5, reason = ?6, input_tokens = ?7,
                     output_tokens = ?8, estimated = ?9, ended_at = ?10, pictures = ?11, through = ?12
                 WHERE cause = ?1",
            )?
            .execute(&values[..12])?;
        }
        conn.prepare_cached("UPDATE conversation SET last_at = ?2 WHERE id = ?1")?
            .execute(params![self.conversation, now.as_millis()])?;
        match &self.used {
            Some(used) if ended => used::add(conn, used, now),
            _ => Ok(()),
        }
    }
}

impl Store {
    /// The open conversation of a lane, with its newest exchanges: as many as stay within `bytes` of text.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_conversation(&self, lane: &Lane, bytes: usize) -> Result<Option<Conversation>, Error> {
        let lane = lane.clone();
        self.db.read(move |conn| find(conn, &lane, bytes)).await
    }

    /// Begins a new conversation on a lane. The one before, if any, is closed and stays in the store.
    ///
    /// # Errors
    /// [`Error`]: the one before is still open.
    pub async fn open_conversation(&self, lane: &Lane, now: Timestamp) -> Result<Conversation, Error> {
        let lane = lane.clone();
        let begun = self.db.write(move |conn| open(conn, &lane, now)).await?;
        Ok(fresh(begun, now))
    }

    /// The same for a worker that holds the lane: nothing is begun for a member who was erased meanwhile.
    ///
    /// # Errors
    /// [`Error`]: the one before is still open.
    pub async fn begin_conversation(
        &self,
        claim: &Inbound,
        now: Timestamp,
    ) -> Result<Result<Conversation, LeaseLost>, Error> {
        let (lane, lease) = (claim.lane.clone(), claim.lease());
        let work = move |conn: &Connection| {
            if holds(conn, &lane, lease)? { open(conn, &lane, now).map(Some) } else { Ok(None) }
        };
        let begun = self.db.write(work).await?;
        Ok(begun.map(|begun| fresh(begun, now)).ok_or(LeaseLost))
    }

    /// Ends a lane's conversation; there may be none.
    ///
    /// # Errors
    /// [`Error`]: it is still open.
    pub async fn close_conversation(&self, lane: &Lane, now: Timestamp) -> Result<(), Error> {
        let lane = lane.clone();
        self.db.write(move |conn| close(conn, &lane, now)).await
    }

    /// The turn of an inbox row that a crash cut off after parts of its answer were committed.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_unfinished(&self, cause: i64) -> Result<Option<Unfinished>, Error> {
        let found = self
            .db
            .read(move |conn| {
                conn.prepare_cached(
                    "SELECT id, question, pictures, COALESCE(through, cause), answer, parts,
                            state = 'sealed', reason, COALESCE(input_tokens, 0), COALESCE(output_tokens, 0),
                            COALESCE(estimated, 0)
                     FROM turn WHERE cause = ?1 AND state IN ('running', 'sealed')",
                )?
                .query_row([cause], |row| {
                    let pictures = pictures_of(row.get_ref(2)?.as_str()?);
                    let is_sealed: bool = row.get(6)?;
                    let made: Option<String> = row.get(7)?;
                    let usage = Usage { input: row.get(8)?, output: row.get(9)?, estimated: row.get(10)?, cached: 0 };
                    let sealed = is_sealed.then(|| (usage, made.map(made_of)));
                    Ok((row.get::<_, String>(0)?, row.get(1)?, pictures, row.get(3)?, row.get(4)?, row.get(5)?, sealed))
                })
                .optional()
            })
            .await?;
        found
            .map(|(id, question, pictures, through, answer_so_far, parts, sealed)| {
                let id = TurnId::parse(&id).map_err(|error| Error::Corrupt(error.to_string()))?;
                Ok(Unfinished { id, question, pictures, through, answer_so_far, parts, sealed })
            })
            .transpose()
    }

    /// Commits parts of an answer that is still being written, and with them the turn so far: they are sent as they
    /// are, whatever happens to the rest.
    ///
    /// # Errors
    /// [`Error`]: nothing of it was written.
    pub async fn append(
        &self,
        claim: &Inbound,
        turn: TurnRecord,
        first_part: u32,
        parts: Vec<ReplyPart>,
        used: Use,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, seq, lease) = (claim.lane.clone(), claim.seq, claim.lease());
        let to = outbox::Recipient::of(&claim.event);
        let work = move |conn: &Connection| {
            if !holds(conn, &lane, lease)? {
                return Ok(Err(LeaseLost));
            }
            turn.write(conn, seq, now)?;
            used::add(conn, &used, now)?;
            outbox::insert(conn, &lane, &to, seq, first_part, &parts, now)?;
            Ok(Ok(()))
        };
        self.db.write_then(work, self.wake_outbox(&claim.lane)).await
    }
}

/// As the column has them.
fn names_of(pictures: &[MediaId]) -> String {
    pictures.iter().map(MediaId::to_string).collect::<Vec<_>>().join(" ")
}

/// What a sealed turn's reason says: a hash, or where it is.
fn made_of(reason: String) -> Made {
    MediaId::parse(&reason).map_or_else(|_| Made::At(Secret::new(reason)), Made::Here)
}

pub(super) fn pictures_of(names: &str) -> Vec<MediaId> {
    names.split_ascii_whitespace().filter_map(|name| MediaId::parse(name).ok()).collect()
}

/// See [`Store::find_conversation`].
pub(super) fn find(conn: &Connection, lane: &Lane, bytes: usize) -> Result<Option<Conversation>, rusqlite::Error> {
    let found = conn
        .prepare_cached("SELECT id, last_at FROM conversation WHERE lane = ?1 AND closed_at IS NULL")?
        .query_row([lane.as_str()], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((id, last_at)) = found else { return Ok(None) };
    let summary = summaries::find(conn, id)?;
    let mut newest = conn.prepare_cached(
        "SELECT question, answer, pictures FROM turn
         WHERE conversation = ?1 AND cause > ?2 AND state NOT IN ('running', 'sealed') AND answer <> ''
           AND NOT EXISTS (SELECT 1 FROM turn later WHERE later.cause = turn.replaced_by AND later.answer <> '')
         ORDER BY cause DESC",
    )?;
    let mut rows = newest.query([id, summary.as_ref().map_or(0, |summary| summary.up_to)])?;
    let (mut exchanges, mut used, mut whole) = (Vec::new(), 0_usize, true);
    while let Some(row) = rows.next()? {
        let pictures = pictures_of(row.get_ref(2)?.as_str()?);
        let exchange = Exchange { question: row.get(0)?, pictures, answer: row.get(1)? };
        used = used.saturating_add(exchange.question.len() + exchange.answer.len());
        if used > bytes {
            whole = false;
            break;
        }
        exchanges.push(exchange);
    }
    exchanges.reverse();
    let facts = facts::of_lane(conn, lane)?.into();
    let summary = summary.map(|summary| summary.text.into());
    Ok(Some(Conversation { id, last_at: Timestamp::from_millis(last_at), facts, summary, whole, exchanges }))
}

/// Whether the lane is still held under this lease.
pub(super) fn holds(conn: &Connection, lane: &Lane, lease: i64) -> Result<bool, rusqlite::Error> {
    conn.prepare_cached("SELECT 1 FROM inbox_lane WHERE lane = ?1 AND lease = ?2")?
        .exists(params![lane.as_str(), lease])
}

/// Gives the new conversation's name, and what is remembered of its member.
fn open(conn: &Connection, lane: &Lane, now: Timestamp) -> Result<(i64, Vec<Fact>), rusqlite::Error> {
    close(conn, lane, now)?;
    // Whoever has a conversation is one of those whom an announcement reaches.
    conn.prepare_cached("INSERT INTO known_member (lane, first_at) VALUES (?1, ?2) ON CONFLICT (lane) DO NOTHING")?
        .execute(params![lane.as_str(), now.as_millis()])?;
    conn.prepare_cached("INSERT INTO conversation (lane, opened_at, last_at) VALUES (?1, ?2, ?2)")?
        .execute(params![lane.as_str(), now.as_millis()])?;
    Ok((conn.last_insert_rowid(), facts::of_lane(conn, lane)?))
}

fn fresh((id, facts): (i64, Vec<Fact>), now: Timestamp) -> Conversation {
    Conversation { id, last_at: now, facts: facts.into(), summary: None, whole: true, exchanges: Vec::new() }
}

fn close(conn: &Connection, lane: &Lane, now: Timestamp) -> Result<(), rusqlite::Error> {
    conn.prepare_cached("UPDATE conversation SET closed_at = ?2 WHERE lane = ?1 AND closed_at IS NULL")?
        .execute(params![lane.as_str(), now.as_millis()])?;
    Ok(())
}
