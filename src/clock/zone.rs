//! Time as people of a place read it. The rules of all places are in the binary (some 0.5 MiB with what reads them), so
//! that a machine without a time zone database has them too. Only this file knows the crate.

use std::{fmt, time::Duration};

use jiff::{
    ToSpan, Zoned,
    civil::{Date, Weekday},
    tz::TimeZone,
};

use super::Timestamp;

/// A time zone with its rules for summer time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

/// No time zone has this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no time zone has this name")]
pub struct UnknownZone;

/// A moment on the calendar and the clock of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Local {
    /// Such as 2026.
    pub year: i16,
    /// From 1.
    pub month: i8,
    /// Of the month, from 1.
    pub day: i8,
    /// From 0 for Monday.
    pub weekday: usize,
    /// From 0 to 23.
    pub hour: i8,
    /// From 0 to 59.
    pub minute: i8,
}

impl Zone {
    /// The zone of this name of the IANA's database, such as `Asia/Shanghai`, in large or small letters.
    ///
    /// # Errors
    /// [`UnknownZone`].
    pub fn parse(name: &str) -> Result<Self, UnknownZone> {
        // `Etc/Unknown` is a name for having none.
        let zone = TimeZone::get(name).map_err(|_| UnknownZone)?;
        if zone.is_unknown() { Err(UnknownZone) } else { Ok(Self(zone)) }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.iana_name().unwrap_or("UTC")
    }

    /// When the day began there that `at` is in.
    pub fn start_of_day(&self, at: Timestamp) -> Timestamp {
        self.day(at).map_or(at, |(from, _)| from)
    }

    /// When the month began there that `at` is in.
    pub fn start_of_month(&self, at: Timestamp) -> Timestamp {
        self.month(at).map_or(at, |(from, _)| from)
    }

    /// What calendars and clocks show there at `at`. A time that no calendar has (beyond the year 9999) is shown as the
    /// beginning of 1970.
    pub fn local(&self, at: Timestamp) -> Local {
        let at = jiff::Timestamp::from_millisecond(at.as_millis()).unwrap_or_default();
        let there = self.0.to_datetime(at);
        Local {
            year: there.year(),
            month: there.month(),
            day: there.day(),
            weekday: weekday(there.weekday()),
            hour: there.hour(),
            minute: there.minute(),
        }
    }
}

/// A stretch of the calendar: its first moment, and the first one after it.
pub type Stretch = (Timestamp, Timestamp);

/// Stretches of the calendar around a moment, each in one piece also where clocks are set: an hour that comes twice is
/// two, and a day may have 23 or 25 of them and begin after midnight. `None` beyond the years that a calendar knows.
impl Zone {
    /// From one whole hour to the next, or to where clocks are set in the middle of one, as they are by half an hour on
    /// Lord Howe Island.
    pub fn hour(&self, at: Timestamp) -> Option<Stretch> {
        const HOUR: i64 = 3600;
        let now = at.as_secs();
        let moment = |secs: i64| jiff::Timestamp::from_second(secs).ok();
        let offset = i64::from(self.0.to_offset(moment(now)?).seconds());
        let from = now - (now + offset).rem_euclid(HOUR);
        let set_before = self.0.preceding(moment(now + 1)?).next().map(|set| set.timestamp().as_second());
        let set_after = self.0.following(moment(now)?).next().map(|set| set.timestamp().as_second());
        let from_set = set_before.map_or(from, |set| from.max(set));
        let until_set = set_after.map_or(from + HOUR, |set| (from + HOUR).min(set));
        Some((Timestamp::from_secs(from_set), Timestamp::from_secs(until_set)))
    }

    /// From one midnight to the next.
    pub fn day(&self, at: Timestamp) -> Option<Stretch> {
        days(&self.at(at)?, 1)
    }

    /// The day of a date such as `2026-11-21`; `None` for any other text.
    pub fn date(&self, date: &str) -> Option<Stretch> {
        let date: Date = (date.len() == "2026-11-21".len()).then(|| date.parse().ok())??;
        let noon = date.at(12, 0, 0, 0).to_zoned(self.0.clone()).ok()?;
        days(&noon, 1)
    }

    /// From one Monday to the next.
    pub fn week(&self, at: Timestamp) -> Option<Stretch> {
        let at = self.at(at)?;
        let monday = at.checked_sub(i64::from(at.weekday().to_monday_zero_offset()).days()).ok()?;
        days(&monday, 7)
    }

    /// From one first of the month to the next.
    pub fn month(&self, at: Timestamp) -> Option<Stretch> {
        let first = self.at(at)?.first_of_month().ok()?;
        let next = first.checked_add(1.month()).ok()?;
        Some(stretch(&first.start_of_day().ok()?, &next.start_of_day().ok()?))
    }

    /// The first moment after a date such as `2026-12-31`.
    pub fn after_date(&self, date: &str) -> Option<Timestamp> {
        let digits = date.bytes().filter(u8::is_ascii_digit).count();
        let date: jiff::civil::Date = (digits == 8 && date.len() == 10).then(|| date.parse().ok())??;
        Some(days(&date.to_zoned(self.0.clone()).ok()?, 1)?.1)
    }

    /// The date whose end a moment is, and otherwise the date that it is in.
    pub fn last_date(&self, at: Timestamp) -> String {
        let Local { year, month, day, .. } = self.local(at - Duration::from_millis(1));
        format!("{year:04}-{month:02}-{day:02}")
    }

    fn at(&self, at: Timestamp) -> Option<Zoned> {
        Some(jiff::Timestamp::from_millisecond(at.as_millis()).ok()?.to_zoned(self.0.clone()))
    }
}

fn days(first: &Zoned, count: i64) -> Option<Stretch> {
    let from = first.start_of_day().ok()?;
    let until = first.checked_add(count.days()).ok()?.start_of_day().ok()?;
    Some(stretch(&from, &until))
}

fn stretch(from: &Zoned, until: &Zoned) -> Stretch {
    let at = |zoned: &Zoned| Timestamp::from_millis(zoned.timestamp().as_millisecond());
    (at(from), at(until))
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Local {
    /// `2026-11-21 09:05`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { year, month, day, hour, minute, .. } = self;
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}")
    }
}

fn weekday(weekday: Weekday) -> usize {
    usize::try_from(weekday.to_monday_zero_offset()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The hours before and after the clocks are set, in both directions.
    #[test]
    fn a_place_has_its_summer_time() {
        let new_york = Zone::parse("america/new_york").unwrap();
        assert_eq!(new_york.to_string(), "America/New_York");
        let shown = |secs: i64| {
            let Local { year, month, day, weekday, hour, minute } = new_york.local(Timestamp::from_secs(secs));
            format!("{year}-{month:02}-{day:02} {weekday} {hour:02}:{minute:02}")
        };
        for (secs, wanted) in [
            (1_772_953_199, "2026-03-08 6 01:59"),
            (1_772_953_200, "2026-03-08 6 03:00"),
            (1_793_511_000, "2026-11-01 6 01:30"),
            (1_793_514_600, "2026-11-01 6 01:30"),
            (1_793_505_599, "2026-10-31 5 23:59"),
            (1_793_595_599, "2026-11-01 6 23:59"),
            (1_793_595_600, "2026-11-02 0 00:00"),
        ] {
            assert_eq!(shown(secs), wanted, "{secs}");
        }
        let shanghai = Zone::parse("Asia/Shanghai").unwrap();
        let local = shanghai.local(Timestamp::from_secs(1_790_000_000));
        assert_eq!((local.month, local.day, local.hour), (9, 21, 22));
    }

    #[test]
    fn a_day_and_a_month_begin_where_people_are() {
        let at = Timestamp::from_secs(1_790_000_000);
        for (zone, day, month) in
            [("Asia/Shanghai", "2026-09-21 00:00", "2026-09-01 00:00"), ("UTC", "2026-09-20 16:00", "2026-08-31 16:00")]
        {
            let begins = Zone::parse("Asia/Shanghai").unwrap();
            let shown = |at| Zone::parse(zone).unwrap().local(at).to_string();
            assert_eq!((shown(begins.start_of_day(at)), shown(begins.start_of_month(at))), (day.into(), month.into()));
        }
        // Summer time begins at midnight in Cairo: the day begins at one.
        let cairo = Zone::parse("Africa/Cairo").unwrap();
        let begins = cairo.start_of_day(Timestamp::from_secs(1_777_024_800));
        assert_eq!(cairo.local(begins).to_string(), "2026-04-24 01:00");
    }

    #[test]
    fn a_date_ends_at_midnight_and_is_shown_again() {
        let shanghai = Zone::parse("Asia/Shanghai").unwrap();
        let end = shanghai.after_date("2026-12-31").unwrap();
        assert_eq!(
            (shanghai.local(end).to_string(), shanghai.last_date(end)),
            ("2027-01-01 00:00".into(), "2026-12-31".into())
        );
        for wrong in ["", "2026-2-3", "2026-02-30", "20261231", "2026-12-31T10", "soon"] {
            assert_eq!(shanghai.after_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_no_zone_is_refused() {
        for wrong in ["", "Shanghai", "+08:00", "Etc/Unknown", "../etc/passwd"] {
            assert_eq!(Zone::parse(wrong), Err(UnknownZone), "{wrong}");
        }
        assert_eq!(Zone::parse("utc").unwrap().name(), "UTC");
        Zone::parse("Etc/UTC").unwrap().local(Timestamp::from_millis(i64::MAX));
    }
}
