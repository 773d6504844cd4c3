//! What the audit log says of a change of a member.

use rusqlite::{Connection, OptionalExtension};
use serde_json::{Map, Value};

use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Object},
        id::{CorpId, MemberId},
    },
    store::audit,
};

/// Fields that go from the log with the member: what somebody wrote about them.
const THEIRS: &[&str] = &["name", "note", "blocked"];

/// Makes a change of a member, and writes down what is another by it.
pub(super) fn changed(
    conn: &Connection,
    actor: &Actor,
    (corp, member): (&CorpId, &MemberId),
    now: Timestamp,
    change: impl FnOnce() -> Result<(), rusqlite::Error>,
) -> Result<(), rusqlite::Error> {
    let before = fields(conn, corp, member)?;
    change()?;
    let after = fields(conn, corp, member)?;
    let entry = Entry::new("member.change", Object::Member(corp.clone(), member.clone()));
    audit::record(conn, actor, entry.between(&before, &after, Some((member, THEIRS))), now)
}

/// What an administrator can change of a member, with times in UTC; empty where they are not known.
fn fields(conn: &Connection, corp: &CorpId, member: &MemberId) -> Result<Map<String, Value>, rusqlite::Error> {
    const DATE: &str = "'%Y-%m-%dT%H:%M:%SZ'";
    let found: Option<String> = conn
        .prepare_cached(&format!(
            "SELECT json_object('name', name, 'role', role,
                 'expires', strftime({DATE}, expires_at / 1000, 'unixepoch'),
                 'premium', iif(premium_until = 0, 'off', strftime({DATE}, premium_until / 1000, 'unixepoch')),
                 'note', note,
                 'hours', (SELECT hours FROM service_hours WHERE subject = 'member/' || m.corp || '/' || m.member),
                 'blocked', (SELECT reason FROM blocked_member b WHERE b.corp = m.corp AND b.member = m.member),
                 'departments', (SELECT group_concat(department, ' ') FROM
                     (SELECT department FROM member_of o WHERE o.corp = m.corp AND o.member = m.member ORDER BY 1)),
                 'outside', (SELECT COUNT(*) FROM visible v
                     WHERE (v.app = m.corp OR (v.app > m.corp || '/' AND v.app < m.corp || '0'))
                       AND v.member = m.member AND v.is_in = 0))
             FROM member m WHERE corp = ?1 AND member = ?2"
        ))?
        .query_row([corp.as_str(), &member.key()], |row| row.get(0))
        .optional()?;
    Ok(found.and_then(|json| serde_json::from_str(&json).ok()).unwrap_or_default())
}
