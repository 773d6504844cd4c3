//! The connections that only read, beside the one that writes.

use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
};

use rusqlite::Connection;
use tokio::sync::Semaphore;

use super::Error;

/// A few connections, each of which one reads with at a time.
#[derive(Debug)]
pub(super) struct Readers {
    idle: Mutex<Vec<Connection>>,
    permits: Arc<Semaphore>,
}

impl Readers {
    /// Opens so many.
    pub(super) fn open(count: usize, connect: impl Fn() -> Result<Connection, Error>) -> Result<Self, Error> {
        let idle = (0..count).map(|_| connect()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { idle: Mutex::new(idle), permits: Arc::new(Semaphore::new(count)) })
    }

    /// Runs `work` on one that is free.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub(super) async fn read<T, F>(self: &Arc<Self>, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| Error::Closed)?;
        let readers = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            // Whoever asked may go; the permit stays with the connection.
            let _permit = permit;
            let conn = readers.take().ok_or(Error::Closed)?;
            Ok(work(&conn)?)
        })
        .await
        .map_err(|_| Error::Closed)?
    }

    fn take(&self) -> Option<Reader<'_>> {
        let conn = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()?;
        Some(Reader { readers: self, conn: Some(conn) })
    }
}

/// A connection that goes back when it is dropped, also by a panic.
struct Reader<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Deref for Reader<'_> {
    type Target = Connection;

    fn deref(&self) -> &Connection {
        // Taken out by `drop` alone.
        self.conn.as_ref().unwrap_or_else(|| unreachable!("a reader holds its connection"))
    }
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.readers.idle.lock().unwrap_or_else(PoisonError::into_inner).extend(self.conn.take());
    }
}
