//! Makes the sums again from the calls.

use std::collections::BTreeMap;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

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
    store::Error,
};

/// Sums that are held before they are written: a few MiB.
const HELD: usize = 16 * 1024;

/// Makes the sums by the hour and by the day again from the calls, of which all since `kept_from` are there: after
/// somebody has changed rows by hand. What is before the oldest of them stays as it is, and so do the sums of its own
/// hour and day where they are of more calls than there are: the others may have been pruned. Gives how many calls were
/// looked at; those that a daemon has to write wait meanwhile.
///
/// # Errors
/// [`Error`]: nothing was changed.
pub fn rebuild(settings: &config::Storage, zone: &Zone, kept_from: Timestamp) -> Result<u64, Error> {
    let Some(mut conn) = file::beside(&settings.data_dir, OpenFlags::SQLITE_OPEN_READ_WRITE)? else { return Ok(0) };
    let tx = conn.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let count = sum_up(&tx, zone, kept_from)?;
    tx.commit()?;
    Ok(count)
}

fn sum_up(conn: &Connection, zone: &Zone, kept_from: Timestamp) -> Result<u64, rusqlite::Error> {
    let oldest: Option<i64> =
        conn.query_row("SELECT MIN(at) FROM call WHERE at >= ?1", [kept_from.as_millis()], |row| row.get(0))?;
    let Some(oldest) = oldest.map(Timestamp::from_millis) else { return Ok(0) };
    let mut first_of = BTreeMap::new();
    for grain in Grain::ALL {
        // Years that no calendar knows have no sums to be made again.
        let Some(stretch) = (if grain == Grain::Day { zone.day(oldest) } else { zone.hour(oldest) }) else {
            return Ok(0);
        };
        let from = first_whole(conn, grain, stretch)?;
        conn.execute(
            "DELETE FROM total WHERE grain = ?1 AND dimension IN (0, 1, 2, 3, 4, 5, 6) AND period >= ?2",
            [grain.stored(), from.as_millis()],
        )?;
        first_of.insert(grain, from);
    }
    let mut calendar = Calendar::new(zone.clone());
    let mut sums: BTreeMap<Place, Totals> = BTreeMap::new();
    // In the order in which they are stored: sums are added to what is written of them.
    let mut statement = conn.prepare(
        "SELECT at, member, department, app, model, upstream, api_key, 1, result = 1, result = 2, result = 3, result = 4,
                estimated, input, cached, output, money, first_ms IS NOT NULL, IFNULL(first_ms, 0), total_ms
         FROM call WHERE +at >= ?1",
    )?;
    let mut rows = statement.query([first_of.values().min().map_or(0, |from| from.as_millis())])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let at = Timestamp::from_millis(row.get(0)?);
        let of = [row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?];
        let one = totals(row, of.len() + 1)?;
        for (grain, _) in first_of.iter().filter(|(_, from)| at >= **from) {
            tally(&mut sums, *grain, calendar.begins(*grain, at), of, one);
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

/// Where the sums begin that are made again: with this stretch, unless they are of more calls than there are.
fn first_whole(conn: &Connection, grain: Grain, (from, until): Stretch) -> Result<Timestamp, rusqlite::Error> {
    let is_whole: bool = conn.query_row(
        "SELECT (SELECT COUNT(*) FROM call WHERE at >= ?1 AND at < ?2)
             >= IFNULL((SELECT calls FROM total WHERE grain = ?3 AND dimension = ?4 AND period = ?1 AND name = 0), 0)",
        [from.as_millis(), until.as_millis(), grain.stored(), EVERYBODY],
        |row| row.get(0),
    )?;
    Ok(if is_whole { from } else { until })
}
