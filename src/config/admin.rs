//! `[admin]`: who administers over HTTP, and what they prove.

use super::reader::{Reader, Reported};
use crate::model::second_factor::SecondFactor;

/// The section's values.
#[derive(Clone, Copy, Debug)]
pub struct Admin {
    /// Whether operators need a second factor to log in.
    pub second_factor: SecondFactor,
}

impl Admin {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let choices = SecondFactor::ALL.map(|choice| (choice.as_str(), choice));
        Ok(Self { second_factor: reader.choice("admin.second_factor", &choices)? })
    }
}
