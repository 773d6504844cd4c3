//! A backup in the place of the database, at one stroke, and the database of before kept aside.

mod open;

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, params};
use tempfile::NamedTempFile;

pub use self::open::{Held, WhatIsOpen};
use super::{
    Error, audit,
    backup::{BACKED_UP, Contents},
    copy,
    db::{FILE, io},
    lock, migrate,
    outbox::DUPLICATE_CHECK,
    runs::{STARTED, STOPPED},
};
use crate::{
    clock::Timestamp,
    config,
    model::audit::{Actor, Entry},
};

/// How long after the backup a message that waited in it may be sent: while WeCom's duplicate check surely remembers
/// whoever sent it at once. The same half hour of caution as in delivery.
pub const SURELY_REMEMBERED: Duration = DUPLICATE_CHECK.saturating_sub(Duration::from_secs(30 * 60));

/// What a restore did.
#[derive(Clone, Debug)]
pub struct Restored {
    /// What the backup held.
    pub contents: Contents,
    /// Since when what was open in it may have been answered elsewhere.
    pub since: Timestamp,
    /// What was open in the backup, and had been answered and delivered according to the database of before.
    pub known_to_be_done: usize,
    /// Messages from members that are answered after the next start.
    pub to_answer: usize,
    /// Messages to members that are sent after the next start.
    pub to_send: usize,
    /// What became dead letters.
    pub held: Vec<Held>,
    /// The database of before, where there was one.
    pub aside: Option<Aside>,
}

/// The database of before.
#[derive(Clone, Debug)]
pub struct Aside {
    /// Its name now.
    pub path: PathBuf,
    /// Messages from members that it has and the backup has not; `None` where it cannot be read.
    pub newer: Option<u64>,
}

/// Puts `from` in the place of the database. The data directory must belong to nobody; it is locked meanwhile.
///
/// # Errors
/// [`Error::InUse`] while a daemon serves from it, [`Error::NotABackup`], [`Error::NewerSchema`], or that a file cannot
/// be read or written. The database is then as it was.
pub fn restore(
    settings: &config::Storage,
    actor: &Actor,
    from: &Path,
    what_is_open: WhatIsOpen,
    now: Timestamp,
) -> Result<Restored, Error> {
    let dir = &settings.data_dir;
    let _lock = lock::take(dir)?;
    let present = dir.join(FILE);
    let same = |path: &Path| fs::canonicalize(path).ok();
    if same(from).is_some() && same(from) == same(&present) {
        return Err(Error::NotABackup { path: from.to_owned(), why: "is the database itself".to_owned() });
    }
    if !fs::metadata(from).map_err(|source| io(from, source))?.is_file() {
        return Err(Error::NotABackup { path: from.to_owned(), why: "is not a file".to_owned() });
    }
    let backup = copy::open(from)?;
    let contents = copy::check(&backup, from)?;
    let copied = copy::make(&backup, dir)?;
    drop(backup);

    let mut conn = Connection::open_with_flags(copied.path(), OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    // A crash in between leaves an unfinished copy that nobody reads: no journal beside it.
    conn.query_row("PRAGMA journal_mode = MEMORY", [], |_| Ok(()))?;
    migrate::migrate_copy(&mut conn)?;
    let since = made_at(&conn)?.or(contents.last_at).unwrap_or(now).min(now);
    forget_the_run(&conn)?;
    end_sessions(&conn)?;
    let newer = if present.exists() { compare(&conn, &present).ok() } else { None };
    let known_to_be_done = newer.map_or(0, |(_, done)| done);
    let carried = if present.exists() { audit::carry(&conn, &present) } else { 0 };
    let held = open::settle(&conn, what_is_open, since, now)?;
    let entry = Entry::named("database.restore", "database").with("made_ms", since.as_millis());
    let entry = entry.with("schema", contents.schema).with("held", held.len()).with("entries_carried", carried);
    audit::record(&conn, actor, entry, now)?;
    let (to_answer, to_send) = open::count(&conn)?;
    let stamp: String =
        conn.query_row("SELECT strftime('%Y%m%d-%H%M%S', ?1 / 1000, 'unixepoch')", [now.as_millis()], |row| {
            row.get(0)
        })?;
    conn.close().map_err(|(_, error)| error)?;

    let aside = free_name(|end| dir.join(format!("qimate-before-restore-{stamp}{end}.db")));
    let had_one = install(copied, &present, Some(&aside))?;
    let aside = had_one.then_some(Aside { path: aside, newer: newer.map(|(newer, _)| newer) });
    Ok(Restored { contents, since, known_to_be_done, to_answer, to_send, held, aside })
}

/// When the copy was made; it is said only once.
fn made_at(conn: &Connection) -> Result<Option<Timestamp>, Error> {
    if !conn.table_exists(None, "moment")? {
        return Ok(None);
    }
    let at = conn.query_row("DELETE FROM moment WHERE name = ?1 RETURNING at", [BACKED_UP], |row| row.get(0));
    Ok(at.optional()?.map(Timestamp::from_millis))
}

/// What operators had open when the backup was made may have been ended since, and links of members may have been used.
fn end_sessions(conn: &Connection) -> Result<(), Error> {
    if conn.table_exists(None, "operator_session")? {
        conn.execute_batch(
            "DELETE FROM key_link;
             DELETE FROM operator_session;
             UPDATE operator SET invitation_id = NULL, invitation_hash = NULL, invitation_until = NULL;",
        )?;
    }
    Ok(())
}

/// A backup that was made beside a daemon says that it runs. It does not any more, and the next start must not take that
/// for a crash.
fn forget_the_run(conn: &Connection) -> Result<(), Error> {
    if conn.table_exists(None, "moment")? {
        conn.execute("DELETE FROM moment WHERE name IN (?1, ?2)", [STARTED, STOPPED])?;
    }
    Ok(())
}

/// The first of `name("")`, `name("-2")`, ... that is nobody's: what was put aside is not overwritten, by whoever restores
/// twice within a second.
fn free_name(name: impl Fn(&str) -> PathBuf) -> PathBuf {
    let mut path = name("");
    let mut number = 2;
    while path.symlink_metadata().is_ok() {
        path = name(&format!("-{number}"));
        number += 1;
    }
    path
}

/// Asks the database of before, if it can be read, what became of what is open in the backup: how many messages it has
/// that came later, and how many open rows had ended well and are ended here too.
fn compare(conn: &Connection, present: &Path) -> Result<(u64, usize), Error> {
    conn.execute("ATTACH ?1 AS present", [present.to_string_lossy()])?;
    let compared = (|| {
        // Its own memory of what it said is believed only where all of it had been delivered.
        let answered = conn.execute(
            "UPDATE inbox SET state = 'done' WHERE state = 'open' AND dedup IN
                 (SELECT dedup FROM present.inbox p WHERE p.state = 'done'
                  AND NOT EXISTS (SELECT 1 FROM present.outbox o WHERE o.cause = p.seq AND o.state <> 'sent'))",
            [],
        )?;
        let delivered = conn.execute(
            "UPDATE outbox SET state = 'sent', ended_at = p.ended_at FROM present.outbox p
             WHERE outbox.state = 'waiting' AND p.state = 'sent' AND p.seq = outbox.seq AND p.cause = outbox.cause
               AND p.part = outbox.part AND p.member = outbox.member AND p.created_at = outbox.created_at",
            [],
        )?;
        let newer = conn.query_row(
            "SELECT COUNT(*) FROM present.inbox WHERE dedup NOT IN (SELECT dedup FROM inbox)
               AND received_at >= (SELECT COALESCE(MAX(received_at), 0) FROM inbox)",
            [],
            |row| row.get(0),
        )?;
        Ok::<_, rusqlite::Error>((newer, answered + delivered))
    })();
    conn.execute("DETACH present", [])?;
    Ok(compared?)
}

/// Puts a finished copy in the place of the database, which is kept as `aside` where that is given. Says whether there
/// was one. Nobody may have it open.
///
/// A log of the old database must not meet the new one: SQLite would write its pages into it. So the log is folded in
/// first, or goes aside with its file. After a crash at any point there is a whole database under the name.
pub(super) fn install(copied: NamedTempFile, present: &Path, aside: Option<&Path>) -> Result<bool, Error> {
    let beside = |path: &Path, end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (had_one, dir) = (present.exists(), copy::dir_of(present));
    if had_one {
        fold_log(present);
        if let Some(aside) = aside {
            // A second name, so that the first is never without a file; where there are none, the one moves.
            if fs::hard_link(present, aside).is_err() {
                fs::rename(present, aside).map_err(|source| io(aside, source))?;
            }
            let log = beside(present, "-wal");
            if log.exists() {
                fs::rename(&log, beside(aside, "-wal")).map_err(|source| io(&log, source))?;
            }
        }
    }
    for end in ["-wal", "-shm"] {
        let path = beside(present, end);
        match fs::remove_file(&path) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => return Err(io(&path, source)),
            _ => {}
        }
    }
    keep_owner(copied.path(), if had_one { present } else { &dir });
    copy::sync_dir(&dir)?;
    copy::place(copied, present, true)?;
    Ok(had_one)
}

/// Gives a file that root makes to whoever owns `like`: the daemon runs as a user of its own, and could not open it.
/// Whoever is not root owns both, or finds out by the daemon's first word.
#[cfg(unix)]
fn keep_owner(file: &Path, like: &Path) {
    use std::os::unix::fs::{MetadataExt, chown};
    if let Ok(like) = fs::metadata(like) {
        let _ = chown(file, Some(like.uid()), Some(like.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_file: &Path, _like: &Path) {}

/// Puts what is in the log into the file; the last to close then deletes the log. A database that is too broken for
/// that keeps it.
fn fold_log(present: &Path) {
    if let Ok(conn) = Connection::open_with_flags(present, OpenFlags::SQLITE_OPEN_READ_WRITE) {
        let _ = conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", params![], |_| Ok(()));
    }
}
