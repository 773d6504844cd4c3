//! People: members of enterprises with what they may, their departments, and for whom an application is there.
//!
//! Knows nothing of WeCom, and decides nothing: what a row means for somebody's access, `model::person` says.

mod audited;
pub mod change;
pub mod directory;
pub mod standing;

use rusqlite::{Connection, params};

use super::{Error, Store};
use crate::{
    clock::Timestamp,
    model::{
        event::Event,
        id::{CorpId, MemberId},
    },
};

/// The enterprise of a row's lane, which is `corp/agent/member`: only a member's id may hold a slash.
pub(super) const CORP_OF_LANE: &str = "substr(lane, 1, instr(lane, '/') - 1)";
/// The application of it, `corp/agent`.
pub(super) const APP_OF_LANE: &str =
    "substr(lane, 1, instr(lane, '/') + instr(substr(lane, instr(lane, '/') + 1), '/') - 1)";

/// The departments of a member `?2` of the enterprise `?1`, with those above them; the member's own first. A circle, which
/// a list read while it is changed may have, ends where it closes.
const DEPARTMENTS_OF: &str = "
    WITH RECURSIVE above (id, height) AS (
        SELECT department, 0 FROM member_of WHERE corp = ?1 AND member = ?2
        UNION
        SELECT d.parent, above.height + 1 FROM above JOIN department d ON d.corp = ?1 AND d.id = above.id
        WHERE d.parent > 0 AND above.height < 64
    )
    SELECT id FROM above GROUP BY id ORDER BY MIN(height), id";

impl Store {
    /// The departments of a member with those above them, each once, the member's own first: what counts for a department
    /// counts its subdepartments. Empty where WeCom never said.
    ///
    /// # Errors
    /// [`Error`] when the store cannot be read.
    pub async fn departments_of(&self, corp: &CorpId, member: &MemberId) -> Result<Vec<u64>, Error> {
        let (corp, member) = (corp.as_str().to_owned(), member.key());
        self.db.read(move |conn| departments_of(conn, &corp, &member)).await
    }
}

/// As [`Store::departments_of`]; `member` is a key.
pub(super) fn departments_of(conn: &Connection, corp: &str, member: &str) -> Result<Vec<u64>, rusqlite::Error> {
    conn.prepare_cached(DEPARTMENTS_OF)?.query_map([corp, member], |row| row.get(0))?.collect()
}

/// The first of a member's own departments, as [`departments_of`] orders them; `member` is a key.
pub(super) fn first_department_of(conn: &Connection, corp: &str, member: &str) -> Result<Option<u64>, rusqlite::Error> {
    conn.prepare_cached("SELECT MIN(department) FROM member_of WHERE corp = ?1 AND member = ?2")?
        .query_row([corp, member], |row| row.get(0))
}

/// Whoever writes is a member.
pub(super) fn wrote(conn: &Connection, event: &Event, now: Timestamp) -> Result<(), rusqlite::Error> {
    let (corp, member) = (event.corp.as_str(), event.from.key());
    let has_written = conn
        .prepare_cached("SELECT 1 FROM member WHERE corp = ?1 AND member = ?2 AND first_at IS NOT NULL")?
        .exists([corp, &member])?;
    if !has_written {
        conn.prepare_cached(
            "INSERT INTO member (corp, member, userid, first_at, changed_at) VALUES (?1, ?2, ?3, ?4, ?4)
             ON CONFLICT (corp, member) DO UPDATE SET first_at = excluded.first_at",
        )?
        .execute(params![corp, member, event.from.as_str(), now.as_millis()])?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::migrate;

    fn database(migrations: usize) -> Connection {
        let conn = Connection::open_in_memory().expect("a database");
        for migration in &migrate::ALL[..migrations] {
            conn.execute_batch(migration).expect("a migration");
        }
        conn
    }

    #[test]
    fn who_wrote_or_was_blocked_in_one_application_is_so_in_the_enterprise() {
        let conn = database(4);
        conn.execute_batch(
            "INSERT INTO known_member VALUES ('ww1/7/a/b', 20), ('ww1/8/a/b', 10), ('ww2/7/c', 30);
             INSERT INTO blocked_member VALUES ('ww1/7/a/b', 'A/B', 'later', 9), ('ww1/8/a/b', 'a/B', 'first', 5);",
        )
        .expect("rows");
        conn.execute_batch(migrate::ALL[4]).expect("the migration");
        let rows = |sql: &str| -> Vec<String> {
            let mut statement = conn.prepare(sql).expect("a statement");
            let rows = statement.query_map([], |row| row.get(0)).expect("rows");
            rows.collect::<Result<_, _>>().expect("rows")
        };
        let members = rows("SELECT corp || ' ' || member || ' ' || role || ' ' || first_at FROM member ORDER BY 1");
        assert_eq!(members, ["ww1 a/b member 10", "ww2 c member 30"]);
        let blocked =
            rows("SELECT corp || ' ' || member || ' ' || userid || ' ' || reason || ' ' || at FROM blocked_member");
        assert_eq!(blocked, ["ww1 a/b a/B first 5"]);
    }

    #[test]
    fn departments_come_with_those_above_them_and_a_circle_ends() {
        let conn = database(5);
        conn.execute_batch(
            "INSERT INTO department VALUES ('ww1', 1, 0, '企业', 0), ('ww1', 2, 1, '研发', 0), ('ww1', 5, 2, '后端', 0),
                 ('ww1', 6, 1, '销售', 0), ('ww1', 8, 9, 'x', 0), ('ww1', 9, 8, 'y', 0), ('ww2', 5, 77, 'z', 0);
             INSERT INTO member_of VALUES ('ww1', 'li', 5), ('ww1', 'li', 6), ('ww1', 'wang', 8), ('ww1', 'zhao', 44);",
        )
        .expect("rows");
        let of = |member: &str| departments_of(&conn, "ww1", member).expect("departments");
        for member in ["li", "wang", "zhao", "nobody"] {
            assert_eq!(first_department_of(&conn, "ww1", member), Ok(of(member).first().copied()), "{member}");
        }
        assert_eq!(of("li"), [5, 6, 1, 2]);
        assert_eq!(of("wang"), [8, 9]);
        assert_eq!(of("zhao"), [44], "a department that WeCom said nothing of");
        assert!(of("nobody").is_empty());
    }
}
