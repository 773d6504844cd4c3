//! Files beside the database: what members sent and the bot made, under `media/`, by the hash of their content.
//!
//! The row comes before its file and goes after it, so a file that has no row is nobody's and is deleted when the pruner
//! comes by: a crash, an erased member and a restored database leave nothing behind. A row without its file says that
//! the file is gone, which every reader must take. Knows nothing of what is in a file.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use rusqlite::{Connection, params};
use tempfile::NamedTempFile;
use tracing::warn;

use super::{
    Error, LeaseLost, Store,
    conversation::holds,
    db::{Db, io, private_dir},
    inbox::Inbound,
};
use crate::{clock::Timestamp, model::media::MediaId};

/// The directory within `storage.data_dir`.
const DIR: &str = "media";
/// Within it: files that are not whole yet.
const UNFINISHED: &str = "unfinished";
/// Rows in one transaction.
const BATCH: usize = 200;

/// Where the files are.
#[derive(Clone, Debug)]
pub(super) struct Shelf(PathBuf);

impl Shelf {
    pub(super) fn new(data_dir: &Path) -> Self {
        Self(data_dir.join(DIR))
    }

    /// Removes what the process before left unfinished. Only by the process that holds the data directory.
    pub(super) fn tidy(&self) -> Result<(), Error> {
        let unfinished = self.0.join(UNFINISHED);
        match fs::remove_dir_all(&unfinished) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(&unfinished, error)),
            _ => Ok(()),
        }
    }

    fn path(&self, id: &MediaId) -> PathBuf {
        let name = id.to_string();
        self.0.join(&name[..2]).join(name)
    }

    /// A new file for something that is not whole yet; gone when it is dropped, or with the next start.
    fn unfinished(&self) -> Result<NamedTempFile, Error> {
        let dir = self.0.join(UNFINISHED);
        private_dir(&dir).and_then(|()| NamedTempFile::new_in(&dir)).map_err(|source| io(&dir, source))
    }

    /// Puts a file in its place, whole or not at all; on the disk when this returns.
    fn put(&self, id: &MediaId, content: &[u8]) -> Result<(), Error> {
        let path = self.path(id);
        if self.take(id).is_some() {
            return Ok(());
        }
        let dir = path.parent().unwrap_or(&self.0);
        private_dir(dir).map_err(|source| io(dir, source))?;
        let mut file = self.unfinished()?;
        let written = file.write_all(content).and_then(|()| file.as_file().sync_all());
        written.map_err(|source| io(&path, source))?;
        file.persist(&path).map_err(|error| io(&path, error.error))?;
        File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| io(dir, source))
    }

    /// The content of a file, where it is what its name says.
    fn take(&self, id: &MediaId) -> Option<Vec<u8>> {
        let content = fs::read(self.path(id)).ok()?;
        if MediaId::of(&content) != *id {
            warn!(media = %id, "a file in the media directory is not what its name says; it counts as gone");
            return None;
        }
        Some(content)
    }

    fn remove(&self, id: &MediaId) -> std::io::Result<()> {
        match fs::remove_file(self.path(id)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Every file that is there by a name of ours.
    fn all(&self) -> Vec<MediaId> {
        let names = |dir: &Path| fs::read_dir(dir).into_iter().flatten().flatten();
        let parts = names(&self.0).filter(|entry| entry.file_name().len() == 2);
        parts
            .flat_map(|part| names(&part.path()))
            .filter_map(|entry| MediaId::parse(entry.file_name().to_str()?).ok())
            .collect()
    }
}

impl Store {
    /// Keeps a file in the chat of a claimed message, until `storage.keep_days`, or the application's `chat.keep_days`,
    /// after the last time that it was kept there. On the disk when this returns; keeping the same twice costs nothing more.
    ///
    /// # Errors
    /// [`Error`]: it is not kept. [`LeaseLost`]: neither, because the member was erased meanwhile.
    pub async fn keep_media(
        &self,
        claim: &Inbound,
        media_type: &str,
        content: Bytes,
        now: Timestamp,
    ) -> Result<Result<MediaId, LeaseLost>, Error> {
        let (lane, lease) = (claim.lane.clone(), claim.lease());
        let (shelf, media_type, bytes) = (self.shelf.clone(), media_type.to_owned(), content.len());
        let hashed = content.clone();
        let id = blocking(move || Ok(MediaId::of(&hashed))).await?;
        // The row first: from then on the pruner leaves the file alone.
        let work = move |conn: &Connection| {
            if !holds(conn, &lane, lease)? {
                return Ok(false);
            }
            let hash = id.to_string();
            conn.prepare_cached(
                "INSERT INTO media (hash, media_type, bytes, created_at) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (hash) DO NOTHING",
            )?
            .execute(params![hash, media_type, bytes, now.as_millis()])?;
            conn.prepare_cached(
                "INSERT INTO media_use (hash, lane, at) VALUES (?1, ?2, ?3)
                 ON CONFLICT (hash, lane) DO UPDATE SET at = MAX(at, excluded.at)",
            )?
            .execute(params![hash, lane.as_str(), now.as_millis()])?;
            Ok(true)
        };
        if !self.db.write(work).await? {
            return Ok(Err(LeaseLost));
        }
        blocking(move || shelf.put(&id, &content)).await?;
        Ok(Ok(id))
    }

    /// The content of a file. `None`: it is gone, because it was too old, erased, not in the backup that was restored,
    /// or damaged.
    ///
    /// # Errors
    /// [`Error::Closed`] while the process stops.
    pub async fn read_media(&self, id: &MediaId) -> Result<Option<Bytes>, Error> {
        let (shelf, id) = (self.shelf.clone(), *id);
        blocking(move || Ok(shelf.take(&id).map(Bytes::from))).await
    }

    /// A place for bytes that are still coming, to be read back and given to [`Store::keep_media`]. It is on the disk,
    /// not in memory, and gone when it is dropped, or at the next start of the process.
    ///
    /// # Errors
    /// [`Error::Io`]: the disk does not take it.
    pub async fn unfinished_media(&self) -> Result<NamedTempFile, Error> {
        let shelf = self.shelf.clone();
        blocking(move || shelf.unfinished()).await
    }
}

/// Deletes uses from before `before`, files that are in nobody's chat any more, and files that have no row. Returns how
/// many uses and files went.
pub(super) async fn prune(db: &Db, shelf: &Shelf, before: Timestamp) -> Result<usize, Error> {
    let mut total = 0;
    loop {
        let shelf = shelf.clone();
        let work = move |conn: &Connection| {
            let old: Vec<(String, String)> = conn
                .prepare_cached("SELECT hash, lane FROM media_use WHERE at < ?1 ORDER BY at LIMIT ?2")?
                .query_map(params![before.as_millis(), BATCH], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<_, _>>()?;
            for (hash, lane) in &old {
                conn.prepare_cached("DELETE FROM media_use WHERE hash = ?1 AND lane = ?2")?.execute([hash, lane])?;
            }
            let files = remove_unused(conn, &shelf, old.iter().map(|(hash, _)| hash.as_str()))?;
            Ok((old.len(), files))
        };
        let (uses, files) = db.write(work).await?;
        total += uses + files;
        if uses < BATCH {
            break;
        }
    }
    let listed = shelf.clone();
    let all = blocking(move || Ok(listed.all())).await?;
    for batch in all.chunks(BATCH) {
        let (shelf, batch) = (shelf.clone(), batch.to_vec());
        // In the writer, so that nobody keeps the same file between the look and the deletion.
        total += db.write(move |conn| remove_without_row(conn, &shelf, &batch)).await?;
    }
    Ok(total)
}

/// Old uses between two lanes.
pub(super) const USES_OF_LANES: &str =
    "SELECT hash, lane FROM media_use WHERE lane >= ?1 AND lane < ?2 AND +at < ?3 ORDER BY lane";
/// What is open in a lane may be about to be shown to the model with its pictures.
pub(super) const DELETE_USE: &str = "DELETE FROM media_use WHERE hash = ?1 AND lane = ?2 AND at < ?3
     AND NOT EXISTS (SELECT 1 FROM inbox_lane WHERE inbox_lane.lane = media_use.lane)";
/// An upload has the file's name, and nobody sends a file that is gone.
pub(super) const DELETE_UPLOADS: &str = "DELETE FROM upload WHERE corp = ?1 AND hash = ?2
     AND NOT EXISTS (SELECT 1 FROM media_use WHERE media_use.hash = upload.hash)";
/// What is yet to be sent between two lanes, or was given up.
const UNSENT_OF_LANES: [&str; 2] = [
    "SELECT content FROM outbox WHERE state = 'waiting' AND lane >= ?1 AND lane < ?2
     AND format IN ('image', 'voice', 'file')",
    "SELECT content FROM outbox WHERE state = 'dead' AND lane >= ?1 AND lane < ?2
     AND format IN ('image', 'voice', 'file')",
];

/// The same for the chats of one application, whose lanes are from the first of `lanes` to before the second: its uses
/// from before `before`, but those of what is yet to be sent or was given up.
pub(super) async fn prune_lanes(
    db: &Db,
    shelf: &Shelf,
    lanes: &(String, String),
    before: Timestamp,
) -> Result<usize, Error> {
    let (first, end) = lanes.clone();
    let look = move |conn: &Connection| {
        let mut old: Vec<(String, String)> = conn
            .prepare_cached(USES_OF_LANES)?
            .query_map(params![first, end, before.as_millis()], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_, _>>()?;
        if !old.is_empty() {
            for unsent in UNSENT_OF_LANES {
                let mut unsent = conn.prepare_cached(unsent)?;
                let mut rows = unsent.query([&first, &end])?;
                while let Some(row) = rows.next()? {
                    let content = row.get_ref(0)?.as_str()?;
                    old.retain(|(hash, _)| !content.contains(hash.as_str()));
                }
            }
        }
        Ok(old)
    };
    let mut total = 0;
    for batch in db.read(look).await?.chunks(BATCH) {
        let (shelf, batch) = (shelf.clone(), batch.to_vec());
        let work = move |conn: &Connection| {
            let mut uses = 0;
            for (hash, lane) in &batch {
                uses += conn.prepare_cached(DELETE_USE)?.execute(params![hash, lane, before.as_millis()])?;
            }
            let files = remove_unused(conn, &shelf, batch.iter().map(|(hash, _)| hash.as_str()))?;
            for (hash, lane) in &batch {
                let corp = lane.split('/').next().unwrap_or_default();
                conn.prepare_cached(DELETE_UPLOADS)?.execute([corp, hash])?;
            }
            Ok(uses + files)
        };
        total += db.write(work).await?;
    }
    Ok(total)
}

fn remove_without_row(conn: &Connection, shelf: &Shelf, ids: &[MediaId]) -> Result<usize, rusqlite::Error> {
    let mut removed = 0;
    for id in ids {
        let known = conn.prepare_cached("SELECT 1 FROM media WHERE hash = ?1")?.exists([id.to_string()])?;
        // What the disk does not let go now, it may the next time.
        removed += usize::from(!known && shelf.remove(id).is_ok());
    }
    Ok(removed)
}

/// Removes those of the files that nobody uses: the file first, so that its row is there as long as it is. Runs within
/// a transaction; where that is taken back, the rows stay without their files until the next time.
fn remove_unused<'a>(
    conn: &Connection,
    shelf: &Shelf,
    hashes: impl Iterator<Item = &'a str>,
) -> Result<usize, rusqlite::Error> {
    let mut removed = 0;
    for hash in hashes {
        let used = conn.prepare_cached("SELECT 1 FROM media_use WHERE hash = ?1")?.exists([hash])?;
        let gone = || MediaId::parse(hash).map_or(true, |id| shelf.remove(&id).is_ok());
        if !used && gone() {
            removed += conn.prepare_cached("DELETE FROM media WHERE hash = ?1")?.execute([hash])?;
        }
    }
    Ok(removed)
}

/// Erases a lane's files, but those that are in another lane too. For `qimate member erase`; runs within its
/// transaction.
pub(super) fn erase(conn: &Connection, data_dir: &Path, lane: &str) -> Result<usize, rusqlite::Error> {
    erase_of(conn, &Shelf::new(data_dir), lane)
}

/// The same for a lane whose application keeps no files.
pub(super) fn erase_of(conn: &Connection, shelf: &Shelf, lane: &str) -> Result<usize, rusqlite::Error> {
    let used: Vec<String> = conn
        .prepare_cached("SELECT hash FROM media_use WHERE lane = ?1")?
        .query_map([lane], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let uses = conn.prepare_cached("DELETE FROM media_use WHERE lane = ?1")?.execute([lane])?;
    Ok(uses + remove_unused(conn, shelf, used.iter().map(String::as_str))?)
}

/// Where a file is, from `storage.data_dir` on, as SQL over `media.hash`.
pub(super) const PATH_OF_HASH: &str = "'media/' || substr(hash, 1, 2) || '/' || hash";

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|_| Error::Closed)?
}
