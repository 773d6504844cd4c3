//! The lock on the data directory: one process at a time serves from it, or changes it as a whole.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use super::{
    Error,
    db::{io, private_dir},
};

const FILE: &str = "qimate.lock";

/// The directory is this process's until this is dropped.
#[derive(Debug)]
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing is not enough: a process that is being started has the file too, until it becomes its program.
        let _ = self.0.unlock();
    }
}

/// Takes the directory, made where it is missing.
///
/// # Errors
/// [`Error::InUse`] while another process has it, [`Error::Io`].
pub(super) fn take(dir: &Path) -> Result<Lock, Error> {
    private_dir(dir).map_err(|source| io(dir, source))?;
    let path = dir.join(FILE);
    let file =
        File::options().create(true).truncate(false).write(true).open(&path).map_err(|source| io(&path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(io(&path, source)),
    }
}
