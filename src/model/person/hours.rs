//! When somebody is answered: hours of the days of a week, by the clocks of the company.

use std::{fmt, time::Duration};

use crate::clock::{
    Timestamp,
    zone::{Local, Zone},
};

/// From Monday.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
const CHINESE_DAYS: [&str; 7] = ["一", "二", "三", "四", "五", "六", "日"];
/// In minutes.
const DAY: u16 = 24 * 60;
const WEEK: u32 = 7 * DAY as u32;
/// Spans that somebody may have: seven days with some breaks.
const MOST_SPANS: usize = 50;

/// Hours of a week. Without a span, always.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceHours(Vec<Span>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    /// A bit for each day, Monday the lowest.
    days: u8,
    /// Minutes from midnight; `to` is after `from`, or of the next day.
    from: u16,
    to: u16,
}

/// A text that is no service hours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected days and hours such as Mon-Fri 08:00-20:00; Sat 09:00-12:00, or always")]
pub struct InvalidHours;

impl ServiceHours {
    /// Reads `Mon-Fri 08:00-20:00; Sat,Sun 09:00-12:00`, with `周一` for Monday and so on too; `always`. A span whose end
    /// is not after its beginning ends on the next day: `Mon-Sun 22:00-06:00`.
    ///
    /// # Errors
    /// [`InvalidHours`].
    pub fn parse(text: &str) -> Result<Self, InvalidHours> {
        let text =
            text.trim().replace('；', ";").replace(['，', '、'], ",").replace(['至', '–'], "-").replace('：', ":");
        if text.eq_ignore_ascii_case("always") || text == "总是" {
            return Ok(Self(Vec::new()));
        }
        let mut spans = Vec::new();
        for group in text.split(';') {
            let (days, hours) = group.trim().split_once(char::is_whitespace).ok_or(InvalidHours)?;
            let days = read_days(days)?;
            for hours in hours.split(',') {
                let (from, to) = hours.trim().split_once('-').ok_or(InvalidHours)?;
                let (from, to) = (read_time(from)?, read_time(to)?);
                if from == DAY || from == to {
                    return Err(InvalidHours);
                }
                spans.push(Span { days, from, to });
            }
        }
        if spans.len() > MOST_SPANS { Err(InvalidHours) } else { Ok(Self(spans)) }
    }

    /// Whether they are open at this moment.
    pub fn is_open(&self, now: Timestamp, zone: &Zone) -> bool {
        self.open_in(minute_of_week(zone.local(now)))
    }

    /// When they are next open; `None`: not within a week. Exact where clocks are not set in between, and to the hour that
    /// clocks then show where they are.
    pub fn opens(&self, now: Timestamp, zone: &Zone) -> Option<Timestamp> {
        let minute = minute_of_week(zone.local(now));
        if self.open_in(minute) {
            return Some(now);
        }
        let wait = self.begins().map(|begin| (begin + WEEK - minute) % WEEK).min()?;
        let whole_minutes = Timestamp::from_secs(now.as_secs().div_euclid(60) * 60);
        let at = whole_minutes + Duration::from_secs(u64::from(wait) * 60);
        // Clocks that were set since are ahead of what they should show, or behind it.
        let shown = minute_of_week(zone.local(at));
        let (wanted, half) = ((minute + wait) % WEEK, WEEK / 2);
        let ahead = (shown + WEEK - wanted) % WEEK;
        let minutes = |count: u32| Duration::from_secs(u64::from(count) * 60);
        Some(if ahead <= half { at - minutes(ahead) } else { at + minutes(WEEK - ahead) })
    }

    fn open_in(&self, minute: u32) -> bool {
        self.0.is_empty()
            || self.0.iter().any(|span| span.begins().any(|begin| (minute + WEEK - begin) % WEEK < span.length()))
    }

    fn begins(&self) -> impl Iterator<Item = u32> {
        self.0.iter().flat_map(Span::begins)
    }
}

impl Span {
    fn begins(&self) -> impl Iterator<Item = u32> + use<> {
        let Self { days, from, .. } = *self;
        (0..7_u32).filter(move |day| days & (1 << day) != 0).map(move |day| day * u32::from(DAY) + u32::from(from))
    }

    fn length(&self) -> u32 {
        let to = if self.to > self.from { self.to } else { self.to + DAY };
        u32::from(to - self.from)
    }
}

fn minute_of_week(local: Local) -> u32 {
    let part = |number: i8| u32::from(number.unsigned_abs());
    let day = u32::try_from(local.weekday).unwrap_or(0);
    day * u32::from(DAY) + part(local.hour) * 60 + part(local.minute)
}

fn read_days(text: &str) -> Result<u8, InvalidHours> {
    let mut days = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (read_day(first)?, read_day(last)?);
        let mut day = first;
        loop {
            days |= 1 << day;
            if day == last {
                break;
            }
            day = (day + 1) % 7;
        }
    }
    Ok(days)
}

fn read_day(text: &str) -> Result<usize, InvalidHours> {
    let text = text.trim();
    let chinese = text.trim_start_matches(['周', '星', '期']).replace('天', "日");
    let found = DAYS.iter().position(|day| day.eq_ignore_ascii_case(text));
    found.or_else(|| CHINESE_DAYS.iter().position(|day| *day == chinese)).ok_or(InvalidHours)
}

/// `08:00`, `8:00`, up to `24:00`.
fn read_time(text: &str) -> Result<u16, InvalidHours> {
    let (hour, minute) = text.trim().split_once(':').ok_or(InvalidHours)?;
    let number = |text: &str, most: usize| {
        let fits = (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
        if fits { text.parse::<u16>().map_err(|_| InvalidHours) } else { Err(InvalidHours) }
    };
    let (hour, minute) = (number(hour, 2)?, number(minute, 2)?);
    let time = hour * 60 + minute;
    if minute < 60 && time <= DAY { Ok(time) } else { Err(InvalidHours) }
}

/// What [`ServiceHours::parse`] reads.
impl fmt::Display for ServiceHours {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("always");
        }
        for (number, Span { days, from, to }) in self.0.iter().enumerate() {
            if number > 0 {
                f.write_str("; ")?;
            }
            write_days(*days, f)?;
            write!(f, " {:02}:{:02}-{:02}:{:02}", from / 60, from % 60, to / 60, to % 60)?;
        }
        Ok(())
    }
}

fn write_days(days: u8, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let mut day = 0;
    let mut separator = "";
    while day < 7 {
        let first = day;
        while day < 7 && days & (1 << day) != 0 {
            day += 1;
        }
        match day - first {
            0 => {
                day += 1;
                continue;
            }
            1 => write!(f, "{separator}{}", DAYS[first])?,
            _ => write!(f, "{separator}{}-{}", DAYS[first], DAYS[day - 1])?,
        }
        separator = ",";
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn hours_are_read_as_people_write_them() {
        for (text, shown) in [
            ("Mon-Fri 08:00-20:00", "Mon-Fri 08:00-20:00"),
            (
                "周一至周五 8:00-12:00，13:00-18:00；周六 9:00-12:00",
                "Mon-Fri 08:00-12:00; Mon-Fri 13:00-18:00; Sat 09:00-12:00",
            ),
            ("fri-mon,Wed 00:00-24:00", "Mon,Wed,Fri-Sun 00:00-24:00"),
            ("Mon-Sun 22:00-06:00", "Mon-Sun 22:00-06:00"),
            (" Always ", "always"),
        ] {
            assert_eq!(ServiceHours::parse(text).map(|hours| hours.to_string()).as_deref(), Ok(shown), "{text}");
        }
        for wrong in [
            "",
            "Mon",
            "8-20",
            "Mon 8-20",
            "Mon 08:00-08:00",
            "Mon 08:60-09:00",
            "Mon 08:00-24:01",
            "Foo 08:00-09:00",
            "Mon 24:00-01:00",
            "Mon -1:00-02:00",
            ";",
        ] {
            assert_eq!(ServiceHours::parse(wrong), Err(InvalidHours), "{wrong:?}");
        }
    }

    #[test]
    fn who_is_too_early_hears_when_it_opens() {
        let zone = Zone::parse("Asia/Shanghai").expect("a zone");
        let office = ServiceHours::parse("Mon-Fri 08:00-20:00").expect("hours");
        // Monday, 22:13.
        let now = Timestamp::from_secs(1_790_000_000);
        assert!(!office.is_open(now, &zone));
        assert_eq!(office.opens(now, &zone).map(|at| zone.local(at).to_string()).as_deref(), Some("2026-09-22 08:00"));
        let night = ServiceHours::parse("Sun 20:00-02:00; Mon 20:00-22:14").expect("hours");
        assert!(night.is_open(now, &zone));
        assert!(!night.is_open(now + Duration::from_secs(60), &zone));
        // Summer time ends in New York on Sunday, 1 November 2026, at two o'clock.
        let new_york = Zone::parse("America/New_York").expect("a zone");
        let saturday = Timestamp::from_secs(1_793_505_599);
        let opens = office.opens(saturday, &new_york).map(|at| new_york.local(at).to_string());
        assert_eq!(opens.as_deref(), Some("2026-11-02 08:00"));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_read_again(
            spans in prop::collection::vec((1..128_u8, 0..DAY, 0..=DAY), 1..6), now in 0..2_000_000_000_i64,
        ) {
            let spans: Vec<Span> = spans.into_iter().filter(|(_, from, to)| from != to).map(|(days, from, to)| Span { days, from, to }).collect();
            prop_assume!(!spans.is_empty());
            let hours = ServiceHours(spans);
            prop_assert_eq!(ServiceHours::parse(&hours.to_string()), Ok(hours.clone()));
            // When they are said to open they are open, and not before.
            let zone = Zone::parse("Asia/Shanghai").expect("a zone");
            let now = Timestamp::from_secs(now);
            let opens = hours.opens(now, &zone).expect("within a week");
            prop_assert!(hours.is_open(opens, &zone));
            if opens > now {
                prop_assert!(!hours.is_open(opens - Duration::from_secs(60), &zone));
            }
        }
    }
}
