//! Everything that is stored of one member: shown, and erased.

mod erase;

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use serde_json::{Value, json};

pub use self::erase::{Erased, REWRITTEN_BESIDE, erase};
pub(super) use self::erase::{TOMBSTONE_KEPT, bury, tombstone};
use super::{
    Error, audit,
    db::{self, FILE},
    ledger,
    media::PATH_OF_HASH,
    migrate,
};
use crate::{
    clock::Timestamp,
    config,
    model::{
        audit::{Actor, Entry, Object},
        id::MemberId,
    },
};

/// The last part of a lane, which is `corp/agent/member`: a member's id may hold a slash, the others not.
pub(super) const MEMBER_OF_LANE: &str =
    "substr(substr(lane, instr(lane, '/') + 1), instr(substr(lane, instr(lane, '/') + 1), '/') + 1)";

/// Rows that count or allow something for a member, whose subject is `member/corp/userid`; a corp id holds no slash.
const OF_MEMBER: &str =
    "subject LIKE 'member/%' AND substr(substr(subject, 8), instr(substr(subject, 8), '/') + 1) = ?1";

/// What is kept of a person beside their chats, by the name that it has in an export.
const OF_PERSON: &[(&str, &str)] = &[
    (
        "person",
        "SELECT json_object('corp', corp, 'name', name, 'role', role, 'expires_at', TIME(expires_at),
             'premium_until', TIME(premium_until), 'note', note, 'first_at', TIME(first_at),
             'changed_at', TIME(changed_at)) FROM member WHERE member = ?1 ORDER BY corp",
    ),
    (
        "departments",
        "SELECT json_object('corp', corp, 'department', department, 'name',
             (SELECT name FROM department d WHERE d.corp = m.corp AND d.id = m.department))
         FROM member_of m WHERE member = ?1 ORDER BY corp, department",
    ),
    (
        "visible",
        "SELECT json_object('application', app, 'is_in', json(iif(is_in, 'true', 'false')), 'at', TIME(at))
         FROM visible WHERE member = ?1 ORDER BY app",
    ),
    (
        "blocked",
        "SELECT json_object('corp', corp, 'reason', reason, 'at', TIME(at)) FROM blocked_member WHERE member = ?1
         ORDER BY corp",
    ),
    (
        "service_hours",
        "SELECT json_object('hours', hours, 'changed_at', TIME(changed_at)) FROM service_hours
         WHERE subject LIKE 'member/%' AND substr(substr(subject, 8), instr(substr(subject, 8), '/') + 1) = ?1",
    ),
    (
        "userids",
        "SELECT json_object('corp', corp, 'from', old, 'to', new, 'at', TIME(at)) FROM renamed
         WHERE old = ?1 OR new = ?1 ORDER BY at",
    ),
    (
        "asked_for",
        "SELECT json_object('limit', quota_limit, 'allowed', allowed, 'used', used, 'reason', reason,
             'asked_at', TIME(asked_at), 'decided_at', TIME(decided_at), 'granted',
             json(iif(grant_id IS NULL, 'false', 'true'))) FROM quota_request WHERE member = ?1 ORDER BY id",
    ),
    (
        "keys",
        "SELECT json_object('id', id, 'name', name, 'scope', json(scope), 'external_id', external_id,
             'self_made', json(iif(self_made, 'true', 'false')), 'created_at', TIME(created_at),
             'expires_at', TIME(expires_at), 'revoked_at', TIME(revoked_at), 'last_used_at', TIME(last_used_at)) FROM api_key WHERE member = ?1 ORDER BY number",
    ),
];

/// The same for the keys by which a member's programs ask.
const OF_THEIR_KEYS: &str = "subject IN (SELECT 'key/' || corp || '/' || id FROM api_key WHERE member = ?1)";

fn open(settings: &config::Storage, flags: OpenFlags) -> Result<Connection, Error> {
    if !settings.data_dir.join(FILE).exists() {
        return Err(Error::Missing(settings.data_dir.clone()));
    }
    let conn = db::connect(settings, flags)?;
    migrate::check(&conn, migrate::ALL)?;
    Ok(conn)
}

/// A member's lanes, one for each application that they wrote to. Reads whole tables.
fn lanes(conn: &Connection, member: &MemberId) -> Result<Vec<String>, rusqlite::Error> {
    let tables = [
        "inbox",
        "inbox_lane",
        "outbox",
        "outbox_lane",
        "conversation",
        "welcome",
        "fact",
        "profile",
        "member_preference",
        "media_use",
        "known_member",
        "announcement",
    ];
    let each: Vec<_> =
        tables.iter().map(|table| format!("SELECT lane FROM {table} WHERE {MEMBER_OF_LANE} = ?1")).collect();
    conn.prepare(&each.join(" UNION "))?.query_map([member.key()], |row| row.get(0))?.collect()
}

/// What of a member is to be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What they wrote and were answered too, by whom: it is written down.
    Texts(Actor),
    /// All but that.
    WithoutTexts,
}

/// Where texts stand in what is stored of an application's member, by list and field.
const TEXTS: &[(&str, &[&str])] =
    &[("facts", &["text"]), ("announcements", &["text"]), ("received", &["event"]), ("messages", &["content"])];

/// Takes the texts out of what is stored of an application's member.
fn without_texts(application: &mut Value) {
    let take = |row: &mut Value, fields: &[&str]| {
        for field in fields.iter().filter(|field| row.get(**field).is_some()).collect::<Vec<_>>() {
            row[*field] = Value::Null;
        }
    };
    for (list, fields) in TEXTS {
        application[*list].as_array_mut().into_iter().flatten().for_each(|row| take(row, fields));
    }
    for conversation in application["conversations"].as_array_mut().into_iter().flatten() {
        take(&mut conversation["summary"], &["text"]);
        let turns = conversation["turns"].as_array_mut().into_iter().flatten();
        turns.for_each(|turn| take(turn, &["question", "pictures", "answer"]));
    }
    // Files are named by the hash of what is in them.
    application["files"] = Value::Null;
}

/// All that is stored of a member, for their eyes: what they wrote, what they were answered, what waits for them, with
/// times in UTC. May be asked beside a daemon; it is one moment of the database. Where texts are to be read, that is
/// written into the audit log first.
///
/// # Errors
/// [`Error::Missing`], that it cannot be read or, of texts, that it cannot be written down.
pub fn export(
    settings: &config::Storage,
    reading: &Reading,
    member: &MemberId,
    now: Timestamp,
) -> Result<Value, Error> {
    if let Reading::Texts(actor) = reading {
        let mut conn = open(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
        audit::record(&tx, actor, Entry::new("member.read", Object::Anywhere(member.clone())), now)?;
        tx.commit()?;
    }
    let conn = open(settings, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let moment = conn.unchecked_transaction()?;
    let mut applications = Vec::new();
    for lane in lanes(&moment, member)? {
        let list = |sql: &str| rows(&moment, sql, &lane);
        let mut conversations = list(
            "SELECT json_object('id', id, 'opened_at', TIME(opened_at), 'last_at', TIME(last_at),
                                'closed_at', TIME(closed_at)) FROM conversation WHERE lane = ?1 ORDER BY id",
        )?;
        for conversation in &mut conversations {
            let turns = rows(
                &moment,
                "SELECT json_object('asked_at', TIME((SELECT received_at FROM inbox WHERE seq = cause)),
                     'question', question, 'pictures', pictures, 'answer', answer, 'state', state, 'reason', reason,
                     'input_tokens', input_tokens, 'output_tokens', output_tokens, 'ended_at', TIME(ended_at))
                 FROM turn WHERE conversation = ?1 ORDER BY cause",
                conversation["id"].as_i64(),
            )?;
            conversation["turns"] = Value::Array(turns);
            conversation["summary"] = rows(
                &moment,
                "SELECT json_object('text', text, 'made_at', TIME(at), 'input_tokens', input_tokens,
                     'output_tokens', output_tokens) FROM summary WHERE conversation = ?1",
                conversation["id"].as_i64(),
            )?
            .pop()
            .into();
        }
        applications.push(json!({
            "application": lane,
            "welcomed_at": list("SELECT json_quote(TIME(welcomed_at)) FROM welcome WHERE lane = ?1")?.pop(),
            "profile": list(
                "SELECT json_object('name', name, 'department', department, 'refused', refused,
                     'fetched_at', TIME(fetched_at)) FROM profile WHERE lane = ?1",
            )?
            .pop(),
            "facts": list(
                "SELECT json_object('text', text, 'remembered_at', TIME(at)) FROM fact WHERE lane = ?1 ORDER BY id",
            )?,
            "known_since": list("SELECT json_quote(TIME(first_at)) FROM known_member WHERE lane = ?1")?.pop(),
            "announcements": list(
                "SELECT json_object('text', text, 'state', state, 'shown_at', TIME(shown_at), 'sent', sent)
                 FROM announcement WHERE lane = ?1 ORDER BY id",
            )?,
            "preferences": list(
                "SELECT json_object('output', output, 'client', client, 'model', model, 'persona', persona,
                     'language', language, 'voice_answers', voice_answers, 'changed_at', TIME(changed_at))
                 FROM member_preference WHERE lane = ?1",
            )?
            .pop(),
            "conversations": conversations,
            "received": list(
                "SELECT json_object('received_at', TIME(received_at), 'kind', kind, 'state', state,
                     'event', CASE WHEN json_valid(event) THEN json(event) ELSE event END)
                 FROM inbox WHERE lane = ?1 ORDER BY seq",
            )?,
            "files": list(&format!(
                "SELECT json_object('file', {PATH_OF_HASH}, 'media_type', media_type, 'bytes', bytes, 'at', TIME(at))
                 FROM media_use JOIN media USING (hash) WHERE lane = ?1 ORDER BY at, hash",
            ))?,
            "messages": list(
                "SELECT json_object('created_at', TIME(created_at), 'state', state, 'format', format,
                     'content', content, 'attempts', attempts, 'ended_at', TIME(ended_at), 'reason', reason)
                 FROM outbox WHERE lane = ?1 ORDER BY seq",
            )?,
        }));
    }
    let at: String = moment.query_row(&with_time("SELECT TIME(?1)"), [now.as_millis()], |row| row.get(0))?;
    let used = rows(
        &moment,
        &format!(
            "SELECT json_object('until', TIME(last_at), 'ever', json(iif(quarter < 0, 'true', 'false')),
                 'requests', requests, 'tokens', tokens, 'money_micros', money)
             FROM used WHERE {OF_MEMBER} ORDER BY quarter"
        ),
        member.key(),
    )?;
    let granted = rows(
        &moment,
        &format!(
            "SELECT json_object('granted_at', TIME(granted_at), 'until', TIME(until), 'requests', requests,
                 'tokens', tokens, 'money_micros', money, 'reason', reason)
             FROM allowance WHERE {OF_MEMBER} ORDER BY id"
        ),
        member.key(),
    )?;
    let mut export = json!({
        "member": member.as_str(), "exported_at": at, "applications": applications, "used": used, "granted": granted,
        "model_calls": ledger::export(settings, member)?,
    });
    if *reading == Reading::WithoutTexts {
        export["applications"].as_array_mut().into_iter().flatten().for_each(without_texts);
    }
    for (name, sql) in OF_PERSON {
        export[*name] = rows(&moment, sql, member.key())?.into();
    }
    Ok(export)
}

/// Runs `sql`, which gives one JSON text a row.
fn rows(conn: &Connection, sql: &str, of: impl rusqlite::ToSql) -> Result<Vec<Value>, Error> {
    let texts: Vec<String> =
        conn.prepare(&with_time(sql))?.query_map(params![of], |row| row.get(0))?.collect::<Result<_, _>>()?;
    texts.iter().map(|text| serde_json::from_str(text).map_err(|error| Error::Corrupt(error.to_string()))).collect()
}

/// Writes out `TIME(column)`: epoch milliseconds as people read them.
fn with_time(sql: &str) -> String {
    let mut written = String::new();
    let mut rest = sql;
    while let Some((before, after)) = rest.split_once("TIME(") {
        let mut depth = 1;
        let end = after.find(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth == 0
        });
        let (column, behind) = after.split_at(end.unwrap_or(after.len()));
        written.push_str(&format!("{before}strftime('%Y-%m-%dT%H:%M:%fZ', ({column}) / 1000.0, 'unixepoch'"));
        rest = behind;
    }
    written + rest
}
