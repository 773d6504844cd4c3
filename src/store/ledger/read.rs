//! What was used, asked of the sums, and call by call.

use std::{cmp::Reverse, collections::HashMap, io, path::PathBuf};

use rusqlite::{Connection, OptionalExtension, Row, params, types::ValueRef};
use serde::Serialize;

use super::{
    file,
    span::Span,
    totals::{COLUMNS, Dimension, EVERYBODY, Grain, NAMES, Totals},
};
use crate::{clock::Timestamp, config, store::Error};

/// Looks into the file of usage, beside whoever writes it. Clones look into the same.
#[derive(Clone, Debug)]
pub struct Books {
    data_dir: PathBuf,
}

/// A sum, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The name, as [`Dimension`] says; `None` for calls without one. Of a member who was erased it is `CORP/#NUMBER`, or
    /// `CORP/`.
    pub name: Option<String>,
    /// The sum.
    #[serde(flatten)]
    pub totals: Totals,
}

/// The columns of [`Books::export`].
pub const COLUMNS_OF_CALLS: [&str; 18] = [
    "time",
    "corp",
    "member",
    "department",
    "app",
    "api_key",
    "model",
    "upstream",
    "kind",
    "result",
    "reason",
    "input",
    "cached",
    "output",
    "estimated",
    "money",
    "first_ms",
    "total_ms",
];

impl Books {
    /// Of this data directory.
    ///
    /// # Errors
    /// [`Error::Missing`]: there is no database of Qimate.
    pub fn of(settings: &config::Storage) -> Result<Self, Error> {
        if !settings.data_dir.join(crate::store::db::FILE).exists() {
            return Err(Error::Missing(settings.data_dir.clone()));
        }
        Ok(Self { data_dir: settings.data_dir.clone() })
    }

    /// The sums of each name of a dimension, over the stretches of `grain` that begin in `span`; the most expensive
    /// first, then those with the most model tokens.
    ///
    /// # Errors
    /// [`Error`]: it cannot be read.
    pub async fn by(&self, dimension: Dimension, grain: Grain, span: Span) -> Result<Vec<Line>, Error> {
        self.look(move |conn| {
            // Added up here and not by SQLite, which would sort all rows by their names first.
            let sql = format!(
                "SELECT name, {} FROM total WHERE grain = ?1 AND dimension = ?2 AND period >= ?3 AND period < ?4",
                NAMES.join(", ")
            );
            let place = params![grain.stored(), dimension.stored(), span.from.as_millis(), span.until.as_millis()];
            let mut sums: HashMap<i64, Totals> = HashMap::new();
            let mut statement = conn.prepare(&sql)?;
            let mut rows = statement.query(place)?;
            while let Some(row) = rows.next()? {
                let sum = sums.entry(row.get(0)?).or_default();
                *sum = sum.plus(totals(row, 1)?);
            }
            let mut sums: Vec<_> = sums.into_iter().collect();
            sums.sort_unstable_by_key(|(name, sum)| {
                (Reverse((sum.money, sum.input.saturating_add(sum.output), sum.calls)), *name)
            });
            let mut text = conn.prepare("SELECT text FROM name WHERE id = ?1")?;
            sums.into_iter()
                .map(|(name, totals)| Ok(Line { name: text.query_row([name], |row| row.get(0)).optional()?, totals }))
                .collect()
        })
        .await
        .map(Option::unwrap_or_default)
    }

    /// The sums of all calls for each stretch of `grain` that begins in `span` and has any, the oldest first, with when
    /// it began.
    ///
    /// # Errors
    /// [`Error`]: it cannot be read.
    pub async fn over_time(&self, grain: Grain, span: Span) -> Result<Vec<(Timestamp, Totals)>, Error> {
        self.look(move |conn| {
            let sql = format!(
                "SELECT {}, period FROM total
                 WHERE grain = ?1 AND dimension = ?2 AND period >= ?3 AND period < ?4 GROUP BY period ORDER BY period",
                sums()
            );
            let place = params![grain.stored(), EVERYBODY, span.from.as_millis(), span.until.as_millis()];
            let line = |row: &Row<'_>| Ok((Timestamp::from_millis(row.get(COLUMNS)?), totals(row, 0)?));
            conn.prepare(&sql)?.query_map(place, line)?.collect()
        })
        .await
        .map(Option::unwrap_or_default)
    }

    /// Writes the calls that ended in `span` to `out` as CSV (RFC 4180, UTF-8, a line of [`COLUMNS_OF_CALLS`] first), the
    /// oldest first; times are UTC, money is in micro-units. Gives how many.
    ///
    /// # Errors
    /// [`ExportError`].
    pub async fn export<W: io::Write + Send + 'static>(&self, span: Span, mut out: W) -> Result<u64, ExportError> {
        let dir = self.data_dir.clone();
        let write = move || {
            writeln!(out, "{}\r", COLUMNS_OF_CALLS.join(","))?;
            let count = match file::look(&dir)? {
                Some(conn) => calls(&conn, span, &mut out)?,
                None => 0,
            };
            out.flush()?;
            Ok(count)
        };
        tokio::task::spawn_blocking(write).await.map_err(|_| Error::Closed)?
    }

    /// `None`: nothing was written yet.
    async fn look<T, F>(&self, work: F) -> Result<Option<T>, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let dir = self.data_dir.clone();
        tokio::task::spawn_blocking(move || Ok(file::look(&dir)?.map(|conn| work(&conn)).transpose()?))
            .await
            .map_err(|_| Error::Closed)?
    }
}

/// Why calls could not be written out.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// They cannot be read.
    #[error(transparent)]
    Store(#[from] Error),
    /// They cannot be written there.
    #[error("cannot be written: {0}")]
    Io(#[from] io::Error),
}

impl From<rusqlite::Error> for ExportError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

fn calls(conn: &Connection, span: Span, out: &mut impl io::Write) -> Result<u64, ExportError> {
    let columns = COLUMNS_OF_CALLS.join(", ");
    let sql = format!("SELECT {columns} FROM call_in_words WHERE at >= ?1 AND at < ?2 ORDER BY at, id");
    let mut statement = conn.prepare(&sql)?;
    let mut rows = statement.query([span.from.as_millis(), span.until.as_millis()])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let fields = (0..COLUMNS_OF_CALLS.len()).map(|column| row.get_ref(column).map(field));
        let fields: Vec<String> = fields.collect::<Result<_, _>>()?;
        writeln!(out, "{}\r", fields.join(","))?;
        count += 1;
    }
    Ok(count)
}

/// A value as it stands in CSV.
fn field(value: ValueRef<'_>) -> String {
    match value {
        ValueRef::Integer(number) => number.to_string(),
        ValueRef::Text(text) => csv_field(&String::from_utf8_lossy(text)),
        ValueRef::Null | ValueRef::Real(_) | ValueRef::Blob(_) => String::new(),
    }
}

/// A text as it stands in CSV. One that a spreadsheet would take for a formula gets an apostrophe, which makes it a text.
pub fn csv_field(text: &str) -> String {
    let guard = if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { "'" } else { "" };
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        format!("{guard}{text}")
    }
}

/// The columns of sums, summed up.
fn sums() -> String {
    NAMES.map(|name| format!("SUM({name})")).join(", ")
}

/// The sum that stands in the columns from `first` on.
pub(super) fn totals(row: &Row<'_>, first: usize) -> Result<Totals, rusqlite::Error> {
    let mut columns = [0; COLUMNS];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = row.get::<_, i64>(first + index)?.unsigned_abs();
    }
    Ok(Totals::from_columns(columns))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_one_field_and_no_formula() {
        for (text, expected) in [
            ("li", "li"),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("=1+1", "'=1+1"),
            ("@a,b", "\"'@a,b\""),
        ] {
            assert_eq!(csv_field(text), expected);
        }
    }
}
