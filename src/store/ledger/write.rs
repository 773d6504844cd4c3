//! Calls and their sums, in one transaction.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, params};

use super::{
    renamed::now_called,
    totals::{Dimension, EVERYBODY, Grain, NAMES, Totals},
};
use crate::{
    clock::{
        Timestamp,
        zone::{Stretch, Zone},
    },
    model::{
        call::{Call, Ended},
        id::MemberId,
    },
    store::{member::tombstone, plans::stored},
};

/// The kind of the names of reasons, which nothing is summed up by.
const REASON: i64 = 7;
/// That of enterprises.
const CORP: i64 = 8;
const HOUR_MS: i64 = 60 * 60 * 1000;

/// Grain, dimension, when it begins, and the name.
pub(super) type Place = (i64, i64, i64, i64);

/// Knows in which hour and which day a moment is. Asking a calendar is slow, so it remembers the last ones.
#[derive(Debug)]
pub(super) struct Calendar {
    zone: Zone,
    hour: Option<Stretch>,
    day: Option<Stretch>,
}

impl Calendar {
    pub(super) const fn new(zone: Zone) -> Self {
        Self { zone, hour: None, day: None }
    }

    /// When the hour or the day began that `at` is in.
    pub(super) fn begins(&mut self, grain: Grain, at: Timestamp) -> i64 {
        let Self { zone, hour, day } = self;
        let (last, stretch): (_, &dyn Fn() -> Option<Stretch>) = match grain {
            Grain::Hour => (hour, &|| zone.hour(at)),
            Grain::Day => (day, &|| zone.day(at)),
        };
        if !last.is_some_and(|(from, until)| from <= at && at < until) {
            *last = stretch();
        }
        // Beyond the years that a calendar knows, hours are those of the epoch.
        last.map_or_else(|| at.as_millis() - at.as_millis().rem_euclid(HOUR_MS), |(from, _)| from.as_millis())
    }
}

/// Writes `calls` and adds them to the sums; both or none.
pub(super) fn write(conn: &Connection, calls: &[Call], calendar: &mut Calendar) -> Result<(), rusqlite::Error> {
    conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
    let written = insert(conn, calls, calendar).and_then(|()| conn.prepare_cached("COMMIT")?.execute([]));
    if written.is_err() && !conn.is_autocommit() {
        // If even this fails, SQLite has rolled back by itself.
        let _ = conn.execute_batch("ROLLBACK");
    }
    written.map(|_| ())
}

fn insert(conn: &Connection, calls: &[Call], calendar: &mut Calendar) -> Result<(), rusqlite::Error> {
    let mut sums: BTreeMap<Place, Totals> = BTreeMap::new();
    let mut names = Names::new(conn);
    let mut insert = conn.prepare_cached(
        "INSERT INTO call (at, member, department, app, api_key, model, upstream, kind, result, reason, input, cached,
                           output, estimated, money, first_ms, total_ms, corp)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)",
    )?;
    for call in calls {
        let of = names.of(call)?;
        let [member, department, app, model, upstream, api_key] = of;
        let corp = names.id(CORP, call.corp.as_str(), call.at)?;
        let reason = call.ended.reason().map(|reason| names.id(REASON, reason, call.at)).transpose()?;
        insert.execute(params![
            call.at.as_millis(),
            member,
            department,
            app,
            api_key,
            model,
            upstream,
            call.kind as i64,
            result(call.ended),
            reason,
            stored(call.usage.input),
            stored(call.usage.cached),
            stored(call.usage.output),
            call.usage.estimated,
            stored(call.money),
            call.first_ms.map(stored),
            stored(call.total_ms),
            corp,
        ])?;
        let one = Totals::of(call);
        for grain in Grain::ALL {
            tally(&mut sums, grain, calendar.begins(grain, call.at), of, one);
        }
    }
    add(conn, &sums)
}

/// Adds what one call, or some, took to the sums of each of its names, and of everybody.
pub(super) fn tally(sums: &mut BTreeMap<Place, Totals>, grain: Grain, period: i64, of: [Option<i64>; 6], one: Totals) {
    let of_names = Dimension::ALL.into_iter().zip(of).map(|(dimension, name)| (dimension.stored(), name));
    for (dimension, name) in of_names.chain([(EVERYBODY, None)]) {
        let sum = sums.entry((grain.stored(), dimension, period, name.unwrap_or(0))).or_default();
        *sum = sum.plus(one);
    }
}

/// Adds sums to those that are written.
pub(super) fn add(conn: &Connection, sums: &BTreeMap<Place, Totals>) -> Result<(), rusqlite::Error> {
    let columns = NAMES.join(", ");
    let added: Vec<_> = NAMES.iter().zip(5..).map(|(name, number)| format!("{name} = {name} + ?{number}")).collect();
    let mut add = conn.prepare_cached(&format!(
        "UPDATE total SET {} WHERE grain = ?1 AND dimension = ?2 AND period = ?3 AND name = ?4",
        added.join(", ")
    ))?;
    let mut begin = conn.prepare_cached(&format!(
        "INSERT INTO total (grain, dimension, period, name, {columns})
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17)"
    ))?;
    for ((grain, dimension, period, name), sum) in sums {
        let place = [*grain, *dimension, *period, *name];
        let values = || rusqlite::params_from_iter(place.into_iter().chain(sum.columns().map(stored)));
        if add.execute(values())? == 0 {
            begin.execute(values())?;
        }
    }
    Ok(())
}

const fn result(ended: Ended) -> i64 {
    match ended {
        Ended::Ok => 0,
        Ended::Stopped => 1,
        Ended::Refused(_) => 2,
        Ended::Failed(_) => 3,
        Ended::Cut(_) => 4,
    }
}

/// The numbers of names, remembered for one transaction: another process may change them between two.
struct Names<'c> {
    conn: &'c Connection,
    known: BTreeMap<(i64, String), i64>,
}

impl<'c> Names<'c> {
    const fn new(conn: &'c Connection) -> Self {
        Self { conn, known: BTreeMap::new() }
    }

    /// Those of a call, in the order of the dimensions.
    fn of(&mut self, call: &Call) -> Result<[Option<i64>; 6], rusqlite::Error> {
        let (corp, at) = (call.corp.as_str(), call.at);
        let mut id = |dimension: Dimension, text: &str| self.id(dimension.stored(), text, at);
        let department = call.department.map(|number| id(Dimension::Department, &format!("{corp}/{number}")));
        let app = call.agent.map(|agent| id(Dimension::App, &format!("{corp}/{}", agent.get())));
        let model = id(Dimension::Model, &call.model)?;
        let upstream = call.upstream.as_ref().map(|upstream| id(Dimension::Upstream, upstream));
        let api_key = call.api_key.map(|key| id(Dimension::ApiKey, &format!("{corp}/{key}")));
        let (department, upstream, api_key) = (department.transpose()?, upstream.transpose()?, api_key.transpose()?);
        let member = call.member.as_ref().map(|member| self.member(call, member)).transpose()?;
        Ok([member, department, app.transpose()?, Some(model), upstream, api_key])
    }

    /// That of the member, or of nobody where the call began before the member was erased.
    fn member(&mut self, call: &Call, member: &MemberId) -> Result<i64, rusqlite::Error> {
        let began = call.at.as_millis().saturating_sub(stored(call.total_ms));
        let text = now_called(self.conn, format!("{}/{}", call.corp, member.key()), began)?;
        let (_, key) = text.split_once('/').unwrap_or_default();
        let erased: Option<i64> = self
            .conn
            .prepare_cached("SELECT at FROM erased WHERE hash = ?1")?
            .query_row([tombstone(key)], |row| row.get(0))
            .optional()?;
        let text = match erased {
            Some(erased) if began <= erased => format!("{}/", call.corp),
            _ => text,
        };
        self.id(Dimension::Member.stored(), &text, call.at)
    }

    fn id(&mut self, kind: i64, text: &str, at: Timestamp) -> Result<i64, rusqlite::Error> {
        if let Some(id) = self.known.get(&(kind, text.to_owned())) {
            return Ok(*id);
        }
        let id = self.id_of(kind, text, at.as_millis())?;
        self.known.insert((kind, text.to_owned()), id);
        Ok(id)
    }

    fn id_of(&self, kind: i64, text: &str, at: i64) -> Result<i64, rusqlite::Error> {
        let known: Option<(i64, i64)> = self
            .conn
            .prepare_cached("SELECT id, last_at FROM name WHERE kind = ?1 AND text = ?2")?
            .query_row(params![kind, text], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()?;
        let Some((id, last_at)) = known else {
            self.conn
                .prepare_cached("INSERT INTO name (kind, text, last_at) VALUES (?1, ?2, ?3)")?
                .execute(params![kind, text, at])?;
            return Ok(self.conn.last_insert_rowid());
        };
        // It is kept for days after that.
        if last_at < at - HOUR_MS {
            self.conn.prepare_cached("UPDATE name SET last_at = ?2 WHERE id = ?1")?.execute([id, at])?;
        }
        Ok(id)
    }
}
