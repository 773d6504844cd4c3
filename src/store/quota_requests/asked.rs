//! A request is saved and passed on.

use std::collections::HashSet;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Asked, CAUSES, PLACES, QuotaRequest, WAITS, Wanted, Words};
use crate::{
    clock::Timestamp,
    model::id::{AgentId, Lane, MemberId},
    store::{
        member::MEMBER_OF_LANE,
        outbox::{Recipient, insert_part},
        people::CORP_OF_LANE,
        plans::stored,
        preferences,
    },
};

/// Saves a request and passes it on, unless the same waits or was denied.
pub(super) fn ask(
    conn: &Connection,
    mut request: QuotaRequest,
    operators: &[(MemberId, Lane)],
    words: &Words,
    now: Timestamp,
) -> Result<Asked, rusqlite::Error> {
    let (corp, member, limit) = (request.corp.as_str(), request.member.key(), request.wanted.limit.to_string());
    let last: Option<(i64, Option<i64>, Option<i64>)> = conn
        .prepare_cached(
            "SELECT asked_at, decided_at, grant_id FROM quota_request
             WHERE corp = ?1 AND member = ?2 AND quota_limit = ?3 AND asked_at > ?4 ORDER BY id DESC LIMIT 1",
        )?
        .query_row(params![corp, member, limit, (now - WAITS).as_millis()], |row| {
            Ok((row.get(0)?, row.get(1)?, row.get(2)?))
        })
        .optional()?;
    match last {
        Some((at, None, _)) => return Ok(Asked::Waits { since: Timestamp::from_millis(at) }),
        Some((_, Some(_), None)) => return Ok(Asked::Denied),
        Some((_, Some(_), Some(_))) | None => {}
    }
    if operators.is_empty() {
        return Ok(Asked::Nobody);
    }
    conn.prepare_cached(
        "UPDATE quota_request SET decided_at = ?4
         WHERE corp = ?1 AND member = ?2 AND quota_limit = ?3 AND decided_at IS NULL",
    )?
    .execute(params![corp, member, limit, now.as_millis()])?;
    let Wanted { allowed, used, reason, .. } = &request.wanted;
    conn.prepare_cached(
        "INSERT INTO quota_request (corp, member, userid, agent, quota_limit, allowed, used, reason, words, asked_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, '', ?9)",
    )?
    .execute(params![
        corp,
        member,
        request.member.as_str(),
        request.agent.get(),
        limit,
        stored(*allowed),
        stored(*used),
        reason,
        now.as_millis(),
    ])?;
    request.id = conn.last_insert_rowid();
    conn.prepare_cached("UPDATE quota_request SET words = ?2 WHERE id = ?1")?
        .execute(params![request.id, (words.plain)(&request)])?;
    let mut told = 0;
    for ((operator, lane), place) in operators.iter().zip(0..PLACES - 1) {
        let Some(agent) = lane.app().rsplit('/').next().and_then(|agent| agent.parse().ok()) else { continue };
        let to = Recipient::new(request.corp.clone(), AgentId::new(agent), operator.clone());
        if let Some(part) = (words.operator)(&request, lane, &preferences::find(conn, lane)?) {
            insert_part(conn, lane, &to, CAUSES - request.id * PLACES - place, 0, &part, now)?;
            told += 1;
        }
    }
    Ok(Asked::PassedOn(told))
}

/// Operators who can be reached, each with the lane of the application that they use: the one in which the member asks
/// where they use that or none, otherwise another that is served.
pub(super) fn operators(
    conn: &Connection,
    request: &QuotaRequest,
    configured: &[MemberId],
    served: &HashSet<String>,
) -> Result<Vec<(MemberId, Lane)>, rusqlite::Error> {
    let (corp, agent) = (&request.corp, request.agent);
    let of_role: Vec<String> = conn
        .prepare_cached("SELECT userid FROM member WHERE corp = ?1 AND role IN ('owner', 'operator') ORDER BY member")?
        .query_map([corp.as_str()], |row| row.get(0))?
        .collect::<Result<_, _>>()?;
    let mut all: Vec<MemberId> = configured.to_vec();
    all.extend(of_role.iter().filter_map(|userid| MemberId::parse(userid).ok()));
    let mut reached: Vec<(MemberId, Lane)> = Vec::new();
    for operator in all {
        let is_blocked = conn
            .prepare_cached("SELECT 1 FROM blocked_member WHERE corp = ?1 AND member = ?2")?
            .exists(params![corp.as_str(), operator.key()])?;
        if is_blocked || reached.iter().any(|(known, _)| *known == operator) {
            continue;
        }
        let here = Lane::new(corp, agent, &operator);
        let used: Vec<String> = conn
            .prepare_cached(&format!(
                "SELECT lane FROM (SELECT lane FROM known_member UNION SELECT lane FROM member_preference)
                 WHERE {CORP_OF_LANE} = ?1 AND {MEMBER_OF_LANE} = ?2 ORDER BY lane <> ?3, lane"
            ))?
            .query_map(params![corp.as_str(), operator.key(), here.as_str()], |row| row.get(0))?
            .collect::<Result<_, _>>()?;
        let mut lanes = used.into_iter().map(Lane::from_stored).filter(|lane| served.contains(lane.app()));
        let lane = lanes.next().unwrap_or(here);
        let is_outside = conn
            .prepare_cached("SELECT 1 FROM visible WHERE app = ?1 AND member = ?2 AND is_in = 0")?
            .exists(params![lane.app(), operator.key()])?;
        if !is_outside {
            reached.push((operator, lane));
        }
    }
    Ok(reached)
}
