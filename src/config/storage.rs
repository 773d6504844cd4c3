//! `[storage]`: where the data is and how safe.

use std::{ops::RangeInclusive, path::PathBuf, time::Duration};

use super::reader::{Reader, Reported, any};

/// How a commit reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// Survives a power cut. The default.
    Full,
    /// Survives a crash of the process; a power cut can lose the last commits.
    Normal,
}

/// The section's values.
#[derive(Clone, Debug)]
pub struct Storage {
    /// The directory of the database.
    pub data_dir: PathBuf,
    /// How a commit reaches the disk.
    pub synchronous: Synchronous,
    /// How large the database file may grow, in MiB; `None`: as large as the disk.
    pub max_size_mib: Option<u64>,
    /// How long finished messages and turns are kept; of an application with days of its own ([`super::Chat::keep`]), at
    /// most so long.
    pub keep: Duration,
}

/// Seconds in a day.
pub(super) const DAY: u64 = 24 * 60 * 60;
/// For how many days something can be kept.
pub(super) const DAYS: RangeInclusive<u64> = 1..=3650;

impl Storage {
    pub(super) fn read(reader: &mut Reader<'_>) -> Result<Self, Reported> {
        let data_dir = reader.text("storage.data_dir", any);
        let synchronous =
            reader.choice("storage.synchronous", &[("full", Synchronous::Full), ("normal", Synchronous::Normal)]);
        // Less than 16 MiB is filled within a day.
        let max_size_mib = reader.whole_or_none("storage.max_size_mib", 16..=1_048_576);
        let keep_days = reader.whole("storage.keep_days", DAYS);
        Ok(Self {
            data_dir: PathBuf::from(data_dir?),
            synchronous: synchronous?,
            max_size_mib: max_size_mib?,
            keep: Duration::from_secs(keep_days? * DAY),
        })
    }
}
