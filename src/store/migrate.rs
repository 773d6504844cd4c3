//! The schema's versions. Migrations are only added, never changed: each is what some database was made with.

use std::{fs, path::Path, sync::Arc};

use rusqlite::Connection;

use super::Error;

/// Every migration, oldest first. The version of a database is how many of them it has.
pub(super) const ALL: &[&str] =
    &[include_str!("migrations/0001_main_path.sql"), include_str!("migrations/0002_operations.sql")];

/// Brings the database to the newest version, in one transaction. Where there is something to lose, a copy is put
/// beside it first (`qimate-before-v3.db`).
pub(super) fn migrate(conn: &mut Connection, dir: &Path, migrations: &[&str]) -> Result<(), Error> {
    let found = check(conn, migrations)?;
    if found == migrations.len() {
        return Ok(());
    }
    if found > 0 {
        let copy = dir.join(format!("qimate-before-v{}.db", migrations.len()));
        // Under another name until it is whole: a crash in the middle must not leave half a copy.
        let unfinished = copy.with_extension("db.unfinished");
        let io = |source| Error::Io { path: unfinished.clone(), source: Arc::new(source) };
        if unfinished.exists() {
            fs::remove_file(&unfinished).map_err(io)?;
        }
        conn.execute("VACUUM INTO ?1", [unfinished.to_string_lossy()])?;
        fs::rename(&unfinished, &copy).map_err(io)?;
    }
    let tx = conn.transaction()?;
    for migration in &migrations[found..] {
        tx.execute_batch(migration)?;
    }
    tx.pragma_update(None, "user_version", migrations.len())?;
    tx.commit()?;
    Ok(())
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
    fn a_newer_database_is_refused() {
        let conn = Connection::open_in_memory().unwrap();
        conn.pragma_update(None, "user_version", 7).unwrap();
        let error = check(&conn, ALL).unwrap_err();
        assert!(matches!(error, Error::NewerSchema { found: 7, .. }));
        assert!(error.to_string().contains("use a newer qimate"));
    }
}
