//! `[menu]`: the menu below the chat.

use super::reader::{Reader, Reported};

/// The section's values.
#[derive(Clone, Copy, Debug)]
pub struct Menu {
    /// Whether a menu is made for an application that has none.
    pub enabled: bool,
}

impl Menu {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        Ok(Self { enabled: reader.flag("menu.enabled")? })
    }
}
