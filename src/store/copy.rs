//! Whole copies of the database: complete, checked, mode 0600, and under their name only when they are on the disk.

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, OpenFlags};
use tempfile::{Builder, NamedTempFile};

use super::{Error, db::io, migrate};
use crate::clock::Timestamp;

/// How the name of a copy begins and ends that is not finished.
const UNFINISHED: (&str, &str) = (".qimate-", ".unfinished");

/// Whether it is the name of a copy that is not finished: one that is being made, or whose maker was killed.
pub(super) fn is_unfinished(name: &str) -> bool {
    name.starts_with(UNFINISHED.0) && name.ends_with(UNFINISHED.1)
}

/// What a database holds, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// The size of its file, in bytes.
    pub bytes: u64,
    /// The version of its schema.
    pub schema: usize,
    /// Conversations.
    pub conversations: u64,
    /// Questions with their answers.
    pub turns: u64,
    /// Messages from members that are not answered yet.
    pub open: u64,
    /// Messages to members that are not delivered yet.
    pub waiting: u64,
    /// What was given up or set aside.
    pub dead: u64,
    /// When anything was last received, said or ended.
    pub last_at: Option<Timestamp>,
}

/// Copies the database of `conn` into a new file in `dir`. The copy is the database at one moment, without the pages
/// that are free and whatever is left in them.
///
/// By `VACUUM INTO`: it reads one snapshot and takes no lock that a writer waits for. SQLite's backup interface copies
/// page by page, begins again whenever another process writes, and takes what was deleted along.
pub(super) fn make(conn: &Connection, dir: &Path) -> Result<NamedTempFile, Error> {
    // Of mode 0600 on Unix, and gone when it is dropped. `VACUUM INTO` takes a file that is empty.
    let file = Builder::new().prefix(UNFINISHED.0).suffix(UNFINISHED.1).tempfile_in(dir);
    let file = file.map_err(|source| io(dir, source))?;
    let Some(path) = file.path().to_str() else {
        return Err(io(dir, ErrorKind::InvalidFilename.into()));
    };
    conn.execute("VACUUM INTO ?1", [path])?;
    Ok(file)
}

/// Puts a copy on the disk under its name. Where one is there, `replace` decides.
pub(super) fn place(file: NamedTempFile, to: &Path, replace: bool) -> Result<(), Error> {
    // Not the handle: SQLite wrote through one of its own, and all that counts is the file.
    File::open(file.path()).and_then(|file| file.sync_all()).map_err(|source| io(file.path(), source))?;
    let placed = if replace { file.persist(to) } else { file.persist_noclobber(to) };
    placed.map_err(|error| match error.error.kind() {
        ErrorKind::AlreadyExists => Error::Exists(to.to_owned()),
        _ => io(to, error.error),
    })?;
    sync_dir(&dir_of(to))
}

/// Puts a directory's names on the disk. Where a directory cannot be opened (Windows), the system sees to it.
pub(super) fn sync_dir(dir: &Path) -> Result<(), Error> {
    match File::open(dir) {
        Ok(handle) => handle.sync_all().map_err(|source| io(dir, source)),
        Err(_) => Ok(()),
    }
}

/// The directory of a file's name.
pub(super) fn dir_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Opens a file that is not in use, and writes nothing beside it unless it has a log to be read.
pub(super) fn open(path: &Path) -> Result<Connection, Error> {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let has_log = fs::metadata(log).is_ok_and(|log| log.len() > 0);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    if has_log {
        return Ok(Connection::open_with_flags(path, flags)?);
    }
    // Absolute: an address has no other form. Its special characters are escaped.
    let whole = std::path::absolute(path).map_err(|source| io(path, source))?;
    let whole = whole.to_string_lossy().replace('%', "%25").replace('?', "%3f").replace('#', "%23");
    let address = format!("file:{whole}?immutable=1");
    Ok(Connection::open_with_flags(address, flags | OpenFlags::SQLITE_OPEN_URI)?)
}

/// Reads a database from end to end: that it is one of ours, sound, and not newer than this binary.
///
/// # Errors
/// [`Error::NotABackup`] with what is wrong, or [`Error::NewerSchema`].
pub(super) fn check(conn: &Connection, path: &Path) -> Result<Contents, Error> {
    let wrong = |why: String| Error::NotABackup { path: path.to_owned(), why };
    let tables: Result<i64, _> = conn.query_row(
        "SELECT COUNT(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('inbox', 'outbox', 'conversation', 'turn')",
        [],
        |row| row.get(0),
    );
    match tables {
        Ok(4) => {}
        Ok(_) => return Err(wrong("is a database, but not one of Qimate".to_owned())),
        Err(error) => return Err(wrong(format!("is not a database that can be read ({error})"))),
    }
    let schema = migrate::check(conn, migrate::ALL)?;
    let verdict: String = conn
        .query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))
        .map_err(|error| wrong(format!("is damaged ({error})")))?;
    if verdict != "ok" {
        return Err(wrong(format!("is damaged ({verdict})")));
    }
    Ok(Contents { bytes: fs::metadata(path).map_err(|source| io(path, source))?.len(), schema, ..count(conn)? })
}

fn count(conn: &Connection) -> Result<Contents, rusqlite::Error> {
    conn.query_row(
        "SELECT (SELECT COUNT(*) FROM conversation), (SELECT COUNT(*) FROM turn),
                (SELECT COUNT(*) FROM inbox WHERE state = 'open'),
                (SELECT COUNT(*) FROM outbox WHERE state = 'waiting'),
                (SELECT COUNT(*) FROM outbox WHERE state = 'dead'),
                (SELECT MAX(at) FROM (SELECT MAX(received_at) at FROM inbox
                    UNION ALL SELECT MAX(MAX(created_at, COALESCE(attempted_at, 0), COALESCE(ended_at, 0))) FROM outbox
                    UNION ALL SELECT MAX(ended_at) FROM turn UNION ALL SELECT MAX(last_at) FROM conversation))",
        [],
        |row| {
            Ok(Contents {
                conversations: row.get(0)?,
                turns: row.get(1)?,
                open: row.get(2)?,
                waiting: row.get(3)?,
                dead: row.get(4)?,
                last_at: row.get::<_, Option<i64>>(5)?.map(Timestamp::from_millis),
                ..Contents::default()
            })
        },
    )
}
