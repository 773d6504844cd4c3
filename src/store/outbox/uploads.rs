//! What WeCom has of our files: by which id, since when. So that an attempt that is repeated names the same upload, and
//! nothing is uploaded twice.

use rusqlite::{Connection, OptionalExtension, params};

use crate::{
    clock::Timestamp,
    model::{
        id::CorpId,
        reply::{Attachment, AttachmentKind},
    },
    store::{Error, Store},
};

/// What was uploaded: an attachment, for an enterprise, for so many-th honest repetitions of it (each has an upload of
/// its own; see `model::outbound`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// The enterprise; its applications share it.
    pub corp: CorpId,
    /// What.
    pub attachment: Attachment,
    /// The number among equal messages.
    pub repetition: u32,
}

/// What WeCom made of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UploadedAs {
    /// As what: a picture may have become a file.
    pub kind: AttachmentKind,
    /// WeCom's id.
    pub media_id: String,
    /// When.
    pub at: Timestamp,
}

impl Store {
    /// What WeCom has of it, as far as we know.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn find_upload(&self, upload: &Upload) -> Result<Option<UploadedAs>, Error> {
        let upload = upload.clone();
        let found: Option<(String, String, i64)> = self
            .db
            .read(move |conn| {
                let Upload { corp, attachment, repetition } = &upload;
                conn.prepare_cached(
                    "SELECT sent_as, media_id, uploaded_at FROM upload
                     WHERE corp = ?1 AND hash = ?2 AND kind = ?3 AND name = ?4 AND repetition = ?5",
                )?
                .query_row(
                    params![
                        corp.as_str(),
                        attachment.media.to_string(),
                        attachment.kind.as_str(),
                        attachment.name.as_str(),
                        repetition
                    ],
                    |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
                )
                .optional()
            })
            .await?;
        Ok(found.and_then(|(kind, media_id, at)| {
            let kind = AttachmentKind::parse(&kind)?;
            Some(UploadedAs { kind, media_id, at: Timestamp::from_millis(at) })
        }))
    }

    /// Remembers an upload, in the place of one before it. To be done before it is sent: what may have been sent is then
    /// repeated with the same id.
    ///
    /// # Errors
    /// [`Error`]: it is not remembered.
    pub async fn remember_upload(&self, upload: &Upload, uploaded: &UploadedAs) -> Result<(), Error> {
        let (upload, uploaded) = (upload.clone(), uploaded.clone());
        let work = move |conn: &Connection| {
            let Upload { corp, attachment, repetition } = &upload;
            conn.prepare_cached(
                "INSERT OR REPLACE INTO upload (corp, hash, kind, name, repetition, sent_as, media_id, uploaded_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                corp.as_str(),
                attachment.media.to_string(),
                attachment.kind.as_str(),
                attachment.name.as_str(),
                repetition,
                uploaded.kind.as_str(),
                uploaded.media_id,
                uploaded.at.as_millis(),
            ])?;
            Ok(())
        };
        self.db.write(work).await
    }
}
