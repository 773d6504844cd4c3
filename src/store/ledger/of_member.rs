//! What the file of usage holds of one member: shown, and made nobody's.

use rusqlite::{Connection, OpenFlags, TransactionBehavior, params};
use serde_json::{Value, json};

use super::{file, renamed, totals::Dimension};
use crate::{
    clock::Timestamp,
    config,
    model::id::MemberId,
    store::{
        Error,
        member::{REWRITTEN_BESIDE, tombstone},
    },
};

/// The member of a name `CORP/USERID`: a corp id holds no slash.
const IS_MEMBER: &str = "kind = ?2 AND substr(text, instr(text, '/') + 1) = ?1";

/// The calls of a member, and the sums of their days, for their eyes; empty lists where there is nothing.
///
/// # Errors
/// [`Error`]: it cannot be read.
pub(in crate::store) fn export(settings: &config::Storage, member: &MemberId) -> Result<Value, Error> {
    let Some(conn) = file::look(&settings.data_dir)? else { return Ok(json!({ "calls": [], "days": [] })) };
    let moment = conn.unchecked_transaction()?;
    let whose = params![member.key(), Dimension::Member.stored()];
    let calls = lines(
        &moment,
        &format!(
            "SELECT json_object('at', time, 'department', department, 'application', app, 'api_key', api_key,
                 'model', model, 'upstream', upstream, 'kind', kind, 'result', result, 'reason', reason,
                 'input_tokens', input, 'cached_tokens', cached, 'output_tokens', output,
                 'estimated', json(iif(estimated, 'true', 'false')), 'money_micros', money, 'first_ms', first_ms,
                 'total_ms', total_ms)
             FROM call_in_words WHERE member_name IN (SELECT id FROM name WHERE {IS_MEMBER}) ORDER BY at, id"
        ),
        whose,
    )?;
    let days = lines(
        &moment,
        &format!(
            "SELECT json_object('from', strftime('%Y-%m-%dT%H:%M:%fZ', period / 1000.0, 'unixepoch'), 'calls', calls,
                 'input_tokens', input, 'cached_tokens', cached, 'output_tokens', output, 'money_micros', money)
             FROM total WHERE grain = 1 AND dimension = ?2 AND name IN (SELECT id FROM name WHERE {IS_MEMBER})
             ORDER BY period"
        ),
        whose,
    )?;
    Ok(json!({ "calls": calls, "days": days }))
}

fn lines(conn: &Connection, sql: &str, whose: &[&dyn rusqlite::ToSql]) -> Result<Vec<Value>, Error> {
    let texts: Vec<String> = conn.prepare(sql)?.query_map(whose, |row| row.get(0))?.collect::<Result<_, _>>()?;
    texts.iter().map(|text| serde_json::from_str(text).map_err(|error| Error::Corrupt(error.to_string()))).collect()
}

/// Takes the member's name from all their calls, also from those that are under way: the sums of the company, its
/// departments and models stay true, and nobody can tell whose the calls were. Gives how many calls and sums had it.
///
/// # Errors
/// [`Error`]: nothing was changed.
pub(in crate::store) fn erase(settings: &config::Storage, member: &MemberId, now: Timestamp) -> Result<usize, Error> {
    let Some(mut conn) = file::beside(&settings.data_dir, OpenFlags::SQLITE_OPEN_READ_WRITE)? else { return Ok(0) };
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let whose = params![member.key(), Dimension::Member.stored()];
    let had = tx.query_row(
        &format!(
            "SELECT (SELECT COUNT(*) FROM call WHERE member IN (SELECT id FROM name WHERE {IS_MEMBER}))
                  + (SELECT COUNT(*) FROM total WHERE dimension = ?2 AND name IN (SELECT id FROM name WHERE {IS_MEMBER}))"
        ),
        whose,
        |row| row.get(0),
    )?;
    tx.execute(
        &format!("UPDATE name SET text = substr(text, 1, instr(text, '/')) || '#' || id WHERE {IS_MEMBER}"),
        whose,
    )?;
    tx.execute_batch(renamed::TABLE)?;
    for name in renamed::before(&tx, &member.key())?.iter().chain([&member.key()]) {
        tx.execute(
            "INSERT INTO erased (hash, at) VALUES (?1, ?2) ON CONFLICT (hash) DO UPDATE SET at = excluded.at",
            params![tombstone(name), now.as_millis()],
        )?;
    }
    tx.execute(
        "DELETE FROM renamed
         WHERE substr(new, instr(new, '/') + 1) = ?1 OR substr(old, instr(old, '/') + 1) = ?1",
        [member.key()],
    )?;
    tx.commit()?;
    // What is left of the name is in gaps between rows, and in the log.
    let bytes = std::fs::metadata(settings.data_dir.join(file::USAGE)).map_or(0, |file| file.len());
    if bytes <= REWRITTEN_BESIDE {
        conn.execute_batch("VACUUM")?;
    }
    conn.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    Ok(had)
}
