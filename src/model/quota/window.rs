//! Spans of time in which an allowance counts. They are computed from the moment and the company's time zone: nothing
//! has to run at midnight for a day to begin anew, and a change of plan keeps what was used.

use std::{fmt, ops::RangeInclusive, time::Duration};

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, zone::Zone};

/// How many seconds a rolling window may have: a minute to 31 days.
pub const ROLLING_SECONDS: RangeInclusive<u32> = 60..=31 * 86_400;

/// A span of time in which an allowance counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum QuotaWindow {
    /// An hour of the clock on the wall.
    Hour,
    /// A day of the calendar: 23, 24 or 25 hours where clocks are changed.
    Day,
    /// Monday to Sunday.
    Week,
    /// A month of the calendar.
    Month,
    /// The last so many seconds, whenever one looks; within [`ROLLING_SECONDS`].
    Rolling(u32),
    /// Ever.
    Lifetime,
}

/// What of the time counts at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first moment that counts.
    pub from: Timestamp,
    /// When the next span begins. `None` where there is no next one, and for a rolling window, where it depends on what
    /// was used when.
    pub until: Option<Timestamp>,
}

/// A text that is no window.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected hour, day, week, month, lifetime, or a rolling window of 1m to 31d such as 90s, 5m, 3h, 7d")]
pub struct InvalidWindow;

impl QuotaWindow {
    /// Reads what [`fmt::Display`] writes: `hour`, `day`, `week`, `month`, `lifetime`, or a number with `s`, `m`, `h` or
    /// `d` behind it for a rolling one.
    ///
    /// # Errors
    /// [`InvalidWindow`] for anything else.
    pub fn parse(text: &str) -> Result<Self, InvalidWindow> {
        Ok(match text {
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "lifetime" => Self::Lifetime,
            rolling => Self::Rolling(seconds(rolling).filter(|n| ROLLING_SECONDS.contains(n)).ok_or(InvalidWindow)?),
        })
    }

    /// What counts at `now`, by the calendar of `zone`.
    pub fn span(self, now: Timestamp, zone: &Zone) -> Span {
        let stretch = match self {
            Self::Rolling(seconds) => return Span { from: now - Duration::from_secs(seconds.into()), until: None },
            Self::Lifetime => None,
            Self::Hour => zone.hour(now),
            Self::Day => zone.day(now),
            Self::Week => zone.week(now),
            Self::Month => zone.month(now),
        };
        match stretch {
            Some((from, until)) => Span { from, until: Some(until) },
            // Beyond the years that a calendar knows, everything counts.
            None => Span { from: Timestamp::from_millis(i64::MIN), until: None },
        }
    }
}

fn seconds(text: &str) -> Option<u32> {
    let unit = match text.as_bytes().last()? {
        b's' => 1,
        b'm' => 60,
        b'h' => 3600,
        b'd' => 86_400,
        _ => return None,
    };
    let number = &text[..text.len() - 1];
    let number: u32 = number.bytes().all(|b| b.is_ascii_digit()).then(|| number.parse().ok())??;
    number.checked_mul(unit)
}

impl fmt::Display for QuotaWindow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hour => f.write_str("hour"),
            Self::Day => f.write_str("day"),
            Self::Week => f.write_str("week"),
            Self::Month => f.write_str("month"),
            Self::Lifetime => f.write_str("lifetime"),
            Self::Rolling(seconds) => {
                let (unit, name) = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")]
                    .into_iter()
                    .find(|(unit, _)| seconds % unit == 0)
                    .unwrap_or((1, "s"));
                write!(f, "{}{name}", seconds / unit)
            }
        }
    }
}

impl TryFrom<String> for QuotaWindow {
    type Error = InvalidWindow;

    fn try_from(text: String) -> Result<Self, InvalidWindow> {
        Self::parse(&text)
    }
}

impl From<QuotaWindow> for String {
    fn from(window: QuotaWindow) -> Self {
        window.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn zone(name: &str) -> Zone {
        Zone::parse(name).expect(name)
    }

    /// Epoch seconds of a moment, as a place and what its clocks show there.
    fn span_of(window: QuotaWindow, place: &str, now: i64) -> (String, String, i64) {
        let zone = zone(place);
        let span = window.span(Timestamp::from_secs(now), &zone);
        let until = span.until.expect("a calendar has a next one");
        let show = |at: Timestamp| {
            let local = zone.local(at);
            format!("{:02}-{:02} {:02}:{:02}", local.month, local.day, local.hour, local.minute)
        };
        (show(span.from), show(until), (until.as_millis() - span.from.as_millis()) / 3_600_000)
    }

    #[test]
    fn windows_begin_where_the_wall_says() {
        use QuotaWindow::{Day, Hour, Month, Week};
        for (window, place, now, from, until, hours) in [
            (Hour, "Asia/Shanghai", 1_795_222_799, "11-21 08:00", "11-21 09:00", 1),
            (Day, "Asia/Shanghai", 1_795_217_400, "11-21 00:00", "11-22 00:00", 24),
            (Day, "Asia/Shanghai", 1_795_190_400, "11-21 00:00", "11-22 00:00", 24),
            (Week, "Asia/Shanghai", 1_795_363_199, "11-16 00:00", "11-23 00:00", 168),
            (Week, "Asia/Shanghai", 1_795_363_200, "11-23 00:00", "11-30 00:00", 168),
            (Month, "Asia/Shanghai", 1_835_409_600, "02-01 00:00", "03-01 00:00", 29 * 24),
            (Month, "Asia/Shanghai", 1_769_832_000, "01-01 00:00", "02-01 00:00", 31 * 24),
            // Clocks go forward on 8 March 2026 and back on 1 November 2026.
            (Day, "America/New_York", 1_772_985_600, "03-08 00:00", "03-09 00:00", 23),
            (Day, "America/New_York", 1_793_552_400, "11-01 00:00", "11-02 00:00", 25),
            (Week, "America/New_York", 1_772_985_600, "03-02 00:00", "03-09 00:00", 167),
            (Month, "America/New_York", 1_796_058_000, "11-01 00:00", "12-01 00:00", 30 * 24 + 1),
            (Hour, "America/New_York", 1_793_511_000, "11-01 01:00", "11-01 01:00", 1),
            (Hour, "America/New_York", 1_793_514_600, "11-01 01:00", "11-01 02:00", 1),
            (Hour, "Asia/Kolkata", 1_795_236_000, "11-21 10:00", "11-21 11:00", 1),
            // A day without a midnight.
            (Day, "America/Santiago", 1_788_706_800, "09-06 01:00", "09-07 00:00", 23),
        ] {
            assert_eq!(span_of(window, place, now), (from.to_owned(), until.to_owned(), hours), "{window} at {now}");
        }
    }

    #[test]
    fn a_window_is_read_as_it_is_written() {
        for (text, window) in [
            ("hour", QuotaWindow::Hour),
            ("lifetime", QuotaWindow::Lifetime),
            ("90s", QuotaWindow::Rolling(90)),
            ("5h", QuotaWindow::Rolling(18_000)),
            ("31d", QuotaWindow::Rolling(31 * 86_400)),
        ] {
            assert_eq!(QuotaWindow::parse(text), Ok(window), "{text}");
            assert_eq!(window.to_string(), text);
        }
        assert_eq!(QuotaWindow::parse("24h").map(|window| window.to_string()).as_deref(), Ok("1d"));
        for bad in ["", "s", "Day", "monthly", "59s", "32d", "-5m", "+5m", "5 m", "1.5h", "99999999999d", "五天", "5天"]
        {
            assert_eq!(QuotaWindow::parse(bad), Err(InvalidWindow), "{bad}");
        }
    }

    #[test]
    fn what_rolls_or_never_ends_has_no_next_beginning() {
        let now = Timestamp::from_secs(1_795_219_200);
        let rolling = QuotaWindow::Rolling(60).span(now, &zone("Asia/Shanghai"));
        assert_eq!(rolling, Span { from: now - Duration::from_secs(60), until: None });
        assert_eq!(QuotaWindow::Lifetime.span(now, &zone("UTC")).until, None);
        let far = QuotaWindow::Month.span(Timestamp::from_millis(i64::MAX), &zone("UTC"));
        assert_eq!(far.until, None, "no calendar reaches there, and nothing breaks");
    }

    #[test]
    fn an_hour_in_which_clocks_are_set_by_half_an_hour_is_in_two_pieces() {
        let zone = zone("Australia/Lord_Howe");
        for secs in [2_185_363_800, 2_185_365_600, 2_185_367_400] {
            let span = QuotaWindow::Hour.span(Timestamp::from_secs(secs), &zone);
            let until = span.until.expect("a next one");
            assert_eq!(QuotaWindow::Hour.span(span.from, &zone), span);
            assert_eq!(QuotaWindow::Hour.span(until, &zone).from, until);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        /// Spans tile the time: every moment lies in one, and the next begins where it ends.
        #[test]
        fn spans_tile_the_time(secs in 1_600_000_000_i64..2_200_000_000, zone_at in 0_usize..5, window in 0_usize..4) {
            let names = ["Asia/Shanghai", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Casablanca"];
            let zone = zone(names[zone_at]);
            let window = [QuotaWindow::Hour, QuotaWindow::Day, QuotaWindow::Week, QuotaWindow::Month][window];
            let now = Timestamp::from_secs(secs);
            let span = window.span(now, &zone);
            let until = span.until.expect("a next one");
            prop_assert!(span.from <= now && now < until, "{window}: {now} in {span:?}");
            prop_assert_eq!(window.span(span.from, &zone), span);
            prop_assert_eq!(window.span(until, &zone).from, until);
            let before = window.span(span.from - Duration::from_millis(1), &zone);
            prop_assert_eq!(before.until, Some(span.from));
        }
    }
}
