//! The key by which upstreams are told of members without their names.

use rusqlite::params;

use super::{Error, Store};
use crate::secret::Secret;

/// Bytes of the key.
pub const LENGTH: usize = 32;

impl Store {
    /// The key, drawn where there is none yet. It goes with backups, so identifiers stay the same.
    ///
    /// # Errors
    /// [`Error`] when it can be neither read nor written, or the system gives no random bytes.
    pub async fn usage_key(&self) -> Result<Secret<[u8; LENGTH]>, Error> {
        let mut drawn = [0; LENGTH];
        getrandom::fill(&mut drawn).map_err(|_| Error::NoRandomBytes)?;
        let key = self
            .db
            .write(move |conn| {
                conn.prepare_cached("INSERT OR IGNORE INTO usage_key (id, key) VALUES (1, ?1)")?
                    .execute(params![drawn])?;
                conn.prepare_cached("SELECT key FROM usage_key WHERE id = 1")?.query_row([], |row| row.get(0))
            })
            .await?;
        Ok(Secret::new(key))
    }
}
