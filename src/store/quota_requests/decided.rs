//! A request is decided, once.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Decided, Granted, QuotaRequest, Verdict, Wanted, name_of};
use crate::{
    clock::Timestamp,
    model::{
        audit::{Actor, Entry, Object},
        id::{AgentId, CorpId, Lane, MemberId},
        quota::{
            amounts::{Amounts, Measure},
            plan::Limit,
            subject::Subject,
        },
    },
    store::{
        audit,
        grants::{self, add_grant},
    },
};

/// How long a grant for the rest of a window is good where the window has no end on the calendar.
const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What is there of a request when somebody decides.
struct Found {
    request: QuotaRequest,
    decided: Option<(Option<String>, Option<i64>, Option<i64>)>,
}

/// Decides about a request, and grants it: `by` whom, in which row of the inbox.
pub(super) fn decide(
    conn: &Connection,
    corp: &CorpId,
    id: i64,
    at: Option<i64>,
    verdict: &Verdict,
    (by, seq): (&MemberId, i64),
    now: Timestamp,
) -> Result<Decided, rusqlite::Error> {
    let found = find(conn, corp, id)?.filter(|found| at.is_none_or(|at| found.request.asked_at.as_millis() == at));
    let Some(Found { request, decided }) = found else { return Ok(Decided::Nothing) };
    if let Some((decider, decided_in, grant)) = decided {
        let is_ours = decided_in == Some(seq) && decider.as_deref() == Some(by.as_str());
        return Ok(if is_ours {
            let granted = grant.map(|grant| granted(conn, &request, grant, now)).transpose()?.flatten();
            Decided::Now(Box::new(request), granted)
        } else {
            Decided::Before { by: decider, granted: grant.is_some() }
        });
    }
    let limit = request.wanted.limit;
    let until = match verdict {
        Verdict::Rest(zone) => Some(limit.window.span(now, zone).until.unwrap_or(now + A_DAY)),
        Verdict::Days(days) => Some(now + A_DAY * *days),
        Verdict::No => None,
    };
    let mut grant = None;
    if let Some(until) = until {
        let mut amounts = Amounts::ZERO;
        match limit.measure {
            Measure::Requests => amounts.requests = limit.amount,
            Measure::Tokens => amounts.tokens = limit.amount,
            Measure::Money => amounts.money = limit.amount,
        }
        let subject = Subject::member(corp, &request.member);
        grant = Some(add_grant(conn, &subject, amounts, until, &request.wanted.reason, now)?);
    }
    conn.prepare_cached(
        "UPDATE quota_request SET decided_at = ?2, decided_by = ?3, decided_in = ?4, grant_id = ?5 WHERE id = ?1",
    )?
    .execute(params![id, now.as_millis(), by.as_str(), seq, grant])?;
    let actor = Actor::Member(corp.clone(), by.clone());
    let entry = match grant {
        Some(_) => Entry::new("request.grant", Object::Member(corp.clone(), request.member.clone())),
        None => Entry::new("request.deny", Object::Member(corp.clone(), request.member.clone())),
    };
    let entry = entry.with("request", id).with("limit", limit.to_string());
    audit::record(conn, &actor, entry, now)?;
    if let Some(grant) = grant {
        grants::record(conn, &actor, "grant.add", grant, now)?;
    }
    let granted = grant.map(|grant| granted(conn, &request, grant, now)).transpose()?.flatten();
    Ok(Decided::Now(Box::new(request), granted))
}

fn find(conn: &Connection, corp: &CorpId, id: i64) -> Result<Option<Found>, rusqlite::Error> {
    let read = |row: &Row<'_>| {
        let (userid, limit): (String, String) = (row.get(0)?, row.get(2)?);
        let (Ok(member), Ok(limit)) = (MemberId::parse(&userid), Limit::parse(&limit)) else { return Ok(None) };
        let wanted = Wanted { limit, allowed: row.get(3)?, used: row.get(4)?, reason: row.get(5)? };
        let asked_at = Timestamp::from_millis(row.get(6)?);
        let (agent, corp) = (AgentId::new(row.get(1)?), corp.clone());
        let decided = row.get::<_, Option<i64>>(7)?.is_some();
        let decided = if decided { Some((row.get(8)?, row.get(9)?, row.get(10)?)) } else { None };
        Ok(Some(Found { request: QuotaRequest { id, corp, agent, member, name: None, wanted, asked_at }, decided }))
    };
    let found = conn
        .prepare_cached(
            "SELECT userid, agent, quota_limit, allowed, used, reason, asked_at,
                    decided_at, decided_by, decided_in, grant_id
             FROM quota_request WHERE id = ?1 AND corp = ?2",
        )?
        .query_row(params![id, corp.as_str()], read)
        .optional()?
        .flatten();
    let Some(mut found) = found else { return Ok(None) };
    let QuotaRequest { agent, member, .. } = &found.request;
    let lane = Lane::new(corp, *agent, member);
    found.request.name = name_of(conn, corp, member, &lane)?;
    Ok(Some(found))
}

/// What a grant gives; `None` where it was taken back.
fn granted(
    conn: &Connection,
    request: &QuotaRequest,
    grant: i64,
    now: Timestamp,
) -> Result<Option<Granted>, rusqlite::Error> {
    let Limit { measure, amount, .. } = request.wanted.limit;
    let subject = Subject::member(&request.corp, &request.member).to_string();
    let column = measure.as_str();
    let found: Option<(u64, i64)> = conn
        .prepare_cached(&format!("SELECT {column}, until FROM allowance WHERE id = ?1"))?
        .query_row([grant], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((more, until)) = found else { return Ok(None) };
    let extra: u64 = conn
        .prepare_cached(&format!("SELECT COALESCE(SUM({column}), 0) FROM allowance WHERE subject = ?1 AND until > ?2"))?
        .query_row(params![subject, now.as_millis()], |row| row.get(0))?;
    let allowed = amount.saturating_add(extra);
    Ok(Some(Granted { more, allowed, until: Timestamp::from_millis(until) }))
}
