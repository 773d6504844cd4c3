//! A backup while the daemon serves.

use std::{fs, io::Write, path::Path};

use rusqlite::{Connection, OpenFlags};

pub use super::copy::Contents;
use super::{
    Error, copy,
    db::{self, FILE},
    migrate,
    runs::remember,
};
use crate::{clock::Timestamp, config};

/// Under this name, a copy says when it was made: [`super::restore`] must know since when what is open in it may have
/// been answered elsewhere.
pub(super) const BACKED_UP: &str = "backed_up";

/// Writes the database as it is at this moment to `to`, beside a daemon that goes on serving: it reads one snapshot, and
/// no commit waits for it. Blocks until the copy is on the disk, checked, and under its name.
///
/// # Errors
/// [`Error::Missing`], [`Error::NewerSchema`]; [`Error::Exists`] where `to` is there and not to be replaced, [`Error::NotABackup`]
/// where it is the database; or that it
/// cannot be read or written. Then nothing is left behind.
pub fn backup(settings: &config::Storage, to: &Path, replace: bool, now: Timestamp) -> Result<Contents, Error> {
    let present = settings.data_dir.join(FILE);
    if !present.exists() {
        return Err(Error::Missing(settings.data_dir.clone()));
    }
    if fs::canonicalize(to).ok().is_some_and(|to| fs::canonicalize(present).ok() == Some(to)) {
        return Err(Error::NotABackup { path: to.to_owned(), why: "is the database itself".to_owned() });
    }
    if to.symlink_metadata().is_ok() && !replace {
        return Err(Error::Exists(to.to_owned()));
    }
    let conn = db::connect(settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    migrate::check(&conn, migrate::ALL)?;
    let file = copy::make(&conn, &copy::dir_of(to))?;
    let stamped = Connection::open_with_flags(file.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // The table came with the second version; without it, the last that happened stands for the moment.
    if stamped.table_exists(None, "moment")? {
        remember(&stamped, BACKED_UP, now)?;
    }
    drop(stamped);
    let contents = copy::check(&copy::open(file.path())?, file.path())?;
    copy::place(file, to, replace)?;
    Ok(contents)
}

/// Writes a new file for one pair of eyes: mode 0600, whole or not at all, and over nobody's file.
///
/// # Errors
/// [`Error::Exists`], or that it cannot be written.
pub fn write_private(to: &Path, bytes: &[u8]) -> Result<(), Error> {
    let dir = copy::dir_of(to);
    let mut file = tempfile::NamedTempFile::new_in(&dir).map_err(|source| db::io(&dir, source))?;
    file.write_all(bytes).map_err(|source| db::io(to, source))?;
    copy::place(file, to, false)
}
