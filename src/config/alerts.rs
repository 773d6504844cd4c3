//! `[alerts]`: who is told when something is wrong, and when.

use std::time::Duration;

use super::{
    fault::Wrong,
    reader::{NOT_SET, Reader, Reported, any, key},
    url,
};
use crate::{model::id::MemberId, secret::Secret};

/// The section's values.
#[derive(Clone, Debug)]
pub struct Alerts {
    /// Members who get a WeCom message; may be empty.
    pub operators: Vec<MemberId>,
    /// The name of the application that tells them; `None`: the first.
    pub app: Option<String>,
    /// What gets a JSON POST. May hold a token in its path, as chat services' webhooks do.
    pub webhook_url: Option<Secret<String>>,
    /// What the webhook is signed with.
    pub webhook_secret: Option<Secret<String>>,
    /// Alerts in an hour at most.
    pub max_per_hour: u32,
    /// How long a message may wait.
    pub queue_age: Duration,
    /// The share of failed answers from which on it is an alert.
    pub failed_percent: u32,
    /// Free disk below which it is an alert.
    pub disk_free_mib: u64,
}

impl Alerts {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let operators = reader.take("alerts.operators", |value| {
            let operators = members(value.text()?)?;
            let names: Vec<_> = operators.iter().map(MemberId::as_str).collect();
            let shown = if names.is_empty() { NOT_SET.to_owned() } else { names.join("|") };
            Ok((operators, shown))
        });
        let app = reader.optional_text("alerts.app", any);
        let webhook_url = reader.optional_text("alerts.webhook_url", webhook);
        let webhook_secret = reader.optional_text("alerts.webhook_secret", |text| key(text, 16));
        let max_per_hour = reader.whole("alerts.max_per_hour", 1..=1000);
        let queue_age_minutes = reader.whole("alerts.queue_age_minutes", 1..=1440_u64);
        let failed_percent = reader.whole("alerts.failed_percent", 1..=100);
        let disk_free_mib = reader.whole("alerts.disk_free_mib", 1..=1_048_576);
        Ok(Self {
            operators: operators?,
            app: app?,
            webhook_url: webhook_url?,
            webhook_secret: webhook_secret?,
            max_per_hour: max_per_hour?,
            queue_age: Duration::from_secs(queue_age_minutes? * 60),
            failed_percent: failed_percent?,
            disk_free_mib: disk_free_mib?,
        })
    }
}

/// Separated as WeCom separates them; a comma is what people type.
fn members(text: &str) -> Result<Vec<MemberId>, Wrong> {
    text.split(['|', ','])
        .map(str::trim)
        .filter(|id| !id.is_empty())
        .map(|id| {
            MemberId::parse(id).map_err(|_| {
                Wrong::new(
                    ["里有不是 userid 的内容", "holds something that is no userid"],
                    ["应为 userid（账号），多个用 | 分隔，例如 li|wang", "expected such as li|wang"],
                )
            })
        })
        .collect()
}

/// A query is fine here: that is where such services have their token.
fn webhook(text: &str) -> Result<Secret<String>, Wrong> {
    url::any_http(text).map(Secret::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_are_separated_by_bars_or_commas() {
        let names = |text| members(text).map(|ids| ids.iter().map(|id| id.as_str().to_owned()).collect::<Vec<_>>());
        assert_eq!(names("").ok(), Some(vec![]));
        assert_eq!(names("Li | wang,zhao").ok(), Some(vec!["Li".to_owned(), "wang".to_owned(), "zhao".to_owned()]));
    }
}
