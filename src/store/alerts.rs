//! Alerts: which are raised, and what of them is still to be said. What is said to the operators enters the outbox in
//! the transaction that remembers that it was said.

use std::{sync::Arc, time::Duration};

use rusqlite::{Connection, params};

use super::{
    Error, Store,
    outbox::{Recipient, insert_part},
};
use crate::{
    clock::Timestamp,
    model::{
        id::{AgentId, AppKey, CorpId, Lane, MemberId},
        reply::ReplyPart,
    },
};

/// How long what is over is kept, for whoever asks what happened.
const HISTORY: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// An alert as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlertRow {
    /// Names it; `None` before it was saved.
    pub id: Option<i64>,
    /// Which condition, by its name.
    pub condition: String,
    /// How far it has come.
    pub state: AlertState,
    /// Whether it is told.
    pub withheld: Withheld,
    /// When it began to be wrong.
    pub since: Timestamp,
    /// When that was noticed.
    pub raised_at: Timestamp,
    /// When it was well again.
    pub resolved_at: Option<Timestamp>,
    /// What is wrong.
    pub detail: String,
    /// What to do.
    pub remedy: String,
}

/// How far an alert has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AlertState {
    /// It is wrong, and the operators have no message.
    Raised,
    /// It is wrong, and they have one.
    Told,
    /// It is well, and they have no message of that.
    Resolved,
    /// It is well, and there is nothing left to say.
    Closed,
}

impl AlertState {
    const ALL: [Self; 4] = [Self::Raised, Self::Told, Self::Resolved, Self::Closed];

    const fn name(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Told => "told",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        }
    }
}

/// Whether an alert was beyond the number that may be sent in an hour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withheld {
    /// It was not.
    No,
    /// It was: it is only logged.
    Yes,
    /// It was, and a later one has said how many there were.
    SummedUp,
}

/// What is to be said to the operators about one alert.
#[derive(Clone, Debug)]
pub struct AlertMessage {
    /// The place of its alert among those that are saved with it.
    pub alert: usize,
    /// Whether it says that it is well.
    pub ends: bool,
    /// The words.
    pub part: ReplyPart,
}

/// Who is told, by which application.
#[derive(Clone, Debug)]
pub struct Operators {
    /// The enterprise.
    pub corp: CorpId,
    /// The application that speaks.
    pub agent: AgentId,
    /// The members.
    pub members: Vec<MemberId>,
}

/// What is kept of alerts, as a start finds it.
#[derive(Clone, Debug, Default)]
pub struct KeptAlerts {
    /// Those that are not closed, oldest first.
    pub open: Vec<AlertRow>,
    /// When alerts were raised that were not withheld, after the time that was asked for.
    pub sent_at: Vec<Timestamp>,
    /// How many were withheld and not summed up.
    pub withheld: u32,
}

impl Store {
    /// What is kept of alerts.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn alerts(&self, sent_after: Timestamp) -> Result<KeptAlerts, Error> {
        self.db
            .read(move |conn| {
                let open = conn
                    .prepare_cached(
                        "SELECT id, condition, state, withheld, since, raised_at, resolved_at, detail, remedy
                         FROM alert WHERE state <> 'closed' ORDER BY id",
                    )?
                    .query_map([], read_row)?
                    .collect::<Result<_, _>>()?;
                let sent_at = conn
                    .prepare_cached(
                        "SELECT raised_at FROM alert WHERE withheld = 0 AND raised_at > ?1 ORDER BY raised_at",
                    )?
                    .query_map([sent_after.as_millis()], |row| row.get(0).map(Timestamp::from_millis))?
                    .collect::<Result<_, _>>()?;
                let withheld = conn
                    .prepare_cached("SELECT COUNT(*) FROM alert WHERE withheld = 1")?
                    .query_row([], |row| row.get(0))?;
                Ok(KeptAlerts { open, sent_at, withheld })
            })
            .await
    }

    /// Saves alerts as they are now and puts `messages` about them into the outbox, for each of `to`. Where
    /// `sums_up`, those withheld before are remembered as summed up. Returns their ids, in order.
    ///
    /// # Errors
    /// [`Error`]: nothing was written.
    pub async fn save_alerts(
        &self,
        alerts: Vec<AlertRow>,
        messages: Vec<AlertMessage>,
        to: Operators,
        sums_up: bool,
        now: Timestamp,
    ) -> Result<Vec<i64>, Error> {
        let app = AppKey::new(&to.corp, to.agent);
        let work = move |conn: &Connection| {
            if sums_up {
                conn.prepare_cached("UPDATE alert SET withheld = 2 WHERE withheld = 1")?.execute([])?;
            }
            let ids = alerts.iter().map(|alert| write(conn, alert)).collect::<Result<Vec<_>, _>>()?;
            for AlertMessage { alert, ends, part } in &messages {
                let Some(id) = ids.get(*alert) else { continue };
                for (place, member) in (0_i64..).zip(&to.members) {
                    let lane = Lane::new(&to.corp, to.agent, member);
                    let recipient = Recipient::new(to.corp.clone(), to.agent, member.clone());
                    insert_part(conn, &lane, &recipient, -id, 2 * place + i64::from(*ends), part, now)?;
                }
            }
            conn.prepare_cached("DELETE FROM alert WHERE state = 'closed' AND raised_at < ?1")?
                .execute([(now - HISTORY).as_millis()])?;
            Ok(ids)
        };
        let signals = Arc::clone(&self.signals);
        self.db.write_then(work, move |_| signals.of(app.as_str()).outbox.notify_one()).await
    }
}

fn write(conn: &Connection, alert: &AlertRow) -> Result<i64, rusqlite::Error> {
    let withheld = match alert.withheld {
        Withheld::No => 0,
        Withheld::Yes => 1,
        Withheld::SummedUp => 2,
    };
    // What was summed up stays so, whatever the caller remembers, unless it was told after all.
    conn.prepare_cached(
        "INSERT INTO alert (id, condition, state, withheld, since, raised_at, resolved_at, detail, remedy)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
         ON CONFLICT (id) DO UPDATE SET state = excluded.state, resolved_at = excluded.resolved_at,
             detail = excluded.detail, remedy = excluded.remedy,
             withheld = CASE excluded.withheld WHEN 0 THEN 0 ELSE withheld END
         RETURNING id",
    )?
    .query_row(
        params![
            alert.id,
            alert.condition,
            alert.state.name(),
            withheld,
            alert.since.as_millis(),
            alert.raised_at.as_millis(),
            alert.resolved_at.map(Timestamp::as_millis),
            alert.detail,
            alert.remedy,
        ],
        |row| row.get(0),
    )
}

fn read_row(row: &rusqlite::Row<'_>) -> Result<AlertRow, rusqlite::Error> {
    let state: String = row.get(2)?;
    Ok(AlertRow {
        id: row.get(0)?,
        condition: row.get(1)?,
        // Of a newer version: nothing that this one can do about it.
        state: AlertState::ALL.into_iter().find(|known| known.name() == state).unwrap_or(AlertState::Closed),
        withheld: match row.get::<_, i64>(3)? {
            0 => Withheld::No,
            1 => Withheld::Yes,
            _ => Withheld::SummedUp,
        },
        since: Timestamp::from_millis(row.get(4)?),
        raised_at: Timestamp::from_millis(row.get(5)?),
        resolved_at: row.get::<_, Option<i64>>(6)?.map(Timestamp::from_millis),
        detail: row.get(7)?,
        remedy: row.get(8)?,
    })
}
