//! What members chose. One row for each member who chose something: it is kept until the member is erased, for a choice
//! does not age.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    Error, LeaseLost, Store,
    conversation::{self, holds},
    inbox::Inbound,
};
use crate::{
    clock::Timestamp,
    model::{
        conversation::Conversation,
        id::Lane,
        language::Language,
        preferences::{Client, Output, Preferences},
    },
};

impl Store {
    /// What the member of a lane chose; the defaults where nothing is stored.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_preferences(&self, lane: &Lane) -> Result<Preferences, Error> {
        let lane = lane.clone();
        self.db.read(move |conn| find(conn, &lane)).await
    }

    /// The same together with the member's open conversation ([`Store::find_conversation`]), in one look.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_conversation_and_preferences(
        &self,
        lane: &Lane,
        bytes: usize,
    ) -> Result<(Option<Conversation>, Preferences), Error> {
        let lane = lane.clone();
        self.db.read(move |conn| Ok((conversation::find(conn, &lane, bytes)?, find(conn, &lane)?))).await
    }

    /// Saves what a member chose, for the worker that holds the lane: nothing is kept of a member who was erased
    /// meanwhile.
    ///
    /// # Errors
    /// [`Error`]: what was chosen before holds.
    pub async fn save_preferences(
        &self,
        claim: &Inbound,
        preferences: Preferences,
        now: Timestamp,
    ) -> Result<Result<(), LeaseLost>, Error> {
        let (lane, lease) = (claim.lane.clone(), claim.lease());
        self.db
            .write(move |conn| {
                if !holds(conn, &lane, lease)? {
                    return Ok(Err(LeaseLost));
                }
                write(conn, &lane, &preferences, now)?;
                Ok(Ok(()))
            })
            .await
    }
}

pub(super) fn find(conn: &Connection, lane: &Lane) -> Result<Preferences, rusqlite::Error> {
    let found = conn
        .prepare_cached(
            "SELECT output, client, model, persona, language, voice_answers FROM member_preference WHERE lane = ?1",
        )?
        .query_row([lane.as_str()], |row| {
            let text = |column| row.get::<_, Option<String>>(column);
            let (output, client, language) = (text(0)?, text(1)?, text(4)?);
            // A word of a newer version is as good as none: the configuration holds.
            Ok(Preferences {
                output: Output::ALL.into_iter().find(|known| Some(known.as_str()) == output.as_deref()),
                client: Client::ALL
                    .into_iter()
                    .find(|known| Some(known.as_str()) == client.as_deref())
                    .unwrap_or_default(),
                model: text(2)?.map(Arc::from),
                persona: text(3)?.map(Arc::from),
                language: Language::ALL.into_iter().find(|known| Some(known.as_str()) == language.as_deref()),
                voice_answers: row.get(5)?,
            })
        })
        .optional()?;
    Ok(found.unwrap_or_default())
}

fn write(conn: &Connection, lane: &Lane, chosen: &Preferences, now: Timestamp) -> Result<(), rusqlite::Error> {
    if *chosen == Preferences::default() {
        conn.prepare_cached("DELETE FROM member_preference WHERE lane = ?1")?.execute([lane.as_str()])?;
        return Ok(());
    }
    conn.prepare_cached(
        "INSERT INTO member_preference (lane, output, client, model, persona, language, voice_answers, changed_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
         ON CONFLICT (lane) DO UPDATE SET output = excluded.output, client = excluded.client, model = excluded.model,
             persona = excluded.persona, language = excluded.language, voice_answers = excluded.voice_answers,
             changed_at = excluded.changed_at",
    )?
    .execute(params![
        lane.as_str(),
        chosen.output.map(Output::as_str),
        chosen.client.as_str(),
        chosen.model.as_deref(),
        chosen.persona.as_deref(),
        chosen.language.map(Language::as_str),
        chosen.voice_answers,
        now.as_millis(),
    ])?;
    Ok(())
}
