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
}

impl Team {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let currency = reader.text("team.currency", |text| short(text, 8));
        let contact = reader.optional_text("team.contact", |text| short(text, 64));
        let sync = reader.whole_or_none("team.sync_hours", 1..=720_u64);
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        Ok(Self { currency: currency?, contact: contact?, sync: sync?.map(hours) })
    }
}

fn short(text: &str, most: usize) -> Result<String, Wrong> {
    if text.chars().count() > most || text.chars().any(char::is_control) {
        let right = [format!("应为一行、最多 {most} 个字"), format!("expected one line of at most {most} characters")];
        return Err(Wrong::new(["太长或含有控制字符", "is too long, or has control characters"], right));
    }
    Ok(text.to_owned())
}
