//! Keys by what another system calls them.

use super::{Revoked, of_external_id, take_back};
use crate::{
    clock::Timestamp,
    model::{audit::Actor, id::CorpId, key::ApiKey},
    store::{Error, Store},
};

impl Store {
    /// The key that another system calls so; `None`: there is none, or it is revoked.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn external_key(&self, corp: &CorpId, external_id: &str) -> Result<Option<ApiKey>, Error> {
        let (corp, external_id) = (corp.clone(), external_id.to_owned());
        self.db.read(move |conn| of_external_id(conn, &corp, &external_id)).await
    }

    /// Takes the key back that another system calls so, for good. [`Revoked::Already`] is never given: of keys that are
    /// revoked several may have been called so.
    ///
    /// # Errors
    /// [`Error`]: nothing was changed.
    pub async fn revoke_external_key(
        &self,
        actor: &Actor,
        corp: &CorpId,
        external_id: &str,
        now: Timestamp,
    ) -> Result<Revoked, Error> {
        let (actor, corp, external_id) = (actor.clone(), corp.clone(), external_id.to_owned());
        self.db
            .write(move |conn| {
                let Some(there) = of_external_id(conn, &corp, &external_id)? else { return Ok(Revoked::NotThere) };
                take_back(conn, &actor, &there, now)
            })
            .await
    }
}
