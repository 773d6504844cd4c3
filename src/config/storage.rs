//! `[storage]`: where the data is and how safe.

use std::{path::PathBuf, time::Duration};

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
    /// How long finished messages and turns are kept.
    pub keep: Duration,
}
