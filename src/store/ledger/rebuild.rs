//! Makes the sums again from the calls.

use std::collections::BTreeMap;

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior, params};

use super::{
    file,
    read::totals,
    totals::{EVERYBODY, Grain, Totals},
    write::{Calendar, Place, add, tally},
};
use crate::{
    clock::{
        Timestamp,
        zone::{Stretch, Zone},
    },
    config,
    model::audit::{Actor, Entry},
    store::{Error, audit, db, migrate},
};

/// Sums that are held before they are written: a few MiB.
const HELD: usize = 16 * 1024;
/// In milliseconds.
const HOUR: i64 = 60 * 60 * 1000;

/// Makes the sums by the hour and by the day of `zone` again from the calls, of which all since `kept_from` are there:
/// after somebody has changed rows by hand, or the time zone. What is before the oldest of them stays as it is, and so
/// do the sums of its own hour and day where they are of more calls than there are: the others may have been pruned.
/// Gives how many calls were looked at; those that a daemon has to write wait meanwhile.
///
/// # Errors
/// [`Error`]: nothing was changed.
pub fn rebuild(
    settings: &config::Storage,
    actor: &Actor,
    zone: &Zone,
    kept_from: Timestamp,
    now: Timestamp,
) -> Result<u64, Error> {
    let Some(mut conn) = file::beside(&settings.data_dir, OpenFlags::SQLITE_OPEN_READ_WRITE)? else { return Ok(0) };
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let count = sum_up(&tx, zone, kept_from)?;
    // In the other file, so not at once: better an entry of what did not happen than a change without one.
    let entry = Entry::named("usage.rebuild", "usage").with("calls", count);
    let mut book = db::connect(settings, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    migrate::check(&book, migrate::ALL)?;
    let written = book.transaction_with_behavior(TransactionBehavior::Immediate)?;
    audit::record(&written, actor, entry, now)?;
    written.commit()?;
    tx.commit()?;
    Ok(count)
}

fn sum_up(conn: &Connection, zone: &Zone, kept_from: Timestamp) -> Result<u64, rusqlite::Error> {
    let oldest: Option<i64> =
        conn.query_row("SELECT MIN(at) FROM call WHERE at >= ?1", [kept_from.as_millis()], |row| row.get(0))?;
    let Some(oldest) = oldest.map(Timestamp::from_millis) else { return Ok(0) };
    let mut again = BTreeMap::new();
    for grain in Grain::ALL {
        let stretch = |at| if grain == Grain::Day { zone.day(at) } else { zone.hour(at) };
        // Years that no calendar knows have no sums to be made again.
        let Some(part) = again_from(conn, grain, oldest, stretch)? else { return Ok(0) };
        conn.execute(
            "DELETE FROM total WHERE grain = ?1 AND dimension IN (0, 1, 2, 3, 4, 5, 6) AND period >= ?2",
            [grain.stored(), part.first.as_millis()],
        )?;
        again.insert(grain, part);
    }
    let mut calendar = Calendar::new(zone.clone());
    let mut sums: BTreeMap<Place, Totals> = BTreeMap::new();
    // In the order in which they are stored: sums are added to what is written of them.
    let mut statement = conn.prepare(
        "SELECT at, member, department, app, model, upstream, api_key, 1, result = 1, result = 2, result = 3, result = 4,
                estimated, input, cached, output, money, first_ms IS NOT NULL, IFNULL(first_ms, 0), total_ms
         FROM call WHERE +at >= ?1",
    )?;
    let mut rows = statement.query([again.values().map(|part| part.first.as_millis()).min().unwrap_or(0)])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_millis(row.get(0)?);
        let of = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
        let one = totals(row, of.len() + 1)?;
        for (grain, part) in again.iter().filter(|(_, part)| at >= part.first) {
            let period = match part.before {
                Some((until, period)) if at < until => period,
                _ => calendar.begins(*grain, at),
            };
            tally(&mut sums, *grain, period, of, one);
        }
        if sums.len() >= HELD {
            add(conn, &sums)?;
            sums.clear();
        }
        count += 1;
    }
    add(conn, &sums)?;
    Ok(count)
}

/// Which sums are made again.
struct Again {
    /// Those from then on.
    first: Timestamp,
    /// Calls before this moment are added to the sum of that period, which stays because some of its calls are gone.
    before: Option<(Timestamp, i64)>,
}

/// The sums that are made again begin with that which the oldest call is in or, where it is of more calls than there
/// are, with the first stretch of today's calendar behind it. It was written by the calendar of then, which may be
/// another, so it is taken to go up to the next one that is written. `None`: no calendar knows these years.
fn again_from(
    conn: &Connection,
    grain: Grain,
    oldest: Timestamp,
    stretch: impl Fn(Timestamp) -> Option<Stretch>,
) -> Result<Option<Again>, rusqlite::Error> {
    // Where the clocks go back; and one that stayed may go up to where the next one of another calendar ends.
    let longest = 2 * if grain == Grain::Day { 25 * HOUR } else { HOUR };
    let whose = params![grain.stored(), EVERYBODY, oldest.as_millis(), longest];
    let written = "SELECT period, calls FROM total
                   WHERE grain = ?1 AND dimension = ?2 AND name = 0 AND period <= ?3 AND period + ?4 > ?3
                   ORDER BY period DESC LIMIT 1";
    let written = conn.query_row(written, whose, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?)));
    let Some((period, calls)) = written.optional()? else {
        return Ok(stretch(oldest).map(|(first, _)| Again { first, before: None }));
    };
    let next: Option<i64> = conn.query_row(
        "SELECT MIN(period) FROM total WHERE grain = ?1 AND dimension = ?2 AND name = 0 AND period > ?3",
        params![grain.stored(), EVERYBODY, period],
        |row| row.get(0),
    )?;
    let next = next.unwrap_or(i64::MAX);
    let there: i64 =
        conn.query_row("SELECT COUNT(*) FROM call WHERE at >= ?1 AND at < ?2", [period, next], |row| row.get(0))?;
    if there >= calls {
        return Ok(Some(Again { first: Timestamp::from_millis(period), before: None }));
    }
    let first = Timestamp::from_millis(next);
    if next == i64::MAX {
        return Ok(Some(Again { first, before: None }));
    }
    let Some((from, until)) = stretch(first) else { return Ok(None) };
    let before = (from < first).then_some((until, period));
    Ok(Some(Again { first, before }))
}
