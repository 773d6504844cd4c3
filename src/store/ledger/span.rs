//! Stretches of time that people ask about.

use std::time::Duration;

use super::totals::Grain;
use crate::clock::{Timestamp, zone::Zone};

/// The most days that can be asked about at once.
const MOST_DAYS: u32 = 3660;
const HOURS_PER_DAY: u32 = 24;
/// Shorter than any hour or day.
const MOMENT: Duration = Duration::from_millis(1);

/// A stretch of time: its first moment, and the first one after it. It begins and ends where an hour or a day does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// From then on.
    pub from: Timestamp,
    /// Up to then, which is not part of it.
    pub until: Timestamp,
}

/// A text that is no stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSpan {
    /// Of the last so many.
    #[error("expected days or hours such as 30d or 24h, at most {MOST_DAYS}d")]
    Last,
    /// Of a date.
    #[error("expected a date such as 2026-11-21")]
    Date,
    /// It ends before it begins.
    #[error("expected a first day that is not after the last one")]
    Order,
}

impl Span {
    /// The last so many days or hours with that of `now`, as `30d` or `24h`, by the calendar of `zone`; and what sums it
    /// is made of.
    ///
    /// # Errors
    /// [`InvalidSpan::Last`].
    pub fn last(text: &str, zone: &Zone, now: Timestamp) -> Result<(Self, Grain), InvalidSpan> {
        let count = |unit: char, most: u32| {
            let digits = text.strip_suffix(unit)?;
            let count = digits.bytes().all(|digit| digit.is_ascii_digit()).then(|| digits.parse::<u32>().ok())??;
            (1..=most).contains(&count).then_some(count)
        };
        let (grain, count) = match (count('d', MOST_DAYS), count('h', MOST_DAYS * HOURS_PER_DAY)) {
            (Some(days), _) => (Grain::Day, days),
            (None, Some(hours)) => (Grain::Hour, hours),
            (None, None) => return Err(InvalidSpan::Last),
        };
        let stretch = |at| match grain {
            Grain::Day => zone.day(at),
            Grain::Hour => zone.hour(at),
        };
        let (mut from, until) = stretch(now).ok_or(InvalidSpan::Last)?;
        for _ in 1..count {
            (from, _) = stretch(from - MOMENT).ok_or(InvalidSpan::Last)?;
        }
        Ok((Self { from, until }, grain))
    }

    /// From the beginning of one date to the end of another, such as `2026-11-01`, by the calendar of `zone`. Without a
    /// first date, everything before; without a last one, up to now.
    ///
    /// # Errors
    /// [`InvalidSpan::Date`], [`InvalidSpan::Order`].
    pub fn dates(first: Option<&str>, last: Option<&str>, zone: &Zone, now: Timestamp) -> Result<Self, InvalidSpan> {
        let day = |date: &str| zone.date(date).ok_or(InvalidSpan::Date);
        let from = first.map_or(Ok(Timestamp::default()), |date| day(date).map(|(from, _)| from))?;
        let until = last.map_or_else(|| zone.day(now).ok_or(InvalidSpan::Date), day).map(|(_, until)| until)?;
        if until <= from { Err(InvalidSpan::Order) } else { Ok(Self { from, until }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar_and_today_is_one() {
        let zone = Zone::parse("America/New_York").unwrap();
        // 3 November 2026, two days after the clocks went back.
        let now = Timestamp::from_secs(1_793_732_400);
        let shown = |span: Span| [span.from, span.until].map(|at| zone.local(at).to_string());
        let (span, grain) = Span::last("3d", &zone, now).unwrap();
        assert_eq!((shown(span), grain), (["2026-11-01 00:00", "2026-11-04 00:00"].map(str::to_owned), Grain::Day));
        assert_eq!(span.until.since(span.from).as_secs(), (3 * 24 + 1) * 3600);
        let (span, grain) = Span::last("2h", &zone, now).unwrap();
        assert_eq!((span.until.since(span.from).as_secs(), grain), (7200, Grain::Hour));
        let span = Span::dates(Some("2026-11-01"), Some("2026-11-03"), &zone, now).unwrap();
        assert_eq!(shown(span), ["2026-11-01 00:00", "2026-11-04 00:00"]);
        assert_eq!(Span::dates(None, None, &zone, now).unwrap().until, span.until);
        let wrong = Span::dates(Some("2026-11-02"), Some("2026-11-01"), &zone, now);
        assert_eq!(wrong, Err(InvalidSpan::Order));
        for text in ["", "d", "0d", "3661d", "-1d", "+1d", "1.5h", "30", "5w", "五d"] {
            assert_eq!(Span::last(text, &zone, now), Err(InvalidSpan::Last), "{text}");
        }
        for text in ["", "2026-13-01", "2026-02-30", "1. 11. 2026", "2026-11-01T00:00", "today"] {
            assert_eq!(Span::dates(Some(text), None, &zone, now), Err(InvalidSpan::Date), "{text}");
        }
    }
}
