//! `[team]`: what plans, quotas and usage have in common. The plans themselves are in the database (`qimate plan`).

use std::time::Duration;

use super::{
    fault::Wrong,
    reader::{Reader, Reported},
};

/// The section's values.
#[derive(Clone, Debug, Default)]
pub struct Team {
    /// The currency of prices and of limits of money, as it is shown.
    pub currency: String,
    /// Whom a member may ask for more; `None`: the administrator.
    pub contact: Option<String>,
    /// How often the address book is read; `None`: never, not at start either.
    pub sync: Option<Duration>,
    /// Whether commands of administrators may show texts of conversations.
    pub read_conversations: bool,
    /// How long each model call is kept, and the sums of calls by the hour.
    pub keep_calls: Duration,
    /// How long the sums of calls by the day are kept.
    pub keep_totals: Duration,
}

impl Team {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let currency = reader.text("team.currency", |text| short(text, 8));
        let contact = reader.optional_text("team.contact", |text| short(text, 64));
        let sync = reader.whole_or_none("team.sync_hours", 1..=720_u64);
        let read_conversations = reader.flag("team.read_conversations");
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let keep_calls = reader.whole("team.keep_calls_days", 1..=3650_u64);
        let keep_totals = reader.whole("team.keep_totals_days", 1..=3650_u64);
        Ok(Self {
            currency: currency?,
            contact: contact?,
            sync: sync?.map(hours),
            read_conversations: read_conversations?,
            keep_calls: Duration::from_secs(keep_calls? * DAY),
            keep_totals: Duration::from_secs(keep_totals? * DAY),
        })
    }
}

/// Seconds in a day.
const DAY: u64 = 24 * 60 * 60;

fn short(text: &str, most: usize) -> Result<String, Wrong> {
    if text.chars().count() > most || text.chars().any(char::is_control) {
        let right = [format!("应为一行、最多 {most} 个字"), format!("expected one line of at most {most} characters")];
        return Err(Wrong::new(["太长或含有控制字符", "is too long, or has control characters"], right));
    }
    Ok(text.to_owned())
}
