//! The clock was set while the process runs: the times that something waits for, or is counted back to, are moved with
//! it.
//!
//! Only ever in the direction that is safe. What was written after the clock was set and before that was noticed is
//! moved too: so a wait may end early, which costs a look, and is never made longer.

use std::time::Duration;

use rusqlite::{Connection, params};

use super::{Error, Store, outbox::DUPLICATE_CHECK};
use crate::{
    clock::{Timestamp, setting::ClockSet},
    model::id::AppKey,
};

impl Store {
    /// Moves what an application's lanes of the inbox wait for.
    ///
    /// # Errors
    /// [`Error`]: nothing was moved.
    pub async fn move_inbox_times(&self, app: &AppKey, set: ClockSet) -> Result<(), Error> {
        let ClockSet::Back(by) = set else { return Ok(()) };
        let app = app.clone();
        self.db
            .write(move |conn| {
                conn.prepare_cached("UPDATE inbox_lane SET ready_at = ready_at - ?1 WHERE app = ?2")?
                    .execute(params![millis(by), app.as_str()])?;
                Ok(())
            })
            .await
    }

    /// Moves what an application's lanes of the outbox wait for, and when messages were attempted: that decides about the pace, about
    /// equal texts, and how long a message has been in doubt. Where the clock was set forward it is not known whether
    /// the machine slept, so the age of a doubt stays as it looks: rather too old than shown twice.
    ///
    /// # Errors
    /// [`Error`]: nothing was moved.
    pub async fn move_outbox_times(&self, app: &AppKey, set: ClockSet, now: Timestamp) -> Result<(), Error> {
        let app = app.clone();
        self.db
            .write(move |conn| match set {
                ClockSet::Forward(by) => move_attempts(conn, &app, millis(by), now - by, "sent"),
                ClockSet::Back(by) => {
                    for state in ["sent", "waiting"] {
                        move_attempts(conn, &app, -millis(by), now + by, state)?;
                    }
                    conn.prepare_cached("UPDATE outbox_lane SET ready_at = ready_at - ?1 WHERE app = ?2")?
                        .execute(params![millis(by), app.as_str()])?;
                    conn.prepare_cached(
                        "UPDATE outbox SET unsure_since = unsure_since - ?1, created_at = created_at - ?1
                         WHERE state = 'waiting' AND lane >= ?2 AND lane < ?3",
                    )?
                    .execute(params![millis(by), lanes_from(&app), lanes_to(&app)])?;
                    Ok(())
                }
            })
            .await
    }
}

/// Moves the attempts that still decide about something; `before` is what the clock would show if nobody had set it.
fn move_attempts(
    conn: &Connection,
    app: &AppKey,
    by: i64,
    before: Timestamp,
    state: &str,
) -> Result<(), rusqlite::Error> {
    conn.prepare_cached(
        "UPDATE outbox SET attempted_at = attempted_at + ?1
         WHERE state = ?2 AND batch = seq AND attempted_at > ?3 AND lane >= ?4 AND lane < ?5",
    )?
    .execute(params![by, state, (before - DUPLICATE_CHECK).as_millis(), lanes_from(app), lanes_to(app)])?;
    Ok(())
}

/// The lanes of an application lie between these two: they begin with it and a `/`, behind which `0` follows.
pub(super) fn lanes_from(app: &AppKey) -> String {
    format!("{app}/")
}

pub(super) fn lanes_to(app: &AppKey) -> String {
    format!("{app}0")
}

fn millis(by: Duration) -> i64 {
    i64::try_from(by.as_millis()).unwrap_or(i64::MAX)
}
