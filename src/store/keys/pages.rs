//! Keys, page by page.

use rusqlite::params;

use super::{COLUMNS, key};
use crate::{
    model::{id::MemberId, key::ApiKey},
    store::{Error, Store},
};

impl Store {
    /// At most `most` keys with a number beyond `after`, oldest first; those of one member where one is named. A key that
    /// is made meanwhile comes at the end.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn keys_after(&self, after: i64, most: usize, member: Option<&MemberId>) -> Result<Vec<ApiKey>, Error> {
        let member = member.map(MemberId::key);
        let sql = format!(
            "SELECT {COLUMNS} FROM api_key WHERE number > ?1 AND (?2 IS NULL OR member = ?2) ORDER BY number LIMIT ?3"
        );
        self.db
            .read(move |conn| conn.prepare_cached(&sql)?.query_map(params![after, member, most], key)?.collect())
            .await
    }
}
