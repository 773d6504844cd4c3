//! The file itself: opened, begun anew where it cannot be used, and never in the way of anybody.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tracing::{error, warn};

use super::renamed;
use crate::{
    clock::Timestamp,
    store::{Error, db, db::io},
};

/// Its name in the data directory.
pub(in crate::store) const USAGE: &str = "usage.db";
/// What SQLite puts beside it.
const BESIDE: [&str; 2] = ["-wal", "-shm"];
/// The version of the schema. There is no way from one to another but to begin anew: so far there is only one.
const VERSION: i64 = 1;
const SCHEMA: &str = include_str!("schema.sql");
/// How long a statement waits for a command beside the daemon.
const BUSY: Duration = Duration::from_secs(2);

/// Opens the file for writing, and makes it where it is missing. One that cannot be used is moved aside first, and that
/// is logged.
///
/// # Errors
/// [`Error`]: the directory cannot be used at the moment.
pub(super) fn open(dir: &Path, now: Timestamp) -> Result<Connection, Error> {
    match connect(dir) {
        Err(fault) if is_of_the_file(&fault) => {
            move_aside(dir, &fault.to_string(), now)?;
            connect(dir)
        }
        opened => opened,
    }
}

/// Whether the file itself is what is wrong.
pub(super) fn is_of_the_file(error: &Error) -> bool {
    match error {
        Error::Corrupt(_) | Error::NewerSchema { .. } => true,
        Error::Unavailable(error) => {
            matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        }
        _ => false,
    }
}

fn connect(dir: &Path) -> Result<Connection, Error> {
    let path = dir.join(USAGE);
    if !path.exists() {
        // The log of a file that is gone would be taken for that of the new one.
        remove_beside(&path)?;
        db::private_file(&path).map_err(|source| io(&path, source))?;
    }
    let conn = Connection::open_with_flags(
        &path,
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    conn.busy_timeout(BUSY)?;
    db::plan_once(&conn)?;
    conn.set_prepared_statement_cache_capacity(32);
    // What the last seconds before a power cut took may be lost; a crash of the process loses nothing that is written.
    conn.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = NORMAL;
         PRAGMA journal_size_limit = 16777216;
         PRAGMA cache_size = -4096;
         PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;",
    )?;
    let version: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match version {
        0 => begin(&conn)?,
        VERSION => {}
        found => return Err(Error::NewerSchema { found, known: VERSION }),
    }
    conn.execute_batch(renamed::TABLE)?;
    // One that was cut short says so when its tables are read.
    conn.query_row(
        "SELECT (SELECT MAX(id) FROM call), (SELECT COUNT(*) FROM name), (SELECT MAX(at) FROM call)",
        [],
        |_| Ok(()),
    )?;
    Ok(conn)
}

fn begin(conn: &Connection) -> Result<(), Error> {
    conn.execute_batch("BEGIN IMMEDIATE")?;
    let made = conn.execute_batch(SCHEMA).and_then(|()| conn.pragma_update(None, "user_version", VERSION));
    conn.execute_batch(if made.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    made.map_err(|error| match error {
        // Tables of this name that are not ours.
        error if error.sqlite_error_code() == Some(ErrorCode::Unknown) => Error::Corrupt(error.to_string()),
        error => error.into(),
    })
}

/// Gives the file another name, which says when.
pub(super) fn move_aside(dir: &Path, why: &str, now: Timestamp) -> Result<(), Error> {
    let path = dir.join(USAGE);
    let aside = dir.join(format!("usage-broken-{}.db", now.as_secs()));
    fs::rename(&path, &aside).map_err(|source| io(&path, source))?;
    for end in BESIDE {
        let moved = fs::rename(with_end(&path, end), with_end(&aside, end));
        if let Err(error) = moved
            && error.kind() != std::io::ErrorKind::NotFound
        {
            warn!(%error, "could not move what is beside the file of usage");
        }
    }
    error!(
        path = %path.display(), aside = %aside.display(), reason = why,
        "the file of usage cannot be used: it was moved aside and is begun anew; members, plans and quotas are not \
         concerned"
    );
    Ok(())
}

fn remove_beside(path: &Path) -> Result<(), Error> {
    for end in BESIDE {
        let beside = with_end(path, end);
        match fs::remove_file(&beside) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(io(&beside, source)),
            _ => {}
        }
    }
    Ok(())
}

fn with_end(path: &Path, end: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(end);
    path.into()
}

/// What tells a file from another of the same name, where the system has it.
#[cfg(unix)]
pub(super) fn identity(dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(dir.join(USAGE)).ok().map(|file| (file.dev(), file.ino()))
}

/// The same, where an open file cannot be removed.
#[cfg(not(unix))]
pub(super) fn identity(dir: &Path) -> Option<(u64, u64)> {
    dir.join(USAGE).exists().then_some((0, 0))
}

/// Opens the file to look into it; `None` where there is none.
///
/// # Errors
/// [`Error`]: it cannot be read.
pub(super) fn look(dir: &Path) -> Result<Option<Connection>, Error> {
    beside(dir, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens the file beside a daemon that may be writing; `None` where there is none.
///
/// # Errors
/// [`Error::Usage`]: it cannot be used.
pub(super) fn beside(dir: &Path, flags: OpenFlags) -> Result<Option<Connection>, Error> {
    let path = dir.join(USAGE);
    if !path.exists() {
        return Ok(None);
    }
    let conn = open_beside(&path, flags);
    conn.map_err(|cause| Error::Usage { path, cause: Box::new(cause) })
}

fn open_beside(path: &Path, flags: OpenFlags) -> Result<Option<Connection>, Error> {
    let conn = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    conn.busy_timeout(BUSY)?;
    conn.execute_batch("PRAGMA cache_size = -8192; PRAGMA temp_store = MEMORY; PRAGMA secure_delete = ON;")?;
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match found {
        // It is being made.
        0 => Ok(None),
        VERSION => Ok(Some(conn)),
        found => Err(Error::NewerSchema { found, known: VERSION }),
    }
}
