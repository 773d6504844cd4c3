//! Who members are, as WeCom said it last, or that it refuses to say.

use rusqlite::{OptionalExtension, params};

use super::{Error, Store};
use crate::{
    clock::Timestamp,
    model::{id::Lane, profile::Profile},
};

impl Store {
    /// What is known of the member of a lane, and since when.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_profile(&self, lane: &Lane) -> Result<Option<(Profile, Timestamp)>, Error> {
        let lane = lane.clone();
        self.db
            .read(move |conn| {
                conn.prepare_cached("SELECT name, department, fetched_at FROM profile WHERE lane = ?1")?
                    .query_row([lane.as_str()], |row| {
                        let text = |column| row.get::<_, Option<String>>(column);
                        let profile = Profile { name: text(0)?.map(Into::into), department: text(1)?.map(Into::into) };
                        Ok((profile, Timestamp::from_millis(row.get(2)?)))
                    })
                    .optional()
            })
            .await
    }

    /// Keeps what WeCom said of a member, or with which errcode it refused. Nothing is kept of a member without an open
    /// conversation, as one who was erased meanwhile.
    ///
    /// # Errors
    /// [`Error`]: what was known before stays.
    pub async fn save_profile(
        &self,
        lane: &Lane,
        profile: Profile,
        refused: Option<i64>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let lane = lane.clone();
        self.db
            .write(move |conn| {
                conn.prepare_cached(
                    "INSERT INTO profile (lane, name, department, refused, fetched_at)
                     SELECT ?1, ?2, ?3, ?4, ?5
                     WHERE EXISTS (SELECT 1 FROM conversation WHERE lane = ?1 AND closed_at IS NULL)
                     ON CONFLICT (lane) DO UPDATE SET name = excluded.name, department = excluded.department,
                         refused = excluded.refused, fetched_at = excluded.fetched_at",
                )?
                .execute(params![
                    lane.as_str(),
                    profile.name.as_deref(),
                    profile.department.as_deref(),
                    refused,
                    now.as_millis()
                ])?;
                Ok(())
            })
            .await
    }
}
