//! The schema's versions. Migrations are only added, never changed: each is what some database was made with.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags};

use super::{
    Error, copy,
    db::{self, FILE},
    lock,
};
use crate::config;

/// Every migration, oldest first. The version of a database is how many of them it has.
pub(super) const ALL: &[&str] = &[
    include_str!("migrations/0001_main_path.sql"),
    include_str!("migrations/0002_operations.sql"),
    include_str!("migrations/0003_conversation.sql"),
    include_str!("migrations/0004_team.sql"),
    include_str!("migrations/0005_people.sql"),
    include_str!("migrations/0006_keys.sql"),
    include_str!("migrations/0007_usage_key.sql"),
    include_str!("migrations/0008_quota_requests.sql"),
    include_str!("migrations/0009_renamed.sql"),
    include_str!("migrations/0010_operators.sql"),
    include_str!("migrations/0011_audit.sql"),
    include_str!("migrations/0012_secrets.sql"),
    include_str!("migrations/0013_member_keys.sql"),
    include_str!("migrations/0014_idempotency.sql"),
    include_str!("migrations/0015_second_factor.sql"),
];

/// Brings the database to the newest version, in one transaction. Where there is something to lose, a copy is put
/// beside it first (`qimate-before-v3.db`).
pub(super) fn migrate(conn: &mut Connection, dir: &Path, migrations: &[&str]) -> Result<(), Error> {
    let found = check(conn, migrations)?;
    if found == migrations.len() {
        return Ok(());
    }
    if found > 0 {
        // Under another name until it is whole: a crash in the middle must not leave half a copy.
        let path = copy_before(dir, migrations.len());
        copy::make(conn, dir)
            .and_then(|copy| copy::place(copy, &path, true))
            .map_err(|cause| Error::NoCopyBefore { path, cause: Box::new(cause) })?;
    }
    bring_up(conn, found, migrations)
}

/// Brings a copy of a database to the newest version: the file that it was copied from is the way back.
pub(super) fn migrate_copy(conn: &mut Connection) -> Result<(), Error> {
    let found = check(conn, ALL)?;
    bring_up(conn, found, ALL)
}

fn bring_up(conn: &mut Connection, found: usize, migrations: &[&str]) -> Result<(), Error> {
    let tx = conn.transaction()?;
    for migration in &migrations[found..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", migrations.len())?;
    tx.commit()?;
    Ok(())
}

/// The copy that is made before a database becomes one of `version`.
fn copy_before(dir: &Path, version: usize) -> PathBuf {
    dir.join(format!("qimate-before-v{version}.db"))
}

/// How a database stands to this binary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// There is none yet; a start makes it.
    New {
        /// The version that it will have.
        version: usize,
    },
    /// It is of this binary's version.
    UpToDate {
        /// That version.
        version: usize,
    },
    /// A start brings it from one version to the other.
    Migrates {
        /// Its version.
        from: usize,
        /// This binary's version.
        to: usize,
        /// The copy that is made of it first.
        copy: PathBuf,
    },
}

/// What a start would do to the database. Changes nothing, and may be asked beside a daemon.
///
/// # Errors
/// [`Error::NewerSchema`], or that it cannot be read.
pub fn plan(settings: &config::Storage) -> Result<Plan, Error> {
    let version = ALL.len();
    if !settings.data_dir.join(FILE).exists() {
        return Ok(Plan::New { version });
    }
    let conn = db::connect(settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    Ok(match check(&conn, ALL)? {
        // A start that was interrupted at its first moment: a file with nothing in it.
        0 => Plan::New { version },
        from if from == version => Plan::UpToDate { version },
        from => Plan::Migrates { from, to: version, copy: copy_before(&settings.data_dir, version) },
    })
}

/// Does what a start would do to the database, without serving. Returns what was to be done.
///
/// # Errors
/// [`Error::InUse`] while a daemon serves, [`Error::Missing`], otherwise as [`plan`]. Nothing was changed then.
pub fn run(settings: &config::Storage) -> Result<Plan, Error> {
    if !settings.data_dir.join(FILE).exists() {
        return Err(Error::Missing(settings.data_dir.clone()));
    }
    let _lock = lock::take(&settings.data_dir)?;
    let plan = plan(settings)?;
    let mut conn = db::connect(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate(&mut conn, &settings.data_dir, ALL)?;
    Ok(plan)
}

/// The database's version.
///
/// # Errors
/// [`Error::NewerSchema`] when this binary does not know it.
pub(super) fn check(conn: &Connection, migrations: &[&str]) -> Result<usize, Error> {
    let found: i64 = conn.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    match usize::try_from(found) {
        Ok(version) if version <= migrations.len() => Ok(version),
        _ => Err(Error::NewerSchema { found, known: i64::try_from(migrations.len()).unwrap_or(i64::MAX) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = "CREATE TABLE a (x BIGINT); INSERT INTO a VALUES (1);";
    const SECOND: &str = "ALTER TABLE a ADD COLUMN y BIGINT NOT NULL DEFAULT 2;";

    #[test]
    fn an_old_database_is_copied_and_then_brought_up() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("qimate.db")).unwrap();
        migrate(&mut conn, dir.path(), &[FIRST]).unwrap();
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing to copy at first");

        migrate(&mut conn, dir.path(), &[FIRST, SECOND]).unwrap();
        let sum: i64 = conn.query_row("SELECT x + y FROM a", [], |row| row.get(0)).unwrap();
        assert_eq!(sum, 3);
        let copy = Connection::open(dir.path().join("qimate-before-v2.db")).unwrap();
        assert_eq!(check(&copy, &[FIRST]).unwrap(), 1);
    }

    /// The way back after an upgrade: the binary of before, which knows fewer versions, opens the copy as it is.
    #[test]
    fn the_copy_serves_the_binary_of_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("qimate.db");
        let mut conn = Connection::open(&path).unwrap();
        let before = &ALL[..ALL.len() - 1];
        migrate(&mut conn, dir.path(), before).unwrap();
        conn.execute("INSERT INTO welcome VALUES ('ww1/1/zhangsan', 7)", []).unwrap();
        migrate(&mut conn, dir.path(), ALL).unwrap();
        assert!(matches!(migrate(&mut conn, dir.path(), before), Err(Error::NewerSchema { .. })));
        drop(conn);

        std::fs::rename(dir.path().join(format!("qimate-before-v{}.db", ALL.len())), &path).unwrap();
        let mut conn = Connection::open(&path).unwrap();
        migrate(&mut conn, dir.path(), before).unwrap();
        assert_eq!(check(&conn, before).unwrap(), before.len());
        let at: i64 = conn.query_row("SELECT welcomed_at FROM welcome", [], |row| row.get(0)).unwrap();
        assert_eq!(at, 7);
        assert_eq!(dir.path().read_dir().unwrap().count(), 1, "nothing was copied again");
    }

    #[test]
    fn a_failing_migration_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("qimate.db")).unwrap();
        migrate(&mut conn, dir.path(), &[FIRST]).unwrap();
        let broken = [FIRST, "ALTER TABLE a ADD COLUMN z BIGINT; SELECT nonsense;"];
        assert!(migrate(&mut conn, dir.path(), &broken).is_err());
        assert_eq!(check(&conn, &broken).unwrap(), 1);
        assert!(conn.prepare("SELECT z FROM a").is_err());
    }

    #[test]
    fn without_a_copy_nothing_is_changed_and_it_is_said_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let mut conn = Connection::open(dir.path().join("qimate.db")).unwrap();
        migrate(&mut conn, dir.path(), &[FIRST]).unwrap();
        // As a full disk does, something keeps the copy from its place.
        std::fs::create_dir(dir.path().join("qimate-before-v2.db")).unwrap();
        let told = migrate(&mut conn, dir.path(), &[FIRST, SECOND]).unwrap_err().to_string();
        assert!(told.contains("qimate-before-v2.db") && told.contains("nothing was changed"), "{told}");
        assert_eq!(check(&conn, &[FIRST]).unwrap(), 1);
        assert_eq!(dir.path().read_dir().unwrap().count(), 2, "and nothing is left behind");
    }

    #[test]
    fn a_newer_database_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", 99).unwrap();
        let error = check(&conn, ALL).unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 99, .. }));
        assert!(error.to_string().contains("use a newer qimate"));
    }
}
